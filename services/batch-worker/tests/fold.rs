//! From a lane to the tables: what role fold promises.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use notice::prost::Message as _;
use notice::{Snapshot, SnapshotDictionary};
use queue::body::{self, Dictionaries};
use support::{Bench, notice, now_us, other, record, record_at};
use uuid::Uuid;

const LANE: u16 = 5;

#[tokio::test]
async fn a_notice_that_lies_in_a_lane_ends_in_a_group() {
    let bench = Bench::new().await;
    let worker = bench.worker("fold").await;
    let journal = Uuid::now_v7();
    bench.ship(journal, 1, &record(LANE, 1, &notice("NoMethodError"))).await;
    bench.drained(LANE).await;
    assert_eq!(bench.number("select notice_count from grp").await, 1);
    assert_eq!(bench.number("select sum(notice_count)::bigint from fingerprint_minute").await, 1);
    assert_eq!(bench.number("select sum(notice_count)::bigint from fingerprint_day").await, 1);
    assert_eq!(bench.number("select notice_count from project_tally where lane = 5").await, 1);
    assert_eq!(bench.number("select count(*) from facet where key = 'environment' and value = 'production'").await, 1);
    bench.audit().await;
    bench.until("the watermark is published", async || bench.watermark(LANE, journal).await == Some(1)).await;
    worker.stop().await;
    assert_eq!(bench.number("select count(*) from lane_state where not released").await, 0);
    assert_eq!(bench.number("select count(*) from worker").await, 0);
}

#[tokio::test]
async fn what_comes_twice_counts_once() {
    let bench = Bench::new().await;
    let worker = bench.worker("fold").await;
    let journal = Uuid::now_v7();
    let records: Vec<_> = (1..=50).map(|seq| record(LANE, seq, &notice("Timeout"))).collect();
    bench.ship_all(journal, 1, &records[10..40]).await;
    bench.ship_all(journal, 1, &records).await;
    bench.drained(LANE).await;
    bench.ship_all(journal, 1, &records[5..]).await;
    bench.drained(LANE).await;
    worker.stop().await;
    // Another worker reads the sets from the database.
    let worker = bench.worker("fold").await;
    bench.ship_all(journal, 1, &records[..20]).await;
    bench.drained(LANE).await;
    assert_eq!(bench.number("select notice_count from grp").await, 50);
    bench.audit().await;
    worker.stop().await;
}

#[tokio::test]
async fn different_fold_keys_of_one_fingerprint_make_one_group_and_one_chunk() {
    let bench = Bench::new().await;
    let mut staging = notice("Timeout");
    staging.environment = Some("staging".to_owned());
    let records = [record(LANE, 1, &notice("Timeout")), record(LANE, 2, &staging)];
    assert_ne!(records[0].fold_key, records[1].fold_key);
    bench.ship_all(Uuid::now_v7(), 1, &records).await;
    let worker = bench.worker("fold").await;
    bench.drained(LANE).await;
    assert_eq!(bench.number("select count(*) from grp where notice_count = 2").await, 1);
    assert_eq!(bench.number("select count(*) from chunk where notice_count = 2").await, 1);
    assert_eq!(bench.number("select count(*) from facet where key = 'environment'").await, 2);
    bench.audit().await;
    worker.stop().await;
}

#[tokio::test]
async fn a_resolved_group_reopens_and_meets_its_rules_once() {
    let bench = Bench::new().await;
    let worker = bench.worker("fold").await;
    let journal = Uuid::now_v7();
    bench.ship(journal, 1, &record(LANE, 1, &notice("Timeout"))).await;
    bench.drained(LANE).await;
    assert_eq!(bench.number("select count(*) from alert where kind = 'group.new'").await, 1);
    let resolve = "update grp set state = 'resolved', version = 2, resolved_at = now() - interval '1 s'";
    bench.run(resolve).await;

    // Accepted before it was resolved: no news.
    bench.ship(journal, 1, &record_at(LANE, 2, now_us() - 3_600_000_000, &notice("Timeout"))).await;
    bench.drained(LANE).await;
    assert_eq!(bench.number("select count(*) from grp where state = 'resolved' and version = 2").await, 1);

    bench.ship(journal, 1, &record(LANE, 3, &notice("Timeout"))).await;
    bench.drained(LANE).await;
    assert_eq!(bench.number("select count(*) from grp where state = 'unresolved' and version = 3").await, 1);
    assert_eq!(bench.number("select count(*) from grp_history where kind = 'reopened' and actor_id is null").await, 1);
    assert_eq!(bench.number("select count(*) from alert where kind = 'group.reopened'").await, 1);

    bench.ship(journal, 1, &record(LANE, 4, &notice("Timeout"))).await;
    bench.drained(LANE).await;
    assert_eq!(bench.number("select count(*) from alert").await, 2);
    worker.stop().await;
}

