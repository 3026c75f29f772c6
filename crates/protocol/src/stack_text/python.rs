//! Python, with exceptions that were raised from others and groups of exceptions.
//!
//! ```text
//! Traceback (most recent call last):
//!   File "/srv/shop/app/shop.py", line 22, in checkout
//!     charge(card)
//!     ~~~~~~^^^^^^
//!   File "/srv/shop/app/shop.py", line 18, in charge
//!     raise PaymentDeclined("card declined")
//! shop.PaymentDeclined: card declined
//! ```
//!
//! Causes come first. In a group everything stands behind a margin of `| `, each member below a rule with its number.

use notice::normalise::CODE_LINES_MAX;
use notice::{CodeLine, Frame};

use super::chain::{Chain, Found, Relation};
use super::line::{class_and_message, indent, is_name, number};

/// Deepest nesting of groups that is followed.
const DEPTH_MAX: usize = 32;

pub(super) fn read(text: &str, filled_max: usize) -> Found {
    let mut reader = Reader { chain: Chain::new(filled_max), levels: vec![Level::default()], has_groups: false };
    for line in text.lines() {
        reader.line(line);
    }
    if reader.levels[0].relation.is_some() && !reader.levels[0].loose.is_empty() {
        reader.never_raised(0);
    }
    let root = reader.levels[0].last;
    reader.close(0);
    reader.chain.finish(root)
}

struct Reader<'a> {
    chain: Chain,
    /// The text without a margin or behind the first one, then one level for each group that is open.
    levels: Vec<Level<'a>>,
    has_groups: bool,
}

/// What is being read at one depth.
#[derive(Default)]
struct Level<'a> {
    state: State,
    /// The group that errors here are members of.
    group: Option<usize>,
    /// The error that was read last.
    last: Option<usize>,
    /// How that one hangs on the next.
    relation: Option<Relation>,
    /// Empty lines that belong to the message if more of it follows.
    blank_count: usize,
    /// Lines before a traceback: an exception that was never raised, if it turns out to be the cause of the next.
    loose: Vec<&'a str>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum State {
    /// No error has begun.
    #[default]
    Between,
    /// A rule has announced a member.
    Announced,
    /// Frames come.
    Frames,
    /// The message goes on.
    Message,
    /// A rule has announced that members are left out.
    LeftOut,
}

