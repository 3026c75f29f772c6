//! `exceptions`: the raised one and its causes.

use std::borrow::Cow;

use notice::json_tree::Tree;
use notice::{CodeLine, Error, Frame};

use crate::code;
use crate::json::{number, part, set};
use crate::raw_stack;
use crate::unmapped::Unmapped;

/// Reads the chain. Every entry becomes an error, so that their number stays what it was.
pub(super) fn read<'a>(exceptions: Vec<Tree<'a>>, path: &str, unmapped: &mut Unmapped<'a>) -> Vec<Error> {
    let paths = (0..).map(|at| format!("{path}.exceptions[{at}]"));
    exceptions.into_iter().zip(paths).map(|(exception, path)| read_exception(exception, &path, unmapped)).collect()
}

fn read_exception<'a>(exception: Tree<'a>, path: &str, unmapped: &mut Unmapped<'a>) -> Error {
    let mut error = Error::default();
    let mut again = None;
    for (key, value) in unmapped.entries(path, exception) {
        match (&*key, value) {
            ("errorClass", value) if set(&mut error.class, &value) => {}
            ("message", value) if set(&mut error.message, &value) => {}
            // JavaScript's clients say the message under this name as well.
            ("errorMessage", value) => again = Some(value),
            ("stacktrace", Tree::List(frames)) => {
                error.frames = frames
                    .into_iter()
                    .enumerate()
                    .map(|(at, frame)| read_frame(frame, format!("{path}.stacktrace[{at}]"), unmapped))
                    .collect();
            }
            ("stacktrace", Tree::Text(text)) => {
                raw_stack::read(text, format!("{path}.stacktrace"), &mut error, unmapped);
            }
            // Which of a client's languages it comes from: `nodejs`, `browserjs`, `android`, `cocoa`, `c`.
            ("type", value) if value.scalar().is_some() => {
                error.mechanism_json = part(Some(Tree::Map(vec![(Cow::Borrowed("type"), value)])));
            }
            (key, value) => unmapped.add(format!("{path}.{key}"), value),
        }
    }
    if let Some(again) = again.filter(|again| again.scalar().is_none_or(|text| error.message.as_deref() != Some(text)))
    {
        unmapped.add(format!("{path}.errorMessage"), again);
    }
    error
}

fn read_frame<'a>(value: Tree<'a>, path: String, unmapped: &mut Unmapped<'a>) -> Frame {
    let mut frame = Frame::default();
    let mut line_of_code = None;
    // Addresses of compiled code, mostly.
    let mut rest = Vec::new();
    for (key, value) in unmapped.entries(&path, value) {
        let is_taken = match (&*key, &value) {
            ("file", value) => set(&mut frame.file, value),
            ("method", value) => set(&mut frame.function, value),
            ("lineNumber", value) => number(&mut frame.line, value),
            ("columnNumber", value) => number(&mut frame.column, value),
            ("inProject", Tree::Bool(flag)) => {
                frame.in_app = Some(*flag);
                true
            }
            ("code", Tree::Map(_)) => {
                let Tree::Map(lines) = value else { continue };
                let rest_of_it = code::read(lines, &mut frame.code);
                rest.push((key, Tree::Map(rest_of_it)));
                continue;
            }
            ("code", Tree::Text(_)) => set(&mut line_of_code, &value),
            _ => false,
        };
        if !is_taken {
            rest.push((key, value));
        }
    }
    if let Some(text) = line_of_code {
        frame.code.push(CodeLine { line: frame.line.unwrap_or_default(), text });
    }
    rest.retain(|(_, value)| !value.is_empty());
    unmapped.add(path, Tree::Map(rest));
    frame
}
