//! What a client sent and no field takes.

use std::borrow::Cow;

use notice::json_tree::Tree;

/// Most values of one notice that are kept without a field for them.
const ENTRIES_MAX: usize = 2_000;

/// Collects values under the path that they had on the wire.
#[derive(Default)]
pub(crate) struct Unmapped<'a> {
    entries: Vec<(Cow<'a, str>, Tree<'a>)>,
    dropped: usize,
}

impl<'a> Unmapped<'a> {
    /// Keeps the value, unless there is nothing in it.
    pub(crate) fn add(&mut self, path: impl Into<Cow<'a, str>>, value: Tree<'a>) {
        if value.is_empty() {
            return;
        }
        if self.entries.len() < ENTRIES_MAX {
            self.entries.push((path.into(), value));
        } else {
            self.dropped += 1;
        }
    }

    /// Keeps all that another has.
    pub(crate) fn append(&mut self, other: Unmapped<'a>) {
        self.dropped += other.dropped;
        other.entries.into_iter().for_each(|(path, value)| self.add(path, value));
    }

    /// The entries of an object; anything else is kept under its path.
    pub(crate) fn entries(&mut self, path: &str, value: Tree<'a>) -> Vec<(Cow<'a, str>, Tree<'a>)> {
        match value {
            Tree::Map(entries) => entries,
            other => {
                self.add(path.to_owned(), other);
                Vec::new()
            }
        }
    }

    /// The JSON of all of it, if there is any, and a note when some had to be dropped.
    pub(crate) fn finish(self, notes: &mut Vec<String>) -> Option<String> {
        if self.dropped > 0 {
            notes.push(format!("unmapped: {} values beyond the first {ENTRIES_MAX} were dropped", self.dropped));
        }
        (!self.entries.is_empty()).then(|| Tree::map(self.entries).to_text())
    }
}
