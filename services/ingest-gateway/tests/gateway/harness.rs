//! A gateway as it runs, with a journal and a Redis prefix of its own.

use std::fs::File;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use clap::Parser;
use ingest_gateway::{Config, Listeners, run};
use journal::{Journal, JournalOptions, Kind, Record};
use notice::{Snapshot, SnapshotProject};
use queue::{Queue, QueueOptions};
use service::logs::LogLevel;
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub(crate) const KEY: &str = "a1b2c3d4e5f60718293a4b5c6d7e8f90";
pub(crate) const DISABLED_KEY: &str = "d1d2c3d4e5f60718293a4b5c6d7e8f90";
pub(crate) const LIMITED_KEY: &str = "e1e2c3d4e5f60718293a4b5c6d7e8f90";
/// No server listens there.
pub(crate) const NO_REDIS: &str = "redis://127.0.0.1:1";
const LIMIT: Duration = Duration::from_secs(20);
const INSTALL_ID: &str = "0193a000-0000-7000-8000-000000000001";

fn redis_url() -> String {
    std::env::var("CROAK_TEST_REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1:56379".to_owned())
}

/// Projects 1 (ordinary), 2 (disabled) and 3 (two notices a minute).
pub(crate) fn snapshot() -> Snapshot {
    let project = |id, key: &str| SnapshotProject {
        id,
        key_sha256: vec![Sha256::digest(key.as_bytes()).to_vec()],
        lane_subset: 4,
        rate_per_minute_max: None,
        disabled: false,
        scrubbing: None,
    };
    Snapshot {
        install_id: INSTALL_ID.to_owned(),
        version: 1,
        lane_count: 8,
        lane_epochs: Vec::new(),
        dictionary: None,
        projects: vec![
            project(1, KEY),
            SnapshotProject { disabled: true, ..project(2, DISABLED_KEY) },
            SnapshotProject { rate_per_minute_max: Some(2), ..project(3, LIMITED_KEY) },
        ],
    }
}

/// What a test changes before the start.
pub(crate) struct Setup {
    pub(crate) dir: TempDir,
    pub(crate) prefix: String,
    pub(crate) flags: Vec<String>,
}

pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) otlp: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) queue: Queue,
    pub(crate) setup: Setup,
    shutdown: CancellationToken,
    ended: JoinHandle<anyhow::Result<()>>,
}

impl Setup {
    pub(crate) fn new(flags: &[&str]) -> Setup {
        Setup {
            dir: tempfile::tempdir().expect("a directory"),
            prefix: format!("gateway-test-{}", Uuid::new_v4()),
            flags: flags.iter().map(|flag| (*flag).to_owned()).collect(),
        }
    }

    pub(crate) fn queue(&self) -> Queue {
        let options = QueueOptions { prefix: self.prefix.clone(), lane_count: 8, ..QueueOptions::new(redis_url()) };
        Queue::connect_lazy(options).expect("good options")
    }

    pub(crate) async fn publish(&self, snapshot: &Snapshot) {
        self.queue().put_snapshot(snapshot).await.expect("redis takes the snapshot");
    }

    pub(crate) async fn start(self) -> Running {
        let dir = self.dir.path().display().to_string();
        let redis_url = redis_url();
        let mut flags: Vec<&str> = vec!["ingest-gateway", "--queue-prefix", &self.prefix];
        if !self.flags.iter().any(|flag| flag == "--journal-dir") {
            flags.extend(["--journal-dir", &dir]);
        }
        flags.extend(["--public-url", "https://croak.test/", "--snapshot-poll-ms", "20"]);
        if !self.flags.iter().any(|flag| flag == "--redis-url") {
            flags.extend(["--redis-url", &redis_url]);
        }
        flags.extend(self.flags.iter().map(String::as_str));
        let config = Config::parse_from(flags);

        let ((public, address), (otlp, otlp_address), (admin, admin_address)) =
            (bound().await, bound().await, bound().await);
        let listeners = Listeners { public, otlp: Some(otlp), otlp_grpc: None, admin };
        let shutdown = CancellationToken::new();
        let ended = tokio::spawn(run(config, listeners, LogLevel::default(), shutdown.clone()));
        Running { address, otlp: otlp_address, admin: admin_address, queue: self.queue(), setup: self, shutdown, ended }
    }
}

async fn bound() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    (listener, address)
}

impl Setup {
    /// Starts one that cannot run, and tells why.
    pub(crate) async fn fails_to_start(self) -> String {
        let ended = self.start().await.ended;
        let ended = tokio::time::timeout(LIMIT, ended).await.expect("it gives up in time").expect("no panic");
        format!("{:#}", ended.expect_err("it cannot run"))
    }
}

