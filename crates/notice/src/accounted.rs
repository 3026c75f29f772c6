//! Which records of one journal in one lane have been accounted for.
//!
//! Records are numbered 1, 2, 3… The set is kept as everything up to a watermark plus the runs above it;
//! normally there are none. Because a set does not care about order, records may arrive late, twice or mixed.

/// The set of accounted records: `{1..=wm}` and the runs above it.
///
/// Runs are sorted, do not touch each other and do not touch the watermark, so that
/// equal sets are equal values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Accounted {
    wm: u64,
    runs: Vec<(u64, u64)>,
}

impl Accounted {
    /// The set with nothing in it.
    pub fn new() -> Self {
        Self::default()
    }

    /// From the database's columns: the watermark, and the runs as pairs `lo, hi` one after the other.
    ///
    /// Takes the runs in any order and whatever they overlap.
    pub fn from_stored(wm: i64, runs: &[i64]) -> Self {
        let mut set = Self { wm: unsigned(wm), runs: Vec::new() };
        for pair in runs.chunks_exact(2) {
            set.insert_run(unsigned(pair[0]), unsigned(pair[1]));
        }
        set
    }

    /// For the database's columns; the inverse of [`Accounted::from_stored`].
    pub fn to_stored(&self) -> (i64, Vec<i64>) {
        let runs = self.runs.iter().flat_map(|&(lo, hi)| [signed(lo), signed(hi)]).collect();
        (signed(self.wm), runs)
    }

    /// Everything up to here is accounted for.
    pub fn watermark(&self) -> u64 {
        self.wm
    }

    /// How many runs lie above the watermark.
    pub fn run_count(&self) -> usize {
        self.runs.len()
    }

    /// How many records are in the set.
    pub fn count(&self) -> u64 {
        self.wm + self.runs.iter().map(|(lo, hi)| hi - lo + 1).sum::<u64>()
    }

    /// Whether the record is in the set.
    pub fn contains(&self, seq: u64) -> bool {
        if seq <= self.wm {
            return true;
        }
        let next = self.runs.partition_point(|&(_, hi)| hi < seq);
        self.runs.get(next).is_some_and(|&(lo, _)| lo <= seq)
    }

    /// Puts a record into the set; whether it was not there before. Number 0 names no record and is never fresh.
    pub fn insert(&mut self, seq: u64) -> bool {
        if self.contains(seq) {
            return false;
        }
        self.insert_run(seq, seq);
        true
    }

    /// Declares everything up to `seq` accounted for; how many of these records were not in the set.
    pub fn raise_to(&mut self, seq: u64) -> u64 {
        if seq <= self.wm {
            return 0;
        }
        let known: u64 = self.runs.iter().take_while(|(lo, _)| *lo <= seq).map(|(lo, hi)| seq.min(*hi) - lo + 1).sum();
        let declared = seq - self.wm - known;
        self.insert_run(self.wm + 1, seq);
        declared
    }

    fn insert_run(&mut self, lo: u64, hi: u64) {
        let (mut lo, mut hi) = (lo.max(self.wm.saturating_add(1)), hi);
        if hi < lo {
            return;
        }
        // Runs first..last overlap or touch the new one and melt into it.
        let first = self.runs.partition_point(|run| run.1.saturating_add(1) < lo);
        let last = self.runs.partition_point(|run| run.0 <= hi.saturating_add(1));
        if first < last {
            lo = lo.min(self.runs[first].0);
            hi = hi.max(self.runs[last - 1].1);
        }
        self.runs.splice(first..last, [(lo, hi)]);
        if self.runs[0].0 == self.wm.saturating_add(1) {
            self.wm = self.runs.remove(0).1;
        }
    }
}

fn unsigned(n: i64) -> u64 {
    u64::try_from(n).unwrap_or(0)
}

/// Numbers beyond the database's range cannot be reached by counting; they are held at its end.
fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone)]
    enum Step {
        Insert(u64),
        Raise(u64),
        Store,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            20 => (0..80u64).prop_map(Step::Insert),
            1 => (0..80u64).prop_map(Step::Raise),
            1 => Just(Step::Store),
        ]
    }

    proptest! {
        #[test]
        fn behaves_like_a_plain_set(steps in prop::collection::vec(step(), 0..200)) {
            let mut set = Accounted::new();
            let mut plain = BTreeSet::new();
            for step in steps {
                match step {
                    Step::Insert(seq) => prop_assert_eq!(set.insert(seq), seq > 0 && plain.insert(seq)),
                    Step::Raise(seq) => {
                        let declared = (1..=seq).filter(|seq| plain.insert(*seq)).count() as u64;
                        prop_assert_eq!(set.raise_to(seq), declared);
                    }
                    Step::Store => {
                        let (wm, runs) = set.to_stored();
                        prop_assert_eq!(&Accounted::from_stored(wm, &runs), &set);
                    }
                }
                prop_assert_eq!(set.count(), plain.len() as u64);
                for seq in 1..90 {
                    prop_assert_eq!(set.contains(seq), plain.contains(&seq));
                }
                let first_gap = (1..).find(|seq| !plain.contains(seq)).unwrap_or(1);
                prop_assert_eq!(set.watermark(), first_gap - 1);
            }
        }

        #[test]
        fn order_and_repetition_do_not_matter(seqs in prop::collection::vec(1..60u64, 0..120)) {
            let mut sorted = seqs.clone();
            sorted.sort_unstable();
            sorted.dedup();
            let fill = |seqs: &[u64]| {
                let mut set = Accounted::new();
                let fresh = seqs.iter().filter(|seq| set.insert(**seq)).count();
                (set, fresh)
            };
            prop_assert_eq!(fill(&seqs), fill(&sorted));
        }
    }

    #[test]
    fn a_record_that_fills_the_gap_raises_the_watermark() {
        let mut set = Accounted::new();
        assert!(set.insert(2));
        assert!(set.insert(3));
        assert_eq!((set.watermark(), set.run_count()), (0, 1));
        assert!(set.insert(1));
        assert!(!set.insert(2));
        assert_eq!((set.watermark(), set.run_count()), (3, 0));
    }

    #[test]
    fn numbers_at_the_end_of_the_range_do_no_harm() {
        let mut set = Accounted::new();
        assert!(set.insert(u64::MAX));
        assert!(!set.insert(u64::MAX));
        assert!(set.insert(u64::MAX - 1));
        assert_eq!(set.run_count(), 1);
    }
}
