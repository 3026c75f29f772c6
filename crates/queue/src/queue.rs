//! The handle on Redis: keys, connections, and what a worker does with a lane.

use std::sync::Arc;
use std::time::Duration;

use deadpool_redis::{Pool, PoolConfig, Runtime, Timeouts};
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{AsyncConnectionConfig, Client, ConnectionInfo, IntoConnectionInfo, Value};
use uuid::Uuid;

use crate::entry::Entry;
use crate::stream_id::StreamId;
use crate::{Lanes, QueueError};

/// Longest wait for an answer from Redis.
///
/// Giving up does not take the command back: Redis may apply it later, after the
/// retry. Whoever sends again must therefore be harmless to repeat.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// After this long without a sign of the other side a connection counts as dead.
const SILENCE_MAX: Duration = Duration::from_secs(15);

/// Connections for what is small and rare, so that it never stands behind a lane's megabytes.
const SIDE_CONNECTIONS_MAX: usize = 2;

/// Where Redis is and what our keys there begin with.
#[derive(Clone, Debug)]
pub struct QueueOptions {
    /// `redis://host:port/db`.
    pub url: String,
    /// What every key begins with; two installations on one Redis need two.
    pub prefix: String,
    /// How many lanes the installation has.
    pub lane_count: u16,
}

impl QueueOptions {
    /// Options with the usual prefix and number of lanes.
    pub fn new(url: impl Into<String>) -> QueueOptions {
        QueueOptions { url: url.into(), prefix: "croak".to_owned(), lane_count: 64 }
    }
}

/// Redis, as a transport that may lose, repeat, reorder or forget anything.
///
/// Made without touching the network: a service starts with Redis down, every call fails within
/// seconds while it is, and works again when it is back.
#[derive(Clone)]
pub struct Queue {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) manager: ConnectionManager,
    pub(crate) pool: Pool,
    pub(crate) lanes: Lanes,
    pub(crate) prefix: String,
}

