//! As much of ZIP as bundles use: one archive, stored or deflated files, no encryption, no ZIP64.
//!
//! The directory at the archive's end is what counts (PKWARE's APPNOTE, 4.3 and 4.4). It is read whole and must fit its limits, so that a
//! hostile one costs no more memory than a true one.

use std::collections::HashMap;
use std::io::{self, Read, Seek, SeekFrom, Take};

use flate2::Crc;
use flate2::read::DeflateDecoder;

use super::{BundleError, BundleLimits, refused};

/// Bytes of the record at the end, without its comment.
const END_BYTES: usize = 22;
const COMMENT_BYTES_MAX: usize = u16::MAX as usize;
const END: &[u8] = b"PK\x05\x06";
/// Bytes of an entry of the directory, and of the head of a file, both without their texts.
const ENTRY_BYTES: usize = 46;
const ENTRY: &[u8] = b"PK\x01\x02";
const HEAD_BYTES: usize = 30;
const HEAD: &[u8] = b"PK\x03\x04";
/// Most bytes of a directory, for each file that there may be: its entry and a long path.
const DIRECTORY_BYTES_OF_FILE: u64 = 512;

const STORED: u16 = 0;
const DEFLATED: u16 = 8;
/// The bit of an entry that is encrypted.
const ENCRYPTED: u16 = 1;

/// What is in an archive.
#[derive(Debug)]
pub(super) struct Archive {
    entries: HashMap<String, Entry>,
}

/// Where a file lies.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    /// Of its head, from the source's beginning.
    pub(super) offset: u64,
    /// Unpacked.
    pub(super) bytes: u64,
    packed_bytes: u64,
    is_deflated: bool,
    crc: u32,
}

impl Archive {
    pub(super) fn open(source: &mut (impl Read + Seek), limits: BundleLimits) -> Result<Archive, BundleError> {
        let source_bytes = source.seek(SeekFrom::End(0))?;
        let tail_bytes = source_bytes.min((END_BYTES + COMMENT_BYTES_MAX) as u64);
        let mut tail = vec![0; usize::try_from(tail_bytes).unwrap_or_default()];
        source.seek(SeekFrom::Start(source_bytes - tail_bytes))?;
        source.read_exact(&mut tail)?;
        let Some((at, end)) = last_end(&tail) else {
            return refused("the bundle is not a ZIP archive, or is cut off");
        };
        let count = usize::from(u16_at(end, 10));
        let (directory_bytes, directory_offset) = (u64::from(u32_at(end, 12)), u64::from(u32_at(end, 16)));
        if count > limits.files_max {
            return refused(format!("the bundle has {count} files: at most {} are taken", limits.files_max));
        }
        if directory_bytes > (count as u64).saturating_mul(DIRECTORY_BYTES_OF_FILE) {
            return refused("the directory of the bundle is too long for its number of files");
        }
        // Offsets count from the archive's beginning, which need not be the source's.
        let end_offset = source_bytes - tail_bytes + at as u64;
        let Some(begin) = end_offset.checked_sub(directory_bytes + directory_offset) else {
            return refused("the bundle is not a ZIP archive: its directory does not fit into it");
        };
        let mut directory = vec![0; usize::try_from(directory_bytes).unwrap_or_default()];
        source.seek(SeekFrom::Start(begin + directory_offset))?;
        source.read_exact(&mut directory)?;
        let archive = Archive { entries: entries_of(&directory, count, begin, limits)? };
        let in_all: u64 = archive.entries.values().map(|entry| entry.bytes).sum();
        if in_all > limits.bytes_max {
            return refused(format!("the bundle has more than {} bytes, unpacked", limits.bytes_max));
        }
        Ok(archive)
    }

    pub(super) fn entry(&self, path: &str) -> Option<&Entry> {
        self.entries.get(path)
    }
}

/// The last record of an end whose comment ends where the source does.
fn last_end(tail: &[u8]) -> Option<(usize, &[u8])> {
    let last = tail.len().checked_sub(END_BYTES)?;
    (0..=last)
        .rev()
        .map(|at| (at, &tail[at..]))
        .find(|(_, end)| end.starts_with(END) && END_BYTES + usize::from(u16_at(end, 20)) == end.len())
}

