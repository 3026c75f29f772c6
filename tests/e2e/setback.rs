//! A database that is set back to an earlier time gets again what it has forgotten.

use std::time::Duration;

use tests::installation::ALL_ROLES;
use tests::load::Load;
use tests::samples::XmlNotice;
use tests::servers::RedisLimits;
use tests::{Installation, bodies, wait_until, wire};
use uuid::Uuid;

/// Everything is there this soon after the database is back.
const STORED_LIMIT: Duration = Duration::from_secs(90);

/// What comes in meanwhile.
const NOTICES_PER_SECOND: u32 = 200;

/// Errors that come once, after the copy was made, and never again: nothing that follows in their lanes helps them.
const ONCE: usize = 40;

#[tokio::test(flavor = "multi_thread")]
async fn i9_what_a_database_that_was_set_back_has_forgotten_is_sent_again() {
    let mut croak = Installation::with_private_servers(RedisLimits::default()).await;
    for _ in 0..3 {
        croak.start_worker(ALL_ROLES).await;
    }
    croak.start_gateway().await;
    let load = Load::start(croak.gateway_address(), NOTICES_PER_SECOND, |n| {
        XmlNotice { class: format!("Failure{}", n % 5), user: (n % 500).to_string(), ..XmlNotice::default() }.request()
    });
    let count = async |more: usize| {
        let before = load.accepted_count();
        wait_until("the load goes on", Duration::from_secs(60), async || {
            (load.accepted_count() > before + more).then_some(())
        })
        .await;
    };
    count(500).await;
    croak.postgres.as_mut().expect("its own").copy();

    // Some lanes change hands after the copy and others do not: owners of both kinds hold in memory what will not be there.
    let mut once = send_once(&croak, 0, ONCE / 2).await;
    croak.workers[0].process.kill();
    count(100).await;
    croak.workers[0].start_again();
    croak.workers[0].ready().await;
    once.extend(send_once(&croak, once.len(), ONCE / 2).await);
    bodies::copies_with_all_of(&croak.pool(), &once, Duration::from_secs(30)).await;
    count(500).await;
    let before = bodies::count(&croak.pool()).await;
    croak.postgres.as_mut().expect("its own").set_back().await;
    let after = bodies::count(&croak.pool()).await;
    println!("set back from {before} notices to {after}");
    assert!(after < before - 500, "it has forgotten something");

    count(500).await;
    let ledger = load.stop().await;
    let accepted: Vec<Uuid> = ledger.accepted.iter().chain(&once).copied().collect();
    let copies = bodies::copies_with_all_of(&croak.pool(), &accepted, STORED_LIMIT).await;
    let doubled = copies.values().filter(|copies| **copies > 1).count();
    println!("{} accepted, {} stored, {doubled} doubled", accepted.len(), copies.len());
    assert_eq!(doubled, 0, "each is stored once");
    croak.croak(&["audit"]);
}

/// Errors of which each comes this once.
async fn send_once(croak: &Installation, from: usize, count: usize) -> Vec<Uuid> {
    let mut ids = Vec::new();
    for n in from..from + count {
        let notice = XmlNotice { class: format!("Once{n}"), ..XmlNotice::default() };
        let answer = wire::exchange(croak.gateway_address(), &notice.request()).await.expect("an answer");
        ids.push(answer.notice_id().expect("it is accepted"));
    }
    ids
}
