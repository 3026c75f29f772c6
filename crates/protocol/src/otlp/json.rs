//! Requests in JSON: ids are hexadecimal, 64-bit integers are strings or numbers, enums are numbers.
//!
//! The outline is read first, with each record as its text; only those that can be exceptions are looked into.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use notice::json_tree::{self, Tree};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::attributes::{of_json, plain};
use super::identity::hash;
use super::protobuf::UNREADABLE;
use super::record::{Entries, Event, LogRecord, Resource, Scope, Span, identity, micros, told};
use super::resource::{Origin, Sender};
use super::taken::{Taken, Taking};
use crate::ParseError;

/// What the definition calls the values that the protocol numbers.
const KINDS: [&str; 6] = [
    "SPAN_KIND_UNSPECIFIED",
    "SPAN_KIND_INTERNAL",
    "SPAN_KIND_SERVER",
    "SPAN_KIND_CLIENT",
    "SPAN_KIND_PRODUCER",
    "SPAN_KIND_CONSUMER",
];
const STATUSES: [&str; 3] = ["STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR"];
const SEVERITIES: [&str; 6] = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"];

/// What stands in every record that is an exception.
const EXCEPTION: &str = "exception";

/// The outline of a request, under the names that it has for each kind of record: first those of the protocol, then those of its
/// definition, which some that write JSON take as they are. Until 2022 a scope was a library.
macro_rules! outline {
    (
        $module:ident,
        resources: $resources:literal | $plain_resources:literal,
        scopes: $scopes:literal | $plain_scopes:literal,
        libraries: $libraries:literal | $plain_libraries:literal,
        records: $records:literal $(| $plain_records:literal)*
    ) => {
        mod $module {
            use serde::Deserialize;
            use serde_json::value::RawValue;

            #[derive(Deserialize)]
            pub(super) struct Request<'a> {
                #[serde(borrow, rename = $resources, alias = $plain_resources)]
                pub(super) resources: Option<Vec<ResourceGroup<'a>>>,
            }

            #[derive(Deserialize)]
            pub(super) struct ResourceGroup<'a> {
                #[serde(borrow)]
                pub(super) resource: Option<&'a RawValue>,
                #[serde(borrow, rename = $scopes, alias = $plain_scopes)]
                pub(super) scopes: Option<Vec<ScopeGroup<'a>>>,
                #[serde(borrow, rename = $libraries, alias = $plain_libraries)]
                pub(super) libraries: Option<Vec<ScopeGroup<'a>>>,
                #[serde(borrow, rename = "schemaUrl", alias = "schema_url")]
                pub(super) schema_url: Option<&'a RawValue>,
            }

            #[derive(Deserialize)]
            pub(super) struct ScopeGroup<'a> {
                #[serde(borrow, alias = "instrumentationLibrary", alias = "instrumentation_library")]
                pub(super) scope: Option<&'a RawValue>,
                #[serde(borrow, rename = $records $(, alias = $plain_records)*)]
                pub(super) records: Option<Vec<&'a RawValue>>,
                #[serde(borrow, rename = "schemaUrl", alias = "schema_url")]
                pub(super) schema_url: Option<&'a RawValue>,
            }

            /// Calls for each record of each scope of each resource.
            pub(in super::super) fn each_record(
                body: &[u8],
                take: &mut dyn FnMut(&mut super::Group<'_>, &str),
            ) -> Result<(), crate::ParseError> {
                let text = crate::json::text_of(body, &mut Vec::new());
                let request: Request<'_> = super::outline_of(&text)?;
                for resource in request.resources.unwrap_or_default() {
                    let sender = std::cell::OnceCell::new();
                    let of_resource = super::Shared::new(resource.resource, resource.schema_url);
                    for scope in [resource.scopes, resource.libraries].into_iter().flatten().flatten() {
                        let mut group = super::Group {
                            resource: of_resource,
                            sender: &sender,
                            scope: super::Shared::new(scope.scope, scope.schema_url),
                            origin: None,
                        };
                        scope.records.unwrap_or_default().iter().for_each(|record| take(&mut group, record.get()));
                    }
                }
                Ok(())
            }
        }
    };
}

