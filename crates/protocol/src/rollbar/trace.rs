//! `trace`: one error and its stack.

use std::borrow::Cow;

use notice::json_tree::Tree;
use notice::{CodeLine, Error, Frame};

use crate::json::{number, part, set};
use crate::message::without_class;
use crate::unmapped::Unmapped;

/// Reads a trace. Some clients attach their data to it: that goes to `extra`.
pub(super) fn read<'a>(
    trace: Tree<'a>,
    path: &str,
    extra: &mut Vec<(Cow<'a, str>, Tree<'a>)>,
    unmapped: &mut Unmapped<'a>,
) -> Error {
    let mut error = Error::default();
    for (key, value) in unmapped.entries(path, trace) {
        match (&*key, value) {
            ("exception", exception @ Tree::Map(_)) => read_exception(exception, path, &mut error, unmapped),
            // The innermost call is the last.
            ("frames", Tree::List(frames)) => {
                error.frames = frames
                    .into_iter()
                    .enumerate()
                    .map(|(at, frame)| read_frame(frame, format!("{path}.frames[{at}]"), unmapped))
                    .collect();
                error.frames.reverse();
            }
            ("extra", Tree::Map(more)) => extra.extend(more),
            (key, value) => unmapped.add(format!("{path}.{key}"), value),
        }
    }
    // Clojure writes a class as Java's own `toString` does: `class java.lang.ArithmeticException`
    if let Some(class) = error.class.as_deref().and_then(|class| class.strip_prefix("class ")) {
        error.class = Some(class.to_owned());
    }
    without_class(&mut error);
    error
}

fn read_exception<'a>(exception: Tree<'a>, path: &str, error: &mut Error, unmapped: &mut Unmapped<'a>) {
    let path = format!("{path}.exception");
    for (key, value) in unmapped.entries(&path, exception) {
        let is_taken = match &*key {
            "class" => set(&mut error.class, &value),
            "message" => set(&mut error.message, &value),
            _ => false,
        };
        if !is_taken {
            unmapped.add(format!("{path}.{key}"), value);
        }
    }
}

fn read_frame<'a>(value: Tree<'a>, path: String, unmapped: &mut Unmapped<'a>) -> Frame {
    let mut frame = Frame::default();
    let mut excerpt = Excerpt::default();
    let mut vars = Vec::new();
    let mut rest = Vec::new();
    for (key, value) in unmapped.entries(&path, value) {
        let is_taken = match (&*key, &value) {
            ("filename", value) => set(&mut frame.file, value),
            ("method", value) => set(&mut frame.function, value),
            ("class_name", value) => set(&mut frame.module, value),
            ("lineno", value) => number(&mut frame.line, value),
            ("colno", value) => number(&mut frame.column, value),
            ("code", value) => set(&mut excerpt.line, value),
            ("context", Tree::Map(_)) => {
                excerpt.around = Some(value);
                continue;
            }
            ("locals", Tree::Map(_)) => {
                if let Tree::Map(locals) = value {
                    vars.extend(locals);
                }
                continue;
            }
            ("args" | "kwargs", _) => {
                if !value.is_empty() {
                    vars.push((key, value));
                }
                continue;
            }
            _ => false,
        };
        if !is_taken {
            rest.push((key, value));
        }
    }
    rest.extend(excerpt.put_into(&mut frame));
    rest.retain(|(_, value)| !value.is_empty());
    frame.vars_json = part(Some(Tree::map(vars)));
    unmapped.add(path, Tree::Map(rest));
    frame
}

/// The line of the frame, and lists of the lines before and after it.
#[derive(Default)]
struct Excerpt<'a> {
    line: Option<String>,
    around: Option<Tree<'a>>,
}

impl<'a> Excerpt<'a> {
    /// Numbers the lines from the frame's; gives back what cannot be.
    fn put_into(self, frame: &mut Frame) -> Option<(Cow<'a, str>, Tree<'a>)> {
        let Some(number) = frame.line else {
            if let Some(line) = self.line {
                frame.code.push(CodeLine { line: 0, text: line });
            }
            return self.around.map(|around| (Cow::Borrowed("context"), around));
        };
        let mut around = self.around.unwrap_or(Tree::Null);
        let before = lines(&mut around, "pre");
        let after = lines(&mut around, "post");
        let first = number.saturating_sub(u32::try_from(before.len()).unwrap_or(u32::MAX));
        let all = before.into_iter().chain([self.line.unwrap_or_default()]).chain(after);
        let numbers = (u64::from(first)..).map(|number| u32::try_from(number).unwrap_or(u32::MAX));
        frame.code = numbers.zip(all).map(|(line, text)| CodeLine { line, text }).collect();
        if frame.code.iter().all(|code| code.text.is_empty()) {
            frame.code.clear();
        }
        (!around.is_empty()).then_some((Cow::Borrowed("context"), around))
    }
}

/// Takes a list of nothing but texts.
fn lines(around: &mut Tree<'_>, key: &str) -> Vec<String> {
    let Tree::Map(entries) = around else { return Vec::new() };
    let Some(at) = entries.iter().position(|(name, _)| name == key) else { return Vec::new() };
    let texts = match &entries[at].1 {
        Tree::List(items) => items.iter().map(|item| item.scalar().map(str::to_owned)).collect::<Option<Vec<String>>>(),
        _ => None,
    };
    match texts {
        Some(texts) => {
            entries.remove(at);
            texts
        }
        None => Vec::new(),
    }
}
