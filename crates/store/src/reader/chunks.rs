//! Opening the chunks that bodies lie in.
//!
//! Bodies lie in chunks, one per fingerprint and batch. Batches overlap in time, so a list is a merge of the chunks
//! around its place: a notice is handed out only when no chunk that has not been opened can hold a newer one.
//!
//! Places are looked up first and bodies fetched afterwards, and housekeep may merge chunks in between: a page is therefore
//! read in one snapshot. (To begin anew when a body is not there any more would not do. A chunk that was opened can since have
//! taken in others that have not been listed yet, and those would be missed without a sign.)

use std::collections::{BinaryHeap, VecDeque};

use notice::{Item, NoticeId};
use sqlx::PgConnection;
use sqlx::types::time::OffsetDateTime;
use uuid::Uuid;

use super::notices::{Identity, identity};
use super::{Opened, ReadError, Reader};
use crate::chunk;

/// Chunks that are looked up at once.
const CHUNKS_PER_LOOK: usize = 128;
/// Bodies that are fetched at once are at most this great, decompressed, and at least one.
const RAW_BYTES_PER_LOOK: i64 = 8 << 20;
/// A page of a list ends with the notice by which it has this many bytes, or more: one notice may have 4 MiB.
pub(super) const PAGE_BYTES_MAX: usize = 8 << 20;
/// Chunks of a lane that may hold one id, opened at once.
const CANDIDATES_PER_LOOK: i64 = 32;
/// A chunk that holds a notice nearly always ends within this time after it, until it is merged: then it ends anywhere in its stretch.
const NEAR_MS: i64 = 10_000;
/// How far the partition key may lie from an id's own time, when no clock was wrong.
const CLOCK_SLACK_MS: i64 = 1_000;

/// Where a chunk lies.
struct Place {
    id: i64,
    fingerprint_id: i64,
    last_id: Uuid,
    last_at: OffsetDateTime,
    notice_count: i32,
    raw_bytes: i32,
}

/// A notice as it lies in its chunk.
pub(super) struct Found {
    pub(super) item: Item,
    pub(super) fingerprint_id: i64,
}

impl PartialEq for Found {
    fn eq(&self, other: &Found) -> bool {
        self.item.id == other.item.id
    }
}
impl Eq for Found {}
impl PartialOrd for Found {
    fn partial_cmp(&self, other: &Found) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Found {
    fn cmp(&self, other: &Found) -> std::cmp::Ordering {
        self.item.id.cmp(&other.item.id)
    }
}

impl Reader {
    /// The notice of this id, which says itself in which lane and when it was accepted.
    ///
    /// Needs no snapshot: looks go upwards by last id, within one lane and stretch, and a merge moves notices only to a chunk of
    /// the same whose last id is at least as great. What has not been met yet stays ahead.
    pub(super) async fn find(&self, opened: &Opened, id: NoticeId) -> Result<Option<(Identity, Item)>, ReadError> {
        if id.as_uuid().get_version_num() != 7 {
            return Ok(None);
        }
        let at_ms = id.accepted_at_ms();
        let span_end_ms = (at_ms.div_euclid(chunk::SPAN_MS) + 1) * chunk::SPAN_MS;
        let near_ms = (at_ms + NEAR_MS).min(span_end_ms);
        for (from_ms, to_ms) in [(at_ms, near_ms), (near_ms, span_end_ms)] {
            if from_ms == to_ms {
                continue;
            }
            let between = (from_ms - CLOCK_SLACK_MS, to_ms + CLOCK_SLACK_MS);
            let first = if from_ms == at_ms { id.as_uuid() } else { first_id_at(from_ms) };
            if let Some(found) = self.find_between(opened, id, first, first_id_at(to_ms), Some(between)).await? {
                return Ok(Some(found));
            }
        }
        // A gateway whose clock is wrong by days: its chunks lie in the partition of another day.
        let now_ms = OffsetDateTime::now_utc().unix_timestamp() * 1000;
        if (now_ms - at_ms).abs() > 24 * 60 * 60 * 1000 {
            return self.find_between(opened, id, id.as_uuid(), first_id_at(span_end_ms), None).await;
        }
        Ok(None)
    }

