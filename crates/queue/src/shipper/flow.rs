//! One journal's part in one lane: what is on its way and what was committed.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use journal::Source;

use super::pending::Pending;
use crate::stream_id::StreamId;

/// What an entry takes of Redis' memory beside its record.
const ENTRY_BYTES: u64 = 150;

/// Records that may be sent before lower ones of another project.
///
/// The database keeps a run for each until the lower ones have followed, so they must not be many.
const AHEAD_MAX: usize = 1000;

/// Entries of one journal in one lane.
pub(crate) struct Flow {
    pub(crate) source: Source,
    /// What is to be sent; a pipeline has it while it is in flight.
    pub(crate) pending: Option<Pending>,
    /// What Redis took and no watermark covers.
    outstanding: BTreeMap<u64, Sent>,
    outstanding_bytes: u64,
    acked: u64,
    /// The highest number in the journal.
    pub(crate) head: u64,
    /// Whether Redis was asked for the watermark: before that we do not know what is worth sending.
    pub(crate) is_asked: bool,
    /// When the watermark last moved, or began to have something to move for.
    moved_at: Instant,
    /// Probe without waiting for a stall.
    pub(crate) probe_at_once: bool,
    pub(crate) is_probing: bool,
    /// Entries were missing at this watermark; a poll begun after this moment decides.
    pub(crate) missing: Option<(u64, Instant)>,
    /// What the pipeline in flight brings back is out of date.
    is_restarted: bool,
    /// Up to here entries have been taken by Redis before.
    sent_before: u64,
    sent_upto: u64,
}

/// An entry that Redis took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent {
    bytes: u64,
    stream_id: StreamId,
}

/// What a new watermark meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moved {
    No,
    Up,
    Down,
}

impl Flow {
    /// A journal of which only this process knows needs not be asked for.
    pub(crate) fn new(source: Source, is_own: bool) -> Flow {
        Flow {
            source,
            pending: Some(Pending::default()),
            outstanding: BTreeMap::new(),
            outstanding_bytes: 0,
            acked: 0,
            head: 0,
            is_asked: is_own,
            moved_at: Instant::now(),
            probe_at_once: false,
            is_probing: false,
            missing: None,
            is_restarted: false,
            sent_before: 0,
            sent_upto: 0,
        }
    }

    pub(crate) fn acked(&self) -> u64 {
        self.acked
    }

    pub(crate) fn outstanding_bytes(&self) -> u64 {
        self.outstanding_bytes
    }

    pub(crate) fn has_outstanding(&self) -> bool {
        !self.outstanding.is_empty()
    }

    /// Whether there is something to send, and nothing in flight.
    pub(crate) fn is_ready(&self) -> bool {
        self.is_asked
            && self
                .pending
                .as_ref()
                .is_some_and(|pending| !pending.is_empty() || pending.scanned().max(self.acked) < self.head)
    }

    /// How many records may overtake lower ones now.
    pub(crate) fn room_ahead(&self, bytes_max: u64) -> usize {
        let Some(lowest) = self.pending.as_ref().and_then(Pending::lowest) else { return 0 };
        let (mut count, mut bytes) = (0, 0);
        for sent in self.outstanding.range(lowest..).map(|(_, sent)| sent) {
            count += 1;
            bytes += sent.bytes;
        }
        if bytes < bytes_max { AHEAD_MAX.saturating_sub(count) } else { 0 }
    }

    /// A pipeline came back; tells how many of its entries Redis had taken before.
    pub(crate) fn settle(&mut self, pending: Pending, accepted: Vec<(u64, usize, StreamId)>) -> u64 {
        let repeated = accepted.iter().filter(|(seq, ..)| *seq <= self.sent_before).count() as u64;
        self.sent_upto = accepted.iter().map(|(seq, ..)| *seq).fold(self.sent_upto, u64::max);
        if std::mem::take(&mut self.is_restarted) {
            self.sent_before = self.sent_upto;
            self.pending = Some(Pending::after(self.acked));
            return repeated;
        }
        self.pending = Some(pending);
        if self.outstanding.is_empty() {
            self.moved_at = Instant::now();
        }
        for (seq, bytes, stream_id) in accepted {
            if seq > self.acked {
                let sent = Sent { bytes: bytes as u64 + ENTRY_BYTES, stream_id };
                self.outstanding_bytes += sent.bytes;
                if let Some(before) = self.outstanding.insert(seq, sent) {
                    self.outstanding_bytes -= before.bytes;
                }
            }
        }
        repeated
    }

    /// Believes a watermark.
    pub(crate) fn set_acked(&mut self, watermark: u64) -> Moved {
        let before = std::mem::replace(&mut self.acked, watermark);
        match watermark.cmp(&before) {
            std::cmp::Ordering::Equal => Moved::No,
            std::cmp::Ordering::Less => {
                self.restart();
                Moved::Down
            }
            std::cmp::Ordering::Greater => {
                self.moved_at = Instant::now();
                let above = self.outstanding.split_off(&(watermark + 1));
                let gone = std::mem::replace(&mut self.outstanding, above);
                self.outstanding_bytes -= gone.values().map(|sent| sent.bytes).sum::<u64>();
                if let Some(pending) = &mut self.pending {
                    pending.forget_upto(watermark);
                }
                Moved::Up
            }
        }
    }

    /// Sends everything above the watermark again.
    pub(crate) fn restart(&mut self) {
        self.outstanding.clear();
        self.outstanding_bytes = 0;
        self.sent_before = self.sent_upto;
        self.moved_at = Instant::now();
        self.probe_at_once = false;
        self.missing = None;
        match self.pending {
            Some(_) => self.pending = Some(Pending::after(self.acked)),
            None => self.is_restarted = true,
        }
    }

    /// The oldest and the newest place on Redis of what is outstanding, if it is time to look whether they are still there.
    pub(crate) fn probe(&self, stall_max: Duration) -> Option<(StreamId, StreamId)> {
        let is_due = self.probe_at_once || self.moved_at.elapsed() > stall_max;
        if !is_due || self.is_probing || self.missing.is_some() {
            return None;
        }
        let ids = || self.outstanding.values().map(|sent| sent.stream_id);
        Some((ids().min()?, ids().max()?))
    }

    /// Everything is still there: the queue is merely slow.
    pub(crate) fn look_again_later(&mut self) {
        self.moved_at = Instant::now();
    }
}
