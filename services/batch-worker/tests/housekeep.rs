//! What goes by itself: partitions, roll-ups, retention, deleted projects, and the news that gateways wait for.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::time::{Duration, Instant};

use store::Writer;
use store::housekeeper::{Housekeeper, Turn};
use support::{Bench, notice, now_us, record_at};
use uuid::Uuid;

const LANE: u16 = 5;
const DAY_US: i64 = 86_400_000_000;

/// Two projects with one notice on each of the last six days.
async fn six_days() -> (Bench, Housekeeper) {
    let bench = Bench::new().await;
    bench.run("insert into project (id, slug, name) values (2, 'brief', 'Brief')").await;
    bench.run("select partition_ensure((now() at time zone 'utc')::date - d) from generate_series(0, 6) d").await;
    let mut records = Vec::new();
    for day in 0..6 {
        for project_id in [1, 2] {
            let seq = records.len() as u64 + 1;
            let mut record = record_at(LANE, seq, now_us() - day * DAY_US, &notice("Timeout"));
            record.project_id = project_id;
            records.push(record);
        }
    }
    bench.ship_all(Uuid::now_v7(), 1, &records).await;
    let worker = bench.worker("fold").await;
    bench.drained(LANE).await;
    worker.stop().await;
    assert_eq!(bench.number("select sum(notice_count)::bigint from grp").await, 12);
    let writer = Writer::connect(&bench.worker_url()).await.unwrap();
    let housekeeper = writer.housekeeper().await.unwrap().unwrap();
    (bench, housekeeper)
}

#[tokio::test]
async fn minutes_become_hours_and_nothing_is_lost() {
    let (bench, mut housekeeper) = six_days().await;
    assert_eq!(housekeeper.roll_up_minutes(Turn::WHOLE).await.unwrap().count, 4);
    assert_eq!(bench.number("select sum(notice_count)::bigint from fingerprint_minute").await, 6);
    assert_eq!(bench.number("select sum(notice_count)::bigint from fingerprint_hour").await, 6);
    assert_eq!(housekeeper.roll_up_minutes(Turn::WHOLE).await.unwrap().count, 0);
    bench.audit().await;
}

#[tokio::test]
async fn bodies_go_by_their_projects_retention_and_the_counts_stay() {
    let (bench, mut housekeeper) = six_days().await;
    bench
        .run("update project set retention_days = 4 where id = 1; update project set retention_days = 1 where id = 2")
        .await;
    // As it was until a moment ago, for a day.
    bench.run("update project set kept_before_days = 90, kept_before_until = now() + interval '1 day'").await;
    assert_eq!(housekeeper.expire(Turn::WHOLE).await.unwrap().notices, 0);
    bench.run("update project set kept_before_until = now()").await;
    let expired = housekeeper.expire(Turn::WHOLE).await.unwrap();
    assert_eq!(expired.notices, 1 + 1 + 3);
    assert_eq!(bench.number("select sum(notice_count)::bigint from chunk where project_id = 1").await, 5);
    assert_eq!(bench.number("select sum(notice_count)::bigint from chunk where project_id = 2").await, 2);
    assert_eq!(bench.number("select sum(notice_count)::bigint from expired").await, 5);
    assert_eq!(bench.number("select sum(notice_count)::bigint from grp").await, 12);
    bench.audit().await;
    assert_eq!(housekeeper.expire(Turn::WHOLE).await.unwrap().notices, 0);
}

#[tokio::test]
async fn a_deleted_project_goes_with_all_that_it_had() {
    let (bench, mut housekeeper) = six_days().await;
    bench.run("insert into project_key (key, project_id) values ('a1b2c3d4e5f6', 2); update project set deleted_at = now() - interval '1 hour' where id = 2").await;
    assert!(housekeeper.sweep_deleted_projects(Turn::WHOLE).await.unwrap().count > 0);
    let left = "select (select count(*) from project where id = 2) + (select count(*) from project_key)
        + (select count(*) from chunk where project_id = 2) + (select count(*) from grp where project_id = 2)
        + (select count(*) from facet where project_id = 2) + (select count(*) from fingerprint_day where project_id = 2)";
    assert_eq!(bench.number(left).await, 0);
    assert_eq!(bench.number("select sum(notice_count)::bigint from grp").await, 6);
    bench.audit().await;
}

