//! Compaction: the small chunks of a stretch of time that is over are merged into few.
//!
//! A group that gets a notice a second has hundreds of chunks of one or two notices in every ten minutes; together they
//! compress to a fraction. Only chunks of the same project, lane, fingerprint and stretch ([`chunk::SPAN_MS`]) are merged, so
//! that whatever holds of a chunk holds of a merged one.
//!
//! Nothing has to be remembered of a stretch that was begun: bins that were filled are no longer small.

use std::collections::HashMap;
use std::time::Duration;

use notice::Item;
use sqlx::Connection as _;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::chunk::{self, CODEC_ZSTD, NOTICES_MAX, RAW_BYTES_MAX, SPAN_MS};
use crate::housekeeper::Housekeeper;
use crate::live_days::time_of;
use crate::{StoreError, reader};

/// Chunks of at least this many notices, or bytes before compression, are left alone.
const SMALL_NOTICES: i32 = (NOTICES_MAX / 2) as i32;
const SMALL_RAW_BYTES: i32 = (RAW_BYTES_MAX / 2) as i32;

/// Chunks that are listed, and projects whose lanes are looked up, by one statement.
const CHUNKS_PER_STEP: i64 = 2_000;
const PROJECTS_PER_STEP: i64 = 100;

/// How far back it goes after a time without a housekeeper; what lies before stays as it is. Catching up must have an end.
const BACKLOG_MS: i64 = 24 * 60 * 60 * 1000;

/// Work on one stretch of time, done in small steps.
#[derive(Debug)]
pub struct Compaction {
    stretch: Stretch,
    /// Projects up to this one have been listed.
    project_id: i64,
    /// Whether there are none behind it.
    is_last_project: bool,
    lanes: Vec<(i64, i32)>,
    listing: Option<Listing>,
    crowds: Vec<Crowd>,
    bins: Vec<Bin>,
}

/// What a step of a compaction did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// It looked for work.
    Looked,
    /// It merged some chunks into one.
    Merged(Merged),
    /// The stretch is done, and that is written down.
    Done,
}

/// What was saved by merging chunks.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Merged {
    /// Chunks that are no more.
    pub chunk_count: u64,
    /// Bytes that bodies take less.
    pub bytes: u64,
}

/// One [`SPAN_MS`] of UTC.
#[derive(Debug, Clone, Copy)]
struct Stretch {
    from_ms: i64,
}

impl Stretch {
    /// The one that holds this moment.
    fn around(ms: i64) -> Self {
        Self { from_ms: ms - ms.rem_euclid(SPAN_MS) }
    }

    fn end_ms(self) -> i64 {
        self.from_ms + SPAN_MS
    }

    fn from(self) -> OffsetDateTime {
        time_of(self.from_ms * 1_000)
    }

    fn end(self) -> OffsetDateTime {
        time_of(self.end_ms() * 1_000)
    }

    fn first_id(self) -> Uuid {
        reader::first_id_at(self.from_ms)
    }

    fn end_id(self) -> Uuid {
        reader::first_id_at(self.end_ms())
    }
}

/// The small chunks of a lane, counted by fingerprint while they are listed.
#[derive(Debug)]
struct Listing {
    project_id: i64,
    lane: i32,
    after: Uuid,
    chunk_counts: HashMap<i64, u32>,
}

/// A fingerprint with more than one small chunk in a lane.
#[derive(Debug, Clone, Copy)]
struct Crowd {
    project_id: i64,
    lane: i32,
    fingerprint_id: i64,
}

/// Chunks of a fingerprint and lane that fit into one, in the order in which they became visible.
#[derive(Debug)]
struct Bin {
    crowd: Crowd,
    rows: Vec<Row>,
}

#[derive(Debug, Clone)]
struct Row {
    id: i64,
    last_id: Uuid,
    last_at: OffsetDateTime,
    notice_count: i32,
    raw_bytes: i32,
}

