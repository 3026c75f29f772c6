//! Lets everything fail under load and says whether a notice was lost: `script/chaos --seconds 60`.

use std::os::unix::process::CommandExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Duration;

use clap::Parser;
use tests::chaos::{Plan, run, schedule};

/// Set for the process that may mount what nobody else sees.
const UNSHARED: &str = "CROAK_CHAOS_UNSHARED";

/// Runs a whole Croak under load, lets everything fail that can, and says whether what was promised holds.
#[derive(Debug, Parser)]
#[command(name = "chaos")]
struct Arguments {
    /// How long faults are injected
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(5..=86_400))]
    seconds: u64,
    /// What the schedule of faults is made from; a new one when absent
    #[arg(long)]
    seed: Option<u64>,
    /// Notices of the project that floods, in a second
    #[arg(long, default_value_t = 900, value_parser = clap::value_parser!(u32).range(3..=20_000))]
    rate: u32,
    /// A file for the report as JSON
    #[arg(long)]
    json: Option<PathBuf>,
    /// A mistake for services to make on purpose; only programs built with the feature `failpoints` know any
    #[arg(long)]
    mutant: Option<String>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    see_mounts_alone();
    let seed = arguments.seed.unwrap_or_else(|| rand::random_range(0..1_000_000));
    println!("seed {seed}");
    let plan = Plan {
        seed,
        run: Duration::from_secs(arguments.seconds),
        per_second: arguments.rate,
        kinds: schedule::EVERY_KIND.to_vec(),
        mutant: arguments.mutant,
    };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    // A panic is told in full where it happens.
    let Ok(report) = catch_unwind(AssertUnwindSafe(|| runtime.block_on(run(&plan)))) else {
        println!("chaos came to no end, seed {seed}");
        return ExitCode::FAILURE;
    };
    println!("{report}");
    if let Some(file) = arguments.json {
        let json = serde_json::to_string_pretty(&report).expect("a report is JSON");
        std::fs::write(&file, json).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    }
    if report.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Goes on as a process whose mounts are its own, where that may be had: whatever ends it, they go with it.
fn see_mounts_alone() {
    if std::env::var_os(UNSHARED).is_some() || !rustix::process::geteuid().is_root() {
        return;
    }
    let may = Command::new("unshare").args(["--mount", "true"]).status().is_ok_and(|status| status.success());
    if may && let Ok(this) = std::env::current_exe() {
        let mut unshared = Command::new("unshare");
        unshared.arg("--mount").arg(this).args(std::env::args_os().skip(1)).env(UNSHARED, "1");
        panic!("unshare does not start: {}", unshared.exec());
    }
}
