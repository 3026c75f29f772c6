//! The database is set back by a minute, as from a backup: what it has forgotten is in the journals.

use std::time::{Duration, Instant};

use super::trial::{Addresses, Trial, prefix};
use super::{Pace, Report};
use crate::servers::{Archive, Postgres, Redis, RedisLimits};

/// How far the database is set back.
const SET_BACK: Duration = Duration::from_secs(60);

/// So much longer notices come in before: the database knows of some.
const BEFORE: Duration = Duration::from_secs(15);

pub(super) async fn run(pace: Pace) -> Report {
    let prefix = prefix();
    let archive = Archive::new();
    let settings = archive.settings();
    let (redis, mut postgres) = tokio::join!(Redis::start(RedisLimits::default()), Postgres::start_with(&settings));
    let addresses = Addresses {
        postgres: postgres.url("postgres"),
        redis_for_worker: redis.url(),
        redis_for_gateway: redis.url(),
        prefix: &prefix,
        settings: Vec::new(),
    };
    let mut trial = Trial::begin("restore", pace, addresses).await;
    archive.back_up(&postgres).await;
    let backed_up_at = Instant::now();
    trial.says("a base backup is made");

    tokio::time::sleep(BEFORE + SET_BACK / 2).await;
    // In the part that will be forgotten, by lanes that have nothing to do then.
    trial.quiet_ones_speak().await;
    tokio::time::sleep((BEFORE + SET_BACK).saturating_sub(backed_up_at.elapsed())).await;

    let pool = trial.croak.pool();
    let moment: String = sqlx::query_scalar("select (clock_timestamp() - make_interval(secs => $1))::text")
        .bind(SET_BACK.as_secs_f64())
        .fetch_one(&pool)
        .await
        .expect("the time");
    let committed = crate::bodies::count(&pool).await;
    archive.set_back(&mut postgres, &moment).await;
    let kept = crate::bodies::count(&trial.croak.pool()).await;
    trial.says(&format!("the database is as it was at {moment}: it has at most {kept} of {committed} notices"));
    trial.goes_on().await;
    trial.goes_on().await;
    trial.keeps_up().await;
    trial.end().await
}
