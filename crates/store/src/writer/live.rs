//! What changes seldom and every batch needs: which days have partitions, how projects group.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use notice::Grouping;
use tokio::sync::RwLock;
use uuid::Uuid;

use super::Writer;
use crate::live_days::LiveDays;
use crate::{StoreError, dictionary};

/// How long a look at the partitions is good for. One that has gone meanwhile is noticed by its error.
const LIVE_DAYS_FRESH: Duration = Duration::from_secs(60);

/// The last look at the partitions, and when it was.
pub(super) type Cached = RwLock<Option<(LiveDays, Instant)>>;

/// Which installation a database belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Installation {
    /// Made with the database.
    pub id: Uuid,
}

/// How the notices of each project are grouped. Projects that are not in it do not exist.
pub type ProjectRules = HashMap<i64, Grouping>;

impl Writer {
    /// Which installation this is.
    pub async fn installation(&self) -> Result<Installation, StoreError> {
        let id = sqlx::query_scalar!("select id from installation").fetch_one(&self.pool).await?;
        Ok(Installation { id })
    }

    /// How the notices of each project are grouped.
    pub async fn project_rules(&self) -> Result<ProjectRules, StoreError> {
        let rows =
            sqlx::query!("select id, grouping from project where deleted_at is null").fetch_all(&self.pool).await?;
        let grouping = |name: &str| match name {
            "hoptoad" => Grouping::Hoptoad,
            _ => Grouping::Default,
        };
        Ok(rows.into_iter().map(|row| (row.id, grouping(&row.grouping))).collect())
    }

    /// The dictionary of this number.
    pub async fn dictionary(&self, codec: u16) -> Result<Option<Vec<u8>>, StoreError> {
        let Ok(codec) = i16::try_from(codec) else { return Ok(None) };
        Ok(sqlx::query_scalar!("select bytes from dictionary where codec = $1", codec)
            .fetch_optional(&self.pool)
            .await?)
    }

    /// Keeps a dictionary under this number for good, unless one has it already.
    pub async fn put_back_dictionary(&self, codec: u16, bytes: &[u8]) -> Result<(), StoreError> {
        dictionary::add(&self.pool, codec, bytes).await.map(drop)
    }

    pub(super) async fn live_days(&self) -> Result<LiveDays, StoreError> {
        if let Some((live, at)) = *self.live.read().await
            && at.elapsed() < LIVE_DAYS_FRESH
        {
            return Ok(live);
        }
        let row = sqlx::query_file!("queries/live_days.sql").fetch_one(&self.pool).await?;
        let (Some(first), Some(last), Some(first_minutes)) = (row.first_day, row.last_day, row.first_minute_day) else {
            return Err(StoreError::Invalid(
                "a table has no partitions: `croak migrate` and a worker of role housekeep make them".into(),
            ));
        };
        let live = LiveDays::new(first, last, first_minutes);
        *self.live.write().await = Some((live, Instant::now()));
        Ok(live)
    }

    pub(super) async fn forget_live_days(&self) {
        *self.live.write().await = None;
    }
}
