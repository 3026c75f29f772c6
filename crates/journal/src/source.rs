//! Reading a journal back, lane by lane.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::ops::RangeInclusive;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use uuid::Uuid;

use crate::index::Place;
use crate::record::{RECORD_HEAD_BYTES, Record, RecordHead};
use crate::scan::scan;
use crate::segment::{Index, Located};
use crate::state::Shared;

/// One journal of the directory: this process's own, or one of an earlier process.
///
/// Reading goes to the files, so memory does not grow with what lies in them. The methods
/// that return `io::Result` block; call them where blocking is allowed. A damaged record is
/// left out, counted, and no reason to fail.
#[derive(Clone)]
pub struct Source {
    journal: Uuid,
    shared: Arc<Shared>,
}

/// Records that were asked for by number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Picked {
    /// Number and bytes of each record, in the order in which they were asked for.
    pub records: Vec<(u64, Vec<u8>)>,
    /// Numbers that did not fit into the limit. What is in neither list is gone or damaged.
    pub left: Vec<u64>,
}

/// A segment to read from.
struct OpenSegment {
    number: u64,
    path: PathBuf,
    file: File,
}

/// Where records are: by number, the segment (its position here) and the place in it.
struct Found {
    segments: Vec<OpenSegment>,
    places: HashMap<u64, (usize, Place)>,
}

impl Source {
    pub(crate) fn new(journal: Uuid, shared: Arc<Shared>) -> Source {
        Source { journal, shared }
    }

    /// The journal's id.
    pub fn journal(&self) -> Uuid {
        self.journal
    }

    /// The lanes that this journal ever had records in.
    pub fn lanes(&self) -> Vec<u16> {
        self.shared
            .state()
            .volumes
            .get(&self.journal)
            .map_or_else(Vec::new, |volume| volume.lanes.keys().copied().collect())
    }

    /// The lanes that this journal ever had records in, and the highest number of each.
    pub fn heads(&self) -> Vec<(u16, u64)> {
        let state = self.shared.state();
        state
            .volumes
            .get(&self.journal)
            .map_or_else(Vec::new, |volume| volume.lanes.iter().map(|(lane, state)| (*lane, state.head)).collect())
    }

    /// The highest number in this lane; 0 when there never was a record.
    pub fn head(&self, lane: u16) -> u64 {
        self.shared
            .state()
            .volumes
            .get(&self.journal)
            .and_then(|volume| volume.lanes.get(&lane))
            .map_or(0, |lane| lane.head)
    }

    /// The oldest number that is still on the disk: everything below it is gone.
    pub fn base(&self, lane: u16) -> u64 {
        self.shared.state().volumes.get(&self.journal).map_or(1, |volume| volume.base(lane))
    }

    /// Numbers right above the watermark whose records are damaged, if there are any: they will never be read.
    pub fn gap(&self, lane: u16) -> Option<RangeInclusive<u64>> {
        self.shared.state().volumes.get(&self.journal)?.gap(lane)
    }

    /// The watermark that was last given to [`crate::Journal::acknowledge`].
    pub fn acknowledged(&self, lane: u16) -> Option<u64> {
        self.shared.state().volumes.get(&self.journal)?.lanes.get(&lane)?.acked
    }

    /// When the oldest un-acknowledged record of this lane was accepted. Reads one record's head when it is not known yet.
    pub fn oldest_unacked_at_us(&self, lane: u16) -> Option<i64> {
        let seq = {
            let state = self.shared.state();
            let volume = state.volumes.get(&self.journal)?;
            let seq = volume.next_readable(lane, volume.watermark(lane))?;
            match volume.lanes.get(&lane)?.oldest {
                Some((known, at_us)) if known == seq => return Some(at_us),
                _ => seq,
            }
        };
        let (segment, places) = self.places(lane, seq - 1, 1).ok()??;
        let mut head = [0; RECORD_HEAD_BYTES];
        segment.file.read_exact_at(&mut head, u64::from(places.first()?.offset)).ok()?;
        let at_us = RecordHead::decode(&head).ok()?.accepted_at_us;
        let mut state = self.shared.state();
        let lane_state = state.volumes.get_mut(&self.journal)?.lanes.get_mut(&lane)?;
        lane_state.oldest = Some((seq, at_us));
        Some(at_us)
    }