    /// Opens the chunks of the id's lane that could hold it and whose last id lies from `first` to before `end`.
    async fn find_between(
        &self,
        opened: &Opened,
        id: NoticeId,
        first: Uuid,
        end: Uuid,
        between_ms: Option<(i64, i64)>,
    ) -> Result<Option<(Identity, Item)>, ReadError> {
        let mut after: Option<(Uuid, i64)> = None;
        let at = |ms: i64| OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000).ok();
        loop {
            let rows = sqlx::query_file!(
                "queries/read_chunks_of_lane.sql",
                opened.id(),
                i32::from(id.lane()),
                id.as_uuid(),
                first,
                end,
                between_ms.and_then(|(from, _)| at(from)),
                between_ms.and_then(|(_, to)| at(to)),
                after.map(|(last_id, _)| last_id),
                after.map(|(_, chunk_id)| chunk_id),
                CANDIDATES_PER_LOOK,
            )
            .fetch_all(&self.pool)
            .await?;
            for row in &rows {
                let items = chunk::decode(row.codec, &row.body)
                    .map_err(|source| ReadError::Chunk { chunk_id: row.id, source })?;
                if let Some(item) = items.into_iter().find(|item| item.id == id) {
                    let identity =
                        identity(row.fingerprint_id, row.group_id, &row.fingerprint, row.version, &row.parts);
                    return Ok(Some((identity, item)));
                }
            }
            match rows.last() {
                Some(last) if rows.len() as i64 == CANDIDATES_PER_LOOK => after = Some((last.last_id, last.id)),
                _ => return Ok(None),
            }
        }
    }

    /// The newest notices of these fingerprints before an id: so many, or fewer that have [`PAGE_BYTES_MAX`] together.
    pub(super) async fn before(
        &self,
        opened: &Opened,
        identities: &[Identity],
        before: Option<NoticeId>,
        limit: usize,
    ) -> Result<Vec<Found>, ReadError> {
        let fingerprint_ids: Vec<i64> = identities.iter().map(|identity| identity.id).collect();
        let mut snapshot = self.snapshot().await?;
        let mut waiting: BinaryHeap<Found> = BinaryHeap::new();
        let mut places: VecDeque<Place> = VecDeque::new();
        let mut is_last_look = false;
        let mut after: Option<(Uuid, i64)> = None;
        let mut found = Vec::new();
        loop {
            if places.is_empty() && !is_last_look {
                let rows = places_before(&mut snapshot, opened, &fingerprint_ids, before, after).await?;
                is_last_look = rows.len() < CHUNKS_PER_LOOK;
                after = rows.last().map(|place| (place.last_id, place.id));
                places = rows.into();
                continue;
            }
            while let Some(newest) = waiting.peek() {
                if places.front().is_some_and(|place| place.last_id >= newest.item.id.as_uuid()) {
                    break;
                }
                found.extend(waiting.pop());
                if found.len() == limit || bytes(&found) >= PAGE_BYTES_MAX {
                    return Ok(found);
                }
            }
            if places.is_empty() {
                return Ok(found);
            }
            let chunks = take_enough(&mut places, limit - found.len());
            for (fingerprint_id, items) in open_chunks(&mut snapshot, opened, &chunks).await? {
                let items = items.into_iter().filter(|item| before.is_none_or(|before| item.id < before));
                waiting.extend(items.map(|item| Found { item, fingerprint_id }));
            }
        }
    }

