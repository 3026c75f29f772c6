//! The generations of the map of lanes: which lanes there are, and which of them need an owner.

use std::time::Duration;

use notice::LaneEpoch;

use crate::housekeeper::Housekeeper;
use crate::{StoreError, Writer};

/// One generation of the map of lanes, as workers see it.
#[derive(Debug, Clone, PartialEq)]
pub struct EpochRow {
    /// Its lanes.
    pub lanes: LaneEpoch,
    /// Whether its lanes need no owner: nobody has anything for them.
    pub is_retired: bool,
}

impl Writer {
    /// The epochs that there ever were, oldest first; the last is the current one.
    pub async fn lane_epochs(&self) -> Result<Vec<EpochRow>, StoreError> {
        read(&self.pool).await
    }
}

impl Housekeeper {
    /// The epochs that there ever were, oldest first; the last is the current one.
    pub async fn lane_epochs(&mut self) -> Result<Vec<EpochRow>, StoreError> {
        read(&mut self.connection).await
    }

    /// Lets the lanes of an epoch go if nobody is known to have anything for them, and was not for `quiet`. Whoever calls has
    /// seen that they are empty. False if it is too early.
    pub async fn retire_lanes(&mut self, epoch: u32, quiet: Duration) -> Result<bool, StoreError> {
        let retired = sqlx::query_file!("queries/retire_lanes.sql", signed(epoch), quiet.as_secs_f64())
            .execute(&mut self.connection)
            .await?;
        Ok(retired.rows_affected() == 1)
    }

    /// Has workers own the lanes of a retired epoch again.
    pub async fn wake_lanes(&mut self, epoch: u32) -> Result<(), StoreError> {
        sqlx::query!(
            "update lane_epoch set retired_at = null, woken_at = now() where epoch = $1 and retired_at is not null",
            signed(epoch)
        )
        .execute(&mut self.connection)
        .await?;
        Ok(())
    }

    /// The retired epochs of which somebody wants a dead record to be tried again, which an owner has to do.
    pub async fn epochs_with_retries(&mut self) -> Result<Vec<u32>, StoreError> {
        let epochs = sqlx::query_scalar!(
            "select epoch from lane_epoch e where retired_at is not null
             and exists (select from dead_notice d where d.epoch = e.epoch and d.retry_at is not null)"
        )
        .fetch_all(&mut self.connection)
        .await?;
        Ok(epochs.into_iter().map(i32::unsigned_abs).collect())
    }

    /// Puts epochs back, with their lanes. They must follow those that there are.
    pub async fn restore_lanes(&mut self, epochs: &[LaneEpoch]) -> Result<(), StoreError> {
        let column = |of: fn(&LaneEpoch) -> u32| -> Vec<i32> { epochs.iter().map(|epoch| signed(of(epoch))).collect() };
        sqlx::query_file!(
            "queries/add_lanes.sql",
            &column(|epoch| epoch.epoch),
            &column(|epoch| epoch.first_lane),
            &column(|epoch| epoch.lane_count)
        )
        .execute(&mut self.connection)
        .await?;
        Ok(())
    }
}

pub(crate) async fn read(executor: impl sqlx::PgExecutor<'_>) -> Result<Vec<EpochRow>, StoreError> {
    let rows = sqlx::query!(
        r#"select epoch, first_lane, lane_count, retired_at is not null as "is_retired!" from lane_epoch order by epoch"#
    )
    .fetch_all(executor)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| EpochRow {
            lanes: LaneEpoch {
                epoch: row.epoch.unsigned_abs(),
                first_lane: row.first_lane.unsigned_abs(),
                lane_count: row.lane_count.unsigned_abs(),
            },
            is_retired: row.is_retired,
        })
        .collect())
}

/// The database checks that it is a number that there can be.
fn signed(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}
