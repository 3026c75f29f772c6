//! Everything that takes part in a run.

use std::time::{Duration, Instant};

use store::Admin;

use super::api::Api;
use super::course::Course;
use super::limits::Found;
use super::services::Services;
use super::spent::Ledger;
use super::target::Target;
use super::visits::Visits;

/// How long what was sent before this run may take to be stored.
const QUIET_WITHIN: Duration = Duration::from_secs(30);
/// How often it is asked whether all is stored.
const DRAIN_POLL: Duration = Duration::from_millis(50);

/// Everything that takes part in a run.
pub(crate) struct Scene {
    pub(crate) target: Target,
    pub(crate) services: Services,
    pub(crate) api: Option<Api>,
    pub(crate) admin: Option<Admin>,
    pub(crate) visits: Vec<Visits>,
    pub(crate) limits: Option<Found>,
}

impl Scene {
    /// How many notices the project has, where that is known.
    pub(crate) async fn notice_count(&mut self) -> anyhow::Result<Option<u64>> {
        match &mut self.api {
            Some(api) => api.notice_count().await.map(Some),
            None => Ok(None),
        }
    }

    /// What the database has done so far, where that is known.
    pub(crate) async fn ledger(&self) -> anyhow::Result<Option<Ledger>> {
        match &self.admin {
            Some(admin) => Ledger::read(admin).await.map(Some),
            None => Ok(None),
        }
    }

    /// Waits until what earlier runs left in the journal is stored, so that it is not counted as this one's.
    pub(crate) async fn wait_until_quiet(&self) {
        let started_at = Instant::now();
        while self.services.look().await.unacked_bytes.is_some_and(|bytes| bytes > 0)
            && started_at.elapsed() < QUIET_WITHIN
        {
            tokio::time::sleep(DRAIN_POLL).await;
        }
    }

    /// Waits until the project has as many notices as are wanted, and goes on looking: so many of this run are accepted.
    /// How many there are then, and when that was.
    pub(crate) async fn drain(
        &mut self,
        course: &mut Course,
        began: Instant,
        accepted: u64,
        wanted: u64,
        wait: Duration,
    ) -> anyhow::Result<(u64, Option<Instant>)> {
        let started_at = Instant::now();
        loop {
            let count = self.notice_count().await?.unwrap_or_default();
            let counted_at = Instant::now();
            if course.is_due(began) || count >= wanted {
                course.look(&self.services, accepted, began).await;
            }
            if count >= wanted {
                return Ok((count, Some(counted_at)));
            }
            if started_at.elapsed() >= wait {
                return Ok((count, None));
            }
            tokio::time::sleep(DRAIN_POLL).await;
        }
    }
}
