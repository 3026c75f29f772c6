//! `stacktrace`: the calls, on the wire the oldest first.

use std::borrow::Cow;

use notice::json_tree::Tree;
use notice::{CodeLine, Frame};

use super::images::Images;
use crate::frame_address::{address, place as place_in};
use crate::json::{number, set};
use crate::unmapped::Unmapped;

/// Reads the frames, the innermost first.
pub(super) fn read<'a>(stacktrace: Tree<'a>, path: &str, images: &Images, unmapped: &mut Unmapped<'a>) -> Vec<Frame> {
    let entries = match stacktrace {
        Tree::Map(entries) => entries,
        other => {
            unmapped.add(path.to_owned(), other);
            return Vec::new();
        }
    };
    let mut frames = Vec::new();
    for (key, value) in entries {
        match value {
            Tree::List(list) if key == "frames" && frames.is_empty() => {
                let rest;
                (frames, rest) = read_frames(list, images);
                unmapped.add(format!("{path}.frames"), rest);
            }
            other => unmapped.add(format!("{path}.{key}"), other),
        }
    }
    frames
}

/// The frames, and what none of their fields takes: a list of as many objects as there are frames on the wire.
fn read_frames<'a>(list: Vec<Tree<'a>>, images: &Images) -> (Vec<Frame>, Tree<'a>) {
    let is_rust = list.iter().any(is_of_rustc);
    let mut frames = Vec::with_capacity(list.len());
    let mut all_rest = Vec::with_capacity(list.len());
    for value in list {
        match value {
            Tree::Map(entries) => {
                let (mut frame, mut rest) = read_frame(entries);
                tell_by_address(&mut frame, &mut rest, images);
                if is_rust && frame.in_app != Some(false) && is_of_rust_library(&frame) {
                    let said = frame.in_app.replace(false);
                    rest.extend(said.map(|said| (Cow::Borrowed("in_app"), Tree::Bool(said))));
                }
                frames.push(frame);
                all_rest.push(if rest.is_empty() { Tree::Null } else { Tree::Map(rest) });
            }
            other => all_rest.push(other),
        }
    }
    frames.reverse();
    let has_rest = all_rest.iter().any(|rest| !rest.is_empty());
    (frames, Tree::List(if has_rest { all_rest } else { Vec::new() }))
}

type Entries<'a> = Vec<(Cow<'a, str>, Tree<'a>)>;

fn read_frame(entries: Entries<'_>) -> (Frame, Entries<'_>) {
    let mut frame = Frame::default();
    let mut rest = Vec::new();
    let mut code = Code::default();
    let (mut filename, mut abs_path) = (None, None);
    for (key, value) in entries {
        let is_taken = match &*key {
            "filename" => place(&mut filename, &value),
            "abs_path" => place(&mut abs_path, &value),
            "function" => set(&mut frame.function, &value),
            "module" => set(&mut frame.module, &value),
            "lineno" => number(&mut frame.line, &value),
            "colno" => number(&mut frame.column, &value),
            "in_app" => match value {
                Tree::Bool(in_app) => {
                    frame.in_app = Some(in_app);
                    true
                }
                _ => value.is_empty(),
            },
            "vars" if matches!(value, Tree::Map(_)) => {
                frame.vars_json = (!value.is_empty()).then(|| value.to_text());
                true
            }
            "pre_context" => {
                code.before = Some(value);
                continue;
            }
            "context_line" => {
                code.line = Some(value);
                continue;
            }
            "post_context" => {
                code.after = Some(value);
                continue;
            }
            _ => false,
        };
        if !is_taken && !value.is_empty() {
            rest.push((key, value));
        }
    }
    frame.code = code.numbered(frame.line, &mut rest);
    set_file(&mut frame, filename, abs_path, &mut rest);
    (frame, rest)
}

fn place<'a>(field: &mut Option<Cow<'a, str>>, value: &Tree<'a>) -> bool {
    match value {
        Tree::Text(text) if field.is_none() => {
            if !text.is_empty() {
                *field = Some(text.clone());
            }
            true
        }
        _ => value.is_empty(),
    }
}

/// What Apple's system writes for the names of its functions, and of those that have lost theirs.
const REDACTED: &str = "<redacted>";

/// Folders of libraries that come with a system.
const SYSTEM_FOLDERS: [&str; 10] = [
    "/lib/",
    "/lib64/",
    "/usr/lib",
    "/system/",
    "/apex/",
    "/vendor/",
    "/System/",
    "/private/preboot/",
    "C:\\Windows\\",
    "C:\\WINDOWS\\",
];

/// A frame of compiled code without symbols is told by where it lies in its library or program. Whether that is the system's its path says.
fn tell_by_address(frame: &mut Frame, rest: &mut Entries<'_>, images: &Images) {
    let package = text(rest, "package").map(str::to_owned);
    if let Some(package) = &package
        && frame.in_app.is_none()
        && SYSTEM_FOLDERS.iter().any(|folder| package.starts_with(folder))
    {
        frame.in_app = Some(false);
    }
    let is_nameless = frame.function.as_deref().is_none_or(|function| function == REDACTED);
    if !is_nameless || frame.file.is_some() {
        return;
    }
    let Some(at) = text(rest, "instruction_addr").and_then(address) else { return };
    let in_image = text(rest, "image_addr").and_then(address).and_then(|from| at.checked_sub(from));
    let place = match (&package, in_image) {
        (Some(package), Some(offset)) => Some(place_in(package, offset)),
        _ => images.place(at),
    };
    if let Some(place) = place {
        let said = frame.function.replace(place);
        rest.extend(said.map(|said| (Cow::Borrowed("function"), Tree::Text(Cow::Owned(said)))));
    }
}

