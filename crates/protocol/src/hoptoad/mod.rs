//! Hoptoad and Airbrake XML, versions 2.0 to 2.4, and the deploys of that time.

mod answer;
mod deploy;
mod document;
mod element;
mod quirks;
mod tag;
mod text;

pub use answer::{accepted, refused};
pub use deploy::parse_deploy;

use std::borrow::Cow;

use crate::{ParseError, Parsed};

/// Reads an XML notice.
///
/// Takes what clients really send: children in any order, old names of elements, missing
/// parts, text that is not UTF-8, and documents that were cut anywhere behind the key.
pub fn parse(body: &[u8]) -> Result<Parsed, ParseError> {
    let mut notes = Vec::new();
    let text = text::decode(body, &mut notes);
    let text = text.trim_start_matches(['\u{feff}', ' ', '\t', '\r', '\n', '\0']);
    if text.is_empty() {
        return Err(ParseError::Empty);
    }
    let text = quirks::escaped(text);
    let mut parsed = document::read(&text, notes)?;
    quirks::repair(&mut parsed.notice);
    Ok(parsed)
}

fn malformed(what: impl Into<Cow<'static, str>>) -> ParseError {
    ParseError::Malformed(what.into().into_owned())
}
