//! What goes wrong, and when: made from the seed alone, so that a run can be had again.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::{IndexedRandom as _, SliceRandom as _};
use rand::{RngExt as _, SeedableRng as _};

/// Gateways that run.
pub const GATEWAYS: usize = 3;

/// Workers that run.
pub const WORKERS: usize = 4;

/// Faults come in storms, so that what must be quick without them can be measured between.
const STORM: Duration = Duration::from_secs(22);
const LULL: Duration = Duration::from_secs(20);

/// From one fault to the next, in milliseconds.
const PAUSE_MS: std::ops::Range<u64> = 300..1_800;

/// Faults that are under way at the same time.
const AT_ONCE: usize = 4;

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// `kill -9` of a worker, and its restart.
    KillWorker,
    /// A worker is stopped for longer than its leases last, and wakes.
    FreezeWorker,
    /// The same, in the middle of a transaction.
    FreezeInTransaction,
    /// `kill -9` of a gateway, and its restart.
    KillGateway,
    /// A gateway is stopped for some seconds, and wakes.
    FreezeGateway,
    /// Redis is killed and comes back empty.
    KillRedis,
    /// Redis forgets everything.
    EmptyRedis,
    /// Redis is stopped, with all connections open, and wakes.
    FreezeRedis,
    /// Redis has no memory for anything new.
    FillRedis,
    /// PostgreSQL is stopped at once, finishing nothing, and recovers.
    RestartPostgres,
    /// Every process of PostgreSQL is stopped, and wakes.
    FreezePostgres,
    /// A gateway finds its disk full when it starts.
    FillDisk,
    /// A gateway's fdatasync takes long.
    SlowDisk,
    /// A gateway's fdatasync fails, and what it was to cover is lost.
    BreakDisk,
    /// The clock of a gateway goes back, and later is right again.
    GatewayClockBack,
    /// The same for a worker.
    WorkerClockBack,
    /// Entries that no gateway ever made lie in the lanes.
    PoisonLanes,
    /// An operator changes the number of lanes.
    Reshard,
}

/// How often each kind comes, beside the others.
pub const EVERY_KIND: &[Kind] = &[
    Kind::KillWorker,
    Kind::KillWorker,
    Kind::FreezeWorker,
    Kind::FreezeInTransaction,
    Kind::KillGateway,
    Kind::KillGateway,
    Kind::FreezeGateway,
    Kind::KillRedis,
    Kind::EmptyRedis,
    Kind::FreezeRedis,
    Kind::FillRedis,
    Kind::RestartPostgres,
    Kind::FreezePostgres,
    Kind::FillDisk,
    Kind::SlowDisk,
    Kind::BreakDisk,
    Kind::GatewayClockBack,
    Kind::WorkerClockBack,
    Kind::PoisonLanes,
    Kind::Reshard,
];

/// Whom a fault hits: each is hit by one at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Victim {
    /// A gateway, by its number from 0.
    Gateway(usize),
    /// A worker, by its number from 0.
    Worker(usize),
    /// The queue's server.
    Redis,
    /// The database's server.
    Postgres,
    /// The lanes, which is nobody.
    Lanes,
}

/// One fault of a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// When, from the beginning of the run.
    pub at: Duration,
    /// How long.
    pub lasts: Duration,
    /// What.
    pub kind: Kind,
    /// Whom.
    pub victim: Victim,
    /// How much: what the kind makes of it.
    pub amount: Duration,
}

impl Kind {
    /// How long it lasts, in milliseconds.
    fn lasts_ms(self) -> std::ops::Range<u64> {
        match self {
            Kind::KillWorker | Kind::KillGateway | Kind::KillRedis | Kind::RestartPostgres => 100..2_000,
            // Longer than a lease.
            Kind::FreezeWorker | Kind::FreezeInTransaction => 6_000..9_000,
            Kind::FreezeGateway => 3_000..8_000,
            // Also longer than anybody waits for an answer, which is five seconds.
            Kind::FreezeRedis | Kind::FreezePostgres => 1_500..7_500,
            Kind::FillRedis => 3_000..6_000,
            Kind::FillDisk => 3_000..6_000,
            Kind::SlowDisk => 3_000..8_000,
            Kind::GatewayClockBack | Kind::WorkerClockBack => 3_000..8_000,
            // What it takes until the gateway has noticed and is started again.
            Kind::BreakDisk => 2_000..3_000,
            Kind::EmptyRedis | Kind::PoisonLanes | Kind::Reshard => 1..2,
        }
    }

    /// How much, in milliseconds.
    fn amount_ms(self) -> std::ops::Range<u64> {
        match self {
            // A sync later than this and the gateway refuses, as it should.
            Kind::SlowDisk => 100..3_000,
            Kind::GatewayClockBack | Kind::WorkerClockBack => 1_000..7_200_000,
            // The number of lanes.
            Kind::Reshard => 16..97,
            _ => 0..1,
        }
    }

    /// Those that it can hit. A full disk needs one of its own, which the last gateway has.
    fn victims(self) -> Vec<Victim> {
        match self {
            Kind::KillWorker | Kind::FreezeWorker | Kind::FreezeInTransaction | Kind::WorkerClockBack => {
                (0..WORKERS).map(Victim::Worker).collect()
            }
            Kind::KillGateway | Kind::FreezeGateway | Kind::SlowDisk | Kind::BreakDisk | Kind::GatewayClockBack => {
                (0..GATEWAYS).map(Victim::Gateway).collect()
            }
            Kind::FillDisk => vec![Victim::Gateway(GATEWAYS - 1)],
            Kind::KillRedis | Kind::EmptyRedis | Kind::FreezeRedis | Kind::FillRedis => vec![Victim::Redis],
            Kind::RestartPostgres | Kind::FreezePostgres => vec![Victim::Postgres],
            Kind::PoisonLanes | Kind::Reshard => vec![Victim::Lanes],
        }
    }
}

