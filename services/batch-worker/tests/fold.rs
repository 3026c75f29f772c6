//! From a lane to the tables: what role fold promises.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use support::{Bench, notice, other, record, record_at};
use uuid::Uuid;

#[tokio::test]
async fn a_notice_that_lies_in_a_lane_ends_in_a_group() {
    let bench = Bench::new().await;
    let worker = bench.worker("fold").await;
    let journal = Uuid::now_v7();
    bench.ship(journal, 1, &record(5, 1, &notice("NoMethodError"))).await;
    bench.drained(5).await;
    assert_eq!(bench.number("select notice_count from grp").await, 1);
    assert_eq!(bench.number("select sum(notice_count)::bigint from fingerprint_minute").await, 1);
    assert_eq!(bench.number("select sum(notice_count)::bigint from fingerprint_day").await, 1);
    assert_eq!(bench.number("select notice_count from project_tally where lane = 5").await, 1);
    assert_eq!(bench.number("select count(*) from facet where key = 'environment' and value = 'production'").await, 1);
    bench.audit().await;
    bench.until("the watermark is published", async || bench.watermark(5, journal).await == Some(1)).await;
    worker.stop().await;
    assert_eq!(bench.number("select count(*) from lane_state where not released").await, 0);
    assert_eq!(bench.number("select count(*) from worker").await, 0);
}

#[tokio::test]
async fn what_comes_twice_counts_once() {
    let bench = Bench::new().await;
    let worker = bench.worker("fold").await;
    let journal = Uuid::now_v7();
    let records: Vec<_> = (1..=50).map(|seq| record(5, seq, &notice("Timeout"))).collect();
    bench.ship_all(journal, 1, &records[10..40]).await;
    bench.ship_all(journal, 1, &records).await;
    bench.drained(5).await;
    bench.ship_all(journal, 1, &records[5..]).await;
    bench.drained(5).await;
    worker.stop().await;
    // Another worker reads the sets from the database.
    let worker = bench.worker("fold").await;
    bench.ship_all(journal, 1, &records[..20]).await;
    bench.drained(5).await;
    assert_eq!(bench.number("select notice_count from grp").await, 50);
    bench.audit().await;
    worker.stop().await;
}
