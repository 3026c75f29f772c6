//! JavaScript: stacks as V8, Firefox and Safari write them, and errors as node shows them.
//!
//! ```text
//! CheckoutError: checkout of cart 4711 failed
//!     at checkout (/srv/shop/app/shop.js:44:11)
//!     ... 6 lines matching cause stack trace ...
//!     at async main (/srv/shop/app/main.js:50:7) {
//!   [cause]: PaymentDeclined: card declined
//!       at charge (/srv/shop/app/shop.js:52:11)
//! }
//! ```

use notice::Frame;

use super::chain::{Chain, Found, Relation};
use super::line::{Place, class_and_message, indent, is_name, labelled, number};

/// Most lines before an uncaught error's name that show where it was thrown.
const SHOWN_LINES_MAX: usize = 6;

pub(super) fn read(text: &str, filled_max: usize) -> Found {
    let mut reader = Reader { chain: Chain::new(filled_max), open: Vec::new(), header: Vec::new(), gaps: Vec::new() };
    for line in text.lines() {
        reader.line(line);
    }
    reader.header.iter().for_each(|line| reader.chain.keep(line));
    reader.fill_gaps();
    reader.chain.finish(Some(0))
}

struct Reader<'a> {
    chain: Chain,
    /// Errors that later ones can hang on.
    open: Vec<Open>,
    /// Lines that are the beginning of the first error if a frame follows.
    header: Vec<&'a str>,
    /// Where frames are left out that the cause has, too: the error, how many it had before, how many are missing.
    gaps: Vec<(usize, usize, usize)>,
}

#[derive(Clone, Copy)]
struct Open {
    indent: usize,
    at: usize,
    is_in_message: bool,
    /// Whether its members follow.
    has_members: bool,
}

impl<'a> Reader<'a> {
    fn line(&mut self, line: &'a str) {
        let depth = indent(line);
        let content = line[depth..].trim_end();
        if let Some(frame) = read_frame(content) {
            self.frame(frame);
        } else if let Some(count) = read_gap(content) {
            self.gap(count);
        } else if let Some(header) = content.strip_prefix("[cause]: ") {
            self.begin(depth, Relation::Cause, header);
        } else if content == "[errors]: [" {
            self.close(depth);
            self.first();
            if let Some(open) = self.open.last_mut() {
                open.has_members = true;
            }
        } else if let Some(header) = read_cause(content).filter(|_| !self.open.is_empty()) {
            self.begin(depth, Relation::Cause, header);
        } else if self.open.is_empty() {
            self.header.push(line);
        } else if self.is_member(depth, content) {
            self.begin(depth, Relation::Member, content);
        } else if let Some(open) = self.open.last().filter(|open| open.is_in_message) {
            let margin = depth.min(open.indent);
            self.chain.node(open.at).add_line(&line[margin..]);
        } else if !content.bytes().all(|byte| matches!(byte, b'{' | b'}' | b'[' | b']' | b',')) {
            self.chain.keep(line);
        }
    }

    fn is_member(&self, depth: usize, content: &str) -> bool {
        let is_member = |open: &Open| open.has_members && depth == open.indent + 4;
        !content.starts_with([']', '}', ',']) && self.open.iter().rev().take(2).any(is_member)
    }

    fn frame(&mut self, frame: Frame) {
        self.first();
        let Some(open) = self.open.last_mut() else { return };
        open.is_in_message = false;
        self.chain.push(open.at, frame);
    }

    fn gap(&mut self, count: usize) {
        self.first();
        if let Some(open) = self.open.last()
            && self.gaps.last().is_none_or(|(at, ..)| *at != open.at)
        {
            let before = self.chain.node(open.at).frames.len();
            self.gaps.push((open.at, before, count));
        }
    }

    /// Lines so far were the beginning of the first error.
    fn first(&mut self) {
        if !self.open.is_empty() {
            return;
        }
        let header = std::mem::take(&mut self.header);
        let at = self.chain.add(None);
        let mark = |line: &&str| line.contains('^') && line.bytes().all(|byte| matches!(byte, b'^' | b' ' | b'\t'));
        let shown = header.iter().take(SHOWN_LINES_MAX).position(mark).map_or(0, |mark| mark + 1);
        let shown = shown + header[shown..].iter().take_while(|line| line.trim().is_empty()).count();
        header[..shown].iter().for_each(|line| self.chain.keep(line));
        let mut lines = header[shown..].iter();
        let first = lines.next().copied().unwrap_or_default();
        let first =
            ["Uncaught (in promise) ", "Uncaught "].iter().find_map(|mark| first.strip_prefix(mark)).unwrap_or(first);
        self.set_header(at, first);
        lines.for_each(|line| self.chain.node(at).add_line(line));
        self.open.push(Open { indent: indent(first), at, is_in_message: true, has_members: false });
    }

    fn begin(&mut self, depth: usize, relation: Relation, header: &str) {
        self.close(depth);
        self.first();
        let parent = self.open.last().map(|open| (open.at, relation));
        let at = self.chain.add(parent);
        self.set_header(at, header);
        self.open.push(Open { indent: depth, at, is_in_message: true, has_members: false });
    }