impl Fault {
    /// When it is over.
    pub fn ends_at(&self) -> Duration {
        self.at + self.lasts
    }
}

/// The faults of a run of this length, in the order of their beginnings.
///
/// Kinds are drawn from a bag that is filled again when it is empty: each comes as often as `kinds` has it.
pub fn schedule(seed: u64, run: Duration, kinds: &[Kind]) -> Vec<Fault> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut faults: Vec<Fault> = Vec::new();
    let mut free_at: HashMap<Victim, Duration> = HashMap::new();
    let mut bag: Vec<Kind> = Vec::new();
    let mut at = Duration::ZERO;
    loop {
        at += Duration::from_millis(random.random_range(PAUSE_MS));
        let Some((storm_at, storm_end)) = storm(at, run) else { return faults };
        at = at.max(storm_at);
        if bag.len() < kinds.len() {
            let mut more = kinds.to_vec();
            more.shuffle(&mut random);
            bag.splice(0..0, more);
        }
        if faults.iter().filter(|fault| fault.ends_at() > at).count() >= AT_ONCE {
            continue;
        }
        // The next of the bag that fits: nobody is hit twice at once, and what begins in a storm ends in it.
        let drawn = bag.iter().enumerate().rev().find_map(|(place, kind)| {
            let lasts = Duration::from_millis(random.random_range(kind.lasts_ms()));
            let victims = kind.victims();
            let free: Vec<_> =
                victims.into_iter().filter(|victim| free_at.get(victim).is_none_or(|free_at| *free_at <= at)).collect();
            let victim = *free.choose(&mut random)?;
            (at + lasts <= storm_end).then_some((place, *kind, victim, lasts))
        });
        let Some((place, kind, victim, lasts)) = drawn else { continue };
        bag.remove(place);
        let amount = Duration::from_millis(random.random_range(kind.amount_ms()));
        free_at.insert(victim, at + lasts + Duration::from_secs(1));
        faults.push(Fault { at, lasts, kind, victim, amount });
    }
}

/// The storm that `at` lies in, or the next one: its beginning and its end.
fn storm(at: Duration, run: Duration) -> Option<(Duration, Duration)> {
    let mut begins_at = Duration::ZERO;
    while begins_at + STORM <= at {
        begins_at += STORM + LULL;
    }
    (at.max(begins_at) < run).then_some((begins_at, (begins_at + STORM).min(run)))
}

impl fmt::Display for Victim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Victim::Gateway(number) => write!(f, "gateway-{}", number + 1),
            Victim::Worker(number) => write!(f, "worker-{}", number + 1),
            Victim::Redis => f.write_str("redis"),
            Victim::Postgres => f.write_str("postgres"),
            Victim::Lanes => f.write_str("the lanes"),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Kind::KillWorker | Kind::KillGateway => "killed",
            Kind::FreezeWorker | Kind::FreezeGateway | Kind::FreezeRedis | Kind::FreezePostgres => "frozen",
            Kind::FreezeInTransaction => "frozen in a transaction",
            Kind::KillRedis => "killed, comes back empty",
            Kind::EmptyRedis => "emptied",
            Kind::FillRedis => "full",
            Kind::RestartPostgres => "stopped at once",
            Kind::FillDisk => "disk full at its start",
            Kind::SlowDisk => "fdatasync slow",
            Kind::BreakDisk => "fdatasync fails",
            Kind::GatewayClockBack | Kind::WorkerClockBack => "clock back",
            Kind::PoisonLanes => "poisoned",
            Kind::Reshard => "another number",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: Duration = Duration::from_secs(60);

    #[test]
    fn a_seed_always_gives_the_same_schedule_and_another_seed_another() {
        assert_eq!(schedule(7, RUN, EVERY_KIND), schedule(7, RUN, EVERY_KIND));
        assert_ne!(schedule(7, RUN, EVERY_KIND), schedule(8, RUN, EVERY_KIND));
    }

    #[test]
    fn nobody_is_hit_twice_at_once_and_lulls_are_quiet() {
        for seed in 0..50 {
            let faults = schedule(seed, RUN * 3, EVERY_KIND);
            for (n, one) in faults.iter().enumerate() {
                let into_period = Duration::from_millis(
                    u64::try_from(one.at.as_millis() % (STORM + LULL).as_millis()).expect("milliseconds"),
                );
                assert!(into_period + one.lasts <= STORM, "{one:?} reaches into a lull");
                let overlapping =
                    faults[n + 1..].iter().find(|other| other.victim == one.victim && other.at < one.ends_at());
                assert_eq!(overlapping, None, "{one:?}");
            }
        }
    }

    #[test]
    fn several_are_under_way_at_once_and_a_minute_has_nearly_every_kind() {
        for seed in 0..50 {
            let faults = schedule(seed, RUN, EVERY_KIND);
            let most = faults
                .iter()
                .map(|one| faults.iter().filter(|other| other.at <= one.at && one.at < other.ends_at()).count());
            assert!(most.max() >= Some(3), "seed {seed}");
            let kinds: std::collections::HashSet<_> = faults.iter().map(|fault| fault.kind).collect();
            assert!(kinds.len() >= 13, "seed {seed} has {} kinds", kinds.len());
        }
    }
}
