//! Role housekeep: partitions ahead and behind, roll-ups, retention, merging of small chunks, and the snapshot of projects for
//! the gateways.
//!
//! Any number of workers may have the role; the one that holds the lock in PostgreSQL does the work. Everything there is to do has its
//! turns, a moment long, and fails by itself: a project that takes hours to be taken away, or a table that a dump holds, keeps nothing
//! else waiting. Gateways hear of projects beside all that.

use std::time::Duration;

use notice::Snapshot;
use queue::{Queue, QueueError};
use store::housekeeper::{Housekeeper, Progress, Turn};
use store::{ErrorClass, StoreError, Writer};
use time::OffsetDateTime;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::compaction::Compacting;
use crate::config::HouseTimes;
use crate::lanes::{self, Retiring};
use crate::training::{Training, dictionary_of, restore_published};

/// Pause between looks at the version of the snapshot: a new project is accepted by gateways within a second.
const SNAPSHOT_EVERY: Duration = Duration::from_millis(200);

/// Pause between turns when nothing is left to do.
const TURN_EVERY: Duration = Duration::from_millis(200);

/// What one turn of a chore may take, give or take a step.
const TURN: Duration = Duration::from_millis(50);

/// Pause after a chore failed, or could not have a lock: partitions are made three days ahead, and dropped late without harm.
const AFTER_ERROR: Duration = Duration::from_secs(180);

/// Pause before the next try to become housekeeper, or after an error.
const STANDBY: Duration = Duration::from_secs(2);

/// Says what each metric tells.
pub(crate) fn describe() {
    use metrics::describe_gauge;
    describe_gauge!(
        "worker_house_kept_timestamp_seconds",
        "When this worker last kept house, in seconds since 1970; absent where another one does."
    );
}

/// Keeps house until told to stop.
pub(crate) async fn run(writer: Writer, queue: Queue, times: HouseTimes, shutdown: CancellationToken) {
    while !shutdown.is_cancelled() {
        match writer.housekeeper().await {
            Ok(Some(housekeeper)) => {
                tracing::info!("this worker keeps house");
                if let Err(error) = keep(housekeeper, &writer, &queue, times, &shutdown).await {
                    tracing::warn!(error = service::causes(&error), "housekeeping interrupted");
                }
            }
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(error = service::causes(&error), "no housekeeping while the database cannot be reached");
            }
        }
        let _ = tokio::time::timeout(STANDBY, shutdown.cancelled()).await;
    }
}

async fn keep(
    mut housekeeper: Housekeeper,
    writer: &Writer,
    queue: &Queue,
    times: HouseTimes,
    shutdown: &CancellationToken,
) -> Result<(), StoreError> {
    // What was published and is not in the database any more is put back before anything is published.
    restore_published(&mut housekeeper, queue).await?;
    lanes::restore_published(&mut housekeeper, queue).await?;
    let stop = shutdown.child_token();
    let keeping = async {
        let kept = do_chores(housekeeper, queue, times, &stop).await;
        stop.cancel();
        kept
    };
    let ((), kept) = tokio::join!(publish_changes(writer, queue, &stop), keeping);
    kept
}

async fn do_chores(
    mut housekeeper: Housekeeper,
    queue: &Queue,
    times: HouseTimes,
    stop: &CancellationToken,
) -> Result<(), StoreError> {
    let mut chores = What::ALL.map(Chore::new);
    let mut training = Training::new();
    let mut retiring = Retiring::begin(times.lanes_quiet, &mut housekeeper).await?;
    let mut compacting = Compacting::new(times.compact_after);
    while !stop.is_cancelled() {
        let mut is_more = false;
        for chore in &mut chores {
            is_more |= chore.look(&mut housekeeper, times).await?;
        }
        by_itself("training", training.look(&mut housekeeper).await)?;
        by_itself("lanes", retiring.look(&mut housekeeper, queue).await)?;
        by_itself("compaction", compacting.look(&mut housekeeper).await)?;
        let now = OffsetDateTime::now_utc().unix_timestamp();
        metrics::gauge!("worker_house_kept_timestamp_seconds").set(now as f64);
        if !is_more {
            let _ = tokio::time::timeout(TURN_EVERY, stop.cancelled()).await;
        }
    }
    Ok(())
}

/// Something that is done from time to time.
#[derive(Clone, Copy)]
enum What {
    Partitions,
    Minutes,
    Retention,
    Mutes,
    ClientIds,
    DeletedGroups,
    DeletedProjects,
    Finished,
    Uploads,
}

impl What {
    const ALL: [What; 9] = [
        What::Partitions,
        What::Minutes,
        What::Retention,
        What::Mutes,
        What::ClientIds,
        What::DeletedGroups,
        What::DeletedProjects,
        What::Finished,
        What::Uploads,
    ];