outline!(
    spans,
    resources: "resourceSpans" | "resource_spans",
    scopes: "scopeSpans" | "scope_spans",
    libraries: "instrumentationLibrarySpans" | "instrumentation_library_spans",
    records: "spans"
);
outline!(
    log_records,
    resources: "resourceLogs" | "resource_logs",
    scopes: "scopeLogs" | "scope_logs",
    libraries: "instrumentationLibraryLogs" | "instrumentation_library_logs",
    records: "logRecords" | "log_records" | "logs"
);
outline!(
    metrics,
    resources: "resourceMetrics" | "resource_metrics",
    scopes: "scopeMetrics" | "scope_metrics",
    libraries: "instrumentationLibraryMetrics" | "instrumentation_library_metrics",
    records: "metrics"
);

fn outline_of<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, ParseError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim().is_empty() {
        return Err(ParseError::Empty);
    }
    serde_json::from_str(text)
        .map_err(|error| ParseError::Malformed(format!("the body is not a request of OpenTelemetry in JSON: {error}")))
}

/// Reads an `ExportTraceServiceRequest`.
pub(super) fn traces(body: &[u8]) -> Result<Taken, ParseError> {
    let mut taking = Taking::new(body.len());
    spans::each_record(body, &mut |group, span| {
        taking.taken.span_count += 1;
        if span.contains(EXCEPTION) && take_span(span, group, &mut taking).is_none() {
            taking.refuse(UNREADABLE);
        }
    })?;
    taking.finish()
}

/// Reads an `ExportLogsServiceRequest`.
pub(super) fn logs(body: &[u8]) -> Result<Taken, ParseError> {
    let mut taking = Taking::new(body.len());
    log_records::each_record(body, &mut |group, record| {
        taking.taken.log_count += 1;
        if record.contains(EXCEPTION) && take_log(record, group, &mut taking).is_none() {
            taking.refuse(UNREADABLE);
        }
    })?;
    taking.finish()
}

/// Calls for each metric, with its text.
pub(super) fn each_metric(body: &[u8], take: &mut dyn FnMut(&str)) -> Result<(), ParseError> {
    metrics::each_record(body, &mut |_, metric| take(metric))
}

/// The resource and the scope that records share. They are read when one of the records needs them.
struct Group<'a> {
    resource: Shared<'a>,
    sender: &'a OnceCell<Rc<Sender>>,
    scope: Shared<'a>,
    origin: Option<Origin>,
}

/// A resource or a scope, with the address of the names in it.
#[derive(Clone, Copy)]
struct Shared<'a> {
    text: &'a str,
    schema: &'a str,
}

impl<'a> Shared<'a> {
    fn new(text: Option<&'a RawValue>, schema: Option<&'a RawValue>) -> Shared<'a> {
        Shared { text: text.map_or("null", RawValue::get), schema: schema.map_or("null", RawValue::get) }
    }
}

impl Group<'_> {
    fn origin(&mut self) -> &Origin {
        let Group { resource, sender, scope, origin } = self;
        origin.get_or_insert_with(|| {
            let sender = sender.get_or_init(|| Rc::new(read_resource(*resource)));
            Origin::new(sender.clone(), read_scope(*scope), hash(&[scope.text.as_bytes()]))
        })
    }
}

/// The entries of an object; none of anything else.
fn entries<'a>(text: &'a str, notes: &mut Vec<String>) -> Option<Entries<'a>> {
    let read = json_tree::read(text).ok()?;
    notes.extend(read.notes.into_iter().map(str::to_owned));
    match read.tree {
        Tree::Map(entries) => Some(entries),
        _ => None,
    }
}

fn read_resource(shared: Shared<'_>) -> Sender {
    let mut notes = Vec::new();
    let mut resource = Resource::default();
    for (key, value) in entries(shared.text, &mut notes).unwrap_or_default() {
        let rest = match &*key {
            "attributes" => of_json(value, &mut resource.attributes),
            _ => Some(value),
        };
        keep(fact_name(key), rest.filter(|rest| !is_zero(rest)), &mut resource.facts);
    }
    keep(Cow::Borrowed("schema_url"), json_tree::read(shared.schema).ok().map(|read| read.tree), &mut resource.facts);
    Sender::new(resource, hash(&[shared.text.as_bytes()]), notes)
}