#[tokio::test]
async fn values_of_a_facet_beyond_a_hundred_are_counted_as_other() {
    let bench = Bench::new().await;
    let tagged = |seq: u64| {
        let mut notice = notice("Timeout");
        notice.tags_json = Some(format!(r#"{{"tenant":"t{seq}"}}"#));
        record(LANE, seq, &notice)
    };
    let records: Vec<_> = (1..=250).map(tagged).collect();
    let journal = Uuid::now_v7();
    let worker = bench.worker("fold").await;
    bench.ship_all(journal, 1, &records[..60]).await;
    bench.drained(LANE).await;
    bench.ship_all(journal, 1, &records[60..]).await;
    bench.drained(LANE).await;
    let values = "select count(*) from facet where value like 't%' and not is_other and notice_count = 1";
    assert_eq!(bench.number(values).await, 100);
    assert_eq!(bench.number("select sum(notice_count)::bigint from facet where is_other").await, 150);
    assert_eq!(bench.number("select notice_count from facet where key = 'environment'").await, 250);
    worker.stop().await;
}

#[tokio::test]
async fn users_are_counted_once_however_often_they_meet_the_error() {
    let bench = Bench::new().await;
    let met = |seq: u64| {
        let mut notice = notice("Timeout");
        notice.user = Some(notice::User { id: Some(format!("u{}", seq % 30)), ..notice::User::default() });
        record(LANE, seq, &notice)
    };
    let records: Vec<_> = (1..=90).map(met).collect();
    let worker = bench.worker("fold").await;
    let journal = Uuid::now_v7();
    for part in records.chunks(40) {
        bench.ship_all(journal, 1, part).await;
        bench.drained(LANE).await;
    }
    assert_eq!(bench.number("select user_count::bigint from grp").await, 30);
    worker.stop().await;
}

#[tokio::test]
async fn one_notice_that_the_database_refuses_does_not_hold_up_the_others() {
    let bench = Bench::new().await;
    let poison = notice("No\0MethodError");
    let mut records: Vec<_> = (1..=300).map(|seq| record(LANE, seq, &notice(&format!("Error{}", seq % 7)))).collect();
    records[123] = record(LANE, 124, &poison);
    bench.ship_all(Uuid::now_v7(), 1, &records).await;
    let worker = bench.worker("fold").await;
    bench.drained(LANE).await;
    assert_eq!(bench.number("select sum(notice_count)::bigint from grp").await, 299);
    let dead = "select count(*) from dead_notice where seq = 124 and reason = 'refused_by_database'";
    assert_eq!(bench.number(dead).await, 1);
    assert_eq!(bench.number("select count(*) from dead_notice").await, 1);
    assert_eq!(bench.number("select wm from journal_cursor").await, 300);
    bench.audit().await;
    worker.stop().await;
}

#[tokio::test]
async fn i10_what_cannot_be_read_is_buried_with_the_reason() {
    let bench = Bench::new().await;
    let journal = Uuid::now_v7();
    let mut unknown_project = record(LANE, 1, &notice("Timeout"));
    unknown_project.project_id = 77;
    let mut bad_codec = record(LANE, 4, &notice("Timeout"));
    bad_codec.codec = 9;
    let bomb = other(LANE, 6, 1, &vec![0; 50_000_000]);
    let records = [
        unknown_project,
        other(LANE, 2, 200, b"?"),
        other(LANE, 3, 1, b"\xff\xff"),
        bad_codec,
        record(9, 5, &notice("x")),
        bomb,
    ];
    for record in &records {
        let fields: [(&str, &[u8]); 6] = [
            ("j", journal.to_string().as_bytes()),
            ("s", record.seq.to_string().as_bytes()),
            ("b", b"1"),
            ("h", b"6"),
            ("o", b"0"),
            ("p", &record.encode()),
        ]
        .map(|(name, value)| (name, Box::leak(value.to_vec().into_boxed_slice()) as &[u8]));
        bench.ship_fields(LANE, &fields).await;
    }
    bench.ship_fields(LANE, &[("hello", b"world")]).await;
    bench.ship_fields(LANE, &[("j", journal.to_string().as_bytes()), ("s", b"7"), ("b", b"1"), ("p", b"\0\x01")]).await;
    let worker = bench.worker("fold").await;
    bench.drained(LANE).await;
    let reasons: Vec<(i64, String)> =
        sqlx::query_as("select seq, reason from dead_notice where journal = $1 order by seq")
            .bind(journal)
            .fetch_all(&bench.database.pool)
            .await
            .unwrap();
    let expected = [
        (1, "unknown_project"),
        (2, "unknown_kind"),
        (3, "undecodable_body"),
        (4, "undecodable_body"),
        (5, "misplaced_record"),
        (6, "undecodable_body"),
        (7, "damaged_record"),
    ];
    assert_eq!(reasons, expected.map(|(seq, reason)| (seq, reason.to_owned())));
    assert_eq!(bench.number("select count(*) from dead_notice where reason = 'malformed_entry'").await, 1);
    bench.audit().await;
    worker.stop().await;
}

#[tokio::test]
async fn a_dead_record_that_is_good_now_lives() {
    let bench = Bench::new().await;
    let mut early = record(LANE, 1, &notice("Timeout"));
    early.project_id = 2;
    bench.ship_all(Uuid::now_v7(), 1, &[early, other(LANE, 2, 200, b"?")]).await;
    let worker = bench.worker("fold").await;
    bench.drained(LANE).await;
    assert_eq!(bench.number("select count(*) from dead_notice").await, 2);
    bench
        .run("insert into project (id, slug, name) values (2, 'late', 'Late'); update dead_notice set retry_at = now()")
        .await;
    bench
        .until("all were tried", async || {
            bench.number("select count(*) from dead_notice where retry_at is not null").await == 0
        })
        .await;
    assert_eq!(bench.number("select count(*) from dead_notice where reason = 'unknown_kind'").await, 1);
    assert_eq!(bench.number("select count(*) from dead_notice").await, 1);
    assert_eq!(bench.number("select notice_count from grp where project_id = 2").await, 1);
    bench.audit().await;
    worker.stop().await;
}

#[tokio::test]
async fn what_a_gateway_no_longer_has_is_an_incident_with_its_number() {
    let bench = Bench::new().await;
    let journal = Uuid::now_v7();
    bench.ship(journal, 1, &record(LANE, 2, &notice("Timeout"))).await;
    bench.ship(journal, 11, &record(LANE, 12, &notice("Timeout"))).await;
    let worker = bench.worker("fold").await;
    bench.drained(LANE).await;
    assert_eq!(bench.number("select record_count from incident where kind = 'declared_gone'").await, 9);
    assert_eq!(bench.number("select wm from journal_cursor").await, 10);
    assert_eq!(bench.number("select count(*) from journal_cursor where runs = '{12,12}'").await, 1);
    bench.audit().await;
    worker.stop().await;
}

#[tokio::test]
async fn deploys_refusals_and_statistics_are_kept() {
    let bench = Bench::new().await;
    let deploy = notice::Deploy {
        environment: Some("production".to_owned()),
        revision: Some("abc".to_owned()),
        email: Some("ada@example.com".to_owned()),
        ..notice::Deploy::default()
    };
    let line = |reason: &str, count| notice::LedgerLine { ending: 0, reason: reason.to_owned(), count };
    let ledger = notice::Ledger { lines: vec![line("rate", 7), line("rate", 2), line("malformed", 1)] };
    let stats = notice::Stats { kind: "routes-stats".to_owned(), json: r#"{"routes":[]}"#.to_owned() };
    let records = [
        other(LANE, 1, 2, &deploy.encode_to_vec()),
        other(LANE, 2, 3, &ledger.encode_to_vec()),
        other(LANE, 3, 4, &stats.encode_to_vec()),
    ];
    let journal = Uuid::now_v7();
    bench.ship_all(journal, 1, &records).await;
    bench.ship_all(journal, 1, &records).await;
    let worker = bench.worker("fold").await;
    bench.drained(LANE).await;
    assert_eq!(
        bench.number("select count(*) from deploy where revision = 'abc' and username = 'ada@example.com'").await,
        1
    );
    assert_eq!(bench.number("select record_count from ledger where reason = 'rate'").await, 9);
    assert_eq!(bench.number("select sum(record_count)::bigint from ledger").await, 10);
    assert_eq!(bench.number("select count(*) from stats_record where kind = 'routes-stats'").await, 1);
    bench.audit().await;
    worker.stop().await;
}

#[tokio::test]
async fn times_that_no_partition_holds_are_counted_at_the_nearest_day() {
    let bench = Bench::new().await;
    let day_us = 86_400_000_000;
    let records = [
        record_at(LANE, 1, now_us() - 400 * day_us, &notice("Timeout")),
        record_at(LANE, 2, now_us() + 400 * day_us, &notice("Timeout")),
        record_at(LANE, 3, now_us(), &notice("Timeout")),
        record_at(LANE, 4, i64::MAX, &notice("Timeout")),
    ];
    bench.ship_all(Uuid::now_v7(), 1, &records).await;
    // Minutes of the oldest day are gone already.
    bench.run("select minutes_roll_up((now() at time zone 'utc')::date - 2)").await;
    let worker = bench.worker("fold").await;
    bench.drained(LANE).await;
    assert_eq!(bench.number("select count(*) from dead_notice").await, 0);
    assert_eq!(bench.number("select notice_count from grp").await, 4);
    assert_eq!(bench.number("select count(*) from fingerprint_day").await, 3);
    assert_eq!(bench.number("select notice_count::bigint from fingerprint_hour").await, 1);
    bench.audit().await;
    worker.stop().await;
}

#[tokio::test]
async fn a_partition_that_goes_under_a_running_worker_holds_nothing_up() {
    let bench = Bench::new().await;
    let worker = bench.worker("fold").await;
    let journal = Uuid::now_v7();
    let old = || now_us() - 2 * 86_400_000_000;
    bench.ship(journal, 1, &record_at(LANE, 1, old(), &notice("Timeout"))).await;
    bench.drained(LANE).await;
    bench.run("select minutes_roll_up((now() at time zone 'utc')::date - 2)").await;
    bench.ship(journal, 1, &record_at(LANE, 2, old(), &notice("Timeout"))).await;
    bench.drained(LANE).await;
    assert_eq!(bench.number("select sum(notice_count)::bigint from fingerprint_hour").await, 2);
    assert_eq!(bench.number("select count(*) from dead_notice").await, 0);
    bench.audit().await;
    worker.stop().await;
}

#[tokio::test]
async fn duplicates_that_wait_take_five_statements_a_thousand_and_little_room() {
    const COUNT: u64 = 20_000;
    let bench = Bench::new().await;
    bench.run("create extension pg_stat_statements").await;
    let padding = "what every notice of this kind says. ".repeat(100);
    let duplicate = |seq: u64| {
        let mut notice = notice("Timeout");
        notice.extra_json = Some(format!(r#"{{"request":"{:032x}","said":"{padding}"}}"#, rand::random::<u128>()));
        record(LANE, seq, &notice)
    };
    let records: Vec<_> = (1..=COUNT).map(duplicate).collect();
    bench.ship_all(Uuid::now_v7(), 1, &records).await;
    let room = "select sum(pg_total_relation_size(oid))::bigint from pg_class
                where relkind = 'r' and relnamespace = 'public'::regnamespace";
    let room_before = bench.number(room).await;
    let worker = bench.worker("fold").await;
    bench.drained(LANE).await;
    assert_eq!(bench.number("select notice_count from grp").await, i64::try_from(COUNT).unwrap());
    // As they are promised: without the frame of transactions, and without leases and signs of life.
    let statements = bench
        .number(
            "select sum(s.calls)::bigint from pg_stat_statements s join pg_database d on d.oid = s.dbid
             where d.datname = current_database()
               and s.query !~* '^ *(begin|commit|rollback|set|create|select sum|with idle|with me|-- all idle|-- a sign)'",
        )
        .await;
    assert!(statements <= 100, "{statements} statements");
    let bytes = bench.number(room).await - room_before;
    assert!(bytes <= 200 * i64::try_from(COUNT).unwrap(), "{bytes} bytes");
    bench.audit().await;
    worker.stop().await;
}

#[tokio::test]
async fn a_dictionary_that_the_database_has_lost_is_put_back_before_what_names_it_is_read() {
    const CODEC: u16 = 7;
    let bench = Bench::new().await;
    let bodies: Vec<Vec<u8>> = (0..300).map(|n| notice(&format!("Timeout{n}")).encode_to_vec()).collect();
    let bytes = body::train(&bodies).unwrap();
    let dictionary = Dictionaries::default().learn(CODEC, &bytes).unwrap();
    let published = SnapshotDictionary { codec: CODEC.into(), bytes };
    bench
        .queue
        .put_snapshot(&Snapshot { version: 1, dictionary: Some(published), ..Snapshot::default() })
        .await
        .unwrap();
    let mut packed = record(LANE, 1, &notice("Timeout"));
    packed.codec = CODEC;
    packed.body = dictionary.compress(&notice("Timeout").encode_to_vec());
    bench.ship(Uuid::now_v7(), 1, &packed).await;

    let worker = bench.worker("fold").await;
    bench.drained(LANE).await;
    assert_eq!(bench.number("select count(*) from dead_notice").await, 0);
    assert_eq!(bench.number("select notice_count from grp").await, 1);
    assert_eq!(bench.number("select codec::bigint from dictionary").await, i64::from(CODEC));
    bench.audit().await;
    worker.stop().await;
}
