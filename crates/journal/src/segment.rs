//! One segment file, as far as it has to be known in memory.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use uuid::Uuid;

use crate::footer;
use crate::index::{Extent, MemoryIndex, Place, Share};
use crate::scan::{Scan, scan};

/// One file of a journal.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) path: PathBuf,
    pub(crate) disk_bytes: u64,
    /// By lane.
    pub(crate) extents: Vec<Extent>,
    pub(crate) index: Index,
    /// Projects with a large part of it.
    pub(crate) shares: Vec<Share>,
    pub(crate) is_sealed: bool,
    /// Since when a watermark has covered every record.
    pub(crate) acked_since: Option<Instant>,
}

/// Where to look up places.
#[derive(Debug)]
pub(crate) enum Index {
    /// In memory: it is being written, or its footer cannot be used.
    Memory(MemoryIndex),
    /// In the file.
    Footer,
}

/// Places, or how to read them.
pub(crate) enum Located {
    Places(Vec<Place>),
    InFile { extent: Extent, from: u64, count: usize },
}

impl Located {
    /// The places; reads the footer if they are there.
    pub(crate) fn places(self, file: &File) -> io::Result<Vec<Place>> {
        match self {
            Located::Places(places) => Ok(places),
            Located::InFile { extent, from, count } => footer::read_places(file, &extent, from, count),
        }
    }
}

impl Segment {
    /// A file of an earlier process; with what a scan found, if one was needed.
    pub(crate) fn load(path: &Path, journal: Uuid) -> io::Result<(Segment, Option<Scan>)> {
        let file = File::open(path)?;
        let mut segment = Segment {
            path: path.to_owned(),
            disk_bytes: file.metadata()?.len(),
            extents: Vec::new(),
            index: Index::Footer,
            shares: Vec::new(),
            is_sealed: true,
            acked_since: None,
        };
        if let Some(footer) = footer::read(&file)? {
            segment.extents = footer.extents;
            segment.shares = footer.shares;
            return Ok((segment, None));
        }
        let mut found = scan(&file, journal)?;
        segment.extents = found.index.extents();
        segment.shares = found.index.shares(share_bytes_min(segment.disk_bytes));
        segment.index = Index::Memory(std::mem::take(&mut found.index));
        Ok((segment, Some(found)))
    }

    pub(crate) fn extent(&self, lane: u16) -> Option<&Extent> {
        let at = self.extents.binary_search_by_key(&lane, |extent| extent.lane).ok()?;
        Some(&self.extents[at])
    }

    /// The lowest number above this one that can be read.
    pub(crate) fn next_readable(&self, lane: u16, after: u64) -> Option<u64> {
        match &self.index {
            Index::Memory(index) => index.after(lane, after).first().map(|place| place.seq),
            Index::Footer => {
                let extent = self.extent(lane)?;
                (after < extent.last_seq).then(|| extent.first_seq.max(after.saturating_add(1)))
            }
        }
    }

    /// The places of up to `count` records after a number; `None` if there is none.
    pub(crate) fn locate(&self, lane: u16, after: u64, count: usize) -> Option<Located> {
        match &self.index {
            Index::Memory(index) => {
                let places = index.after(lane, after);
                (!places.is_empty()).then(|| Located::Places(places[..places.len().min(count)].to_vec()))
            }
            Index::Footer => {
                let extent = self.extent(lane)?;
                let from = self.next_readable(lane, after)?;
                let there = usize::try_from(extent.last_seq - from + 1).unwrap_or(usize::MAX);
                Some(Located::InFile { extent: extent.clone(), from, count: there.min(count) })
            }
        }
    }

    /// Bytes of a lane above a watermark: by the mean length of its records here.
    pub(crate) fn unacked_bytes(&self, lane: u16, watermark: u64) -> u64 {
        let Some(extent) = self.extent(lane) else { return 0 };
        extent.bytes_above(watermark)
    }

    /// Counts and remembers a record of a group that has become durable.
    pub(crate) fn push(&mut self, lane: u16, place: Place) {
        let bytes = u64::from(place.bytes);
        match self.extents.binary_search_by_key(&lane, |extent| extent.lane) {
            Ok(at) => {
                self.extents[at].last_seq = place.seq;
                self.extents[at].bytes += bytes;
            }
            Err(at) => {
                self.extents
                    .insert(at, Extent { lane, first_seq: place.seq, last_seq: place.seq, bytes, places_at: 0 });
            }
        }
        if let Index::Memory(index) = &mut self.index {
            index.push(lane, place);
        }
    }

    /// Bytes of each project above the watermarks.
    pub(crate) fn project_bytes(&self, mut watermark: impl FnMut(u16) -> u64, mut add: impl FnMut(u64, u64)) {
        let active;
        let shares = match &self.index {
            Index::Memory(index) if !self.is_sealed => {
                active = index.shares(share_bytes_min(self.disk_bytes));
                &active
            }
            _ => &self.shares,
        };
        for share in shares {
            let Some(extent) = self.extent(share.lane) else { continue };
            let above = u128::from(extent.bytes_above(watermark(share.lane)));
            let bytes = above * u128::from(share.bytes) / u128::from(extent.bytes.max(1));
            add(share.project_id, u64::try_from(bytes).unwrap_or(u64::MAX));
        }
    }
}

impl Extent {
    fn bytes_above(&self, watermark: u64) -> u64 {
        let numbers = u128::from(self.last_seq - self.first_seq + 1);
        let above = u128::from(self.last_seq.saturating_sub(watermark.max(self.first_seq - 1)));
        u64::try_from(u128::from(self.bytes) * above / numbers).unwrap_or(u64::MAX)
    }
}

/// How much of a segment a project must have to be listed.
pub(crate) fn share_bytes_min(segment_bytes: u64) -> u64 {
    segment_bytes / 1024
}

/// `<journal>.<n>`.
pub(crate) fn file_name(journal: Uuid, segment: u64) -> String {
    format!("{journal}.{segment:08}")
}

/// Which segment this file name belongs to, if any.
pub(crate) fn parse_file_name(name: &str) -> Option<(Uuid, u64)> {
    let (journal, segment) = name.split_once('.')?;
    let (journal, segment) = (journal.parse().ok()?, segment.parse().ok()?);
    (file_name(journal, segment) == name).then_some((journal, segment))
}
