//! What was taken from a request.

use std::borrow::Cow;
use std::collections::{HashMap, VecDeque};

use notice::json_tree::Tree;
use notice::{Notice, Trace};

use super::context;
use super::exception::{self, Exception};
use super::identity;
use super::protobuf::UNREADABLE;
use super::record::{Entries, Event, LogRecord, Span};
use super::request::Details;
use super::resource::Origin;
use super::severity::severity;
use crate::json::part;
use crate::{ParseError, Parsed};

/// Most events of a span that are kept as what happened before its exception.
const BREADCRUMBS_MAX: usize = 50;

/// Most notices of a small request. A larger one may have one more for every so many bytes: no exception is told in less.
const NOTICES_MIN: usize = 1_000;
const NOTICE_BYTES_MIN: usize = 64;

/// Most frames of all notices of a request that are put in where a stack trace only counts them.
const FILLED_FRAMES_MAX: usize = 50_000;

/// How many bytes the notices of a request may share, however small it is: each has a copy of what its resource and its span say.
const SHARED_BYTES_MIN: usize = 4 * 1024 * 1024;

/// How many times its own size that may be.
const SHARED_TIMES_MAX: usize = 4;

const TOO_MANY: &str = "too many exceptions for the size of the request";

/// What a request brought.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Taken {
    /// Its exceptions, each with an id that it has also when it is sent again.
    pub notices: Vec<Parsed>,
    /// How many spans there were.
    pub span_count: u64,
    /// How many records of logs.
    pub log_count: u64,
    /// How many data points of metrics.
    pub data_point_count: u64,
    /// How many records were not taken.
    pub refused_count: u64,
    /// Why not, for the client.
    pub refused_reason: &'static str,
}

/// Takes record after record.
pub(super) struct Taking {
    pub(super) taken: Taken,
    notices_max: usize,
    filled_left: usize,
    /// How often a record of a log that is in no trace was there already.
    equal_logs: HashMap<String, usize>,
    /// How often an exception of a trace was there already: among the events of the span that is being read, or among what
    /// one logger told. Two loggers of which one logs what the other has logged and passed on tell of the same exception.
    equal_in_trace: HashMap<(u128, u128), usize>,
    /// For the fields that notices share.
    fields: Room,
    /// For the contexts that notices share.
    details: Room,
}

/// How many bytes there is room for.
struct Room(usize);

impl Room {
    fn take(&mut self, bytes: usize) -> bool {
        let left = self.0.checked_sub(bytes);
        self.0 = left.unwrap_or(self.0);
        left.is_some()
    }
}

/// What is particular to one exception.
struct Parts<'a> {
    exception: Exception<'a>,
    details: Details<'a>,
    contexts: Vec<(&'static str, Option<Tree<'a>>)>,
    breadcrumbs_json: Option<String>,
    trace_id: Option<String>,
    span_id: Option<String>,
    severity: Option<String>,
    occurred_at_us: Option<i64>,
    is_log: bool,
    notes: Vec<String>,
}

impl Taking {
    /// Begins with a request of this size.
    pub(super) fn new(body_bytes: usize) -> Taking {
        let shared = SHARED_BYTES_MIN + SHARED_TIMES_MAX * body_bytes;
        Taking {
            taken: Taken::default(),
            notices_max: NOTICES_MIN + body_bytes / NOTICE_BYTES_MIN,
            filled_left: FILLED_FRAMES_MAX,
            equal_logs: HashMap::new(),
            equal_in_trace: HashMap::new(),
            fields: Room(shared),
            details: Room(shared),
        }
    }

    /// Counts a record that is not taken.
    pub(super) fn refuse(&mut self, reason: &'static str) {
        self.taken.refused_count += 1;
        self.taken.refused_reason = reason;
    }

    /// What was taken; an error if nothing in the request could be read.
    pub(super) fn finish(self) -> Result<Taken, ParseError> {
        let taken = self.taken;
        let record_count = taken.span_count + taken.log_count + taken.data_point_count;
        if taken.refused_count > 0 && taken.refused_count >= record_count && taken.refused_reason == UNREADABLE {
            return Err(ParseError::Malformed("no record of the request could be read".to_owned()));
        }
        Ok(taken)
    }

    /// Takes the exceptions of a span, which is `raw` on the wire. Events come with notes of their own, or not at all if they cannot be read.
    pub(super) fn span<'a>(
        &mut self,
        span: Span<'a>,
        raw: &[u8],
        events: impl Iterator<Item = Option<(Event<'a>, Vec<String>)>>,
        origin: &Origin,
    ) {
        self.equal_in_trace.clear();
        let is_outgoing = span.is_outgoing();
        let mut facts = span.facts;
        if !span.links.is_empty() {
            facts.push((Cow::Borrowed("links"), Tree::List(span.links)));
        }
        let mut crumbs: VecDeque<String> = VecDeque::new();
        for (at, event) in events.enumerate() {
            let Some((mut event, mut notes)) = event else {
                self.refuse(UNREADABLE);
                continue;
            };
            if !exception::is_told_by(&event) {
                if crumbs.len() == BREADCRUMBS_MAX {
                    crumbs.pop_front();
                }
                crumbs.push_back(context::breadcrumb(event));
                continue;
            }
            if event.name != exception::NAME {
                event.facts.push((Cow::Borrowed("name"), Tree::Text(event.name)));
            }
            let (exception, rest) = split(event.attributes);
            let mut details = Details::default();
            let rest = details.add(rest, is_outgoing);
            let mut contexts = vec![("exception", context::of(event.facts, rest))];
            let mut breadcrumbs_json = None;
            if self.details.take(raw.len() + crumbs.iter().map(String::len).sum::<usize>()) {
                let rest = details.add(span.attributes.clone(), is_outgoing);
                contexts.push(("span", context::of(facts.clone(), rest)));
                let crumbs = crumbs.iter().map(String::as_str).collect::<Vec<_>>().join(",");
                breadcrumbs_json = (!crumbs.is_empty()).then(|| format!("[{crumbs}]"));
            } else {
                notes.push("span: left out, because the notices of the request share too much".to_owned());
            }
            notes.extend_from_slice(&span.notes);
            let parts = Parts {
                exception,
                details,
                contexts,
                breadcrumbs_json,
                trace_id: span.trace_id.clone(),
                span_id: span.span_id.clone(),
                severity: Some("error".to_owned()),
                occurred_at_us: event.at_us.or(span.ended_at_us),
                is_log: false,
                notes,
            };
            self.push(parts, raw, at, origin);
        }
    }

