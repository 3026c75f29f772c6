//! The notices of one lane that clients gave a name: a notice that is sent again is counted once.
//!
//! In memory is a hash of each name of the last two days. A hash that is known makes a suspect; whether it is stored already is for
//! the database to say.

use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering};

use store::batch::Batch;

/// Names are forgotten together with all of the same stretch of time.
const STRETCH_US: i64 = 6 * 60 * 60 * 1_000_000;

/// Stretches that are remembered: two days, and the one that has begun.
const STRETCHES_MAX: i64 = 9;

/// Names that one worker remembers in all of its lanes, at about 14 bytes each. Beyond that the oldest of whichever lane adds to it go
/// earlier, and where there are no older ones nothing is added: repeats of these count.
pub(crate) const NAMES_MAX: usize = 2_000_000;

/// Names of all lanes of this worker together.
#[derive(Debug, Default)]
pub(crate) struct Remembered(AtomicUsize);

/// The names of a lane.
#[derive(Debug)]
pub(crate) struct ClientIds {
    /// Oldest first.
    stretches: VecDeque<Stretch>,
    remembered: std::sync::Arc<Remembered>,
}

#[derive(Debug)]
struct Stretch {
    number: i64,
    names: HashSet<u64, BuildHasherDefault<AsItIs>>,
}

impl ClientIds {
    pub(crate) fn new(remembered: std::sync::Arc<Remembered>) -> ClientIds {
        ClientIds { stretches: VecDeque::new(), remembered }
    }

    /// Whether a name with this hash may have been stored.
    pub(crate) fn may_know(&self, hash: u64) -> bool {
        self.stretches.iter().any(|stretch| stretch.names.contains(&hash))
    }

    /// Remembers a name of a notice that was accepted at this time.
    pub(crate) fn add(&mut self, at_us: i64, hash: u64) {
        let number = at_us.div_euclid(STRETCH_US);
        self.make_room(number);
        if self.remembered.0.load(Ordering::Relaxed) >= NAMES_MAX {
            return;
        }
        let place = self.stretches.partition_point(|stretch| stretch.number < number);
        if self.stretches.get(place).is_none_or(|stretch| stretch.number != number) {
            self.stretches.insert(place, Stretch { number, names: HashSet::default() });
        }
        if let Some(stretch) = self.stretches.get_mut(place)
            && stretch.names.insert(hash)
        {
            self.remembered.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Forgets stretches that are over for two days, and older ones than this if there are too many names.
    fn make_room(&mut self, number: i64) {
        while let Some(oldest) = self.stretches.front()
            && oldest.number < number
            && (oldest.number + STRETCHES_MAX <= number || self.remembered.0.load(Ordering::Relaxed) >= NAMES_MAX)
        {
            self.remembered.0.fetch_sub(oldest.names.len(), Ordering::Relaxed);
            self.stretches.pop_front();
        }
    }

    /// Remembers the names of a batch that was committed.
    pub(crate) fn add_batch(&mut self, batch: &Batch) {
        for run in batch.client_ids.values() {
            run.entries.iter().for_each(|entry| self.add(run.last_at_us, entry.hash));
        }
    }
}

impl Drop for ClientIds {
    fn drop(&mut self) {
        let names = self.stretches.iter().map(|stretch| stretch.names.len()).sum();
        self.remembered.0.fetch_sub(names, Ordering::Relaxed);
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
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_name_is_known_for_two_days() {
        let remembered = Arc::new(Remembered::default());
        let mut ids = ClientIds::new(Arc::clone(&remembered));
        let hour_us = 60 * 60 * 1_000_000;
        ids.add(0, 7);
        ids.add(0, 7);
        for hour in 1..=48 {
            ids.add(hour * hour_us, 1_000 + hour as u64);
            assert!(ids.may_know(7), "after {hour} hours");
        }
        assert!(!ids.may_know(8));
        ids.add(60 * hour_us, 9);
        assert!(!ids.may_know(7));
        assert!(ids.may_know(9));
        drop(ids);
        assert_eq!(remembered.0.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn the_oldest_go_when_there_are_too_many() {
        let remembered = Arc::new(Remembered::default());
        let mut ids = ClientIds::new(Arc::clone(&remembered));
        ids.add(0, u64::MAX);
        for name in 0..=NAMES_MAX as u64 {
            ids.add(STRETCH_US, name);
        }
        assert!(!ids.may_know(u64::MAX));
        assert!(ids.may_know(0) && !ids.may_know(NAMES_MAX as u64), "the newest stretch has its limit too");
        assert_eq!(remembered.0.load(Ordering::Relaxed), NAMES_MAX);
    }
}
