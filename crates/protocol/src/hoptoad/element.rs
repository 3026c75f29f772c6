//! One open element of the document, while its content comes in.

use std::borrow::Cow;

use notice::json_tree::Tree;

use super::text::unescape;

/// An element that has begun and not ended.
#[derive(Default)]
pub(super) struct Element<'a> {
    /// The `key` of a `var`.
    pub(super) key: Cow<'a, str>,
    /// The `var`s in it.
    pub(super) vars: Vec<(Cow<'a, str>, Tree<'a>)>,
    /// Whether it has no content at all, not even an empty one: `<a/>`.
    is_bare: bool,
    text: Cow<'a, str>,
    /// References that have come since the last text: two may be halves of one character.
    references: String,
}

impl<'a> Element<'a> {
    /// An element that has just begun.
    pub(super) fn new(is_bare: bool) -> Element<'a> {
        Element { is_bare, ..Element::default() }
    }

    /// Adds text that has no references in it any more.
    pub(super) fn push(&mut self, text: Cow<'a, str>) {
        self.resolve();
        if self.text.is_empty() {
            self.text = text;
        } else {
            self.text.to_mut().push_str(&text);
        }
    }

    /// Adds a reference by its name.
    pub(super) fn push_reference(&mut self, name: &str) {
        self.references.push('&');
        self.references.push_str(name);
        self.references.push(';');
    }

    fn resolve(&mut self) {
        if !self.references.is_empty() {
            let text = unescape(&self.references);
            self.text.to_mut().push_str(&text);
            self.references.clear();
        }
    }

    /// Everything that is text in it.
    pub(super) fn take_text(&mut self) -> Cow<'a, str> {
        self.resolve();
        std::mem::take(&mut self.text)
    }

    /// What a `var`, or a list of them, says: a map if there are `var`s in it, else its text; nothing at all is null.
    pub(super) fn take_value(&mut self) -> Tree<'a> {
        let text = self.take_text();
        let mut vars = std::mem::take(&mut self.vars);
        if vars.is_empty() {
            return if self.is_bare { Tree::Null } else { Tree::Text(text) };
        }
        if !text.trim().is_empty() {
            vars.push((Cow::Borrowed("#text"), Tree::Text(text)));
        }
        Tree::map(vars)
    }
}
