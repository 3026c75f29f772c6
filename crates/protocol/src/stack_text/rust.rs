//! Rust: panics, backtraces of the standard library, and errors with causes as `anyhow` and `eyre` print them.
//!
//! ```text
//! thread 'main' panicked at src/main.rs:12:9:
//! card declined
//! stack backtrace:
//!    0: shop::Cart::charge
//!              at ./src/main.rs:12:9
//! ```

use notice::Frame;

use super::chain::{Chain, Found, Relation};
use super::line::{Place, labelled, number};

/// The class of what has none: a panic has a message.
const PANIC: &str = "panic";

/// Beginnings of what belongs to the standard library, for frames without a file.
const LIBRARY: [&str; 12] = [
    "std::",
    "core::",
    "alloc::",
    "std[",
    "core[",
    "alloc[",
    "<std",
    "<core",
    "<alloc",
    "__rust",
    "rust_begin_unwind",
    "__libc_start",
];

pub(super) fn read(text: &str, filled_max: usize) -> Found {
    let mut reader = Reader { chain: Chain::new(filled_max), state: State::Before, panicked_at: None };
    for line in text.lines() {
        reader.line(line);
    }
    reader.end();
    reader.chain.finish(Some(0))
}

struct Reader {
    chain: Chain,
    state: State,
    /// Where a panic says that it was, until frames say so.
    panicked_at: Option<Frame>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Before,
    Message,
    Causes,
    Frames,
}

impl Reader {
    fn line(&mut self, line: &str) {
        let content = line.trim();
        if self.state == State::Before
            && let Some(panic) = Panic::read(content)
        {
            self.panic(&panic);
        } else if is_backtrace(content) && self.state != State::Frames {
            self.state = State::Frames;
        } else if content == "Caused by:" && self.state == State::Message {
            self.state = State::Causes;
        } else if self.state == State::Causes && !content.is_empty() {
            self.cause(content);
        } else if let Some(frame) = read_call(line).filter(|_| matches!(self.state, State::Before | State::Frames)) {
            self.state = State::Frames;
            let at = self.chain.first();
            self.chain.push(at, frame);
        } else if self.state == State::Frames && self.frame_line(line, content) {
        } else if content.starts_with("note: ") || (content.is_empty() && self.state != State::Message) {
            // How to get more.
        } else if self.state == State::Message {
            let at = self.chain.last_or_first();
            self.chain.node(at).add_line(line);
        } else if self.state == State::Before {
            let at = self.chain.last_or_first();
            content.clone_into(&mut self.chain.node(at).message);
            self.state = State::Message;
        } else {
            self.chain.keep(line);
        }
    }

    fn panic(&mut self, panic: &Panic<'_>) {
        let at = self.chain.last_or_first();
        let node = self.chain.node(at);
        node.class = Some(PANIC.to_owned());
        panic.message.clone_into(&mut node.message);
        let thread = labelled("thread", panic.thread);
        self.panicked_at = Some(Frame { vars_json: Some(thread), ..panic.place.frame(None) });
        self.state = State::Message;
    }

    /// A place of the last function, or a function that was inlined there.
    fn frame_line(&mut self, line: &str, content: &str) -> bool {
        let at = self.chain.first();
        let Some(frame) = self.chain.node(at).frames.last_mut() else { return false };
        if let Some(place) = content.strip_prefix("at ") {
            let Some(place) = Place::read(place).filter(|_| frame.file.is_none()) else { return false };
            frame.file = Some(place.file.to_owned());
            frame.line = Some(place.line);
            frame.column = place.column;
            frame.in_app = None;
            return true;
        }
        let is_inlined = line.starts_with("      ") && (content.contains("::") || content.contains(" - "));
        if is_inlined {
            self.chain.push(at, function(content));
        }
        is_inlined
    }

    /// `0: charge failed`, or the only cause without a number.
    fn cause(&mut self, content: &str) {
        let message = content.split_once(": ").filter(|(count, _)| number(count).is_some()).map(|(_, message)| message);
        let parent = self.chain.last_or_first();
        let at = self.chain.add(Some((parent, Relation::Cause)));
        message.unwrap_or(content).clone_into(&mut self.chain.node(at).message);
    }

    fn end(&mut self) {
        let Some(frame) = self.panicked_at.take() else { return };
        let thread = frame.vars_json.clone();
        let at = self.chain.first();
        let node = self.chain.node(at);
        if node.message.starts_with('\n') {
            // It stands on a line of its own.
            node.message.remove(0);
        }
        match node.frames.first_mut() {
            Some(first) => first.vars_json = thread,
            None => self.chain.push(at, frame),
        }
    }
}

/// What a panic says before its message.
struct Panic<'a> {
    thread: &'a str,
    message: &'a str,
    place: Place<'a>,
}

impl<'a> Panic<'a> {
    /// `thread 'main' (8724) panicked at src/main.rs:12:9:`, and as it was until 2023: `thread 'main' panicked at 'message', src/main.rs:12:9`
    fn read(content: &'a str) -> Option<Panic<'a>> {
        let (thread, rest) = content.strip_prefix("thread ")?.split_once(" panicked at ")?;
        let (message, place) = match rest.strip_suffix(':') {
            Some(place) => ("", place),
            None => rest.strip_prefix('\'').and_then(|rest| rest.rsplit_once("', "))?,
        };
        Some(Panic { thread, message, place: Place::read(place)? })
    }
}

fn is_backtrace(content: &str) -> bool {
    matches!(content, "stack backtrace:" | "Stack backtrace:" | "Backtrace:")
}

/// `   2: shop::Cart::charge`, `   2:     0x563522171e28 - shop::Cart::charge::h13764ff7eba61cf2`
fn read_call(line: &str) -> Option<Frame> {
    const COUNT_WIDTH: usize = 4;
    let (count, call) = line.split_once(": ")?;
    let is_aligned = count.len() >= COUNT_WIDTH || call.contains("::");
    number(count.trim_start()).filter(|_| is_aligned)?;
    Some(function(call.trim()))
}

fn function(call: &str) -> Frame {
    let (address, name) = match call.split_once(" - ") {
        Some((address, name)) if address.starts_with("0x") => (Some(address), name),
        _ => (None, call),
    };
    Frame {
        function: Some(name.to_owned()),
        vars_json: address.map(|address| labelled("address", address)),
        in_app: LIBRARY.iter().any(|start| name.starts_with(start)).then_some(false),
        ..Frame::default()
    }
}