impl Housekeeper {
    /// The oldest stretch that has been over for `after` and whose chunks have not been merged yet.
    pub async fn compaction(&mut self, after: Duration) -> Result<Option<Compaction>, StoreError> {
        let row = sqlx::query!(r#"select merged_until, now() as "now!" from compaction"#)
            .fetch_one(&mut self.connection)
            .await?;
        let ms = |at: OffsetDateTime| i64::try_from(at.unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX);
        let now_ms = ms(row.now);
        let stretch = Stretch::around(ms(row.merged_until).max(now_ms - BACKLOG_MS));
        let after_ms = i64::try_from(after.as_millis()).unwrap_or(i64::MAX);
        Ok((stretch.end_ms().saturating_add(after_ms) <= now_ms).then(|| Compaction::of(stretch)))
    }

    async fn lanes_written(&mut self, stretch: Stretch, after: i64) -> Result<Vec<(i64, Option<i32>)>, StoreError> {
        let rows =
            sqlx::query_file!("queries/compaction_lanes.sql", after, stretch.from(), stretch.end(), PROJECTS_PER_STEP)
                .fetch_all(&mut self.connection)
                .await?;
        Ok(rows.into_iter().map(|row| (row.project_id, row.lane)).collect())
    }

    /// Goes on with a listing; whether there is more.
    async fn list_small(&mut self, stretch: Stretch, listing: &mut Listing) -> Result<bool, StoreError> {
        let rows = sqlx::query_file!(
            "queries/compaction_small.sql",
            listing.project_id,
            listing.lane,
            listing.after,
            stretch.end_id(),
            stretch.from(),
            stretch.end(),
            SMALL_NOTICES,
            SMALL_RAW_BYTES,
            CHUNKS_PER_STEP
        )
        .fetch_all(&mut self.connection)
        .await?;
        for row in &rows {
            *listing.chunk_counts.entry(row.fingerprint_id).or_default() += 1;
        }
        if let Some(last) = rows.last() {
            listing.after = last.last_id;
        }
        Ok(rows.len() as i64 == CHUNKS_PER_STEP)
    }

    async fn small_rows(&mut self, stretch: Stretch, crowd: Crowd) -> Result<Vec<Row>, StoreError> {
        let rows = sqlx::query_file_as!(
            Row,
            "queries/compaction_rows.sql",
            crowd.project_id,
            crowd.fingerprint_id,
            crowd.lane,
            stretch.first_id(),
            stretch.end_id(),
            stretch.from(),
            stretch.end(),
            SMALL_NOTICES,
            SMALL_RAW_BYTES
        )
        .fetch_all(&mut self.connection)
        .await?;
        Ok(rows)
    }

    /// Makes one chunk of a bin. `None` when a chunk in it is not what it says: an audit tells more of that.
    async fn merge(&mut self, bin: &Bin) -> Result<Option<Merged>, StoreError> {
        let Some((survivor, others)) = bin.rows.split_last() else { return Ok(None) };
        let Crowd { project_id, fingerprint_id, .. } = bin.crowd;
        let ids: Vec<i64> = bin.rows.iter().map(|row| row.id).collect();
        let (first, last) = (bin.first_end(), bin.last_end());
        let bodies = sqlx::query_file!(
            "queries/compaction_bodies.sql",
            project_id,
            fingerprint_id,
            first.0,
            last.0,
            first.1,
            last.1,
            &ids
        )
        .fetch_all(&mut self.connection)
        .await?;
        let bytes_before: usize = bodies.iter().map(|row| row.body.len()).sum();
        let packed: HashMap<i64, Packed> = bodies
            .into_iter()
            .map(|row| (row.id, Packed { notice_count: row.notice_count, codec: row.codec, body: row.body }))
            .collect();
        let Some(merged) =
            tokio::task::spawn_blocking(move || merged(&ids, &packed)).await.map_err(StoreError::TaskDied)?
        else {
            return Ok(None);
        };

        let small = |n: usize| i32::try_from(n).expect("a chunk is bounded");
        let other_ids: Vec<i64> = others.iter().map(|row| row.id).collect();
        let mut transaction = self.connection.begin().await?;
        let deleted = sqlx::query_file!(
            "queries/compaction_delete.sql",
            project_id,
            fingerprint_id,
            first.0,
            last.0,
            first.1,
            last.1,
            &other_ids
        )
        .execute(&mut *transaction)
        .await?;
        let updated = sqlx::query_file!(
            "queries/compaction_update.sql",
            project_id,
            fingerprint_id,
            survivor.id,
            survivor.last_id,
            survivor.last_at,
            merged.first_id.as_uuid(),
            merged.last_id.as_uuid(),
            last.1,
            small(merged.notice_count),
            small(merged.raw_bytes),
            CODEC_ZSTD,
            merged.body
        )
        .execute(&mut *transaction)
        .await?;
        if (deleted.rows_affected(), updated.rows_affected()) != (others.len() as u64, 1) {
            // Somebody else has changed them, which nobody but an operator can.
            transaction.rollback().await?;
            return Ok(None);
        }
        transaction.commit().await?;
        let bytes = bytes_before.saturating_sub(merged.body.len()) as u64;
        Ok(Some(Merged { chunk_count: others.len() as u64, bytes }))
    }

    async fn merged_until(&mut self, at: OffsetDateTime) -> Result<(), StoreError> {
        sqlx::query!("update compaction set merged_until = $1", at).execute(&mut self.connection).await?;
        Ok(())
    }
}

impl Compaction {
    fn of(stretch: Stretch) -> Self {
        Self {
            stretch,
            project_id: i64::MIN,
            is_last_project: false,
            lanes: Vec::new(),
            listing: None,
            crowds: Vec::new(),
            bins: Vec::new(),
        }
    }

