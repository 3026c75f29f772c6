//! When a batch is big enough.

use std::collections::HashSet;

use journal::{BODY_BYTES_MAX, Record};
use queue::Entry;

use crate::config::BatchLimits;

/// Most bytes of a batch's bodies once they are unpacked: what bounds a worker's memory whatever it is sent, for a
/// few megabytes of compressed bodies can be gigabytes of text.
const UNPACKED_BYTES_MAX: usize = 32 << 20;

/// Counts what has been taken into a batch.
#[derive(Debug)]
pub(crate) struct Limit {
    limits: BatchLimits,
    count: usize,
    bytes: usize,
    unpacked_bytes: usize,
    fold_keys: HashSet<(u64, [u8; 16])>,
    is_reached: bool,
}

impl Limit {
    pub(crate) fn new(limits: BatchLimits) -> Self {
        Self { limits, count: 0, bytes: 0, unpacked_bytes: 0, fold_keys: HashSet::new(), is_reached: false }
    }

    /// Takes the entry into account; false when the batch must do without it. The first one always fits.
    pub(crate) fn admits(&mut self, entry: &Entry) -> bool {
        if self.is_reached {
            return false;
        }
        let record = match entry {
            Entry::Shipped(shipped) => Record::decode(&shipped.record).ok(),
            Entry::Malformed(_) => None,
        };
        let bytes = self.bytes + entry.bytes();
        let unpacked_bytes = self.unpacked_bytes + record.as_ref().map_or(0, |record| unpacked_bytes(&record.body));
        let fold_key = record.map(|record| (record.project_id, record.fold_key));
        let is_new = fold_key.is_some_and(|key| !self.fold_keys.contains(&key));
        let is_too_much = bytes > self.limits.bytes_max
            || unpacked_bytes > UNPACKED_BYTES_MAX
            || (is_new && self.fold_keys.len() >= self.limits.groups_max);
        if is_too_much && self.count > 0 {
            self.is_reached = true;
            return false;
        }
        self.count += 1;
        (self.bytes, self.unpacked_bytes) = (bytes, unpacked_bytes);
        self.fold_keys.extend(fold_key);
        true
    }

    /// How many bytes may still be taken.
    pub(crate) fn bytes_left(&self) -> usize {
        self.limits.bytes_max.saturating_sub(self.bytes)
    }

    /// Whether an entry was turned away.
    pub(crate) fn is_reached(&self) -> bool {
        self.is_reached
    }
}

/// What a body takes unpacked, as it says itself. One that does not say, or says too much, is not unpacked beyond the
/// limit of one body.
fn unpacked_bytes(body: &[u8]) -> usize {
    let said = zstd::decompressed_size(body).and_then(|bytes| usize::try_from(bytes).ok());
    said.unwrap_or(BODY_BYTES_MAX).min(BODY_BYTES_MAX)
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
        // Random bytes: compressing them gains nothing.
        let mut body = vec![0; body_bytes];
        rand::Rng::fill_bytes(&mut rand::rng(), &mut body);
        entry_of(fold_key, &body)
    }

    fn entry_of(fold_key: u8, body: &[u8]) -> Entry {
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
            body: queue::body::compress(body),
        };
        Entry::Shipped(Shipped {
            stream_id: "1-1".into(),
            journal: Uuid::nil(),
            seq: 1,
            base: 1,
            gap: None,
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
    fn what_unpacks_to_much_is_bounded_by_that() {
        let mut limit = limit(8 << 20, 10);
        let admitted = (0..100).filter(|_| limit.admits(&entry_of(1, &vec![0; 4_000_000]))).count();
        assert_eq!(admitted, UNPACKED_BYTES_MAX / 4_000_000);
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
