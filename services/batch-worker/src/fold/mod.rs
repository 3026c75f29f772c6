//! Role fold: holds a share of the lanes and moves what lies in them to the database.
//!
//! A lane belongs to whoever holds its newest token in PostgreSQL. Nothing here is trusted for correctness but that
//! token and the accounted sets: leases, shares and signs of life only save work.

mod accounts;
mod identity;
mod lane;
mod limit;
mod measure;
mod prepare;
mod record;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use queue::Queue;
use queue::body::Dictionaries;
use store::batch::Claim;
use store::{StoreError, Writer};
use time::OffsetDateTime;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use self::identity::Identities;
use self::lane::{Ended, Lane};
use crate::config::BatchLimits;
use crate::projects::Projects;

pub(crate) use measure::describe;

/// Pause between looks at who holds what.
const ROUND_EVERY: Duration = Duration::from_millis(500);

/// Leases last five seconds.
const EXTEND_EVERY: Duration = Duration::from_secs(2);

/// What all lanes of this worker share.
pub(crate) struct Fold {
    writer: Writer,
    queue: Queue,
    projects: Projects,
    dictionaries: Dictionaries,
    identities: Identities,
    limits: BatchLimits,
    /// How many batches may be in memory at once.
    slots: Semaphore,
    /// This start of this worker.
    owner: String,
    public_url: Option<Arc<str>>,
}

impl Fold {
    pub(crate) fn new(
        writer: Writer,
        queue: Queue,
        limits: BatchLimits,
        batches_at_once: u16,
        owner: String,
        public_url: Option<&str>,
    ) -> Self {
        Self {
            projects: Projects::new(writer.clone()),
            writer,
            queue,
            dictionaries: Dictionaries::default(),
            identities: Identities::default(),
            limits,
            slots: Semaphore::new(usize::from(batches_at_once)),
            owner,
            public_url: public_url.map(Arc::from),
        }
    }
}

/// Folds until told to stop; then finishes the batches in hand and gives the lanes back.
///
/// `share` is how many lanes this worker should hold, told by whoever counts the workers; 0 while that is not known.
pub(crate) async fn run(
    fold: Arc<Fold>,
    share: watch::Receiver<usize>,
    paused: watch::Receiver<bool>,
    shutdown: CancellationToken,
) {
    let mut lanes = Lanes {
        fold,
        paused,
        held: HashMap::new(),
        tasks: JoinSet::new(),
        extended_at: Instant::now(),
        server_started_at: None,
    };
    let mut rounds = tokio::time::interval(ROUND_EVERY);
    rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut share = share;
    loop {
        tokio::select! {
            () = shutdown.cancelled() => break,
            _ = rounds.tick() => {}
            changed = share.changed() => if changed.is_err() { break },
        }
        let wanted = *share.borrow_and_update();
        if let Err(error) = lanes.round(wanted).await {
            tracing::warn!(
                error = service::causes(&error),
                "lanes cannot be claimed or kept while the database cannot be reached"
            );
        }
    }
    lanes.stop().await;
}

struct Held {
    stop: CancellationToken,
    seen: Arc<Seen>,
    task: tokio::task::Id,
}

/// What whoever extends the leases has seen of a lane, for its task.
#[derive(Debug, Default)]
struct Seen {
    /// Dead records of this lane are to be tried again.
    has_retries: AtomicBool,
    /// The database may have forgotten what is held in memory.
    may_have_been_set_back: AtomicBool,
}

/// The lanes that this worker holds, each with its task.
struct Lanes {
    fold: Arc<Fold>,
    paused: watch::Receiver<bool>,
    held: HashMap<u16, Held>,
    tasks: JoinSet<Ended>,
    extended_at: Instant,
    /// Of the server that lanes were first claimed from, or that leases were last extended on.
    server_started_at: Option<OffsetDateTime>,
}

