//! The beginning of a segment file.

use uuid::Uuid;

use crate::record::array;
use crate::sum::{holds, sum};

const MAGIC: &[u8; 8] = b"CROAKJ\r\n";
const FORMAT: u16 = 1;
const FIXED_BYTES: usize = 40;
const PAGE_BYTES: usize = 4096;

/// Says whose file this is and where each lane stood when it was begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) journal: Uuid,
    /// Always 0: the number of a lane says which epoch it is of.
    pub(crate) epoch: u32,
    /// Number of the segment, from 1.
    pub(crate) segment: u64,
    /// The number of the first record that this segment can hold, for each lane.
    pub(crate) next_seq: Vec<u64>,
}

impl Header {
    /// Bytes before the first record.
    pub(crate) fn bytes(lane_count: usize) -> usize {
        (FIXED_BYTES + 8 * lane_count + 4).next_multiple_of(PAGE_BYTES)
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let lane_count = u16::try_from(self.next_seq.len()).expect("a journal has at most 4096 lanes");
        let mut out = Vec::with_capacity(Header::bytes(self.next_seq.len()));
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&FORMAT.to_le_bytes());
        out.extend_from_slice(&lane_count.to_le_bytes());
        out.extend_from_slice(&self.epoch.to_le_bytes());
        out.extend_from_slice(self.journal.as_bytes());
        out.extend_from_slice(&self.segment.to_le_bytes());
        for next_seq in &self.next_seq {
            out.extend_from_slice(&next_seq.to_le_bytes());
        }
        out.extend_from_slice(&sum(&out).to_le_bytes());
        out.resize(Header::bytes(self.next_seq.len()), 0);
        out
    }

    /// Reads a header; `None` if it is damaged or of another format.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Header> {
        let fixed = bytes.get(..FIXED_BYTES)?;
        if fixed[..8] != *MAGIC || u16::from_le_bytes(array(fixed, 8)) != FORMAT {
            return None;
        }
        let lane_count = usize::from(u16::from_le_bytes(array(fixed, 10)));
        let end = FIXED_BYTES + 8 * lane_count;
        bytes.get(end..end + 4)?;
        if !holds(&bytes[..end], u32::from_le_bytes(array(bytes, end))) {
            return None;
        }
        Some(Header {
            epoch: u32::from_le_bytes(array(fixed, 12)),
            journal: Uuid::from_bytes(array(fixed, 16)),
            segment: u64::from_le_bytes(array(fixed, 32)),
            next_seq: (0..lane_count).map(|lane| u64::from_le_bytes(array(bytes, FIXED_BYTES + 8 * lane))).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_reads_back_and_damage_is_noticed() {
        let header = Header { journal: Uuid::now_v7(), epoch: 3, segment: 17, next_seq: (0..1024).collect() };
        let mut bytes = header.encode();
        assert_eq!(bytes.len(), Header::bytes(1024));
        assert_eq!(Header::decode(&bytes), Some(header));
        bytes[1000] ^= 1;
        assert_eq!(Header::decode(&bytes), None);
        assert_eq!(Header::decode(&bytes[..20]), None);
    }
}
