//! A notice to which its client gave an id counts once, however often it is sent, and is found by that id.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use journal::Record;
use notice::{Notice, NoticeId};
use store::housekeeper::Turn;
use store::reader::{Reader, Viewer};
use store::{Admin, Writer};
use support::{Bench, PROJECT, notice, now_us, record, record_at};
use uuid::Uuid;

const LANE: u16 = 5;

/// A notice of this error that its client calls so.
fn named(class: &str, client_id: &str) -> Notice {
    Notice { client_id: Some(client_id.to_owned()), ..notice(class) }
}

/// The id by which a reader finds the notice of a client's id.
async fn found(bench: &Bench, client_id: &str) -> Option<NoticeId> {
    let reader = Reader::connect(&bench.database.url).unwrap();
    let opened = reader.open(Viewer::Project(PROJECT as i64), PROJECT as i64).await.unwrap().unwrap();
    reader.named(&opened, client_id).await.unwrap()
}

fn id_of(record: &Record) -> NoticeId {
    NoticeId::from_bytes(record.id)
}

#[tokio::test]
async fn what_is_sent_again_counts_once_in_a_batch_in_later_ones_and_by_other_workers() {
    let bench = Bench::new().await;
    let worker = bench.worker("fold").await;
    let journal = Uuid::now_v7();
    let first: Vec<_> = (1..=20).map(|seq| record(LANE, seq, &named("Timeout", &format!("id-{}", seq % 10)))).collect();
    bench.ship_all(journal, 1, &first).await;
    bench.drained(LANE).await;
    assert_eq!(bench.number("select notice_count from grp").await, 10);

    let again: Vec<_> =
        (21..=40).map(|seq| record(LANE, seq, &named("Timeout", &format!("id-{}", seq - 21)))).collect();
    bench.ship_all(journal, 1, &again).await;
    bench.drained(LANE).await;
    assert_eq!(bench.number("select notice_count from grp").await, 20);
    worker.stop().await;

    // Another worker knows what is in the database.
    let worker = bench.worker("fold").await;
    let other_journal = Uuid::now_v7();
    let once_more: Vec<_> = (1..=30).map(|seq| record(LANE, seq, &named("Timeout", &format!("id-{seq}")))).collect();
    bench.ship_all(other_journal, 1, &once_more).await;
    bench.drained(LANE).await;
    worker.stop().await;
    assert_eq!(bench.number("select notice_count from grp").await, 31);
    assert_eq!(bench.number("select sum(repeat_records)::bigint from lane_state").await, 70 - 31);
    assert_eq!(bench.number("select sum(length(entries))::bigint from client_id_run").await, 31 * 16);
    bench.audit().await;
    assert_eq!(found(&bench, "id-15").await, Some(id_of(&again[15])), "it is the first that was stored");
    assert_eq!(found(&bench, "id-31").await, None);
}

