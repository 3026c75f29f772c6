//! A Redis of one's own: without persistence, so that killing it empties it.

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::port::Port;
use crate::process::{Process, Signal};
use crate::wait_until;

/// How much a Redis may hold. It never evicts.
#[derive(Clone, Copy, Debug)]
pub struct RedisLimits {
    /// `maxmemory`, in megabytes.
    pub memory_mb: u32,
}

impl Default for RedisLimits {
    fn default() -> Self {
        RedisLimits { memory_mb: 1024 }
    }
}

/// A private Redis server.
#[derive(Debug)]
pub struct Redis {
    port: Port,
    settings: Vec<String>,
    folder: TempDir,
    process: Option<Process>,
}

impl Redis {
    /// Starts one on a free port.
    pub async fn start(limits: RedisLimits) -> Redis {
        let memory = format!("{}mb", limits.memory_mb);
        Redis::start_with(&["--maxmemory", &memory, "--maxmemory-policy", "noeviction"]).await
    }

    /// Starts one with settings of its own, as on redis-server's command line.
    pub async fn start_with(settings: &[impl AsRef<str>]) -> Redis {
        let folder = tempfile::Builder::new().prefix("croak-redis-").tempdir().expect("a temporary folder");
        let settings = settings.iter().map(|word| word.as_ref().to_owned()).collect();
        let mut redis = Redis { port: Port::free(), settings, folder, process: None };
        redis.start_again().await;
        redis
    }

    /// Starts it again, empty, on the same port.
    pub async fn start_again(&mut self) {
        let port = self.port.number().to_string();
        let mut command = Command::new("redis-server");
        command.args(["--port", &port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
        command.args(self.settings.iter().map(OsStr::new)).arg("--dir").arg(self.folder.path());
        self.process = Some(Process::start("redis-server", &mut command, &self.folder.path().join("log")));
        wait_until("redis answers", Duration::from_secs(10), async || self.ask(&["PING"]).await.ok()).await;
    }

    /// Ends it at once; everything in it is gone.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Stops its process without ending it: connections stay, nothing is answered.
    pub fn freeze(&mut self) {
        self.process.as_mut().expect("it runs").signal(Signal::STOP);
    }

    /// Lets it go on after [`freeze`](Self::freeze).
    pub fn thaw(&mut self) {
        self.process.as_mut().expect("it runs").signal(Signal::CONT);
    }

    /// `redis://…`
    pub fn url(&self) -> String {
        format!("redis://{}", self.address())
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// Whether it was not killed, or was started again.
    pub fn is_running(&self) -> bool {
        self.process.is_some()
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// Sends one command and answers its reply.
    pub async fn ask(&self, words: &[&str]) -> redis::RedisResult<redis::Value> {
        ask(&self.url(), words).await
    }

    /// Entries that were ever added to its streams.
    pub async fn entries_added(&self) -> u64 {
        let stats = self.info("commandstats").await.expect("redis answers INFO");
        let Some(line) = stats.lines().find_map(|line| line.strip_prefix("cmdstat_xadd:calls=")) else { return 0 };
        line.split(',').next().and_then(|calls| calls.parse().ok()).expect("a number of calls")
    }

    /// The largest share of `maxmemory` that it says it has in use now.
    pub async fn memory_used_bytes(&self) -> u64 {
        let info = self.info("memory").await.expect("redis answers INFO");
        let line = info.lines().find_map(|line| line.strip_prefix("used_memory:")).expect("INFO names used_memory");
        line.trim().parse().expect("a number of bytes")
    }

    /// One section of INFO, if it answers.
    pub(super) async fn info(&self, section: &str) -> Option<String> {
        redis::from_redis_value(self.ask(&["INFO", section]).await.ok()?).ok()
    }
}

/// Sends one command to the Redis at `url`.
pub async fn ask(url: &str, words: &[&str]) -> redis::RedisResult<redis::Value> {
    let mut connection = redis::Client::open(url)?.get_multiplexed_async_connection().await?;
    let mut command = redis::cmd(words[0]);
    for word in &words[1..] {
        command.arg(*word);
    }
    command.query_async(&mut connection).await
}
