//! Notices of a group, newest first, and single notices by their ids.
//!
//! Bodies lie in chunks, one per fingerprint and batch. Batches overlap in time, so a page is a merge of the chunks
//! around it: a notice is handed out only when no chunk that has not been opened can hold a newer one.

use std::collections::{BinaryHeap, VecDeque};

use notice::prost::Message as _;
use notice::{Item, Notice, NoticeId};
use serde_json::{Value, json};
use sqlx::types::time::OffsetDateTime;
use uuid::Uuid;

use super::{Opened, ReadError, Reader};
use crate::chunk;

/// Chunks that are looked up at once.
const CHUNKS_PER_LOOK: usize = 128;
/// Bodies that are fetched at once are at most this great, decompressed, and at least one.
const RAW_BYTES_PER_LOOK: i64 = 8 << 20;
/// Chunks of a lane that may hold one id, opened at once.
const CANDIDATES_PER_LOOK: i64 = 32;
/// A chunk that holds a notice nearly always ends within this time after it.
const NEAR_MS: i64 = 10_000;
/// How far the partition key may lie from an id's own time, when no clock was wrong.
const CLOCK_SLACK_MS: i64 = 1_000;

/// One notice with its body and its place.
#[derive(Clone, Debug)]
pub struct StoredNotice {
    /// Its id.
    pub id: NoticeId,
    /// Its project.
    pub project_id: i64,
    /// The group that it is in now.
    pub group_id: i64,
    /// When it was accepted, Unix microseconds.
    pub accepted_at_us: i64,
    /// The notice.
    pub notice: Notice,
    /// Why it is in this group: `{fingerprint, version, parts}`.
    pub why: Option<Value>,
}

impl StoredNotice {
    /// The notice as the JSON API shows it.
    #[must_use]
    pub fn to_json(&self) -> Value {
        notice::to_json(&notice::Stored {
            id: self.id,
            project_id: self.project_id,
            group_id: self.group_id,
            accepted_at_us: self.accepted_at_us,
            notice: &self.notice,
            why: self.why.as_ref(),
        })
    }
}

/// One page of the notices of a group.
#[derive(Clone, Debug)]
pub struct NoticePage {
    /// The notices, newest first.
    pub notices: Vec<StoredNotice>,
    /// The page after this one has those before this id.
    pub next: Option<NoticeId>,
}

/// The neighbours of a notice in its group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Around {
    /// The next older one.
    pub older: Option<NoticeId>,
    /// The next newer one.
    pub newer: Option<NoticeId>,
}

/// A fingerprint of a group.
pub(super) struct Identity {
    pub(super) id: i64,
    pub(super) group_id: i64,
    pub(super) why: Value,
}

/// Where a chunk lies.
struct Place {
    id: i64,
    fingerprint_id: i64,
    last_id: Uuid,
    last_at: OffsetDateTime,
    notice_count: i32,
    raw_bytes: i32,
}

struct Found {
    item: Item,
    fingerprint_id: i64,
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
    /// Notices of a group, newest first, those before the id `before`.
    pub async fn notices(
        &self,
        opened: &Opened,
        group_id: i64,
        before: Option<NoticeId>,
        limit: usize,
    ) -> Result<NoticePage, ReadError> {
        let identities = self.identities_of_group(opened, group_id).await?;
        let found = self.before(opened, &identities, before, limit).await?;
        let next = if found.len() == limit { found.last().map(|last| last.item.id) } else { None };
        let notices = found.iter().map(|found| stored(opened, &identities, found)).collect::<Result<Vec<_>, _>>()?;
        Ok(NoticePage { notices, next })
    }

    /// A notice of a group.
    pub async fn notice_in_group(
        &self,
        opened: &Opened,
        group_id: i64,
        id: NoticeId,
    ) -> Result<Option<StoredNotice>, ReadError> {
        let identities = self.identities_of_group(opened, group_id).await?;
        let after = Uuid::from_u64_pair(id.as_uuid().as_u64_pair().0, id.as_uuid().as_u64_pair().1.wrapping_add(1));
        let mut found = self.before(opened, &identities, Some(NoticeId::from(after)), 1).await?;
        match found.pop() {
            Some(found) if found.item.id == id => stored(opened, &identities, &found).map(Some),
            _ => Ok(None),
        }
    }

    /// The notice before and the notice after one of a group.
    pub async fn around(&self, opened: &Opened, group_id: i64, id: NoticeId) -> Result<Around, ReadError> {
        let identities = self.identities_of_group(opened, group_id).await?;
        let older = self.before(opened, &identities, Some(id), 1).await?;
        let newer = self.after(opened, &identities, id).await?;
        Ok(Around { older: older.first().map(|found| found.item.id), newer })
    }

    /// The oldest notice of a group that is still kept.
    pub async fn oldest(&self, opened: &Opened, group_id: i64) -> Result<Option<NoticeId>, ReadError> {
        let identities = self.identities_of_group(opened, group_id).await?;
        self.after(opened, &identities, NoticeId::from(Uuid::nil())).await
    }

    /// A notice of a project by its id. The id itself says in which lane and when it was accepted.
    pub async fn notice(&self, opened: &Opened, id: NoticeId) -> Result<Option<StoredNotice>, ReadError> {
        let Some((identity, item)) = self.find(opened, id).await? else { return Ok(None) };
        decoded(opened, &item, Some(&identity)).map(Some)
    }

