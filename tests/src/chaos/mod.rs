//! A whole Croak under load while everything fails that can, and the sums that must hold all the same.
//!
//! [`run`] starts three gateways, four workers, the web, a Redis without persistence and a PostgreSQL, sends to all gateways, and
//! injects the faults of a [`schedule`](schedule::schedule) that is made from the seed alone, several at a time. What must hold:
//!
//! * each id that came with a 2xx is stored exactly once, with all that was sent, or it is hostile and in `dead_notice`;
//! * in each snapshot of the database groups, chunks, minutes, days and projects add up to what is accounted for, less what is dead
//!   and what was declared gone;
//! * what was put into lanes and is no notice is dead, and holds up nothing;
//! * a project that does not share its lanes with a flood is seen within two seconds in 99 of 100 cases, while no fault that stops
//!   everything is under way or less than ten seconds over;
//! * a gateway whose disk fails aborts; nothing else ends by itself; `croak audit` finds nothing.

mod clients;
mod faults;
pub mod fleet;
pub mod kept;
pub mod log;
mod measures;
mod poison;
pub mod report;
pub mod sample;
pub mod schedule;
pub mod sums;
pub mod traffic;
pub mod visible;

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use sqlx::PgPool;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior};

use crate::Api;
use crate::programs::is_debug;

use self::fleet::{Fleet, Project};
use self::log::Log;
use self::measures::Measures;
use self::poison::Poison;
pub use self::report::Report;
use self::schedule::{Kind, schedule};
use self::sums::Sums;
use self::traffic::{Ledger, Route, Traffic};

/// The database has everything this soon after the last fault.
const DRAIN_LIMIT: Duration = Duration::from_secs(120);

/// How often the tables are added up, and services asked.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Snapshots that do not add up and are told: once wrong, all later ones are.
const WRONG_TOLD: usize = 3;

/// Longest wait for a snapshot to be added up while PostgreSQL may stand still.
const LOOK_LIMIT: Duration = Duration::from_secs(10);

/// Notices that wait to be watched; more are not.
const WATCHED_MAX: usize = 64;

/// Projects that must not suffer from the flood.
const QUIET_PROJECTS: i64 = 6;

/// What a run does.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What the schedule is made from.
    pub seed: u64,
    /// How long faults are injected.
    pub run: Duration,
    /// Notices of the flood, in a second.
    pub per_second: u32,
    /// What may fail, as often as it stands here.
    pub kinds: Vec<Kind>,
    /// A mistake that services make on purpose (`journal::failpoint`), in a debug build.
    pub mutant: Option<String>,
}

/// Runs it. The report says what does not hold.
pub async fn run(plan: &Plan) -> Report {
    let flooding = project(2);
    let quiet: Vec<Project> = (3..3 + QUIET_PROJECTS).map(project).collect();
    let projects = [std::slice::from_ref(&flooding), &quiet].concat();
    // Of a stretch of ten minutes that ends during the run the small chunks are merged while everything else goes on.
    let mut settings = vec![("CROAK_COMPACT_AFTER_S", "1".to_owned())];
    settings.extend(plan.mutant.iter().map(|mutant| ("CROAK_MUTANT", mutant.clone())));
    let fleet = Fleet::start(&projects, &settings).await;
    fleet.lacks.iter().for_each(|lack| println!("skipped: {lack}"));
    let pool = fleet.croak.pool();
    let poison = Poison::new(fleet.croak.redis_url(), fleet.croak.prefix());
    let captures = traffic::captures();

    let (watched, watching) = mpsc::channel(WATCHED_MAX);
    let apis: HashMap<i64, Api> = quiet.iter().map(|project| (project.id, api(&fleet, project))).collect();
    let watching = tokio::spawn(visible::watch(apis, watching));
    let route = Route {
        gateways: fleet.gateways.iter().map(|gateway| gateway.address).collect(),
        flooding: &flooding,
        quiet: &quiet,
        per_second: plan.per_second,
    };
    let log = Log::begin();
    let traffic = Traffic::start(&route, captures.clone(), watched);
    let (mut measures, mut looks) = (Measures::new(), Looks::default());
    {
        let faults = inject_all(plan, &fleet, &log, &poison);
        let looking = async {
            let mut ticks = tokio::time::interval(LOOK_EVERY);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                fleet.started_again().await.into_iter().for_each(|ended| log.fails(ended));
                looks.look(&pool, &log).await;
                measures.ask_all(&fleet).await;
            }
        };
        tokio::select! { () = faults => {}, () = looking => {} }
    }

    let healed_at = Instant::now();
    fleet.ready().await;
    poison.spread_again().await;
    let ledger = traffic.stop().await;
    drain(&fleet, &log, &measures).await;
    let drained_after = healed_at.elapsed();
    measures.ask_all(&fleet).await;
    looks.look(&pool, &log).await;
    let seen = watching.await.expect("no watcher panics");

    let (kept, faults) = kept::compare(&pool, &ledger, &captures).await;
    faults.into_iter().chain(ledger.faults.iter().cloned()).for_each(|fault| log.fails(fault));
    poison.faults(&pool).await.into_iter().for_each(|fault| log.fails(fault));
    let unanswered: u64 = ledger.counts.values().map(|counts| counts.unanswered).sum();
    if kept.extra > unanswered {
        log.fails(format!("{} are stored without a 2xx, and only {unanswered} requests had no answer", kept.extra));
    }
    let visibility = visible::judge(&seen, &flooded(&ledger, &flooding), &log, plan.run);
    // Without optimisation two seconds say nothing.
    if !is_debug()
        && let Some(fault) = visibility.fault()
    {
        log.fails(fault);
    }
    let audit = fleet.croak.croak_command(&["audit"]).output().expect("croak starts");
    if !audit.status.success() {
        log.fails(format!("croak audit: {}", audit.status));
    }

    let mut report = Report {
        seed: plan.seed,
        seconds: plan.run.as_secs(),
        skipped: fleet.lacks.clone(),
        traffic: ledger.counts.clone(),
        kept,
        poison: poison.count(),
        sums: looks.last,
        snapshot_count: looks.count,
        visibility,
        counters: measures.sums(),
        drained_after_ms: u64::try_from(drained_after.as_millis()).expect("less than an age"),
        audit: first_lines(&[audit.stdout, audit.stderr].concat()),
        failures: log.failures(),
        ..Report::default()
    };
    report.tell_events(&log.events());
    report
}

