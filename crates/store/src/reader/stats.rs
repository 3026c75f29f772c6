//! Numbers of a project over time, and how far a single notice has come.

use std::collections::BTreeMap;

use notice::NoticeId;
use sqlx::types::time::OffsetDateTime;

use super::{Opened, ReadError, Reader};

/// Ids from further ahead than this are nobody's.
const AHEAD_MAX_MS: i64 = 5 * 60 * 1000;

/// How wide a bucket of statistics is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BucketSize {
    /// One minute.
    Minute,
    /// One hour. Days that are over are kept so.
    Hour,
    /// One day, UTC.
    Day,
}

impl BucketSize {
    /// The size of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<BucketSize> {
        match name {
            "minute" => Some(BucketSize::Minute),
            "hour" => Some(BucketSize::Hour),
            "day" => Some(BucketSize::Day),
            _ => None,
        }
    }

    /// Its width in seconds.
    #[must_use]
    pub fn seconds(self) -> i64 {
        match self {
            BucketSize::Minute => 60,
            BucketSize::Hour => 3600,
            BucketSize::Day => 86_400,
        }
    }
}

/// What happened to a project's notices in one stretch of time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bucket {
    /// Stored in groups.
    pub stored: i64,
    /// Kept raw, because they could not be processed.
    pub dead: i64,
    /// Refused by the gateway: reason and number.
    pub refused: BTreeMap<String, i64>,
    /// Lost before they were sent, as clients say: reason and number.
    pub lost_in_client: BTreeMap<String, i64>,
    /// Taken and only counted: what it was and how many.
    pub not_kept: BTreeMap<String, i64>,
}

impl Bucket {
    /// What reached the gateway.
    #[must_use]
    pub fn received(&self) -> i64 {
        self.stored + self.dead + self.refused.values().sum::<i64>()
    }
}

/// How far a notice has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// On a gateway's disk, not in the database yet.
    Queued,
    /// In this group.
    Stored(i64),
    /// Kept raw, because it could not be processed.
    Dead,
    /// Nothing is known of such a notice in this project.
    Unknown,
}

impl Reader {
    /// A project's buckets from `since` to `until`; those with nothing in them are left out.
    pub async fn stats(
        &self,
        opened: &Opened,
        since: OffsetDateTime,
        until: OffsetDateTime,
        size: BucketSize,
    ) -> Result<BTreeMap<OffsetDateTime, Bucket>, ReadError> {
        let rows = sqlx::query_file!("queries/read_stats.sql", opened.id(), since, until, size.seconds() as f64)
            .fetch_all(&self.pool)
            .await?;
        let mut buckets: BTreeMap<OffsetDateTime, Bucket> = BTreeMap::new();
        for row in rows {
            let bucket = buckets.entry(row.at).or_default();
            match row.ending.as_str() {
                "stored" => bucket.stored += row.count,
                "dead" => bucket.dead += row.count,
                "not_kept" => *bucket.not_kept.entry(row.reason).or_default() += row.count,
                "refused" => *bucket.refused.entry(row.reason).or_default() += row.count,
                _ => *bucket.lost_in_client.entry(row.reason).or_default() += row.count,
            }
        }
        Ok(buckets)
    }

    /// Where a notice of a project is.
    pub async fn stage(&self, opened: &Opened, id: NoticeId) -> Result<Stage, ReadError> {
        if let Some(notice) = self.notice(opened, id).await? {
            return Ok(Stage::Stored(notice.group_id));
        }
        let at_ms = id.accepted_at_ms();
        let now_ms = OffsetDateTime::now_utc().unix_timestamp() * 1000;
        if id.as_uuid().get_version_num() != 7 || at_ms > now_ms + AHEAD_MAX_MS {
            return Ok(Stage::Unknown);
        }
        let Ok(at) = OffsetDateTime::from_unix_timestamp_nanos(i128::from(at_ms) * 1_000_000) else {
            return Ok(Stage::Unknown);
        };
        let row = sqlx::query_file!("queries/read_stage.sql", opened.id(), id.as_uuid(), i32::from(id.lane()), at)
            .fetch_one(&self.pool)
            .await?;
        Ok(match (row.is_dead, row.is_waiting) {
            (true, _) => Stage::Dead,
            (false, true) => Stage::Queued,
            (false, false) => Stage::Unknown,
        })
    }
}
