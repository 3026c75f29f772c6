//! Whatever is killed while notices come in: each that got a 2xx is stored exactly once.
//!
//! `CROAK_TEST_KILL_SECONDS` is how long each scenario lasts (default 20), with one kill in six seconds.

use std::collections::HashSet;
use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use tests::installation::ALL_ROLES;
use tests::load::{Ledger, Load};
use tests::process::Signal;
use tests::programs::is_debug;
use tests::samples::XmlNotice;
use tests::servers::RedisLimits;
use tests::{Installation, bodies, wait_until};
use tokio::sync::Mutex;

/// What comes in meanwhile.
const NOTICES_PER_SECOND: u32 = 500;

/// One kill in this time: 10 in a minute.
const KILL_EVERY: Duration = Duration::from_secs(6);

/// Everything must be stored this soon after the last notice came in.
const DRAIN_LIMIT: Duration = Duration::from_secs(30);

/// The scenarios take the whole machine, one at a time.
static MACHINE: Mutex<()> = Mutex::const_new(());

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_doubled_when_the_gateway_is_killed() {
    survive("gateway", async |croak, _| {
        let gateway = croak.gateway.as_mut().expect("it runs");
        gateway.process.kill();
        gateway.start_again();
        gateway.ready().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_doubled_when_workers_are_killed() {
    survive("worker", async |croak, n| {
        let worker_count = croak.workers.len();
        let worker = &mut croak.workers[n % worker_count];
        worker.process.kill();
        worker.start_again();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_doubled_when_redis_is_emptied() {
    survive("redis", async |croak, n| {
        let redis = croak.redis.as_mut().expect("it has its own");
        // By turns the keys are gone, and the server with them.
        if n.is_multiple_of(2) {
            redis.ask(&["FLUSHALL"]).await.expect("redis answers");
        } else {
            redis.kill();
            redis.start_again().await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_doubled_when_postgres_is_killed() {
    survive("postgres", async |croak, _| {
        let postgres = croak.postgres.as_mut().expect("it has its own");
        postgres.kill();
        postgres.start_again().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn i4_a_worker_that_sleeps_longer_than_its_lease_doubles_nothing() {
    survive("sleeper", async |croak, n| {
        let worker_count = croak.workers.len();
        let sleeper = &mut croak.workers[n % worker_count].process;
        // Awake again only when another has long taken its lanes: what it still holds in hand must not be written.
        let awake = n % 2 == 1;
        sleeper.signal(if awake { Signal::CONT } else { Signal::STOP });
        if awake {
            croak.workers.iter_mut().for_each(|worker| worker.process.signal(Signal::CONT));
        }
    })
    .await;
}

/// Where a gateway and a worker are killed, and at which passing of the point. Their code names them.
const GATEWAY_POINTS: &[(&str, u32)] =
    &[("journal.after_write", 20), ("journal.after_sync", 20), ("ship.after_xadd", 5), ("gateway.before_answer", 100)];
const WORKER_POINTS: &[(&str, u32)] =
    &[("batch.after_t0", 3), ("batch.before_commit", 3), ("batch.after_commit", 3), ("batch.after_trim", 3)];

/// A point that is passed at all is passed this soon; a worker first waits for the lease of the one before it.
const POINT_LIMIT: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn i5_nothing_is_lost_or_doubled_when_they_are_killed_at_the_worst_points() {
    if !is_debug() {
        println!("a release build has no such points");
        return;
    }
    let _alone = MACHINE.lock().await;
    let mut croak = Installation::with_private_servers(RedisLimits::default()).await;
    croak.start_worker(ALL_ROLES).await;
    croak.start_gateway().await;
    let load = Load::start(croak.gateway_address(), NOTICES_PER_SECOND / 2, varied);
    for (is_gateway, points) in [(true, GATEWAY_POINTS), (false, WORKER_POINTS)] {
        for (point, passing) in points {
            let service = if is_gateway { croak.gateway.as_mut() } else { croak.workers.first_mut() };
            let service = service.expect("it runs");
            service.process.kill();
            service.start_again_with(&[("CROAK_FAILPOINTS", format!("{point}=kill:{passing}"))]);
            let (status, took) = service.process.exit_within(POINT_LIMIT).await;
            assert_eq!(status.signal(), Some(Signal::KILL.as_raw()), "{point}: {status}");
            println!("killed at {point} after {} ms", took.as_millis());
            service.start_again();
            service.ready().await;
        }
    }
    let ledger = load.stop().await;
    let report = settled(&croak, &ledger).await;
    println!(
        "points: sent {} / 2xx {} / {report}; unanswered {}",
        ledger.sent,
        ledger.accepted.len(),
        ledger.unanswered
    );
    assert_kept(&croak, &ledger, &report);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_has_killed_is_tried_again_by_one_worker_alone() {
    if !is_debug() {
        println!("a release build has no such point");
        return;
    }
    let _alone = MACHINE.lock().await;
    let mut croak = Installation::with_private_servers(RedisLimits::default()).await;
    croak.start_worker(ALL_ROLES).await;
    croak.start_gateway().await;
    let pool = croak.pool();
    let run = async |statement: &'static str| sqlx::query(statement).execute(&pool).await.expect("it is done");
    let count = async |statement: &'static str| -> i64 {
        sqlx::query_scalar(statement).fetch_one(&pool).await.expect("it is counted")
    };
    let gateway = croak.gateway_address();
    let send = async |n| {
        let answer = tests::wire::exchange(gateway, &varied(n)).await.expect("an answer");
        assert_eq!(answer.status, 200, "{}", answer.text());
    };

    // As if eight workers had died with it.
    croak.workers[0].process.kill();
    send(1).await;
    run("update lane_state set attempts = 8, owner = 'dead', released = false, lease_until = now()").await;
    let worker = &mut croak.workers[0];
    worker.start_again();
    let deadly = "select count(*) from dead_notice where reason = 'deadly'";
    wait_until("it is buried unread", POINT_LIMIT, async || (count(deadly).await == 1).then_some(())).await;

    worker.process.kill();
    run("update dead_notice set retry_at = now()").await;
    worker.start_again_with(&[("CROAK_FAILPOINTS", "retry.deadly=kill:1".to_owned())]);
    let (status, _) = worker.process.exit_within(POINT_LIMIT).await;
    assert_eq!(status.signal(), Some(Signal::KILL.as_raw()), "{status}");
    assert_eq!(count("select count(*) from dead_notice where reason = 'deadly' and retry_at is null").await, 1);

    // The next worker does not meet it, until somebody asks once more; this time it lives.
    worker.start_again();
    worker.ready().await;
    send(2).await;
    let stored = "select coalesce(sum(notice_count), 0)::bigint from grp";
    wait_until("the other one is stored", POINT_LIMIT, async || (count(stored).await == 1).then_some(())).await;
    run("update dead_notice set retry_at = now()").await;
    wait_until("it lives", POINT_LIMIT, async || (count(stored).await == 2).then_some(())).await;
    assert_eq!(count("select count(*) from dead_notice").await, 0);
}

/// Fifty different errors of a thousand users.
fn varied(n: u64) -> Vec<u8> {
    XmlNotice { class: format!("Failure{}", n % 50), user: (n % 1000).to_string(), ..XmlNotice::default() }.request()
}

async fn survive(what: &str, kill: impl AsyncFn(&mut Installation, usize)) {
    let _alone = MACHINE.lock().await;
    let mut croak = Installation::with_private_servers(RedisLimits::default()).await;
    croak.start_worker(ALL_ROLES).await;
    croak.start_worker(ALL_ROLES).await;
    croak.start_gateway().await;
    let load = Load::start(croak.gateway_address(), NOTICES_PER_SECOND, varied);

    let kills = seconds().div_ceil(KILL_EVERY.as_secs()) as usize;
    let mut ticks = tokio::time::interval(KILL_EVERY);
    ticks.tick().await;
    for n in 0..kills {
        ticks.tick().await;
        kill(&mut croak, n).await;
    }
    croak.workers.iter_mut().for_each(|worker| worker.process.signal(Signal::CONT));
    let ledger = load.stop().await;
    let report = settled(&croak, &ledger).await;
    println!(
        "{what}: sent {} / 2xx {} / {report} / kills {kills}; refused {:?}, unanswered {}, unsent {}",
        ledger.sent,
        ledger.accepted.len(),
        ledger.refused,
        ledger.unanswered,
        ledger.unsent
    );

    assert!(
        ledger.accepted.len() as u64 > u64::from(NOTICES_PER_SECOND) * seconds() / 4,
        "too few came in to prove anything"
    );
    assert_kept(&croak, &ledger, &report);
}

fn assert_kept(croak: &Installation, ledger: &Ledger, report: &Report) {
    assert_eq!(report.missing, 0, "each that got a 2xx is stored");
    assert_eq!(report.doubled, 0, "each is stored once");
    assert!(report.extra as u64 <= ledger.unanswered, "{} are stored that nobody sent", report.extra);
    croak.croak(&["audit"]);
}

struct Report {
    stored: usize,
    missing: usize,
    doubled: usize,
    extra: usize,
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Report { stored, missing, doubled, extra } = self;
        write!(f, "stored {stored} / missing {missing} / doubled {doubled} / extra {extra}")
    }
}

/// What is stored when nothing is missing any more, or the limit has passed.
async fn settled(croak: &Installation, ledger: &Ledger) -> Report {
    let pool = croak.pool();
    let accepted: HashSet<_> = ledger.accepted.iter().copied().collect();
    assert_eq!(accepted.len(), ledger.accepted.len(), "no two answers name the same notice");
    let started_at = std::time::Instant::now();
    wait_until("what was accepted is read", DRAIN_LIMIT * 2, async || {
        let late = started_at.elapsed() > DRAIN_LIMIT;
        if !late && bodies::count(&pool).await < accepted.len() as i64 {
            return None;
        }
        let copies = bodies::copies(&pool).await;
        let report = Report {
            stored: copies.len(),
            missing: accepted.iter().filter(|id| !copies.contains_key(id)).count(),
            doubled: copies.values().filter(|copies| **copies > 1).count(),
            extra: copies.keys().filter(|id| !accepted.contains(id)).count(),
        };
        (late || report.missing == 0).then_some(report)
    })
    .await
}

fn seconds() -> u64 {
    std::env::var("CROAK_TEST_KILL_SECONDS")
        .map_or(20, |seconds| seconds.parse().expect("CROAK_TEST_KILL_SECONDS is a number"))
}
