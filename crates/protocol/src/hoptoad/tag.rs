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
        let attributes_at = inner.find([' ', '\t', '\r', '\n', '/']).unwrap_or(inner.len());
        let name = &inner[..attributes_at];
        Tag { name: name.rsplit(':').next().unwrap_or(name), inner, attributes_at }
    }

    /// The attributes, without their escapes. What is no attribute is left out.
    pub(super) fn attributes(&self) -> impl Iterator<Item = (&'a str, Cow<'a, str>)> + use<'a> {
        let mut attributes = Attributes::html(self.inner, self.attributes_at);
        attributes.with_checks(false);
        attributes.flatten().map(|attribute| {
            let value = match attribute.value {
                Cow::Borrowed(value) => value_of(value),
                Cow::Owned(value) => Cow::Owned(value_of(&value).into_owned()),
            };
            (attribute.key.into_inner(), value)
        })
    }
}

/// XML makes every white space of an attribute a space, unless it is written as a reference.
fn value_of(raw: &str) -> Cow<'_, str> {
    if raw.contains(['\t', '\r', '\n']) {
        return Cow::Owned(unescape(&raw.replace("\r\n", " ").replace(['\t', '\r', '\n'], " ")).into_owned());
    }
    unescape(raw)
}