    /// Errors that are indented as far or further can have nothing more.
    fn close(&mut self, depth: usize) {
        while self.open.len() > 1 && self.open.last().is_some_and(|open| open.indent >= depth) {
            self.open.pop();
        }
    }

    fn set_header(&mut self, at: usize, header: &str) {
        let header = header.trim();
        let header = header.strip_suffix(" {").unwrap_or(header);
        let header = header.strip_prefix('[').and_then(|header| header.strip_suffix(']')).unwrap_or(header);
        let node = self.chain.node(at);
        if let Some((class, code, message)) = read_coded(header) {
            node.class = Some(class.to_owned());
            node.code = Some(code.to_owned());
            message.clone_into(&mut node.message);
            return;
        }
        let (class, message) = class_and_message(header, |class| is_name(class, &['.', '$']));
        node.class = class.map(str::to_owned);
        message.clone_into(&mut node.message);
    }

    /// Takes from each cause what its error left out because both have it.
    fn fill_gaps(&mut self) {
        for (at, before, count) in std::mem::take(&mut self.gaps).into_iter().rev() {
            let filled = self.chain.fill_from_cause(at, before, count);
            self.chain.count_filled(filled, count);
        }
    }
}

/// `TypeError [ERR_INVALID_ARG_TYPE]: message`
fn read_coded(header: &str) -> Option<(&str, &str, &str)> {
    let (class, rest) = header.split_once(" [")?;
    let (code, message) = rest.split_once(']')?;
    let message = if message.is_empty() { message } else { message.strip_prefix(": ")? };
    (is_name(class, &['.']) && is_name(code, &[])).then_some((class, code, message))
}

fn read_cause(content: &str) -> Option<&str> {
    content.strip_prefix("Caused by: ").or_else(|| content.strip_prefix("caused by: "))
}

/// `... 6 lines matching cause stack trace ...`
fn read_gap(content: &str) -> Option<usize> {
    let count = content.strip_prefix("... ")?.strip_suffix(" lines matching cause stack trace ...")?;
    Some(number(count)? as usize)
}

fn read_frame(content: &str) -> Option<Frame> {
    let content = content.strip_suffix(" {").unwrap_or(content);
    let content = content.strip_suffix(',').unwrap_or(content);
    match content.strip_prefix("at ") {
        Some(call) => read_v8(call),
        None => read_firefox(content),
    }
}

/// `async Object.checkout [as pay] (/srv/shop/app/shop.js:64:3)`, or a place alone.
fn read_v8(call: &str) -> Option<Frame> {
    let Some((function, place)) = call.strip_suffix(')').and_then(|call| call.split_once(" (")) else {
        let place = call.strip_prefix("async ").unwrap_or(call);
        return Some(Place::read(place).filter(|place| place.column.is_some())?.frame(None));
    };
    if let Some(origin) = place.strip_prefix("eval at ") {
        return Some(Frame { vars_json: Some(labelled("eval", place)), ..evaluated(origin)?.frame(Some(function)) });
    }
    let place = place.strip_prefix("address at ").unwrap_or(place);
    if let Some(place) = Place::read(place) {
        return Some(place.frame(Some(function)));
    }
    let is_index = place.strip_prefix("index ").is_some_and(|index| number(index).is_some());
    match place {
        // A part of the engine.
        "<anonymous>" | "native" | "native code" | "unknown location" => Some(builtin(function)),
        _ if is_index => Some(Frame { vars_json: Some(labelled("place", place)), ..builtin(function) }),
        _ if place.starts_with("wasm://") => {
            Some(Frame { file: Some(place.to_owned()), function: Some(function.to_owned()), ..Frame::default() })
        }
        _ => None,
    }
}

fn builtin(function: &str) -> Frame {
    Frame { function: Some(function.to_owned()), in_app: Some(false), ..Frame::default() }
}

/// The innermost place of `evaluated (/srv/shop/app/shop.js:110:5), <anonymous>:2:3`: what was evaluated has no file of its own.
fn evaluated(origin: &str) -> Option<Place<'_>> {
    let (_, place) = origin.rsplit_once('(')?;
    Place::read(place.split_once(')')?.0)
}

/// `checkout@https://shop.example/app.js:44:11`
fn read_firefox(content: &str) -> Option<Frame> {
    const FUNCTION_BYTES_MAX: usize = 512;
    let (function, place) = content.split_once('@')?;
    if function.len() > FUNCTION_BYTES_MAX || function.contains(": ") {
        return None;
    }
    let function = (!function.is_empty()).then_some(function);
    if place == "[native code]" {
        return Some(builtin(function.unwrap_or_default()));
    }
    if let Some((file, evaluated)) = place.split_once(" line ") {
        let (line, _) = evaluated.split_once(" > ")?;
        let place = Place { file, line: number(line)?, column: None };
        return Some(Frame { vars_json: Some(labelled("eval", evaluated)), ..place.frame(function) });
    }
    let place = Place::read(place)?;
    let is_file = (place.file.contains('/') || place.file.ends_with(".js")) && !place.file.contains(' ');
    (is_file || place.file == "debugger eval code").then(|| place.frame(function))
}
