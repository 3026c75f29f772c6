//! What is small and rare on Redis: the snapshot of projects, whose installation it is, how it does.

use notice::Snapshot;
use notice::prost::Message;
use uuid::Uuid;

use crate::line::Channel;
use crate::{Queue, QueueError};

/// How much memory Redis has and what it does when there is none left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryPolicy {
    /// `noeviction`, or one that silently throws notices away.
    pub policy: String,
    /// The limit in bytes; 0 is none.
    pub bytes_max: u64,
    /// Bytes in use.
    pub bytes_used: u64,
}

impl MemoryPolicy {
    fn read(info: &str) -> MemoryPolicy {
        let field =
            |name: &str| info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap_or_default();
        MemoryPolicy {
            policy: field("maxmemory_policy").to_owned(),
            bytes_max: field("maxmemory").parse().unwrap_or(0),
            bytes_used: field("used_memory").parse().unwrap_or(0),
        }
    }
}

impl Queue {
    /// Publishes what gateways know of projects.
    pub async fn put_snapshot(&self, snapshot: &Snapshot) -> Result<(), QueueError> {
        let doing = "publishing the snapshot";
        let mut command = redis::cmd("HSET");
        command.arg(self.key("snapshot")).arg("v").arg(snapshot.version).arg("p").arg(snapshot.encode_to_vec());
        self.ask(doing, &command).await
    }

    /// The version of the published snapshot: cheap to ask for again and again.
    pub async fn snapshot_version(&self) -> Result<Option<u64>, QueueError> {
        let doing = "reading the snapshot's version";
        let mut command = redis::cmd("HMGET");
        command.arg(self.key("snapshot")).arg("v");
        let (version,): (Option<u64>,) = self.ask(doing, &command).await?;
        Ok(version)
    }

    /// The published snapshot.
    pub async fn get_snapshot(&self) -> Result<Option<Snapshot>, QueueError> {
        let doing = "reading the snapshot";
        let mut command = redis::cmd("HMGET");
        command.arg(self.key("snapshot")).arg("p");
        let (snapshot,): (Option<Vec<u8>>,) = self.ask(doing, &command).await?;
        Ok(snapshot.map(|bytes| Snapshot::decode(bytes.as_slice())).transpose()?)
    }

    /// Claims the prefix for an installation if nobody has; `false` when it is another one's.
    ///
    /// To be repeated now and then: Redis may have forgotten it.
    pub async fn claim_install(&self, install_id: &Uuid) -> Result<bool, QueueError> {
        // A full Redis refuses every SET, also one that would change nothing, and only a worker can empty it.
        if let Some(found) = self.install_id().await? {
            return Ok(found == *install_id);
        }
        let doing = "claiming the prefix";
        let mut command = redis::cmd("SET");
        command.arg(self.key("install")).arg(install_id.to_string()).arg("NX");
        let claimed: Option<String> = self.ask(doing, &command).await?;
        if claimed.is_some() {
            return Ok(true);
        }
        // Somebody was quicker; or Redis has forgotten them since, and then it is nobody's.
        Ok(self.install_id().await?.is_none_or(|found| found == *install_id))
    }

    /// The installation that the prefix belongs to, if one has claimed it.
    pub async fn install_id(&self) -> Result<Option<Uuid>, QueueError> {
        let mut command = redis::cmd("GET");
        command.arg(self.key("install"));
        let install_id: Option<String> = self.ask("reading the installation's id", &command).await?;
        match install_id {
            None => Ok(None),
            Some(text) => match text.parse() {
                Ok(install_id) => Ok(Some(install_id)),
                Err(_) => {
                    Err(QueueError::Options(format!("key {} does not hold an installation's id", self.key("install"))))
                }
            },
        }
    }

    /// Whether Redis answers.
    pub async fn ping(&self) -> Result<(), QueueError> {
        self.ask("asking for a sign of life", &redis::cmd("PING")).await
    }

    /// What each server does when its memory is full; a cluster has several. Anything but `noeviction` costs re-sending,
    /// not notices.
    pub async fn memory_policies(&self) -> Result<Vec<MemoryPolicy>, QueueError> {
        let wrong = || QueueError::redis("asking for its memory");
        let mut policies = Vec::new();
        for server in self.shared.servers.each().await.map_err(wrong())? {
            let mut command = redis::cmd("INFO");
            command.arg("memory");
            let info: String = command.query_async(&mut server.by(Channel::Side)).await.map_err(wrong())?;
            policies.push(MemoryPolicy::read(&info));
        }
        Ok(policies)
    }

    async fn ask<T: redis::FromRedisValue>(&self, doing: &'static str, command: &redis::Cmd) -> Result<T, QueueError> {
        command.query_async(&mut self.shared.servers.by(Channel::Side)).await.map_err(QueueError::redis(doing))
    }

    fn key(&self, name: &str) -> String {
        format!("{}:{name}", self.shared.prefix)
    }
}
