//! The primary dies and its standby takes over: one that had every commit, or one that lagged.

use super::trial::{Addresses, Trial, prefix};
use super::{Pace, Report};
use crate::servers::{Forwarder, Postgres, Redis, RedisLimits};

/// How the standby follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Following {
    /// A commit is done when the standby has it.
    Closely,
    /// A commit is done when the primary has it, and the last ones never reach the standby.
    CutOff,
}

pub(super) async fn run(following: Following, pace: Pace) -> Report {
    let prefix = prefix();
    let (redis, mut primary) = tokio::join!(Redis::start(RedisLimits::default()), Postgres::start());
    // What clients know, and what the standby follows by.
    let front = Forwarder::to(primary.address()).await;
    let link = Forwarder::to(primary.address()).await;
    let standby = primary.standby(link.address()).await;
    let engine = match following {
        Following::Closely => "standby-sync",
        Following::CutOff => "standby-async",
    };
    if following == Following::Closely {
        primary.wait_for_standby().await;
    }
    let addresses = Addresses {
        postgres: format!("postgres://postgres@{}/postgres", front.address()),
        redis_for_worker: redis.url(),
        redis_for_gateway: redis.url(),
        prefix: &prefix,
        settings: Vec::new(),
    };
    let mut trial = Trial::begin(engine, pace, addresses).await;
    trial.goes_on().await;

    if following == Following::CutOff {
        trial.says("the standby is cut off");
        link.point_at(None);
        trial.goes_on().await;
    }
    trial.quiet_ones_speak().await;
    let committed = committed(&primary, &trial).await;
    primary.kill();
    front.point_at(None);
    standby.promote().await;
    let kept = self::committed(&standby, &trial).await;
    trial.says(&format!("the primary is killed, the standby promoted: it has {kept} of at least {committed} notices"));
    match following {
        Following::Closely => assert!(kept >= committed, "a synchronous standby has every commit"),
        Following::CutOff => assert!(kept < committed, "the standby lags: else nothing is proved"),
    }
    front.point_at(Some(standby.address()));
    trial.goes_on().await;
    trial.goes_on().await;
    trial.keeps_up().await;
    trial.end().await
}

/// Notices in the database of a server.
async fn committed(server: &Postgres, trial: &Trial) -> i64 {
    let name = trial.croak.database_name();
    crate::bodies::count(&sqlx::PgPool::connect_lazy(&server.url(name)).expect("an address")).await
}