    /// The records after a number, in order: as many as fit into both limits, at least one if there is one.
    pub fn read(
        &self,
        lane: u16,
        after_seq: u64,
        bytes_max: usize,
        records_max: usize,
    ) -> io::Result<Vec<(u64, Vec<u8>)>> {
        let mut records = Vec::new();
        let (mut after, mut bytes) = (after_seq, 0);
        while records.len() < records_max {
            let Some((segment, places)) = self.places(lane, after, records_max - records.len())? else { break };
            for place in places {
                if !records.is_empty() && bytes + place.bytes as usize > bytes_max {
                    return Ok(records);
                }
                match read_record(&segment.file, lane, place) {
                    Some(record) => {
                        bytes += record.len();
                        after = place.seq;
                        records.push((place.seq, record));
                    }
                    // Leads to this or a later record again, without what is damaged.
                    None => {
                        self.damaged(&segment, lane, place.seq)?;
                        break;
                    }
                }
            }
        }
        Ok(records)
    }

    /// Numbers and projects of the records after a number, without reading the records.
    pub fn projects(&self, lane: u16, after_seq: u64, records_max: usize) -> io::Result<Vec<(u64, u64)>> {
        let mut projects: Vec<(u64, u64)> = Vec::new();
        while projects.len() < records_max {
            let after = projects.last().map_or(after_seq, |(seq, _)| *seq);
            let count = records_max - projects.len();
            let places = match self.locate(lane, after, count) {
                None => break,
                // What was just appended needs no file.
                Some((_, _, Located::Places(places))) => places,
                Some((_, _, Located::InFile { .. })) => match self.places(lane, after, count)? {
                    Some((_, places)) => places,
                    None => break,
                },
            };
            projects.extend(places.iter().map(|place| (place.seq, place.project_id)));
        }
        Ok(projects)
    }

    /// The records with these numbers, up to a limit of bytes, at least one if there is one.
    pub fn read_these(&self, lane: u16, seqs: &[u64], bytes_max: usize) -> io::Result<Picked> {
        let Found { segments, places } = self.find(lane, seqs)?;
        let mut picked = Picked::default();
        let mut bytes = 0;
        for (at, seq) in seqs.iter().enumerate() {
            let Some((segment, place)) = places.get(seq) else { continue };
            if !picked.records.is_empty() && bytes + place.bytes as usize > bytes_max {
                picked.left = seqs[at..].to_vec();
                break;
            }
            let segment = &segments[*segment];
            let record = match read_record(&segment.file, lane, *place) {
                Some(record) => Some(record),
                None => self.read_repaired(segment, lane, *seq)?,
            };
            if let Some(record) = record {
                bytes += record.len();
                picked.records.push((*seq, record));
            }
        }
        Ok(picked)
    }

    /// Where the records with these numbers are.
    fn find(&self, lane: u16, seqs: &[u64]) -> io::Result<Found> {
        let mut sorted = seqs.to_vec();
        sorted.sort_unstable();
        let mut sorted = sorted.into_iter().peekable();
        let mut segments: Vec<OpenSegment> = Vec::new();
        let mut places_found = HashMap::new();
        while let Some(first) = sorted.next() {
            // Numbers that follow each other are looked up together.
            let mut last = first;
            while sorted.next_if(|next| *next <= last + 1).is_some_and(|next| {
                last = next;
                true
            }) {}
            let count = usize::try_from(last - first + 1).unwrap_or(usize::MAX);
            let mut after = first.saturating_sub(1);
            while after < last {
                let Some((segment, places)) = self.places(lane, after, count)? else { break };
                let at = match segments.iter().position(|known| known.number == segment.number) {
                    Some(at) => at,
                    None => {
                        segments.push(segment);
                        segments.len() - 1
                    }
                };
                let Some(furthest) = places.last() else { break };
                after = furthest.seq;
                places_found
                    .extend(places.into_iter().filter(|place| place.seq <= last).map(|place| (place.seq, (at, place))));
            }
        }
        Ok(Found { segments, places: places_found })
    }

