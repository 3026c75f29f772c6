//! A cluster of three masters with a replica each.

use std::collections::BTreeMap;
use std::time::Duration;

use redis::Value;

use super::acl::{Users, users};
use super::redis::Redis;
use crate::port::Port;
use crate::wait_until;

/// Masters, and as many replicas.
const MASTERS: usize = 3;

/// Slots of a cluster.
const SLOTS: usize = 16_384;

/// A server is missed after so long without a sign of life.
const NODE_TIMEOUT_MS: u32 = 2_000;

/// The cluster must agree this soon.
const AGREE_LIMIT: Duration = Duration::from_secs(40);

/// A cluster; the first three servers begin as its masters.
#[derive(Debug)]
pub struct Cluster {
    servers: Vec<Redis>,
    /// Where servers talk to each other; kept from other tests.
    _buses: Vec<Port>,
}

impl Cluster {
    /// Starts it, with the users of deploy/README.md for keys that begin with `prefix`.
    pub async fn start(prefix: &str) -> Cluster {
        let (mut servers, mut buses) = (Vec::new(), Vec::new());
        for _ in 0..2 * MASTERS {
            let bus = Port::free();
            let (bus_port, timeout) = (bus.number().to_string(), NODE_TIMEOUT_MS.to_string());
            let mut settings: Vec<String> = ["--cluster-enabled", "yes", "--cluster-port", &bus_port]
                .iter()
                .chain(&["--cluster-node-timeout", &timeout, "--repl-diskless-sync-delay", "0"])
                .map(|word| (*word).to_owned())
                .collect();
            settings.extend(users(Users::Clustered, prefix));
            servers.push(Redis::start_with(&settings).await);
            buses.push(bus);
        }
        let cluster = Cluster { servers, _buses: buses };
        cluster.join().await;
        cluster
    }

    async fn join(&self) {
        for (at, master) in self.servers[..MASTERS].iter().enumerate() {
            let (first, last) = (at * SLOTS / MASTERS, (at + 1) * SLOTS / MASTERS - 1);
            master.must(&["CLUSTER", "ADDSLOTSRANGE", &first.to_string(), &last.to_string()]).await;
        }
        let first = self.servers[0].port().to_string();
        let first_bus = self._buses[0].number().to_string();
        for server in &self.servers[1..] {
            server.must(&["CLUSTER", "MEET", "127.0.0.1", &first, &first_bus]).await;
        }
        wait_until("all servers know each other", AGREE_LIMIT, async || {
            for server in &self.servers {
                if server.cluster_info("cluster_known_nodes").await? != (2 * MASTERS).to_string() {
                    return None;
                }
            }
            Some(())
        })
        .await;
        for (at, replica) in self.servers[MASTERS..].iter().enumerate() {
            let master = self.servers[at].node_id().await;
            wait_until("a replica follows", AGREE_LIMIT, async || {
                replica.ask(&["CLUSTER", "REPLICATE", &master]).await.ok()
            })
            .await;
        }
        self.agrees().await;
    }

    /// Waits until every server that runs says that all slots are served, and each master has its replica.
    pub async fn agrees(&self) {
        wait_until("the cluster serves all slots", AGREE_LIMIT, async || {
            for server in self.servers.iter().filter(|server| server.is_running()) {
                let info = server.info("replication").await?;
                let is_cut_off = info.contains("role:slave") && info.contains("master_link_status:down");
                if server.cluster_info("cluster_state").await? != "ok" || is_cut_off {
                    return None;
                }
            }
            Some(())
        })
        .await;
    }

    /// `redis-cluster://…` for who logs in so.
    pub fn url(&self, login: &str) -> String {
        // Not all: a client finds the others.
        let servers: Vec<String> = self.servers[1..4].iter().map(|server| server.address().to_string()).collect();
        format!("redis-cluster://{login}@{}", servers.join(","))
    }

    /// The server at a place.
    pub fn server(&mut self, at: usize) -> &mut Redis {
        &mut self.servers[at]
    }

    /// The places of the servers that are masters now.
    pub async fn masters(&self) -> Vec<usize> {
        let mut masters = Vec::new();
        for (at, server) in self.servers.iter().enumerate().filter(|(_, server)| server.is_running()) {
            if server.info("replication").await.is_some_and(|info| info.contains("role:master")) {
                masters.push(at);
            }
        }
        masters
    }

    /// Waits until there are as many masters as there should be without this one.
    pub async fn replaces(&self, killed: usize) {
        wait_until("a replica takes over", AGREE_LIMIT, async || {
            let masters = self.masters().await;
            (masters.len() == MASTERS && !masters.contains(&killed)).then_some(())
        })
        .await;
        self.agrees().await;
    }

    /// The slots of a server in which keys lie, with how many.
    pub async fn used_slots(&self, at: usize) -> BTreeMap<u16, u64> {
        let server = &self.servers[at];
        let mut used = BTreeMap::new();
        let keys: Vec<String> = redis::from_redis_value(server.must(&["KEYS", "*"]).await).expect("names of keys");
        for key in keys {
            let slot: u16 = redis::from_redis_value(server.must(&["CLUSTER", "KEYSLOT", &key]).await).expect("a slot");
            *used.entry(slot).or_default() += 1;
        }
        used
    }

    /// Opens a slot to be moved: the old server sends clients on for what it has not, the new one takes what is announced.
    pub async fn open_slot(&self, slot: u16, from: usize, to: usize) {
        let (old, new) = (self.servers[from].node_id().await, self.servers[to].node_id().await);
        let slot = slot.to_string();
        self.servers[to].must(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &old]).await;
        self.servers[from].must(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &new]).await;
    }

    /// Moves the keys of an open slot, one by one.
    pub async fn move_keys(&self, slot: u16, from: usize, to: usize) {
        let (server, port) = (&self.servers[from], self.servers[to].port().to_string());
        let slot = slot.to_string();
        let keys = server.must(&["CLUSTER", "GETKEYSINSLOT", &slot, "1000"]).await;
        for key in redis::from_redis_value::<Vec<String>>(keys).expect("names of keys") {
            server.must(&["MIGRATE", "127.0.0.1", &port, &key, "0", "5000"]).await;
        }
    }

    /// Gives an open slot, empty by now, to its new server.
    pub async fn close_slot(&self, slot: u16, from: usize, to: usize) {
        let new = self.servers[to].node_id().await;
        for at in [to, from] {
            self.servers[at].must(&["CLUSTER", "SETSLOT", &slot.to_string(), "NODE", &new]).await;
        }
    }
}

impl Redis {
    async fn must(&self, words: &[&str]) -> Value {
        self.ask(words).await.unwrap_or_else(|error| panic!("{words:?}: {error}"))
    }

    async fn node_id(&self) -> String {
        redis::from_redis_value(self.must(&["CLUSTER", "MYID"]).await).expect("an id")
    }

    async fn cluster_info(&self, field: &str) -> Option<String> {
        let info: String = redis::from_redis_value(self.ask(&["CLUSTER", "INFO"]).await.ok()?).ok()?;
        info.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':')).map(|value| value.trim().to_owned())
    }
}
