//! Role fold: holds a share of the lanes and moves what lies in them to the database.
//!
//! A lane belongs to whoever holds its newest token in PostgreSQL. Nothing here is trusted for correctness but that
//! token and the accounted sets: leases, shares and signs of life only save work.

mod accounts;
mod client_ids;
mod identity;
mod lane;
mod limit;
mod measure;
mod prepare;
mod record;
mod resolve;
mod standing;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use notice::LaneEpoch;
use queue::Queue;
use queue::body::Dictionaries;
use store::batch::Claim;
use store::source_maps::SourceMaps;
use store::{StoreError, Writer};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use self::client_ids::ClientIds;
use self::identity::Identities;
use self::lane::{Ended, Lane};
use self::standing::Standing;
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
    client_ids: ClientIds,
    source_maps: SourceMaps,
    limits: BatchLimits,
    /// How many batches may be in memory at once.
    slots: Semaphore,
    /// This start of this worker.
    owner: String,
    started_at: Instant,
}

impl Fold {
    pub(crate) fn new(writer: Writer, queue: Queue, limits: BatchLimits, batches_at_once: u16, owner: String) -> Self {
        Self {
            projects: Projects::new(writer.clone()),
            writer,
            queue,
            dictionaries: Dictionaries::default(),
            identities: Identities::default(),
            client_ids: ClientIds::new(),
            source_maps: SourceMaps::default(),
            limits,
            slots: Semaphore::new(usize::from(batches_at_once)),
            owner,
            started_at: Instant::now(),
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
    let mut lanes = Lanes { fold, paused, held: HashMap::new(), tasks: JoinSet::new(), extended_at: Instant::now() };
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
    standing: Arc<Standing>,
    task: tokio::task::Id,
}

/// The lanes that this worker holds, each with its task.
struct Lanes {
    fold: Arc<Fold>,
    paused: watch::Receiver<bool>,
    held: HashMap<u16, Held>,
    tasks: JoinSet<Ended>,
    extended_at: Instant,
}

impl Lanes {
    async fn round(&mut self, share: usize) -> Result<(), StoreError> {
        self.reap().await?;
        let is_due = self.extended_at.elapsed() >= EXTEND_EVERY && !self.held.is_empty();
        // Before any is given up, those that need no owner any more: they may be why there are too many.
        if is_due || self.working().count() > share {
            self.extend().await?;
            self.extended_at = Instant::now();
        }
        let surplus = self.working().count().saturating_sub(share);
        if surplus > 0 {
            // Whichever: each finishes its batch first and is given back then.
            self.working().take(surplus).for_each(|held| held.stop.cancel());
        } else if self.held.len() < share {
            self.claim(share - self.held.len()).await?;
        }
        measure::lanes(self.held.len());
        Ok(())
    }

    fn working(&self) -> impl Iterator<Item = &Held> {
        self.held.values().filter(|held| !held.stop.is_cancelled())
    }

    /// Claims lanes of all epochs that need owners. Whoever claims knows the lanes before.
    async fn claim(&mut self, count: usize) -> Result<(), StoreError> {
        let epochs = self.fold.writer.lane_epochs().await?;
        let lanes: Vec<LaneEpoch> = epochs.iter().map(|epoch| epoch.lanes).collect();
        if let Err(error) = self.fold.queue.learn_lanes(&lanes) {
            tracing::error!(error = service::causes(&error), "no lanes are claimed");
            return Ok(());
        }
        let needed = epochs.iter().filter(|epoch| !epoch.is_retired).map(|epoch| epoch.lanes.epoch.cast_signed());
        let needed: Vec<i32> = needed.collect();
        let in_hand: Vec<u16> = self.held.keys().copied().collect();
        let asked_at = Instant::now();
        let claimed = self.fold.writer.claim_free_lanes(&self.fold.owner, &needed, &in_hand, count).await?;
        if !claimed.is_empty() {
            tracing::info!(claimed = claimed.len(), held = self.held.len() + claimed.len(), "lanes claimed");
        }
        for claimed in &claimed {
            let stop = CancellationToken::new();
            let standing = Arc::new(Standing::new(claimed.claim, asked_at));
            let lane = Lane::new(Arc::clone(&self.fold), claimed, Arc::clone(&standing));
            let task = self.tasks.spawn(lane.run(stop.clone(), self.paused.clone())).id();
            self.held.insert(claimed.claim.lane, Held { stop, standing, task });
        }
        Ok(())
    }

    /// One statement for all lanes. A lane that somebody else took meanwhile is let go; one with dead records that
    /// are to be tried again is told; and so is one of which the database has less than was committed. An idle lane
    /// would not notice, and go on to publish watermarks for what is not there any more.
    async fn extend(&mut self) -> Result<(), StoreError> {
        // As it was before the question: a commit that happens meanwhile is no difference.
        let before: HashMap<u16, Claim> = self.held.iter().map(|(lane, held)| (*lane, held.standing.claim())).collect();
        let lanes: Vec<u16> = before.keys().copied().collect();
        let asked_at = Instant::now();
        let owned = self.fold.writer.extend_lanes(&self.fold.owner, &lanes).await?;
        let mut set_back = 0;
        for (lane, held) in &self.held {
            let Some(owned) = owned.iter().find(|owned| owned.claim.lane == *lane) else {
                held.stop.cancel();
                continue;
            };
            if owned.claim.is_behind(&before[lane]) {
                held.standing.tell_set_back();
                set_back += 1;
            } else {
                held.standing.confirm(owned.claim.token, asked_at);
            }
            if owned.is_retired {
                held.stop.cancel();
            }
            if owned.has_retries {
                held.standing.tell_retries();
            }
        }
        if set_back > 0 {
            self.fold.writer.forget();
            tracing::warn!(lanes = set_back, "the database has lost commits, or was set back: reading it again");
        }
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
                tracing::warn!(lane, "lane lost: another worker has it");
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
