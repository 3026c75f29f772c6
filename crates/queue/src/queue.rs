//! The handle on Redis: keys, connections, and what a worker does with a lane.

use std::sync::{Arc, PoisonError, RwLock};

use notice::LaneEpoch;
use redis::Value;
use uuid::Uuid;

use crate::address::Address;
use crate::entry::Entry;
use crate::line::Channel;
use crate::servers::{Connection, Servers};
use crate::stream_id::StreamId;
use crate::{Lanes, QueueError, TlsFiles};

/// Where Redis is and what our keys there begin with.
#[derive(Clone, Debug)]
pub struct QueueOptions {
    /// `redis://…`, `redis-sentinel://…` or `redis-cluster://…`.
    pub url: String,
    /// Certificates, for an address with TLS.
    pub tls: TlsFiles,
    /// What every key begins with; two installations on one Redis need two.
    pub prefix: String,
    /// How many lanes the installation has, until [`Queue::learn_lanes`] says more.
    pub lane_count: u16,
}

impl QueueOptions {
    /// Options with the usual prefix and number of lanes.
    pub fn new(url: impl Into<String>) -> QueueOptions {
        QueueOptions { url: url.into(), tls: TlsFiles::default(), prefix: "croak".to_owned(), lane_count: 64 }
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
    pub(crate) servers: Servers,
    lanes: RwLock<Arc<Lanes>>,
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
        let address = Address::parse(&options.url)?;
        let certificates = options.tls.read(&address)?;
        Ok(Queue {
            shared: Arc::new(Shared {
                servers: Servers::new(address, certificates)?,
                lanes: RwLock::new(Arc::new(Lanes::new(options.lane_count))),
                prefix: options.prefix,
            }),
        })
    }

    /// The lanes of this installation.
    pub fn lanes(&self) -> Arc<Lanes> {
        Arc::clone(&self.shared.lanes.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The installation has the lanes of these epochs, oldest first: known to every handle from now on. Where a database that
    /// was set back lacks the newest, they stay known: somebody may be at work on them.
    pub fn learn_lanes(&self, epochs: &[LaneEpoch]) -> Result<(), QueueError> {
        if epochs.is_empty() || !self.lanes().epochs().starts_with(epochs) {
            let lanes = Arc::new(Lanes::of(epochs)?);
            *self.shared.lanes.write().unwrap_or_else(PoisonError::into_inner) = lanes;
        }
        Ok(())
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

    /// Publishes **all** watermarks of a lane: first after [`Queue::clear_watermarks`], and again now and then.
    ///
    /// With the token in field `_` this says: a journal that is missing here has nothing committed. `beat` is another number each time: by it
    /// gateways tell a worker that says so now from what one wrote before the database went away.
    pub async fn publish_watermarks(
        &self,
        lane: u16,
        token: i64,
        beat: u64,
        watermarks: &[(Uuid, u64)],
    ) -> Result<(), QueueError> {
        let mut command = self.watermarks(lane, token, watermarks);
        command.arg("_").arg(token).arg(BEAT_FIELD).arg(beat);
        command.query_async(&mut self.connection()).await.map_err(QueueError::redis("publishing watermarks"))
    }

    /// Publishes the watermarks of journals **seen since the claim**, changed or not, every second.
    ///
    /// Without field `_`: when Redis has forgotten the lane meanwhile, what is missing must stay
    /// unknown and not become 0. Unchanged ones go too, or a gateway that sent again what was
    /// committed long ago (because Redis forgot its watermark) would never hear so.
    pub async fn update_watermarks(&self, lane: u16, token: i64, watermarks: &[(Uuid, u64)]) -> Result<(), QueueError> {
        if watermarks.is_empty() {
            return Ok(());
        }
        let command = self.watermarks(lane, token, watermarks);
        command.query_async(&mut self.connection()).await.map_err(QueueError::redis("publishing watermarks"))
    }

    fn watermarks(&self, lane: u16, token: i64, watermarks: &[(Uuid, u64)]) -> redis::Cmd {
        let mut command = redis::cmd("HSET");
        command.arg(self.watermarks_key(lane));
        for (journal, watermark) in watermarks {
            command.arg(watermark_field(journal, token)).arg(watermark);
        }
        command
    }

    /// Whether lanes may lie on different servers.
    pub(crate) fn is_cluster(&self) -> bool {
        self.shared.servers.is_cluster()
    }

    pub(crate) fn connection(&self) -> Connection {
        self.shared.servers.by(Channel::Lanes)
    }

    pub(crate) fn stream_key(&self, lane: u16) -> String {
        format!("{}:q:{{{}}}", self.shared.prefix, self.lanes().tag(lane))
    }

    pub(crate) fn watermarks_key(&self, lane: u16) -> String {
        format!("{}:ack:{{{}}}", self.shared.prefix, self.lanes().tag(lane))
    }
}

/// The field of the number that is another one at each publication of all watermarks.
pub(crate) const BEAT_FIELD: &str = "beat";

/// The field of a journal's watermark. Each claim has its own, and gateways read those of the claim in field `_`: whoever
/// has lost a lane and does not know yet goes on to publish what it has in memory, which may be gone from the database.
pub(crate) fn watermark_field(journal: &Uuid, token: i64) -> String {
    format!("{journal}:{token}")
}
