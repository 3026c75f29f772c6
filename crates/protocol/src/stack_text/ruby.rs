//! Ruby, in both orders that it prints, and backtraces without an error.
//!
//! ```text
//! /srv/shop/app/shop.rb:23:in `charge': card declined (Shop::PaymentDeclined)
//!     from /srv/shop/app/shop.rb:27:in `checkout'
//! ```
//!
//! With the last call at the end (`Traceback (most recent call last):`) causes come first, and each line is numbered.

use notice::Frame;

use super::chain::{Chain, Found, Relation};
use super::line::{class_and_message, is_name, number};

pub(super) fn read(text: &str, filled_max: usize) -> Found {
    let mut reader = Reader {
        chain: Chain::new(filled_max),
        callers: Vec::new(),
        is_bottom: false,
        is_plain: false,
        is_cause_next: false,
        is_in_message: false,
    };
    for line in text.lines() {
        reader.line(line);
    }
    let root = if reader.is_bottom { reader.chain.last() } else { Some(0) };
    // Calls that no error follows.
    if !reader.callers.is_empty() {
        let at = reader.chain.last_or_first();
        reader.take_callers(at);
    }
    reader.chain.finish(root)
}

struct Reader {
    chain: Chain,
    /// Calls that stand before their error, outermost first.
    callers: Vec<Frame>,
    /// Whether the last call is at the end.
    is_bottom: bool,
    /// Whether it is a backtrace alone.
    is_plain: bool,
    is_cause_next: bool,
    is_in_message: bool,
}

impl Reader {
    fn line(&mut self, line: &str) {
        let content = line.trim();
        if content == "Traceback (most recent call last):" {
            self.is_bottom = true;
        } else if let Some(frame) = content.strip_prefix("from ").and_then(read_call) {
            let at = self.chain.last_or_first();
            self.chain.push(at, frame);
            self.is_in_message = false;
        } else if let Some(frame) = read_numbered(content) {
            self.is_bottom = true;
            self.is_in_message = false;
            self.callers.push(frame);
        } else if let Some((frame, text)) = read_header(line).filter(|(_, text)| !text.is_empty()) {
            self.error(frame, text, line);
        } else if let Some(frame) = read_call(content).filter(|_| !self.is_in_message || self.is_plain) {
            self.is_plain = true;
            self.is_in_message = false;
            let at = self.chain.last_or_first();
            self.chain.push(at, frame);
        } else if let Some(rest) = content.strip_prefix("Caused by:").or_else(|| content.strip_prefix("Causes:")) {
            self.is_cause_next = true;
            self.is_in_message = false;
            if !rest.trim().is_empty() {
                self.bare_header(rest.trim());
            }
        } else if self.is_in_message && !is_levels(content) {
            let at = self.chain.last_or_first();
            self.chain.node(at).add_line(line);
        } else if (self.is_cause_next || self.chain.last().is_none()) && !content.is_empty() {
            self.bare_header(content);
        } else {
            self.chain.keep(line);
        }
    }

    /// An error with the place that it was raised at.
    fn error(&mut self, frame: Frame, text: &str, line: &str) {
        let (class, message) = class_behind(text);
        if self.is_in_message && class.is_none() {
            let at = self.chain.last_or_first();
            self.chain.node(at).add_line(line);
            return;
        }
        let before = self.chain.last();
        let at = self.chain.add(before.filter(|_| !self.is_bottom).map(|before| (before, Relation::Cause)));
        if self.is_bottom
            && let Some(before) = before
        {
            self.chain.hang(before, at, Relation::Cause);
        }
        let node = self.chain.node(at);
        node.class = class.map(str::to_owned);
        message.clone_into(&mut node.message);
        self.chain.push(at, frame);
        self.take_callers(at);
        self.is_in_message = true;
    }

    fn take_callers(&mut self, at: usize) {
        let callers = std::mem::take(&mut self.callers);
        callers.into_iter().rev().for_each(|frame| self.chain.push(at, frame));
    }

    /// `Shop::CheckoutError: checkout failed` or `Shop::CheckoutError (checkout failed)`, as logs have it.
    fn bare_header(&mut self, content: &str) {
        let before = self.chain.last().filter(|_| self.is_cause_next);
        let at = self.chain.add(before.map(|before| (before, Relation::Cause)));
        let in_brackets = content.split_once(" (").filter(|(class, _)| is_class(class));
        let (class, message) = match in_brackets {
            Some((class, message)) => {
                let message = message.strip_suffix(':').unwrap_or(message);
                (Some(class), message.strip_suffix(')').unwrap_or(message))
            }
            None => class_and_message(content, is_class),
        };
        let node = self.chain.node(at);
        node.class = class.map(str::to_owned);
        message.clone_into(&mut node.message);
        self.is_cause_next = false;
        self.is_in_message = true;
        self.is_plain = true;
    }
}

fn is_class(text: &str) -> bool {
    is_name(text, &[':']) && text.starts_with(char::is_uppercase)
}

/// ` ... 10907 levels...`
fn is_levels(content: &str) -> bool {
    content.starts_with("... ") && content.ends_with(" levels...")
}

/// `2: from /srv/shop/app/shop.rb:50:in `nested'`
fn read_numbered(content: &str) -> Option<Frame> {
    let (count, call) = content.split_once(": from ")?;
    number(count)?;
    read_call(call)
}

/// `/srv/shop/app/shop.rb:23:in `charge': card declined (Shop::PaymentDeclined)`: the place, and what follows it.
fn read_header(line: &str) -> Option<(Frame, &str)> {
    let (place, rest) = line.split_once(":in `").or_else(|| line.split_once(":in '"))?;
    if place.is_empty() || place.starts_with([' ', '\t']) {
        return None;
    }
    let (function, text) = rest.split_once('\'')?;
    let text = if text.is_empty() { "" } else { text.strip_prefix(": ")? };
    Some((frame_at(place, Some(function))?, text))
}

/// `/srv/shop/app/shop.rb:27:in 'Shop::Cart#checkout'`, or the place alone.
fn read_call(content: &str) -> Option<Frame> {
    if let Some((frame, text)) = read_header(content) {
        return text.is_empty().then_some(frame);
    }
    let (file, line) = content.rsplit_once(':')?;
    number(line)?;
    // A place without a function is a line of a backtrace only if it looks like a file.
    if !file.ends_with(".rb") && !file.ends_with(')') {
        return None;
    }
    frame_at(content, None)
}

fn frame_at(place: &str, function: Option<&str>) -> Option<Frame> {
    let (file, line) = match place.rsplit_once(':') {
        Some((file, line)) if !file.is_empty() => (file, Some(number(line)?)),
        // `-e:in 'Kernel.eval'`
        _ if place == "-e" => (place, None),
        _ => return None,
    };
    Some(Frame {
        file: Some(file.to_owned()),
        line: line.filter(|line| *line > 0),
        function: function.map(str::to_owned),
        ..Frame::default()
    })
}

/// `card declined (Shop::PaymentDeclined)` in its parts. Of an empty message only the class is told.
fn class_behind(text: &str) -> (Option<&str>, &str) {
    let in_brackets = text.strip_suffix(')').and_then(|text| text.rsplit_once('('));
    match in_brackets {
        Some((message, class)) if is_class(class) => (Some(class), message.strip_suffix(' ').unwrap_or(message)),
        _ if is_class(text) => (Some(text), ""),
        _ => (None, text),
    }
}
