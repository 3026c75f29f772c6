//! What the tests of the queue have in common.
#![allow(dead_code, unreachable_pub, reason = "each test program uses a part of it")]

use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use journal::{Draft, Journal, JournalOptions, Kind, Record};
use queue::{Entry, Queue, QueueError, QueueOptions, Shipper, ShipperOptions, ShipperStatus};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// The Redis that tests share, each under a prefix of its own.
pub fn shared_url() -> String {
    std::env::var("CROAK_TEST_REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1:56379".to_owned())
}

/// A queue of its own on the shared Redis.
pub fn queue() -> Queue {
    queue_at(&shared_url())
}

pub fn queue_at(url: &str) -> Queue {
    Queue::connect_lazy(QueueOptions { prefix: format!("test-queue-{}", Uuid::now_v7()), ..QueueOptions::new(url) })
        .unwrap()
}

/// A record for a lane, recognised by its id.
pub fn draft(lane: u16, id: u64, body_bytes: usize) -> Draft {
    Draft {
        kind: Kind::Notice,
        codec: 0,
        lane,
        project_id: 1,
        fold_key_version: 1,
        fold_key: [7; 16],
        accepted_at_us: 1_000_000 + i64::try_from(id).unwrap(),
        id: u128::from(id).to_be_bytes(),
        body: vec![7; body_bytes],
    }
}

/// A journal with a shipper that runs.
pub struct Gateway {
    pub dir: TempDir,
    pub journal: Journal,
    pub shipper: Shipper,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

impl Gateway {
    pub fn start(queue: &Queue) -> Gateway {
        Gateway::start_with(TempDir::new().unwrap(), queue, ShipperOptions::default())
    }

    pub fn start_with(dir: TempDir, queue: &Queue, options: ShipperOptions) -> Gateway {
        Gateway::start_on(dir, JournalOptions::default(), queue, options)
    }

    pub fn start_on(dir: TempDir, journal: JournalOptions, queue: &Queue, options: ShipperOptions) -> Gateway {
        let journal = Journal::open(dir.path(), journal).unwrap();
        let shipper = Shipper::new(journal.clone(), queue.clone(), options);
        let shutdown = CancellationToken::new();
        let task = tokio::spawn({
            let (shipper, shutdown) = (shipper.clone(), shutdown.clone());
            async move { shipper.run(shutdown).await }
        });
        Gateway { dir, journal, shipper, shutdown, task }
    }

    /// Appends records with these ids to a lane, some at a time.
    pub async fn append(&self, lane: u16, ids: std::ops::Range<u64>, body_bytes: usize) {
        let ids: Vec<u64> = ids.collect();
        for ids in ids.chunks(50) {
            self.journal.append(ids.iter().map(|id| draft(lane, *id, body_bytes)).collect()).await.unwrap();
        }
    }

    pub fn status(&self) -> ShipperStatus {
        self.shipper.status()
    }

    /// Stops; returns the directory for the next.
    pub async fn stop(self) -> TempDir {
        self.shutdown.cancel();
        self.task.await.unwrap();
        self.journal.close().await;
        self.dir
    }
}

/// What a worker does, without a database.
pub struct Worker {
    queue: Queue,
    pub token: i64,
    beat: u64,
    /// The claims of the lanes that it has worked on.
    tokens: BTreeMap<u16, i64>,
    /// Whether all watermarks of a lane were published since its claim.
    is_published: BTreeMap<u16, bool>,
    steps: BTreeMap<u16, u64>,
    accounted: BTreeMap<(u16, Uuid), Accounted>,
    /// Ids in the order in which they first came.
    pub ids: Vec<u64>,
    /// Entries that were there already.
    pub repeated: u64,
    /// Records that gateways gave up.
    pub declared_lost: u64,
}

impl Worker {
    pub fn new(queue: &Queue) -> Worker {
        Worker {
            queue: queue.clone(),
            token: 1,
            beat: 0,
            tokens: BTreeMap::new(),
            is_published: BTreeMap::new(),
            steps: BTreeMap::new(),
            accounted: BTreeMap::new(),
            ids: Vec::new(),
            repeated: 0,
            declared_lost: 0,
        }
    }

    /// Claims a lane.
    pub async fn claim(&mut self, lane: u16) {
        self.token += 1;
        self.tokens.insert(lane, self.token);
        self.queue.clear_watermarks(lane).await.unwrap();
        self.publish_all(lane).await;
    }

    /// Says all of a lane's watermarks.
    pub async fn publish_all(&mut self, lane: u16) {
        self.beat += 1;
        let watermarks = self.watermarks(lane);
        let published = self.queue.publish_watermarks(lane, self.tokens[&lane], self.beat, &watermarks).await;
        self.is_published.insert(lane, published.is_ok());
        unless_full(published);
    }

