//! What stands before each record in a file: `mark | following u32 | crc32c u32`.
//!
//! After damage, reading goes on at the next mark. It is random and differs from journal to
//! journal, so nobody can have a record of his making found inside the body of another.
//! `following` says how many records of the same append come after this one.

use uuid::Uuid;

use crate::record::{RECORD_HEAD_BYTES, array};
use crate::sum::{holds, sum};

/// Length of what stands before a record.
pub(crate) const FRAME_BYTES: usize = 16;

/// Length of a frame and the head of the record after it.
pub(crate) const FRAME_AND_HEAD_BYTES: usize = FRAME_BYTES + RECORD_HEAD_BYTES;

/// What every frame of a journal begins with: the random half of its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark([u8; 8]);

impl Mark {
    pub(crate) fn of(journal: Uuid) -> Mark {
        Mark(array(journal.as_bytes(), 8))
    }

    /// Where the mark is in these bytes.
    pub(crate) fn find(self, bytes: &[u8]) -> Option<usize> {
        bytes.windows(self.0.len()).position(|window| window == self.0)
    }

    /// Appends the frame of a record that has `following` others of its append behind it.
    pub(crate) fn encode_frame(self, following: u32, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&self.0);
        out.extend_from_slice(&following.to_le_bytes());
        out.extend_from_slice(&sum(&out[start..]).to_le_bytes());
    }

    /// How many records of the same append follow, if a frame begins here.
    pub(crate) fn decode_frame(self, bytes: &[u8]) -> Option<u32> {
        let frame = bytes.get(..FRAME_BYTES)?;
        let is_frame = frame[..8] == self.0 && holds(&frame[..12], u32::from_le_bytes(array(frame, 12)));
        is_frame.then(|| u32::from_le_bytes(array(frame, 8)))
    }
}
