//! The map of lanes: what it is, and changing it.

use time::OffsetDateTime;

use super::Admin;
use crate::StoreError;

/// The most lanes of one epoch.
pub const EPOCH_LANES_MAX: u16 = 1024;

/// Numbers that there are for lanes: an id has 12 bits for one. They are not used twice.
pub const LANE_NUMBERS: i32 = 4096;

/// One generation of the map of lanes, as operators see it.
#[derive(Debug, Clone, serde::Serialize)]
pub struct LaneEpochStatus {
    /// 0, 1, 2, …
    pub epoch: i32,
    /// Number of its first lane.
    pub first_lane: i32,
    /// How many lanes follow each other from there.
    pub lane_count: i32,
    /// What becomes of it.
    pub state: EpochState,
    /// Records that journals had for it and PostgreSQL had not, as of the last entries seen.
    pub waiting: i64,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// Since when its lanes have had no owner.
    #[serde(with = "time::serde::rfc3339::option")]
    pub retired_at: Option<OffsetDateTime>,
}

/// What becomes of an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EpochState {
    /// New records go to its lanes.
    Current,
    /// Journals may have records for its lanes.
    Draining,
    /// Nobody has anything for its lanes, and they have no owner. Whatever comes in brings them back.
    Retired,
}

impl EpochState {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Draining => "draining",
            Self::Retired => "retired",
        }
    }
}

impl Admin {
    /// The epochs that there ever were, oldest first; the last is the current one.
    pub async fn lane_epochs(&self) -> Result<Vec<LaneEpochStatus>, StoreError> {
        let rows = sqlx::query_file!("queries/read_lane_epochs.sql").fetch_all(&self.pool).await?;
        let current = rows.last().map(|row| row.epoch);
        let state = |epoch, retired_at: Option<OffsetDateTime>| match retired_at {
            _ if Some(epoch) == current => EpochState::Current,
            None => EpochState::Draining,
            Some(_) => EpochState::Retired,
        };
        let epochs = rows.into_iter().map(|row| LaneEpochStatus {
            epoch: row.epoch,
            first_lane: row.first_lane,
            lane_count: row.lane_count,
            state: state(row.epoch, row.retired_at),
            waiting: row.waiting,
            created_at: row.created_at,
            retired_at: row.retired_at,
        });
        Ok(epochs.collect())
    }

    /// Begins an epoch with so many lanes: gateways put new records there as soon as they have heard of it.
    pub async fn reshard(&self, lane_count: u16) -> Result<(), StoreError> {
        if lane_count == 0 || lane_count > EPOCH_LANES_MAX {
            return Err(StoreError::Invalid(format!("there can be 1 to {EPOCH_LANES_MAX} lanes, not {lane_count}")));
        }
        let lane_count = i32::from(lane_count);
        let mut transaction = self.pool.begin().await?;
        // Two operators at once: the second continues where the first has ended.
        sqlx::raw_sql("lock table lane_epoch in exclusive mode").execute(&mut *transaction).await?;
        let newest = sqlx::query!(
            r#"select epoch as "epoch!", lane_count as "lane_count!", (select max(first_lane + lane_count) from lane_epoch) as "next_lane!"
               from lane_epoch order by epoch desc limit 1"#
        )
        .fetch_one(&mut *transaction)
        .await?;
        if newest.lane_count == lane_count {
            return Err(StoreError::Invalid(format!("there are {lane_count} lanes already")));
        }
        if newest.next_lane + lane_count > LANE_NUMBERS {
            return Err(StoreError::Invalid(format!(
                "{} numbers of lanes are left of {LANE_NUMBERS}, and none is used twice: choose at most as many lanes",
                LANE_NUMBERS - newest.next_lane
            )));
        }
        sqlx::query_file!("queries/add_lanes.sql", &[newest.epoch + 1], &[newest.next_lane], &[lane_count])
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(())
    }
}