    /// Where the stretch begins.
    pub fn from(&self) -> OffsetDateTime {
        self.stretch.from()
    }

    /// The next small piece of work: one statement, or one merge. A step that failed is not done again by this compaction; one
    /// that is begun anew for the same stretch does it.
    pub async fn step(&mut self, housekeeper: &mut Housekeeper) -> Result<Step, StoreError> {
        if let Some(bin) = self.bins.pop() {
            return Ok(housekeeper.merge(&bin).await?.map_or(Step::Looked, Step::Merged));
        }
        if let Some(crowd) = self.crowds.pop() {
            self.bins = bins(crowd, housekeeper.small_rows(self.stretch, crowd).await?);
            return Ok(Step::Looked);
        }
        if let Some(mut listing) = self.listing.take() {
            if housekeeper.list_small(self.stretch, &mut listing).await? {
                self.listing = Some(listing);
            } else {
                self.crowds = listing.crowds();
            }
            return Ok(Step::Looked);
        }
        if let Some((project_id, lane)) = self.lanes.pop() {
            let after = self.stretch.first_id();
            self.listing = Some(Listing { project_id, lane, after, chunk_counts: HashMap::new() });
            return Ok(Step::Looked);
        }
        if !self.is_last_project {
            let rows = housekeeper.lanes_written(self.stretch, self.project_id).await?;
            match rows.last() {
                Some((project_id, _)) => self.project_id = *project_id,
                None => self.is_last_project = true,
            }
            self.lanes = rows.into_iter().filter_map(|(project_id, lane)| Some((project_id, lane?))).collect();
            return Ok(Step::Looked);
        }
        housekeeper.merged_until(self.stretch.end()).await?;
        Ok(Step::Done)
    }
}

impl Listing {
    fn crowds(&self) -> Vec<Crowd> {
        let crowded = self.chunk_counts.iter().filter(|(_, chunk_count)| **chunk_count > 1);
        crowded
            .map(|(fingerprint_id, _)| Crowd {
                project_id: self.project_id,
                lane: self.lane,
                fingerprint_id: *fingerprint_id,
            })
            .collect()
    }
}

impl Bin {
    /// Least last id and last_at of its chunks.
    fn first_end(&self) -> (Uuid, OffsetDateTime) {
        let rows = || self.rows.iter();
        (
            rows().map(|row| row.last_id).min().expect("a bin is never empty"),
            rows().map(|row| row.last_at).min().expect("a bin is never empty"),
        )
    }

