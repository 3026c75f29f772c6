//! Chunks: the bodies of many notices of one fingerprint, compressed together.
//!
//! Layout before compression: one version byte, then for each notice its id (16 bytes), accepted_at in
//! microseconds (i64, little endian), the length of its body (u32, little endian) and the body, an encoded
//! `Notice`. The whole is zstd. Duplicates are nearly equal, so each costs tens of bytes.

use std::cell::RefCell;

use notice::{Item, NoticeId};

/// Version of the layout, the first byte.
const VERSION: u8 = 1;

/// Compression: zstd without a dictionary.
pub const CODEC_ZSTD: i16 = 0;

const ZSTD_LEVEL: i32 = 3;

/// Most notices of a chunk.
pub const NOTICES_MAX: usize = 1_000;

/// A chunk is closed before it grows beyond this; one greater notice stands alone.
pub const RAW_BYTES_MAX: usize = 1 << 20;

/// Nothing that we wrote is greater: one body of 4 MiB and its headers.
const DECODED_BYTES_MAX: usize = (4 << 20) + RAW_BYTES_MAX;

const HEADER_BYTES: usize = 16 + 8 + 4;

/// The stretch of time (UTC) that a chunk stays within; divides the day, so that no chunk spans two.
///
/// Chunks of different batches overlap. Whoever looks for the notices around an id must look at every chunk that
/// could hold it, and this is how far away its last one can be.
pub const SPAN_MS: i64 = 10 * 60 * 1000;

/// A chunk ready to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// Smallest id.
    pub first_id: NoticeId,
    /// Greatest id.
    pub last_id: NoticeId,
    /// accepted_at of the newest.
    pub last_at_us: i64,
    /// How many notices are in it.
    pub notice_count: usize,
    /// Its size before compression.
    pub raw_bytes: usize,
    /// Compressed by [`CODEC_ZSTD`].
    pub body: Vec<u8>,
}

/// Why a chunk does not decode.
#[derive(Debug, thiserror::Error)]
pub enum ChunkError {
    /// Written by a newer Croak, or not by Croak.
    #[error("codec {0} is not known")]
    UnknownCodec(i16),
    /// Written by a newer Croak, or not by Croak.
    #[error("version {0} of the layout is not known")]
    UnknownVersion(u8),
    /// It does not decompress, or to more than a chunk can hold.
    #[error("it does not decompress")]
    Compression(#[source] std::io::Error),
    /// It ends inside a notice.
    #[error("it ends inside a notice")]
    Cut,
}

thread_local! {
    /// Made once per thread: its tables are megabytes, and most chunks are a few kilobytes.
    static COMPRESSOR: RefCell<zstd::bulk::Compressor<'static>> =
        RefCell::new(zstd::bulk::Compressor::new(ZSTD_LEVEL).expect("there is memory for a compressor"));
}

/// Packs notices, in the order in which they are given, into as many chunks as the limits ask for. Sorted by id they make the
/// fewest; nobody who reads a chunk relies on their order, but the list of what became visible on that it stays.
///
/// A chunk holds at most [`NOTICES_MAX`] notices, [`RAW_BYTES_MAX`] bytes and one [`SPAN_MS`] of accepted_at.
pub fn encode(items: &[Item]) -> Vec<Encoded> {
    let mut chunks = Vec::new();
    let mut start = 0;
    let mut raw_bytes = 1;
    for (index, item) in items.iter().enumerate() {
        let bytes = HEADER_BYTES + item.body.len();
        let is_full = index - start >= NOTICES_MAX || raw_bytes + bytes > RAW_BYTES_MAX;
        if index > start && (is_full || span(item) != span(&items[start])) {
            chunks.push(encode_one(&items[start..index], raw_bytes));
            start = index;
            raw_bytes = 1;
        }
        raw_bytes += bytes;
    }
    if start < items.len() {
        chunks.push(encode_one(&items[start..], raw_bytes));
    }
    chunks
}

fn encode_one(items: &[Item], raw_bytes: usize) -> Encoded {
    let mut raw = Vec::with_capacity(raw_bytes);
    raw.push(VERSION);
    for item in items {
        let length = u32::try_from(item.body.len()).expect("a record is at most 4 MiB");
        raw.extend_from_slice(item.id.as_bytes());
        raw.extend_from_slice(&item.accepted_at_us.to_le_bytes());
        raw.extend_from_slice(&length.to_le_bytes());
        raw.extend_from_slice(&item.body);
    }
    let body = COMPRESSOR
        .with_borrow_mut(|compressor| compressor.compress(&raw))
        .expect("compressing into memory cannot fail");
    let ids = || items.iter().map(|item| item.id);
    Encoded {
        first_id: ids().min().expect("a chunk is never empty"),
        last_id: ids().max().expect("a chunk is never empty"),
        last_at_us: items.iter().map(|item| item.accepted_at_us).max().expect("a chunk is never empty"),
        notice_count: items.len(),
        raw_bytes: raw.len(),
        body,
    }
}

/// Unpacks a chunk. Bounded: a chunk that claims to be greater than any that we write is an error.
pub fn decode(codec: i16, body: &[u8]) -> Result<Vec<Item>, ChunkError> {
    if codec != CODEC_ZSTD {
        return Err(ChunkError::UnknownCodec(codec));
    }
    let raw = zstd::bulk::decompress(body, DECODED_BYTES_MAX).map_err(ChunkError::Compression)?;
    let (version, mut rest) = raw.split_first().ok_or(ChunkError::Cut)?;
    if *version != VERSION {
        return Err(ChunkError::UnknownVersion(*version));
    }
    let mut items = Vec::new();
    while !rest.is_empty() {
        let id: [u8; 16] = *take(&mut rest)?;
        let accepted_at_us = i64::from_le_bytes(*take(&mut rest)?);
        let length = u32::from_le_bytes(*take(&mut rest)?) as usize;
        let (body, after) = rest.split_at_checked(length).ok_or(ChunkError::Cut)?;
        rest = after;
        items.push(Item { id: NoticeId::from_bytes(id), accepted_at_us, body: body.to_vec() });
    }
    Ok(items)
}

fn take<'a, const N: usize>(rest: &mut &'a [u8]) -> Result<&'a [u8; N], ChunkError> {
    let (head, after) = rest.split_first_chunk::<N>().ok_or(ChunkError::Cut)?;
    *rest = after;
    Ok(head)
}

