//! What all clients that send JSON have in common.

use std::borrow::Cow;

use notice::json_tree::{self, Tree};

use crate::ParseError;

/// The text of a body; what is not UTF-8 becomes U+FFFD.
pub(crate) fn text_of<'a>(body: &'a [u8], notes: &mut Vec<String>) -> Cow<'a, str> {
    match std::str::from_utf8(body) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => {
            notes.push("bytes that are not UTF-8 were replaced by U+FFFD".to_owned());
            String::from_utf8_lossy(body)
        }
    }
}

/// Reads an object.
pub(crate) fn read<'a>(text: &'a str, notes: &mut Vec<String>) -> Result<Tree<'a>, ParseError> {
    if text.trim().is_empty() {
        return Err(ParseError::Empty);
    }
    let read = json_tree::read(text)
        .map_err(|malformed| ParseError::Malformed(format!("the body is not JSON: {malformed}")))?;
    notes.extend(read.notes.into_iter().map(str::to_owned));
    match read.tree {
        Tree::Map(_) => Ok(read.tree),
        _ => Err(ParseError::Malformed("the body is JSON, but not an object".to_owned())),
    }
}

/// The JSON of a part, unless there is nothing in it.
pub(crate) fn part(tree: Option<Tree<'_>>) -> Option<String> {
    tree.filter(|tree| !tree.is_empty()).map(|tree| tree.to_text())
}

/// Takes the text of this key out of a map; none of it if it says nothing.
pub(crate) fn text_of_field(tree: &mut Tree<'_>, key: &str) -> Option<String> {
    tree.take(key)?.scalar().filter(|text| !text.is_empty()).map(str::to_owned)
}

/// Sets a field from a scalar. Says whether the value needs no other place.
pub(crate) fn set(field: &mut Option<String>, value: &Tree<'_>) -> bool {
    match value.scalar() {
        Some(text) if field.is_none() => {
            if !text.is_empty() {
                *field = Some(text.to_owned());
            }
            true
        }
        _ => value.is_empty(),
    }
}

/// Sets a number that was written as a number or as a string. Says whether the value needs no other place.
pub(crate) fn number(field: &mut Option<u32>, value: &Tree<'_>) -> bool {
    match value.scalar().map(|text| text.trim().parse()) {
        Some(Ok(number)) if field.is_none() => {
            *field = Some(number);
            true
        }
        _ => value.is_empty(),
    }
}
