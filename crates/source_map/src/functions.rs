//! Where a script says which name, and where it defines the function of that name.
//!
//! Maps say what a name of the script is called in the source, at the places where it stands. A frame says only the name of its function in
//! the script, and a place inside. So the definition is looked for: the nearest one before the place that has this name.

use std::collections::HashMap;

use crate::mappings::{NONE, Token, Tokens};

/// How far the end of a list of parameters is looked for, in bytes.
const PARAMETERS_BYTES_MAX: usize = 500;

/// Longest name of a script that is remembered, in bytes. Minified ones are short.
const NAME_BYTES_MAX: usize = 100;

/// How much before a name is looked at, in bytes.
const BEFORE_BYTES_MAX: usize = 32;

/// A name of the source at a place of the script.
#[derive(Debug, Clone, Copy)]
struct Use {
    line: u32,
    column: u32,
    name: u32,
    is_definition: bool,
}

/// The places at which each name of the script stands, in order.
#[derive(Debug, Default)]
pub(crate) struct Functions {
    uses: HashMap<Box<str>, Vec<Use>>,
}

impl Functions {
    /// Looks at each place of the script for which there is a name.
    pub(crate) fn of(script: &str, tokens: &Tokens, name_count: usize) -> Functions {
        let mut functions = Functions::default();
        for (line, text) in (0_u32..).zip(script.split('\n')).take(tokens.lines.len()) {
            let mut column = 0;
            let mut letters = text.char_indices();
            let mut at = Some(0);
            for token in tokens.of_line(line as usize) {
                while column < token.column && at.is_some() {
                    let passed = letters.next().map(|(_, letter)| letter.len_utf16() as u32);
                    column += passed.unwrap_or(0);
                    at = passed.map(|_| letters.offset());
                }
                let Some(at) = at else { break };
                if token.name != NONE && (token.name as usize) < name_count && column == token.column {
                    functions.add(text, at, line, token);
                }
            }
        }
        functions.uses.values_mut().for_each(Vec::shrink_to_fit);
        functions
    }

    fn add(&mut self, text: &str, at: usize, line: u32, token: &Token) {
        let before = &text[text.ceil_char_boundary(at.saturating_sub(BEFORE_BYTES_MAX))..at];
        let from = &text[at..text.floor_char_boundary(at + NAME_BYTES_MAX + PARAMETERS_BYTES_MAX)];
        let Some(length) = from.bytes().take(NAME_BYTES_MAX + 1).position(|byte| !is_of_name(byte)) else { return };
        let (name, after) = from.split_at(length);
        if name.is_empty() {
            return;
        }
        let is_definition = is_definition(before, after);
        let here = Use { line, column: token.column, name: token.name, is_definition };
        match self.uses.get_mut(name) {
            Some(uses) => uses.push(here),
            None => {
                self.uses.insert(name.into(), vec![here]);
            }
        }
    }

    /// The name of the source for the function that this name of the script means at this place.
    pub(crate) fn defined(&self, minified: &str, line: u32, column: u32) -> Option<u32> {
        let uses = self.uses.get(minified)?;
        let before = uses.partition_point(|there| (there.line, there.column) <= (line, column));
        uses[..before].iter().rev().find(|there| there.is_definition).map(|there| there.name)
    }

    /// The name of the source at exactly this place, if the script has this name there.
    pub(crate) fn used(&self, minified: &str, line: u32, column: u32) -> Option<u32> {
        let uses = self.uses.get(minified)?;
        let at = uses.binary_search_by_key(&(line, column), |there| (there.line, there.column)).ok()?;
        Some(uses[at].name)
    }

    pub(crate) fn bytes(&self) -> usize {
        let uses = self.uses.iter();
        uses.map(|(name, uses)| name.len() + 64 + uses.len() * size_of::<Use>()).sum()
    }
}

fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$' | b'#') || !byte.is_ascii()
}

/// Whether a name between these two texts is that of a function or class which is defined there.
fn is_definition(before: &str, after: &str) -> bool {
    let before = before.trim_end();
    let ends_with =
        |word: &str| before.strip_suffix(word).is_some_and(|rest| !rest.bytes().next_back().is_some_and(is_of_name));
    let is_generator = before.strip_suffix('*').is_some_and(|rest| rest.trim_end().ends_with("function"));
    if ends_with("function") || ends_with("class") || is_generator {
        return true;
    }
    let after = after.trim_start();
    if after.starts_with('(') {
        return behind_parameters(after).is_some_and(|rest| rest.starts_with('{'));
    }
    let Some(value) = after.strip_prefix(['=', ':']).map(str::trim_start) else { return false };
    let value = value.strip_prefix("async").map_or(value, str::trim_start);
    if value.starts_with("function") || value.starts_with("class") {
        return true;
    }
    let rest = if value.starts_with('(') {
        behind_parameters(value)
    } else {
        Some(value.trim_start_matches(|letter: char| letter.is_alphanumeric() || "_$".contains(letter)).trim_start())
            .filter(|rest| rest.len() < value.len())
    };
    rest.is_some_and(|rest| rest.starts_with("=>"))
}

/// What stands behind the parentheses that this text begins with.
fn behind_parameters(text: &str) -> Option<&str> {
    let mut depth = 0_u32;
    for (at, byte) in text.bytes().enumerate().take(PARAMETERS_BYTES_MAX) {
        match byte {
            b'(' => depth += 1,
            b')' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return Some(text[at + 1..].trim_start());
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definitions_are_told_from_uses() {
        for (before, after, expected) in [
            ("function ", "(e){", true),
            ("function*", "(e){", true),
            ("class ", "{", true),
            ("let ", "=e=>e", true),
            ("let ", "=(e,t=(1))=>{", true),
            ("const ", "=async()=>{", true),
            ("const ", "=function(){", true),
            ("{", ":function(){", true),
            ("}", "(e){return", true),
            ("return ", "(e)}", false),
            ("a=", "(e);", false),
            ("let ", "=1;", false),
            ("if(", "==e=>e", false),
            ("myfunction ", "", false),
            ("", "", false),
        ] {
            assert_eq!(is_definition(before, after), expected, "{before}name{after}");
        }
    }
}
