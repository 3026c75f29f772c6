//! `error`: the raised one and its causes.

use std::borrow::Cow;

use notice::json_tree::Tree;
use notice::{Error, Frame, Notice};

use crate::code;
use crate::json::{number, part, set};
use crate::message::without_class;
use crate::raw_stack;
use crate::unmapped::Unmapped;

/// How a file of the application begins once the client has cut its root off.
const PROJECT_ROOT: &str = "[PROJECT_ROOT]";

/// Reads the error into the notice, with what else is said beside it: the client's id, its fingerprint and its tags.
pub(super) fn read<'a>(error: Tree<'a>, notice: &mut Notice, unmapped: &mut Unmapped<'a>) {
    let mut raised = Error::default();
    let mut causes = Vec::new();
    let mut source = None;
    // Some callers put the bare message there.
    let entries = match error {
        Tree::Map(entries) => entries,
        other => {
            if !set(&mut raised.message, &other) {
                unmapped.add("error", other);
            }
            Vec::new()
        }
    };
    let mut rest = Vec::new();
    for (key, value) in entries {
        match (&*key, value) {
            ("token", value) if set(&mut notice.client_id, &value) => {}
            ("fingerprint", value) if value.scalar().is_some() => {
                notice.client_fingerprint.extend(value.scalar().filter(|text| !text.is_empty()).map(str::to_owned));
            }
            ("tags", value) => notice.tags_json = part(Some(tags(value, unmapped))),
            ("causes", Tree::List(list)) => causes = list,
            ("source", Tree::Map(lines)) => source = Some(lines),
            (_, value) => rest.push((key, value)),
        }
    }
    read_error(rest, "error", &mut raised, unmapped);
    without_class(&mut raised);
    if let Some(source) = source {
        attach(source, &mut raised.frames, unmapped);
    }
    notice.errors.push(raised);
    for (at, cause) in causes.into_iter().enumerate() {
        let mut error = Error::default();
        let path = format!("error.causes[{at}]");
        let mut entries = unmapped.entries(&path, cause);
        // Python's client makes an id for each cause as well. Under its own name it would be taken for a secret.
        if let Some(token) = entries.iter().position(|(key, _)| key == "token") {
            unmapped.add(format!("{path}.id"), entries.remove(token).1);
        }
        read_error(entries, &path, &mut error, unmapped);
        without_class(&mut error);
        notice.errors.push(error);
    }
}

fn read_error<'a>(entries: Vec<(Cow<'a, str>, Tree<'a>)>, path: &str, error: &mut Error, unmapped: &mut Unmapped<'a>) {
    for (key, value) in entries {
        match (&*key, value) {
            ("class", value) if set(&mut error.class, &value) => {}
            ("message", value) if set(&mut error.message, &value) => {}
            ("backtrace", Tree::List(frames)) => {
                for (at, frame) in frames.into_iter().enumerate() {
                    error.frames.push(read_frame(frame, format!("{path}.backtrace[{at}]"), unmapped));
                }
                // Where no frame is the application's, the client was not told which are.
                if error.frames.iter().all(|frame| frame.in_app != Some(true)) {
                    error.frames.iter_mut().for_each(|frame| frame.in_app = None);
                }
            }
            // Browsers' client before 3.0 sends the text of the stack as it is.
            ("backtrace", Tree::Text(text)) => raw_stack::read(text, format!("{path}.backtrace"), error, unmapped),
            (key, value) => unmapped.add(format!("{path}.{key}"), value),
        }
    }
}

fn read_frame<'a>(value: Tree<'a>, path: String, unmapped: &mut Unmapped<'a>) -> Frame {
    let mut frame = Frame::default();
    let mut rest = Vec::new();
    for (key, value) in unmapped.entries(&path, value) {
        let is_taken = match &*key {
            "file" => set(&mut frame.file, &value),
            "method" => set(&mut frame.function, &value),
            "class" => set(&mut frame.module, &value),
            "number" => number(&mut frame.line, &value),
            "column" => number(&mut frame.column, &value),
            // PHP and Elixir say which of their frames are the application's: `app` are, `all` are not.
            "context" => {
                frame.in_app = match value.scalar() {
                    Some("app") => Some(true),
                    Some("all") => Some(false),
                    _ => None,
                };
                frame.in_app.is_some()
            }
            "args" if matches!(&value, Tree::List(_)) => {
                frame.vars_json = (!value.is_empty()).then(|| Tree::Map(vec![(key, value)]).to_text());
                continue;
            }
            "source" => match value {
                Tree::Map(lines) => {
                    let rest_of_it = code::read(lines, &mut frame.code);
                    if !rest_of_it.is_empty() {
                        rest.push((key, Tree::Map(rest_of_it)));
                    }
                    continue;
                }
                _ => false,
            },
            _ => false,
        };
        if !is_taken {
            rest.push((key, value));
        }
    }
    rest.retain(|(_, value)| !value.is_empty());
    unmapped.add(path, Tree::Map(rest));
    frame
}

/// Older clients send one excerpt for the whole stack: it is of the first frame of the application, else of the first.
fn attach<'a>(lines: Vec<(Cow<'a, str>, Tree<'a>)>, frames: &mut [Frame], unmapped: &mut Unmapped<'a>) {
    let is_own = |frame: &Frame| frame.file.as_deref().is_some_and(|file| file.starts_with(PROJECT_ROOT));
    let at = frames.iter().position(is_own).unwrap_or_default();
    let has_line =
        |line: Option<u32>| line.is_some_and(|line| lines.iter().any(|(number, _)| number.parse() == Ok(line)));
    match frames.get_mut(at) {
        Some(frame) if frame.code.is_empty() && has_line(frame.line) => {
            let rest = code::read(lines, &mut frame.code);
            unmapped.add("error.source", Tree::Map(rest));
        }
        _ => unmapped.add("error.source", Tree::Map(lines)),
    }
}

/// A list of words, or words between commas, as tags that are set.
fn tags<'a>(value: Tree<'a>, unmapped: &mut Unmapped<'a>) -> Tree<'a> {
    let mut tags = Vec::new();
    let words = match value {
        Tree::List(words) => words,
        Tree::Text(text) => {
            let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
            words.map(|word| Tree::Text(Cow::Owned(word.to_owned()))).collect()
        }
        other => {
            unmapped.add("error.tags", other);
            Vec::new()
        }
    };
    for (at, word) in words.into_iter().enumerate() {
        match word.scalar() {
            Some(name) => tags.push((Cow::Owned(name.to_owned()), Tree::Bool(true))),
            None => unmapped.add(format!("error.tags[{at}]"), word),
        }
    }
    Tree::map(tags)
}
