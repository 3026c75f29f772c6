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
    /// The whole record.
    pub raw: Vec<u8>,
}

impl Writer {
    /// The dead records of a lane that are to be tried again, oldest wish first.
    pub async fn dead_to_retry(&self, claim: Claim, limit: i64) -> Result<Vec<DeadRecord>, StoreError> {
        let rows = sqlx::query!(
            "select journal, seq, raw from dead_notice
             where retry_at is not null and epoch = $1 and lane = $2 order by retry_at limit $3",
            claim.epoch,
            i32::from(claim.lane),
            limit
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows
            .into_iter()
            .map(|row| DeadRecord { journal: row.journal, seq: row.seq.unsigned_abs(), raw: row.raw })
            .collect())
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
