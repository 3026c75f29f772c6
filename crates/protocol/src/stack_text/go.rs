//! Go: panics, stacks of goroutines, and errors that carry the stack of where they were made.
//!
//! ```text
//! panic: card declined
//!
//! goroutine 1 [running]:
//! main.(*Cart).Charge(0xc000012345, 0xfa0)
//!     /srv/shop/app/main.go:25 +0x3c
//! ```
//!
//! An error printed with `%+v` has no goroutine, no arguments and its cause first. How far into its function a call is (`+0x3c`)
//! is left out.

use notice::Frame;

use super::chain::{Chain, Found, Relation};
use super::line::{Place, arguments};

pub(super) fn read(text: &str, filled_max: usize) -> Found {
    let mut reader = Reader { chain: Chain::new(filled_max), state: State::Before, is_panic: false };
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let place = lines.peek().and_then(|next| read_place(next));
        if let Some(place) = place.filter(|_| reader.state != State::Elsewhere)
            && let Some(frame) = read_frame(line, place)
        {
            lines.next();
            reader.frame(frame);
        } else {
            reader.line(line);
        }
    }
    let Reader { mut chain, is_panic, .. } = reader;
    let root = if is_panic { Some(0) } else { chain.last() };
    let root = root.map(|root| join_message(&mut chain, root));
    chain.finish(root)
}

struct Reader {
    chain: Chain,
    state: State,
    is_panic: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing was read.
    Before,
    /// The message goes on.
    Message,
    /// Frames of an error.
    Frames,
    /// Frames of another goroutine.
    Elsewhere,
}

impl Reader {
    fn frame(&mut self, frame: Frame) {
        // In a panic within a panic the last one is what unwinds the stack.
        let at = if self.is_panic { self.chain.first() } else { self.chain.last_or_first() };
        self.chain.push(at, frame);
        self.state = State::Frames;
    }

    fn line(&mut self, line: &str) {
        let header =
            ["panic: ", "fatal error: "].iter().find_map(|mark| Some((*mark, line.trim_start().strip_prefix(mark)?)));
        if let Some((mark, message)) = header.filter(|_| matches!(self.state, State::Before | State::Message)) {
            self.panic(mark.trim_end_matches(": "), message);
        } else if is_goroutine(line) {
            self.is_panic = true;
            let is_first = matches!(self.state, State::Before | State::Message);
            self.state = if is_first { State::Frames } else { State::Elsewhere };
            self.chain.keep(line);
        } else if line.trim().is_empty() && self.state != State::Message {
        } else if line.starts_with("[signal ") || line.starts_with("exit status ") || self.state == State::Elsewhere {
            self.chain.keep(line);
        } else if self.state == State::Message {
            if let Some(at) = self.chain.last() {
                let at = if self.is_panic { 0 } else { at };
                self.chain.node(at).add_line(line);
            }
        } else if self.is_panic {
            self.chain.keep(line);
        } else {
            self.error(line);
        }
    }

    /// A panic, which takes the place of the one before it as what is raised.
    fn panic(&mut self, class: &str, message: &str) {
        self.is_panic = true;
        let first = self.chain.first();
        if self.state == State::Message {
            let outer = self.chain.node(first);
            let (class, message) = (outer.class.take(), std::mem::take(&mut outer.message));
            let before = self.chain.add(Some((first, Relation::Context)));
            let node = self.chain.node(before);
            node.class = class;
            node.message = message;
        }
        let node = self.chain.node(first);
        node.class = Some(class.to_owned());
        message.clone_into(&mut node.message);
        self.state = State::Message;
    }

    /// The message of an error whose frames follow; what was read before is its cause.
    fn error(&mut self, message: &str) {
        let before = self.chain.last();
        let at = self.chain.add(None);
        if let Some(before) = before {
            self.chain.hang(before, at, Relation::Cause);
        }
        message.clone_into(&mut self.chain.node(at).message);
        self.state = State::Message;
    }
}

/// The message of what was put around an error without a stack of its own belongs to that error. Gives the one that is raised.
fn join_message(chain: &mut Chain, root: usize) -> usize {
    if root == 0 || chain.node(root).class.is_some() || chain.node(root).frames.len() > 0 {
        return root;
    }
    let around = std::mem::take(&mut chain.node(root).message);
    let inner = &mut chain.node(root - 1).message;
    *inner = format!("{around}: {inner}");
    root - 1
}

/// `goroutine 1 [running]:`
fn is_goroutine(line: &str) -> bool {
    line.strip_prefix("goroutine ").is_some_and(|rest| rest.contains(" [") && rest.ends_with("]:"))
}

/// `/srv/shop/app/main.go:25 +0x3c` behind a tab.
fn read_place(line: &str) -> Option<Place<'_>> {
    let place = line.strip_prefix('\t')?;
    let place = place.split_once(" +0x").map_or(place, |(place, _)| place);
    Place::read(place.trim_end()).filter(|place| place.column.is_none() && !place.file.contains('\t'))
}

/// `main.(*Cart).Charge(0xc000012345, 0xfa0)`, `created by main.main in goroutine 1`, or the function alone.
fn read_frame(line: &str, place: Place<'_>) -> Option<Frame> {
    let line = line.trim_end();
    let (function, values) = match line.strip_suffix(')').and_then(|call| call.rsplit_once('(')) {
        Some((function, values)) if !function.ends_with('.') => (function, values),
        _ => (line, ""),
    };
    let is_call = !function.is_empty() && !function.starts_with(['\t', ' ']);
    let is_named = function.contains('.') || function == "panic";
    let is_creator = function.starts_with("created by ");
    if !is_call || !is_named || (function.contains(' ') && !is_creator) {
        return None;
    }
    let in_app = is_of_go(function, place.file).then_some(false);
    let vars_json = arguments(values);
    Some(Frame { in_app, vars_json, ..place.frame(Some(function)) })
}

/// Whether the file is of Go's own library: it lies in `src/` below its package, and the package's name has no host.
fn is_of_go(function: &str, file: &str) -> bool {
    if function == "panic" {
        return true;
    }
    let Some((folder, _)) = file.rsplit_once('/') else { return false };
    let (path, name) = function.rsplit_once('/').map_or(("", function), |(path, name)| (path, name));
    let name = name.split('.').next().unwrap_or_default();
    let host = if path.is_empty() { name } else { path.split('/').next().unwrap_or_default() };
    let rest = folder
        .strip_suffix(name)
        .and_then(|folder| if path.is_empty() { Some(folder) } else { folder.strip_suffix('/')?.strip_suffix(path) });
    !host.contains('.') && rest.is_some_and(|root| root.ends_with("/src/"))
}