#[tokio::test]
async fn a_journal_that_is_long_gone_is_forgotten_and_the_sums_still_hold() {
    let (bench, mut housekeeper) = six_days().await;
    bench.run("update journal_cursor set updated_at = now() - interval '2 years'").await;
    housekeeper.sweep(Turn::WHOLE).await.unwrap();
    assert_eq!(bench.number("select count(*) from journal_cursor").await, 0);
    assert_eq!(bench.number("select forgotten_records from lane_state where lane = 5").await, 12);
    bench.audit().await;
}

#[tokio::test]
async fn one_keeps_house_at_a_time() {
    let bench = Bench::new().await;
    let writer = Writer::connect(&bench.worker_url()).await.unwrap();
    let first = writer.housekeeper().await.unwrap();
    assert!(first.is_some());
    assert!(writer.housekeeper().await.unwrap().is_none());
    drop(first);
    bench.until("the next one takes over", async || writer.housekeeper().await.unwrap().is_some()).await;
}

#[tokio::test]
async fn gateways_hear_of_a_new_project_within_a_second() {
    let bench = Bench::new().await;
    let worker = bench.worker("housekeep").await;
    let knows = async |project_id: u64| {
        let snapshot = bench.queue.get_snapshot().await.unwrap();
        snapshot.is_some_and(|snapshot| snapshot.projects.iter().any(|project| project.id == project_id))
    };
    bench.until("the first snapshot", async || knows(1).await).await;
    bench.run("insert into project (id, slug, name) values (9, 'new', 'New'); insert into project_key (key, project_id) values ('a1b2c3d4e5f6', 9)").await;
    let since = Instant::now();
    bench.until("the new project", async || knows(9).await).await;
    assert!(since.elapsed() < Duration::from_secs(1), "{:?}", since.elapsed());
    bench.forget("snapshot").await;
    bench.until("Redis knows it again", async || knows(9).await).await;
    worker.stop().await;
}

#[tokio::test]
async fn gateways_hear_of_a_new_project_while_a_large_one_is_taken_away() {
    let bench = Bench::new().await;
    bench
        .run(
            "insert into project (id, slug, name, deleted_at) values (2, 'large', 'Large', now() - interval '1 hour');
             insert into facet (project_id, fingerprint_id, key, value, notice_count, first_seen_at, last_seen_at)
             select 2, n, 'release', '1', 1, now(), now() from generate_series(1, 300000) n",
        )
        .await;
    let worker = bench.worker("housekeep").await;
    let left = "select count(*) from (select from facet limit 300000) f";
    bench.until("the large project is being taken away", async || bench.number(left).await < 300_000).await;
    bench.run("insert into project (id, slug, name) values (9, 'new', 'New'); insert into project_key (key, project_id) values ('a1b2c3d4e5f6', 9)").await;
    let since = Instant::now();
    bench
        .until("the new project", async || {
            let snapshot = bench.queue.get_snapshot().await.unwrap();
            snapshot.is_some_and(|snapshot| snapshot.projects.iter().any(|project| project.id == 9))
        })
        .await;
    assert!(since.elapsed() < Duration::from_secs(2), "{:?}", since.elapsed());
    assert!(bench.number("select count(*) from (select from facet limit 1) f").await > 0, "it was not large enough");
    worker.stop().await;
}

