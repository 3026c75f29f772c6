//! JSON as clients really send it, read without losing anything.
//!
//! Unlike a strict parser it keeps numbers as they were written, keeps every one of
//! several equal keys, takes lone surrogates (JavaScript cuts strings in the middle of a
//! character) and `NaN` (Python writes it), and has its own bounds on depth and count.

use std::borrow::Cow;
use std::collections::HashMap;

use serde_json::Value;
use thiserror::Error;
use xxhash_rust::xxh3::xxh3_64;

/// Deepest nesting that is kept as a tree; what lies deeper is kept as its text.
pub const DEPTH_MAX: usize = 64;

/// Most values of one document; what comes after is dropped.
pub const VALUES_MAX: usize = 50_000;

/// From how many keys on a map is searched for equal ones by hash and not one by one.
const KEYS_COMPARED_MAX: usize = 12;

/// Room for the text of a tree to begin with: most are of a few values, and growing is what takes the time.
const TEXT_BYTES: usize = 128;

/// A JSON value whose strings borrow from the document where they can.
#[derive(Clone, Debug, PartialEq)]
pub enum Tree<'a> {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number, as it was written.
    Number(Cow<'a, str>),
    /// A string, without its escapes.
    Text(Cow<'a, str>),
    /// An array.
    List(Vec<Tree<'a>>),
    /// An object in the order of the document, without equal keys.
    Map(Vec<(Cow<'a, str>, Tree<'a>)>),
}

/// A document and what had to be done to read it.
#[derive(Debug)]
pub struct Read<'a> {
    /// The document.
    pub tree: Tree<'a>,
    /// What was replaced, cut or dropped, in words for the notes of a notice.
    pub notes: Vec<&'static str>,
}

/// Why a text is not JSON.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("{what} at byte {at}")]
pub struct Malformed {
    what: &'static str,
    at: usize,
}

/// Reads one JSON document.
pub fn read(text: &str) -> Result<Read<'_>, Malformed> {
    let mut reader = Reader { text, at: 0, value_count: 0, notes: Vec::new() };
    if text.starts_with('\u{feff}') {
        reader.at = 3;
    }
    let tree = reader.value(0)?;
    reader.space();
    if reader.at < text.len() {
        return Err(reader.malformed("more text after the end of the JSON"));
    }
    Ok(Read { tree, notes: reader.notes })
}

impl<'a> Tree<'a> {
    /// A map of these entries; the second and later of equal keys are numbered, so that none is lost.
    pub fn map(mut entries: Vec<(Cow<'a, str>, Tree<'a>)>) -> Tree<'a> {
        tell_apart(&mut entries);
        Tree::Map(entries)
    }

    /// The tree as compact JSON text, that any strict parser reads back without loss: numbers that a double cannot hold become strings.
    pub fn to_text(&self) -> String {
        let mut out = String::with_capacity(TEXT_BYTES);
        self.write(&mut out);
        out
    }

    /// The tree as a value of serde's. Numbers are those that [`Tree::to_text`] writes, read to the nearest double.
    pub fn into_value(self) -> Value {
        match self {
            Tree::Null => Value::Null,
            Tree::Bool(flag) => Value::Bool(flag),
            Tree::Number(number) if is_exact(&number) => {
                match (number.parse::<i64>(), number.parse::<u64>(), number.parse::<f64>()) {
                    (Ok(number), _, _) => number.into(),
                    (_, Ok(number), _) => number.into(),
                    (_, _, Ok(number)) => number.into(),
                    _ => Value::String(number.into_owned()),
                }
            }
            Tree::Number(text) | Tree::Text(text) => Value::String(text.into_owned()),
            Tree::List(items) => items.into_iter().map(Tree::into_value).collect(),
            Tree::Map(entries) => {
                entries.into_iter().map(|(key, value)| (key.into_owned(), value.into_value())).collect()
            }
        }
    }

    /// Whether there is nothing in it: null, an empty string, list or map.
    pub fn is_empty(&self) -> bool {
        match self {
            Tree::Null => true,
            Tree::Bool(_) | Tree::Number(_) => false,
            Tree::Text(text) => text.is_empty(),
            Tree::List(items) => items.is_empty(),
            Tree::Map(entries) => entries.is_empty(),
        }
    }

    /// The value as the text of a field: strings as they are, numbers and booleans as written; nothing for the rest.
    pub fn scalar(&self) -> Option<&str> {
        match self {
            Tree::Text(text) | Tree::Number(text) => Some(text),
            Tree::Bool(true) => Some("true"),
            Tree::Bool(false) => Some("false"),
            Tree::Null | Tree::List(_) | Tree::Map(_) => None,
        }
    }

    /// Takes the value of this key out of a map.
    pub fn take(&mut self, key: &str) -> Option<Tree<'a>> {
        let Tree::Map(entries) = self else {
            return None;
        };
        let at = entries.iter().position(|(name, _)| name == key)?;
        Some(entries.remove(at).1)
    }

    fn write(&self, out: &mut String) {
        match self {
            Tree::Null => out.push_str("null"),
            Tree::Bool(true) => out.push_str("true"),
            Tree::Bool(false) => out.push_str("false"),
            Tree::Number(number) if is_exact(number) => out.push_str(number),
            Tree::Number(text) | Tree::Text(text) => write_text(text, out),
            Tree::List(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    item.write(out);
                }
                out.push(']');
            }
            Tree::Map(entries) => {
                out.push('{');
                for (index, (key, value)) in entries.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    write_text(key, out);
                    out.push(':');
                    value.write(out);
                }
                out.push('}');
            }
        }
    }
}

