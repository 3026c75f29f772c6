//! The body of a request to the older store.

use std::borrow::Cow;
use std::io::Read;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use flate2::read::ZlibDecoder;

use crate::ParseError;

/// Base64 with or without padding at its end.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// The JSON of a body that is JSON, base64 of JSON, or base64 of zlib of JSON; of which no more than `bytes_max` are unpacked.
pub fn decode_store_body(body: &[u8], bytes_max: usize) -> Result<Cow<'_, [u8]>, ParseError> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body).trim_ascii();
    if body.first().is_none_or(|first| *first == b'{') {
        return Ok(Cow::Borrowed(body));
    }
    if let Some(json) = inflate(body, bytes_max)? {
        return Ok(Cow::Owned(json));
    }
    // In a form, `+` was a space.
    let text: Vec<u8> = body
        .iter()
        .filter(|byte| !matches!(byte, b'\n' | b'\r' | b'\t'))
        .map(|byte| if *byte == b' ' { b'+' } else { *byte })
        .collect();
    let Ok(bytes) = BASE64.decode(text) else {
        return Err(ParseError::Malformed("the body is neither JSON nor base64".to_owned()));
    };
    Ok(Cow::Owned(inflate(&bytes, bytes_max)?.unwrap_or(bytes)))
}

/// What is in the zlib, if it is some.
fn inflate(bytes: &[u8], bytes_max: usize) -> Result<Option<Vec<u8>>, ParseError> {
    let is_zlib =
        matches!(bytes, [head, check, ..] if head & 0x0f == 8 && (u16::from(*head) << 8 | u16::from(*check)) % 31 == 0);
    if !is_zlib {
        return Ok(None);
    }
    let mut json = Vec::new();
    if ZlibDecoder::new(bytes).take((bytes_max as u64).saturating_add(1)).read_to_end(&mut json).is_err() {
        return Ok(None);
    }
    if json.len() > bytes_max {
        return Err(ParseError::Malformed(format!("the body unpacks to more than {bytes_max} bytes")));
    }
    Ok(Some(json))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::ZlibEncoder;

    use super::*;

    const JSON: &[u8] = br#"{"message":"a ? b > c"}"#;

    fn zlib(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).expect("memory takes it");
        encoder.finish().expect("memory takes it")
    }

    #[test]
    fn every_form_is_the_same_json() {
        let base64 = BASE64.encode(JSON);
        let packed = BASE64.encode(zlib(JSON));
        let wrapped: String =
            packed.as_bytes().chunks(20).map(|line| format!("{}\r\n", String::from_utf8_lossy(line))).collect();
        for body in [
            JSON.to_vec(),
            [b" \n", JSON, b"\n"].concat(),
            [b"\xef\xbb\xbf", JSON].concat(),
            base64.clone().into_bytes(),
            base64.trim_end_matches('=').into(),
            packed.clone().into_bytes(),
            wrapped.into_bytes(),
            packed.replace('+', " ").into_bytes(),
            zlib(JSON),
        ] {
            assert_eq!(decode_store_body(&body, 1_000).as_deref(), Ok(JSON), "{}", String::from_utf8_lossy(&body));
        }
        assert!(matches!(decode_store_body(JSON, 0), Ok(Cow::Borrowed(_))), "JSON is not copied");
        assert_eq!(decode_store_body(b"", 0).as_deref(), Ok(&b""[..]));
    }

    #[test]
    fn what_unpacks_to_too_much_is_refused() {
        let bomb = BASE64.encode(zlib(&vec![b' '; 1 << 20]));
        let error = decode_store_body(bomb.as_bytes(), 1_000).expect_err("is too much");
        assert_eq!(error.to_string(), "the body unpacks to more than 1000 bytes");
        let exact = BASE64.encode(zlib(JSON));
        assert!(decode_store_body(exact.as_bytes(), JSON.len()).is_ok());
        assert!(decode_store_body(exact.as_bytes(), JSON.len() - 1).is_err());
    }

    #[test]
    fn what_is_neither_is_refused() {
        assert!(decode_store_body(b"<xml/>", 1_000).is_err());
        assert!(decode_store_body("ä".as_bytes(), 1_000).is_err());
        // Zlib that is cut is not JSON either, and whoever reads it says so.
        let cut = zlib(JSON);
        assert!(decode_store_body(&cut[..cut.len() - 3], 1_000).is_err());
    }
}