    async fn find(&self, opened: &Opened, id: NoticeId) -> Result<Option<(Identity, Item)>, ReadError> {
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

    pub(super) async fn identities_of_group(&self, opened: &Opened, group_id: i64) -> Result<Vec<Identity>, ReadError> {
        let rows = sqlx::query!(
            "select id, group_id, fingerprint, version, parts from fingerprint where project_id = $1 and group_id = $2",
            opened.id(),
            group_id
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows
            .into_iter()
            .map(|row| identity(row.id, row.group_id, &row.fingerprint, row.version, &row.parts))
            .collect())
    }

    pub(super) async fn identities(&self, opened: &Opened, ids: &[i64]) -> Result<Vec<Identity>, ReadError> {
        let rows = sqlx::query!(
            "select id, group_id, fingerprint, version, parts from fingerprint where project_id = $1 and id = any($2::bigint[])",
            opened.id(),
            ids
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows
            .into_iter()
            .map(|row| identity(row.id, row.group_id, &row.fingerprint, row.version, &row.parts))
            .collect())
    }

    /// The newest notices of these fingerprints before an id.
    async fn before(
        &self,
        opened: &Opened,
        identities: &[Identity],
        before: Option<NoticeId>,
        limit: usize,
    ) -> Result<Vec<Found>, ReadError> {
        let fingerprint_ids: Vec<i64> = identities.iter().map(|identity| identity.id).collect();
        let mut waiting: BinaryHeap<Found> = BinaryHeap::new();
        let mut places: VecDeque<Place> = VecDeque::new();
        let mut is_last_look = false;
        let mut after: Option<(Uuid, i64)> = None;
        let mut found = Vec::new();
        loop {
            if places.is_empty() && !is_last_look {
                let rows = self.places_before(opened, &fingerprint_ids, before, after).await?;
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
                if found.len() == limit {
                    return Ok(found);
                }
            }
            if places.is_empty() {
                return Ok(found);
            }
            let chunks = take_enough(&mut places, limit - found.len());
            for (fingerprint_id, items) in self.open_chunks(opened, &chunks).await? {
                let items = items.into_iter().filter(|item| before.is_none_or(|before| item.id < before));
                waiting.extend(items.map(|item| Found { item, fingerprint_id }));
            }
        }
    }

    /// The oldest notice of these fingerprints after an id.
    async fn after(
        &self,
        opened: &Opened,
        identities: &[Identity],
        id: NoticeId,
    ) -> Result<Option<NoticeId>, ReadError> {
        let fingerprint_ids: Vec<i64> = identities.iter().map(|identity| identity.id).collect();
        let nearest =
            sqlx::query_file_as!(Place, "queries/read_chunk_after.sql", opened.id(), &fingerprint_ids, id.as_uuid())
                .fetch_optional(&self.pool)
                .await?;
        let Some(nearest) = nearest else { return Ok(None) };
        let oldest_after = |chunks: Vec<(i64, Vec<Item>)>| {
            chunks.into_iter().flat_map(|(_, items)| items).map(|item| item.id).filter(|other| *other > id).min()
        };
        let Some(candidate) = oldest_after(self.open_chunks(opened, std::slice::from_ref(&nearest)).await?) else {
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
        .fetch_all(&self.pool)
        .await?;
        let earlier = oldest_after(self.open_chunks(opened, &straddling).await?);
        Ok(Some(earlier.map_or(candidate, |earlier| earlier.min(candidate))))
    }

    async fn places_before(
        &self,
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
        .fetch_all(&self.pool)
        .await?;
        Ok(places)
    }

    /// Fetches and decodes chunks: fingerprint and notices of each.
    async fn open_chunks(&self, opened: &Opened, places: &[Place]) -> Result<Vec<(i64, Vec<Item>)>, ReadError> {
        if places.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<i64> = places.iter().map(|place| place.id).collect();
        let fingerprint_ids: Vec<i64> = places.iter().map(|place| place.fingerprint_id).collect();
        let last_ids: Vec<Uuid> = places.iter().map(|place| place.last_id).collect();
        let last_ats: Vec<OffsetDateTime> = places.iter().map(|place| place.last_at).collect();
        let rows = sqlx::query_file!(
            "queries/read_chunk_bodies.sql",
            opened.id(),
            &ids,
            &fingerprint_ids,
            &last_ids,
            &last_ats
        )
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter()
            .map(|row| {
                let items = chunk::decode(row.codec, &row.body)
                    .map_err(|source| ReadError::Chunk { chunk_id: row.id, source })?;
                Ok((row.fingerprint_id, items))
            })
            .collect()
    }
}

fn identity(id: i64, group_id: i64, fingerprint: &[u8], version: i16, parts: &Value) -> Identity {
    let hex: String = fingerprint.iter().map(|byte| format!("{byte:02x}")).collect();
    Identity { id, group_id, why: json!({"fingerprint": hex, "version": version, "parts": parts}) }
}

fn stored(opened: &Opened, identities: &[Identity], found: &Found) -> Result<StoredNotice, ReadError> {
    let identity = identities.iter().find(|identity| identity.id == found.fingerprint_id);
    decoded(opened, &found.item, identity)
}

pub(super) fn decoded(opened: &Opened, item: &Item, identity: Option<&Identity>) -> Result<StoredNotice, ReadError> {
    let notice = Notice::decode(item.body.as_slice()).map_err(|source| ReadError::Notice { id: item.id, source })?;
    Ok(StoredNotice {
        id: item.id,
        project_id: opened.id(),
        group_id: identity.map_or(0, |identity| identity.group_id),
        accepted_at_us: item.accepted_at_us,
        notice,
        why: identity.map(|identity| identity.why.clone()),
    })
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

fn first_id_at(ms: i64) -> Uuid {
    Uuid::from_u64_pair(ms.cast_unsigned() << 16, 0)
}

/// Behind the last id that shares a chunk with this one.
fn span_end(id: NoticeId) -> Uuid {
    first_id_at((id.accepted_at_ms().div_euclid(chunk::SPAN_MS) + 1) * chunk::SPAN_MS)
}
