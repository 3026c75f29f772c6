//! A master, two replicas, and three sentinels that agree on which is which.

use std::process::Command;
use std::time::Duration;

use redis::Value;
use tempfile::TempDir;

use super::acl::{Users, sentinel_user, users};
use super::redis::{Redis, ask};
use crate::port::Port;
use crate::process::Process;
use crate::wait_until;

/// What the sentinels call the master.
const NAME: &str = "croak-queue";

/// A master is missed after so long without a sign of life.
const DOWN_AFTER_MS: u32 = 1_000;

/// Sentinels must have agreed on another master this soon.
const FAILOVER_LIMIT: Duration = Duration::from_secs(30);

/// Servers that sentinels watch.
#[derive(Debug)]
pub struct Watched {
    servers: Vec<Redis>,
    sentinels: Vec<Sentinel>,
}

#[derive(Debug)]
struct Sentinel {
    port: Port,
    _folder: TempDir,
    _process: Process,
}

impl Watched {
    /// Starts all six, with the users of deploy/README.md for keys that begin with `prefix`.
    pub async fn start(prefix: &str) -> Watched {
        let users = users(Users::Watched, prefix);
        let master = Redis::start_with(&settings(&users, None)).await;
        let first = master.port();
        let mut servers = vec![master];
        for _ in 0..2 {
            servers.push(Redis::start_with(&settings(&users, Some(first))).await);
        }
        let sentinels = (0..3).map(|_| Sentinel::start(first)).collect();
        let watched = Watched { servers, sentinels };
        wait_until("the sentinels know each other and the replicas", FAILOVER_LIMIT, async || {
            for sentinel in &watched.sentinels {
                let state = sentinel.state().await?;
                let is_ready = state.field("num-other-sentinels") == "2" && state.field("num-slaves") == "2";
                if !is_ready {
                    return None;
                }
            }
            Some(())
        })
        .await;
        wait_until("the replicas follow", FAILOVER_LIMIT, async || {
            let info = watched.servers[0].info("replication").await?;
            (info.matches("state=online").count() == 2).then_some(())
        })
        .await;
        watched
    }

    /// `redis-sentinel://…` for who logs in so.
    pub fn url(&self, login: &str, query: &str) -> String {
        let sentinels: Vec<String> =
            self.sentinels.iter().map(|sentinel| sentinel.port.address().to_string()).collect();
        format!("redis-sentinel://{login}@{}/{NAME}?{query}", sentinels.join(","))
    }

    /// The place of the master among the servers.
    pub async fn master(&self) -> usize {
        wait_until("a sentinel names the master", FAILOVER_LIMIT, async || self.named_master().await).await
    }

    /// The server at a place.
    pub fn server(&mut self, at: usize) -> &mut Redis {
        &mut self.servers[at]
    }

    /// Waits until all sentinels name the same server, another one than this, and it sees itself as master; answers its place.
    pub async fn other_master(&self, than: usize) -> usize {
        wait_until("the sentinels name another master", FAILOVER_LIMIT, async || {
            let named = self.named_master().await.filter(|named| *named != than)?;
            let info = self.servers[named].info("replication").await?;
            info.contains("role:master").then_some(named)
        })
        .await
    }

    async fn named_master(&self) -> Option<usize> {
        let mut named = Vec::new();
        for sentinel in &self.sentinels {
            let port: u16 = sentinel.state().await?.field("port").parse().ok()?;
            named.push(self.servers.iter().position(|server| server.port() == port)?);
        }
        named.dedup();
        (named.len() == 1).then(|| named[0])
    }
}

impl Sentinel {
    fn start(master_port: u16) -> Sentinel {
        let port = Port::free();
        let folder = tempfile::Builder::new().prefix("croak-sentinel-").tempdir().expect("a temporary folder");
        let file = folder.path().join("sentinel.conf");
        let lines = [
            format!("port {}", port.number()),
            "bind 127.0.0.1".to_owned(),
            format!("dir {}", folder.path().display()),
            format!("sentinel monitor {NAME} 127.0.0.1 {master_port} 2"),
            format!("sentinel down-after-milliseconds {NAME} {DOWN_AFTER_MS}"),
            format!("sentinel failover-timeout {NAME} 5000"),
            sentinel_user(),
        ];
        std::fs::write(&file, lines.join("\n") + "\n").expect("a configuration");
        let mut command = Command::new("redis-server");
        command.arg(&file).arg("--sentinel");
        let process = Process::start("sentinel", &mut command, &folder.path().join("log"));
        Sentinel { port, _folder: folder, _process: process }
    }

    async fn state(&self) -> Option<State> {
        let url = format!("redis://{}", self.port.address());
        match ask(&url, &["SENTINEL", "MASTER", NAME]).await.ok()? {
            Value::Array(words) => Some(State(words)),
            _ => None,
        }
    }
}

/// What a sentinel says of the master: names and values in turns.
struct State(Vec<Value>);

impl State {
    fn field(&self, name: &str) -> String {
        let words: Vec<String> = self.0.iter().map(text).collect();
        words.chunks(2).find(|pair| pair[0] == name).map(|pair| pair[1].clone()).unwrap_or_default()
    }
}

fn text(value: &Value) -> String {
    redis::from_redis_value_ref(value).unwrap_or_default()
}

fn settings(users: &[String], master: Option<u16>) -> Vec<String> {
    let mut settings: Vec<String> = ["--repl-diskless-sync-delay", "0"].map(str::to_owned).to_vec();
    settings.extend(users.iter().cloned());
    if let Some(port) = master {
        settings.extend(["--replicaof".to_owned(), "127.0.0.1".to_owned(), port.to_string()]);
    }
    settings
}