#[tokio::test]
async fn what_is_sent_again_counts_once_in_whichever_lane_it_comes() {
    let bench = Bench::new().await;
    let worker = bench.worker("fold").await;
    let journal = Uuid::now_v7();
    for lane in [5, 6, 7] {
        let records: Vec<_> = (1..=20).map(|seq| record(lane, seq, &named("Timeout", &format!("id-{seq}")))).collect();
        bench.ship_all(journal, 1, &records).await;
        bench.drained(lane).await;
    }
    assert_eq!(bench.number("select notice_count from grp").await, 20);
    worker.stop().await;

    // Other lanes are made, and another worker has the new ones.
    Admin::connect(&bench.database.url).await.unwrap().reshard(32).await.unwrap();
    let worker = bench.worker("fold").await;
    let lanes: Vec<_> = Writer::connect(&bench.worker_url()).await.unwrap().lane_epochs().await.unwrap();
    bench.queue.learn_lanes(&lanes.iter().map(|epoch| epoch.lanes).collect::<Vec<_>>()).unwrap();
    let records: Vec<_> = (1..=30).map(|seq| record(70, seq, &named("Timeout", &format!("id-{seq}")))).collect();
    bench.ship_all(journal, 1, &records).await;
    bench.drained(70).await;
    worker.stop().await;
    assert_eq!(bench.number("select notice_count from grp").await, 30);
    assert_eq!(bench.number("select sum(repeat_records)::bigint from lane_state").await, 60);
    bench.audit().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_what_many_lanes_get_at_once_each_counts_once() {
    const LANES: std::ops::Range<u16> = 8..24;
    const NAMES: u64 = 3_000;
    let bench = Bench::new().await;
    let workers = [bench.worker("fold").await, bench.worker("fold").await];
    let journal = Uuid::now_v7();
    // The same names in every lane, in turns, so that batches of different lanes that are prepared at once share most of theirs.
    for names in (1..=NAMES).collect::<Vec<_>>().chunks(100) {
        for lane in LANES {
            let records: Vec<_> =
                names.iter().map(|seq| record(lane, *seq, &named("Timeout", &format!("id-{seq}")))).collect();
            bench.ship_all(journal, 1, &records).await;
        }
    }
    for lane in LANES {
        bench.drained(lane).await;
    }
    for worker in workers {
        worker.stop().await;
    }
    assert_eq!(bench.number("select notice_count from grp").await, NAMES as i64);
    let records = (NAMES * LANES.len() as u64) as i64;
    assert_eq!(bench.number("select sum(repeat_records)::bigint from lane_state").await, records - NAMES as i64);
    bench.audit().await;
}

#[tokio::test]
async fn other_projects_and_notices_without_an_id_are_not_repeats() {
    let bench = Bench::new().await;
    bench.run("insert into project (id, slug, name) values (2, 'other', 'Other')").await;
    let worker = bench.worker("fold").await;
    let journal = Uuid::now_v7();
    let mut records = vec![record(LANE, 1, &named("Timeout", "id")), record(LANE, 2, &named("Timeout", "id"))];
    records[1].project_id = 2;
    records.extend((3..=6).map(|seq| record(LANE, seq, &notice("Timeout"))));
    records.extend((7..=8).map(|seq| record(LANE, seq, &named("Timeout", ""))));
    bench.ship_all(journal, 1, &records).await;
    bench.drained(LANE).await;
    worker.stop().await;
    assert_eq!(bench.number("select sum(notice_count)::bigint from grp").await, 8);
    assert_eq!(bench.number("select sum(repeat_records)::bigint from lane_state").await, 0);
    bench.audit().await;
}

#[tokio::test]
async fn a_hash_alone_makes_no_repeat() {
    let bench = Bench::new().await;
    // Another notice of the same moment and lane, whose id has the same hash: nothing but the chunk tells them apart.
    let stored = record(LANE, 1, &named("Timeout", "one"));
    let mut entry = store::client_ids::hash(PROJECT as i64, "other").to_be_bytes().to_vec();
    entry.extend_from_slice(&stored.id[..8]);
    sqlx::query("insert into client_id_run (lane, project_id, at, entries) values ($1, 1, now(), $2)")
        .bind(i32::from(LANE))
        .bind(entry)
        .execute(&bench.database.pool)
        .await
        .unwrap();
    let worker = bench.worker("fold").await;
    let journal = Uuid::now_v7();
    bench.ship(journal, 1, &stored).await;
    bench.drained(LANE).await;
    bench.ship(journal, 1, &record(LANE, 2, &named("Timeout", "other"))).await;
    bench.drained(LANE).await;
    worker.stop().await;
    assert_eq!(bench.number("select notice_count from grp").await, 2);
    assert_eq!(found(&bench, "one").await, Some(id_of(&stored)));
    bench.audit().await;
}

#[tokio::test]
async fn a_batch_that_died_unsure_is_not_a_repeat_of_itself() {
    let bench = Bench::new().await;
    let journal = Uuid::now_v7();
    let records: Vec<_> = (1..=10).map(|seq| record(LANE, seq, &named("Timeout", &format!("id-{seq}")))).collect();
    bench.ship_all(journal, 1, &records).await;
    for _ in 0..3 {
        let worker = bench.worker("fold").await;
        bench.drained(LANE).await;
        worker.kill();
        bench.ship_all(journal, 1, &records).await;
    }
    assert_eq!(bench.number("select notice_count from grp").await, 10);
    assert_eq!(bench.number("select repeat_records from lane_state where lane = 5").await, 0);
    bench.audit().await;
}

#[tokio::test]
async fn a_notice_is_found_by_its_clients_id_when_housekeep_has_put_it_into_the_index() {
    let bench = Bench::new().await;
    let worker = bench.worker("fold").await;
    let journal = Uuid::now_v7();
    let hours_ago = |hours: i64| now_us() - hours * 3_600_000_000;
    let records: Vec<_> = (1..=300)
        .map(|seq| record_at(LANE, seq, hours_ago(2 + seq as i64 % 40), &named("Timeout", &format!("{seq:032x}"))))
        .collect();
    bench.ship_all(journal, 1, &records).await;
    bench.drained(LANE).await;
    assert_eq!(found(&bench, &format!("{:032x}", 77)).await, Some(id_of(&records[76])));
    worker.stop().await;

    let writer = store::Writer::connect(&bench.worker_url()).await.unwrap();
    let mut housekeeper = writer.housekeeper().await.unwrap().unwrap();
    // The run is as old as its newest notice.
    assert_eq!(housekeeper.index_client_ids(Turn::WHOLE).await.unwrap().count, 300);
    assert_eq!(housekeeper.index_client_ids(Turn::WHOLE).await.unwrap().count, 0);
    assert_eq!(bench.number("select sum(length(entries))::bigint from client_id_index").await, 300 * 16);
    bench.run("update client_id_run set at = at - interval '60 hours'").await;
    housekeeper.sweep(Turn::WHOLE).await.unwrap();
    assert_eq!(bench.number("select count(*) from client_id_run").await, 0);
    for record in records.iter().step_by(7) {
        let id = id_of(record);
        let name = format!("{:032x}", record.seq);
        assert_eq!(found(&bench, &name).await, Some(id), "{name}");
        let dashed = Uuid::parse_str(&name).unwrap().hyphenated().to_string().to_uppercase();
        assert_eq!(found(&bench, &dashed).await, Some(id), "{dashed}");
    }
    assert_eq!(found(&bench, &format!("{:032x}", 301)).await, None);

    // What is older than the notices are kept goes.
    bench.run("update project set retention_days = 1").await;
    housekeeper.sweep(Turn::WHOLE).await.unwrap();
    let old =
        bench.number("select count(*) from client_id_index where day < (now() at time zone 'utc')::date - 1").await;
    assert_eq!(old, 0);
}
