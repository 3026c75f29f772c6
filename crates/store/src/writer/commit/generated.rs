//! Notices that nobody sent, to see what an installation bears: written by the statements of a batch, without a lane's numbers.
//!
//! They are made in slices, each of which is a transaction that counts itself: whoever goes on after a stop begins with the
//! first slice that is not there.

use sqlx::types::time::OffsetDateTime;

use super::{TRANSACTION_LIMITS, counts, facets, groups};
use crate::batch::FingerprintBatch;
use crate::error::{ErrorClass, StoreError};
use crate::live_days::time_of;
use crate::writer::Writer;

/// How often a slice is tried: housekeep may roll up the minutes of one day after the other meanwhile.
const TRIES_MAX: u32 = 100;

/// What is to be made for a project, and how far it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Generated {
    /// The project.
    pub project_id: i64,
    /// Groups, in all.
    pub group_count: i64,
    /// Notices, in all.
    pub notice_count: i64,
    /// Slices that are there.
    pub slices_done: i64,
    /// Notices that are there.
    pub notices_done: i64,
    /// When the newest of them happened: all ages are reckoned from it.
    pub ends_at: OffsetDateTime,
}

impl Writer {
    /// Begins to make notices for a project, or goes on where that was left.
    ///
    /// A project with notices that were not made so is refused, and so is another plan than the one that was begun.
    pub async fn begin_generated(
        &self,
        project_id: i64,
        group_count: i64,
        notice_count: i64,
        days: i32,
    ) -> Result<Generated, StoreError> {
        let mut transaction = self.begin().await?;
        let tx = &mut *transaction;
        sqlx::query!(
            "insert into generated (project_id, group_count, notice_count) values ($1, $2, $3) on conflict (project_id) do nothing",
            project_id,
            group_count,
            notice_count
        )
        .execute(&mut *tx)
        .await?;
        let plan = sqlx::query_as!(
            Generated,
            "select project_id, group_count, notice_count, slices_done, notices_done, ends_at from generated where project_id = $1 for update",
            project_id
        )
        .fetch_one(&mut *tx)
        .await?;
        let stored = sqlx::query_scalar!(
            r#"select coalesce(sum(notice_count), 0)::bigint as "stored!" from project_tally where project_id = $1"#,
            project_id
        )
        .fetch_one(&mut *tx)
        .await?;
        if stored != plan.notices_done {
            return Err(StoreError::Invalid(format!(
                "project {project_id} has {stored} notices, of which {} were made: take a project that has none of its own",
                plan.notices_done
            )));
        }
        if (plan.group_count, plan.notice_count) != (group_count, notice_count) {
            return Err(StoreError::Invalid(format!(
                "{} groups and {} notices were begun in project {project_id}: go on with these, or take another project",
                plan.group_count, plan.notice_count
            )));
        }
        for day in 0..=days {
            let at = plan.ends_at - time::Duration::days(i64::from(day));
            sqlx::query_scalar!("select partition_ensure($1)", at.to_offset(time::UtcOffset::UTC).date())
                .fetch_one(&mut *tx)
                .await?;
        }
        transaction.commit().await.map_err(StoreError::CommitUnknown)?;
        self.forget_live_days().await;
        Ok(plan)
    }

    /// Writes one slice, whose notices are of one lane, and counts it. Tried again where a day's minutes have been rolled up meanwhile: house
    /// is kept beside it.
    pub async fn write_generated(
        &self,
        plan: Generated,
        slice: i64,
        lane: u16,
        batch: &[FingerprintBatch],
    ) -> Result<(), StoreError> {
        let mut tries = 0;
        loop {
            let written = self.write_slice(plan, slice, lane, batch).await;
            tries += 1;
            match written {
                Err(error) if error.class() == ErrorClass::NoPartition && tries < TRIES_MAX => {
                    self.forget_live_days().await;
                }
                other => return other,
            }
        }
    }

    async fn write_slice(
        &self,
        plan: Generated,
        slice: i64,
        lane: u16,
        batch: &[FingerprintBatch],
    ) -> Result<(), StoreError> {
        let live = self.live_days().await?;
        let mut transaction = self.begin().await?;
        let tx = &mut *transaction;
        sqlx::raw_sql(TRANSACTION_LIMITS).execute(&mut *tx).await?;
        let notices: i64 = batch.iter().map(|group| super::signed(group.notice_count)).sum();
        let counted = sqlx::query!(
            "update generated set slices_done = slices_done + 1, notices_done = notices_done + $3 where project_id = $1 and slices_done = $2",
            plan.project_id,
            slice,
            notices
        )
        .execute(&mut *tx)
        .await?;
        if counted.rows_affected() != 1 {
            return Err(StoreError::Invalid(format!("somebody else makes notices for project {}", plan.project_id)));
        }
        let placed = groups::write(tx, batch, live).await?;
        counts::write(tx, lane, batch, &placed, live).await?;
        facets::write(tx, batch, &placed, live, &self.facets).await?;
        transaction.commit().await.map_err(StoreError::CommitUnknown)
    }

    /// Brings what the planner knows up to date with what was made.
    pub async fn analyze(&self) -> Result<(), StoreError> {
        sqlx::raw_sql("analyze").execute(&self.pool).await?;
        Ok(())
    }
}

impl Generated {
    /// When the newest notice happened, Unix microseconds.
    #[must_use]
    pub fn ends_at_us(&self) -> i64 {
        i64::try_from((self.ends_at - time_of(0)).whole_microseconds()).unwrap_or(i64::MAX)
    }
}
