//! The chaos bites: with a known mistake in a service it fails, and without it passes.
//!
//! The mistakes are in debug builds only, behind the cargo feature `failpoints`.

use std::time::Duration;

use tests::chaos::schedule::Kind;
use tests::chaos::{Plan, Report, run};
use tests::programs::{Program, is_debug};
use tokio::sync::Mutex;

/// Faults after which entries come twice, and faults after which entries are gone.
const KINDS: &[Kind] =
    &[Kind::FreezeRedis, Kind::EmptyRedis, Kind::KillRedis, Kind::FreezeRedis, Kind::EmptyRedis, Kind::KillWorker];

/// What only a build with mistakes and points of death reads.
const NOT_IN_A_RELEASE: &[&str] =
    &["CROAK_MUTANT", "CROAK_FAILPOINTS", "worker.ignores_accounted", "gateway.forgets_after_xadd"];

/// One run at a time: each has eight services and two servers.
static MACHINE: Mutex<()> = Mutex::const_new(());

#[tokio::test(flavor = "multi_thread")]
async fn i3_without_a_mistake_a_short_chaos_adds_up_in_every_snapshot() {
    let Some(report) = chaos(None).await else { return };
    assert_eq!(report.failures, Vec::<String>::new());
    assert!(report.kept.stored > 500, "too few to prove anything: {}", report.kept.stored);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_ignores_what_was_accounted_for_is_found_out() {
    let Some(report) = chaos(Some("worker.ignores_accounted")).await else { return };
    assert!(report.kept.doubled > 0, "{report}");
    assert!(!report.sums.hold(), "{report}");
    assert!(!report.failures.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_takes_redis_at_its_word_is_found_out() {
    let Some(report) = chaos(Some("gateway.forgets_after_xadd")).await else { return };
    assert!(report.kept.missing > 0, "{report}");
    assert!(!report.failures.is_empty());
}

#[test]
fn what_is_released_has_no_mistake_to_make() {
    if is_debug() {
        println!("a debug build has them");
        return;
    }
    for program in [Program::Gateway, Program::Worker, Program::Web, Program::Croak] {
        let bytes = std::fs::read(program.file()).expect("the program is there");
        for word in NOT_IN_A_RELEASE {
            let is_in = bytes.windows(word.len()).any(|window| window == word.as_bytes());
            assert!(!is_in, "{} has {word} in it", program.name());
        }
    }
}

/// A short run, the same for all: `None` in a release build, which has no mistakes to choose from.
async fn chaos(mutant: Option<&str>) -> Option<Report> {
    if !is_debug() {
        println!("a release build has no mistakes");
        return None;
    }
    let _alone = MACHINE.lock().await;
    let plan = Plan {
        seed: 2,
        run: Duration::from_secs(15),
        per_second: 240,
        kinds: KINDS.to_vec(),
        mutant: mutant.map(str::to_owned),
    };
    let report = run(&plan).await;
    println!("{report}");
    Some(report)
}
