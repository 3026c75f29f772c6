//! One record: what the journal keeps, what travels over Redis, what a worker decodes.

use uuid::Uuid;

use crate::sum::{holds, sum};

/// The longest record, with its head.
pub const RECORD_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Length of everything in a record that is not its body.
pub const RECORD_HEAD_BYTES: usize = 71;

/// The longest body of a record.
pub const BODY_BYTES_MAX: usize = RECORD_BYTES_MAX - RECORD_HEAD_BYTES;

/// The layout that [`Record::encode`] writes.
const VERSION: u8 = 1;

/// `len` and the checksum: what `len` does not count.
const PREFIX_BYTES: usize = 8;

/// What a record is about. Numbers are never given a second meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// One occurrence of an error.
    Notice = 1,
    /// A deploy.
    Deploy = 2,
    /// What was refused, or lost in clients.
    Ledger = 3,
    /// Performance statistics.
    Stats = 4,
    /// One request that was served.
    Request = 5,
    /// A session of a user.
    Session = 6,
    /// A sign of life of a scheduled task.
    CheckIn = 7,
    /// A piece of an attachment.
    AttachmentPart = 8,
}

impl Kind {
    /// The kind of this number, or `None` for one that this version does not know.
    pub fn from_u8(kind: u8) -> Option<Kind> {
        Some(match kind {
            1 => Kind::Notice,
            2 => Kind::Deploy,
            3 => Kind::Ledger,
            4 => Kind::Stats,
            5 => Kind::Request,
            6 => Kind::Session,
            7 => Kind::CheckIn,
            8 => Kind::AttachmentPart,
            _ => return None,
        })
    }
}

/// A record that has no number yet: everything that is fixed once at the door.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// What it is about.
    pub kind: Kind,
    /// How the body is compressed; 0 is zstd.
    pub codec: u16,
    /// The lane that it will travel on, for ever.
    pub lane: u16,
    /// The project that it belongs to.
    pub project_id: u64,
    /// The version of the rules that made the fold key.
    pub fold_key_version: u8,
    /// Equal keys are folded into one.
    pub fold_key: [u8; 16],
    /// When it was accepted: Unix microseconds.
    pub accepted_at_us: i64,
    /// The notice's id (a UUIDv7), or that of whatever this is.
    pub id: [u8; 16],
    /// The content; bytes that this crate does not look into.
    pub body: Vec<u8>,
}

impl Draft {
    /// The length of the record that this becomes.
    pub fn record_bytes(&self) -> usize {
        RECORD_HEAD_BYTES + self.body.len()
    }

    /// Appends the record with the number 0; [`set_seq`] gives it its own.
    pub(crate) fn encode_unnumbered(&self, out: &mut Vec<u8>) {
        let start = out.len();
        let len = self.record_bytes() - PREFIX_BYTES;
        out.extend_from_slice(&u32::try_from(len).expect("a record is at most 4 MiB").to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        out.push(VERSION);
        out.push(self.kind as u8);
        out.extend_from_slice(&self.codec.to_le_bytes());
        out.extend_from_slice(&self.lane.to_le_bytes());
        out.extend_from_slice(&0u64.to_le_bytes());
        out.extend_from_slice(&self.project_id.to_le_bytes());
        out.push(self.fold_key_version);
        out.extend_from_slice(&self.fold_key);
        out.extend_from_slice(&self.accepted_at_us.to_le_bytes());
        out.extend_from_slice(&self.id);
        debug_assert_eq!(out.len() - start, RECORD_HEAD_BYTES);
        out.extend_from_slice(&self.body);
    }
}

/// Writes the number into an encoded record, and the checksum that belongs to it.
pub(crate) fn set_seq(record: &mut [u8], seq: u64) {
    record[14..22].copy_from_slice(&seq.to_le_bytes());
    let crc = sum(&record[PREFIX_BYTES..]);
    record[4..8].copy_from_slice(&crc.to_le_bytes());
}

/// A record as it was read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// What it is about, as written: a newer gateway may know more kinds than [`Kind`].
    pub kind: u8,
    /// How the body is compressed.
    pub codec: u16,
    /// The lane that it travels on.
    pub lane: u16,
    /// Its number among the records of its journal and lane: 1, 2, 3…
    pub seq: u64,
    /// The project that it belongs to.
    pub project_id: u64,
    /// The version of the rules that made the fold key.
    pub fold_key_version: u8,
    /// Equal keys are folded into one.
    pub fold_key: [u8; 16],
    /// When it was accepted: Unix microseconds.
    pub accepted_at_us: i64,
    /// The notice's id.
    pub id: [u8; 16],
    /// The content.
    pub body: Vec<u8>,
}

/// Why bytes are not a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Fewer or more bytes than the record's own length says.
    #[error("the record says that it has {said} bytes, but there are {there}")]
    Length {
        /// The length in the record's head, or the shortest possible one.
        said: usize,
        /// The bytes at hand.
        there: usize,
    },
    /// The checksum does not fit the bytes.
    #[error("the checksum is wrong")]
    Checksum,
    /// Written by a version that this one cannot read.
    #[error("layout {0} is not known")]
    Version(u8),
}

