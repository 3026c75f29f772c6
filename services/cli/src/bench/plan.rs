//! What is to be sent, how, and for how long.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, ensure};
use tokio::sync::mpsc;
use uuid::Uuid;

use super::body::{BodyArgs, KeepAlive};
use super::mix::{Mix, MixArgs};
use super::target::Target;
use super::template::Template;

/// How the load is made.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct LoadArgs {
    /// Notices a second, each at its time, whatever became of those before it; its time counts from when it was due. Without it every connection sends as soon as it has an answer
    #[arg(long)]
    pub(crate) rate: Option<f64>,
    /// Connections
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) connections: u16,
    /// Threads that send
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) threads: u16,
    /// Opens a connection for each notice, as most of the old clients do
    #[arg(long)]
    no_keep_alive: bool,
    /// Seconds that are not measured
    #[arg(long, default_value_t = 5.0)]
    warm_up_s: f64,
    /// Seconds that are measured
    #[arg(long, default_value_t = 30.0)]
    duration_s: f64,
    /// Sends so many, and measures all of them
    #[arg(long, conflicts_with_all = ["warm_up_s", "duration_s"])]
    count: Option<u64>,
    /// Holds the load while more than so many notices are accepted and not stored: so the rate is that of the slowest part, for as long as one likes
    #[arg(long, conflicts_with_all = ["rate", "pause_workers"])]
    pub(crate) backlog_max: Option<u64>,
}

/// What is to be sent.
#[derive(Clone)]
pub(crate) struct Plan {
    pub(crate) target: Target,
    pub(crate) request: Template,
    /// Where the requests have groups.
    pub(crate) mix: Option<Mix>,
    pub(crate) pace: Pace,
    pub(crate) connections: usize,
    pub(crate) threads: usize,
    pub(crate) keep_alive: KeepAlive,
    /// What is sent before anything is measured.
    pub(crate) warm_up: Duration,
    pub(crate) until: Until,
    /// Who is told of a notice now and then.
    pub(crate) samples: Option<Samples>,
}

/// When the next request is sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Pace {
    /// As soon as its connection has had the answer to the last one.
    Closed,
    /// At its time.
    Open { per_second: f64 },
}

/// When it is enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Until {
    Duration(Duration),
    Count(u64),
}

/// Takes a notice now and then.
#[derive(Clone)]
pub(crate) struct Samples {
    pub(crate) every: Duration,
    pub(crate) into: mpsc::Sender<Sample>,
    pub(crate) omitted: Arc<AtomicU64>,
}

/// A notice that was accepted, and when it was sent.
#[derive(Debug)]
pub(crate) struct Sample {
    pub(crate) id: Uuid,
    pub(crate) sent_at: Instant,
}

impl LoadArgs {
    /// What the command line asks for.
    pub(crate) fn plan(&self, target: &Target, body: &BodyArgs, mix: &MixArgs) -> anyhow::Result<Plan> {
        let seconds = |value: f64, flag: &str| {
            Duration::try_from_secs_f64(value).with_context(|| format!("{flag} {value} is no time"))
        };
        if let Some(rate) = self.rate {
            ensure!((0.001..=10_000_000.0).contains(&rate), "--rate {rate} is none that can be kept");
        }
        let keep_alive = if self.no_keep_alive { KeepAlive::Off } else { KeepAlive::On };
        Ok(Plan {
            target: target.clone(),
            request: body.request(&target.authority, keep_alive)?,
            mix: Some(mix.mix(new_groups_from())?),
            pace: self.rate.map_or(Pace::Closed, |per_second| Pace::Open { per_second }),
            connections: self.connections.into(),
            threads: self.threads.into(),
            keep_alive,
            warm_up: if self.count.is_some() { Duration::ZERO } else { seconds(self.warm_up_s, "--warm-up-s")? },
            until: match self.count {
                Some(count) => Until::Count(count),
                None => Until::Duration(seconds(self.duration_s, "--duration-s")?),
            },
            samples: None,
        })
    }
}

/// Where the numbers of new groups begin: later runs come to others than earlier ones, because the clock has gone on.
pub(crate) fn new_groups_from() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    (now.as_millis() as u64) << 20
}