/// A gateway that knows the projects and is ready.
pub(crate) async fn ready(flags: &[&str]) -> Running {
    let setup = Setup::new(flags);
    setup.publish(&snapshot()).await;
    let running = setup.start().await;
    running.becomes_ready().await;
    running
}

impl Running {
    pub(crate) async fn becomes_ready(&self) {
        let ready = async {
            while self.readiness().await.status != 200 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(LIMIT, ready).await.expect("ready in time");
    }

    pub(crate) async fn readiness(&self) -> Answer {
        exchange(self.admin, &request("GET", "/health/ready", &[], b"")).await
    }

    pub(crate) async fn send(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        exchange(self.address, &request(method, target, headers, body)).await
    }

    /// Stops in order, and tells what lies in the journal.
    pub(crate) async fn stop(self) -> Vec<Record> {
        self.stop_keeping().await.1
    }

    /// The same, for a test that goes on with the directory.
    pub(crate) async fn stop_keeping(self) -> (Setup, Vec<Record>) {
        self.shutdown.cancel();
        let ended = tokio::time::timeout(LIMIT, self.ended).await.expect("stops in time");
        ended.expect("no panic").expect("an orderly end");
        let records = records(self.setup.dir.path());
        is_free(self.setup.dir.path()).await;
        (self.setup, records)
    }
}

/// Waits until nobody has the directory locked: a journal that is dropped gives it back when its thread has ended.
async fn is_free(dir: &Path) {
    let lock = File::open(dir).expect("the directory is there");
    let free = async {
        while lock.try_lock().is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LIMIT, free).await.expect("the lock is given back in time");
    lock.unlock().expect("it was locked");
}

fn records(dir: &Path) -> Vec<Record> {
    let journal = Journal::open(dir, JournalOptions { lane_count: 8, ..JournalOptions::default() }).expect("it opens");
    let mut records = Vec::new();
    for source in journal.sources() {
        for lane in source.lanes() {
            let read = source.read(lane, 0, usize::MAX, usize::MAX).expect("it reads");
            records.extend(read.iter().map(|(_, bytes)| Record::decode(bytes).expect("a record")));
        }
    }
    records
}

/// The records of this kind.
pub(crate) fn of_kind(records: &[Record], kind: Kind) -> Vec<&Record> {
    records.iter().filter(|record| record.kind == kind as u8).collect()
}

/// The body of a record.
pub(crate) fn body<M: notice::prost::Message + Default>(record: &Record) -> M {
    let body = queue::body::decompress(record.codec, &record.body, 8 << 20).expect("it unpacks");
    M::decode(body.as_slice()).expect("it decodes")
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let named = |line: &&str| line.split_once(':').is_some_and(|(found, _)| found.eq_ignore_ascii_case(name));
        Some(self.head.lines().find(named)?.split_once(':')?.1.trim())
    }
}

pub(crate) fn request(method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut head = format!("{method} {target} HTTP/1.1\r\nHost: gateway.test\r\nContent-Length: {}\r\n", body.len());
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    [head.as_bytes(), b"\r\n", body].concat()
}

/// Sends bytes on a connection of their own and reads one answer.
pub(crate) async fn exchange(address: SocketAddr, bytes: &[u8]) -> Answer {
    let mut connection = TcpStream::connect(address).await.expect("it listens");
    // Whoever is refused early may not get everything written.
    let _ = connection.write_all(bytes).await;
    let has_body = !bytes.starts_with(b"HEAD ");
    let answer = tokio::time::timeout(LIMIT, read_answer(&mut connection, has_body)).await;
    answer.expect("an answer in time").expect("an answer")
}

/// Reads one answer; `None` if the connection ends before one.
pub(crate) async fn answer(connection: &mut TcpStream) -> Option<Answer> {
    tokio::time::timeout(LIMIT, read_answer(connection, true)).await.expect("an answer or an end in time")
}

async fn read_answer(connection: &mut TcpStream, has_body: bool) -> Option<Answer> {
    let mut bytes = Vec::new();
    let mut buffer = vec![0; 16 * 1024];
    loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..at]).into_owned();
            let status = head.split(' ').nth(1)?.parse().ok()?;
            let mut answer = Answer { status, head, body: String::new() };
            let announced = answer.header("content-length").filter(|_| has_body);
            let length = announced.map_or(0, |length| length.parse().expect("a number"));
            if bytes.len() >= at + 4 + length {
                answer.body = String::from_utf8_lossy(&bytes[at + 4..at + 4 + length]).into_owned();
                return Some(answer);
            }
        }
        match connection.read(&mut buffer).await {
            Ok(0) | Err(_) => return None,
            Ok(count) => bytes.extend_from_slice(&buffer[..count]),
        }
    }
}
