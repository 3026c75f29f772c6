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
    let body = body.trim_ascii();
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
    if ZlibDecoder::new(bytes).take(bytes_max as u64 + 1).read_to_end(&mut json).is_err() {
        return Ok(None);
    }
    if json.len() > bytes_max {
        return Err(ParseError::Malformed(format!("the body unpacks to more than {bytes_max} bytes")));
    }
    Ok(Some(json))
}