    /// Takes a record of a log, which is `raw` on the wire.
    pub(super) fn log(&mut self, record: LogRecord<'_>, raw: &[u8], origin: &Origin) {
        let (exception, rest) = split(record.attributes);
        let mut details = Details::default();
        let rest = details.add(rest, false);
        let severity = severity(record.severity_number, record.severity_text.as_deref());
        let mut facts = record.facts;
        if let Some(text) = record.severity_text.filter(|text| !text.is_empty()) {
            facts.push((Cow::Borrowed("severity_text"), Tree::Text(text)));
        }
        if record.severity_number > 0 {
            facts.push((Cow::Borrowed("severity_number"), super::record::number(record.severity_number)));
        }
        let parts = Parts {
            exception,
            details,
            contexts: vec![("log", context::of(facts, rest))],
            breadcrumbs_json: None,
            trace_id: record.trace_id,
            span_id: record.span_id,
            severity,
            occurred_at_us: record.at_us.or(record.observed_at_us),
            is_log: true,
            notes: record.notes,
        };
        self.push(parts, raw, 0, origin);
    }

    fn push(&mut self, mut parts: Parts<'_>, raw: &[u8], at: usize, origin: &Origin) {
        if self.taken.notices.len() >= self.notices_max {
            self.refuse(TOO_MANY);
            return;
        }
        let mut notice = Notice { protocol: "otlp".to_owned(), ..Notice::default() };
        let mut tags = Vec::new();
        let mut contexts = Vec::new();
        notice.notes = parts.notes;
        if self.fields.take(origin.fields_bytes()) {
            origin.set_fields(&mut notice, &mut tags);
        } else {
            notice.notes.push("resource: left out, because the notices of the request share too much".to_owned());
        }
        if self.details.take(origin.details_bytes()) {
            contexts = origin.set_details(&mut notice, parts.is_log);
        } else {
            notice
                .notes
                .push("contexts: some were left out, because the notices of the request share too much".to_owned());
        }
        for (name, context) in parts.contexts {
            contexts.extend(part(context).map(|context| (name, context)));
        }
        notice.contexts_json = context::join(&contexts);

        let [class, message, stack] = parts.exception.identity();
        let client_id = match &parts.trace_id {
            Some(trace_id) => {
                // A loop that fails in one span fails each time alike. The n-th event and the n-th record are twins.
                let span_id = parts.span_id.as_deref().unwrap_or_default();
                let id = identity::in_trace(trace_id, span_id, parts.occurred_at_us, [&class, &message, &stack]);
                let before = self.equal_in_trace.entry((origin.scope_hash(), id)).or_default();
                *before += 1;
                identity::numbered(id, *before - 1)
            }
            None if parts.is_log => {
                // Clocks of JavaScript count milliseconds: what a loop logs is the same to the byte.
                let first = origin.identity(raw, at);
                let before = self.equal_logs.entry(first.clone()).or_default();
                *before += 1;
                if *before == 1 { first } else { origin.identity(raw, at + *before - 1) }
            }
            None => origin.identity(raw, at),
        };
        notice.client_id = Some(client_id);
        notice.occurred_at_us = parts.occurred_at_us;
        notice.severity = parts.severity;
        notice.breadcrumbs_json = parts.breadcrumbs_json;
        notice.request = parts.details.request();
        notice.user = parts.details.user();
        tags.append(&mut parts.details.tags);
        notice.tags_json = part(Some(Tree::map(tags)));
        if parts.trace_id.is_some() || parts.span_id.is_some() {
            notice.trace = Some(Trace { trace_id: parts.trace_id, span_id: parts.span_id });
        }

        let told = parts.exception.tell(origin.language(), self.filled_left);
        self.filled_left -= told.filled_count;
        notice.errors = told.errors;
        notice.extra_json = part(Some(Tree::map(told.extra)));
        notice.language = notice.language.or_else(|| told.language.map(str::to_owned));
        notice.notes.extend(told.notes);
        self.taken.notices.push(Parsed { notice, ..Parsed::default() });
    }
}

/// The exception among attributes, and the others.
fn split(attributes: Entries<'_>) -> (Exception<'_>, Entries<'_>) {
    let mut exception = Exception::default();
    let rest = attributes
        .into_iter()
        .filter_map(|(key, value)| exception.take(&key, value).map(|value| (key, value)))
        .collect();
    (exception, rest)
}
