//! What a request says, in whichever encoding.

use std::borrow::Cow;

use notice::json_tree::Tree;

use crate::timestamp::legible;

/// Names and values.
pub(super) type Entries<'a> = Vec<(Cow<'a, str>, Tree<'a>)>;

/// What sent it: a program on a machine.
#[derive(Default)]
pub(super) struct Resource<'a> {
    pub(super) attributes: Entries<'a>,
    /// What else is said of it.
    pub(super) facts: Entries<'a>,
}

/// The library, or the logger, that made a record.
#[derive(Default)]
pub(super) struct Scope<'a> {
    pub(super) name: Option<Cow<'a, str>>,
    /// Its version and attributes.
    pub(super) facts: Entries<'a>,
    pub(super) notes: Vec<String>,
}

/// An operation.
#[derive(Default)]
pub(super) struct Span<'a> {
    pub(super) trace_id: Option<String>,
    pub(super) span_id: Option<String>,
    pub(super) kind: u64,
    /// When it ended, in Unix microseconds.
    pub(super) ended_at_us: Option<i64>,
    pub(super) attributes: Entries<'a>,
    pub(super) facts: Entries<'a>,
    pub(super) links: Vec<Tree<'a>>,
    pub(super) notes: Vec<String>,
}

/// Something that happened in a span.
#[derive(Default)]
pub(super) struct Event<'a> {
    pub(super) name: Cow<'a, str>,
    pub(super) at_us: Option<i64>,
    pub(super) attributes: Entries<'a>,
    pub(super) facts: Entries<'a>,
}

/// A record of a log.
#[derive(Default)]
pub(super) struct LogRecord<'a> {
    pub(super) trace_id: Option<String>,
    pub(super) span_id: Option<String>,
    pub(super) at_us: Option<i64>,
    pub(super) observed_at_us: Option<i64>,
    pub(super) severity_number: u64,
    pub(super) severity_text: Option<Cow<'a, str>>,
    pub(super) attributes: Entries<'a>,
    pub(super) facts: Entries<'a>,
    pub(super) notes: Vec<String>,
}

impl<'a> Span<'a> {
    /// Another span called this one, and waits for it.
    pub(super) fn is_outgoing(&self) -> bool {
        const CLIENT: u64 = 3;
        const PRODUCER: u64 = 4;
        matches!(self.kind, CLIENT | PRODUCER)
    }

    pub(super) fn set_kind(&mut self, kind: u64) {
        self.kind = kind;
        let name = match kind {
            0 => return,
            1 => "internal",
            2 => "server",
            3 => "client",
            4 => "producer",
            5 => "consumer",
            _ => {
                self.facts.push((Cow::Borrowed("kind"), number(kind)));
                return;
            }
        };
        self.facts.push((Cow::Borrowed("kind"), Tree::Text(Cow::Borrowed(name))));
    }

    /// What came of it.
    pub(super) fn set_status(&mut self, code: u64, message: Option<Tree<'a>>) {
        let name = match code {
            0 => None,
            1 => Some(Tree::Text(Cow::Borrowed("ok"))),
            2 => Some(Tree::Text(Cow::Borrowed("error"))),
            _ => Some(number(code)),
        };
        let named = [("code", name), ("message", message)].map(|(key, value)| Some((Cow::Borrowed(key), value?)));
        let entries: Entries<'_> = named.into_iter().flatten().collect();
        if !entries.is_empty() {
            self.facts.push((Cow::Borrowed("status"), Tree::map(entries)));
        }
    }
}

/// Unix microseconds of nanoseconds; none of a time that was not set.
pub(super) fn micros(nanos: u64) -> Option<i64> {
    (nanos > 0).then_some((nanos / 1_000) as i64)
}

/// Nanoseconds since 1970, as people read them.
pub(super) fn moment(nanos: u64) -> Tree<'static> {
    let seconds = format!("{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000);
    legible(Tree::Number(Cow::Owned(seconds)))
}

/// The fact that something was at that time, if the time was set.
pub(super) fn told(name: &'static str, nanos: u64) -> Option<(Cow<'static, str>, Tree<'static>)> {
    (nanos > 0).then(|| (Cow::Borrowed(name), moment(nanos)))
}

pub(super) fn number(number: u64) -> Tree<'static> {
    Tree::Number(Cow::Owned(number.to_string()))
}

/// The identity of a trace or span, unless it is one that stands for none.
pub(super) fn identity(hex: &str) -> Option<String> {
    let hex = hex.trim();
    (!hex.bytes().all(|digit| digit == b'0')).then(|| hex.to_ascii_lowercase())
}
