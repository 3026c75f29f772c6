//! What a request about a deploy says, as JSON or as a form.

use notice::json_tree::Tree;

use crate::ParseError;
use crate::json::{read, text_of};

/// Most fields of a form that are looked at.
const FORM_FIELDS_MAX: usize = 100;

/// Longest name that is looked at, in bytes, with the names around it. None that has a meaning is half as long.
const NAME_BYTES_MAX: usize = 64;

/// Names and texts. What is nested has the names around it before its own: `deploy.revision`.
pub(crate) struct Said(Vec<(String, String)>);

impl Said {
    /// The text of the first of these names that says something.
    pub(crate) fn take(&mut self, names: &[&str]) -> Option<String> {
        let found = names.iter().find_map(|name| self.0.iter().position(|(there, _)| there == name));
        found.map(|at| self.0.swap_remove(at).1)
    }
}

/// Reads an object in JSON, or a form.
pub(crate) fn said(body: &[u8]) -> Result<Said, ParseError> {
    let mut said = Vec::new();
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body).trim_ascii();
    if body.starts_with(b"{") {
        let text = text_of(body, &mut Vec::new());
        flatten("", read(&text, &mut Vec::new())?, &mut said);
        return Ok(Said(said));
    }
    if body.is_empty() {
        return Err(ParseError::Empty);
    }
    if body.starts_with(b"[") {
        return Err(ParseError::Malformed("the body is JSON, but not an object".to_owned()));
    }
    for (name, value) in form_urlencoded::parse(body).take(FORM_FIELDS_MAX) {
        // `deploy[revision]`
        let name = name.replace("][", ".").replace('[', ".").replace(']', "");
        keep(name, value.trim(), &mut said);
    }
    Ok(Said(said))
}

fn flatten(path: &str, tree: Tree<'_>, said: &mut Vec<(String, String)>) {
    match tree {
        Tree::Map(entries) => {
            for (key, value) in entries {
                if path.len() + key.len() >= NAME_BYTES_MAX {
                    continue;
                }
                let path = if path.is_empty() { key.into_owned() } else { format!("{path}.{key}") };
                flatten(&path, value, said);
            }
        }
        other => keep(path.to_owned(), other.scalar().unwrap_or_default().trim(), said),
    }
}

fn keep(name: String, text: &str, said: &mut Vec<(String, String)>) {
    if !text.is_empty() {
        said.push((name, text.to_owned()));
    }
}
