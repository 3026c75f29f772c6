//! Who may write for a lane, and what becomes of it when its owner dies.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use notice::Notice;
use store::batch::{Batch, Claim};
use store::{StoreError, Writer};
use support::{Bench, notice, record};
use uuid::Uuid;

const LANE: u16 = 7;

/// Longer than the database gives a lane to its owner.
const LEASE: Duration = Duration::from_millis(5_500);

async fn claim(writer: &Writer, owner: &str) -> Claim {
    writer.claim_again(owner, LANE).await.unwrap().unwrap().claim
}

#[tokio::test]
async fn i4_whoever_was_replaced_cannot_commit() {
    let bench = Bench::new().await;
    let writer = Writer::connect(&bench.worker_url()).await.unwrap();
    let old = claim(&writer, "a").await;
    assert!(writer.claim_again("b", LANE).await.unwrap().is_none(), "the lease holds");
    bench.run("update lane_state set lease_until = now() - interval '1 s'").await;
    let new = claim(&writer, "b").await;
    assert!(new.token > old.token);
    let refused = writer.commit(old, Arc::new(Batch::default())).await;
    assert!(matches!(refused, Err(StoreError::Fenced { lane: LANE })), "{refused:?}");
    writer.commit(new, Arc::new(Batch::default())).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn i7_a_published_watermark_is_never_ahead_of_the_committed_one() {
    let bench = Bench::new().await;
    let journal = Uuid::now_v7();
    // It takes what is there at once, so that there are many batches to be caught between.
    let at_once = ["--batch-wait-ms", "0"];
    let mut worker = bench.worker_with("fold", &at_once).await;
    let (mut seq, mut published_before) = (0, 0);
    for round in 0..60 {
        let records: Vec<_> = (1..=20).map(|n| record(LANE, seq + n, &notice("Timeout"))).collect();
        bench.ship_all(journal, 1, &records).await;
        seq += 20;
        // What is published was committed before: it is looked at first.
        for _ in 0..10 {
            let published = bench.watermark(LANE, journal).await.unwrap_or(0);
            let committed = bench.number("select coalesce(max(wm), 0)::bigint from journal_cursor").await;
            assert!(published <= committed.unsigned_abs(), "{published} is published, {committed} committed");
            published_before = published_before.max(published);
        }
        match round % 15 {
            // Its successor publishes what it finds in the database. One that is killed before it has done anything proves nothing.
            5 => {
                bench
                    .until("something more is published", async || {
                        let published = bench.watermark(LANE, journal).await;
                        published.is_some_and(|published| published > published_before || published == seq)
                    })
                    .await;
                worker.kill();
                bench.run("update lane_state set lease_until = now() - interval '1 s'").await;
                worker = bench.worker_with("fold", &at_once).await;
            }
            // A watermark that Redis has forgotten is published again.
            10 => bench.forget_watermarks(LANE).await,
            _ => {}
        }
    }
    assert!(published_before > 0);
    bench.until("all of them are published", async || bench.watermark(LANE, journal).await == Some(seq)).await;
    worker.stop().await;
    bench.audit().await;
}

#[tokio::test]
async fn only_an_owner_that_died_with_the_lane_in_hand_counts_as_an_attempt() {
    let bench = Bench::new().await;
    let writer = Writer::connect(&bench.worker_url()).await.unwrap();
    let expire = "update lane_state set lease_until = now() - interval '1 s'";
    let first = writer.claim_again("a", LANE).await.unwrap().unwrap();
    assert_eq!(first.attempts, 0);
    bench.run(expire).await;
    assert_eq!(writer.claim_again("a", LANE).await.unwrap().unwrap().attempts, 0);
    bench.run(expire).await;
    let second = writer.claim_again("b", LANE).await.unwrap().unwrap();
    assert_eq!(second.attempts, 1);
    writer.release_lanes(&[second.claim]).await.unwrap();
    let third = writer.claim_again("c", LANE).await.unwrap().unwrap();
    assert_eq!(third.attempts, 1);
    writer.commit(third.claim, Arc::new(Batch::default())).await.unwrap();
    assert_eq!(bench.number("select attempts::bigint from lane_state where lane = 7").await, 0);
}

#[tokio::test]
async fn workers_share_the_lanes_and_take_over_from_one_that_stops_or_dies() {
    let bench = Bench::new().await;
    // In one statement: lanes that one has given back and the other has not claimed yet would look like shared ones.
    let one_has_all = "select count(*) from (select owner from lane_state where not released and lease_until > now() \
                       group by owner having count(*) = 64) o";
    let two_share = "select count(*) from (select owner from lane_state where not released and lease_until > now() \
                     group by owner having count(*) = 32) o";
    let first = bench.worker("fold").await;
    bench.until("one worker holds all lanes", async || bench.number(one_has_all).await == 1).await;
    let second = bench.worker("fold").await;
    bench.until("two share", async || bench.number(two_share).await == 2).await;
    first.stop().await;
    bench.until("one holds all again", async || bench.number(one_has_all).await == 1).await;
    let journal = Uuid::now_v7();
    bench.ship(journal, 1, &record(LANE, 1, &notice("Timeout"))).await;
    bench.drained(LANE).await;
    second.stop().await;
    assert_eq!(bench.number("select count(*) from lane_state where attempts > 0").await, 0);
    bench.audit().await;
}

/// The database as it was before anything came in, as far as lanes are concerned.
const SET_BACK: &str = "delete from journal_cursor; update lane_state set notice_records = 0";

#[tokio::test]
async fn nothing_is_committed_on_top_of_commits_that_are_gone() {
    let bench = Bench::new().await;
    let worker = bench.worker("fold").await;
    let journal = Uuid::now_v7();
    let records: Vec<_> = (1..=30).map(|seq| record(LANE, seq, &notice("Timeout"))).collect();
    bench.ship_all(journal, 1, &records[..20]).await;
    bench.drained(LANE).await;
    bench.run(SET_BACK).await;
    // What follows must not make those before it look committed: the gateway sends them again, and they count.
    bench.ship_all(journal, 1, &records[20..]).await;
    bench
        .until("the rest is there", async || {
            bench.number("select notice_records from lane_state where lane = 7").await == 10
        })
        .await;
    bench.ship_all(journal, 1, &records).await;
    bench
        .until("all are there", async || {
            bench.number("select notice_records from lane_state where lane = 7").await == 30
        })
        .await;
    assert_eq!(bench.number("select wm from journal_cursor").await, 30);
    worker.stop().await;
}

#[tokio::test]
async fn a_lane_without_work_takes_back_the_watermark_of_commits_that_are_gone() {
    let bench = Bench::new().await;
    let worker = bench.worker("fold").await;
    let journal = Uuid::now_v7();
    bench.ship(journal, 1, &record(LANE, 1, &notice("Timeout"))).await;
    bench.until("the watermark is published", async || bench.watermark(LANE, journal).await == Some(1)).await;
    bench.run(SET_BACK).await;
    bench.until("it is taken back", async || bench.watermark(LANE, journal).await.is_none()).await;
    worker.stop().await;
}

#[tokio::test]
async fn i7_no_watermark_stays_ahead_of_a_standby_whose_leases_have_run_out() {
    let bench = Bench::new().await;
    let worker = bench.worker("fold").await;
    let journal = Uuid::now_v7();
    let idle = 8..64;
    for lane in 0..64 {
        bench.ship(journal, 1, &record(lane, 1, &notice("Timeout"))).await;
    }
    let ahead = async || {
        let mut ahead = Vec::new();
        for lane in idle.clone() {
            ahead.extend(bench.watermark(lane, journal).await.map(|_| lane));
        }
        ahead
    };
    bench.until("all watermarks are published", async || ahead().await.len() == idle.len()).await;
    bench
        .run(
            "delete from journal_cursor;
             update lane_state set notice_records = 0, lease_until = now() - interval '10 s';
             update lane_state set owner = 'other', token = token + 1, lease_until = now() + interval '3 s' where lane < 8",
        )
        .await;
    // Those of somebody else with work are let go at once, and the worker looks for others.
    for lane in 0..idle.start {
        bench.ship(journal, 1, &record(lane, 2, &notice("Timeout"))).await;
    }
    bench.until("they are taken back", async || ahead().await.is_empty()).await;
    // Longer than all are published again after, twice.
    let taken_back_at = Instant::now();
    while taken_back_at.elapsed() < Duration::from_secs(11) {
        assert_eq!(ahead().await, [0_u16; 0], "after {:?}", taken_back_at.elapsed());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    worker.stop().await;
}

#[tokio::test]
async fn a_lane_in_hand_is_not_claimed_a_second_time() {
    let bench = Bench::new().await;
    let worker = bench.worker("fold").await;
    let held = "select count(*) from lane_state where not released and lease_until > now()";
    bench.until("one worker holds all lanes", async || bench.number(held).await == 64).await;
    let tokens = "select sum(token)::bigint from lane_state where lane <> 7";
    let before = bench.number(tokens).await;
    // One lane is somebody else's for a while: the worker has room for another. The leases of its own are those of a standby that lagged.
    bench
        .run("update lane_state set owner = 'other', token = token + 1, lease_until = now() + interval '4 s' where lane = 7")
        .await;
    bench
        .until("the one is claimed", async || {
            bench.run("update lane_state set lease_until = now() - interval '1 s' where lane <> 7").await;
            bench.number("select count(*) from lane_state where lane = 7 and owner <> 'other'").await == 1
        })
        .await;
    assert_eq!(bench.number(tokens).await, before, "no other was claimed again");
    worker.stop().await;
}

#[tokio::test]
async fn whoever_cannot_know_whether_the_lane_is_still_its_own_publishes_nothing() {
    let bench = Bench::new().await;
    let worker = bench.worker("fold").await;
    let journal = Uuid::now_v7();
    bench.ship(journal, 1, &record(LANE, 1, &notice("Timeout"))).await;
    bench.until("the watermark is published", async || bench.watermark(LANE, journal).await == Some(1)).await;
    let mut silence = bench.database.pool.begin().await.unwrap();
    sqlx::raw_sql("lock table lane_state in access exclusive mode").execute(&mut *silence).await.unwrap();
    tokio::time::sleep(LEASE).await;
    bench.forget_watermarks(LANE).await;
    // Longer than all are published again after.
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(bench.watermark(LANE, journal).await, None);
    silence.rollback().await.unwrap();
    bench.until("it is published again", async || bench.watermark(LANE, journal).await == Some(1)).await;
    worker.stop().await;
}

#[tokio::test]
async fn a_lease_of_another_clock_keeps_nobody_out() {
    let bench = Bench::new().await;
    bench
        .run(
            "update lane_state set owner = 'dead', released = lane < 32, lease_until = now() + interval '1 hour';
             insert into worker (id, roles, version, alive_until) values ('dead', '{fold}', '0', now() + interval '1 hour')",
        )
        .await;
    let worker = bench.worker("fold").await;
    bench
        .until("all lanes are held", async || {
            bench.number("select count(*) from lane_state where owner <> 'dead' and not released").await == 64
        })
        .await;
    // A lane with work finds at once that it was set back, and is claimed again whatever its lease says.
    let journal = Uuid::now_v7();
    bench.ship(journal, 1, &record(LANE, 1, &notice("Timeout"))).await;
    bench.until("the watermark is published", async || bench.watermark(LANE, journal).await == Some(1)).await;
    bench
        .run(
            "delete from journal_cursor;
             update lane_state set notice_records = 0, lease_until = now() + interval '1 hour'",
        )
        .await;
    bench.ship(journal, 1, &record(LANE, 3, &notice("Timeout"))).await;
    bench.until("the watermark is taken back", async || bench.watermark(LANE, journal).await == Some(0)).await;
    worker.stop().await;
}

#[tokio::test]
async fn a_paused_worker_takes_back_the_watermark_of_commits_that_are_gone() {
    let bench = Bench::new().await;
    let worker = bench.worker("fold").await;
    let journal = Uuid::now_v7();
    bench.ship(journal, 1, &record(LANE, 1, &notice("Timeout"))).await;
    bench.until("the watermark is published", async || bench.watermark(LANE, journal).await == Some(1)).await;
    worker.pause(true).await;
    bench.run(SET_BACK).await;
    bench.until("it is taken back", async || bench.watermark(LANE, journal).await.is_none()).await;
    bench.ship(journal, 1, &record(LANE, 1, &notice("Timeout"))).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(bench.queue.depth(LANE).await.unwrap(), 1, "nothing is stored while it is paused");
    worker.pause(false).await;
    bench.drained(LANE).await;
    worker.stop().await;
}

#[tokio::test]
async fn a_release_that_the_database_has_lost_is_written_again() {
    let bench = Bench::new().await;
    let worker = bench.worker("fold").await;
    let journal = Uuid::now_v7();
    let of_release = Notice { release: Some("2.0".to_owned()), ..notice("Timeout") };
    let releases = "select count(*) from project_release where version = '2.0'";
    bench.ship(journal, 1, &record(LANE, 1, &of_release)).await;
    bench.until("the release is there", async || bench.number(releases).await == 1).await;
    bench.drained(LANE).await;
    bench
        .run(
            "delete from project_release;
             delete from journal_cursor; update lane_state set notice_records = 0",
        )
        .await;
    for seq in 1..=2 {
        bench.ship(journal, 1, &record(LANE, seq, &of_release)).await;
    }
    bench.until("it is there again", async || bench.number(releases).await == 1).await;
    worker.stop().await;
}

#[tokio::test]
async fn what_has_killed_many_owners_is_kept_unread() {
    let bench = Bench::new().await;
    let records: Vec<_> = (1..=3).map(|seq| record(LANE, seq, &notice("Deadly"))).collect();
    bench.ship_all(Uuid::now_v7(), 1, &records).await;
    bench
        .run("update lane_state set attempts = 7, owner = 'dead', released = false, lease_until = now() where lane = 7")
        .await;
    let worker = bench.worker("fold").await;
    bench.drained(LANE).await;
    // The first alone, unread. Its commit shows that the lane is alive: the others are read.
    assert_eq!(bench.number("select count(*) from dead_notice where reason = 'deadly' and seq = 1").await, 1);
    assert_eq!(bench.number("select notice_count from grp").await, 2);
    bench.audit().await;
    worker.stop().await;
}

#[tokio::test]
async fn an_empty_lane_does_not_collect_the_deaths_of_its_owners() {
    let bench = Bench::new().await;
    bench.run("update lane_state set attempts = 8, owner = 'dead', released = false, lease_until = now()").await;
    let worker = bench.worker("fold").await;
    let guilty = "select count(*) from lane_state where attempts > 0";
    bench.until("all lanes were found empty", async || bench.number(guilty).await == 0).await;
    bench.ship(Uuid::now_v7(), 1, &record(LANE, 1, &notice("Timeout"))).await;
    bench.drained(LANE).await;
    assert_eq!(bench.number("select count(*) from dead_notice").await, 0);
    assert_eq!(bench.number("select notice_count from grp").await, 1);
    bench.audit().await;
    worker.stop().await;
}

#[tokio::test]
async fn a_worker_refuses_the_keys_of_another_installation() {
    let bench = Bench::new().await;
    assert!(bench.queue.claim_install(&Uuid::new_v4()).await.unwrap());
    let ended = bench.worker("fold").await.ended().await;
    let error = format!("{:#}", ended.unwrap_err());
    assert!(error.contains("CROAK_QUEUE_PREFIX"), "{error}");
}
