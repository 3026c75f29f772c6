//! What has been accounted for in one lane, and what of a batch is new.

use std::collections::HashMap;

use notice::Accounted;
use queue::{Entry, Shipped};
use store::batch::{CursorRow, GoneRow};
use store::writer::Claimed;
use uuid::Uuid;

/// The accounted sets of all journals of one lane, as they were committed.
#[derive(Debug, Default)]
pub(crate) struct Accounts {
    journals: HashMap<Uuid, Account>,
}

#[derive(Debug, Clone, Default)]
struct Account {
    accounted: Accounted,
    head_seq: u64,
    oldest_unacked_at_us: Option<i64>,
    is_recent: bool,
    is_seen: bool,
}

/// What a batch brings that was not there before. Nothing of it holds until it is committed.
#[derive(Debug, Default)]
pub(crate) struct Sifted<'a> {
    /// Entries to be folded.
    pub(crate) fresh: Vec<&'a Shipped>,
    /// Entries to be buried: what is readable of them, and their journal and number if these can be trusted.
    pub(crate) malformed: Vec<&'a queue::Malformed>,
    /// Entries that came before.
    pub(crate) repeated: usize,
    /// Records that gateways declare gone.
    pub(crate) gone: Vec<GoneRow>,
    accounts: HashMap<Uuid, Account>,
}

impl Accounts {
    /// As they are at a claim.
    pub(crate) fn from_claimed(claimed: &Claimed) -> Self {
        let journals = claimed
            .cursors
            .iter()
            .map(|cursor| {
                let account =
                    Account { accounted: cursor.accounted.clone(), is_recent: cursor.is_recent, ..Account::default() };
                (cursor.journal, account)
            })
            .collect();
        Self { journals }
    }

    /// What of these entries is new. The order does not matter, and nothing changes here.
    pub(crate) fn sift<'a>(&self, entries: &'a [Entry]) -> Sifted<'a> {
        let mut sifted = Sifted::default();
        for entry in entries {
            match entry {
                Entry::Shipped(shipped) => self.sift_one(shipped, &mut sifted),
                Entry::Malformed(malformed) => match (malformed.journal, malformed.seq) {
                    (Some(journal), Some(seq)) => {
                        let account = self.account(journal, &mut sifted.accounts);
                        if account.accounted.insert(seq) {
                            sifted.malformed.push(malformed);
                        } else {
                            sifted.repeated += 1;
                        }
                    }
                    _ => sifted.malformed.push(malformed),
                },
            }
        }
        sifted
    }

    fn sift_one<'a>(&self, shipped: &'a Shipped, sifted: &mut Sifted<'a>) {
        let account = self.account(shipped.journal, &mut sifted.accounts);
        account.is_seen = true;
        account.is_recent = true;
        account.head_seq = account.head_seq.max(shipped.head_seq).max(shipped.seq);
        account.oldest_unacked_at_us = Some(shipped.oldest_unacked_at_us).filter(|at_us| *at_us > 0);
        // A gap behind what is not there yet waits: that comes again, as the database was set back.
        let gap = shipped
            .gap
            .as_ref()
            .filter(|gap| *gap.start() <= account.accounted.watermark().max(shipped.base.saturating_sub(1)) + 1);
        let gone = gap.map_or(0, |gap| *gap.end()).max(shipped.base.saturating_sub(1));
        if gone > account.accounted.watermark() {
            let record_count = account.accounted.raise_to(gone);
            sifted.gone.push(GoneRow { journal: shipped.journal, base: gone + 1, record_count });
        }
        let is_new = account.accounted.insert(shipped.seq);
        #[cfg(feature = "failpoints")]
        let is_new = is_new || journal::failpoint::is_mutant("worker.ignores_accounted");
        if is_new {
            sifted.fresh.push(shipped);
        } else {
            sifted.repeated += 1;
        }
    }

    fn account<'b>(&self, journal: Uuid, accounts: &'b mut HashMap<Uuid, Account>) -> &'b mut Account {
        accounts.entry(journal).or_insert_with(|| self.journals.get(&journal).cloned().unwrap_or_default())
    }

    /// What was sifted has been committed.
    pub(crate) fn advance(&mut self, sifted: Sifted<'_>) {
        self.journals.extend(sifted.accounts);
    }

    /// The watermarks of all journals of the last day, for the first publication after a claim.
    pub(crate) fn recent_watermarks(&self) -> Vec<(Uuid, u64)> {
        self.watermarks(|account| account.is_recent)
    }

    /// The watermarks of the journals that something came from since the claim.
    pub(crate) fn seen_watermarks(&self) -> Vec<(Uuid, u64)> {
        self.watermarks(|account| account.is_seen)
    }

    fn watermarks(&self, which: impl Fn(&Account) -> bool) -> Vec<(Uuid, u64)> {
        self.journals
            .iter()
            .filter(|(_, account)| which(account))
            .map(|(journal, account)| (*journal, account.accounted.watermark()))
            .collect()
    }
}

