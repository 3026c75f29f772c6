//! What workers, housekeeping and gateways ask of Redis.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::time::{Duration, Instant};

use notice::{Snapshot, SnapshotProject};
use queue::{Entry, Queue, QueueOptions};
use support::{Redis, queue, queue_at, shared_url};
use uuid::Uuid;

#[tokio::test]
async fn a_snapshot_comes_back_and_its_version_is_cheap() {
    let queue = queue();
    assert_eq!(queue.snapshot_version().await.unwrap(), None);
    assert_eq!(queue.get_snapshot().await.unwrap(), None);
    let project = SnapshotProject { id: 1, key_sha256: vec![vec![1; 32]], lane_subset: 16, ..Default::default() };
    let snapshot = Snapshot {
        install_id: Uuid::now_v7().to_string(),
        version: 17,
        lane_count: 64,
        projects: vec![project],
        ..Snapshot::default()
    };
    queue.put_snapshot(&snapshot).await.unwrap();
    assert_eq!(queue.snapshot_version().await.unwrap(), Some(17));
    assert_eq!(queue.get_snapshot().await.unwrap(), Some(snapshot));
}

#[tokio::test]
async fn a_prefix_belongs_to_one_installation() {
    let queue = queue();
    let (ours, theirs) = (Uuid::now_v7(), Uuid::now_v7());
    assert_eq!(queue.install_id().await.unwrap(), None);
    assert!(queue.claim_install(&ours).await.unwrap());
    assert!(queue.claim_install(&ours).await.unwrap());
    assert!(!queue.claim_install(&theirs).await.unwrap());
    assert_eq!(queue.install_id().await.unwrap(), Some(ours));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_is_emptied_again_and_again_belongs_to_nobody_else() {
    let redis = Redis::start(&[]).await;
    let queue = queue_at(&redis.url());
    let emptying = tokio::spawn({
        let url = redis.url();
        async move {
            let mut connection = redis::Client::open(url).unwrap().get_multiplexed_async_connection().await.unwrap();
            loop {
                redis::cmd("FLUSHALL").exec_async(&mut connection).await.unwrap();
            }
        }
    });
    let ours = Uuid::now_v7();
    for _ in 0..1_000 {
        assert!(queue.claim_install(&ours).await.unwrap());
    }
    emptying.abort();
}

#[tokio::test]
async fn the_policy_of_redis_can_be_seen() {
    let redis = Redis::start(&["--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru"]).await;
    let policies = queue_at(&redis.url()).memory_policies().await.unwrap();
    let [policy] = &policies[..] else { panic!("{policies:?}") };
    assert_eq!((policy.policy.as_str(), policy.bytes_max), ("allkeys-lru", 64 * 1024 * 1024));
    assert!(policy.bytes_used > 0);
}

#[tokio::test]
async fn without_redis_every_call_fails_soon_and_works_when_it_is_there() {
    let mut redis = Redis::stopped();
    let queue = queue_at(&redis.url());
    for _ in 0..3 {
        let started = Instant::now();
        assert!(queue.ping().await.is_err());
        assert!(queue.read(0, None, 10).await.is_err());
        assert!(queue.snapshot_version().await.is_err());
        assert!(started.elapsed() < Duration::from_secs(5));
    }
    redis.restart().await;
    support::until("it answers", async || queue.ping().await.is_ok() && queue.depth(0).await.is_ok()).await;
    redis.restart().await;
    support::until("it answers again", async || queue.ping().await.is_ok() && queue.depth(0).await.is_ok()).await;
}

#[tokio::test]
async fn an_entry_that_is_not_ours_does_not_stop_the_lane() {
    let prefix = format!("test-queue-{}", Uuid::now_v7());
    let queue =
        Queue::connect_lazy(QueueOptions { prefix: prefix.clone(), ..QueueOptions::new(shared_url()) }).unwrap();
    let key = format!("{prefix}:q:{{{}}}", queue.lanes().tag(5));
    let client = redis::Client::open(shared_url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let journal = Uuid::now_v7().to_string();
    for fields in [
        vec!["hello", "world"],
        vec!["j", "not a uuid", "s", "1", "b", "1", "p", "x"],
        vec!["j", &journal, "s", "1", "b", "1", "p", "x", "later", "field"],
    ] {
        let _: String = redis::cmd("XADD").arg(&key).arg("*").arg(fields).query_async(&mut connection).await.unwrap();
    }
    let entries = queue.read(5, None, 10).await.unwrap();
    assert!(matches!(&entries[..], [Entry::Malformed(_), Entry::Malformed(_), Entry::Shipped(_)]), "{entries:?}");
    assert_eq!(queue.read(5, Some(entries[0].stream_id()), 10).await.unwrap(), entries[1..]);
    assert_eq!(queue.trim(5, entries[1].stream_id()).await.unwrap(), 2);
    assert_eq!(queue.depth(5).await.unwrap(), 1);
}

#[tokio::test]
async fn a_prefix_that_would_break_the_keys_is_refused() {
    for prefix in ["", "a b", "a{b"] {
        assert!(
            Queue::connect_lazy(QueueOptions { prefix: prefix.to_owned(), ..QueueOptions::new(shared_url()) }).is_err()
        );
    }
    assert!(Queue::connect_lazy(QueueOptions::new("http://example.org")).is_err());
}
