//! The servers of a Redis, be it one or a cluster.

use futures::FutureExt as _;
use redis::aio::ConnectionLike;
use redis::{Cmd, Pipeline, RedisFuture, RedisResult, TlsCertificates, Value};

use crate::QueueError;
use crate::address::Address;
use crate::cluster::Cluster;
use crate::dialer::Dialer;
use crate::line::{Channel, Line};

/// Where commands go.
#[derive(Clone)]
pub(crate) enum Servers {
    /// All to one server.
    One(Line),
    /// Each to the one that has its key.
    Cluster(Cluster),
}

impl Servers {
    /// Does not touch the network. Needs to be called within a Tokio runtime.
    pub(crate) fn new(address: Address, certificates: Option<TlsCertificates>) -> Result<Servers, QueueError> {
        let servers = match address {
            Address::One(server) => Dialer::one(server, certificates).map(|dialer| Servers::One(Line::new(dialer))),
            Address::Sentinel { sentinels, master, server } => {
                Dialer::sentinel(&sentinels, &master, &server, certificates)
                    .map(|dialer| Servers::One(Line::new(dialer)))
            }
            Address::Cluster(servers) => Cluster::new(&servers, certificates).map(Servers::Cluster),
        };
        servers.map_err(QueueError::redis("reading the address"))
    }

    /// Whether keys may lie on different servers.
    pub(crate) fn is_cluster(&self) -> bool {
        matches!(self, Servers::Cluster(_))
    }

    /// What commands are sent over.
    pub(crate) fn by(&self, channel: Channel) -> Connection {
        Connection { servers: self.clone(), channel }
    }

    /// Each server that takes writes, as one by itself.
    pub(crate) async fn each(&self) -> RedisResult<Vec<Servers>> {
        match self {
            Servers::One(_) => Ok(vec![self.clone()]),
            Servers::Cluster(cluster) => Ok(cluster.masters().await?.into_iter().map(Servers::One).collect()),
        }
    }

    async fn send(&self, pipeline: &Pipeline, channel: Channel) -> RedisResult<Vec<Value>> {
        match self {
            Servers::One(line) => line.send(pipeline, channel).await,
            Servers::Cluster(cluster) => cluster.send(pipeline, channel).await,
        }
    }
}

/// Something that commands can be sent over.
pub(crate) struct Connection {
    servers: Servers,
    channel: Channel,
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        async move {
            let mut pipeline = Pipeline::with_capacity(1);
            pipeline.add_command(command.clone());
            let answers = self.servers.send(&pipeline, self.channel).await?;
            answers.into_iter().next().unwrap_or(Value::Nil).extract_error()
        }
        .boxed()
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        _offset: usize,
        _count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        // These two are for transactions, which there are none of.
        async move { self.servers.send(pipeline, self.channel).await }.boxed()
    }

    fn get_db(&self) -> i64 {
        0
    }
}
