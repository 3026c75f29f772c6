//! Reading a segment from its first byte to its last, because it has no footer that could be believed.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use uuid::Uuid;

use crate::frame::{FRAME_AND_HEAD_BYTES, FRAME_BYTES, Mark};
use crate::header::Header;
use crate::index::{MemoryIndex, Place};
use crate::options::LANES_MAX;
use crate::record::{Record, RecordHead};

const CHUNK_BYTES: usize = 256 * 1024;

/// What a file is full of where nothing was written yet.
static ZEROS: [u8; CHUNK_BYTES] = [0; CHUNK_BYTES];

/// What was found in a segment.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    pub(crate) index: MemoryIndex,
    /// Damaged stretches with sound records behind them.
    pub(crate) corrupt: u64,
    /// Records of an append that was not finished when the process died; they are not in the index.
    pub(crate) unfinished: u64,
    /// Whether the file has nothing but its header.
    pub(crate) is_blank: bool,
}

/// Reads a whole segment of this journal.
///
/// A torn tail was never acknowledged and is ignored. After damage in the middle reading goes on with the next sound record.
pub(crate) fn scan(file: &File, journal: Uuid) -> io::Result<Scan> {
    let mark = Mark::of(journal);
    let file_bytes = file.metadata()?.len();
    let mut scan = Scan { is_blank: true, ..Scan::default() };
    let mut at = data_start(file, file_bytes)?;
    let mut body = Vec::new();
    // Lanes of the records since the last finished append.
    let mut unfinished = Vec::new();
    while let Some(next) = find_mark(file, mark, at, file_bytes, &mut scan.is_blank)? {
        let Some((record, lane, place, following)) = record_at(file, mark, next, file_bytes, &mut body)? else {
            // A mark without a sound record: look on right behind it. What stands here counts as damage only if something sound follows.
            match find_sound(file, mark, next + 1, file_bytes, &mut body)? {
                Some(sound) => {
                    scan.corrupt += 1;
                    at = sound;
                    continue;
                }
                None => break,
            }
        };
        if next != at {
            scan.corrupt += 1;
        }
        if scan.index.last_seq(lane).is_none_or(|last| last < place.seq) {
            scan.index.push(lane, place);
            unfinished.push(lane);
            if following == 0 {
                unfinished.clear();
            }
        }
        at = next + (FRAME_BYTES + record) as u64;
    }
    for lane in unfinished.iter().rev() {
        scan.index.pop(*lane);
    }
    scan.unfinished = unfinished.len() as u64;
    Ok(scan)
}

/// Where the records begin; 0 when the header is damaged.
fn data_start(file: &File, file_bytes: u64) -> io::Result<u64> {
    let header_max = Header::bytes(usize::from(LANES_MAX)) as u64;
    let mut bytes = vec![0; usize::try_from(file_bytes.min(header_max)).unwrap_or(0)];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(Header::decode(&bytes).map_or(0, |header| Header::bytes(header.next_seq.len()) as u64))
}

/// The next mark from `at` on.
fn find_mark(file: &File, mark: Mark, mut at: u64, file_bytes: u64, is_blank: &mut bool) -> io::Result<Option<u64>> {
    // Nearly always it is right here.
    let mut first = [0; FRAME_BYTES];
    let mut chunk = Vec::new();
    while at + FRAME_BYTES as u64 <= file_bytes {
        if chunk.is_empty() {
            file.read_exact_at(&mut first, at)?;
            if mark.find(&first) == Some(0) {
                *is_blank = false;
                return Ok(Some(at));
            }
            chunk.resize(CHUNK_BYTES, 0);
        }
        let bytes = usize::try_from(file_bytes - at).unwrap_or(CHUNK_BYTES).min(CHUNK_BYTES);
        file.read_exact_at(&mut chunk[..bytes], at)?;
        if chunk[..bytes] != ZEROS[..bytes] {
            *is_blank = false;
            if let Some(found) = mark.find(&chunk[..bytes]) {
                return Ok(Some(at + found as u64));
            }
        }
        // A mark may lie across the border of two chunks.
        at += (bytes.saturating_sub(FRAME_BYTES - 1)).max(1) as u64;
    }
    Ok(None)
}

/// The next place from `at` on where a sound record stands.
fn find_sound(file: &File, mark: Mark, mut at: u64, file_bytes: u64, body: &mut Vec<u8>) -> io::Result<Option<u64>> {
    let mut is_blank = true;
    while let Some(next) = find_mark(file, mark, at, file_bytes, &mut is_blank)? {
        if record_at(file, mark, next, file_bytes, body)?.is_some() {
            return Ok(Some(next));
        }
        at = next + 1;
    }
    Ok(None)
}

/// The record whose frame begins here, if it is sound: its length, lane, place, and how many of its append follow.
fn record_at(
    file: &File,
    mark: Mark,
    at: u64,
    file_bytes: u64,
    body: &mut Vec<u8>,
) -> io::Result<Option<(usize, u16, Place, u32)>> {
    let mut front = [0; FRAME_AND_HEAD_BYTES];
    if at + front.len() as u64 > file_bytes {
        return Ok(None);
    }
    file.read_exact_at(&mut front, at)?;
    let Some(following) = mark.decode_frame(&front) else { return Ok(None) };
    let Ok(head) = RecordHead::decode(&front[FRAME_BYTES..]) else { return Ok(None) };
    let record_at = at + FRAME_BYTES as u64;
    if record_at + head.record_bytes as u64 > file_bytes || head.lane >= LANES_MAX {
        return Ok(None);
    }
    body.resize(head.record_bytes, 0);
    file.read_exact_at(body, record_at)?;
    if Record::check(body).is_err() {
        return Ok(None);
    }
    let (Ok(offset), Ok(bytes)) = (u32::try_from(record_at), u32::try_from(head.record_bytes)) else { return Ok(None) };
    let place = Place { seq: head.seq, offset, bytes, project_id: head.project_id };
    Ok(Some((head.record_bytes, head.lane, place, following)))
}
