//! The words that a group is found by.

use crate::{Notice, culprit};

/// Longest text for the search index.
const BYTES_MAX: usize = 4 * 1024;

/// Most errors of a chain, and most frames of each, whose words are taken.
const ITEMS_MAX: usize = 20;

/// Class, message, culprit, functions and files, and the parts of names that are written together, in at most 4 KiB.
pub fn search_words(notice: &Notice) -> String {
    let mut words = Words { text: String::new() };
    for error in notice.errors.iter().take(ITEMS_MAX) {
        words.add(error.class.as_deref());
        words.add(error.message.as_deref());
    }
    words.add(Some(&culprit(notice)));
    for error in notice.errors.iter().take(ITEMS_MAX) {
        for frame in error.frames.iter().filter(|frame| frame.in_app == Some(true)).take(ITEMS_MAX) {
            words.add(frame.function.as_deref());
            words.add(frame.file.as_deref());
        }
    }
    words.text
}

/// The files and the functions of in-app frames, each once and one a line, in at most 4 KiB each.
pub fn frame_names(notice: &Notice) -> FrameNames {
    let mut names = FrameNames::default();
    for error in notice.errors.iter().take(ITEMS_MAX) {
        for frame in error.frames.iter().filter(|frame| frame.in_app == Some(true)).take(ITEMS_MAX) {
            add_line(&mut names.files, frame.file.as_deref());
            add_line(&mut names.functions, frame.function.as_deref());
        }
    }
    names
}

/// Where an error passed through, as a search looks for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FrameNames {
    /// Files, one a line.
    pub files: String,
    /// Functions, one a line.
    pub functions: String,
}

fn add_line(lines: &mut String, name: Option<&str>) {
    let name = name.unwrap_or_default().trim();
    if !name.is_empty() && lines.len() + name.len() < BYTES_MAX && !lines.lines().any(|there| there == name) {
        if !lines.is_empty() {
            lines.push('\n');
        }
        lines.push_str(name);
    }
}

struct Words {
    text: String,
}

impl Words {
    /// Adds every word of the text, and the parts of it at separators and capitals, unless it is there already.
    fn add(&mut self, text: Option<&str>) {
        let text = text.unwrap_or_default();
        let text = &text[..text.floor_char_boundary(BYTES_MAX)];
        for word in text.split_whitespace() {
            if self.text.len() >= BYTES_MAX {
                return;
            }
            self.push(word);
            let mut part = String::new();
            let mut before = ' ';
            for character in word.chars() {
                let is_camel = character.is_uppercase() && before.is_lowercase();
                if !character.is_alphanumeric() || is_camel {
                    self.push_part(&part, word);
                    part.clear();
                }
                if character.is_alphanumeric() {
                    part.push(character);
                }
                before = character;
            }
            self.push_part(&part, word);
        }
    }

    fn push_part(&mut self, part: &str, whole: &str) {
        if part.len() > 1 && part != whole {
            self.push(part);
        }
    }

    fn push(&mut self, word: &str) {
        if self.text.len() + word.len() < BYTES_MAX && !self.text.split(' ').any(|there| there == word) {
            if !self.text.is_empty() {
                self.text.push(' ');
            }
            self.text.push_str(word);
        }
    }
}