impl Lanes {
    async fn round(&mut self, share: usize) -> Result<(), StoreError> {
        self.reap().await?;
        if self.extended_at.elapsed() >= EXTEND_EVERY && !self.held.is_empty() {
            self.extend().await?;
            self.extended_at = Instant::now();
        }
        let working = self.held.values().filter(|held| !held.stop.is_cancelled());
        let surplus = working.clone().count().saturating_sub(share);
        if surplus > 0 {
            // Whichever: each finishes its batch first and is given back then.
            working.take(surplus).for_each(|held| held.stop.cancel());
        } else if self.held.len() < share {
            self.claim(share - self.held.len()).await?;
        }
        measure::lanes(self.held.len());
        Ok(())
    }

    async fn claim(&mut self, count: usize) -> Result<(), StoreError> {
        let claimed = self.fold.writer.claim_free_lanes(&self.fold.owner, count).await?;
        if !claimed.is_empty() {
            tracing::info!(claimed = claimed.len(), held = self.held.len() + claimed.len(), "lanes claimed");
        }
        for claimed in &claimed {
            self.server_started_at.get_or_insert(claimed.claim.server_started_at);
            let stop = CancellationToken::new();
            let seen = Arc::<Seen>::default();
            let lane = Lane::new(Arc::clone(&self.fold), claimed, Arc::clone(&seen));
            let task = self.tasks.spawn(lane.run(stop.clone(), self.paused.clone())).id();
            self.held.insert(claimed.claim.lane, Held { stop, seen, task });
        }
        Ok(())
    }

    /// One statement for all lanes. A lane that somebody else took meanwhile is let go; one with dead records that
    /// are to be tried again is told. So is every lane when the server was started since: an idle one would otherwise
    /// go on telling gateways of commits that a database which was set back does not have.
    async fn extend(&mut self) -> Result<(), StoreError> {
        let lanes: Vec<u16> = self.held.keys().copied().collect();
        let owned = self.fold.writer.extend_lanes(&self.fold.owner, &lanes).await?;
        let server_started_at = owned.first().map(|owned| owned.claim.server_started_at).or(self.server_started_at);
        let is_another_server = server_started_at != self.server_started_at;
        for (lane, held) in &self.held {
            let Some(owned) = owned.iter().find(|owned| owned.claim.lane == *lane) else {
                held.stop.cancel();
                continue;
            };
            if owned.has_retries {
                held.seen.has_retries.store(true, Ordering::Relaxed);
            }
            if is_another_server {
                held.seen.may_have_been_set_back.store(true, Ordering::Relaxed);
            }
        }
        self.server_started_at = server_started_at;
        Ok(())
    }

    /// Takes note of the tasks that ended, and gives their lanes back.
    async fn reap(&mut self) -> Result<(), StoreError> {
        let mut given_back = Vec::new();
        while let Some(ended) = self.tasks.try_join_next() {
            given_back.extend(self.ended(ended));
        }
        if given_back.is_empty() {
            return Ok(());
        }
        tracing::info!(lanes = given_back.len(), held = self.held.len(), "lanes given back");
        self.fold.writer.release_lanes(&given_back).await
    }

    fn ended(&mut self, ended: Result<Ended, tokio::task::JoinError>) -> Option<Claim> {
        match ended {
            Ok(Ended::Stopped(claim)) => {
                self.held.remove(&claim.lane);
                Some(claim)
            }
            Ok(Ended::Lost(lane)) => {
                tracing::warn!(lane, "lane lost to another worker");
                self.held.remove(&lane);
                None
            }
            Err(error) => {
                tracing::error!(%error, "the task of a lane died; its lease runs out");
                self.held.retain(|_, held| held.task != error.id());
                None
            }
        }
    }

    async fn stop(mut self) {
        self.held.values().for_each(|held| held.stop.cancel());
        let mut given_back = Vec::new();
        while let Some(ended) = self.tasks.join_next().await {
            given_back.extend(self.ended(ended));
        }
        if let Err(error) = self.fold.writer.release_lanes(&given_back).await {
            tracing::warn!(error = service::causes(&error), "lanes not given back; their leases run out");
        }
    }
}
