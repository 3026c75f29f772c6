//! Which workers there are.

use super::Writer;
use crate::StoreError;

/// What a worker says of itself.
#[derive(Debug, Clone)]
pub struct WorkerRow {
    /// Different for every start of every worker.
    pub id: String,
    /// `fold`, `command`, `deliver`, `housekeep`, `report`.
    pub roles: Vec<String>,
    /// Where it takes commands, if it does.
    pub command_address: Option<String>,
    /// Where its health, metrics and control are.
    pub control_address: Option<String>,
    /// Its version.
    pub version: String,
    /// Whether it has a server to hand mails to.
    pub sends_mail: bool,
}

/// Who is alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Alive {
    /// Workers of role fold, the one that asks included.
    pub fold_workers: u32,
    /// Lanes that need an owner.
    pub lane_count: u32,
}

impl Writer {
    /// A sign of life. Who gives none for five seconds is taken for dead.
    pub async fn heartbeat(&self, worker: &WorkerRow) -> Result<Alive, StoreError> {
        let alive = sqlx::query_file!(
            "queries/heartbeat.sql",
            worker.id,
            &worker.roles,
            worker.command_address,
            worker.control_address,
            worker.version,
            worker.sends_mail,
        )
        .fetch_one(&self.pool)
        .await?;
        let count = |n: i64| u32::try_from(n).unwrap_or(u32::MAX);
        Ok(Alive { fold_workers: count(alive.fold_workers), lane_count: count(alive.lane_count) })
    }

    /// Says goodbye, so that nobody waits for five seconds.
    pub async fn sign_off(&self, worker_id: &str) -> Result<(), StoreError> {
        sqlx::query!("delete from worker where id = $1", worker_id).execute(&self.pool).await?;
        Ok(())
    }
}
