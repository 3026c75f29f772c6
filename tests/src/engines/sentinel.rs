//! A master dies, comes back, and its successor sleeps.

use super::trial::{Addresses, Trial, prefix};
use super::{Pace, Report};
use crate::servers::acl::{gateway_login, sentinel_query, worker_login};
use crate::servers::{Postgres, Watched};

pub(super) async fn run(pace: Pace) -> Report {
    let prefix = prefix();
    let (mut servers, postgres) = tokio::join!(Watched::start(&prefix), Postgres::start());
    let addresses = Addresses {
        postgres: postgres.url("postgres"),
        redis_for_worker: servers.url(&worker_login(), &sentinel_query()),
        redis_for_gateway: servers.url(&gateway_login(), &sentinel_query()),
        prefix: &prefix,
        settings: Vec::new(),
    };
    let mut trial = Trial::begin("sentinel", pace, addresses).await;
    trial.quiet_ones_speak().await;

    let first = servers.master().await;
    trial.says("the master is killed");
    servers.server(first).kill();
    let second = servers.other_master(first).await;
    trial.says("another is the master");
    trial.goes_on().await;

    // It takes itself for a master, with nothing in it, until the sentinels tell it otherwise.
    servers.server(first).start_again().await;
    trial.says("the first one is back, empty");
    trial.goes_on().await;
    trial.keeps_up().await;

    trial.says("the master stands still");
    servers.server(second).freeze();
    servers.other_master(second).await;
    trial.says("another is the master");
    trial.goes_on().await;
    // Connections to it were never closed: it answers again, and knows nothing of what happened.
    servers.server(second).thaw();
    trial.says("the one that stood still goes on");
    trial.goes_on().await;
    trial.keeps_up().await;
    trial.end().await
}
