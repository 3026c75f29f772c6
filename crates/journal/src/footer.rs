//! The end of a sealed segment file: what it holds, and where.
//!
//! `tables | places of each lane | trailer`. The tables are read when a journal is opened; the
//! places only when the lane is read, as many as are wanted.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use crate::index::{Extent, MemoryIndex, Place, Share};
use crate::options::LANES_MAX;
use crate::record::array;
use crate::sum::{holds, sum};

const MAGIC: &[u8; 8] = b"CROAKF\r\n";
const EXTENT_BYTES: usize = 34;
const SHARE_BYTES: usize = 18;
const TRAILER_BYTES: usize = 28;

/// Bytes of one record's place.
pub(crate) const PLACE_BYTES: usize = 16;

/// A footer as it was read: all but the places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Footer {
    pub(crate) extents: Vec<Extent>,
    pub(crate) shares: Vec<Share>,
}

/// An upper bound for the footer of a segment with so many records.
pub(crate) fn bytes_max(records: usize, lane_count: usize, shares: usize) -> usize {
    8 + EXTENT_BYTES * lane_count.min(records) + SHARE_BYTES * shares + PLACE_BYTES * records + TRAILER_BYTES
}

/// The footer to be written at `at`, and the extents that it describes.
///
/// The numbers of a lane follow each other without a gap, because the writer gave them out.
pub(crate) fn encode(index: &MemoryIndex, shares: &[Share], at: u64) -> (Vec<u8>, Vec<Extent>) {
    let mut extents = index.extents();
    let tables_bytes = 8 + EXTENT_BYTES * extents.len() + SHARE_BYTES * shares.len();
    let mut places_at = at + tables_bytes as u64;
    let mut out = Vec::with_capacity(tables_bytes + PLACE_BYTES * index.records() + TRAILER_BYTES);
    out.extend_from_slice(&count(extents.len()));
    out.extend_from_slice(&count(shares.len()));
    for extent in &mut extents {
        extent.places_at = places_at;
        places_at += (PLACE_BYTES * index.places(extent.lane).len()) as u64;
        out.extend_from_slice(&extent.lane.to_le_bytes());
        out.extend_from_slice(&extent.first_seq.to_le_bytes());
        out.extend_from_slice(&extent.last_seq.to_le_bytes());
        out.extend_from_slice(&extent.bytes.to_le_bytes());
        out.extend_from_slice(&extent.places_at.to_le_bytes());
    }
    for share in shares {
        out.extend_from_slice(&share.lane.to_le_bytes());
        out.extend_from_slice(&share.project_id.to_le_bytes());
        out.extend_from_slice(&share.bytes.to_le_bytes());
    }
    let tables_crc = sum(&out);
    for extent in &extents {
        for place in index.places(extent.lane) {
            out.extend_from_slice(&place.offset.to_le_bytes());
            out.extend_from_slice(&place.bytes.to_le_bytes());
            out.extend_from_slice(&place.project_id.to_le_bytes());
        }
    }
    out.extend_from_slice(&at.to_le_bytes());
    out.extend_from_slice(&count(tables_bytes));
    out.extend_from_slice(&tables_crc.to_le_bytes());
    out.extend_from_slice(&sum(&out[out.len() - 16..]).to_le_bytes());
    out.extend_from_slice(MAGIC);
    (out, extents)
}

fn count(count: usize) -> [u8; 4] {
    u32::try_from(count).expect("a segment is smaller than 4 GiB").to_le_bytes()
}

/// Reads the footer; `None` if there is none or it is damaged.
pub(crate) fn read(file: &File) -> io::Result<Option<Footer>> {
    let file_bytes = file.metadata()?.len();
    let Some(trailer_at) = file_bytes.checked_sub(TRAILER_BYTES as u64) else { return Ok(None) };
    let mut trailer = [0; TRAILER_BYTES];
    file.read_exact_at(&mut trailer, trailer_at)?;
    if trailer[20..] != *MAGIC || !holds(&trailer[..16], u32::from_le_bytes(array(&trailer, 16))) {
        return Ok(None);
    }
    let at = u64::from_le_bytes(array(&trailer, 0));
    let tables_bytes = u32::from_le_bytes(array(&trailer, 8));
    if at.checked_add(u64::from(tables_bytes)).is_none_or(|end| end > trailer_at) {
        return Ok(None);
    }
    let mut tables = vec![0; tables_bytes as usize];
    file.read_exact_at(&mut tables, at)?;
    if !holds(&tables, u32::from_le_bytes(array(&trailer, 12))) {
        return Ok(None);
    }
    Ok(decode_tables(&tables).filter(|footer| footer.extents.iter().all(|extent| is_within(extent, trailer_at))))
}