fn text<'t>(entries: &'t Entries<'_>, name: &str) -> Option<&'t str> {
    entries.iter().find(|(key, _)| key == name)?.1.scalar()
}

/// Functions of Rust that are not the application's, where they have no file, or one of the C library's.
const RUST_RUNTIME: [&str; 14] = [
    "std::",
    "core::",
    "alloc::",
    "backtrace::",
    "sentry::",
    "sentry_",
    "__rust",
    "rust_begin_unwind",
    "__libc_start",
    "_start",
    "start_thread",
    "clone",
    "unknown>",
    // The client took the second line of a frame, of a stack that is text, for one more.
    "at /",
];

/// Whether the frame is of a program that was compiled by Rust's compiler: only its standard library lies there.
fn is_of_rustc(frame: &Tree<'_>) -> bool {
    let Tree::Map(entries) = frame else { return false };
    entries
        .iter()
        .any(|(key, value)| key == "abs_path" && value.scalar().is_some_and(|path| path.starts_with("/rustc/")))
}

/// Whether the frame of a program in Rust is of a library. Its client says `in_app` of all that it does not know, and it does not know its own
/// handler of panics: that lay on top of every panic.
fn is_of_rust_library(frame: &Frame) -> bool {
    let file = frame.file.as_deref().unwrap_or_default();
    let function = frame.function.as_deref().unwrap_or_default();
    if file.ends_with(".rs") && file.contains('/') {
        return notice::is_library_path(file);
    }
    let function = function.trim_start_matches('<');
    (file.is_empty() && function == "main") || RUST_RUNTIME.iter().any(|start| function.starts_with(start))
}

/// The file is the short name, which is the same on every machine, unless that is only the path of a URL; then it is the
/// URL, which leads to the source. Rust's client has no folder in its short names, so there it is the long one. Whether the frame is of a library only the long name tells.
fn set_file<'a>(
    frame: &mut Frame,
    filename: Option<Cow<'a, str>>,
    abs_path: Option<Cow<'a, str>>,
    rest: &mut Entries<'a>,
) {
    let (Some(short), Some(long)) = (&filename, &abs_path) else {
        frame.file = filename.or(abs_path).map(Cow::into_owned);
        return;
    };
    if short == long {
        frame.file = filename.map(Cow::into_owned);
        return;
    }
    let is_path_of_url =
        long.contains("://") && long.ends_with(short.trim_start_matches("app://").trim_start_matches('~'));
    if frame.in_app.is_none() && notice::is_library_path(long) {
        frame.in_app = Some(false);
    }
    let is_name_in_rust = long.ends_with(".rs") && long.rsplit(['/', '\\']).next() == Some(&**short);
    let (file, key, other) = if is_path_of_url || is_name_in_rust {
        (abs_path, "filename", filename)
    } else {
        (filename, "abs_path", abs_path)
    };
    frame.file = file.map(Cow::into_owned);
    rest.extend(other.map(|other| (Cow::Borrowed(key), Tree::Text(other))));
}

/// The lines around a frame's line.
#[derive(Default)]
struct Code<'a> {
    before: Option<Tree<'a>>,
    line: Option<Tree<'a>>,
    after: Option<Tree<'a>>,
}

impl<'a> Code<'a> {
    /// All lines with their numbers. Those that cannot have one are left to the rest.
    fn numbered(self, line: Option<u32>, rest: &mut Entries<'a>) -> Vec<CodeLine> {
        let (before, after) = (count(self.before.as_ref()), count(self.after.as_ref()));
        let first = line.and_then(|line| line.checked_sub(before)).filter(|first| *first > 0);
        let next = line.and_then(|line| line.checked_add(1)).filter(|next| next.checked_add(after).is_some());
        let mut code = Vec::with_capacity(before as usize + after as usize + 1);
        for (key, lines, first) in
            [("pre_context", self.before, first), ("context_line", self.line, line), ("post_context", self.after, next)]
        {
            match (lines, first) {
                (None | Some(Tree::Null), _) => {}
                (Some(Tree::List(lines)), Some(first)) if key != "context_line" && are_lines(&lines) => {
                    let numbered =
                        (0..).zip(&lines).map(|(at, text)| CodeLine { line: first + at, text: text_of(text) });
                    code.extend(numbered);
                }
                (Some(text), Some(line)) if key == "context_line" && text.scalar().is_some() => {
                    code.push(CodeLine { line, text: text_of(&text) });
                }
                (Some(other), _) if other.is_empty() => {}
                (Some(other), _) => rest.push((Cow::Borrowed(key), other)),
            }
        }
        code
    }
}

/// How many lines there are; no document has more than fit.
fn count(lines: Option<&Tree<'_>>) -> u32 {
    match lines {
        Some(Tree::List(lines)) => u32::try_from(lines.len()).unwrap_or(u32::MAX),
        _ => 0,
    }
}

fn are_lines(lines: &[Tree<'_>]) -> bool {
    lines.iter().all(|line| *line == Tree::Null || line.scalar().is_some())
}

fn text_of(line: &Tree<'_>) -> String {
    line.scalar().unwrap_or_default().to_owned()
}
