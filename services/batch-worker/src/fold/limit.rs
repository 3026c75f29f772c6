//! When a batch is big enough.

use std::collections::HashSet;

use journal::Record;
use queue::Entry;

use crate::config::BatchLimits;

/// Counts what has been taken into a batch.
#[derive(Debug)]
pub(crate) struct Limit {
    limits: BatchLimits,
    bytes: usize,
    fold_keys: HashSet<(u64, [u8; 16])>,
    is_reached: bool,
}

impl Limit {
    pub(crate) fn new(limits: BatchLimits) -> Self {
        Self { limits, bytes: 0, fold_keys: HashSet::new(), is_reached: false }
    }

    /// Takes the entry into account; false when the batch must do without it. The first one always fits.
    pub(crate) fn admits(&mut self, entry: &Entry) -> bool {
        if self.is_reached {
            return false;
        }
        let fold_key = match entry {
            Entry::Shipped(shipped) => Record::decode(&shipped.record).ok().map(|r| (r.project_id, r.fold_key)),
            Entry::Malformed(_) => None,
        };
        let is_new = fold_key.is_some_and(|key| !self.fold_keys.contains(&key));
        let is_too_big = self.bytes > 0 && self.bytes + entry.bytes() > self.limits.bytes_max;
        if is_too_big || (is_new && self.fold_keys.len() >= self.limits.groups_max) {
            self.is_reached = true;
            return false;
        }
        self.bytes += entry.bytes();
        self.fold_keys.extend(fold_key);
        true
    }

    /// Whether an entry was turned away.
    pub(crate) fn is_reached(&self) -> bool {
        self.is_reached
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use queue::Shipped;
    use uuid::Uuid;

    use super::*;

    fn limit(bytes_max: usize, groups_max: usize) -> Limit {
        Limit::new(BatchLimits { records_max: 100, bytes_max, groups_max, wait: Duration::ZERO })
    }

    fn entry(fold_key: u8, body_bytes: usize) -> Entry {
        let record = Record {
            kind: 1,
            codec: 0,
            lane: 0,
            seq: 1,
            project_id: 1,
            fold_key_version: 1,
            fold_key: [fold_key; 16],
            accepted_at_us: 0,
            id: [0; 16],
            body: vec![0; body_bytes],
        };
        Entry::Shipped(Shipped {
            stream_id: "1-1".into(),
            journal: Uuid::nil(),
            seq: 1,
            base: 1,
            head_seq: 1,
            oldest_unacked_at_us: 0,
            record: record.encode(),
        })
    }

    #[test]
    fn one_entry_fits_however_big_it_is() {
        let mut limit = limit(1_000, 10);
        assert!(limit.admits(&entry(1, 5_000)));
        assert!(!limit.admits(&entry(1, 10)));
        assert!(limit.is_reached());
    }

    #[test]
    fn different_errors_are_bounded_and_equal_ones_are_not() {
        let mut limit = limit(1 << 20, 2);
        for fold_key in [1, 1, 2, 1, 2, 2] {
            assert!(limit.admits(&entry(fold_key, 10)));
        }
        assert!(!limit.admits(&entry(3, 10)));
    }
}