/// Appends the text as a JSON string.
pub fn write_text(text: &str, out: &mut String) {
    out.push('"');
    let mut written = 0;
    for (at, byte) in text.bytes().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.push_str(&text[written..at]);
        written = at + 1;
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            control => {
                out.push_str("\\u00");
                out.push(char::from_digit(u32::from(control >> 4), 16).unwrap_or('0'));
                out.push(char::from_digit(u32::from(control & 15), 16).unwrap_or('0'));
            }
        }
    }
    out.push_str(&text[written..]);
    out.push('"');
}

/// Whether a reader that holds numbers in 64 bits gets this one back as it was written.
fn is_exact(number: &str) -> bool {
    let digits = number.bytes().filter(u8::is_ascii_digit).count();
    let is_integer = !number.bytes().any(|byte| matches!(byte, b'.' | b'e' | b'E'));
    if is_integer {
        return digits <= 18 || number.parse::<i64>().is_ok() || number.parse::<u64>().is_ok();
    }
    if digits <= 15 && !number.bytes().any(|byte| matches!(byte, b'e' | b'E')) {
        return true;
    }
    let Ok(double) = number.parse::<f64>() else { return false };
    double.is_finite() && significant(number) == significant(&format!("{double:e}"))
}

/// The digits that matter, without the point, the exponent and zeros at either end.
fn significant(number: &str) -> String {
    let mantissa = number.split(['e', 'E']).next().unwrap_or_default();
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    digits.trim_matches('0').to_owned()
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    value_count: usize,
    notes: Vec<&'static str>,
}

impl<'a> Reader<'a> {
    fn malformed(&self, what: &'static str) -> Malformed {
        Malformed { what, at: self.at }
    }

