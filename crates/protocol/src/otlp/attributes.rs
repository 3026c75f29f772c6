//! Attributes: names with values of any kind, as plain JSON.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use notice::json_tree::{DEPTH_MAX, Tree, VALUES_MAX};

use super::record::Entries;
use super::wire::{Broken, Fields, Value};

/// Reads texts and values of one record in protobuf, and remembers what could not be kept.
#[derive(Default)]
pub(super) struct Values {
    value_count: usize,
    is_too_deep: bool,
    is_not_utf8: bool,
    is_broken: bool,
}

impl Values {
    pub(super) fn text<'a>(&mut self, bytes: &'a [u8]) -> Cow<'a, str> {
        let text = String::from_utf8_lossy(bytes);
        self.is_not_utf8 |= matches!(text, Cow::Owned(_));
        text
    }

    /// One `KeyValue` more, unless it cannot be read.
    pub(super) fn push<'a>(&mut self, message: &'a [u8], entries: &mut Entries<'a>) {
        match self.pair(message, 0) {
            Ok(pair) => entries.extend(pair),
            Err(Broken) => self.is_broken = true,
        }
    }

    /// An `AnyValue`, or nothing if it cannot be read.
    pub(super) fn value<'a>(&mut self, message: &'a [u8]) -> Tree<'a> {
        self.any(message, 0).unwrap_or_else(|Broken| {
            self.is_broken = true;
            Tree::Null
        })
    }

    fn pair<'a>(&mut self, message: &'a [u8], depth: usize) -> Result<Option<(Cow<'a, str>, Tree<'a>)>, Broken> {
        let mut key = Cow::Borrowed("");
        let mut value = Tree::Null;
        for field in Fields::of(message) {
            let field = field?;
            match (field.number, field.value.bytes()) {
                (1, Some(bytes)) => key = self.text(bytes),
                (2, Some(bytes)) => value = self.any(bytes, depth)?,
                _ => {}
            }
        }
        Ok((value != Tree::Null).then_some((key, value)))
    }

    fn any<'a>(&mut self, message: &'a [u8], depth: usize) -> Result<Tree<'a>, Broken> {
        self.value_count += 1;
        if self.value_count > VALUES_MAX {
            return Ok(Tree::Null);
        }
        if depth > DEPTH_MAX {
            self.is_too_deep = true;
            return Ok(Tree::Text(Cow::Owned(STANDARD.encode(message))));
        }
        let mut value = Tree::Null;
        for field in Fields::of(message) {
            let field = field?;
            value = match (field.number, field.value) {
                (1, Value::Bytes(bytes)) => Tree::Text(self.text(bytes)),
                (2, Value::Varint(flag)) => Tree::Bool(flag != 0),
                (3, Value::Varint(number)) => Tree::Number(Cow::Owned((number as i64).to_string())),
                (4, Value::Fixed64(bits)) => double(f64::from_bits(bits)),
                (5, Value::Bytes(bytes)) => Tree::List(self.list(bytes, depth)?),
                (6, Value::Bytes(bytes)) => self.map(bytes, depth)?,
                (7, Value::Bytes(bytes)) => Tree::Text(Cow::Owned(STANDARD.encode(bytes))),
                _ => value,
            };
        }
        Ok(value)
    }

    fn list<'a>(&mut self, message: &'a [u8], depth: usize) -> Result<Vec<Tree<'a>>, Broken> {
        let mut items = Vec::new();
        for field in Fields::of(message) {
            let field = field?;
            if let (1, Some(bytes)) = (field.number, field.value.bytes()) {
                let item = self.any(bytes, depth + 1)?;
                if self.value_count <= VALUES_MAX {
                    items.push(item);
                }
            }
        }
        Ok(items)
    }

    fn map<'a>(&mut self, message: &'a [u8], depth: usize) -> Result<Tree<'a>, Broken> {
        let mut entries = Vec::new();
        for field in Fields::of(message) {
            let field = field?;
            if let (1, Some(bytes)) = (field.number, field.value.bytes()) {
                entries.extend(self.pair(bytes, depth + 1)?);
            }
        }
        Ok(Tree::map(entries))
    }

    /// What was dropped or replaced.
    pub(super) fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.is_not_utf8 {
            notes.push("bytes that are not UTF-8 were replaced by U+FFFD".to_owned());
        }
        if self.is_broken {
            notes.push("values that could not be read were dropped".to_owned());
        }
        if self.is_too_deep {
            notes.push(format!("values nested deeper than {DEPTH_MAX} levels were kept as base64"));
        }
        if self.value_count > VALUES_MAX {
            notes.push("values beyond the first 50,000 were dropped".to_owned());
        }
        notes
    }
}

/// A number, or the word for one that JSON has not.
fn double(number: f64) -> Tree<'static> {
    let text = Cow::Owned(format!("{number:?}"));
    if number.is_finite() { Tree::Number(text) } else { Tree::Text(text) }
}

/// The attributes of a record in JSON: a list of `{key, value}`. What is none of them is given back.
pub(super) fn of_json<'a>(list: Tree<'a>, entries: &mut Entries<'a>) -> Option<Tree<'a>> {
    let Tree::List(pairs) = list else { return Some(list).filter(|list| !list.is_empty()) };
    let mut rest = Vec::new();
    for mut pair in pairs {
        match (pair.take("key"), pair.take("value")) {
            (Some(Tree::Text(key)), value) => {
                let value = plain(value.unwrap_or(Tree::Null));
                if value != Tree::Null {
                    entries.push((key, value));
                }
            }
            _ => rest.push(pair),
        }
    }
    (!rest.is_empty()).then_some(Tree::List(rest))
}

/// An `AnyValue` in JSON. What is none stays as it is.
pub(super) fn plain(value: Tree<'_>) -> Tree<'_> {
    let Tree::Map(mut entries) = value else { return value };
    if entries.len() != 1 {
        return if entries.is_empty() { Tree::Null } else { Tree::Map(entries) };
    }
    let Some((kind, value)) = entries.pop() else { return Tree::Null };
    match (&*kind, value) {
        ("stringValue" | "bytesValue" | "string_value" | "bytes_value", value @ Tree::Text(_)) => value,
        ("boolValue" | "bool_value", value @ Tree::Bool(_)) => value,
        ("intValue" | "doubleValue" | "int_value" | "double_value", value @ Tree::Number(_)) => value,
        ("intValue" | "int_value", Tree::Text(text)) if text.parse::<i64>().is_ok() => Tree::Number(text),
        ("doubleValue" | "double_value", value @ Tree::Text(_)) => value,
        ("arrayValue" | "array_value", mut array @ Tree::Map(_)) => match array.take("values") {
            Some(Tree::List(items)) => Tree::List(items.into_iter().map(plain).collect()),
            _ => Tree::List(Vec::new()),
        },
        ("kvlistValue" | "kvlist_value", mut list @ Tree::Map(_)) => {
            let mut entries = Vec::new();
            if let Some(rest) = list.take("values").and_then(|pairs| of_json(pairs, &mut entries)) {
                entries.push((Cow::Borrowed(""), rest));
            }
            Tree::map(entries)
        }
        (_, value) => Tree::Map(vec![(kind, value)]),
    }
}