/// What a line is, behind its margin.
enum Line<'a> {
    Content(&'a str),
    /// `+---------------- 2 ----------------`
    Rule(&'a str),
    /// `+ Exception Group Traceback (most recent call last):`
    GroupBegins,
}

impl<'a> Reader<'a> {
    fn line(&mut self, line: &'a str) {
        let (depth, content) = self.margin(line);
        match content {
            Line::GroupBegins => {
                self.has_groups = true;
                self.traceback(0);
            }
            Line::Rule(rule) => self.rule(depth, rule, line),
            Line::Content(content) if depth < self.levels.len() => self.content(depth, content),
            Line::Content(_) => self.chain.keep(line),
        }
    }

    /// The depth that a line belongs to, and what stands behind its margin.
    fn margin(&self, line: &'a str) -> (usize, Line<'a>) {
        let column = indent(line);
        let rest = &line[column..];
        if column == 2 && is_traceback(rest.strip_prefix("+ ").unwrap_or_default()) {
            return (0, Line::GroupBegins);
        }
        if self.has_groups && column >= 2 && column.is_multiple_of(2) {
            let depth = column / 2 - 1;
            if let Some(content) = rest.strip_prefix("| ").or_else(|| (rest == "|").then_some("")) {
                return (depth, Line::Content(content));
            }
            if let Some(rule) = rest.strip_prefix("+-+-") {
                return (depth + 1, Line::Rule(rule));
            }
            if let Some(rule) = rest.strip_prefix("+-") {
                return (depth, Line::Rule(rule));
            }
        }
        (0, Line::Content(line))
    }

    /// Another member of a group begins, or the group ends.
    fn rule(&mut self, depth: usize, rule: &str, line: &str) {
        if depth == 0 || depth > self.levels.len() || depth > DEPTH_MAX {
            self.chain.keep(line);
            return;
        }
        self.close(depth);
        let state = match rule.trim_matches(['-', ' ']) {
            "" => return,
            "..." => State::LeftOut,
            _ => State::Announced,
        };
        let group = self.levels[depth - 1].last;
        self.levels.push(Level { state, group, ..Level::default() });
    }

    /// Ends this depth and all below it.
    fn close(&mut self, depth: usize) {
        for level in self.levels.drain(depth..) {
            level.loose.iter().for_each(|line| self.chain.keep(line));
        }
    }

    fn content(&mut self, depth: usize, content: &'a str) {
        match self.levels[depth].state {
            State::Frames => self.frame_line(depth, content),
            State::LeftOut => self.chain.keep(content),
            State::Message => self.message_line(depth, content),
            State::Announced => {
                if is_traceback(content) {
                    self.traceback(depth);
                } else if !content.trim().is_empty() {
                    self.header(depth, content);
                }
            }
            State::Between => {
                let level = &mut self.levels[depth];
                if is_traceback(content) {
                    self.traceback(depth);
                } else if let Some(relation) = read_relation(content)
                    && !level.loose.is_empty()
                {
                    self.never_raised(depth);
                    self.levels[depth].relation = Some(relation);
                } else if !content.trim().is_empty() || !level.loose.is_empty() {
                    level.loose.push(content);
                }
            }
        }
    }

    /// Frames follow.
    fn traceback(&mut self, depth: usize) {
        let loose = std::mem::take(&mut self.levels[depth].loose);
        loose.iter().for_each(|line| self.chain.keep(line));
        self.begin(depth);
        self.levels[depth].state = State::Frames;
    }

    /// The lines so far are an exception without a traceback.
    fn never_raised(&mut self, depth: usize) {
        let loose = std::mem::take(&mut self.levels[depth].loose);
        let mut lines = loose.into_iter();
        self.header(depth, lines.next().unwrap_or_default());
        lines.for_each(|line| self.message_line(depth, line));
        self.end_message(depth);
    }

    /// Another error of this depth; the one before hangs on it if the text said so.
    fn begin(&mut self, depth: usize) -> usize {
        let level = &mut self.levels[depth];
        let at = self.chain.add(level.group.map(|group| (group, Relation::Member)));
        self.chain.node(at).is_outermost_first = true;
        if let (Some(before), Some(relation)) = (level.last, level.relation.take()) {
            self.chain.hang(before, at, relation);
        }
        level.last = Some(at);
        at
    }

    fn frame_line(&mut self, depth: usize, content: &str) {
        let Some(at) = self.levels[depth].last else { return };
        if let Some(frame) = read_frame(content) {
            self.chain.push(at, frame);
        } else if let Some(code) = content.strip_prefix("    ") {
            if let Some(frame) = self.chain.node(at).frames.last_mut() {
                add_code(frame, code);
            }
        } else if let Some(count) = read_repeats(content) {
            self.chain.repeat_last(at, count);
        } else if content.starts_with(' ') {
            self.chain.keep(content);
        } else if !content.is_empty() {
            self.header(depth, content);
        }
    }

    /// Class and the first line of the message.
    fn header(&mut self, depth: usize, content: &str) {
        let at = match self.levels[depth] {
            Level { state: State::Frames, last: Some(at), .. } => at,
            _ => self.begin(depth),
        };
        let (name, message) = class_and_message(content, |class| is_name(class, &['.', '<', '>']));
        let node = self.chain.node(at);
        message.clone_into(&mut node.message);
        let (module, class) = name.map(split_module).unzip();
        node.class = class.map(str::to_owned);
        node.module = module.flatten().map(str::to_owned);
        self.levels[depth].state = State::Message;
    }

    fn message_line(&mut self, depth: usize, content: &str) {
        if content.trim().is_empty() {
            self.levels[depth].blank_count += 1;
        } else if let Some(relation) = read_relation(content)
            && self.levels[depth].blank_count > 0
        {
            self.end_message(depth);
            self.levels[depth].relation = Some(relation);
        } else if let Some(at) = self.levels[depth].last {
            let node = self.chain.node(at);
            for _ in 0..std::mem::take(&mut self.levels[depth].blank_count) {
                node.add_line("");
            }
            node.add_line(content);
        }
    }

    fn end_message(&mut self, depth: usize) {
        let level = &mut self.levels[depth];
        level.blank_count = 0;
        level.state = State::Between;
    }
}

/// Module and name of a class.
pub(crate) fn split_module(name: &str) -> (Option<&str>, &str) {
    match name.rsplit_once('.') {
        Some((module, class)) if !module.is_empty() && !class.is_empty() => (Some(module), class),
        _ => (None, name),
    }
}

fn is_traceback(content: &str) -> bool {
    let content = content.strip_prefix("Exception Group ").unwrap_or(content);
    content.trim_end() == "Traceback (most recent call last):"
}

fn read_relation(content: &str) -> Option<Relation> {
    match content.trim_end() {
        "The above exception was the direct cause of the following exception:" => Some(Relation::Cause),
        "During handling of the above exception, another exception occurred:" => Some(Relation::Context),
        _ => None,
    }
}

/// `  File "/srv/shop/app/shop.py", line 18, in charge`; without a function where the code could not even be read.
fn read_frame(content: &str) -> Option<Frame> {
    let (file, rest) = content.strip_prefix("  File \"")?.split_once("\", line ")?;
    let (line, function) = match rest.split_once(", in ") {
        Some((line, function)) => (line, Some(function)),
        None => (rest.trim_end(), None),
    };
    Some(Frame {
        file: Some(file.to_owned()),
        line: Some(number(line)?),
        function: function.map(|function| function.trim_end().to_owned()),
        ..Frame::default()
    })
}

/// `  [Previous line repeated 197 more times]`
fn read_repeats(content: &str) -> Option<usize> {
    let count = content.strip_prefix("  [Previous line repeated ")?.strip_suffix(']')?;
    let count = count.strip_suffix(" more times").or_else(|| count.strip_suffix(" more time"))?;
    Some(number(count)? as usize)
}

/// A line of the code of a frame. Lines that only mark a part of the one before, and lines that count some that are left out, are none.
fn add_code(frame: &mut Frame, code: &str) {
    let mark = code.trim();
    if mark.is_empty() || mark.bytes().all(|byte| matches!(byte, b'^' | b'~' | b' ')) {
        return;
    }
    let next = frame.code.last().map(|code| code.line + 1).or(frame.line).unwrap_or_default();
    let left_out = mark.strip_prefix("...<").and_then(|mark| mark.strip_suffix(" lines>...")).and_then(number);
    if frame.code.len() == CODE_LINES_MAX {
        return;
    }
    if let Some(count) = left_out {
        // The dots stand for all of them.
        frame.code.push(CodeLine { line: next.saturating_add(count.saturating_sub(1)), text: mark.to_owned() });
    } else {
        frame.code.push(CodeLine { line: next, text: code.to_owned() });
    }
}
