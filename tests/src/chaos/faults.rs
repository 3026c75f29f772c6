//! Injecting a fault, and taking it back.

use std::os::unix::process::ExitStatusExt as _;
use std::time::Duration;

use sqlx::{PgPool, Row as _};

use crate::process::{Process, Signal};
use crate::servers::Redis;
use crate::wait_until;

use super::fleet::{Fleet, Member, REDIS_MB};
use super::log::Log;
use super::measures;
use super::poison::Poison;
use super::schedule::{Fault, Kind, Victim};

/// A gateway whose disk is broken has noticed within this.
const ABORT_LIMIT: Duration = Duration::from_secs(10);

/// What a gateway says that ends because it cannot begin a journal.
const NO_JOURNAL: &str = "cannot open the journal";

/// A Redis that nothing is wrong with answers within this.
const REDIS_LIMIT: Duration = Duration::from_secs(30);

/// How long a worker is watched for a transaction to be frozen in.
const SEARCH_LIMIT: Duration = Duration::from_secs(4);

/// Injects a fault for as long as it lasts.
pub(super) async fn inject(fleet: &Fleet, log: &Log, poison: &Poison, fault: Fault) {
    match fault.victim {
        Victim::Gateway(number) => on_service(fleet, log, &fleet.gateways[number], fault).await,
        Victim::Worker(number) => on_service(fleet, log, &fleet.workers[number], fault).await,
        Victim::Redis => on_redis(fleet, log, fault).await,
        Victim::Postgres => on_postgres(fleet, log, fault).await,
        Victim::Lanes if fault.kind == Kind::Reshard => {
            let number = log.begins(fault);
            log.ends(number, reshard(fleet, fault).await);
        }
        Victim::Lanes => {
            let number = log.begins(fault);
            let entry_count = poison.spread().await;
            log.ends(number, format!("{entry_count} entries"));
        }
    }
}

/// Whether this machine can have such a fault.
pub(super) fn is_possible(fleet: &Fleet, kind: Kind) -> bool {
    match kind {
        Kind::FillDisk => fleet.small_disk.is_some(),
        Kind::SlowDisk | Kind::BreakDisk | Kind::GatewayClockBack | Kind::WorkerClockBack => {
            fleet.members().all(|member| member.switch.is_some())
        }
        _ => true,
    }
}

async fn on_service(fleet: &Fleet, log: &Log, member: &Member, fault: Fault) {
    let mut service = member.service.lock().await;
    let number = log.begins(fault);
    let switch = || member.switch.as_ref().expect("whoever cannot have this is not asked");
    let mut note = String::new();
    match fault.kind {
        Kind::KillWorker | Kind::KillGateway => {
            service.process.kill();
            tokio::time::sleep(fault.lasts).await;
            service.start_again();
        }
        Kind::FreezeInTransaction => {
            let pool = fleet.croak.pool();
            let searching_since = log.now();
            loop {
                service.process.signal(Signal::STOP);
                if has_open_transaction(&pool).await {
                    note = "a transaction was open".to_owned();
                    break;
                }
                if log.now() > searching_since + SEARCH_LIMIT {
                    note = "no transaction was met".to_owned();
                    break;
                }
                service.process.signal(Signal::CONT);
                tokio::time::sleep(Duration::from_millis(rand::random_range(1..10))).await;
            }
            tokio::time::sleep(fault.lasts).await;
            service.process.signal(Signal::CONT);
        }
        Kind::FreezeWorker | Kind::FreezeGateway => {
            service.process.signal(Signal::STOP);
            tokio::time::sleep(fault.lasts).await;
            service.process.signal(Signal::CONT);
        }
        Kind::FillDisk => {
            let disk = fleet.small_disk.as_ref().expect("whoever cannot have this is not asked");
            service.process.kill();
            disk.fill();
            service.start_again();
            tokio::time::sleep(fault.lasts).await;
            disk.empty();
        }
        Kind::SlowDisk => {
            switch().slow_disk(fault.amount);
            tokio::time::sleep(fault.lasts).await;
            switch().slow_disk(Duration::ZERO);
        }
        Kind::BreakDisk => {
            switch().broken_disk(true);
            // What was under way when it broke is over.
            tokio::time::sleep(Duration::from_millis(100)).await;
            let before = measures::accepted(service.admin_address()).await;
            let ended = tokio::time::timeout(ABORT_LIMIT, service.process.ended()).await;
            let after = measures::accepted(service.admin_address()).await;
            switch().broken_disk(false);
            match ended {
                Ok(status) if status.signal() == Some(Signal::ABORT.as_raw()) => note = "it has aborted".to_owned(),
                // One that has just been started cannot begin its journal on such a disk, and ends before it takes anything.
                Ok(status) if status.code() == Some(1) && last_words(&service.process).contains(NO_JOURNAL) => {
                    note = "it could not begin its journal, and has ended".to_owned();
                }
                Ok(status) => {
                    let words = last_words(&service.process);
                    let name = &member.name;
                    log.fails(format!("{name} ended with {status} instead of aborting when fdatasync failed: {words}"));
                }
                // One that has no segment cannot begin one on such a disk, and refuses everybody: nothing is lost by trying again.
                Err(_) if before.is_some() && before == after => note = "it has refused everybody".to_owned(),
                Err(_) => log.fails(format!("{} goes on although fdatasync failed", member.name)),
            }
            service.process.kill();
            service.start_again();
        }
        Kind::GatewayClockBack | Kind::WorkerClockBack => {
            switch().clock_back(fault.amount);
            tokio::time::sleep(fault.lasts).await;
            switch().clock_back(Duration::ZERO);
        }
        other => unreachable!("{other:?} is no fault of a service"),
    }
    log.ends(number, note);
}