#[tokio::test]
async fn a_dump_at_midnight_keeps_nothing_waiting() {
    let bench = Bench::new().await;
    bench
        .run(
            "do $$ declare day text := to_char((now() at time zone 'utc')::date + 3, 'YYYYMMDD');
             begin execute 'drop table chunk_' || day || ', fingerprint_minute_' || day; end $$;
             select partition_ensure((now() at time zone 'utc')::date - 9);
             insert into grp (project_id, id, state, mute_until, first_seen_at, last_seen_at, last_seen_bucket)
             values (1, 7, 'muted', now(), now(), now(), 0);
             insert into command (id, actor_id, project_id, kind, args, status, at)
             values (gen_random_uuid(), 1, 1, 'x', '{}', 'done', now() - interval '40 days')",
        )
        .await;
    let mut dump = bench.database.pool.begin().await.unwrap();
    sqlx::raw_sql("lock table chunk, fingerprint_minute in access share mode").execute(&mut *dump).await.unwrap();
    let worker = bench.worker("housekeep").await;
    let days = "select count(*) from partition_days('chunk') d where d > (now() at time zone 'utc')::date + 2";
    bench.until("the day is there", async || bench.number(days).await == 1).await;
    bench
        .until("mutes have ended", async || {
            bench.number("select count(*) from grp where state = 'unresolved'").await == 1
        })
        .await;
    bench.until("what is old has gone", async || bench.number("select count(*) from command").await == 0).await;
    // The minutes that cannot be rolled up now are not tried again and again, with everybody else behind them.
    let waits = "select count(*) from pg_locks where not granted";
    let mut waited = 0;
    for _ in 0..100 {
        waited += bench.number(waits).await;
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    assert!(waited <= 10, "{waited}");
    dump.rollback().await.unwrap();
    worker.stop().await;
}

#[tokio::test]
async fn small_chunks_of_a_stretch_that_is_over_are_merged_while_the_rest_of_the_house_is_kept() {
    let bench = Bench::new().await;
    let journal = Uuid::now_v7();
    let stretch_us = store::chunk::SPAN_MS * 1_000;
    let from_us = (now_us() / stretch_us - 2) * stretch_us;
    let fold = bench.worker_with("fold", &["--batch-wait-ms", "0"]).await;
    for seq in 1..=20 {
        let at_us = from_us + i64::try_from(seq).unwrap() * 1_000_000;
        bench.ship(journal, 1, &record_at(LANE, seq, at_us, &notice("Timeout"))).await;
        bench.drained(LANE).await;
    }
    fold.stop().await;
    let chunk_count = "select count(*) from chunk";
    let written = bench.number(chunk_count).await;
    assert!(written > 10, "{written}");
    bench.run("update compaction set merged_until = now() - interval '40 minutes'").await;
    let version = "select snapshot_version from installation";
    let before = bench.number(version).await;

    let keeper = bench.worker_with("housekeep", &["--compact-after-s", "1"]).await;
    bench.until("the chunks are merged", async || bench.number(chunk_count).await == 1).await;
    let is_done = "select (merged_until > now() - interval '11 minutes')::int::bigint from compaction";
    bench.until("what is over is done", async || bench.number(is_done).await == 1).await;
    assert_eq!(bench.number(version).await, before, "gateways are told nothing new");
    keeper.stop().await;
    assert_eq!(bench.number("select notice_count::bigint from chunk").await, 20);
    bench.audit().await;
}

#[tokio::test]
async fn uploads_go_when_they_are_old_and_files_with_the_last_bundle_that_names_them() {
    let bench = Bench::new().await;
    let writer = Writer::connect(&bench.worker_url()).await.unwrap();
    let mut housekeeper = writer.housekeeper().await.unwrap().unwrap();
    bench
        .run(
            "insert into upload_chunk (organization_id, sha1, body, created_at)
             select 1, decode(repeat(n::text, 40), 'hex'), 'x', now() - n * interval '20 hours' from generate_series(1, 2) n;
             insert into artifact_blob (sha256, byte_count, codec, body, created_at)
             select decode(repeat(n::text, 64), 'hex'), 1, 0, 'x', now() - interval '100 days' from generate_series(1, 3) n;
             insert into artifact_bundle (sha1, project_id, debug_id_count, file_count, byte_count, uploaded_at)
             select decode(repeat(n::text, 40), 'hex'), 1, 0, 2, 2, now() - n * interval '50 days' from generate_series(1, 2) n;
             insert into artifact (bundle_id, project_id, kind, sha256, byte_count)
             select b.id, 1, 'source', decode(repeat(n::text, 64), 'hex'), 1
             from artifact_bundle b, generate_series(1, 3) n where n in (b.id, b.id + 1)",
        )
        .await;
    // A chunk, a bundle of a hundred days with its two files, and the file that only this one names.
    assert_eq!(housekeeper.expire_artifacts(90, Turn::WHOLE).await.unwrap().count, 1 + 2 + 1 + 1);
    assert_eq!(bench.number("select count(*) from upload_chunk").await, 1);
    assert_eq!(bench.number("select count(*) from artifact_bundle").await, 1);
    assert_eq!(bench.number("select count(*) from artifact").await, 2);
    assert_eq!(bench.number("select count(*) from artifact_blob").await, 2);
    assert_eq!(housekeeper.expire_artifacts(90, Turn::WHOLE).await.unwrap().count, 0);
    assert_eq!(housekeeper.expire_artifacts(40, Turn::WHOLE).await.unwrap().count, 2 + 1 + 2);
}
