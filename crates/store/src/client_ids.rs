//! The ids that clients give to their notices, as they are stored: by a hash, with the place of the notice.
//!
//! A row for each would cost more than the notice itself. An entry takes 16 bytes, and what a hash finds is compared in the chunk.

use notice::NoticeId;
use time::OffsetDateTime;
use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::chunk::SPAN_MS;

/// Bytes of an entry: its hash and its place, both big endian, so that sorted entries are sorted bytes.
pub const ENTRY_BYTES: usize = 16;

/// How far the time by which a chunk is filed may lie from the moments of its notices, when no clock was wrong.
const CLOCK_SLACK: time::Duration = time::Duration::seconds(1);

/// A client's id and where its notice is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClientIdEntry {
    /// [`hash`] of the project and the id.
    pub hash: u64,
    /// The first half of the notice's own id: its milliseconds and its lane.
    pub place: u64,
}

impl ClientIdEntry {
    /// The entry of a notice.
    #[must_use]
    pub fn new(hash: u64, id: NoticeId) -> ClientIdEntry {
        ClientIdEntry { hash, place: id.as_uuid().as_u64_pair().0 }
    }

    /// The lane of the notice.
    #[must_use]
    pub fn lane(&self) -> u16 {
        NoticeId::from(self.first_id()).lane()
    }

    /// Which bucket of the index it is in.
    #[must_use]
    pub fn bucket(&self) -> u8 {
        bucket(self.hash)
    }

    /// The moment of the notice, Unix milliseconds.
    #[must_use]
    pub fn at_ms(&self) -> i64 {
        NoticeId::from(self.first_id()).accepted_at_ms()
    }

    /// The smallest and the greatest id that its notice can have.
    #[must_use]
    pub fn ids(&self) -> (Uuid, Uuid) {
        (self.first_id(), Uuid::from_u64_pair(self.place, u64::MAX))
    }

    /// From when on the chunk that holds its notice can end.
    #[must_use]
    pub fn chunk_from(&self) -> OffsetDateTime {
        self.at() - CLOCK_SLACK
    }

    /// Until when the chunk that holds its notice ends.
    #[must_use]
    pub fn chunk_until(&self) -> OffsetDateTime {
        self.at() + time::Duration::milliseconds(SPAN_MS) + CLOCK_SLACK
    }

    fn at(&self) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.at_ms()) * 1_000_000)
            .unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }

    fn first_id(&self) -> Uuid {
        Uuid::from_u64_pair(self.place, 0)
    }
}

/// Up to where it is known which clients' ids of a project are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownTo {
    /// When the server began to run that said so. Another one, or the same set back, may lack what this one had, and use its numbers
    /// for something else.
    pub server_started_at: OffsetDateTime,
    /// The last row of `client_id_run` that is known; 0 if there was none.
    pub run_id: i64,
}

/// The clients' ids that one batch has brought of one project.
#[derive(Debug, Clone)]
pub struct StoredRun {
    /// The project.
    pub project_id: i64,
    /// Whoever knows this row and all before knows so far.
    pub known_to: KnownTo,
    /// Each id with its place.
    pub entries: Vec<ClientIdEntry>,
}

/// What an id of a client is known by within an installation.
#[must_use]
pub fn hash(project_id: i64, client_id: &str) -> u64 {
    xxh3_64_with_seed(client_id.as_bytes(), project_id.unsigned_abs())
}

/// The first byte of a hash.
#[must_use]
pub fn bucket(hash: u64) -> u8 {
    hash.to_be_bytes()[0]
}

/// The entries as they are stored, sorted by hash.
#[must_use]
pub fn encode(entries: &[ClientIdEntry]) -> Vec<u8> {
    let mut sorted = entries.to_vec();
    sorted.sort_unstable();
    sorted.iter().flat_map(|entry| [entry.hash.to_be_bytes(), entry.place.to_be_bytes()]).flatten().collect()
}

/// What is stored, entry by entry. Bytes that make no whole entry are passed over.
pub fn decode(entries: &[u8]) -> impl Iterator<Item = ClientIdEntry> {
    let (entries, _) = entries.as_chunks::<ENTRY_BYTES>();
    entries.iter().map(|entry| {
        let both = u128::from_be_bytes(*entry);
        ClientIdEntry { hash: (both >> 64) as u64, place: both as u64 }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_back_sorted_and_lead_to_their_notice() {
        let id = NoticeId::new(1_790_000_000_123_456, 77, 42);
        let entries = [ClientIdEntry::new(9, id), ClientIdEntry::new(hash(1, "abc"), id), ClientIdEntry::new(3, id)];
        let stored = encode(&entries);
        assert_eq!(stored.len(), 3 * ENTRY_BYTES);
        let mut sorted = entries;
        sorted.sort_unstable();
        assert_eq!(decode(&stored).collect::<Vec<_>>(), sorted);
        let (first, last) = entries[0].ids();
        assert!(first <= id.as_uuid() && id.as_uuid() <= last);
        assert_eq!((entries[0].at_ms(), NoticeId::from(first).lane()), (1_790_000_000_123, 77));
        assert_eq!(decode(&stored[..ENTRY_BYTES + 5]).count(), 1);
    }

    #[test]
    fn the_same_id_in_another_project_is_another() {
        assert_ne!(hash(1, "0f4a"), hash(2, "0f4a"));
    }
}
