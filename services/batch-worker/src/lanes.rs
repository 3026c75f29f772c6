//! Epochs of the map of lanes: letting go of lanes that nobody has anything for, and calling them back.
//!
//! That an epoch is retired is a belief that saves work, and nothing depends on it: whatever comes into its lanes, from a
//! gateway that was away for a year or one that has not heard of a newer epoch, is seen within [`LOOK_EVERY`] and
//! has owners from then on.

use std::time::Duration;

use notice::{LaneEpoch, Snapshot};
use queue::{Lanes, Queue, QueueError};
use store::StoreError;
use store::housekeeper::Housekeeper;
use tokio::time::Instant;

/// Pause between looks at the lanes of all epochs but the current one.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// When to look next, and what is waited for.
pub(crate) struct Retiring {
    quiet: Duration,
    next_look: Instant,
}

impl Retiring {
    /// Retires epochs of which nothing was heard for `quiet`. Calls back all that are retired: the database may have been set
    /// back, and then gateways have to hear from the owners of their lanes that it lacks what they thought committed.
    pub(crate) async fn begin(quiet: Duration, housekeeper: &mut Housekeeper) -> Result<Self, StoreError> {
        for epoch in housekeeper.lane_epochs().await?.into_iter().filter(|epoch| epoch.is_retired) {
            housekeeper.wake_lanes(epoch.lanes.epoch).await?;
        }
        Ok(Self { quiet, next_look: Instant::now() })
    }

    /// Looks when it is time.
    pub(crate) async fn look(&mut self, housekeeper: &mut Housekeeper, queue: &Queue) -> Result<(), StoreError> {
        if Instant::now() < self.next_look {
            return Ok(());
        }
        self.next_look = Instant::now() + LOOK_EVERY;
        let epochs = housekeeper.lane_epochs().await?;
        let Some((_current, older)) = epochs.split_last() else { return Ok(()) };
        if older.is_empty() {
            return Ok(());
        }
        let lanes: Vec<LaneEpoch> = epochs.iter().map(|epoch| epoch.lanes).collect();
        if let Err(error) = queue.learn_lanes(&lanes) {
            tracing::error!(error = service::causes(&error), "lanes of older epochs are not looked at");
            return Ok(());
        }
        let retried = housekeeper.epochs_with_retries().await?;
        for row in older {
            let epoch = row.lanes.epoch;
            // Redis that does not answer is told of by whoever guards the installation.
            let Ok(is_empty) = are_empty(queue, &row.lanes).await else { return Ok(()) };
            if row.is_retired && (!is_empty || retried.contains(&epoch)) {
                housekeeper.wake_lanes(epoch).await?;
                tracing::info!(epoch, "lanes are needed again");
            } else if !row.is_retired && is_empty && housekeeper.retire_lanes(epoch, self.quiet).await? {
                tracing::info!(epoch, lanes = row.lanes.lane_count, "lanes retired: nobody has anything for them");
            }
        }
        Ok(())
    }
}

async fn are_empty(queue: &Queue, epoch: &LaneEpoch) -> Result<bool, QueueError> {
    for lane in Lanes::of_epoch(epoch) {
        if queue.depth(lane).await? > 0 {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether this has epochs that are published, and more that are not in the other snapshot, of the database.
pub(crate) fn has_more(published: &Snapshot, present: &Snapshot) -> bool {
    let (published, present) = (Lanes::epochs_of(published), Lanes::epochs_of(present));
    published.len() > present.len() && published.starts_with(&present)
}

/// Epochs that are published and not in the database, because that was set back, are put there again: gateways have put
/// records on their lanes.
pub(crate) async fn restore_published(housekeeper: &mut Housekeeper, queue: &Queue) -> Result<(), StoreError> {
    let Ok(Some(published)) = queue.get_snapshot().await else { return Ok(()) };
    let present = housekeeper.snapshot().await?;
    if published.install_id != present.install_id {
        return Ok(());
    }
    let (published, present) = (Lanes::epochs_of(&published), Lanes::epochs_of(&present));
    match published.strip_prefix(present.as_slice()) {
        Some([]) => {}
        Some(lost) => {
            housekeeper.restore_lanes(lost).await?;
            tracing::warn!(epochs = lost.len(), "published lanes were not in the database any more: put there again");
        }
        None if present.starts_with(&published) => {}
        None => tracing::error!("the published lanes are not those in the database: gateways refuse what is published"),
    }
    Ok(())
}
