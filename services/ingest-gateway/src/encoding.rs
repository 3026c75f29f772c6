//! Undoing a body's Content-Encoding without being blown up by it.

use std::io::{self, Read};

use bytes::Bytes;
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, HeaderName};

use crate::admission::Hold;
use crate::pieces::Pieces;
use crate::rejection::Rejection;

/// How messages of a gRPC call are packed.
const GRPC_ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");

/// What of that is understood.
pub(crate) const GRPC_ENCODINGS: &str = "identity,gzip,deflate,zstd";

/// What is unpacked at a time, between two looks at the limits.
const STEP_BYTES: usize = 64 * 1024;
/// Memory that a zstd stream may ask for, as a power of two: 8 MiB, which RFC 9659 has every sender keep to.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;
const BROTLI_BUFFER_BYTES: usize = 4 * 1024;

/// How a body is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    Identity,
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

impl Encoding {
    /// As the headers say. An empty header, which Ruby sends, is none.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Encoding, Rejection> {
        let mut found = Encoding::Identity;
        for value in headers.get_all(CONTENT_ENCODING) {
            let names = value.to_str().map_err(|_| Rejection::UnknownEncoding)?;
            for name in names.split(',').map(|name| name.trim().to_ascii_lowercase()) {
                let encoding = match name.as_str() {
                    "" | "identity" => continue,
                    "br" => Encoding::Brotli,
                    // As OpenTelemetry's collector calls it.
                    "zlib" => Encoding::Deflate,
                    name => Encoding::named(name).ok_or(Rejection::UnknownEncoding)?,
                };
                // Packed twice is what only an attacker needs.
                if found != Encoding::Identity {
                    return Err(Rejection::UnknownEncoding);
                }
                found = encoding;
            }
        }
        Ok(found)
    }

    /// The encoding of a gRPC message that is packed, as the headers of its call say.
    pub(crate) fn of_message(headers: &HeaderMap) -> Result<Encoding, Rejection> {
        let name = headers.get(GRPC_ENCODING).and_then(|name| name.to_str().ok());
        name.and_then(Encoding::named).ok_or(Rejection::UnknownEncoding)
    }

    /// One of those that both HTTP and gRPC know.
    fn named(name: &str) -> Option<Encoding> {
        match name {
            "gzip" | "x-gzip" => Some(Encoding::Gzip),
            "deflate" => Some(Encoding::Deflate),
            "zstd" => Some(Encoding::Zstd),
            _ => None,
        }
    }

    /// Unpacks at most `bytes_max` bytes, counting them as they appear.
    pub(crate) fn unpack(self, packed: Pieces, bytes_max: usize, hold: &mut Hold) -> Result<Bytes, Rejection> {
        if self == Encoding::Identity {
            return Ok(packed.into_whole());
        }
        let first = Bytes::copy_from_slice(packed.first().get(..2).unwrap_or_default());
        let decoder = self.decoder(packed.into_reader(), &first)?;
        read_bounded(decoder, bytes_max, hold).map(Bytes::from)
    }

    /// Unpacks while it is read; `first` is how the packed body begins.
    pub(crate) fn decoder(self, packed: impl Read + 'static, first: &[u8]) -> Result<Box<dyn Read>, Rejection> {
        Ok(match self {
            Encoding::Identity => Box::new(packed),
            Encoding::Gzip => Box::new(flate2::read::MultiGzDecoder::new(packed)),
            // "deflate" is zlib by the standard and bare deflate by some clients.
            Encoding::Deflate if is_zlib(first) => Box::new(flate2::read::ZlibDecoder::new(packed)),
            Encoding::Deflate => Box::new(flate2::read::DeflateDecoder::new(packed)),
            Encoding::Brotli => Box::new(brotli::Decompressor::new(packed, BROTLI_BUFFER_BYTES)),
            Encoding::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::new(packed).map_err(|_| Rejection::Unpackable)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG_MAX).map_err(|_| Rejection::Unpackable)?;
                Box::new(decoder)
            }
        })
    }
}

