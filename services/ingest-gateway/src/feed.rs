//! Keeping up with projects and keys: asks Redis for the snapshot and keeps it on disk.

use std::time::Duration;

use notice::Snapshot;
use queue::body::Dictionaries;
use queue::{Queue, QueueError};
use service::{Check, causes};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::kept::Kept;
use crate::projects::{Known, Projects, SnapshotError};

/// Asks for changes and hands them to whoever knows.
pub(crate) struct Feed {
    pub(crate) queue: Queue,
    pub(crate) kept: Kept,
    pub(crate) known: Known,
    pub(crate) dictionaries: Dictionaries,
    pub(crate) checks: FeedChecks,
    pub(crate) owner: watch::Sender<Owner>,
    /// The published snapshot, if it was refused: told once, and not fetched again.
    pub(crate) refused: Option<Refused>,
}

/// Whose Redis it is, as far as it says: another installation's workers would take our notices as their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    /// It was not asked yet.
    Unknown,
    /// This installation's; also one that says nothing, because it is new or was just emptied.
    Us,
    Other(Uuid),
}

/// A snapshot that was refused.
pub(crate) struct Refused {
    version: u64,
    /// If that was why.
    other_install_id: Option<Uuid>,
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
    pub(crate) fn begin(&mut self) {
        match self.kept.load() {
            Ok(Some(snapshot)) => self.take(&snapshot),
            Ok(None) => {}
            Err(error) => tracing::error!(%error, "cannot read the snapshot of projects on disk: waiting for redis"),
        }
    }

    /// Asks until stopped.
    pub(crate) async fn follow(mut self, every: Duration, stop: CancellationToken) {
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

    /// One look at Redis: whether the snapshot changed, and whose it is.
    async fn ask(&mut self) -> Result<(), QueueError> {
        let version = self.queue.snapshot_version().await?;
        let known = self.known.now().map(|projects| projects.version);
        let refused = self.refused.as_ref().map(|refused| refused.version);
        if version.is_none() || version == known {
            self.refused = None;
        } else if version != refused
            && let Some(snapshot) = self.queue.get_snapshot().await?
        {
            self.take(&snapshot);
        }
        let claimed_by = self.queue.install_id().await?;
        self.compare(claimed_by);
        Ok(())
    }

    fn compare(&self, claimed_by: Option<Uuid>) {
        let Some(ours) = self.known.now().map(|projects| projects.install_id) else { return };
        let published_by = self.refused.as_ref().and_then(|refused| refused.other_install_id);
        let other = claimed_by.filter(|claimed_by| *claimed_by != ours).or(published_by);
        let owner = other.map_or(Owner::Us, Owner::Other);
        // Telling what is known already would have the shipper begin anew each time.
        let has_changed = self.owner.send_if_modified(|known| std::mem::replace(known, owner) != owner);
        if !has_changed {
            return;
        }
        match other {
            None => self.checks.installation.well(),
            Some(other) => {
                tracing::error!(%other, %ours, "redis belongs to another installation: nothing is shipped. Is CROAK_REDIS_URL or CROAK_QUEUE_PREFIX wrong?");
                let why = format!("redis belongs to installation {other}, this gateway to {ours}");
                self.checks.installation.troubled(why);
            }
        }
    }

    /// Takes a snapshot if it is one of ours.
    fn take(&mut self, snapshot: &Snapshot) {
        match self.usable(snapshot) {
            Ok(projects) => {
                if let Err(error) = self.kept.save(snapshot) {
                    tracing::error!(%error, "cannot keep the snapshot of projects on disk");
                }
                tracing::info!(
                    version = projects.version,
                    projects = projects.count(),
                    lanes = self.queue.lanes().current().len(),
                    "projects are known"
                );
                self.known.set(projects);
                self.checks.snapshot.well();
                self.refused = None;
            }
            Err(error) => {
                tracing::error!(error = causes(&error), version = snapshot.version, "refused a snapshot of projects");
                let other_install_id = match error {
                    SnapshotError::OtherInstallation(other) => Some(other),
                    _ => None,
                };
                self.refused = Some(Refused { version: snapshot.version, other_install_id });
            }
        }
    }

    fn usable(&self, snapshot: &Snapshot) -> Result<Projects, SnapshotError> {
        let now = self.known.now();
        let projects = Projects::new(snapshot, &self.dictionaries, now.as_deref())?;
        match now {
            Some(now) if projects.install_id != now.install_id => {
                Err(SnapshotError::OtherInstallation(projects.install_id))
            }
            // Records that lie in the journal have their lane for ever.
            Some(now) if !projects.lane_epochs.starts_with(&now.lane_epochs) => Err(SnapshotError::OtherLanes),
            _ => {
                // Before the first record goes to one of them.
                self.queue.learn_lanes(&projects.lane_epochs).map_err(SnapshotError::Lanes)?;
                Ok(projects)
            }
        }
    }
}
