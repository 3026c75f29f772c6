//! One batch of one lane in one transaction.

mod attachments;
mod client_ids;
mod counts;
pub(super) mod facets;
mod generated;
mod groups;
mod records;
pub(super) mod releases;
mod told;

use std::sync::Arc;
use std::time::Duration;

use rand::RngExt as _;
use sqlx::{PgConnection, Postgres, Transaction};

use self::facets::{Learned, Remembered};
pub use self::generated::Generated;
use crate::batch::{Batch, Claim, Written};
use crate::error::{ErrorClass, StoreError};
use crate::live_days::{LiveDays, time_of};
use crate::writer::Writer;
use crate::writer::detached;

/// How often a batch that met a deadlock is tried again.
const RETRIES_MAX: u32 = 3;

/// The server ends what takes too long. The client never does: a future that is dropped inside a transaction
/// leaves a connection in an unknown state.
const TRANSACTION_LIMITS: &str = "set local lock_timeout = '5s'; set local statement_timeout = '30s'; \
     set local idle_in_transaction_session_timeout = '30s'; set local synchronous_commit = on";

impl Writer {
    /// Commits a batch for a lane: the numbers of its records, their counts and their bodies, or nothing.
    ///
    /// Deadlocks and partitions that have gone are coped with here; every other error is for the caller, whose
    /// [`StoreError::class`] says what it asks for. A batch with nothing in it only proves that the lane is still held.
    pub async fn commit(&self, claim: Claim, batch: Arc<Batch>) -> Result<Written, StoreError> {
        let mut tries = 0;
        loop {
            let live = self.live_days().await?;
            let writer = self.clone();
            let task_batch = Arc::clone(&batch);
            let result = detached(async move { writer.commit_once(claim, &task_batch, live).await }).await;
            let error = match result {
                Ok(written) => return Ok(written),
                Err(error) => error,
            };
            tries += 1;
            if matches!(error, StoreError::PlacesLost) {
                self.releases.forget();
            }
            match error.class() {
                ErrorClass::NoPartition if tries == 1 => self.forget_live_days().await,
                ErrorClass::Retry if tries <= RETRIES_MAX => {
                    let pause_ms = rand::rng().random_range(5..50_u64) << tries;
                    tokio::time::sleep(Duration::from_millis(pause_ms)).await;
                }
                _ => return Err(error),
            }
        }
    }

    async fn commit_once(&self, claim: Claim, batch: &Batch, live: LiveDays) -> Result<Written, StoreError> {
        let mut transaction = self.begin().await?;
        let tx = &mut *transaction;
        sqlx::raw_sql(TRANSACTION_LIMITS).execute(&mut *tx).await?;
        let accounted = fence(tx, claim, batch).await?;
        (self.on_step)("batch.after_t0");
        let releases = releases::write(tx, &batch.groups, &self.releases).await?;
        let (written, learned) = write(tx, claim, batch, live, &self.facets).await?;
        let written = Written { accounted, ..written };
        (self.on_step)("batch.before_commit");
        transaction.commit().await.map_err(StoreError::CommitUnknown)?;
        (self.on_step)("batch.after_commit");
        self.facets.keep(learned);
        self.releases.keep(releases);
        Ok(written)
    }

    pub(crate) async fn begin(&self) -> Result<Transaction<'static, Postgres>, StoreError> {
        Ok(self.pool.begin().await?)
    }
}

/// Answers how many records of the lane are accounted for with this batch.
async fn fence(tx: &mut PgConnection, claim: Claim, batch: &Batch) -> Result<i64, StoreError> {
    let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    let notices: u64 = batch.groups.iter().map(|group| group.notice_count).sum();
    let gone: u64 = batch.gone.iter().map(|gone| gone.record_count).sum();
    // What came without a journal has no number that could be accounted for.
    let numbered_dead = batch.dead.iter().filter(|dead| !dead.journal.is_nil()).count();
    let held = sqlx::query_file_scalar!(
        "queries/batch/fence.sql",
        i32::from(claim.lane),
        claim.token,
        batch.newest_at_us.map(time_of),
        signed(notices),
        count(batch.deploys.len()),
        signed(batch.ledger_records),
        count(batch.stats.len()),
        count(numbered_dead) - count(batch.revived.len()),
        signed(gone),
        claim.accounted,
        signed(batch.repeat_records),
        count(batch.attachments.len()),
    )
    .fetch_optional(tx)
    .await?;
    held.ok_or(StoreError::Fenced { lane: claim.lane })
}

async fn write(
    tx: &mut PgConnection,
    claim: Claim,
    batch: &Batch,
    live: LiveDays,
    remembered: &Remembered,
) -> Result<(Written, Learned), StoreError> {
    let mut written = Written::default();
    let mut learned = Learned::default();
    if !batch.groups.is_empty() {
        let placed = groups::write(tx, &batch.groups, live).await?;
        counts::write(tx, claim.lane, &batch.groups, &placed, live).await?;
        learned = facets::write(tx, &batch.groups, &placed, live, remembered).await?;
        told::write(tx, batch, &placed, live).await?;
        written.notice_count = batch.groups.iter().map(|group| group.notice_count).sum();
        written.fresh_group_count = placed.iter().filter(|place| place.is_fresh).count() as u64;
        written.reopened_group_count = told::reopened(&placed).len() as u64;
    }
    if !batch.attachments.is_empty() {
        attachments::write(tx, claim.lane, batch, live).await?;
    }
    records::write(tx, claim, batch, live).await?;
    if !batch.client_ids.is_empty() {
        written.client_ids = client_ids::write(tx, claim.lane, batch).await?;
    }
    Ok((written, learned))
}

pub(super) fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