    fn note(&mut self, note: &'static str) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    fn value(&mut self, depth: usize) -> Result<Tree<'a>, Malformed> {
        self.space();
        self.value_count += 1;
        match self.peek() {
            None => Err(self.malformed("the JSON ends too early")),
            Some(b'"') => Ok(Tree::Text(self.string()?)),
            Some(b'{' | b'[') if depth >= DEPTH_MAX => self.too_deep(),
            Some(b'{') => self.map(depth),
            Some(b'[') => self.list(depth),
            Some(_) => self.word(),
        }
    }

    fn list(&mut self, depth: usize) -> Result<Tree<'a>, Malformed> {
        self.at += 1;
        let mut items = Vec::new();
        self.space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Tree::List(items));
        }
        loop {
            let is_within = self.is_within_count();
            let item = self.value(depth + 1)?;
            if is_within {
                items.push(item);
            }
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(Tree::List(items));
                }
                _ => return Err(self.malformed("expected `,` or `]`")),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Tree<'a>, Malformed> {
        self.at += 1;
        let mut entries = Vec::new();
        self.space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Tree::Map(entries));
        }
        loop {
            self.space();
            if self.peek() != Some(b'"') {
                return Err(self.malformed("expected a key in quotes"));
            }
            let key = self.string()?;
            self.space();
            if self.peek() != Some(b':') {
                return Err(self.malformed("expected `:`"));
            }
            self.at += 1;
            let is_within = self.is_within_count();
            let value = self.value(depth + 1)?;
            if is_within {
                entries.push((key, value));
            }
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    if tell_apart(&mut entries) {
                        self.note("equal keys of one JSON object were numbered");
                    }
                    return Ok(Tree::Map(entries));
                }
                _ => return Err(self.malformed("expected `,` or `}`")),
            }
        }
    }

    /// Whether the value that begins here is kept. One that began in time keeps what of it came in time.
    fn is_within_count(&mut self) -> bool {
        let within = self.value_count < VALUES_MAX;
        if !within {
            self.note("JSON values beyond the first 50,000 were dropped");
        }
        within
    }

    /// Goes past a list or map without looking into it, and keeps its text.
    fn too_deep(&mut self) -> Result<Tree<'a>, Malformed> {
        self.note("JSON nested deeper than 64 levels was kept as text");
        let start = self.at;
        let mut open = 0_usize;
        while let Some(byte) = self.peek() {
            match byte {
                b'"' => {
                    self.string_end()?;
                    continue;
                }
                b'{' | b'[' => open += 1,
                b'}' | b']' => open -= 1,
                _ => {}
            }
            self.at += 1;
            if open == 0 {
                return Ok(Tree::Text(Cow::Borrowed(&self.text[start..self.at])));
            }
        }
        Err(self.malformed("the JSON ends too early"))
    }

    /// A number, `true`, `false`, `null`, or one of the words that Python writes for numbers that JSON has not.
    fn word(&mut self) -> Result<Tree<'a>, Malformed> {
        let start = self.at;
        while matches!(self.peek(), Some(b'+' | b'-' | b'.' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z')) {
            self.at += 1;
        }
        let word = &self.text[start..self.at];
        match word {
            "null" => Ok(Tree::Null),
            "true" => Ok(Tree::Bool(true)),
            "false" => Ok(Tree::Bool(false)),
            "NaN" | "Infinity" | "-Infinity" => Ok(Tree::Text(Cow::Borrowed(word))),
            number if is_number(number) => Ok(Tree::Number(Cow::Borrowed(number))),
            _ => {
                self.at = start;
                Err(self.malformed("expected a value"))
            }
        }
    }

    /// Moves behind the string that starts here and says where it ends and whether it has escapes.
    fn string_end(&mut self) -> Result<bool, Malformed> {
        let bytes = self.text.as_bytes();
        let mut has_escapes = false;
        let mut at = self.at + 1;
        while let Some(byte) = bytes.get(at) {
            match byte {
                b'"' => {
                    self.at = at + 1;
                    return Ok(has_escapes);
                }
                b'\\' => {
                    has_escapes = true;
                    at += 2;
                }
                _ => at += 1,
            }
        }
        Err(self.malformed("a string does not end"))
    }

    fn string(&mut self) -> Result<Cow<'a, str>, Malformed> {
        let start = self.at + 1;
        let has_escapes = self.string_end()?;
        let raw = &self.text[start..self.at - 1];
        if !has_escapes {
            return Ok(Cow::Borrowed(raw));
        }
        Ok(Cow::Owned(self.unescape(raw)))
    }

    fn unescape(&mut self, raw: &str) -> String {
        let mut out = String::with_capacity(raw.len());
        let mut rest = raw;
        while let Some(at) = rest.find('\\') {
            out.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            let Some(kind) = rest.chars().next() else {
                break;
            };
            rest = &rest[kind.len_utf8()..];
            match kind {
                'n' => out.push('\n'),
                'r' => out.push('\r'),
                't' => out.push('\t'),
                'b' => out.push('\u{8}'),
                'f' => out.push('\u{c}'),
                'u' => rest = self.unicode(rest, &mut out),
                other => out.push(other),
            }
        }
        out.push_str(rest);
        out
    }

    /// Appends the character of a `\u` escape, and of a second one where two make a pair; returns what follows.
    fn unicode<'r>(&mut self, rest: &'r str, out: &mut String) -> &'r str {
        let Some(first) = four_hex(rest) else {
            self.note("a broken JSON escape was replaced by U+FFFD");
            out.push('\u{fffd}');
            return rest;
        };
        let after = &rest[4..];
        if let Some(character) = char::from_u32(first) {
            out.push(character);
            return after;
        }
        let second = after.strip_prefix("\\u").and_then(four_hex).filter(|low| (0xdc00..0xe000).contains(low));
        match second {
            Some(low) if first < 0xdc00 => {
                let pair = 0x10000 + ((first - 0xd800) << 10) + (low - 0xdc00);
                out.push(char::from_u32(pair).unwrap_or('\u{fffd}'));
                &after[6..]
            }
            _ => {
                self.note("half a character (a lone surrogate) was replaced by U+FFFD");
                out.push('\u{fffd}');
                after
            }
        }
    }
}

fn four_hex(text: &str) -> Option<u32> {
    let digits = text.get(..4)?;
    digits.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| u32::from_str_radix(digits, 16).ok())?
}

/// Whether the word is a number by the grammar of JSON.
fn is_number(word: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let word = word.strip_prefix('-').unwrap_or(word);
    let (mantissa, exponent) = match word.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['+', '-']).unwrap_or(exponent))),
        None => (word, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let is_whole = digits(whole) && (whole.len() == 1 || !whole.starts_with('0'));
    is_whole && fraction.is_none_or(digits) && exponent.is_none_or(digits)
}

