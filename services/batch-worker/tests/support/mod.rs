//! A worker with a database and lanes of its own, and a stand-in for the gateway that puts records into the lanes.

#![expect(clippy::unwrap_used, reason = "a test that cannot have its servers has failed")]
#![allow(dead_code, reason = "not every test uses everything")]

#[path = "../../../../crates/store/tests/database/mod.rs"]
mod database;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use batch_worker::{Config, run};
use clap::Parser as _;
use journal::{Kind, Record};
use notice::prost::Message as _;
use notice::{Notice, NoticeId};
use queue::{Queue, QueueOptions, body};
use service::auth::Bearer;
use service::logs::LogLevel;
use service::proto::control::PauseRequest;
use service::proto::control::control_client::ControlClient;
use store::Admin;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::transport::Endpoint;
use uuid::Uuid;

pub(crate) use database::Database;

pub(crate) const PROJECT: u64 = 1;

pub(crate) const CONTROL_TOKEN: &str = "0123456789abcdef";

/// One installation, without a gateway.
pub(crate) struct Bench {
    pub(crate) database: Database,
    pub(crate) queue: Queue,
    pub(crate) prefix: String,
    redis_url: String,
    redis: redis::aio::MultiplexedConnection,
}

/// A running worker.
pub(crate) struct Worker {
    /// Where it takes commands, if it does.
    pub(crate) commands: Option<SocketAddr>,
    /// Where operators reach it.
    admin: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Bench {
    /// With project 1.
    pub(crate) async fn new() -> Self {
        let database = Database::fresh().await;
        sqlx::raw_sql("insert into project (id, slug, name) values (1, 'shop', 'Shop')")
            .execute(&database.pool)
            .await
            .unwrap();
        let redis_url = std::env::var("CROAK_TEST_REDIS_URL").expect("CROAK_TEST_REDIS_URL is set (script/test does)");
        let prefix = format!("croak-test-{}", Uuid::new_v4().simple());
        let options = QueueOptions { prefix: prefix.clone(), ..QueueOptions::new(redis_url.clone()) };
        let queue = Queue::connect_lazy(options).unwrap();
        let redis = redis::Client::open(redis_url.as_str()).unwrap().get_multiplexed_async_connection().await.unwrap();
        Self { database, queue, prefix, redis_url, redis }
    }

    /// Starts a worker of these roles.
    pub(crate) async fn worker(&self, roles: &str) -> Worker {
        self.worker_with(roles, &[]).await
    }

    pub(crate) async fn worker_with(&self, roles: &str, flags: &[&str]) -> Worker {
        let mut arguments = vec!["batch-worker", "--roles", roles, "--control-token", CONTROL_TOKEN];
        let database_url = self.worker_url();
        arguments.extend(["--database-url", &database_url, "--redis-url", &self.redis_url]);
        arguments.extend(["--queue-prefix", &self.prefix]);
        arguments.extend(flags);
        let config = Config::parse_from(arguments);
        let admin = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let commands = match config.command_listen() {
            Some(_) => Some(TcpListener::bind("127.0.0.1:0").await.unwrap()),
            None => None,
        };
        let command_address = commands.as_ref().map(|listener| listener.local_addr().unwrap());
        let admin_address = admin.local_addr().unwrap();
        let stop = CancellationToken::new();
        let task = tokio::spawn(run(config, admin, commands, LogLevel::default(), stop.clone()));
        Worker { commands: command_address, admin: admin_address, stop, task }
    }

    /// Puts a record into its lane, as a gateway's shipper does.
    pub(crate) async fn ship(&self, journal: Uuid, base: u64, record: &Record) {
        self.ship_all(journal, base, std::slice::from_ref(record)).await;
    }

    pub(crate) async fn ship_all(&self, journal: Uuid, base: u64, records: &[Record]) {
        for part in records.chunks(500) {
            let mut pipeline = redis::pipe();
            for record in part {
                let mut add = redis::cmd("XADD");
                add.arg(self.stream_key(record.lane)).arg("*");
                add.arg("j").arg(journal.to_string()).arg("s").arg(record.seq).arg("b").arg(base);
                add.arg("h").arg(record.seq).arg("o").arg(record.accepted_at_us).arg("p").arg(record.encode());
                pipeline.add_command(add).ignore();
            }
            let _: () = pipeline.query_async(&mut self.redis.clone()).await.unwrap();
        }
    }

    /// Puts anything into a lane.
    pub(crate) async fn ship_fields(&self, lane: u16, fields: &[(&str, &[u8])]) {
        let mut add = redis::cmd("XADD");
        add.arg(self.stream_key(lane)).arg("*");
        for (name, value) in fields {
            add.arg(name).arg(value);
        }
        let _: String = add.query_async(&mut self.redis.clone()).await.unwrap();
    }

    pub(crate) fn stream_key(&self, lane: u16) -> String {
        format!("{}:q:{{{}}}", self.prefix, self.queue.lanes().tag(lane))
    }

    /// Makes Redis forget a key.
    pub(crate) async fn forget(&self, name: &str) {
        let key = format!("{}:{name}", self.prefix);
        let _: i64 = redis::cmd("DEL").arg(key).query_async(&mut self.redis.clone()).await.unwrap();
    }

    /// The watermark of a journal in a lane, as the holder of the newest claim has published it.
    pub(crate) async fn watermark(&self, lane: u16, journal: Uuid) -> Option<u64> {
        let key = format!("{}:ack:{{{}}}", self.prefix, self.queue.lanes().tag(lane));
        let mut redis = self.redis.clone();
        let token: Option<i64> = redis::cmd("HGET").arg(&key).arg("_").query_async(&mut redis).await.unwrap();
        redis::cmd("HGET").arg(&key).arg(format!("{journal}:{}", token?)).query_async(&mut redis).await.unwrap()
    }

    /// Makes Redis forget the watermarks of a lane.
    pub(crate) async fn forget_watermarks(&self, lane: u16) {
        self.forget(&format!("ack:{{{}}}", self.queue.lanes().tag(lane))).await;
    }

    /// Waits until this lane is empty: everything in it was committed and trimmed.
    pub(crate) async fn drained(&self, lane: u16) {
        self.until("the lane is empty", async || self.queue.depth(lane).await.unwrap() == 0).await;
    }

    /// Waits until `question` is answered with yes, thirty seconds at most.
    pub(crate) async fn until(&self, what: &str, mut question: impl AsyncFnMut() -> bool) {
        let started = Instant::now();
        while !question().await {
            assert!(started.elapsed() < Duration::from_secs(30), "waited in vain: {what}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The database with the rights of a worker, and no more.
    pub(crate) fn worker_url(&self) -> String {
        format!("{}?options=-c%20role%3Dcroak_worker", self.database.url)
    }

    /// Changes the database behind everybody's back.
    pub(crate) async fn run(&self, statements: &'static str) {
        sqlx::raw_sql(statements).execute(&self.database.pool).await.unwrap();
    }

    pub(crate) async fn number(&self, statement: &'static str) -> i64 {
        self.database.number(statement).await
    }

    /// Every counter is what the bodies say.
    pub(crate) async fn audit(&self) {
        let audit = Admin::connect(&self.database.url).await.unwrap().audit(None).await.unwrap();
        assert!(audit.findings.is_empty(), "{:#?}", audit.findings);
    }
}

impl Worker {
    /// Stops it in order.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap().unwrap();
    }

    /// Pauses it or lets it go on, as an operator does.
    pub(crate) async fn pause(&self, paused: bool) {
        let channel = Endpoint::from_shared(format!("http://{}", self.admin)).unwrap().connect().await.unwrap();
        let mut control = ControlClient::with_interceptor(channel, Bearer::new(Some(CONTROL_TOKEN)).unwrap());
        control.pause(PauseRequest { paused }).await.unwrap();
    }

    /// Ends it as a kill does, as far as a task can be killed.
    pub(crate) fn kill(self) {
        self.task.abort();
    }

    /// How it ended by itself.
    pub(crate) async fn ended(self) -> anyhow::Result<()> {
        self.task.await.unwrap()
    }
}

/// A notice of an error of this class.
pub(crate) fn notice(class: &str) -> Notice {
    let error = notice::Error {
        class: Some(class.to_owned()),
        message: Some("it does not work".to_owned()),
        frames: vec![notice::Frame {
            file: Some("app/models/order.rb".to_owned()),
            function: Some("save".to_owned()),
            line: Some(7),
            in_app: Some(true),
            ..notice::Frame::default()
        }],
        ..notice::Error::default()
    };
    Notice {
        protocol: "hoptoad-xml".to_owned(),
        environment: Some("production".to_owned()),
        release: Some("1.0".to_owned()),
        errors: vec![error],
        ..Notice::default()
    }
}

/// The record of a notice.
pub(crate) fn record(lane: u16, seq: u64, notice: &Notice) -> Record {
    record_at(lane, seq, now_us(), notice)
}

pub(crate) fn record_at(lane: u16, seq: u64, accepted_at_us: i64, notice: &Notice) -> Record {
    Record {
        kind: Kind::Notice as u8,
        codec: body::CODEC_ZSTD,
        lane,
        seq,
        project_id: PROJECT,
        fold_key_version: notice::FOLD_KEY_VERSION,
        fold_key: notice::fold_key(notice).0,
        accepted_at_us,
        id: *NoticeId::new(accepted_at_us, lane, rand::random()).as_bytes(),
        body: body::compress(&notice.encode_to_vec()),
    }
}

/// A record of another kind.
pub(crate) fn other(lane: u16, seq: u64, kind: u8, content: &[u8]) -> Record {
    let accepted_at_us = now_us();
    Record {
        kind,
        codec: body::CODEC_ZSTD,
        lane,
        seq,
        project_id: PROJECT,
        fold_key_version: 0,
        fold_key: [0; 16],
        accepted_at_us,
        id: *NoticeId::new(accepted_at_us, lane, rand::random()).as_bytes(),
        body: body::compress(content),
    }
}

pub(crate) fn now_us() -> i64 {
    i64::try_from(time::OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000).unwrap()
}
