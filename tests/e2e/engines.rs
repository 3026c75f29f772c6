//! Croak on Redis with sentinels, in a cluster, and over TLS: the short form of `script/engines`.

use std::time::Duration;

use tests::engines::{Engine, Pace};
use tokio::sync::Mutex;

const PACE: Pace = Pace { per_second: 150, stretch: Duration::from_secs(3) };

/// They take the whole machine, one at a time.
static MACHINE: Mutex<()> = Mutex::const_new(());

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_doubled_when_sentinels_change_the_master() {
    holds(Engine::Sentinel).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_doubled_when_a_cluster_moves_slots_and_loses_a_master() {
    holds(Engine::Cluster).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_works_over_tls_with_the_rights_that_the_manual_names() {
    holds(Engine::Tls).await;
}

async fn holds(engine: Engine) {
    let _alone = MACHINE.lock().await;
    let report = engine.run(PACE).await;
    println!("{report}");
    assert_eq!(report.faults(), Vec::<String>::new());
}
