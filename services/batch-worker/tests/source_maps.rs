//! Minified frames are grouped by what source maps say of them.

#[path = "../../../crates/store/tests/artifacts/mod.rs"]
mod artifacts;
mod support;

use artifacts::{DEBUG_ID, File, files, thrown, upload, with_debug_id};
use support::{Bench, notice, record};
use uuid::Uuid;

const LANE: u16 = 5;

const RESOLVED: &str = "select count(*) from grp_text where culprit = 'src/cart.js in chargeCard'";

#[tokio::test]
async fn two_builds_of_the_same_code_are_one_group() {
    let bench = Bench::new().await;
    upload(&bench.database.pool, Some("1"), None, &files("esbuild-one", None)).await;
    upload(&bench.database.pool, Some("2"), Some("7"), &files("esbuild-two", None)).await;
    upload(&bench.database.pool, None, None, &files("terser", Some(DEBUG_ID))).await;
    let mut of_build_7 = thrown("esbuild-two", Some("2"));
    of_build_7.dist = Some("7".to_owned());
    let records = [
        record(LANE, 1, &thrown("esbuild-one", Some("1"))),
        record(LANE, 2, &of_build_7),
        record(LANE, 3, &with_debug_id(thrown("terser", None), DEBUG_ID)),
        record(LANE, 4, &thrown("esbuild-one", Some("1"))),
        record(LANE, 5, &notice("Timeout")),
    ];
    bench.ship_all(Uuid::now_v7(), 1, &records).await;
    let worker = bench.worker("fold").await;
    bench.drained(LANE).await;
    assert_eq!(bench.number(RESOLVED).await, 1);
    assert_eq!(bench.number("select count(*) from grp").await, 2);
    assert_eq!(bench.number("select max(notice_count) from grp").await, 4);
    let functions = "select count(*) from fingerprint where parts::text like '%src/main.js in onCheckout%'";
    assert_eq!(bench.number(functions).await, 1);
    bench.audit().await;
    worker.stop().await;
}

/// What was not known is looked for again when something was uploaded.
#[tokio::test]
async fn a_map_that_comes_late_holds_for_later_notices() {
    let bench = Bench::new().await;
    let worker = bench.worker("fold").await;
    let journal = Uuid::now_v7();
    bench.ship(journal, 1, &record(LANE, 1, &thrown("esbuild-one", Some("1")))).await;
    bench.drained(LANE).await;
    assert_eq!(bench.number(RESOLVED).await, 0);
    assert_eq!(bench.number("select notice_count from grp").await, 1);

    upload(&bench.database.pool, Some("1"), None, &files("esbuild-one", None)).await;
    let mut seq = 1;
    bench
        .until("the map is used", async || {
            seq += 1;
            bench.ship(journal, 1, &record(LANE, seq, &thrown("esbuild-one", Some("1")))).await;
            bench.drained(LANE).await;
            bench.number(RESOLVED).await == 1
        })
        .await;
    assert_eq!(bench.number("select count(*) from grp").await, 2);
    bench.audit().await;
    worker.stop().await;
}

#[tokio::test]
async fn a_bad_map_loses_no_notice() {
    let bench = Bench::new().await;
    let mut broken = files("esbuild-one", None);
    broken[1].bytes = b"<!doctype html>".to_vec();
    upload(&bench.database.pool, Some("1"), None, &broken).await;
    let mut damaged = files("esbuild-two", None);
    damaged[1].bytes.truncate(500);
    upload(&bench.database.pool, Some("2"), None, &damaged).await;
    let only_script: Vec<File> = files("terser", None).into_iter().take(1).collect();
    upload(&bench.database.pool, Some("3"), None, &only_script).await;
    let journal = Uuid::now_v7();
    let builds = [("esbuild-one", "1"), ("esbuild-two", "2"), ("terser", "3"), ("terser", "4")];
    let records: Vec<_> =
        (1..).zip(builds).map(|(seq, (build, release))| record(LANE, seq, &thrown(build, Some(release)))).collect();
    bench.ship_all(journal, 1, &records).await;
    let worker = bench.worker("fold").await;
    bench.drained(LANE).await;
    // As they came: terser's two are alike.
    assert_eq!(bench.number("select count(*) from grp").await, 3);
    assert_eq!(bench.number("select sum(notice_count)::bigint from grp").await, 4);
    assert_eq!(bench.number("select count(*) from dead_notice").await, 0);
    bench.audit().await;
    worker.stop().await;
}
