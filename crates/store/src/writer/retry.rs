//! Dead records that somebody asked to try again.

use uuid::Uuid;

use super::Writer;
use crate::StoreError;
use crate::batch::Claim;

/// A dead record to be tried again.
#[derive(Debug, Clone)]
pub struct DeadRecord {
    /// Its journal.
    pub journal: Uuid,
    /// Its number in the journal's lane.
    pub seq: u64,
    /// Why it is dead.
    pub reason: String,
    /// The whole record.
    pub raw: Vec<u8>,
}

impl Writer {
    /// The dead record of a lane that has waited longest to be tried again.
    pub async fn dead_to_retry(&self, claim: Claim) -> Result<Option<DeadRecord>, StoreError> {
        let row = sqlx::query!(
            "select journal, seq, reason, raw from dead_notice
             where retry_at is not null and epoch = $1 and lane = $2 order by retry_at limit 1",
            claim.epoch,
            i32::from(claim.lane)
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.map(|row| DeadRecord {
            journal: row.journal,
            seq: row.seq.unsigned_abs(),
            reason: row.reason,
            raw: row.raw,
        }))
    }

    /// An attempt was cut short, and says nothing of the record: it waits to be tried again, if it is dead still.
    pub async fn retry_later(&self, claim: Claim, record: &DeadRecord, detail: &str) -> Result<(), StoreError> {
        sqlx::query!(
            "update dead_notice set retry_at = now(), detail = $5
             where journal = $1 and epoch = $2 and lane = $3 and seq = $4",
            record.journal,
            claim.epoch,
            i32::from(claim.lane),
            i64::try_from(record.seq).unwrap_or(i64::MAX),
            detail.replace('\0', "\u{fffd}"),
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// It was tried again and is still dead, for this reason.
    pub async fn still_dead(
        &self,
        claim: Claim,
        record: &DeadRecord,
        reason: &str,
        detail: &str,
    ) -> Result<(), StoreError> {
        sqlx::query!(
            "update dead_notice set retry_at = null, reason = $5, detail = $6
             where journal = $1 and epoch = $2 and lane = $3 and seq = $4",
            record.journal,
            claim.epoch,
            i32::from(claim.lane),
            i64::try_from(record.seq).unwrap_or(i64::MAX),
            reason,
            detail.replace('\0', "\u{fffd}"),
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }
}
