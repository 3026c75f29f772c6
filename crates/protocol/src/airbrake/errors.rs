//! `errors`: the raised one and its causes.

use notice::json_tree::Tree;
use notice::{Error, Frame};

use crate::code;
use crate::json::{number, set};
use crate::unmapped::Unmapped;

/// Reads the chain. Every entry becomes an error, so that their number stays what it was.
pub(super) fn read<'a>(errors: Vec<Tree<'a>>, unmapped: &mut Unmapped<'a>) -> Vec<Error> {
    errors.into_iter().enumerate().map(|(at, error)| read_error(error, at, unmapped)).collect()
}

fn read_error<'a>(value: Tree<'a>, at: usize, unmapped: &mut Unmapped<'a>) -> Error {
    let mut error = Error::default();
    let entries = match value {
        Tree::Map(entries) => entries,
        other => {
            // Some callers put the bare message there.
            if !set(&mut error.message, &other) {
                unmapped.add(format!("errors[{at}]"), other);
            }
            return error;
        }
    };
    for (key, value) in entries {
        let is_taken = match &*key {
            "type" => set(&mut error.class, &value),
            "message" => set(&mut error.message, &value),
            "backtrace" => match value {
                Tree::List(frames) => {
                    error.frames = frames
                        .into_iter()
                        .enumerate()
                        .map(|(line, frame)| read_frame(frame, at, line, unmapped))
                        .collect();
                    continue;
                }
                _ => false,
            },
            _ => false,
        };
        if !is_taken {
            unmapped.add(format!("errors[{at}].{key}"), value);
        }
    }
    error
}

fn read_frame<'a>(value: Tree<'a>, error: usize, line: usize, unmapped: &mut Unmapped<'a>) -> Frame {
    let mut frame = Frame::default();
    let entries = match value {
        Tree::Map(entries) => entries,
        other => {
            if !set(&mut frame.function, &other) {
                unmapped.add(format!("errors[{error}].backtrace[{line}]"), other);
            }
            return frame;
        }
    };
    for (key, value) in entries {
        let is_taken = match &*key {
            "file" => set(&mut frame.file, &value),
            "function" => set(&mut frame.function, &value),
            "line" => number(&mut frame.line, &value),
            "column" => number(&mut frame.column, &value),
            "code" => match value {
                Tree::Map(lines) => {
                    for (number, text) in code::read(lines, &mut frame.code) {
                        unmapped.add(format!("errors[{error}].backtrace[{line}].code.{number}"), text);
                    }
                    continue;
                }
                _ => false,
            },
            _ => false,
        };
        if !is_taken {
            unmapped.add(format!("errors[{error}].backtrace[{line}].{key}"), value);
        }
    }
    frame
}
