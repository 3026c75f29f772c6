//! Where the records of a segment are.

use std::collections::{BTreeMap, HashMap};

/// Where one record is in its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) seq: u64,
    /// The record's first byte.
    pub(crate) offset: u32,
    /// The record's length.
    pub(crate) bytes: u32,
    pub(crate) project_id: u64,
}

/// What a segment has of one lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) lane: u16,
    pub(crate) first_seq: u64,
    pub(crate) last_seq: u64,
    /// Bytes of the records.
    pub(crate) bytes: u64,
    /// Where the footer lists the places, in the file. Without meaning for an index in memory.
    pub(crate) places_at: u64,
}

/// What a project has of one lane in a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Share {
    pub(crate) lane: u16,
    pub(crate) project_id: u64,
    pub(crate) bytes: u64,
}

/// The places of a segment that is being written, or whose footer cannot be used.
#[derive(Clone, Debug, Default)]
pub(crate) struct MemoryIndex {
    places: BTreeMap<u16, Vec<Place>>,
    shares: HashMap<(u16, u64), u64>,
    records: usize,
}

impl MemoryIndex {
    pub(crate) fn push(&mut self, lane: u16, place: Place) {
        self.places.entry(lane).or_default().push(place);
        *self.shares.entry((lane, place.project_id)).or_default() += u64::from(place.bytes);
        self.records += 1;
    }

    /// Takes back the last record of a lane.
    pub(crate) fn pop(&mut self, lane: u16) {
        if let Some(place) = self.places.get_mut(&lane).and_then(Vec::pop) {
            self.forget(lane, place);
        }
    }

    /// Takes out a record that turned out to be damaged; tells whether it was there.
    pub(crate) fn remove(&mut self, lane: u16, seq: u64) -> bool {
        let Some(places) = self.places.get_mut(&lane) else { return false };
        let Ok(at) = places.binary_search_by_key(&seq, |place| place.seq) else { return false };
        let place = places.remove(at);
        self.forget(lane, place);
        true
    }

    fn forget(&mut self, lane: u16, place: Place) {
        if let Some(bytes) = self.shares.get_mut(&(lane, place.project_id)) {
            *bytes = bytes.saturating_sub(u64::from(place.bytes));
        }
        self.records -= 1;
    }

    pub(crate) fn records(&self) -> usize {
        self.records
    }

    /// The places of a lane, by number.
    pub(crate) fn places(&self, lane: u16) -> &[Place] {
        self.places.get(&lane).map_or(&[], Vec::as_slice)
    }

    /// The places of a lane after a number.
    pub(crate) fn after(&self, lane: u16, seq: u64) -> &[Place] {
        let places = self.places(lane);
        &places[places.partition_point(|place| place.seq <= seq)..]
    }

    pub(crate) fn last_seq(&self, lane: u16) -> Option<u64> {
        self.places(lane).last().map(|place| place.seq)
    }

    /// What there is of each lane, by lane.
    pub(crate) fn extents(&self) -> Vec<Extent> {
        self.places
            .iter()
            .filter_map(|(lane, places)| {
                Some(Extent {
                    lane: *lane,
                    first_seq: places.first()?.seq,
                    last_seq: places.last()?.seq,
                    bytes: places.iter().map(|place| u64::from(place.bytes)).sum(),
                    places_at: 0,
                })
            })
            .collect()
    }

    /// The projects that have at least `bytes_min` of a lane.
    ///
    /// The others are left out, so that the sum over a long backlog stays cheap: who has a
    /// quarter of the journal has far more than this of many segments.
    pub(crate) fn shares(&self, bytes_min: u64) -> Vec<Share> {
        self.shares
            .iter()
            .filter(|(_, bytes)| **bytes > 0 && **bytes >= bytes_min)
            .map(|(&(lane, project_id), &bytes)| Share { lane, project_id, bytes })
            .collect()
    }
}