    /// Greatest last id and last_at of its chunks.
    fn last_end(&self) -> (Uuid, OffsetDateTime) {
        let rows = || self.rows.iter();
        (
            rows().map(|row| row.last_id).max().expect("a bin is never empty"),
            rows().map(|row| row.last_at).max().expect("a bin is never empty"),
        )
    }
}

/// Fills bins in the order of the chunks. All but the last one become more than half full, because each chunk is less than half;
/// one that stands alone has nothing to be merged with.
fn bins(crowd: Crowd, rows: Vec<Row>) -> Vec<Bin> {
    let mut bins: Vec<Bin> = Vec::new();
    let (mut notices, mut raw_bytes) = (0, 0);
    for row in rows {
        let (more_notices, more_bytes) = (row.notice_count.unsigned_abs(), row.raw_bytes.unsigned_abs());
        notices += more_notices as usize;
        raw_bytes += more_bytes as usize;
        match bins.last_mut() {
            Some(bin) if notices <= NOTICES_MAX && raw_bytes <= RAW_BYTES_MAX => bin.rows.push(row),
            _ => {
                (notices, raw_bytes) = (more_notices as usize, more_bytes as usize);
                bins.push(Bin { crowd, rows: vec![row] });
            }
        }
    }
    bins.retain(|bin| bin.rows.len() > 1);
    bins
}

/// A chunk as it lies in the database.
#[derive(Debug)]
struct Packed {
    notice_count: i32,
    codec: i16,
    body: Vec<u8>,
}

/// The notices of all these chunks in one, those of the last one first and in their order: a list that stands in the middle of
/// that one goes on where it stood.
fn merged(ids: &[i64], packed: &HashMap<i64, Packed>) -> Option<chunk::Encoded> {
    let mut items: Vec<Item> = Vec::new();
    let (survivor, others) = ids.split_last()?;
    for id in std::iter::once(survivor).chain(others) {
        let chunk = packed.get(id)?;
        match chunk::decode(chunk.codec, &chunk.body) {
            Ok(decoded) if decoded.len() == usize::try_from(chunk.notice_count).unwrap_or(0) => items.extend(decoded),
            Ok(_) => {
                tracing::error!(chunk_id = id, "a chunk has not as many notices as it says: it is not merged");
                return None;
            }
            Err(error) => {
                tracing::error!(chunk_id = id, %error, "a chunk does not decode: it is not merged");
                return None;
            }
        }
    }
    let mut chunks = chunk::encode(&items);
    let merged = chunks.pop()?;
    chunks.is_empty().then_some(merged)
}

#[cfg(test)]
mod tests {
    use notice::NoticeId;

    use super::*;

    const CROWD: Crowd = Crowd { project_id: 1, lane: 2, fingerprint_id: 3 };

    fn rows(sizes: &[(i32, i32)]) -> Vec<Row> {
        let row = |(id, (notice_count, raw_bytes)): (usize, &(i32, i32))| Row {
            id: id as i64,
            last_id: Uuid::nil(),
            last_at: OffsetDateTime::UNIX_EPOCH,
            notice_count: *notice_count,
            raw_bytes: *raw_bytes,
        };
        sizes.iter().enumerate().map(row).collect()
    }

    fn filled(sizes: &[(i32, i32)]) -> Vec<Vec<i64>> {
        bins(CROWD, rows(sizes)).iter().map(|bin| bin.rows.iter().map(|row| row.id).collect()).collect()
    }

    #[test]
    fn a_bin_is_closed_by_count_and_by_size_and_is_more_than_half_full_then() {
        assert_eq!(filled(&[(400, 10), (499, 10), (101, 10), (102, 10), (1, 10)]), [vec![0, 1, 2], vec![3, 4]]);
        let half = SMALL_RAW_BYTES;
        assert_eq!(filled(&[(1, half - 1), (1, half - 1), (1, 3), (1, 3)]), [vec![0, 1], vec![2, 3]]);
    }

    #[test]
    fn one_chunk_alone_is_left_as_it_is() {
        assert!(filled(&[]).is_empty());
        assert!(filled(&[(1, 10)]).is_empty());
        assert_eq!(filled(&[(499, 10), (499, 10), (499, 10)]), [vec![0, 1]]);
    }

    #[test]
    fn a_damaged_chunk_keeps_its_bin_from_being_merged() {
        let item = |n: u64| Item { id: NoticeId::new(0, 2, n), accepted_at_us: 0, body: vec![7; 9] };
        let pack =
            |n: u64| Packed { notice_count: 1, codec: CODEC_ZSTD, body: chunk::encode(&[item(n)]).remove(0).body };
        let mut packed: HashMap<i64, Packed> = [1, 2, 3].map(|n: i64| (n, pack(n.unsigned_abs()))).into();
        let whole = merged(&[1, 2, 3], &packed).expect("they fit");
        let order = chunk::decode(CODEC_ZSTD, &whole.body).expect("it decodes");
        assert_eq!(order, [item(3), item(1), item(2)]);
        packed.get_mut(&2).expect("it is there").notice_count = 2;
        assert_eq!(merged(&[1, 2, 3], &packed), None);
        packed.get_mut(&2).expect("it is there").body.truncate(3);
        assert_eq!(merged(&[1, 2, 3], &packed), None);
        packed.remove(&2);
        assert_eq!(merged(&[1, 2, 3], &packed), None);
    }
}
