//! Croak on the servers that people really run: a Redis that sentinels watch, a cluster, both over TLS; a PostgreSQL with a
//! standby, or one that is set back. While notices come in, what these are made for happens, and then everything is counted.
//!
//! `script/engines` runs them; `tests/e2e/engines.rs` runs shorter ones with the other tests.

mod cluster;
mod report;
mod restore;
mod sentinel;
mod standby;
mod tls;
mod trial;

use std::time::Duration;

pub use report::Report;

/// What is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// Redis with replicas that sentinels watch: the master is killed, comes back, its successor stops and wakes up.
    Sentinel,
    /// A Redis cluster: slots move while they are used, a master is killed.
    Cluster,
    /// Both servers over TLS, and Redis' users with no right too many: each server is killed.
    Tls,
    /// PostgreSQL whose standby has every commit: the primary is killed, the standby promoted.
    StandbySync,
    /// PostgreSQL whose standby lags: the same, and the last commits are gone.
    StandbyAsync,
    /// PostgreSQL is set back by a minute.
    Restore,
}

impl Engine {
    /// All of them.
    pub const ALL: [Engine; 6] =
        [Engine::Sentinel, Engine::Cluster, Engine::Tls, Engine::StandbySync, Engine::StandbyAsync, Engine::Restore];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Engine::Sentinel => "sentinel",
            Engine::Cluster => "cluster",
            Engine::Tls => "tls",
            Engine::StandbySync => "standby-sync",
            Engine::StandbyAsync => "standby-async",
            Engine::Restore => "restore",
        }
    }

    /// The one of this name.
    pub fn named(name: &str) -> Option<Engine> {
        Engine::ALL.into_iter().find(|engine| engine.name() == name)
    }

    /// Runs it.
    pub async fn run(self, pace: Pace) -> Report {
        match self {
            Engine::Sentinel => sentinel::run(pace).await,
            Engine::Cluster => cluster::run(pace).await,
            Engine::Tls => tls::run(pace).await,
            Engine::StandbySync => standby::run(standby::Following::Closely, pace).await,
            Engine::StandbyAsync => standby::run(standby::Following::CutOff, pace).await,
            Engine::Restore => restore::run(pace).await,
        }
    }
}

/// How much comes in, and how long.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Notices.
    pub per_second: u32,
    /// Between two things that happen.
    pub stretch: Duration,
}
