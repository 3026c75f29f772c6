//! Runs Croak on Redis with sentinels, in a cluster and over TLS, and on PostgreSQL with a standby and set back; says what became of
//! everything that was sent. Exit status 0: nothing is lost or doubled; 1: something is; 2: the call was wrong.
//!
//! `CROAK_ENGINES_PER_SECOND` (default 300) and `CROAK_ENGINES_STRETCH_SECONDS` (default 10) set the pace.

use std::process::ExitCode;
use std::time::Duration;

use tests::engines::{Engine, Pace};

#[tokio::main]
async fn main() -> ExitCode {
    let names: Vec<String> = std::env::args().skip(1).collect();
    let mut engines = Vec::new();
    for name in &names {
        match Engine::named(name) {
            Some(engine) => engines.push(engine),
            None if name == "all" => engines.extend(Engine::ALL),
            None => return usage(name),
        }
    }
    if engines.is_empty() {
        engines.extend(Engine::ALL);
    }
    let pace = Pace {
        per_second: u32::try_from(setting("CROAK_ENGINES_PER_SECOND", 300)).expect("so many can be sent"),
        stretch: Duration::from_secs(setting("CROAK_ENGINES_STRETCH_SECONDS", 10)),
    };
    let mut reports = Vec::new();
    for engine in engines {
        reports.push(engine.run(pace).await);
    }
    println!();
    reports.iter().for_each(|report| println!("{report}"));
    if reports.iter().all(|report| report.faults().is_empty()) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn usage(name: &str) -> ExitCode {
    let names: Vec<&str> = Engine::ALL.into_iter().map(Engine::name).collect();
    eprintln!("there is no `{name}`; there are: {}, all", names.join(", "));
    ExitCode::from(2)
}

fn setting(name: &str, usual: u64) -> u64 {
    std::env::var(name).map_or(usual, |value| value.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}