/// The first two bytes of zlib: method 8, and a check sum over both.
fn is_zlib(packed: &[u8]) -> bool {
    matches!(packed, [first, second, ..] if first & 0x0f == 8 && u16::from_be_bytes([*first, *second]) % 31 == 0)
}

fn read_bounded(mut decoder: impl Read, bytes_max: usize, hold: &mut Hold) -> Result<Vec<u8>, Rejection> {
    let mut whole = Vec::new();
    loop {
        let before = whole.len();
        let room = (bytes_max + 1 - before).min(STEP_BYTES);
        if room == 0 {
            return Err(Rejection::TooLarge { bytes_max });
        }
        hold.grow(room)?;
        match decoder.by_ref().take(room as u64).read_to_end(&mut whole) {
            Ok(0) => return Ok(whole),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return Err(Rejection::Unpackable),
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use std::io::Write;
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;
    use crate::admission::Admission;

    fn hold() -> Hold {
        Admission::new(64 * 1024 * 1024).begin(IpAddr::V4(Ipv4Addr::LOCALHOST))
    }

    fn packed(encoding: Encoding, body: &[u8]) -> Pieces {
        let level = flate2::Compression::best();
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), level);
        let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), level);
        let packed = match encoding {
            Encoding::Identity => body.to_vec(),
            Encoding::Gzip => gzip.write_all(body).and_then(|()| gzip.finish()).unwrap(),
            Encoding::Deflate => zlib.write_all(body).and_then(|()| zlib.finish()).unwrap(),
            Encoding::Zstd => zstd::bulk::compress(body, 3).unwrap(),
            Encoding::Brotli => {
                let mut out = Vec::new();
                brotli::CompressorWriter::new(&mut out, BROTLI_BUFFER_BYTES, 5, 22).write_all(body).unwrap();
                out
            }
        };
        Bytes::from(packed).into()
    }

    const ALL: [Encoding; 4] = [Encoding::Gzip, Encoding::Deflate, Encoding::Brotli, Encoding::Zstd];

    #[test]
    fn what_was_packed_comes_out() {
        let body = b"a notice ".repeat(20_000);
        for encoding in ALL {
            let unpacked = encoding.unpack(packed(encoding, &body), body.len(), &mut hold()).unwrap();
            assert!(unpacked == body, "{encoding:?}");
        }
    }

    #[test]
    fn a_bomb_is_stopped_at_the_limit() {
        let bomb = vec![b'a'; 8 * 1024 * 1024];
        for encoding in ALL {
            let refused = encoding.unpack(packed(encoding, &bomb), 1024 * 1024, &mut hold());
            assert!(matches!(refused, Err(Rejection::TooLarge { .. })), "{encoding:?}");
        }
    }

    #[test]
    fn a_bomb_counts_against_what_is_in_flight() {
        let admission = Admission::new(100_000);
        let mut other = admission.begin(IpAddr::V4(Ipv4Addr::LOCALHOST));
        assert!(other.grow(45_000).is_ok());
        let mut hold = admission.begin(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let refused = Encoding::Gzip.unpack(packed(Encoding::Gzip, &[0; 1_000_000]), 4_000_000, &mut hold);
        assert!(matches!(refused, Err(Rejection::Overloaded)));
    }

    #[test]
    fn garbage_is_refused() {
        for encoding in ALL {
            let refused = encoding.unpack(Bytes::from_static(b"\x1f\x8bnonsense").into(), 1_000, &mut hold());
            assert!(matches!(refused, Err(Rejection::Unpackable)), "{encoding:?}");
        }
    }

    #[test]
    fn bare_deflate_is_read_too() {
        let mut bare = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
        bare.write_all(b"hello").unwrap();
        let unpacked = Encoding::Deflate.unpack(Bytes::from(bare.finish().unwrap()).into(), 100, &mut hold()).unwrap();
        assert_eq!(&unpacked[..], b"hello");
    }
}
