//! From the journal to Redis, whatever happens to Redis.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::time::{Duration, Instant};

use journal::{Draft, JournalOptions, Kind, Record};
use queue::{Entry, ShipperOptions};
use support::{Gateway, Redis, Worker, draft, queue, queue_at, until};
use tempfile::TempDir;

fn quick() -> ShipperOptions {
    ShipperOptions { stall_max: Duration::from_secs(1), ..ShipperOptions::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_appended_record_is_on_redis_at_once_and_acknowledged_after_the_commit() {
    let queue = queue();
    let gateway = Gateway::start(&queue);
    until("redis answers", async || gateway.status().is_connected).await;
    let mut waits = Vec::new();
    for id in 0..20 {
        let appended_at = Instant::now();
        gateway.append(7, id..id + 1, 1000).await;
        while queue.depth(7).await.unwrap() <= id {
            tokio::task::yield_now().await;
        }
        waits.push(appended_at.elapsed());
    }
    waits.sort();
    assert!(waits[10] < Duration::from_millis(100), "{waits:?}");

    let [Entry::Shipped(first), ..] = &queue.read(7, None, 1).await.unwrap()[..] else { panic!("no entry") };
    assert_eq!(
        (first.journal, first.seq, first.base, first.oldest_unacked_at_us),
        (gateway.journal.id(), 1, 1, 1_000_000)
    );
    assert!(gateway.journal.unacked_bytes() > 0);
    let mut worker = Worker::new(&queue);
    worker.work_until(&[7], 20).await;
    until("all is acknowledged", async || gateway.journal.unacked_bytes() == 0).await;
    until("nothing is on its way", async || gateway.status().outstanding_bytes == 0).await;
    assert_eq!((worker.sorted_ids(), worker.repeated), ((0..20).collect(), 0));
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_earlier_process_left_is_sent() {
    let (queue, nowhere) = (queue(), queue_at("redis://127.0.0.1:1"));
    let mut dir = TempDir::new().unwrap();
    for run in 0..3 {
        let gateway = Gateway::start_with(dir, &nowhere, quick());
        for lane in 0..3 {
            gateway
                .append(lane, run * 1000 + u64::from(lane) * 100..run * 1000 + u64::from(lane) * 100 + 50, 500)
                .await;
        }
        dir = gateway.stop().await;
    }
    let gateway = Gateway::start_with(dir, &queue, quick());
    let mut worker = Worker::new(&queue);
    worker.work_until(&[0, 1, 2], 450).await;
    tokio::time::timeout(Duration::from_secs(10), gateway.shipper.drain()).await.unwrap();
    let expected: Vec<u64> = (0..3)
        .flat_map(|run| (0..3).flat_map(move |lane| run * 1000 + lane * 100..run * 1000 + lane * 100 + 50))
        .collect();
    assert_eq!((worker.sorted_ids(), worker.repeated), (expected, 0));

    // Once committed, the next process does not send it again: it asks first.
    let dir = gateway.stop().await;
    let gateway = Gateway::start_with(dir, &queue, quick());
    until("it has asked", async || gateway.journal.unacked_bytes() == 0).await;
    assert_eq!((worker.step(0).await, gateway.status().sent_entries), (0, 0));
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i14_what_another_version_has_accepted_is_sent_as_it_was() {
    let (queue, nowhere) = (queue(), queue_at("redis://127.0.0.1:1"));
    let gateway = Gateway::start_with(TempDir::new().unwrap(), &nowhere, quick());
    let accepted: Vec<Draft> = (0..50)
        .map(|id| Draft { fold_key_version: 250, fold_key: [u8::try_from(id).unwrap(); 16], ..draft(9, id, 400) })
        .collect();
    gateway.journal.append(accepted.clone()).await.unwrap();
    // Its successor computes fold keys, lanes and ids by other rules. It uses them for what it accepts itself.
    let gateway = Gateway::start_with(gateway.stop().await, &queue, quick());
    gateway.append(9, 1_000..1_010, 400).await;
    until("they are sent", async || queue.depth(9).await.unwrap() == 60).await;

    let mut sent = Vec::new();
    for entry in queue.read(9, None, 100).await.unwrap() {
        let Entry::Shipped(shipped) = entry else { panic!("{entry:?}") };
        let record = Record::decode(&shipped.record).unwrap();
        if shipped.journal == gateway.journal.id() {
            continue;
        }
        sent.push(Draft {
            kind: Kind::from_u8(record.kind).unwrap(),
            codec: record.codec,
            lane: record.lane,
            project_id: record.project_id,
            fold_key_version: record.fold_key_version,
            fold_key: record.fold_key,
            accepted_at_us: record.accepted_at_us,
            id: record.id,
            body: record.body,
        });
    }
    assert_eq!(sent, accepted);
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_stopped_workers_nothing_is_sent_twice() {
    let queue = queue();
    let gateway = Gateway::start_with(TempDir::new().unwrap(), &queue, quick());
    gateway.append(3, 0..300, 500).await;
    until("it was probed often", async || gateway.status().probes_found >= 4).await;
    let status = gateway.status();
    assert_eq!(
        (queue.depth(3).await.unwrap(), status.sent_entries, status.resent_entries, status.probes_missing),
        (300, 300, 0, 0)
    );
    let mut worker = Worker::new(&queue);
    worker.work_until(&[3], 300).await;
    assert_eq!(worker.repeated, 0);
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_usual_patience_is_five_seconds() {
    let queue = queue();
    let gateway = Gateway::start(&queue);
    gateway.append(3, 0..10, 500).await;
    let sent_at = Instant::now();
    until("it is probed", async || gateway.status().probes_found > 0).await;
    assert!(sent_at.elapsed() > Duration::from_secs(4), "{:?}", sent_at.elapsed());
    assert_eq!(queue.depth(3).await.unwrap(), 10);
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_redis_has_forgotten_is_sent_again() {
    let redis = Redis::start(&[]).await;
    let queue = queue_at(&redis.url());
    let gateway = Gateway::start_with(TempDir::new().unwrap(), &queue, quick());
    let mut worker = Worker::new(&queue);
    worker.claim(1).await;
    gateway.append(1, 0..100, 500).await;
    worker.work_until(&[1], 100).await;
    gateway.append(1, 100..200, 500).await;
    until("they are there", async || queue.depth(1).await.unwrap() == 100).await;
    redis.command(&["FLUSHALL"]).await;
    worker.work_until(&[1], 200).await;
    assert_eq!(worker.sorted_ids(), (0..200).collect::<Vec<_>>());
    assert!(gateway.status().probes_missing >= 1);
    assert!((1..=200).contains(&gateway.status().resent_entries));
    until("all is acknowledged", async || {
        worker.step(1).await;
        gateway.journal.unacked_bytes() == 0
    })
    .await;
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_comes_back_empty_gets_everything_again() {
    let mut redis = Redis::start(&[]).await;
    let queue = queue_at(&redis.url());
    let gateway = Gateway::start(&queue);
    gateway.append(1, 0..100, 500).await;
    until("they are there", async || queue.depth(1).await.is_ok_and(|depth| depth == 100)).await;
    redis.kill();
    gateway.append(1, 100..150, 500).await;
    until("it is missed", async || !gateway.status().is_connected).await;
    redis.restart().await;
    let restarted_at = Instant::now();
    let mut worker = Worker::new(&queue);
    until("redis answers", async || queue.depth(1).await.is_ok()).await;
    worker.work_until(&[1], 150).await;
    assert!(restarted_at.elapsed() < Duration::from_secs(10), "{:?}", restarted_at.elapsed());
    assert_eq!(worker.sorted_ids(), (0..150).collect::<Vec<_>>());
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_starts_without_redis_and_ships_when_it_is_there() {
    let mut redis = Redis::stopped();
    let queue = queue_at(&redis.url());
    let gateway = Gateway::start(&queue);
    gateway.append(1, 0..100, 500).await;
    until("it has tried", async || gateway.status().connection_errors > 2).await;
    redis.restart().await;
    let mut worker = Worker::new(&queue);
    until("redis answers", async || queue.depth(1).await.is_ok()).await;
    worker.work_until(&[1], 100).await;
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_redis_pauses_lanes_and_drains() {
    let redis = Redis::start(&["--maxmemory", "8mb", "--maxmemory-policy", "noeviction"]).await;
    let queue = queue_at(&redis.url());
    let gateway = Gateway::start(&queue);
    for lane in 0..4 {
        gateway.append(lane, u64::from(lane) * 10_000..u64::from(lane) * 10_000 + 4000, 1000).await;
    }
    until("redis has refused", async || gateway.status().oom_pauses >= 4).await;
    let refused = gateway.status().oom_pauses;
    let mut worker = Worker::new(&queue);
    worker.work_until(&[0, 1, 2, 3], 16_000).await;
    assert_eq!(worker.repeated, 0);
    assert!(refused < 40, "a paused lane does not keep asking");
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_stands_still_for_a_while_loses_nothing() {
    let redis = Redis::start(&[]).await;
    let queue = queue_at(&redis.url());
    let gateway = Gateway::start(&queue);
    gateway.append(1, 0..50, 500).await;
    until("they are there", async || queue.depth(1).await.is_ok_and(|depth| depth == 50)).await;
    redis.signal("-STOP");
    gateway.append(1, 50..100, 500).await;
    until("the wait for an answer has ended", async || gateway.status().connection_errors > 0).await;
    redis.signal("-CONT");
    let mut worker = Worker::new(&queue);
    until("redis answers", async || queue.depth(1).await.is_ok()).await;
    worker.work_until(&[1], 100).await;
    until("all is acknowledged", async || {
        worker.step(1).await;
        gateway.journal.unacked_bytes() == 0
    })
    .await;
    assert_eq!(worker.sorted_ids(), (0..100).collect::<Vec<_>>());
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_dies_again_and_again_under_load_gets_every_record_to_the_worker() {
    let mut redis = Redis::start(&[]).await;
    let queue = queue_at(&redis.url());
    let gateway = Gateway::start_with(TempDir::new().unwrap(), &queue, quick());
    let mut worker = Worker::new(&queue);
    for round in 0..5u64 {
        for lane in 0..4 {
            gateway
                .append(
                    lane,
                    round * 10_000 + u64::from(lane) * 1000..round * 10_000 + u64::from(lane) * 1000 + 200,
                    300,
                )
                .await;
        }
        until("some has come", async || queue.depth(0).await.is_ok_and(|depth| depth > 0)).await;
        for lane in 0..2 {
            worker.step(lane).await;
        }
        redis.restart().await;
        until("redis answers", async || queue.depth(0).await.is_ok()).await;
    }
    worker.work_until(&[0, 1, 2, 3], 4000).await;
    until("all is acknowledged", async || {
        for lane in 0..4 {
            worker.step(lane).await;
        }
        gateway.journal.unacked_bytes() == 0
    })
    .await;
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_holds_no_more_than_the_window() {
    let queue = queue();
    let options = ShipperOptions { window_lane_bytes: 100_000, window_bytes: 64 * 20_000, ..quick() };
    let gateway = Gateway::start_with(TempDir::new().unwrap(), &queue, options);
    for lane in 0..20 {
        gateway.append(lane, u64::from(lane) * 1000..u64::from(lane) * 1000 + 300, 1000).await;
    }
    until("it was probed", async || gateway.status().probes_found >= 1).await;
    let mut depths = Vec::new();
    for lane in 0..20 {
        depths.push(queue.depth(lane).await.unwrap());
    }
    assert!(depths.iter().all(|depth| (1..=100).contains(depth)), "{depths:?}");
    assert!(gateway.status().outstanding_bytes <= 64 * 20_000 + 20 * 2000, "{:?}", gateway.status());
    let mut worker = Worker::new(&queue);
    worker.work_until(&(0..20).collect::<Vec<_>>(), 6000).await;
    assert_eq!(worker.repeated, 0);
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_was_set_back_gets_everything_again() {
    let queue = queue();
    let gateway = Gateway::start_with(TempDir::new().unwrap(), &queue, quick());
    gateway.append(2, 0..100, 500).await;
    let mut worker = Worker::new(&queue);
    worker.claim(2).await;
    worker.work_until(&[2], 100).await;
    until("all is acknowledged", async || gateway.journal.unacked_bytes() == 0).await;

    worker.forget_above(2, gateway.journal.id(), 40);
    worker.claim(2).await;
    worker.work_until(&[2], 160).await;
    assert_eq!(worker.ids[100..].iter().min(), Some(&40));
    assert_eq!(gateway.status().watermarks_lowered, 1);
    until("all is acknowledged", async || gateway.journal.unacked_bytes() == 0).await;

    // Set back to before it knew of the journal at all.
    let token = worker.token;
    let mut worker = Worker::new(&queue);
    worker.token = token;
    worker.claim(2).await;
    worker.work_until(&[2], 100).await;
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_former_holder_of_the_lane_still_publishes_is_not_believed() {
    let queue = queue();
    let gateway = Gateway::start_with(TempDir::new().unwrap(), &queue, quick());
    gateway.append(2, 0..100, 500).await;
    let mut former = Worker::new(&queue);
    former.work_until(&[2], 100).await;
    until("all is acknowledged", async || gateway.journal.unacked_bytes() == 0).await;

    // The database was set back to before it knew of the journal; another worker has claimed the lane there.
    let mut worker = Worker::new(&queue);
    worker.token = former.token;
    worker.claim(2).await;
    former.publish(2).await;
    worker.work_until(&[2], 100).await;
    assert_eq!((worker.sorted_ids(), worker.repeated), ((0..100).collect(), 0));
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i6_watermarks_that_are_not_there_change_nothing() {
    let queue = queue();
    let gateway = Gateway::start_with(TempDir::new().unwrap(), &queue, quick());
    gateway.append(2, 0..100, 500).await;
    let mut worker = Worker::new(&queue);
    worker.work_until(&[2], 100).await;
    until("all is acknowledged", async || gateway.journal.unacked_bytes() == 0).await;
    queue.clear_watermarks(2).await.unwrap();
    // Long enough for watermarks to be read: the next record makes them be asked for.
    gateway.append(2, 100..101, 500).await;
    until("it was probed", async || gateway.status().probes_found >= 1).await;
    assert_eq!((queue.depth(2).await.unwrap(), gateway.status().resent_entries), (1, 0));
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_project_behind_a_flood_in_the_same_lane_does_not_wait_for_it() {
    let queue = queue();
    let nowhere = queue_at("redis://127.0.0.1:1");
    let gateway = Gateway::start_with(TempDir::new().unwrap(), &nowhere, quick());
    gateway.append(4, 0..20_000, 200).await;
    let quiet: Vec<Draft> = (0..10).map(|at| Draft { project_id: 2, ..draft(4, 1_000_000 + at, 200) }).collect();
    gateway.journal.append(quiet).await.unwrap();
    let gateway = Gateway::start_with(gateway.stop().await, &queue, quick());
    let mut worker = Worker::new(&queue);
    worker.work_until(&[4], 2500).await;
    let place = worker.ids.iter().rposition(|id| *id >= 1_000_000).unwrap();
    assert!(worker.ids.iter().filter(|id| **id >= 1_000_000).count() == 10 && place < 2500, "{place}");
    for upto in (3000..20_010).step_by(1000) {
        let t = Instant::now();
        worker.work_until(&[4], upto).await;
        eprintln!("{upto} {:?} {:?}", t.elapsed(), gateway.status());
    }
    worker.work_until(&[4], 20_010).await;
    assert_eq!(worker.repeated, 0);
    until("all is acknowledged", async || {
        worker.step(4).await;
        gateway.journal.unacked_bytes() == 0
    })
    .await;
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_record_is_given_up_and_holds_up_no_other() {
    let queue = queue();
    let nowhere = queue_at("redis://127.0.0.1:1");
    let gateway = Gateway::start_with(TempDir::new().unwrap(), &nowhere, quick());
    gateway.append(6, 0..100, 500).await;
    let dir = gateway.stop().await;
    let file = std::fs::read_dir(dir.path()).unwrap().next().unwrap().unwrap().path();
    let mut bytes = std::fs::read(&file).unwrap();
    let id = u128::from(50u64).to_be_bytes();
    let at = bytes.windows(16).position(|window| window == id).unwrap();
    bytes[at + 20] ^= 1;
    std::fs::write(&file, bytes).unwrap();

    let gateway = Gateway::start_with(dir, &queue, quick());
    let mut worker = Worker::new(&queue);
    worker.work_until(&[6], 99).await;
    until("all is acknowledged", async || {
        worker.step(6).await;
        gateway.journal.unacked_bytes() == 0
    })
    .await;
    assert_eq!((worker.declared_lost, worker.ids.contains(&50)), (1, false));
    assert_eq!(gateway.journal.status().corrupt_records, 1);
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_lanes_and_sizes_all_arrive_once() {
    let queue = queue();
    let gateway = Gateway::start(&queue);
    let mut expected = 0;
    for id in 0..600u64 {
        let lane = u16::try_from(id % 64).unwrap();
        gateway.journal.append(vec![draft(lane, id, usize::try_from(id * id % 5000).unwrap())]).await.unwrap();
        expected += 1;
    }
    gateway.journal.append(vec![draft(63, 600, journal::BODY_BYTES_MAX), draft(0, 601, 3_000_000)]).await.unwrap();
    expected += 2;
    let mut worker = Worker::new(&queue);
    worker.work_until(&(0..64).collect::<Vec<_>>(), expected).await;
    assert_eq!((worker.sorted_ids(), worker.repeated), ((0..602).collect(), 0));
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i6_what_stands_in_redis_unchanged_confirms_nothing() {
    let queue = queue();
    // Longer than an idle gateway takes to look again.
    let keep = Duration::from_secs(4);
    let options = JournalOptions { keep, segment_bytes: 64 << 10, ..JournalOptions::default() };
    let gateway = Gateway::start_on(TempDir::new().unwrap(), options, &queue, quick());
    gateway.append(3, 0..400, 1000).await;
    let mut worker = Worker::new(&queue);
    worker.work_until(&[3], 400).await;
    until("all is acknowledged", async || gateway.journal.unacked_bytes() == 0).await;
    let files = || std::fs::read_dir(gateway.dir.path()).unwrap().count();
    let before = files();
    assert!(before > 3, "{before}");

    // The database is being restored: no worker says anything, and what it said before may not be there any more.
    tokio::time::sleep(keep * 3).await;
    assert_eq!(files(), before);
    until("a worker is heard, and segments go", async || {
        worker.publish_all(3).await;
        files() < before
    })
    .await;
    gateway.stop().await;
}
