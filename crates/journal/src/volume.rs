//! One journal of the directory: its segments, and how far each lane was acknowledged.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use crate::index::Place;
use crate::segment::{Index, Segment};

/// The segments of one journal, and its lanes.
#[derive(Debug, Default)]
pub(crate) struct Volume {
    pub(crate) segments: BTreeMap<u64, Segment>,
    pub(crate) lanes: BTreeMap<u16, LaneState>,
}

/// One lane of one journal.
#[derive(Clone, Debug, Default)]
pub(crate) struct LaneState {
    /// The watermark, once it is known.
    pub(crate) acked: Option<u64>,
    /// When it was last said, changed or not.
    pub(crate) heard_at: Option<Instant>,
    /// The highest number ever given out.
    pub(crate) head: u64,
    /// Bytes above the watermark.
    pub(crate) unacked_bytes: u64,
    /// The oldest un-acknowledged record, and when it was accepted.
    pub(crate) oldest: Option<(u64, i64)>,
}

impl Volume {
    /// A journal of an earlier process, of which nothing is known to be acknowledged.
    pub(crate) fn from_segments(segments: BTreeMap<u64, Segment>) -> Volume {
        let mut volume = Volume { segments, lanes: BTreeMap::new() };
        for segment in volume.segments.values_mut() {
            if segment.extents.is_empty() {
                segment.acked_since = Some(Instant::now());
            }
            for extent in &segment.extents {
                let lane = volume.lanes.entry(extent.lane).or_default();
                lane.head = lane.head.max(extent.last_seq);
                lane.unacked_bytes += extent.bytes;
            }
        }
        volume
    }

    pub(crate) fn watermark(&self, lane: u16) -> u64 {
        self.lanes.get(&lane).and_then(|lane| lane.acked).unwrap_or(0)
    }

    pub(crate) fn unacked_bytes(&self) -> u64 {
        self.lanes.values().map(|lane| lane.unacked_bytes).sum()
    }

    /// The lowest number above this one that can be read.
    pub(crate) fn next_readable(&self, lane: u16, after: u64) -> Option<u64> {
        self.segments.values().find_map(|segment| segment.next_readable(lane, after))
    }

    /// Everything below this number is gone. What is committed and still there is not: a database that was set back has yet to get it again,
    /// also where the watermark that is believed here does not know of it.
    pub(crate) fn base(&self, lane: u16) -> u64 {
        let head = self.lanes.get(&lane).map_or(0, |lane| lane.head);
        self.next_readable(lane, 0).unwrap_or(head + 1)
    }

    /// Numbers right above the watermark that nobody can be made to wait for, because their records are damaged. What lies below may still be
    /// needed, so it is no base.
    pub(crate) fn gap(&self, lane: u16) -> Option<RangeInclusive<u64>> {
        let watermark = self.watermark(lane);
        let last = match self.next_readable(lane, watermark) {
            Some(next) => next - 1,
            None => self.lanes.get(&lane).map_or(0, |lane| lane.head),
        };
        (last > watermark).then_some(watermark + 1..=last)
    }

    /// Believes a watermark, also a lower one than before.
    pub(crate) fn acknowledge(&mut self, lane: u16, watermark: u64) {
        let state = self.lanes.entry(lane).or_default();
        state.heard_at = Some(Instant::now());
        if state.acked == Some(watermark) {
            return;
        }
        state.acked = Some(watermark);
        state.unacked_bytes = self.segments.values().map(|segment| segment.unacked_bytes(lane, watermark)).sum();
        let lanes = &self.lanes;
        for segment in self.segments.values_mut().filter(|segment| segment.extent(lane).is_some()) {
            segment.refresh_acked(|lane| lanes.get(&lane).and_then(|lane| lane.acked).unwrap_or(0));
        }
        self.settle(lane);
    }

    /// Whether everything in a segment was acknowledged and, so much later, still is: as long as nobody is heard, a database that was set
    /// back cannot say so.
    pub(crate) fn is_confirmed(&self, segment: &Segment, keep: Duration) -> bool {
        let Some(acked_since) = segment.acked_since.filter(|since| since.elapsed() >= keep) else { return false };
        segment.extents.iter().all(|extent| {
            let heard_at = self.lanes.get(&extent.lane).and_then(|lane| lane.heard_at);
            heard_at.is_some_and(|heard_at| heard_at.duration_since(acked_since) >= keep)
        })
    }

    /// When nothing above the watermark can be read any more, nothing is left to wait for.
    pub(crate) fn settle(&mut self, lane: u16) {
        let next = self.next_readable(lane, self.watermark(lane));
        if let Some(state) = self.lanes.get_mut(&lane) {
            if next.is_none() {
                state.unacked_bytes = 0;
            }
            if state.oldest.is_some_and(|(seq, _)| Some(seq) != next) {
                state.oldest = None;
            }
        }
    }

    /// Takes a record that has become durable into the newest segment.
    pub(crate) fn push(&mut self, segment: u64, lane: u16, place: Place) {
        let state = self.lanes.entry(lane).or_default();
        state.head = place.seq;
        state.unacked_bytes += u64::from(place.bytes);
        if let Some(segment) = self.segments.get_mut(&segment) {
            segment.push(lane, place);
            segment.acked_since = None;
        }
    }

    /// Forgets a damaged record; tells whether it was known.
    pub(crate) fn remove(&mut self, segment: u64, lane: u16, seq: u64) -> bool {
        let Some(Segment { index: Index::Memory(index), .. }) = self.segments.get_mut(&segment) else { return false };
        let is_removed = index.remove(lane, seq);
        self.refresh_acked(segment);
        self.settle(lane);
        is_removed
    }

    /// Looks anew whether everything in a segment was acknowledged.
    pub(crate) fn refresh_acked(&mut self, segment: u64) {
        let lanes = &self.lanes;
        if let Some(segment) = self.segments.get_mut(&segment) {
            segment.refresh_acked(|lane| lanes.get(&lane).and_then(|lane| lane.acked).unwrap_or(0));
        }
    }
}

impl Segment {
    /// Notes whether everything that can be read lies below the watermarks, and since when.
    pub(crate) fn refresh_acked(&mut self, watermark: impl Fn(u16) -> u64) {
        let is_acked =
            self.extents.iter().all(|extent| self.next_readable(extent.lane, watermark(extent.lane)).is_none());
        match (is_acked, self.acked_since) {
            (true, None) => self.acked_since = Some(Instant::now()),
            (false, Some(_)) => self.acked_since = None,
            _ => {}
        }
    }
}
