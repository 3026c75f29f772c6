//! The body of a record on its way: compressed by the gateway, unpacked by the worker.

use std::cell::RefCell;
use std::io;

use zstd::bulk::{Compressor, Decompressor};

/// The codec of bodies: zstd without a dictionary.
pub const CODEC_ZSTD: u16 = 0;

/// Fast rather than small: the worker packs chunks of many bodies better than any single one can be.
const LEVEL: i32 = 1;

/// Why a body could not be unpacked.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// It names a codec that this version does not have.
    #[error("codec {0} is not known")]
    Codec(u16),
    /// It is not zstd, is damaged, or is longer than allowed.
    #[error("the body cannot be unpacked into {bytes_max} bytes")]
    Zstd {
        /// The limit that was given.
        bytes_max: usize,
        /// What the decompressor said.
        source: io::Error,
    },
}

thread_local! {
    /// Made once per thread: their tables take longer to make than most bodies take to pack.
    static COMPRESSOR: RefCell<Compressor<'static>> =
        RefCell::new(Compressor::new(LEVEL).expect("there is memory for a compressor"));
    static DECOMPRESSOR: RefCell<Decompressor<'static>> =
        RefCell::new(Decompressor::new().expect("there is memory for a decompressor"));
}

/// Packs a body with [`CODEC_ZSTD`].
pub fn compress(body: &[u8]) -> Vec<u8> {
    COMPRESSOR
        .with_borrow_mut(|compressor| compressor.compress(body))
        .expect("compressing into a buffer of the bound's size cannot fail")
}

/// Unpacks a body of at most `bytes_max` bytes; no more memory than that is ever taken.
pub fn decompress(codec: u16, body: &[u8], bytes_max: usize) -> Result<Vec<u8>, BodyError> {
    if codec != CODEC_ZSTD {
        return Err(BodyError::Codec(codec));
    }
    DECOMPRESSOR
        .with_borrow_mut(|decompressor| decompressor.decompress(body, bytes_max))
        .map_err(|source| BodyError::Zstd { bytes_max, source })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn a_body_comes_back_as_it_was() {
        for body in [&b""[..], b"x", &[7; 100_000]] {
            assert_eq!(decompress(CODEC_ZSTD, &compress(body), body.len()).unwrap(), body);
        }
    }

    #[test]
    fn a_bomb_is_refused() {
        let bomb = compress(&vec![0; 50 * 1024 * 1024]);
        assert!(bomb.len() < 10_000);
        assert!(decompress(CODEC_ZSTD, &bomb, 4 * 1024 * 1024).is_err());
    }

    #[test]
    fn what_is_not_zstd_is_refused() {
        assert!(matches!(decompress(CODEC_ZSTD, b"hello", 100), Err(BodyError::Zstd { .. })));
        assert!(matches!(decompress(9, b"hello", 100), Err(BodyError::Codec(9))));
    }
}
