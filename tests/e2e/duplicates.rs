//! A flood of duplicates costs next to nothing, and every single one can be read back.
//!
//! `CROAK_TEST_DUPLICATES` is how many (default 100,000; 20,000 in a debug build).

use std::collections::HashSet;
use std::time::{Duration, Instant};

use sqlx::{PgPool, Row};
use tests::Installation;
use tests::load::send_all;
use tests::programs::is_debug;
use tests::samples::XmlNotice;
use uuid::Uuid;

/// Bytes of one notice on the wire.
const NOTICE_BYTES: usize = 4096;

/// Statements for 1,000 duplicates.
const STATEMENTS_PER_THOUSAND: u64 = 5;

/// What is proved in full.
const FULL_COUNT: u64 = 100_000;

/// Bytes in the database for one duplicate, indexes included.
const BYTES_EACH: u64 = 200;

/// Single notices read back.
const READ_BACK: usize = 1_000;

/// Of these reads, 95 in 100 take no longer than this (measured in a release build only).
const READ_LIMIT: Duration = Duration::from_millis(20);

#[tokio::test(flavor = "multi_thread")]
async fn duplicates_fold_into_few_statements_and_few_bytes_and_are_all_there() {
    let count = std::env::var("CROAK_TEST_DUPLICATES")
        .map_or(if is_debug() { 20_000 } else { FULL_COUNT }, |count| count.parse().expect("a number of notices"));
    let mut croak = Installation::new().await;
    croak.start_worker("housekeep").await;
    croak.start_gateway().await;
    croak.start_web().await;
    let pool = croak.pool();
    sqlx::raw_sql("create extension if not exists pg_stat_statements")
        .execute(&pool)
        .await
        .expect("the extension is there");

    let size = duplicate(0).len();
    assert!(size.abs_diff(NOTICE_BYTES) < 300, "a notice has {size} bytes");
    let ledger = send_all(croak.gateway_address(), count, duplicate).await;
    assert_eq!(ledger.accepted.len() as u64, count, "{:?}", ledger.refused);

    // From here on only the fold acts as a worker, and only what it runs is counted.
    croak.workers[0].stop().await;
    sqlx::raw_sql(
        "select pg_stat_statements_reset(0, (select oid from pg_database where datname = current_database()), 0)",
    )
    .execute(&pool)
    .await
    .expect("statistics can be reset");
    let bytes_before = bytes_used(&pool).await;
    let started_at = Instant::now();
    croak.start_worker("fold").await;
    croak.drained(i64::try_from(count).expect("a count"), Duration::from_secs(120)).await;
    let took = started_at.elapsed();
    let statements = statements_of_the_fold(&pool).await;
    let bytes = bytes_used(&pool).await - bytes_before;
    let total: u64 = statements.iter().map(|(_, calls)| calls).sum();
    println!(
        "{count} duplicates folded in {} ms: {total} statements, {bytes} bytes, {} bytes each",
        took.as_millis(),
        bytes / count
    );
    for (query, calls) in &statements {
        println!("  {calls:6} {query}");
    }
    assert!(total <= STATEMENTS_PER_THOUSAND * count / 1_000, "{total} statements");
    assert!(bytes <= BYTES_EACH * count, "{bytes} bytes");

    every_one_is_listed(&croak, &ledger.accepted).await;
    some_are_read_back(&croak, &ledger.accepted).await;
    croak.croak(&["audit"]);
}

/// The same error again, with what differs from one occurrence to the next: user, a parameter, request id (in the padding's place) and time.
fn duplicate(n: u64) -> Vec<u8> {
    XmlNotice { user: (n * 7919 % 100_003).to_string(), padding_bytes: 2_500, ..XmlNotice::default() }.request()
}

async fn every_one_is_listed(croak: &Installation, accepted: &[Uuid]) {
    let api = croak.api();
    let groups = api.all("/projects/1/groups").await;
    assert_eq!(groups.len(), 1, "they are one group");
    assert_eq!(groups[0]["notice_count"].as_u64(), Some(accepted.len() as u64));
    let group = groups[0]["id"].as_str().expect("an id");
    let listed: Vec<Uuid> = api
        .all(&format!("/projects/1/groups/{group}/notices"))
        .await
        .iter()
        .map(|notice| notice["id"].as_str().and_then(|id| id.parse().ok()).expect("an id"))
        .collect();
    assert_eq!(listed.len(), accepted.len(), "the list has as many as were accepted");
    assert_eq!(
        listed.iter().collect::<HashSet<_>>(),
        accepted.iter().collect::<HashSet<_>>(),
        "the list has exactly those"
    );
    assert!(listed.windows(2).all(|two| two[0] > two[1]), "newest first");
}

async fn some_are_read_back(croak: &Installation, accepted: &[Uuid]) {
    let api = croak.api();
    let mut times = Vec::with_capacity(READ_BACK);
    for _ in 0..READ_BACK {
        let id = accepted[rand::random_range(0..accepted.len())];
        let started_at = Instant::now();
        let notice = api.read(&format!("/projects/1/notices/{id}")).await;
        times.push(started_at.elapsed());
        assert_eq!(notice["id"].as_str(), Some(id.to_string().as_str()));
    }
    times.sort();
    let p95 = times[READ_BACK * 95 / 100];
    println!("{READ_BACK} single notices read back: p50 {:?}, p95 {p95:?}", times[READ_BACK / 2]);
    if !is_debug() {
        assert!(p95 <= READ_LIMIT, "p95 is {p95:?}");
    }
}

/// What the fold ran, without the frame of transactions and without the renewal of leases.
async fn statements_of_the_fold(pool: &PgPool) -> Vec<(String, u64)> {
    let rows = sqlx::query(
        "select query, calls from pg_stat_statements
         where dbid = (select oid from pg_database where datname = current_database())
           and userid = 'croak_worker'::regrole
           and query !~* '^\\s*(begin|commit|rollback|set|start|show|discard|deallocate)'
           and query !~ 'A sign of life of one worker|All idle lanes of one owner at once'
         order by calls desc",
    )
    .fetch_all(pool)
    .await
    .expect("statements can be read");
    rows.iter()
        .map(|row| {
            (
                row.get::<String, _>("query")
                    .split_whitespace()
                    .collect::<Vec<_>>()
                    .join(" ")
                    .chars()
                    .take(120)
                    .collect(),
                row.get::<i64, _>("calls").unsigned_abs(),
            )
        })
        .collect()
}

/// Tables of the database with their indexes.
async fn bytes_used(pool: &PgPool) -> u64 {
    let bytes: i64 = sqlx::query_scalar(
        "select sum(pg_total_relation_size(c.oid))::bigint from pg_class c join pg_namespace n on n.oid = c.relnamespace
         where n.nspname = 'public' and c.relkind in ('r', 'm')",
    )
    .fetch_one(pool)
    .await
    .expect("sizes can be read");
    bytes.unsigned_abs()
}