    fn name(self) -> &'static str {
        match self {
            What::Partitions => "partitions",
            What::Minutes => "minutes",
            What::Retention => "retention",
            What::Mutes => "mutes",
            What::ClientIds => "client ids",
            What::DeletedGroups => "deleted groups",
            What::DeletedProjects => "deleted projects",
            What::Finished => "what is finished and old",
            What::Uploads => "old uploads",
        }
    }

    /// Pause after all of it is done.
    fn every(self) -> Duration {
        Duration::from_secs(match self {
            What::Finished => 3_600,
            What::Retention | What::Uploads => 600,
            _ => 60,
        })
    }

    async fn turn(self, housekeeper: &mut Housekeeper, times: HouseTimes) -> Result<Progress, StoreError> {
        let turn = Turn::of(TURN);
        match self {
            What::Partitions => {
                let made = housekeeper.ensure_partitions().await?;
                Ok(Progress { count: made.unsigned_abs(), is_done: true })
            }
            What::Minutes => housekeeper.roll_up_minutes(turn).await,
            What::Retention => {
                let expired = housekeeper.expire(turn).await?;
                Ok(Progress { count: expired.notices.unsigned_abs(), is_done: expired.is_done })
            }
            What::Mutes => housekeeper.end_mutes(turn).await,
            What::ClientIds => housekeeper.index_client_ids(turn).await,
            What::DeletedGroups => housekeeper.sweep_deleted_groups(turn).await,
            What::DeletedProjects => housekeeper.sweep_deleted_projects(turn).await,
            What::Finished => housekeeper.sweep(turn).await,
            What::Uploads => housekeeper.expire_artifacts(times.artifact_days, turn).await,
        }
    }
}

/// When something is done next, and what was done since it began.
struct Chore {
    what: What,
    next_at: Instant,
    count: u64,
}

impl Chore {
    fn new(what: What) -> Self {
        Self { what, next_at: Instant::now(), count: 0 }
    }

    /// Has a turn when it is time; whether there is more to do.
    async fn look(&mut self, housekeeper: &mut Housekeeper, times: HouseTimes) -> Result<bool, StoreError> {
        if Instant::now() < self.next_at {
            return Ok(false);
        }
        let Some(progress) = by_itself(self.what.name(), self.what.turn(housekeeper, times).await)? else {
            self.next_at = Instant::now() + AFTER_ERROR;
            return Ok(false);
        };
        self.count += progress.count;
        if progress.is_done {
            if self.count > 0 {
                tracing::info!(chore = self.what.name(), count = self.count, "house kept");
            }
            *self = Self { next_at: Instant::now() + self.what.every(), ..Self::new(self.what) };
        }
        Ok(!progress.is_done)
    }
}

/// What came of a chore; nothing if it failed, which is told here. An error means that the connection is lost, and the house with it.
fn by_itself<T>(chore: &'static str, done: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
    match done {
        Ok(done) => Ok(Some(done)),
        Err(error) if error.is_connection_lost() => Err(error),
        Err(error) if error.class() == ErrorClass::Retry => {
            tracing::info!(chore, error = service::causes(&error), "not now: somebody is in the way");
            Ok(None)
        }
        Err(error) => {
            tracing::warn!(chore, error = service::causes(&error), "a part of the house is not kept");
            Ok(None)
        }
    }
}

/// Publishes the snapshot whenever it changes, until told to stop. Tells to stop itself when it would overwrite what the database has lost:
/// house is kept anew then, and begins with putting that back.
async fn publish_changes(writer: &Writer, queue: &Queue, stop: &CancellationToken) {
    let mut is_silent = false;
    let mut is_blind = false;
    while !stop.is_cancelled() {
        match publish(writer, queue, &mut is_silent).await {
            Ok(true) => is_blind = false,
            Ok(false) => {
                tracing::warn!(
                    "the database lacks what is published, it was set back: nothing is published before that is put back"
                );
                stop.cancel();
            }
            Err(error) => {
                if !std::mem::replace(&mut is_blind, true) {
                    tracing::warn!(error = service::causes(&error), "gateways hear nothing new of projects");
                }
            }
        }
        let _ = tokio::time::timeout(SNAPSHOT_EVERY, stop.cancelled()).await;
    }
}

/// Publishes the snapshot when it changed, or when Redis no longer has it; `false` when the database lacks something of what is published.
/// `is_silent` says whether Redis did not answer the last time: that is told once.
async fn publish(writer: &Writer, queue: &Queue, is_silent: &mut bool) -> Result<bool, StoreError> {
    let version = writer.snapshot_version().await?;
    let published = match queue.snapshot_version().await {
        Ok(published) => published,
        Err(error) => {
            if !std::mem::replace(is_silent, true) {
                tracing::warn!(error = service::causes(&error), "snapshot not published while Redis does not answer");
            }
            return Ok(true);
        }
    };
    *is_silent = false;
    if published == Some(version) {
        return Ok(true);
    }
    let snapshot = writer.snapshot().await?;
    match queue.get_snapshot().await {
        Ok(Some(published)) => {
            if has_lost(writer, &snapshot, published).await? {
                return Ok(false);
            }
        }
        // What nobody can read is no loss.
        Ok(None) | Err(QueueError::Snapshot(_)) => {}
        Err(error) => {
            tracing::warn!(error = service::causes(&error), "snapshot not published");
            return Ok(true);
        }
    }
    match queue.put_snapshot(&snapshot).await {
        Ok(()) => tracing::info!(version = snapshot.version, projects = snapshot.projects.len(), "snapshot published"),
        Err(error) => tracing::warn!(error = service::causes(&error), "snapshot not published"),
    }
    Ok(true)
}

/// Whether the database, of which this is the snapshot, lacks the dictionary or lanes of what is published.
async fn has_lost(writer: &Writer, snapshot: &Snapshot, published: Snapshot) -> Result<bool, StoreError> {
    if published.install_id != snapshot.install_id {
        return Ok(false);
    }
    if lanes::has_more(&published, snapshot) {
        return Ok(true);
    }
    match dictionary_of(published) {
        Some((codec, _)) => Ok(writer.dictionary(codec).await?.is_none()),
        None => Ok(false),
    }
}