    /// Places of records after a number, all in the first segment that has any.
    fn places(&self, lane: u16, after: u64, count: usize) -> io::Result<Option<(OpenSegment, Vec<Place>)>> {
        loop {
            let Some((number, path, located)) = self.locate(lane, after, count) else { return Ok(None) };
            let file = match File::open(&path) {
                Ok(file) => file,
                // Deleted since we looked.
                Err(error) if error.kind() == ErrorKind::NotFound && !self.has(number) => continue,
                Err(error) => return Err(error),
            };
            let segment = OpenSegment { number, path, file };
            match located.places(&segment.file) {
                Ok(places) => return Ok(Some((segment, places))),
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => self.reindex(&segment)?,
                Err(error) => return Err(error),
            }
        }
    }

    fn locate(&self, lane: u16, after: u64, count: usize) -> Option<(u64, PathBuf, Located)> {
        let state = self.shared.state();
        let volume = state.volumes.get(&self.journal)?;
        volume
            .segments
            .iter()
            .find_map(|(number, segment)| Some((*number, segment.path.clone(), segment.locate(lane, after, count)?)))
    }

    fn has(&self, number: u64) -> bool {
        self.shared.state().volumes.get(&self.journal).is_some_and(|volume| volume.segments.contains_key(&number))
    }

    /// A record that could not be read by its place: perhaps only the place was wrong.
    fn read_repaired(&self, segment: &OpenSegment, lane: u16, seq: u64) -> io::Result<Option<Vec<u8>>> {
        self.damaged(segment, lane, seq)?;
        let Some((segment, places)) = self.places(lane, seq - 1, 1)? else { return Ok(None) };
        Ok(places.first().filter(|place| place.seq == seq).and_then(|place| read_record(&segment.file, lane, *place)))
    }

    /// A record cannot be read: forgets it, or reads the whole segment anew when its footer may be to blame.
    fn damaged(&self, segment: &OpenSegment, lane: u16, seq: u64) -> io::Result<()> {
        let mut state = self.shared.state();
        let Some(volume) = state.volumes.get_mut(&self.journal) else { return Ok(()) };
        if matches!(volume.segments.get(&segment.number), Some(segment) if matches!(segment.index, Index::Footer)) {
            drop(state);
            return self.reindex(segment);
        }
        if volume.remove(segment.number, lane, seq) {
            tracing::error!(journal = %self.journal, lane, seq, path = %segment.path.display(), "journal record is damaged");
            state.corrupt_records += 1;
            self.shared.publish_unacked(&state);
        }
        Ok(())
    }

    /// Reads a sealed segment from its first byte to its last, and believes that instead of its footer.
    fn reindex(&self, segment: &OpenSegment) -> io::Result<()> {
        let found = scan(&segment.file, self.journal)?;
        tracing::error!(journal = %self.journal, path = %segment.path.display(), corrupt = found.corrupt, "journal segment is damaged");
        let mut state = self.shared.state();
        state.corrupt_records += found.corrupt.max(1);
        if let Some(volume) = state.volumes.get_mut(&self.journal) {
            let lanes: Vec<u16> = volume.lanes.keys().copied().collect();
            if let Some(known) = volume.segments.get_mut(&segment.number) {
                known.index = Index::Memory(found.index);
            }
            volume.refresh_acked(segment.number);
            lanes.into_iter().for_each(|lane| volume.settle(lane));
        }
        self.shared.publish_unacked(&state);
        Ok(())
    }
}

/// The record at a place, if it is sound and the one that is meant.
fn read_record(file: &File, lane: u16, place: Place) -> Option<Vec<u8>> {
    let mut bytes = vec![0; place.bytes as usize];
    file.read_exact_at(&mut bytes, u64::from(place.offset)).ok()?;
    let head = Record::check(&bytes).ok()?;
    (head.lane == lane && head.seq == place.seq).then_some(bytes)
}
