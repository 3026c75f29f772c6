//! Looking at a journal directory from outside, also while a gateway writes to it. Changes nothing, needs no lock.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use crate::footer;
use crate::scan::scan;
use crate::segment::{Index, Segment, parse_file_name};

/// One segment file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentListing {
    /// The journal that it belongs to.
    pub journal: Uuid,
    /// Its number in this journal, from 1.
    pub number: u64,
    /// Where it is.
    pub path: PathBuf,
    /// Its size.
    pub disk_bytes: u64,
    /// Whether it was finished: if not it is being written, or its process died.
    pub is_sealed: bool,
    /// What it has, lane by lane.
    pub lanes: Vec<LaneListing>,
}

/// What a segment has of one lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneListing {
    /// The lane.
    pub lane: u16,
    /// The number of its first record here.
    pub first_seq: u64,
    /// The number of its last record here.
    pub last_seq: u64,
    /// Bytes of its records here.
    pub bytes: u64,
}

/// What reading a segment from its first byte to its last has shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The journal that it belongs to.
    pub journal: Uuid,
    /// Where it is.
    pub path: PathBuf,
    /// Sound records.
    pub records: u64,
    /// Damaged stretches between sound records.
    pub corrupt: u64,
    /// Records that the footer names and that are not there.
    pub missing: u64,
    /// Records of an append that never was finished, and never acknowledged.
    pub unfinished: u64,
}

impl Verdict {
    /// Whether everything that was ever acknowledged is there, as far as the file can tell.
    pub fn is_sound(&self) -> bool {
        self.corrupt == 0 && self.missing == 0
    }
}

/// The segments of a directory, by journal and number. Reads footers, and whole files that have none.
pub fn list(dir: &Path) -> io::Result<Vec<SegmentListing>> {
    let mut listings = Vec::new();
    for (journal, number, path) in segment_files(dir)? {
        let Some((segment, _)) = unless_gone(Segment::load(&path, journal))? else { continue };
        let lanes = segment.extents.iter().map(|extent| LaneListing {
            lane: extent.lane,
            first_seq: extent.first_seq,
            last_seq: extent.last_seq,
            bytes: extent.bytes,
        });
        listings.push(SegmentListing {
            journal,
            number,
            disk_bytes: segment.disk_bytes,
            is_sealed: matches!(segment.index, Index::Footer),
            lanes: lanes.collect(),
            path,
        });
    }
    Ok(listings)
}

/// Reads every byte of a directory's segments.
pub fn verify(dir: &Path) -> io::Result<Vec<Verdict>> {
    let mut verdicts = Vec::new();
    for (journal, _, path) in segment_files(dir)? {
        let Some(file) = unless_gone(File::open(&path))? else { continue };
        let found = scan(&file, journal)?;
        let records = found.index.records() as u64;
        let named = footer::read(&file)?
            .map_or(records, |footer| footer.extents.iter().map(|extent| extent.last_seq - extent.first_seq + 1).sum());
        verdicts.push(Verdict {
            journal,
            path,
            records,
            corrupt: found.corrupt,
            missing: named.saturating_sub(records),
            unfinished: found.unfinished,
        });
    }
    Ok(verdicts)
}

fn segment_files(dir: &Path) -> io::Result<Vec<(Uuid, u64, PathBuf)>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        if let Some((journal, number)) = entry.file_name().to_str().and_then(parse_file_name) {
            files.push((journal, number, entry.path()));
        }
    }
    files.sort();
    Ok(files)
}

/// A gateway may delete a segment while we look.
fn unless_gone<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        other => other.map(Some),
    }
}
