//! The door stays open while everything behind it is gone, and what came in meanwhile is all there afterwards.
//!
//! `CROAK_TEST_OUTAGE_NOTICES` is how many notices a full Redis has to stand (default 100,000; 14,000 in a debug build).

use std::time::{Duration, Instant};

use tests::installation::ALL_ROLES;
use tests::load::send_all;
use tests::programs::is_debug;
use tests::samples::XmlNotice;
use tests::servers::RedisLimits;
use tests::{Installation, bodies, wait_until};

/// Taken while Redis and PostgreSQL are down.
const TAKEN_BLIND: u64 = 10_000;

/// All of them are on the pages this soon after both have started.
const VISIBLE_LIMIT: Duration = Duration::from_secs(20);

/// Room for all of them: one project may have a quarter of a journal that is more than half full.
const JOURNAL_BYTES_MAX: u64 = 8 << 30;

/// How much a gateway may have on Redis where that is to be held back.
const WINDOW_BYTES: u64 = 2 << 20;

/// How long workers stand still: gateways look after five seconds whether Redis still has what it was sent, again and again.
const STANDSTILL: Duration = Duration::from_secs(if cfg!(debug_assertions) { 20 } else { 60 });

/// The memory of the small Redis.
const REDIS_MB: u32 = 64;

#[tokio::test(flavor = "multi_thread")]
async fn notices_are_taken_with_redis_and_postgres_down_and_seen_soon_after_they_start() {
    let mut croak = Installation::with_private_servers(RedisLimits::default()).await;
    croak.start_all().await;
    croak.redis.as_mut().expect("its own").kill();
    croak.postgres.as_mut().expect("its own").kill();

    let half = TAKEN_BLIND / 2;
    let mut ledger = send_all(croak.gateway_address(), half, varied).await;
    assert_eq!(ledger.accepted.len() as u64, half, "before its restart: {:?}", ledger.refused);
    // It also starts with both down, from what it has on disk.
    let gateway = croak.gateway.as_mut().expect("it runs");
    gateway.process.kill();
    gateway.start_again();
    gateway.ready().await;
    let after = send_all(croak.gateway_address(), half, varied).await;
    assert_eq!(after.accepted.len() as u64, half, "after its restart: {:?}", after.refused);
    ledger.accepted.extend(after.accepted);

    croak.postgres.as_mut().expect("its own").start_again().await;
    croak.redis.as_mut().expect("its own").start_again().await;
    let started_at = Instant::now();
    let api = croak.api();
    wait_until("all are on the pages", VISIBLE_LIMIT, async || {
        let (status, project) = api.get("/projects/1").await.ok()?;
        (status == 200 && project["notice_count"].as_u64() >= Some(TAKEN_BLIND)).then_some(())
    })
    .await;
    println!(
        "{TAKEN_BLIND} notices taken with both down, seen {} ms after both started",
        started_at.elapsed().as_millis()
    );
    assert_stored_once(&croak, &ledger.accepted).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn i11_a_full_redis_with_stopped_workers_costs_nothing_and_drains() {
    let count = std::env::var("CROAK_TEST_OUTAGE_NOTICES")
        .map_or(if is_debug() { 14_000 } else { 100_000 }, |count| count.parse().expect("a number of notices"));
    let mut croak = Installation::with_private_servers(RedisLimits { memory_mb: REDIS_MB }).await;
    croak.settings.push(("CROAK_JOURNAL_BYTES_MAX", JOURNAL_BYTES_MAX.to_string()));
    croak.start_worker(ALL_ROLES).await;
    croak.start_gateway().await;
    croak.workers[0].stop().await;

    let ledger = send_all(croak.gateway_address(), count, incompressible).await;
    assert_eq!(ledger.accepted.len() as u64, count, "{:?}", ledger.refused);
    let redis = croak.redis.as_ref().expect("its own");
    let used = wait_until("Redis is full", Duration::from_secs(20), async || {
        let used = redis.memory_used_bytes().await;
        (used > u64::from(REDIS_MB - 2) << 20).then_some(used)
    })
    .await;
    println!("{count} notices taken, Redis holds {} of {REDIS_MB} MB", used >> 20);

    let started_at = Instant::now();
    croak.start_worker(ALL_ROLES).await;
    croak.drained(i64::try_from(count).expect("a count"), Duration::from_secs(120)).await;
    println!("drained in {} ms", started_at.elapsed().as_millis());
    assert_stored_once(&croak, &ledger.accepted).await;
    croak.croak(&["audit"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn i12_with_stopped_workers_redis_is_sent_nothing_twice() {
    let mut croak = Installation::with_private_servers(RedisLimits::default()).await;
    croak.settings.push(("CROAK_SHIP_WINDOW_BYTES", WINDOW_BYTES.to_string()));
    croak.start_worker(ALL_ROLES).await;
    croak.start_gateway().await;
    croak.workers[0].stop().await;
    // More than fits into the window.
    let ledger = send_all(croak.gateway_address(), WINDOW_BYTES / 2_000, incompressible).await;

    let redis = croak.redis.as_ref().expect("its own");
    let in_window = wait_until("the window is full", Duration::from_secs(30), async || {
        let before = redis.entries_added().await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        (before > 0 && redis.entries_added().await == before).then_some(before)
    })
    .await;
    assert!(in_window < ledger.accepted.len() as u64, "{in_window} entries: the window holds back the rest");
    tokio::time::sleep(STANDSTILL).await;
    let added = redis.entries_added().await;
    println!("{} accepted, {in_window} in the window, {added} sent in {STANDSTILL:?}", ledger.accepted.len());
    assert!(added * 100 <= in_window * 101, "{added} entries were sent for the {in_window} of the window");

    croak.workers[0].start_again();
    croak.drained(i64::try_from(ledger.accepted.len()).expect("a count"), Duration::from_secs(120)).await;
    assert_stored_once(&croak, &ledger.accepted).await;
}

/// Many groups, so that all lanes of the project have something.
fn varied(n: u64) -> Vec<u8> {
    XmlNotice { class: format!("Failure{}", n % 97), user: (n % 500).to_string(), ..XmlNotice::default() }.request()
}

/// The same with 4 KB that no compression makes smaller than half.
fn incompressible(n: u64) -> Vec<u8> {
    let noise: String = (0..8_000).map(|_| char::from(rand::random_range(b'a'..=b'z'))).collect();
    let words: Vec<_> = noise.as_bytes().chunks(200).map(|word| String::from_utf8_lossy(word).into_owned()).collect();
    let message = words.join(" ");
    XmlNotice { class: format!("Failure{}", n % 97), user: message, ..XmlNotice::default() }.request()
}

async fn assert_stored_once(croak: &Installation, accepted: &[uuid::Uuid]) {
    let copies = bodies::copies(&croak.pool()).await;
    let missing = accepted.iter().filter(|id| !copies.contains_key(id)).count();
    let doubled = copies.values().filter(|copies| **copies > 1).count();
    assert_eq!((missing, doubled, copies.len()), (0, 0, accepted.len()), "missing, doubled, stored");
}