    /// Takes what a lane has; tells how many entries there were.
    pub async fn step(&mut self, lane: u16) -> usize {
        if !self.tokens.contains_key(&lane) {
            self.claim(lane).await;
        }
        let entries = self.queue.read(lane, None, 1000).await.unwrap();
        for entry in &entries {
            let Entry::Shipped(shipped) = entry else { panic!("{entry:?}") };
            let record = Record::decode(&shipped.record).unwrap();
            assert_eq!((record.lane, record.seq), (lane, shipped.seq));
            assert!(shipped.base <= shipped.seq && shipped.seq <= shipped.head_seq);
            let accounted = self.accounted.entry((lane, shipped.journal)).or_default();
            let gap = shipped.gap.clone().filter(|gap| *gap.start() <= accounted.watermark + 1);
            for gone in (accounted.watermark + 1..shipped.base).chain(gap.into_iter().flatten()) {
                self.declared_lost += u64::from(accounted.insert(gone));
            }
            if accounted.insert(shipped.seq) {
                self.ids.push(u64::try_from(u128::from_be_bytes(record.id)).unwrap());
            } else {
                self.repeated += 1;
            }
        }
        if let Some(last) = entries.last() {
            self.queue.trim(lane, last.stream_id()).await.unwrap();
        }
        let steps = self.steps.entry(lane).or_default();
        *steps += 1;
        // Now and then all of them, as workers do.
        if !self.is_published[&lane] || steps.is_multiple_of(5) {
            self.publish_all(lane).await;
        } else {
            self.publish(lane).await;
        }
        entries.len()
    }

    /// Says what of a lane it has.
    pub async fn publish(&self, lane: u16) {
        unless_full(self.queue.update_watermarks(lane, self.tokens[&lane], &self.watermarks(lane)).await);
    }

    /// Works on some lanes until so many records have come.
    pub async fn work_until(&mut self, lanes: &[u16], count: usize) {
        let started = Instant::now();
        while self.ids.len() < count {
            assert!(
                started.elapsed() < Duration::from_secs(40),
                "{} of {count} after {:?}",
                self.ids.len(),
                started.elapsed()
            );
            let mut entries = 0;
            for lane in lanes {
                entries += self.step(*lane).await;
            }
            if entries == 0 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }

    /// The database was set back: everything above this number was never there.
    pub fn forget_above(&mut self, lane: u16, journal: Uuid, seq: u64) {
        self.accounted.insert((lane, journal), Accounted { watermark: seq, above: BTreeSet::new() });
    }

    /// What came, in order of the ids.
    pub fn sorted_ids(&self) -> Vec<u64> {
        let mut ids = self.ids.clone();
        ids.sort_unstable();
        ids
    }

    fn watermarks(&self, lane: u16) -> Vec<(Uuid, u64)> {
        self.accounted
            .iter()
            .filter(|((of, _), _)| *of == lane)
            .map(|((_, journal), accounted)| (*journal, accounted.watermark))
            .collect()
    }
}

/// A full Redis takes no watermarks: later ones will do.
fn unless_full(published: Result<(), QueueError>) {
    if let Err(error) = published {
        assert!(error.is_out_of_memory(), "{error}");
    }
}

/// The numbers that one journal and lane have been accounted for.
#[derive(Default)]
struct Accounted {
    watermark: u64,
    above: BTreeSet<u64>,
}

impl Accounted {
    fn insert(&mut self, seq: u64) -> bool {
        let is_fresh = seq > self.watermark && self.above.insert(seq);
        while self.above.remove(&(self.watermark + 1)) {
            self.watermark += 1;
        }
        is_fresh
    }
}

/// A port that is still there when a server comes back: below those that outgoing connections get, and that end-to-end tests take.
fn free_port() -> u16 {
    let number = || 10_000 + u16::try_from(Uuid::now_v7().as_u128() % 5_000).unwrap();
    let mut numbers = std::iter::repeat_with(number).take(1_000);
    numbers.find(|number| TcpListener::bind(("127.0.0.1", *number)).is_ok()).expect("a port is free")
}

/// A Redis server of a test's own.
pub struct Redis {
    port: u16,
    args: Vec<String>,
    child: Option<Child>,
}

impl Redis {
    /// Starts a server that keeps nothing on disk.
    pub async fn start(args: &[&str]) -> Redis {
        let mut redis =
            Redis { port: free_port(), args: args.iter().map(|arg| (*arg).to_owned()).collect(), child: None };
        redis.restart().await;
        redis
    }

    /// One that is not running yet.
    pub fn stopped() -> Redis {
        Redis { port: free_port(), args: Vec::new(), child: None }
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Starts it, with nothing in it.
    pub async fn restart(&mut self) {
        self.kill();
        let child = Command::new("redis-server")
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .args(&self.args)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        self.child = Some(child);
        let started = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(started.elapsed() < Duration::from_secs(20), "redis-server does not start");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Stops it without killing it, or lets it go on.
    pub fn signal(&self, signal: &str) {
        let pid = self.child.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }

    /// Sends one command.
    pub async fn command(&self, words: &[&str]) -> redis::Value {
        let client = redis::Client::open(self.url()).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let mut command = redis::cmd(words[0]);
        for word in &words[1..] {
            command.arg(*word);
        }
        command.query_async(&mut connection).await.unwrap()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Waits until something holds.
pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let started = Instant::now();
    while !holds().await {
        assert!(started.elapsed() < Duration::from_secs(15), "waited too long until {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