/// Numbers the second and later of equal keys, so that none is lost; says whether there were any.
fn tell_apart(entries: &mut [(Cow<'_, str>, Tree<'_>)]) -> bool {
    if !has_equal(entries) {
        return false;
    }
    let mut seen: HashMap<String, usize> = HashMap::with_capacity(entries.len());
    let mut renamed = false;
    for (key, _) in entries {
        let count = seen.entry(key.to_string()).and_modify(|count| *count += 1).or_insert(1);
        if *count > 1 {
            *key = Cow::Owned(format!("{key} ({count})"));
            renamed = true;
        }
    }
    renamed
}

/// Whether two keys can be equal: the same hash is enough to have a closer look.
fn has_equal(entries: &[(Cow<'_, str>, Tree<'_>)]) -> bool {
    if entries.len() <= KEYS_COMPARED_MAX {
        return (1..entries.len()).any(|at| entries[..at].iter().any(|(key, _)| *key == entries[at].0));
    }
    let mut hashes: Vec<u64> = entries.iter().map(|(key, _)| xxh3_64(key.as_bytes())).collect();
    hashes.sort_unstable();
    hashes.windows(2).any(|pair| pair[0] == pair[1])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_of(json: &str) -> String {
        read(json).expect("is read").tree.to_text()
    }

    #[test]
    fn values_beyond_the_last_are_dropped_and_those_around_them_are_kept() {
        let text = format!("{{\"a\":{{\"b\":[{}0]}},\"c\":1}}", "0,".repeat(VALUES_MAX));
        let Read { mut tree, notes } = read(&text).expect("is JSON");
        let Some(Tree::List(items)) = tree.take("a").and_then(|mut a| a.take("b")) else { panic!("{tree:?}") };
        assert_eq!((items.len(), tree), (VALUES_MAX - 3, Tree::Map(Vec::new())));
        assert_eq!(notes, ["JSON values beyond the first 50,000 were dropped"]);
    }

    #[test]
    fn what_is_compact_json_is_written_as_it_was_read() {
        for json in [
            r#"{"a":1,"b":[true,false,null],"c":{"d":"e"}}"#,
            r#"[1795316388.564,0,-1,1e3,18446744073709551615,-9223372036854775808]"#,
            r#""a\"b\\c\nd\u0001""#,
            r#"[0.1,123456789.123456,64155648]"#,
        ] {
            assert_eq!(text_of(json), json);
        }
    }

    #[test]
    fn numbers_that_a_double_cannot_hold_become_strings() {
        assert_eq!(text_of("[12345678901234567890123]"), r#"["12345678901234567890123"]"#);
        assert_eq!(text_of("[1e999]"), r#"["1e999"]"#);
        assert_eq!(text_of("[0.12345678901234567890123]"), r#"["0.12345678901234567890123"]"#);
    }

    #[test]
    fn values_have_the_numbers_of_the_text() {
        for json in [
            "[0.09250640869140625,50.26263897889,1795316388.564]",
            "[18446744073709551615,-1,0.5]",
            r#"{"a":[{"b":null}]}"#,
        ] {
            assert_eq!(read(json).expect("is read").tree.into_value().to_string(), json);
        }
    }

    #[test]
    fn equal_keys_are_all_kept() {
        let read = read(r#"{"a":1,"a":2,"a":3}"#).expect("is read");
        assert_eq!(read.tree.to_text(), r#"{"a":1,"a (2)":2,"a (3)":3}"#);
        assert_eq!(read.notes.len(), 1);
    }

    #[test]
    fn surrogates_are_joined_and_lone_ones_replaced() {
        assert_eq!(text_of(r#""\ud83d\udca5 \ud83d \udca5""#), "\"💥 \u{fffd} \u{fffd}\"");
    }

    #[test]
    fn words_of_python_are_kept() {
        assert_eq!(text_of("[NaN,Infinity]"), r#"["NaN","Infinity"]"#);
    }

    #[test]
    fn deep_nesting_is_kept_as_text() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let read = read(&deep).expect("is read");
        assert_eq!(read.notes, ["JSON nested deeper than 64 levels was kept as text"]);
        assert!(serde_json::from_str::<Value>(&read.tree.to_text()).is_ok());
    }

    #[test]
    fn what_is_no_json_is_refused_with_its_place() {
        for json in ["", "{", "[1,]", "{\"a\"}", "tru", "\"abc", "1 2", "[01]", "{a:1}", "\"a\\"] {
            assert!(read(json).is_err(), "{json}");
        }
        assert_eq!(read("[1,]").expect_err("a value is missing").to_string(), "expected a value at byte 3");
    }
}
