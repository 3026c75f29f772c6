//! Slots move while they are used, and a master dies.

use super::trial::{Addresses, Trial, prefix};
use super::{Pace, Report};
use crate::servers::acl::{gateway_login, worker_login};
use crate::servers::{Cluster, Postgres};

pub(super) async fn run(pace: Pace) -> Report {
    let prefix = prefix();
    let (mut cluster, postgres) = tokio::join!(Cluster::start(&prefix), Postgres::start());
    let addresses = Addresses {
        postgres: postgres.url("postgres"),
        redis_for_worker: cluster.url(&worker_login()),
        redis_for_gateway: cluster.url(&gateway_login()),
        prefix: &prefix,
        settings: Vec::new(),
    };
    let mut trial = Trial::begin("cluster", pace, addresses).await;
    trial.quiet_ones_speak().await;

    let (from, to) = (0, 1);
    let slots: Vec<u16> = cluster.used_slots(from).await.into_keys().collect();
    let (halfway, at_once) = slots.split_at(slots.len() / 2);
    trial.says(&format!("{} slots are opened to be moved, and left so", halfway.len()));
    for slot in halfway {
        cluster.open_slot(*slot, from, to).await;
        cluster.move_keys(*slot, from, to).await;
    }
    trial.goes_on().await;
    trial.goes_on().await;
    trial.keeps_up().await;
    for slot in halfway {
        // What came meanwhile lies on the new server already.
        cluster.move_keys(*slot, from, to).await;
        cluster.close_slot(*slot, from, to).await;
    }
    trial.says(&format!("they are closed; {} more are moved at once", at_once.len()));
    for slot in at_once {
        cluster.open_slot(*slot, from, to).await;
        cluster.move_keys(*slot, from, to).await;
        cluster.close_slot(*slot, from, to).await;
    }
    cluster.agrees().await;
    trial.goes_on().await;
    trial.keeps_up().await;

    trial.says("a master is killed");
    cluster.server(to).kill();
    cluster.replaces(to).await;
    trial.says("its replica has taken over");
    trial.goes_on().await;
    cluster.server(to).start_again().await;
    cluster.agrees().await;
    trial.says("the killed one is back, as a replica");
    trial.goes_on().await;
    trial.keeps_up().await;
    trial.end().await
}