    /// The oldest notice of these fingerprints after an id.
    pub(super) async fn after(
        &self,
        opened: &Opened,
        identities: &[Identity],
        id: NoticeId,
    ) -> Result<Option<NoticeId>, ReadError> {
        let fingerprint_ids: Vec<i64> = identities.iter().map(|identity| identity.id).collect();
        let mut snapshot = self.snapshot().await?;
        let nearest =
            sqlx::query_file_as!(Place, "queries/read_chunk_after.sql", opened.id(), &fingerprint_ids, id.as_uuid())
                .fetch_optional(&mut *snapshot)
                .await?;
        let Some(nearest) = nearest else { return Ok(None) };
        let oldest_after = |chunks: Vec<(i64, Vec<Item>)>| {
            chunks.into_iter().flat_map(|(_, items)| items).map(|item| item.id).filter(|other| *other > id).min()
        };
        let Some(candidate) = oldest_after(open_chunks(&mut snapshot, opened, std::slice::from_ref(&nearest)).await?)
        else {
            return Ok(None);
        };
        // A chunk that ends later may begin earlier.
        let straddling = sqlx::query_file_as!(
            Place,
            "queries/read_chunks_straddling.sql",
            opened.id(),
            &fingerprint_ids,
            id.as_uuid(),
            candidate.as_uuid(),
            span_end(candidate),
            nearest.id
        )
        .fetch_all(&mut *snapshot)
        .await?;
        let earlier = oldest_after(open_chunks(&mut snapshot, opened, &straddling).await?);
        Ok(Some(earlier.map_or(candidate, |earlier| earlier.min(candidate))))
    }
}

/// The bytes of some notices.
pub(super) fn bytes(found: &[Found]) -> usize {
    found.iter().map(|found| found.item.body.len()).sum()
}

async fn places_before(
    snapshot: &mut PgConnection,
    opened: &Opened,
    fingerprint_ids: &[i64],
    before: Option<NoticeId>,
    after: Option<(Uuid, i64)>,
) -> Result<Vec<Place>, ReadError> {
    let places = sqlx::query_file_as!(
        Place,
        "queries/read_chunks_before.sql",
        opened.id(),
        fingerprint_ids,
        before.map(|id| id.as_uuid()),
        before.map(span_end),
        after.map(|(last_id, _)| last_id),
        after.map(|(_, chunk_id)| chunk_id),
        CHUNKS_PER_LOOK as i64
    )
    .fetch_all(snapshot)
    .await?;
    Ok(places)
}

/// Fetches and decodes chunks: fingerprint and notices of each.
async fn open_chunks(
    snapshot: &mut PgConnection,
    opened: &Opened,
    places: &[Place],
) -> Result<Vec<(i64, Vec<Item>)>, ReadError> {
    if places.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<i64> = places.iter().map(|place| place.id).collect();
    let fingerprint_ids: Vec<i64> = places.iter().map(|place| place.fingerprint_id).collect();
    let last_ids: Vec<Uuid> = places.iter().map(|place| place.last_id).collect();
    let last_ats: Vec<OffsetDateTime> = places.iter().map(|place| place.last_at).collect();
    let rows =
        sqlx::query_file!("queries/read_chunk_bodies.sql", opened.id(), &ids, &fingerprint_ids, &last_ids, &last_ats)
            .fetch_all(snapshot)
            .await?;
    rows.into_iter()
        .map(|row| {
            let items =
                chunk::decode(row.codec, &row.body).map_err(|source| ReadError::Chunk { chunk_id: row.id, source })?;
            Ok((row.fingerprint_id, items))
        })
        .collect()
}

/// The next chunks that together may hold `wanted` notices, within the limit of bytes.
fn take_enough(places: &mut VecDeque<Place>, wanted: usize) -> Vec<Place> {
    let mut taken = Vec::new();
    let mut notices = 0;
    let mut bytes = 0;
    while let Some(place) = places.front() {
        bytes += i64::from(place.raw_bytes);
        if !taken.is_empty() && (notices >= wanted || bytes > RAW_BYTES_PER_LOOK) {
            break;
        }
        notices += usize::try_from(place.notice_count).unwrap_or(0);
        taken.extend(places.pop_front());
    }
    taken
}

/// The least id of this moment.
pub(crate) fn first_id_at(ms: i64) -> Uuid {
    Uuid::from_u64_pair(ms.cast_unsigned() << 16, 0)
}

/// Behind the last id that shares a chunk with this one.
fn span_end(id: NoticeId) -> Uuid {
    first_id_at((id.accepted_at_ms().div_euclid(chunk::SPAN_MS) + 1) * chunk::SPAN_MS)
}