impl Sifted<'_> {
    /// Whether there is nothing to write.
    pub(crate) fn is_empty(&self) -> bool {
        self.fresh.is_empty() && self.malformed.is_empty() && self.gone.is_empty()
    }

    /// The sets as they are with this batch.
    pub(crate) fn cursors(&self) -> Vec<CursorRow> {
        self.accounts
            .iter()
            .map(|(journal, account)| CursorRow {
                journal: *journal,
                accounted: account.accounted.clone(),
                head_seq: account.head_seq,
                oldest_unacked_at_us: account.oldest_unacked_at_us,
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::ops::RangeInclusive;

    use super::*;

    const JOURNAL: Uuid = Uuid::from_u128(7);

    fn entry(seq: u64, base: u64) -> Entry {
        Entry::Shipped(Shipped {
            stream_id: format!("1-{seq}"),
            journal: JOURNAL,
            seq,
            base,
            gap: None,
            head_seq: 9,
            oldest_unacked_at_us: 5,
            record: vec![],
        })
    }

    #[test]
    fn a_record_that_comes_twice_is_fresh_once() {
        let mut accounts = Accounts::default();
        let entries = [entry(2, 1), entry(1, 1), entry(2, 1)];
        let sifted = accounts.sift(&entries);
        assert_eq!((sifted.fresh.len(), sifted.repeated), (2, 1));
        accounts.advance(sifted);
        let sifted = accounts.sift(&entries);
        assert_eq!((sifted.fresh.len(), sifted.repeated, sifted.is_empty()), (0, 3, true));
        assert_eq!(accounts.seen_watermarks(), [(JOURNAL, 2)]);
    }

    #[test]
    fn a_gap_is_gone_once_all_below_it_is_there() {
        let of = |seq, gap: Option<RangeInclusive<u64>>| match entry(seq, 1) {
            Entry::Shipped(shipped) => Entry::Shipped(Shipped { gap, ..shipped }),
            other => other,
        };
        // The database was set back to 50; the gateway had heard of 100, and 101 is damaged.
        let mut accounts = Accounts::default();
        let all_to_50: Vec<Entry> = (1..=50).map(|seq| of(seq, None)).collect();
        accounts.advance(accounts.sift(&all_to_50));
        let early = [of(102, Some(101..=101))];
        let sifted = accounts.sift(&early);
        assert!(sifted.gone.is_empty());
        accounts.advance(sifted);
        let again: Vec<Entry> = (51..=100).map(|seq| of(seq, None)).collect();
        let sifted = accounts.sift(&again);
        assert_eq!(sifted.fresh.len(), 50, "what was set back is taken again");
        accounts.advance(sifted);
        assert_eq!(accounts.seen_watermarks(), [(JOURNAL, 100)]);
        let sifted = accounts.sift(&early);
        let [gone] = sifted.gone.as_slice() else { panic!("{:?}", sifted.gone) };
        assert_eq!((gone.base, gone.record_count, sifted.fresh.len()), (102, 1, 0));
        accounts.advance(sifted);
        assert_eq!(accounts.seen_watermarks(), [(JOURNAL, 102)]);
    }

    #[test]
    fn what_is_not_committed_does_not_hold() {
        let accounts = Accounts::default();
        let entries = [entry(1, 1)];
        assert_eq!(accounts.sift(&entries).fresh.len(), 1);
        assert_eq!(accounts.sift(&entries).fresh.len(), 1);
    }

    #[test]
    fn what_the_gateway_no_longer_has_is_declared_gone_with_its_exact_number() {
        let accounts = Accounts::default();
        let entries = [entry(3, 1), entry(7, 6), entry(8, 6)];
        let sifted = accounts.sift(&entries);
        let [gone] = sifted.gone.as_slice() else { panic!("{:?}", sifted.gone) };
        assert_eq!((gone.base, gone.record_count), (6, 4));
        assert_eq!(sifted.fresh.len(), 3);
        assert_eq!(sifted.cursors()[0].accounted.to_stored(), (5, vec![7, 8]));
    }
}