/// The last line of a service's log.
fn last_words(process: &Process) -> String {
    process.log().lines().last().unwrap_or_default().to_owned()
}

/// Changes the number of lanes, as far as PostgreSQL lets an operator do anything just now; answers what came of it.
async fn reshard(fleet: &Fleet, fault: Fault) -> String {
    let lanes = fault.amount.as_millis().to_string();
    let mut croak = fleet.croak.croak_command(&["lanes", "reshard", "--lanes", &lanes]);
    let output = tokio::task::spawn_blocking(move || croak.output()).await.expect("it does not panic");
    let output = output.expect("croak starts");
    if output.status.success() {
        return format!("{lanes} lanes");
    }
    String::from_utf8_lossy(&output.stderr).trim().to_owned()
}

async fn on_redis(fleet: &Fleet, log: &Log, fault: Fault) {
    let mut redis = fleet.redis.lock().await;
    let number = log.begins(fault);
    match fault.kind {
        Kind::KillRedis => {
            redis.kill();
            tokio::time::sleep(fault.lasts).await;
            redis.start_again().await;
        }
        Kind::EmptyRedis => {
            tell(&redis, &["FLUSHALL"]).await;
        }
        Kind::FreezeRedis => {
            redis.freeze();
            tokio::time::sleep(fault.lasts).await;
            redis.thaw();
        }
        Kind::FillRedis => {
            // Less than it needs empty.
            tell(&redis, &["CONFIG", "SET", "maxmemory", "1mb"]).await;
            tokio::time::sleep(fault.lasts).await;
            tell(&redis, &["CONFIG", "SET", "maxmemory", &format!("{REDIS_MB}mb")]).await;
        }
        other => unreachable!("{other:?} is no fault of redis"),
    }
    log.ends(number, String::new());
}

/// A command to a Redis that runs, though perhaps on a machine that is busy.
async fn tell(redis: &Redis, words: &[&str]) {
    wait_until("redis answers", REDIS_LIMIT, async || redis.ask(words).await.ok()).await;
}

async fn on_postgres(fleet: &Fleet, log: &Log, fault: Fault) {
    let mut postgres = fleet.postgres.lock().await;
    let number = log.begins(fault);
    match fault.kind {
        Kind::RestartPostgres => {
            postgres.kill();
            tokio::time::sleep(fault.lasts).await;
            postgres.start_again().await;
        }
        Kind::FreezePostgres => {
            postgres.freeze();
            tokio::time::sleep(fault.lasts).await;
            postgres.thaw();
        }
        other => unreachable!("{other:?} is no fault of postgres"),
    }
    log.ends(number, String::new());
}

/// Whether a worker that was just stopped holds a transaction open that has changed something: then one does not move.
async fn has_open_transaction(pool: &PgPool) -> bool {
    /// The server finishes the statement that it has.
    const STATEMENT: Duration = Duration::from_millis(20);
    /// A worker that runs goes on sooner.
    const STANDSTILL: Duration = Duration::from_millis(150);
    tokio::time::sleep(STATEMENT).await;
    let before = idle_in_transaction(pool).await;
    if before.is_empty() {
        return false;
    }
    tokio::time::sleep(STANDSTILL).await;
    let after = idle_in_transaction(pool).await;
    before.iter().any(|one| after.contains(one))
}

/// Server process and last move of each transaction of a worker that has changed something and waits for its worker.
async fn idle_in_transaction(pool: &PgPool) -> Vec<(i32, String)> {
    /// PostgreSQL may be hit by a fault of its own: nobody to ask, nothing found.
    const ANSWER_LIMIT: Duration = Duration::from_secs(1);
    let rows = sqlx::query(
        "select pid, state_change::text from pg_stat_activity
         where application_name = 'croak-worker' and state = 'idle in transaction' and backend_xid is not null",
    )
    .fetch_all(pool);
    let Ok(Ok(rows)) = tokio::time::timeout(ANSWER_LIMIT, rows).await else { return Vec::new() };
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}