impl Record {
    /// Reads exactly one record, and checks its length and checksum.
    pub fn decode(bytes: &[u8]) -> Result<Record, RecordError> {
        let head = Record::check(bytes)?;
        if bytes[8] != VERSION {
            return Err(RecordError::Version(bytes[8]));
        }
        Ok(Record {
            kind: bytes[9],
            codec: u16::from_le_bytes(array(bytes, 10)),
            lane: head.lane,
            seq: head.seq,
            project_id: head.project_id,
            fold_key_version: bytes[30],
            fold_key: array(bytes, 31),
            accepted_at_us: head.accepted_at_us,
            id: array(bytes, 55),
            body: bytes[RECORD_HEAD_BYTES..].to_vec(),
        })
    }

    /// The codec that the record in these bytes names; the rest of them is not looked at.
    pub fn codec_of(bytes: &[u8]) -> Option<u16> {
        bytes.get(10..12).map(|codec| u16::from_le_bytes(array(codec, 0)))
    }

    /// Whether these bytes are exactly one sound record, of whatever layout.
    pub(crate) fn check(bytes: &[u8]) -> Result<RecordHead, RecordError> {
        let head = RecordHead::decode(bytes)?;
        if head.record_bytes != bytes.len() {
            return Err(RecordError::Length { said: head.record_bytes, there: bytes.len() });
        }
        if !holds(&bytes[PREFIX_BYTES..], head.crc) {
            return Err(RecordError::Checksum);
        }
        Ok(head)
    }

    /// The bytes of this record.
    pub fn encode(&self) -> Vec<u8> {
        let draft = Draft {
            kind: Kind::Notice,
            codec: self.codec,
            lane: self.lane,
            project_id: self.project_id,
            fold_key_version: self.fold_key_version,
            fold_key: self.fold_key,
            accepted_at_us: self.accepted_at_us,
            id: self.id,
            body: self.body.clone(),
        };
        let mut bytes = Vec::with_capacity(draft.record_bytes());
        draft.encode_unnumbered(&mut bytes);
        bytes[9] = self.kind;
        set_seq(&mut bytes, self.seq);
        bytes
    }

    /// The id as a UUID.
    pub fn uuid(&self) -> Uuid {
        Uuid::from_bytes(self.id)
    }
}

/// The parts of a record's head that the journal itself needs. Not checked by checksum.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RecordHead {
    pub(crate) record_bytes: usize,
    pub(crate) crc: u32,
    pub(crate) lane: u16,
    pub(crate) seq: u64,
    pub(crate) project_id: u64,
    pub(crate) accepted_at_us: i64,
}

impl RecordHead {
    /// Reads the head at the beginning of `bytes`; its length is one that a record can have.
    pub(crate) fn decode(bytes: &[u8]) -> Result<RecordHead, RecordError> {
        if bytes.len() < RECORD_HEAD_BYTES {
            return Err(RecordError::Length { said: RECORD_HEAD_BYTES, there: bytes.len() });
        }
        let record_bytes = PREFIX_BYTES.saturating_add(u32::from_le_bytes(array(bytes, 0)) as usize);
        if !(RECORD_HEAD_BYTES..=RECORD_BYTES_MAX).contains(&record_bytes) {
            return Err(RecordError::Length { said: record_bytes, there: bytes.len() });
        }
        Ok(RecordHead {
            record_bytes,
            crc: u32::from_le_bytes(array(bytes, 4)),
            lane: u16::from_le_bytes(array(bytes, 12)),
            seq: u64::from_le_bytes(array(bytes, 14)),
            project_id: u64::from_le_bytes(array(bytes, 22)),
            accepted_at_us: i64::from_le_bytes(array(bytes, 47)),
        })
    }
}

/// `N` bytes from `at`; the caller has checked that they are there.
pub(crate) fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes[at..at + N].try_into().expect("a slice of N bytes is an array of N bytes")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_record() -> impl Strategy<Value = Record> {
        (
            (any::<u8>(), any::<u16>(), any::<u16>(), any::<u64>(), any::<u64>()),
            (any::<u8>(), any::<[u8; 16]>(), any::<i64>(), any::<[u8; 16]>()),
            proptest::collection::vec(any::<u8>(), 0..300),
        )
            .prop_map(
                |((kind, codec, lane, seq, project_id), (fold_key_version, fold_key, accepted_at_us, id), body)| {
                    Record { kind, codec, lane, seq, project_id, fold_key_version, fold_key, accepted_at_us, id, body }
                },
            )
    }

    proptest! {
        #[test]
        fn a_record_reads_back_as_it_was_written(record in any_record()) {
            prop_assert_eq!(Record::decode(&record.encode()), Ok(record));
        }

        #[test]
        fn one_changed_byte_is_noticed(record in any_record(), at in any::<prop::sample::Index>(), by in 1u8..) {
            let mut bytes = record.encode();
            let at = at.index(bytes.len());
            bytes[at] ^= by;
            prop_assert!(Record::decode(&bytes).is_err());
        }

        #[test]
        fn a_cut_record_is_noticed(record in any_record(), at in any::<prop::sample::Index>()) {
            let bytes = record.encode();
            prop_assert!(Record::decode(&bytes[..at.index(bytes.len())]).is_err());
        }
    }
}
