//! A start tag: its name and its attributes.

use std::borrow::Cow;

use quick_xml::events::attributes::Attributes;

use super::text::unescape;

/// A start tag, borrowed from the document rather than from the event that told of it.
pub(super) struct Tag<'a> {
    /// Its name, without a prefix.
    pub(super) name: &'a str,
    /// What stands between `<` and `>`.
    inner: &'a str,
    /// Where the attributes begin in it.
    attributes_at: usize,
}

impl<'a> Tag<'a> {
    /// The tag whose `<` is at this place of the document.
    pub(super) fn at(document: &'a str, at: usize, length: usize) -> Tag<'a> {
        let start = at.saturating_add(1);
        let inner = document.get(start..start.saturating_add(length)).unwrap_or_default();
        let attributes_at = inner.bytes().position(|byte| is_space(byte) || byte == b'/').unwrap_or(inner.len());
        let name = &inner[..attributes_at];
        Tag { name: name.rsplit(':').next().unwrap_or(name), inner, attributes_at }
    }

    /// The attributes, without their escapes. What is no attribute is left out.
    pub(super) fn attributes(&self) -> impl Iterator<Item = (&'a str, Cow<'a, str>)> + use<'a> {
        let mut well_formed = WellFormed { inner: self.inner, at: self.attributes_at };
        let inner = self.inner;
        let mut others = None;
        std::iter::from_fn(move || {
            if others.is_none() {
                if let Some((name, value)) = well_formed.next() {
                    return Some((name, value_of(value)));
                }
                let mut attributes = Attributes::html(inner, well_formed.at);
                attributes.with_checks(false);
                others = Some(attributes.flatten());
            }
            let attribute = others.as_mut()?.next()?;
            let value = match attribute.value {
                Cow::Borrowed(value) => value_of(value),
                Cow::Owned(value) => Cow::Owned(value_of(&value).into_owned()),
            };
            Some((attribute.key.into_inner(), value))
        })
    }
}

/// Attributes as nearly all clients write them, ` name="value"` one behind the other. Ends before the first that is written
/// in another way, and leaves that to the library, which takes every way but is slower.
struct WellFormed<'a> {
    inner: &'a str,
    at: usize,
}

impl<'a> WellFormed<'a> {
    fn next(&mut self) -> Option<(&'a str, &'a str)> {
        let rest = &self.inner[self.at..];
        let spaces = rest.bytes().take_while(|byte| is_space(*byte)).count();
        let rest = &rest[spaces..];
        let name_bytes = rest.bytes().position(|byte| !is_of_name(byte)).filter(|bytes| spaces > 0 && *bytes > 0)?;
        let (name, rest) = rest.split_at(name_bytes);
        let rest = rest.strip_prefix("=\"")?;
        let value_bytes = rest.bytes().position(|byte| byte == b'"')?;
        self.at += spaces + name_bytes + 2 + value_bytes + 1;
        Some((name, &rest[..value_bytes]))
    }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b':')
}

/// XML makes every white space of an attribute a space, unless it is written as a reference.
fn value_of(raw: &str) -> Cow<'_, str> {
    if !raw.bytes().any(|byte| matches!(byte, b'&' | b'\t' | b'\r' | b'\n')) {
        return Cow::Borrowed(raw);
    }
    if raw.contains(['\t', '\r', '\n']) {
        return Cow::Owned(unescape(&raw.replace("\r\n", " ").replace(['\t', '\r', '\n'], " ")).into_owned());
    }
    unescape(raw)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attributes(inner: &str) -> Vec<(String, String)> {
        let document = format!("<{inner}>");
        let tag = Tag::at(&document, 0, inner.len());
        tag.attributes().map(|(name, value)| (name.to_owned(), value.into_owned())).collect()
    }

    #[test]
    fn attributes_are_read_however_they_are_written() {
        for (inner, expected) in [
            ("line file=\"a.rb\" number=\"1\"", &[("file", "a.rb"), ("number", "1")][..]),
            ("line file=\"a.rb\" number='1' method=\"m\"", &[("file", "a.rb"), ("number", "1"), ("method", "m")]),
            ("line file = \"a.rb\" number=\"1\"", &[("file", "a.rb"), ("number", "1")]),
            ("line file=a.rb number=\"1\"", &[("file", "a.rb"), ("number", "1")]),
            ("line\n\tfile=\"a &lt;b&gt;\tc\" ", &[("file", "a <b> c")]),
            ("line file=\"\" hidden number=\"1\"", &[("file", ""), ("hidden", ""), ("number", "1")]),
            ("line file=\"a.rb\"number=\"1\"", &[("file", "a.rb"), ("number", "1")]),
            ("line", &[]),
            ("line file=\"a", &[]),
        ] {
            let expected: Vec<_> =
                expected.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            assert_eq!(attributes(inner), expected, "{inner}");
        }
    }
}
