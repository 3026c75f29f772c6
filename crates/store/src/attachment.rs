//! The bytes of an attachment's parts, as they are stored.

use std::io;

/// Stored as it is: most files are packed already.
const CODEC_NONE: i16 = 0;
/// Stored as one zstd frame.
const CODEC_ZSTD: i16 = 1;

/// Written once, and seldom read.
const LEVEL: i32 = 3;

/// Packing must save this part of the bytes: a little less is not worth unpacking it.
const SAVED_PART_MIN: usize = 10;

/// Longest part, unpacked: that of the longest record.
const PART_BYTES_MAX: usize = 4 << 20;

/// A part, packed where that saves room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packed {
    /// How it is packed.
    pub codec: i16,
    /// Its length, unpacked.
    pub byte_length: i32,
    /// What is stored.
    pub body: Vec<u8>,
}

/// Packs a part where that saves room.
pub fn pack(content: Vec<u8>) -> io::Result<Packed> {
    let byte_length = i32::try_from(content.len()).map_err(io::Error::other)?;
    let zstd = zstd::bulk::compress(&content, LEVEL)?;
    if zstd.len() + content.len() / SAVED_PART_MIN <= content.len() {
        return Ok(Packed { codec: CODEC_ZSTD, byte_length, body: zstd });
    }
    Ok(Packed { codec: CODEC_NONE, byte_length, body: content })
}

/// The part as it was.
pub fn unpack(packed: Packed) -> io::Result<Vec<u8>> {
    let byte_length = usize::try_from(packed.byte_length).map_err(io::Error::other)?;
    let content = match packed.codec {
        CODEC_NONE => packed.body,
        CODEC_ZSTD if byte_length <= PART_BYTES_MAX => zstd::bulk::decompress(&packed.body, byte_length)?,
        codec => return Err(io::Error::other(format!("codec {codec} of {byte_length} bytes is not known"))),
    };
    if content.len() == byte_length {
        Ok(content)
    } else {
        Err(io::Error::other(format!("{} bytes where {byte_length} were stored", content.len())))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn what_is_packed_comes_back_and_what_gains_nothing_stays_as_it_is() {
        let text = b"a line of a log\n".repeat(1_000);
        let packed = pack(text.clone()).unwrap();
        assert_eq!(packed.codec, CODEC_ZSTD);
        assert!(packed.body.len() < 1_000);
        assert_eq!(unpack(packed).unwrap(), text);

        let mut noise = vec![0; 10_000];
        rand::Rng::fill_bytes(&mut rand::rng(), &mut noise);
        let packed = pack(noise.clone()).unwrap();
        assert_eq!(packed, Packed { codec: CODEC_NONE, byte_length: 10_000, body: noise });
        assert_eq!(unpack(pack(Vec::new()).unwrap()).unwrap(), b"");
    }

    #[test]
    fn what_is_damaged_is_not_given_out() {
        let packed = pack(b"a line of a log\n".repeat(1_000)).unwrap();
        assert!(unpack(Packed { byte_length: 15_999, ..packed.clone() }).is_err());
        assert!(unpack(Packed { byte_length: 16_001, ..packed.clone() }).is_err());
        assert!(unpack(Packed { codec: 9, ..packed.clone() }).is_err());
        assert!(unpack(Packed { byte_length: i32::MAX, ..packed }).is_err());
    }
}