/// Injects every fault of the schedule at its time; returns when the last is over.
async fn inject_all(plan: &Plan, fleet: &Fleet, log: &Log, poison: &Poison) {
    let faults = schedule(plan.seed, plan.run, &plan.kinds);
    let injecting = faults.into_iter().filter(|fault| faults::is_possible(fleet, fault.kind)).map(|fault| async move {
        tokio::time::sleep_until(log.moment(fault.at)).await;
        faults::inject(fleet, log, poison, fault).await;
    });
    futures::join!(futures::future::join_all(injecting), tokio::time::sleep_until(log.moment(plan.run)));
}

/// Waits until no journal has anything that the database has not.
async fn drain(fleet: &Fleet, log: &Log, measures: &Measures) {
    /// Gateways say so once a second.
    const QUIET_FOR: Duration = Duration::from_secs(2);
    let since = Instant::now();
    let mut quiet_since = Instant::now();
    while quiet_since.elapsed() < QUIET_FOR {
        let mut waiting = Vec::new();
        for gateway in &fleet.gateways {
            let unacked_bytes = measures.unacked_bytes(gateway).await;
            if unacked_bytes != Some(0.0) {
                waiting.push(format!("{} has {unacked_bytes:?} bytes", gateway.name));
            }
        }
        if !waiting.is_empty() {
            quiet_since = Instant::now();
        }
        if since.elapsed() > DRAIN_LIMIT {
            return log.fails(format!(
                "not drained {} s after the last fault: {}",
                DRAIN_LIMIT.as_secs(),
                waiting.join(", ")
            ));
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// The snapshots that were added up.
#[derive(Debug, Default)]
struct Looks {
    count: usize,
    wrong_count: usize,
    last: Sums,
}

impl Looks {
    async fn look(&mut self, pool: &PgPool, log: &Log) {
        // PostgreSQL may be stopped, frozen or recovering: there is nothing to add up then.
        let Ok(Ok(sums)) = tokio::time::timeout(LOOK_LIMIT, Sums::read(pool)).await else { return };
        self.count += 1;
        if !sums.hold() {
            self.wrong_count += 1;
            if self.wrong_count <= WRONG_TOLD {
                log.fails(format!("it does not add up to {}: {sums:?}", sums.expected()));
            }
        }
        self.last = sums;
    }
}

/// The first lines of what a command says: there may be one for every notice.
fn first_lines(said: &[u8]) -> String {
    const LINES: usize = 6;
    String::from_utf8_lossy(said).lines().take(LINES).collect::<Vec<_>>().join("\n")
}

/// The lanes that the flood has used.
fn flooded(ledger: &Ledger, flooding: &Project) -> BTreeSet<u16> {
    let of_the_flood = ledger.accepted.values().filter(|accepted| accepted.project_id == flooding.id);
    of_the_flood.filter_map(traffic::Accepted::lane).collect()
}

fn project(id: i64) -> Project {
    Project { id, key: format!("{id:032x}") }
}

/// The JSON API with a token of this project.
fn api(fleet: &Fleet, project: &Project) -> Api {
    let made = fleet.croak.croak_json(&["token", "create", "--name", "chaos", "--project", &project.id.to_string()]);
    Api::new(fleet.croak.web_address(), made["token"].as_str().expect("a token"))
}