fn entries_of(
    mut directory: &[u8],
    count: usize,
    begin: u64,
    limits: BundleLimits,
) -> Result<HashMap<String, Entry>, BundleError> {
    let mut entries = HashMap::with_capacity(count);
    for _ in 0..count {
        if directory.len() < ENTRY_BYTES || !directory.starts_with(ENTRY) {
            return refused("the directory of the bundle is damaged");
        }
        let lengths = [28, 30, 32].map(|at| usize::from(u16_at(directory, at)));
        let entry_bytes = ENTRY_BYTES + lengths.iter().sum::<usize>();
        let Some(path) =
            directory.get(ENTRY_BYTES..ENTRY_BYTES + lengths[0]).filter(|_| entry_bytes <= directory.len())
        else {
            return refused("the directory of the bundle is damaged");
        };
        let path = String::from_utf8_lossy(path).into_owned();
        let method = u16_at(directory, 10);
        if u16_at(directory, 8) & ENCRYPTED != 0 || !matches!(method, STORED | DEFLATED) {
            return refused(format!("{path:?} is packed in a way that is not understood: deflate is"));
        }
        let entry = Entry {
            offset: begin + u64::from(u32_at(directory, 42)),
            bytes: u64::from(u32_at(directory, 24)),
            packed_bytes: u64::from(u32_at(directory, 20)),
            is_deflated: method == DEFLATED,
            crc: u32_at(directory, 16),
        };
        if entry.bytes > limits.file_bytes_max {
            return refused(format!("{path:?} is longer than {} bytes", limits.file_bytes_max));
        }
        entries.insert(path, entry);
        directory = &directory[entry_bytes..];
    }
    Ok(entries)
}

impl Entry {
    /// Reads it unpacked.
    pub(super) fn open<'a, R: Read + Seek>(&self, source: &'a mut R) -> Result<impl Read + use<'a, R>, BundleError> {
        let mut head = [0; HEAD_BYTES];
        source.seek(SeekFrom::Start(self.offset))?;
        source.read_exact(&mut head)?;
        if !head.starts_with(HEAD) {
            return refused("the bundle is damaged: a file does not lie where its directory says");
        }
        let texts = i64::from(u16_at(&head, 26)) + i64::from(u16_at(&head, 28));
        source.seek(SeekFrom::Current(texts))?;
        let packed = source.take(self.packed_bytes);
        let unpacked =
            if self.is_deflated { Unpacked::Deflated(DeflateDecoder::new(packed)) } else { Unpacked::Stored(packed) };
        Ok(Checked { unpacked, left: self.bytes, sum: Crc::new(), crc: self.crc })
    }
}

enum Unpacked<R: Read> {
    Stored(Take<R>),
    Deflated(DeflateDecoder<Take<R>>),
}

impl<R: Read> Read for Unpacked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Stored(source) => source.read(buffer),
            Self::Deflated(source) => source.read(buffer),
        }
    }
}

/// Fails where there is more or less than was announced, or something else.
struct Checked<R: Read> {
    unpacked: Unpacked<R>,
    left: u64,
    sum: Crc,
    crc: u32,
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let damaged = |told| Err(io::Error::new(io::ErrorKind::InvalidData, told));
        if buffer.is_empty() {
            return Ok(0);
        }
        // One byte beyond the end tells whether there is more.
        let mut beyond = [0];
        let room = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let wanted = if room == 0 { &mut beyond[..] } else { &mut buffer[..room] };
        let count = self.unpacked.read(wanted)?;
        if room == 0 {
            return match (count, self.sum.sum() == self.crc) {
                (0, true) => Ok(0),
                (0, false) => damaged("a file of the bundle is not what its sum says"),
                _ => damaged("a file of the bundle is longer than it says"),
            };
        }
        if count == 0 {
            return damaged("a file of the bundle is shorter than it says");
        }
        self.sum.update(&wanted[..count]);
        self.left -= count as u64;
        Ok(count)
    }
}

/// Callers have looked at the length.
fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}
