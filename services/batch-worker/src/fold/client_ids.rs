//! The notices that clients gave an id: a notice that is sent again is counted once, whichever way it comes.
//!
//! In memory is a hash of each id of the last two days, of all projects that this worker stores such notices of, with the place of its
//! notice. A hash that is known makes a suspect; whether it is stored already is for the database to say. What others store meanwhile
//! shows when a batch is committed.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use store::client_ids::{ClientIdEntry, KnownTo, StoredRun};
use store::{StoreError, Writer};

/// Ids are forgotten together with all that were learnt in the same stretch of time.
const STRETCH: Duration = Duration::from_hours(6);

/// Stretches that are remembered: two days, and the one that has begun.
const STRETCHES_MAX: u64 = 9;

/// Ids that are forgotten together at most: as many as a table of 2^18 places takes, at 17 bytes each.
const GENERATION_IDS_MAX: usize = (1 << 18) / 8 * 7;

/// Generations in memory: 2,064,384 ids in 40 MB. With more than that in two days the oldest go earlier, and their repeats count.
const GENERATIONS_MAX: usize = 9;

/// The ids that are known, and of which projects these are all.
#[derive(Debug)]
pub(crate) struct ClientIds {
    known: RwLock<Known>,
    /// Held by whoever reads what is stored. Others wait, instead of reading the same.
    learning: tokio::sync::Mutex<()>,
    /// The clock of the stretches.
    began: Instant,
}

#[derive(Debug, Default)]
struct Known {
    known_to: HashMap<i64, KnownTo>,
    /// Oldest first.
    generations: VecDeque<Generation>,
}

#[derive(Debug)]
struct Generation {
    stretch: u64,
    places: HashMap<u64, u64, BuildHasherDefault<AsItIs>>,
}

impl ClientIds {
    pub(crate) fn new() -> ClientIds {
        ClientIds { known: RwLock::default(), learning: tokio::sync::Mutex::default(), began: Instant::now() }
    }

    /// Up to where it is known what is stored of a project; `None` if nothing is.
    pub(crate) fn known_to(&self, project_id: i64) -> Option<KnownTo> {
        self.read().known_to.get(&project_id).copied()
    }

    /// Where a notice may be stored whose id has this hash.
    pub(crate) fn find(&self, hash: u64) -> Option<ClientIdEntry> {
        let known = self.read();
        // Most of what is sent again follows at once.
        let place = known.generations.iter().rev().find_map(|generation| generation.places.get(&hash))?;
        Some(ClientIdEntry { hash, place: *place })
    }

    /// Finds out what is stored of these projects, as far as it is not known.
    pub(crate) async fn learn(
        &self,
        writer: &Writer,
        projects: impl IntoIterator<Item = i64>,
    ) -> Result<(), StoreError> {
        let _alone = self.learning.lock().await;
        let projects: BTreeMap<i64, Option<KnownTo>> =
            projects.into_iter().map(|project_id| (project_id, self.known_to(project_id))).collect();
        let mut known_to = BTreeMap::new();
        let take = |run: StoredRun| {
            self.write().add(&run.entries, self.stretch());
            known_to.insert(run.project_id, run.known_to);
        };
        writer.client_ids(&projects, take).await?;
        let mut known = self.write();
        known_to.into_iter().for_each(|(project_id, known_to)| known.know(project_id, known_to));
        Ok(())
    }

    /// Takes in what a batch found to be stored, and what it has stored itself.
    pub(crate) fn take(&self, runs: &[StoredRun]) {
        let mut known = self.write();
        runs.iter().for_each(|run| known.add(&run.entries, self.stretch()));
        // They come in no order: only with all of them it is known what is stored up to the last.
        runs.iter().for_each(|run| known.know(run.project_id, run.known_to));
    }

    fn stretch(&self) -> u64 {
        self.began.elapsed().as_secs() / STRETCH.as_secs()
    }

    fn read(&self) -> RwLockReadGuard<'_, Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Known> {
        self.known.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn know(&mut self, project_id: i64, known_to: KnownTo) {
        let known = self.known_to.entry(project_id).or_insert(known_to);
        if known.server_started_at != known_to.server_started_at || known.run_id < known_to.run_id {
            *known = known_to;
        }
    }

    fn add(&mut self, entries: &[ClientIdEntry], stretch: u64) {
        for entry in entries {
            self.generation(stretch).places.insert(entry.hash, entry.place);
        }
    }

    /// Where to add an id. Forgets what is too old, or too much.
    fn generation(&mut self, stretch: u64) -> &mut Generation {
        let is_open = |newest: &Generation| newest.stretch >= stretch && newest.places.len() < GENERATION_IDS_MAX;
        if !self.generations.back().is_some_and(is_open) {
            self.generations.push_back(Generation { stretch, places: HashMap::default() });
            while self.generations.len() > GENERATIONS_MAX || self.generations[0].stretch + STRETCHES_MAX <= stretch {
                self.generations.pop_front();
            }
        }
        let newest = self.generations.len() - 1;
        &mut self.generations[newest]
    }
}

/// A hash that is one already.
#[derive(Debug, Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(hash: u64) -> ClientIdEntry {
        ClientIdEntry { hash, place: hash + 1 }
    }

    fn knows(known: &Known, hash: u64) -> bool {
        known.generations.iter().any(|generation| generation.places.get(&hash) == Some(&(hash + 1)))
    }

    #[test]
    fn an_id_is_known_for_two_days() {
        let mut known = Known::default();
        known.add(&[entry(7), entry(7)], 0);
        for stretch in 1..=8 {
            known.add(&[entry(1_000 + stretch)], stretch);
            assert!(knows(&known, 7), "after {} hours", 6 * stretch);
        }
        assert!(!knows(&known, 8));
        known.add(&[entry(9)], 9);
        assert!(!knows(&known, 7) && knows(&known, 1_001) && knows(&known, 9));
        known.add(&[entry(10)], 100);
        assert_eq!(known.generations.len(), 1);
    }

    #[test]
    fn the_oldest_go_when_there_are_too_many() {
        let mut known = Known::default();
        let ids_max = (GENERATIONS_MAX * GENERATION_IDS_MAX) as u64;
        for hash in 0..ids_max {
            known.add(&[entry(hash)], 0);
        }
        assert!(knows(&known, 0) && knows(&known, ids_max - 1));
        known.add(&[entry(ids_max)], 0);
        assert!(!knows(&known, 0) && knows(&known, ids_max) && knows(&known, GENERATION_IDS_MAX as u64));
        assert!(known.generations.iter().all(|generation| generation.places.capacity() <= GENERATION_IDS_MAX));
    }

    #[test]
    fn what_one_server_said_counts_for_that_server() {
        let at = |second| time::OffsetDateTime::from_unix_timestamp(second).expect("a time");
        let known_to = |second, run_id| KnownTo { server_started_at: at(second), run_id };
        let mut known = Known::default();
        known.know(1, known_to(10, 5));
        known.know(1, known_to(10, 4));
        assert_eq!(known.known_to[&1], known_to(10, 5));
        known.know(1, known_to(20, 2));
        assert_eq!(known.known_to[&1], known_to(20, 2));
    }
}