impl Queue {
    /// A handle that connects when it is first used. Needs to be called within a Tokio runtime.
    pub fn connect_lazy(options: QueueOptions) -> Result<Queue, QueueError> {
        let bad_prefix = |c: char| c == '{' || c == '}' || c.is_whitespace() || c.is_control();
        if options.prefix.is_empty() || options.prefix.contains(bad_prefix) {
            return Err(QueueError::Options(format!(
                "the queue prefix `{}` must not be empty, nor contain braces or white space",
                options.prefix
            )));
        }
        let info = connection_info(&options.url)?;
        let client = Client::open(info.clone()).map_err(QueueError::redis("reading the address"))?;
        // One attempt per command: a caller that can wait asks again, one that cannot wants to know.
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(ANSWER_TIMEOUT))
            .set_number_of_retries(0);
        let manager = ConnectionManager::new_lazy_with_config(client, config)
            .map_err(QueueError::redis("preparing the connection"))?;
        Ok(Queue {
            shared: Arc::new(Shared {
                manager,
                pool: side_pool(info)?,
                lanes: Lanes::new(options.lane_count),
                prefix: options.prefix,
            }),
        })
    }

    /// The lanes of this installation.
    pub fn lanes(&self) -> &Lanes {
        &self.shared.lanes
    }

    /// Up to `count` entries of a lane, from its beginning or after a place in it.
    pub async fn read(&self, lane: u16, after: Option<&str>, count: usize) -> Result<Vec<Entry>, QueueError> {
        let start = after.map_or_else(|| "-".to_owned(), |stream_id| format!("({stream_id}"));
        let mut command = redis::cmd("XRANGE");
        command.arg(self.stream_key(lane)).arg(start).arg("+").arg("COUNT").arg(count);
        let entries: Vec<Value> =
            command.query_async(&mut self.connection()).await.map_err(QueueError::redis("reading a lane"))?;
        Ok(entries.into_iter().filter_map(Entry::from_value).collect())
    }

    /// Removes everything of a lane up to and with this entry.
    pub async fn trim(&self, lane: u16, upto: &str) -> Result<u64, QueueError> {
        let upto: StreamId =
            upto.parse().map_err(|_| QueueError::Options(format!("`{upto}` is not a place in a stream")))?;
        let mut command = redis::cmd("XTRIM");
        command.arg(self.stream_key(lane)).arg("MINID").arg(upto.next().to_string());
        command.query_async(&mut self.connection()).await.map_err(QueueError::redis("trimming a lane"))
    }

    /// How many entries a lane holds.
    pub async fn depth(&self, lane: u16) -> Result<u64, QueueError> {
        let mut command = redis::cmd("XLEN");
        command.arg(self.stream_key(lane));
        command.query_async(&mut self.connection()).await.map_err(QueueError::redis("measuring a lane"))
    }

    /// Removes all watermarks of a lane: the first thing after a claim.
    ///
    /// Without it a watermark from before the database was set back would survive
    /// here and have gateways delete what the database no longer has.
    pub async fn clear_watermarks(&self, lane: u16) -> Result<(), QueueError> {
        let mut command = redis::cmd("DEL");
        command.arg(self.watermarks_key(lane));
        command.query_async(&mut self.connection()).await.map_err(QueueError::redis("clearing watermarks"))
    }

    /// Publishes **all** watermarks of a lane, once per claim, after [`Queue::clear_watermarks`].
    ///
    /// With the token in field `_` this says: a journal that is missing here has nothing committed.
    pub async fn publish_watermarks(
        &self,
        lane: u16,
        token: i64,
        watermarks: &[(Uuid, u64)],
    ) -> Result<(), QueueError> {
        let mut command = redis::cmd("HSET");
        command.arg(self.watermarks_key(lane));
        for (journal, watermark) in watermarks {
            command.arg(journal.to_string()).arg(watermark);
        }
        command.arg("_").arg(token);
        command.query_async(&mut self.connection()).await.map_err(QueueError::redis("publishing watermarks"))
    }

    /// Publishes the watermarks of journals **seen since the claim**, changed or not, every second.
    ///
    /// Without the token: when Redis has forgotten the lane meanwhile, what is missing must stay
    /// unknown and not become 0. Unchanged ones go too, or a gateway that sent again what was
    /// committed long ago (because Redis forgot its watermark) would never hear so.
    pub async fn update_watermarks(&self, lane: u16, watermarks: &[(Uuid, u64)]) -> Result<(), QueueError> {
        if watermarks.is_empty() {
            return Ok(());
        }
        let mut command = redis::cmd("HSET");
        command.arg(self.watermarks_key(lane));
        for (journal, watermark) in watermarks {
            command.arg(journal.to_string()).arg(watermark);
        }
        command.query_async(&mut self.connection()).await.map_err(QueueError::redis("publishing watermarks"))
    }

    pub(crate) fn connection(&self) -> ConnectionManager {
        self.shared.manager.clone()
    }

    pub(crate) fn stream_key(&self, lane: u16) -> String {
        format!("{}:q:{{{}}}", self.shared.prefix, self.shared.lanes.tag(lane))
    }

    pub(crate) fn watermarks_key(&self, lane: u16) -> String {
        format!("{}:ack:{{{}}}", self.shared.prefix, self.shared.lanes.tag(lane))
    }
}

/// The address, with a connection that notices when the other side has vanished without a word.
fn connection_info(url: &str) -> Result<ConnectionInfo, QueueError> {
    let info = url.into_connection_info().map_err(QueueError::redis("reading the address"))?;
    let tcp = info.tcp_settings().clone().set_nodelay(true).set_user_timeout(SILENCE_MAX);
    Ok(info.set_tcp_settings(tcp))
}

fn side_pool(info: ConnectionInfo) -> Result<Pool, QueueError> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT_TIMEOUT))
        .set_response_timeout(Some(ANSWER_TIMEOUT));
    let manager =
        deadpool_redis::Manager::new_with_config(info, config).map_err(QueueError::redis("preparing connections"))?;
    let mut limits = PoolConfig::new(SIDE_CONNECTIONS_MAX);
    limits.timeouts =
        Timeouts { wait: Some(ANSWER_TIMEOUT), create: Some(CONNECT_TIMEOUT), recycle: Some(CONNECT_TIMEOUT) };
    Pool::builder(manager)
        .config(limits)
        .runtime(Runtime::Tokio1)
        .build()
        .map_err(|error| QueueError::Options(format!("the connections to redis cannot be prepared: {error}")))
}