/// Whether an extent is one that was written: numbers that count up from 1, and their places before the trailer.
fn is_within(extent: &Extent, trailer_at: u64) -> bool {
    let places_end = extent
        .last_seq
        .checked_sub(extent.first_seq)
        .and_then(|more| more.checked_add(1))
        .and_then(|count| count.checked_mul(PLACE_BYTES as u64))
        .and_then(|bytes| bytes.checked_add(extent.places_at));
    extent.lane < LANES_MAX && extent.first_seq > 0 && places_end.is_some_and(|end| end <= trailer_at)
}

fn decode_tables(tables: &[u8]) -> Option<Footer> {
    let extents_end = 8 + EXTENT_BYTES * u32::from_le_bytes(array(tables.get(..8)?, 0)) as usize;
    let extents = tables.get(8..extents_end)?.chunks_exact(EXTENT_BYTES).map(|bytes| Extent {
        lane: u16::from_le_bytes(array(bytes, 0)),
        first_seq: u64::from_le_bytes(array(bytes, 2)),
        last_seq: u64::from_le_bytes(array(bytes, 10)),
        bytes: u64::from_le_bytes(array(bytes, 18)),
        places_at: u64::from_le_bytes(array(bytes, 26)),
    });
    let shares = tables[extents_end..].chunks_exact(SHARE_BYTES).map(|bytes| Share {
        lane: u16::from_le_bytes(array(bytes, 0)),
        project_id: u64::from_le_bytes(array(bytes, 2)),
        bytes: u64::from_le_bytes(array(bytes, 10)),
    });
    Some(Footer { extents: extents.collect(), shares: shares.collect() })
}

/// Reads `count` places of a lane, from the record numbered `from`.
pub(crate) fn read_places(file: &File, extent: &Extent, from: u64, count: usize) -> io::Result<Vec<Place>> {
    let mut bytes = vec![0; count * PLACE_BYTES];
    file.read_exact_at(&mut bytes, extent.places_at + (from - extent.first_seq) * PLACE_BYTES as u64)?;
    Ok((from..)
        .zip(bytes.chunks_exact(PLACE_BYTES))
        .map(|(seq, bytes)| Place {
            seq,
            offset: u32::from_le_bytes(array(bytes, 0)),
            bytes: u32::from_le_bytes(array(bytes, 4)),
            project_id: u64::from_le_bytes(array(bytes, 8)),
        })
        .collect())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use proptest::prelude::*;

    use super::*;

    fn index(records: &[(u16, u32, u64)]) -> MemoryIndex {
        let mut index = MemoryIndex::default();
        let mut offset = 4096;
        for &(lane, bytes, project_id) in records {
            let seq = index.last_seq(lane).unwrap_or(u64::from(lane) * 100) + 1;
            index.push(lane, Place { seq, offset, bytes, project_id });
            offset += bytes;
        }
        index
    }

    proptest! {
        #[test]
        fn a_footer_reads_back_as_it_was_written(records in proptest::collection::vec((0u16..6, 71u32..5000, 1u64..4), 1..200), at in 0u64..10_000) {
            let index = index(&records);
            let shares = index.shares(1000);
            let (bytes, extents) = encode(&index, &shares, at);
            prop_assert!(bytes.len() <= bytes_max(records.len(), 6, shares.len()));

            let file = tempfile::tempfile().unwrap();
            file.write_all_at(&bytes, at).unwrap();
            let footer = read(&file).unwrap().expect("it was just written");
            prop_assert_eq!(&footer.extents, &extents);
            prop_assert_eq!(&footer.shares, &shares);
            for extent in &footer.extents {
                let all = index.places(extent.lane);
                prop_assert_eq!(read_places(&file, extent, extent.first_seq, all.len()).unwrap(), all);
                let last = read_places(&file, extent, extent.last_seq, 1).unwrap();
                prop_assert_eq!(last, &all[all.len() - 1..]);
            }
        }

        #[test]
        fn a_damaged_table_is_not_believed(at in 0usize..50, by in 1u8..) {
            let index = index(&[(1, 100, 1), (2, 200, 1)]);
            let (mut bytes, _) = encode(&index, &[], 0);
            bytes[at] ^= by;
            let file = tempfile::tempfile().unwrap();
            file.write_all_at(&bytes, 0).unwrap();
            prop_assert_eq!(read(&file).unwrap(), None);
        }
    }
}