fn span(item: &Item) -> i64 {
    item.accepted_at_us.div_euclid(SPAN_MS * 1000)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START_US: i64 = 1_790_000_000_000_000;

    fn item(n: u64, at_us: i64, body: Vec<u8>) -> Item {
        Item { id: NoticeId::new(at_us, 3, n), accepted_at_us: at_us, body }
    }

    fn all(chunks: &[Encoded]) -> Vec<Item> {
        chunks.iter().flat_map(|chunk| decode(CODEC_ZSTD, &chunk.body).expect("it decodes")).collect()
    }

    proptest! {
        #[test]
        fn every_notice_comes_back_as_it_was(bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 1..50)) {
            let items: Vec<Item> =
                bodies.into_iter().enumerate().map(|(n, body)| item(n as u64, START_US + n as i64, body)).collect();
            let chunks = encode(&items);
            prop_assert_eq!(all(&chunks), items);
        }

        #[test]
        fn damaged_bytes_never_do_more_than_fail(mut body in prop::collection::vec(any::<u8>(), 0..300), at in any::<prop::sample::Index>()) {
            let _ = decode(CODEC_ZSTD, &body);
            let mut chunk = encode(&[item(1, START_US, body.clone())]).remove(0).body;
            let at = at.index(chunk.len());
            chunk[at] ^= 0x55;
            let _ = decode(CODEC_ZSTD, &chunk);
            body.clear();
        }
    }

    #[test]
    fn a_chunk_is_closed_by_count_by_size_and_by_time() {
        let many: Vec<Item> = (0..2_500).map(|n| item(n, START_US, vec![1; 10])).collect();
        let counts: Vec<usize> = encode(&many).iter().map(|chunk| chunk.notice_count).collect();
        assert_eq!(counts, [1_000, 1_000, 500]);

        let big: Vec<Item> = (0..5).map(|n| item(n, START_US, vec![1; 400_000])).collect();
        let chunks = encode(&big);
        assert_eq!(chunks.iter().map(|chunk| chunk.notice_count).collect::<Vec<_>>(), [2, 2, 1]);
        assert!(chunks.iter().all(|chunk| chunk.raw_bytes <= RAW_BYTES_MAX));

        let far = [item(1, START_US, vec![]), item(2, START_US + SPAN_MS * 1_000, vec![])];
        assert_eq!(encode(&far).len(), 2);
    }

    #[test]
    fn the_greatest_notice_stands_alone_and_comes_back() {
        let items = [item(1, START_US, vec![7; 4 << 20]), item(2, START_US, vec![8; 10])];
        let chunks = encode(&items);
        assert_eq!(chunks.len(), 2);
        assert_eq!(all(&chunks), items);
    }

    #[test]
    fn a_bomb_and_strangers_are_refused() {
        let bomb = zstd::bulk::compress(&vec![0; DECODED_BYTES_MAX + 1], 1).expect("it compresses");
        assert!(matches!(decode(CODEC_ZSTD, &bomb), Err(ChunkError::Compression(_))));
        assert!(matches!(decode(7, &[]), Err(ChunkError::UnknownCodec(7))));
        let newer = zstd::bulk::compress(&[9], 1).expect("it compresses");
        assert!(matches!(decode(CODEC_ZSTD, &newer), Err(ChunkError::UnknownVersion(9))));
        let cut = zstd::bulk::compress(&[1, 2, 3], 1).expect("it compresses");
        assert!(matches!(decode(CODEC_ZSTD, &cut), Err(ChunkError::Cut)));
    }
}
