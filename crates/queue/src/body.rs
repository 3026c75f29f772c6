//! The body of a record on its way: compressed by the gateway, unpacked by the worker.
//!
//! Bodies of one installation are alike, and each is small: with a dictionary of what they have in common a body takes a tenth
//! of the room and a third of the time. A record names its dictionary by its codec. Dictionaries are never changed and never
//! deleted, so that every record stays readable.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::sync::{Arc, PoisonError, RwLock};

use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe::{self, CCtx, CDict, DCtx, DDict};

/// The codec of bodies: zstd without a dictionary. Every other is the number of a dictionary.
pub const CODEC_ZSTD: u16 = 0;

/// Fast rather than small: the worker packs chunks of many bodies better than any single one can be.
const LEVEL: i32 = 1;

/// Largest dictionary that is trained, and taken: more of it than fits into a processor's cache would cost time.
pub const DICTIONARY_BYTES_MAX: usize = 64 * 1024;

/// Why a body could not be unpacked.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// It names a codec that this version does not have, or a dictionary that is not there.
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
    /// These two are used with dictionaries.
    static PACKING: RefCell<(CCtx<'static>, Option<Dictionary>)> = RefCell::new((CCtx::create(), None));
    static UNPACKING: RefCell<DCtx<'static>> = RefCell::new(DCtx::create());
}

/// Packs a body with [`CODEC_ZSTD`].
pub fn compress(body: &[u8]) -> Vec<u8> {
    COMPRESSOR
        .with_borrow_mut(|compressor| compressor.compress(body))
        .expect("compressing into a buffer of the bound's size cannot fail")
}

/// Unpacks a body with [`CODEC_ZSTD`] of at most `bytes_max` bytes; no more memory than that is ever taken.
pub fn decompress(codec: u16, body: &[u8], bytes_max: usize) -> Result<Vec<u8>, BodyError> {
    if codec != CODEC_ZSTD {
        return Err(BodyError::Codec(codec));
    }
    DECOMPRESSOR
        .with_borrow_mut(|decompressor| decompressor.decompress(body, bytes_max))
        .map_err(|source| BodyError::Zstd { bytes_max, source })
}

/// The dictionaries that a process knows. Cheap to clone; all clones know the same.
#[derive(Clone, Default)]
pub struct Dictionaries(Arc<RwLock<HashMap<u16, Dictionary>>>);

/// One dictionary, ready for use in both directions.
///
/// It lives as long as the process does: there are few, each of some hundred kilobytes, and a compressor that has one set
/// goes on to refer to it.
#[derive(Clone, Copy)]
pub struct Dictionary(&'static Prepared);

struct Prepared {
    codec: u16,
    packing: CDict<'static>,
    unpacking: DDict<'static>,
}

impl std::fmt::Debug for Dictionary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Dictionary").field(&self.0.codec).finish()
    }
}

impl std::fmt::Debug for Dictionaries {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.read().unwrap_or_else(PoisonError::into_inner).keys()).finish()
    }
}

impl Dictionaries {
    /// The dictionary of this number, if it is known.
    pub fn get(&self, codec: u16) -> Option<Dictionary> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(&codec).copied()
    }

    /// Makes a dictionary ready. The number of one that is known names it for good: its bytes are not looked at again.
    ///
    /// `None` if the number is that of no dictionary, or the bytes cannot be one.
    pub fn learn(&self, codec: u16, bytes: &[u8]) -> Option<Dictionary> {
        if codec == CODEC_ZSTD || bytes.is_empty() || bytes.len() > DICTIONARY_BYTES_MAX {
            return None;
        }
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(dictionary) = known.get(&codec) {
            return Some(*dictionary);
        }
        let packing = CDict::try_create(bytes, LEVEL)?;
        let unpacking = DDict::try_create(bytes)?;
        let dictionary = Dictionary(Box::leak(Box::new(Prepared { codec, packing, unpacking })));
        known.insert(codec, dictionary);
        Some(dictionary)
    }

    /// Unpacks a body of any known codec and at most `bytes_max` bytes; no more memory than that is ever taken.
    pub fn decompress(&self, codec: u16, body: &[u8], bytes_max: usize) -> Result<Vec<u8>, BodyError> {
        if codec == CODEC_ZSTD {
            return decompress(codec, body, bytes_max);
        }
        let Dictionary(dictionary) = self.get(codec).ok_or(BodyError::Codec(codec))?;
        let failed = |source: io::Error| BodyError::Zstd { bytes_max, source };
        let said = zstd_safe::get_frame_content_size(body).ok().flatten().and_then(|said| usize::try_from(said).ok());
        let room = said
            .filter(|said| *said <= bytes_max)
            .ok_or_else(|| failed(io::Error::other("it does not say how long it is, or it is too long")))?;
        let mut unpacked = Vec::with_capacity(room);
        UNPACKING
            .with_borrow_mut(|context| context.decompress_using_ddict(&mut unpacked, body, &dictionary.unpacking))
            .map_err(|code| failed(io::Error::other(zstd_safe::get_error_name(code))))?;
        Ok(unpacked)
    }
}

