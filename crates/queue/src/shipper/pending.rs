//! What of one journal and lane is still to be sent, and whose turn it is.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::io;

use journal::Source;

/// Ranges kept at most: with more, looking further ahead waits until some are sent.
const RANGES_MAX: usize = 8192;

/// Records looked at per pipeline.
const SCAN_RECORDS_MAX: usize = 8192;

/// Records looked at in one go.
const SCAN_STEP: usize = 1024;

/// Numbers of records to be sent, by project.
///
/// A flood of one project is one long range; memory grows with the changes between projects, up to a limit,
/// and not with the backlog.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    /// Everything up to this number was looked at.
    scanned: u64,
    /// First number of each range: last number and project.
    ranges: BTreeMap<u64, (u64, u64)>,
    /// First numbers of the ranges of each project.
    projects: HashMap<u64, BTreeSet<u64>>,
    /// Projects in the order in which they come next.
    turns: VecDeque<u64>,
}

/// A record that was taken to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) seq: u64,
    pub(crate) project_id: u64,
}

impl Pending {
    /// Everything after this number.
    pub(crate) fn after(seq: u64) -> Pending {
        Pending { scanned: seq, ..Pending::default() }
    }

    pub(crate) fn scanned(&self) -> u64 {
        self.scanned
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// The lowest number that is to be sent.
    pub(crate) fn lowest(&self) -> Option<u64> {
        self.ranges.keys().next().copied()
    }

    /// Looks at what has come since, as far as there is room for it.
    pub(crate) fn scan(&mut self, source: &Source, lane: u16) -> io::Result<()> {
        let head = source.head(lane);
        for _ in 0..SCAN_RECORDS_MAX / SCAN_STEP {
            if self.scanned >= head || self.ranges.len() >= RANGES_MAX {
                break;
            }
            let found = source.projects(lane, self.scanned, SCAN_STEP)?;
            // Up to the head, nothing more can be read.
            self.scanned = found.last().map_or(head, |(seq, _)| *seq);
            found.into_iter().for_each(|(seq, project_id)| self.push(seq, project_id));
        }
        Ok(())
    }

    /// Forgets what has been committed meanwhile.
    pub(crate) fn forget_upto(&mut self, watermark: u64) {
        self.scanned = self.scanned.max(watermark);
        while let Some((&first, &(last, project_id))) = self.ranges.first_key_value() {
            if first > watermark {
                break;
            }
            self.remove(first, project_id);
            if last > watermark {
                self.insert(watermark + 1, last, project_id);
            }
        }
    }

    /// Takes up to `count` numbers: the lowest ones, but for up to `ahead` that projects take in turns.
    pub(crate) fn take(&mut self, count: usize, ahead: usize) -> Vec<Taken> {
        let mut taken = Vec::new();
        if self.projects.len() > 1 {
            while taken.len() < ahead.min(count / 2) {
                let Some(project_id) = self.turns.pop_front() else { break };
                let Some(first) = self.projects.get(&project_id).and_then(|firsts| firsts.first().copied()) else {
                    continue;
                };
                self.take_first(first, &mut taken);
                if self.projects.contains_key(&project_id) {
                    self.turns.push_back(project_id);
                }
            }
        }
        while taken.len() < count {
            let Some(first) = self.lowest() else { break };
            self.take_first(first, &mut taken);
        }
        taken
    }

    /// Gives numbers back that were not sent after all.
    pub(crate) fn put_back(&mut self, taken: impl IntoIterator<Item = Taken>) {
        for Taken { seq, project_id } in taken {
            self.insert(seq, seq, project_id);
        }
    }

    fn take_first(&mut self, first: u64, taken: &mut Vec<Taken>) {
        let Some(&(last, project_id)) = self.ranges.get(&first) else { return };
        self.remove(first, project_id);
        if first < last {
            self.insert(first + 1, last, project_id);
        }
        taken.push(Taken { seq: first, project_id });
    }

    /// A number above all others.
    fn push(&mut self, seq: u64, project_id: u64) {
        if let Some(mut range) = self.ranges.last_entry() {
            let (last, of) = range.get_mut();
            if *last + 1 == seq && *of == project_id {
                *last = seq;
                return;
            }
        }
        self.insert(seq, seq, project_id);
    }

    fn insert(&mut self, first: u64, last: u64, project_id: u64) {
        self.ranges.insert(first, (last, project_id));
        let firsts = self.projects.entry(project_id).or_insert_with(|| {
            // A project that just ran out of work may still have its turn.
            if !self.turns.contains(&project_id) {
                self.turns.push_back(project_id);
            }
            BTreeSet::new()
        });
        firsts.insert(first);
    }

    fn remove(&mut self, first: u64, project_id: u64) {
        self.ranges.remove(&first);
        if let Some(firsts) = self.projects.get_mut(&project_id) {
            firsts.remove(&first);
            if firsts.is_empty() {
                self.projects.remove(&project_id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pending(projects: &[u64]) -> Pending {
        let mut pending = Pending::default();
        for (seq, project_id) in (1..).zip(projects) {
            pending.push(seq, *project_id);
        }
        pending
    }

    fn seqs(taken: &[Taken]) -> Vec<u64> {
        taken.iter().map(|taken| taken.seq).collect()
    }

    #[test]
    fn one_project_is_sent_in_order_and_takes_one_range() {
        let mut pending = pending(&[7; 1000]);
        assert_eq!(pending.ranges.len(), 1);
        assert_eq!(seqs(&pending.take(3, 100)), [1, 2, 3]);
        assert_eq!(pending.lowest(), Some(4));
    }

    #[test]
    fn a_project_behind_a_flood_gets_its_turn() {
        let mut projects = vec![7; 1000];
        projects[900] = 8;
        projects[950] = 9;
        let mut pending = pending(&projects);
        let taken = seqs(&pending.take(10, 5));
        assert!(taken.contains(&901) && taken.contains(&951), "{taken:?}");
        assert!(taken.contains(&1));
        assert_eq!(taken.len(), 10);
    }

    #[test]
    fn without_room_ahead_the_lowest_goes_first() {
        let mut pending = pending(&[7, 7, 7, 8, 7, 8]);
        assert_eq!(seqs(&pending.take(4, 0)), [1, 2, 3, 4]);
    }

    #[test]
    fn every_number_is_taken_once_whatever_is_given_back_and_forgotten() {
        let projects: Vec<u64> = (0..500u64).map(|at| at * at % 7).collect();
        let mut pending = pending(&projects);
        let mut sent = BTreeSet::new();
        for round in 0.. {
            let taken = pending.take(13, 4);
            if taken.is_empty() {
                break;
            }
            let (back, ok): (Vec<Taken>, Vec<Taken>) =
                taken.into_iter().partition(|taken| (taken.seq + round) % 3 == 0);
            pending.put_back(back);
            for taken in ok {
                assert_eq!(projects[usize::try_from(taken.seq).expect("small") - 1], taken.project_id);
                assert!(sent.insert(taken.seq), "{} is sent twice", taken.seq);
            }
            if round == 5 {
                pending.forget_upto(100);
                sent.extend(1..=100);
            }
        }
        assert_eq!(sent, (1..=500).collect());
        assert!(pending.is_empty() && pending.projects.is_empty());
    }
}
