//! Records that could not become what they were sent as.

use time::OffsetDateTime;
use uuid::Uuid;

use super::Admin;
use crate::StoreError;
use crate::dead::{self, DeadNoticeId};

/// A dead record.
#[derive(Debug, Clone, serde::Serialize)]
pub struct DeadNotice {
    /// Which one.
    #[serde(flatten)]
    pub id: DeadNoticeId,
    /// Its project.
    pub project_id: i64,
    /// The id that the client was given.
    pub notice_id: Uuid,
    /// Kind of the record.
    pub kind: i16,
    /// Why, from a fixed set.
    pub reason: String,
    /// Why, in words.
    pub detail: String,
    /// Size of the record.
    pub raw_bytes: i64,
    /// When it was put here.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
}

impl Admin {
    /// Dead records, newest first; of one project or of all.
    pub async fn dead_notices(&self, project_id: Option<i64>, limit: i64) -> Result<Vec<DeadNotice>, StoreError> {
        let rows = sqlx::query!(
            r#"select journal, epoch, lane, seq, project_id, notice_id, kind, reason, detail, length(raw)::bigint as "raw_bytes!", at
               from dead_notice where $1::bigint is null or project_id = $1 order by at desc, journal, lane, seq limit $2"#,
            project_id,
            limit
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows
            .into_iter()
            .map(|row| DeadNotice {
                id: DeadNoticeId { journal: row.journal, epoch: row.epoch, lane: row.lane, seq: row.seq },
                project_id: row.project_id,
                notice_id: row.notice_id,
                kind: row.kind,
                reason: row.reason,
                detail: row.detail,
                raw_bytes: row.raw_bytes,
                at: row.at,
            })
            .collect())
    }

    /// The dead record of the notice with this id.
    pub async fn dead_notice(&self, notice_id: Uuid) -> Result<(DeadNotice, Vec<u8>), StoreError> {
        let row = sqlx::query!(
            "select journal, epoch, lane, seq, project_id, notice_id, kind, reason, detail, raw, at from dead_notice where notice_id = $1 limit 1",
            notice_id
        )
        .fetch_optional(&self.pool)
        .await?
        .ok_or_else(|| StoreError::Invalid(format!("there is no dead notice {notice_id}; `croak dead list` shows them")))?;
        let dead = DeadNotice {
            id: DeadNoticeId { journal: row.journal, epoch: row.epoch, lane: row.lane, seq: row.seq },
            project_id: row.project_id,
            notice_id: row.notice_id,
            kind: row.kind,
            reason: row.reason,
            detail: row.detail,
            raw_bytes: i64::try_from(row.raw.len()).unwrap_or(i64::MAX),
            at: row.at,
        };
        Ok((dead, row.raw))
    }

    /// Asks the owner of the record's lane to try it again; false when the record is no longer there.
    ///
    /// A record that is good now goes into its group and is then no longer here. One that is not stays, with a new reason.
    pub async fn retry_dead_notice(&self, id: DeadNoticeId) -> Result<bool, StoreError> {
        let asked = dead::retry(&mut *self.pool.acquire().await?, id).await?;
        Ok(asked.is_some())
    }

    /// Whether a record that was asked for is still waiting to be tried; `None` when it is no longer here: it lives.
    pub async fn is_retry_pending(&self, id: DeadNoticeId) -> Result<Option<bool>, StoreError> {
        let pending = sqlx::query_scalar!(
            r#"select retry_at is not null as "is_pending!" from dead_notice where journal = $1 and epoch = $2 and lane = $3 and seq = $4"#,
            id.journal,
            id.epoch,
            id.lane,
            id.seq
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(pending)
    }

    /// Drops a dead record for good, and writes an incident, so that the sums still tell where it went.
    pub async fn drop_dead_notice(&self, id: DeadNoticeId) -> Result<bool, StoreError> {
        let dropped = dead::drop_for_good(&mut *self.pool.acquire().await?, id).await?;
        Ok(dropped.is_some())
    }
}
