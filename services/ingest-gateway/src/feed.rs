//! Keeping up with projects and keys: asks Redis for the snapshot and keeps it on disk.

use std::time::Duration;

use notice::Snapshot;
use queue::{Queue, QueueError};
use service::{Check, causes};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::kept::Kept;
use crate::projects::{Known, Projects};

/// Asks for changes and hands them to whoever knows.
pub(crate) struct Feed {
    pub(crate) queue: Queue,
    pub(crate) kept: Kept,
    pub(crate) known: Known,
    pub(crate) checks: FeedChecks,
    /// Whether Redis is this installation's, as far as it says: another one's workers would take our notices as their own.
    pub(crate) is_ours: watch::Sender<bool>,
}

/// What the feed knows of the service's health.
pub(crate) struct FeedChecks {
    /// Required: without projects nobody can be let in.
    pub(crate) snapshot: Check,
    /// Preferred: the disk holds what Redis cannot take.
    pub(crate) redis: Check,
    /// Preferred: whether Redis is this installation's.
    pub(crate) installation: Check,
}

impl Feed {
    /// Takes the snapshot of the last run, so that the door opens before anything else answers.
    pub(crate) fn begin(&self) {
        match self.kept.load() {
            Ok(Some(snapshot)) => self.take(&snapshot),
            Ok(None) => {}
            Err(error) => tracing::error!(%error, "cannot read the snapshot of projects on disk: waiting for redis"),
        }
    }

    /// Asks until stopped.
    pub(crate) async fn follow(&self, every: Duration, stop: CancellationToken) {
        let mut was_reachable = true;
        loop {
            let asked = self.ask().await;
            match &asked {
                Ok(()) => self.checks.redis.well(),
                Err(error) => self.checks.redis.troubled(causes(error)),
            }
            match (&asked, was_reachable) {
                (Err(error), true) => {
                    tracing::warn!(causes = causes(error), "redis cannot be reached: notices are kept on disk");
                }
                (Ok(()), false) => tracing::info!("redis is back"),
                _ => {}
            }
            was_reachable = asked.is_ok();
            if stop.run_until_cancelled(tokio::time::sleep(every)).await.is_none() {
                return;
            }
        }
    }

    /// One look at Redis: whose it is, and whether the snapshot changed.
    async fn ask(&self) -> Result<(), QueueError> {
        self.compare_installations(self.queue.install_id().await?);
        let Some(version) = self.queue.snapshot_version().await? else {
            return Ok(());
        };
        if self.known.now().is_some_and(|projects| projects.version == version) {
            return Ok(());
        }
        if let Some(snapshot) = self.queue.get_snapshot().await? {
            self.take(&snapshot);
        }
        Ok(())
    }

    /// A Redis that says nothing has just been emptied, or is new: it becomes ours.
    fn compare_installations(&self, found: Option<Uuid>) {
        let Some(projects) = self.known.now() else { return };
        let other = found.filter(|found| *found != projects.install_id);
        let was_ours = self.is_ours.send_replace(other.is_none());
        match other {
            None => self.checks.installation.well(),
            Some(other) => {
                let ours = projects.install_id;
                self.checks
                    .installation
                    .troubled(format!("redis belongs to installation {other}, this gateway to {ours}"));
                if was_ours {
                    tracing::error!(%other, %ours, "redis belongs to another installation: nothing is shipped. Is CROAK_REDIS_URL or CROAK_QUEUE_PREFIX wrong?");
                }
            }
        }
    }

    fn take(&self, snapshot: &Snapshot) {
        let projects = match Projects::new(snapshot) {
            Ok(projects) => projects,
            Err(error) => {
                tracing::error!(%error, version = snapshot.version, "refused a snapshot of projects");
                return;
            }
        };
        if let Some(now) = self.known.now() {
            if projects.install_id != now.install_id {
                // Told loudly by the comparison of installations, once.
                tracing::debug!(version = projects.version, "refused another installation's snapshot");
                self.compare_installations(Some(projects.install_id));
                return;
            }
            if projects.lane_count != now.lane_count {
                let (published, present) = (projects.lane_count, now.lane_count);
                tracing::error!(published, present, "refused a snapshot with another number of lanes");
                return;
            }
        }
        if let Err(error) = self.kept.save(snapshot) {
            tracing::error!(%error, "cannot keep the snapshot of projects on disk");
        }
        tracing::info!(version = projects.version, projects = projects.count(), "projects are known");
        self.known.set(projects);
        self.checks.snapshot.well();
    }
}