fn read_scope(shared: Shared<'_>) -> Scope<'_> {
    let mut scope = Scope::default();
    let mut attributes = Vec::new();
    for (key, value) in entries(shared.text, &mut scope.notes).unwrap_or_default() {
        let rest = match (&*key, value) {
            ("name", Tree::Text(name)) => {
                scope.name = Some(name);
                None
            }
            ("attributes", value) => of_json(value, &mut attributes),
            (_, value) => Some(value),
        };
        keep(fact_name(key), rest.filter(|rest| !is_zero(rest)), &mut scope.facts);
    }
    keep(Cow::Borrowed("schema_url"), json_tree::read(shared.schema).ok().map(|read| read.tree), &mut scope.facts);
    scope.facts.extend(attributes);
    scope
}

fn take_span(text: &str, group: &mut Group<'_>, taking: &mut Taking) -> Option<()> {
    let mut span = Span::default();
    let mut events = Vec::new();
    for (key, value) in entries(text, &mut span.notes)? {
        let number = integer(&value).or_else(|| position(&KINDS, &value));
        let rest = match (field_name(&key), value) {
            ("traceId", Tree::Text(id)) => {
                span.trace_id = identity(&hexadecimal(&id));
                None
            }
            ("spanId", Tree::Text(id)) => {
                span.span_id = identity(&hexadecimal(&id));
                None
            }
            ("parentSpanId", Tree::Text(id)) => identity(&hexadecimal(&id)).map(|id| Tree::Text(Cow::Owned(id))),
            ("kind", value) => match number {
                Some(kind) => {
                    span.set_kind(kind);
                    None
                }
                None => Some(value),
            },
            ("startTimeUnixNano", value) => number.map_or(Some(value), |nanos| {
                span.facts.extend(told("started_at", nanos));
                None
            }),
            ("endTimeUnixNano", value) => number.map_or(Some(value), |nanos| {
                span.ended_at_us = micros(nanos);
                span.facts.extend(told("ended_at", nanos));
                None
            }),
            ("attributes", value) => of_json(value, &mut span.attributes),
            ("events", Tree::List(list)) => {
                events = list;
                None
            }
            ("links", Tree::List(links)) => {
                span.links = links.into_iter().map(read_link).collect();
                None
            }
            ("status", Tree::Map(mut status)) => {
                let mut take = |name| Some(status.remove(status.iter().position(|(key, _)| key == name)?).1);
                let (code, message) = (take("code"), take("message"));
                let code = code.as_ref().and_then(|code| integer(code).or_else(|| position(&STATUSES, code)));
                let code = code.unwrap_or_default();
                span.set_status(code, message.filter(|message| !message.is_empty()));
                Some(Tree::Map(status))
            }
            (_, value) => Some(value),
        };
        keep(fact_name(key), rest.filter(|rest| !is_zero(rest)), &mut span.facts);
    }
    // Of a span with more values than one has, what came in time is taken, and the client hears that it was not all.
    let is_whole = !has_dropped(&span.notes);
    if events.is_empty() && !is_whole {
        return None;
    }
    taking.span(
        span,
        text.as_bytes(),
        events.into_iter().map(|event| Some((read_event(event), Vec::new()))),
        group.origin(),
    );
    is_whole.then_some(())
}

fn read_event(event: Tree<'_>) -> Event<'_> {
    let mut read = Event::default();
    let Tree::Map(entries) = event else { return read };
    for (key, value) in entries {
        let number = integer(&value);
        let rest = match (field_name(&key), value) {
            ("timeUnixNano", value) => number.map_or(Some(value), |nanos| {
                read.at_us = micros(nanos);
                None
            }),
            ("name", Tree::Text(name)) => {
                read.name = name;
                None
            }
            ("attributes", value) => of_json(value, &mut read.attributes),
            (_, value) => Some(value),
        };
        keep(fact_name(key), rest.filter(|rest| !is_zero(rest)), &mut read.facts);
    }
    read
}

fn read_link(link: Tree<'_>) -> Tree<'_> {
    let Tree::Map(entries) = link else { return link };
    let mut read = Vec::new();
    for (key, value) in entries {
        let value = match &*key {
            "attributes" => {
                let mut attributes = Vec::new();
                let rest = of_json(value, &mut attributes);
                rest.unwrap_or_else(|| Tree::map(attributes))
            }
            _ => value,
        };
        keep(fact_name(key), Some(value), &mut read);
    }
    Tree::map(read)
}

fn take_log(text: &str, group: &mut Group<'_>, taking: &mut Taking) -> Option<()> {
    let mut record = LogRecord::default();
    for (key, value) in entries(text, &mut record.notes)? {
        let number = integer(&value).or_else(|| severity_number(&value));
        let rest = match (field_name(&key), value) {
            ("timeUnixNano", value) => number.map_or(Some(value), |nanos| {
                record.at_us = micros(nanos);
                None
            }),
            ("observedTimeUnixNano", value) => number.map_or(Some(value), |nanos| {
                record.observed_at_us = micros(nanos);
                record.facts.extend(told("observed_at", nanos));
                None
            }),
            ("severityNumber", value) => number.map_or(Some(value), |number| {
                record.severity_number = number;
                None
            }),
            ("severityText", Tree::Text(text)) => {
                record.severity_text = Some(text);
                None
            }
            ("traceId", Tree::Text(id)) => {
                record.trace_id = identity(&hexadecimal(&id));
                None
            }
            ("spanId", Tree::Text(id)) => {
                record.span_id = identity(&hexadecimal(&id));
                None
            }
            ("attributes", value) => of_json(value, &mut record.attributes),
            ("body", value) => Some(plain(value)),
            (_, value) => Some(value),
        };
        keep(fact_name(key), rest.filter(|rest| !is_zero(rest)), &mut record.facts);
    }
    if record.attributes.iter().any(|(key, _)| key.starts_with("exception.")) {
        taking.log(record, text.as_bytes(), group.origin());
    } else if has_dropped(&record.notes) {
        return None;
    }
    Some(())
}

/// Whether the reader of JSON had to leave values out, and with them perhaps an exception.
fn has_dropped(notes: &[String]) -> bool {
    notes.iter().any(|note| note.contains("dropped"))
}

/// Keeps a value that no field takes, unless there is nothing in it.
fn keep<'a>(name: Cow<'a, str>, value: Option<Tree<'a>>, facts: &mut Entries<'a>) {
    if let Some(value) = value.filter(|value| !value.is_empty()) {
        facts.push((name, value));
    }
}

/// The name that the protocol has for a field that was written under the name of its definition.
fn field_name(key: &str) -> &str {
    match key {
        "trace_id" => "traceId",
        "span_id" => "spanId",
        "parent_span_id" => "parentSpanId",
        "start_time_unix_nano" => "startTimeUnixNano",
        "end_time_unix_nano" => "endTimeUnixNano",
        "time_unix_nano" => "timeUnixNano",
        "observed_time_unix_nano" => "observedTimeUnixNano",
        "severity_number" => "severityNumber",
        "severity_text" => "severityText",
        key => key,
    }
}

/// The place of the value among these names.
fn position(names: &[&str], value: &Tree<'_>) -> Option<u64> {
    let Tree::Text(text) = value else { return None };
    names.iter().position(|name| name == text).map(|at| at as u64)
}

/// `SEVERITY_NUMBER_ERROR2` → 18
fn severity_number(value: &Tree<'_>) -> Option<u64> {
    let Tree::Text(text) = value else { return None };
    let name = text.strip_prefix("SEVERITY_NUMBER_")?;
    let kind = name.trim_end_matches(|last: char| last.is_ascii_digit());
    let of_kind = match &name[kind.len()..] {
        "" => 1,
        step => step.parse().ok().filter(|step| (2..=4).contains(step))?,
    };
    let at = SEVERITIES.iter().position(|severity| *severity == kind)?;
    Some(at as u64 * 4 + of_kind)
}

/// An id as the protocol writes it. JSON that knows nothing of it has base64 there, as for all bytes.
fn hexadecimal(id: &str) -> Cow<'_, str> {
    let bytes = match id.trim().len() {
        12 | 24 => STANDARD.decode(id.trim()).ok().filter(|bytes| matches!(bytes.len(), 8 | 16)),
        _ => None,
    };
    bytes.map_or(Cow::Borrowed(id), |bytes| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into())
}

/// What a field of the wire is called among facts.
fn fact_name(key: Cow<'_, str>) -> Cow<'_, str> {
    let name = match &*key {
        "droppedAttributesCount" | "dropped_attributes_count" => "dropped_attributes",
        "droppedEventsCount" | "dropped_events_count" => "dropped_events",
        "droppedLinksCount" | "dropped_links_count" => "dropped_links",
        "entityRefs" => "entity_refs",
        "eventName" => "event_name",
        "parentSpanId" => "parent_span_id",
        "schemaUrl" => "schema_url",
        "spanId" => "span_id",
        "traceId" => "trace_id",
        "traceState" => "trace_state",
        _ => return key,
    };
    Cow::Borrowed(name)
}

/// A number, whether it is written as one or as a string.
fn integer(value: &Tree<'_>) -> Option<u64> {
    match value {
        Tree::Number(text) | Tree::Text(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// What was not set is sent as zero by some.
fn is_zero(value: &Tree<'_>) -> bool {
    matches!(value, Tree::Number(number) if number == "0")
}