impl Dictionary {
    /// Its number: the codec of what it packs.
    pub fn codec(self) -> u16 {
        self.0.codec
    }

    /// Packs a body.
    pub fn compress(self, body: &[u8]) -> Vec<u8> {
        let mut packed = Vec::with_capacity(zstd_safe::compress_bound(body.len()));
        PACKING
            .with_borrow_mut(|(context, set)| {
                if set.is_none_or(|Dictionary(set)| !std::ptr::eq(set, self.0)) {
                    context.ref_cdict(&self.0.packing)?;
                    *set = Some(self);
                }
                context.compress2(&mut packed, body)
            })
            .expect("compressing into a buffer of the bound's size cannot fail");
        packed.shrink_to_fit();
        packed
    }
}

/// Trains a dictionary on bodies; `None` when they are too few or too different.
///
/// Takes about a second of one core for some megabytes of bodies.
pub fn train(bodies: &[Vec<u8>]) -> Option<Vec<u8>> {
    zstd::dict::from_samples(bodies, DICTIONARY_BYTES_MAX).ok()
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

    /// Thirty lines that all bodies share and that have nothing in common with each other, and one of its own.
    fn body(n: usize) -> Vec<u8> {
        let word = |at: u64| xxhash_rust::xxh3::xxh3_64(&at.to_le_bytes());
        let frames: String =
            (0..30).map(|at| format!("app/{:016x}.rb in `{:016x}`\n", word(at), word(at + 99))).collect();
        format!("Payment declined for order {n} of customer {}\n{frames}", n * 7919 % 1009).into_bytes()
    }

    #[test]
    fn with_a_dictionary_bodies_are_small_and_come_back() {
        let bodies: Vec<Vec<u8>> = (0..500).map(body).collect();
        let trained = train(&bodies).unwrap();
        let dictionaries = Dictionaries::default();
        let dictionary = dictionaries.learn(3, &trained).unwrap();
        for n in 500..600 {
            let packed = dictionary.compress(&body(n));
            assert!(packed.len() * 3 < compress(&body(n)).len(), "{} bytes", packed.len());
            assert_eq!(dictionaries.decompress(3, &packed, 10_000).unwrap(), body(n));
            assert!(matches!(dictionaries.decompress(3, &packed, 1_000), Err(BodyError::Zstd { .. })));
            assert!(matches!(dictionaries.decompress(4, &packed, 10_000), Err(BodyError::Codec(4))));
        }
    }

    #[test]
    fn two_dictionaries_take_turns() {
        let dictionaries = Dictionaries::default();
        let of = |codec, start: usize| {
            let bodies: Vec<Vec<u8>> = (start..start + 500).map(body).collect();
            dictionaries.learn(codec, &train(&bodies).unwrap()).unwrap()
        };
        let (first, second) = (of(1, 0), of(2, 10_000));
        for n in 0..10 {
            for dictionary in [first, second] {
                let packed = dictionary.compress(&body(n));
                assert_eq!(dictionaries.decompress(dictionary.codec(), &packed, 10_000).unwrap(), body(n));
            }
        }
    }

    #[test]
    fn what_is_no_dictionary_is_not_learned() {
        let dictionaries = Dictionaries::default();
        assert!(dictionaries.learn(CODEC_ZSTD, b"x").is_none());
        assert!(dictionaries.learn(1, b"").is_none());
        assert!(dictionaries.learn(1, &vec![0; DICTIONARY_BYTES_MAX + 1]).is_none());
    }
}
