//! Role housekeep: partitions ahead and behind, roll-ups, retention, merging of small chunks, and the snapshot of projects for
//! the gateways.
//!
//! Any number of workers may have the role; the one that holds the lock in PostgreSQL does the work.

use std::time::Duration;

use queue::Queue;
use store::housekeeper::Housekeeper;
use store::{StoreError, Writer};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::compaction::Compacting;
use crate::config::HouseTimes;
use crate::lanes::{self, Retiring};
use crate::training::{Training, restore_published};

/// Pause between looks at the version of the snapshot: a new project is accepted by gateways within a second.
const SNAPSHOT_EVERY: Duration = Duration::from_millis(200);

/// Pause between rounds of everything else.
const ROUND_EVERY: Duration = Duration::from_secs(60);

/// Pause between looks for uploads that are too old: who has many of them has them looked through each time.
const UPLOADS_EVERY: Duration = Duration::from_secs(600);

/// Pause before the next try to become housekeeper, or after an error.
const STANDBY: Duration = Duration::from_secs(2);

/// Keeps house until told to stop.
pub(crate) async fn run(writer: Writer, queue: Queue, times: HouseTimes, shutdown: CancellationToken) {
    while !shutdown.is_cancelled() {
        match writer.housekeeper().await {
            Ok(Some(housekeeper)) => {
                tracing::info!("this worker keeps house");
                if let Err(error) = keep(housekeeper, &queue, times, &shutdown).await {
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
    queue: &Queue,
    times: HouseTimes,
    shutdown: &CancellationToken,
) -> Result<(), StoreError> {
    let mut next_round = Instant::now();
    let mut next_uploads = Instant::now();
    let mut is_silent = false;
    let mut training = Training::new();
    restore_published(&mut housekeeper, queue).await?;
    lanes::restore_published(&mut housekeeper, queue).await?;
    let mut retiring = Retiring::begin(times.lanes_quiet, &mut housekeeper).await?;
    let mut compacting = Compacting::new(times.compact_after);
    while !shutdown.is_cancelled() {
        publish(&mut housekeeper, queue, &mut is_silent).await?;
        if Instant::now() >= next_round {
            round(&mut housekeeper).await?;
            next_round = Instant::now() + ROUND_EVERY;
        }
        if Instant::now() >= next_uploads {
            let swept = housekeeper.expire_artifacts(times.artifact_days).await?;
            tracing::debug!(swept, "old uploads taken away");
            next_uploads = Instant::now() + UPLOADS_EVERY;
        }
        training.look(&mut housekeeper).await?;
        retiring.look(&mut housekeeper, queue).await?;
        compacting.look(&mut housekeeper).await?;
        let _ = tokio::time::timeout(SNAPSHOT_EVERY, shutdown.cancelled()).await;
    }
    Ok(())
}

/// Publishes the snapshot when it changed, or when Redis no longer has it. `is_silent` says whether Redis did not answer
/// the last time: that is told once.
async fn publish(housekeeper: &mut Housekeeper, queue: &Queue, is_silent: &mut bool) -> Result<(), StoreError> {
    let version = housekeeper.snapshot_version().await?;
    let published = match queue.snapshot_version().await {
        Ok(published) => published,
        Err(error) => {
            if !std::mem::replace(is_silent, true) {
                tracing::warn!(error = service::causes(&error), "snapshot not published while Redis does not answer");
            }
            return Ok(());
        }
    };
    *is_silent = false;
    if published == Some(version) {
        return Ok(());
    }
    let snapshot = housekeeper.snapshot().await?;
    match queue.put_snapshot(&snapshot).await {
        Ok(()) => tracing::info!(version = snapshot.version, projects = snapshot.projects.len(), "snapshot published"),
        Err(error) => tracing::warn!(error = service::causes(&error), "snapshot not published"),
    }
    Ok(())
}

async fn round(housekeeper: &mut Housekeeper) -> Result<(), StoreError> {
    let made = housekeeper.ensure_partitions().await?;
    let rolled_up_days = housekeeper.roll_up_minutes().await?;
    let expired = housekeeper.expire().await?;
    let ended_mutes = housekeeper.end_mutes().await?;
    let indexed_ids = housekeeper.index_client_ids().await?;
    let deleted_groups = housekeeper.sweep_deleted_groups().await?;
    let swept = housekeeper.sweep().await? + housekeeper.sweep_deleted_projects().await?;
    tracing::info!(
        made,
        rolled_up_days,
        expired_days = expired.days,
        expired_notices = expired.notices,
        ended_mutes,
        deleted_groups,
        indexed_ids,
        swept,
        "house kept"
    );
    Ok(())
}
