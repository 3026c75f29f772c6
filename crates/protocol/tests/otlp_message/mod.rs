//! Messages of OpenTelemetry's protocol, to make requests of and to look into captured ones, apart from the parser that is tested.

#![allow(dead_code, unreachable_pub, missing_docs, reason = "every test binary uses another part of it")]

use prost::Message;
use serde_json::{Map, Value, json};

use super::capture::Capture;

#[derive(Clone, PartialEq, Message)]
pub struct Traces {
    #[prost(message, repeated, tag = "1")]
    pub resource_spans: Vec<ResourceSpans>,
}

#[derive(Clone, PartialEq, Message)]
pub struct ResourceSpans {
    #[prost(message, optional, tag = "1")]
    pub resource: Option<Resource>,
    #[prost(message, repeated, tag = "2")]
    pub scope_spans: Vec<ScopeSpans>,
    #[prost(string, tag = "3")]
    pub schema_url: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct ScopeSpans {
    #[prost(message, optional, tag = "1")]
    pub scope: Option<Scope>,
    #[prost(message, repeated, tag = "2")]
    pub spans: Vec<Span>,
    #[prost(string, tag = "3")]
    pub schema_url: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct Logs {
    #[prost(message, repeated, tag = "1")]
    pub resource_logs: Vec<ResourceLogs>,
}

#[derive(Clone, PartialEq, Message)]
pub struct ResourceLogs {
    #[prost(message, optional, tag = "1")]
    pub resource: Option<Resource>,
    #[prost(message, repeated, tag = "2")]
    pub scope_logs: Vec<ScopeLogs>,
    #[prost(string, tag = "3")]
    pub schema_url: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct ScopeLogs {
    #[prost(message, optional, tag = "1")]
    pub scope: Option<Scope>,
    #[prost(message, repeated, tag = "2")]
    pub log_records: Vec<LogRecord>,
    #[prost(string, tag = "3")]
    pub schema_url: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct Resource {
    #[prost(message, repeated, tag = "1")]
    pub attributes: Vec<KeyValue>,
    #[prost(uint32, tag = "2")]
    pub dropped_attributes_count: u32,
}

#[derive(Clone, PartialEq, Message)]
pub struct Scope {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(string, tag = "2")]
    pub version: String,
    #[prost(message, repeated, tag = "3")]
    pub attributes: Vec<KeyValue>,
    #[prost(uint32, tag = "4")]
    pub dropped_attributes_count: u32,
}

#[derive(Clone, PartialEq, Message)]
pub struct Span {
    #[prost(bytes = "vec", tag = "1")]
    pub trace_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub span_id: Vec<u8>,
    #[prost(string, tag = "3")]
    pub trace_state: String,
    #[prost(bytes = "vec", tag = "4")]
    pub parent_span_id: Vec<u8>,
    #[prost(string, tag = "5")]
    pub name: String,
    #[prost(int32, tag = "6")]
    pub kind: i32,
    #[prost(fixed64, tag = "7")]
    pub start_time_unix_nano: u64,
    #[prost(fixed64, tag = "8")]
    pub end_time_unix_nano: u64,
    #[prost(message, repeated, tag = "9")]
    pub attributes: Vec<KeyValue>,
    #[prost(uint32, tag = "10")]
    pub dropped_attributes_count: u32,
    #[prost(message, repeated, tag = "11")]
    pub events: Vec<Event>,
    #[prost(message, repeated, tag = "13")]
    pub links: Vec<Link>,
    #[prost(message, optional, tag = "15")]
    pub status: Option<Status>,
    #[prost(fixed32, tag = "16")]
    pub flags: u32,
}

#[derive(Clone, PartialEq, Message)]
pub struct Event {
    #[prost(fixed64, tag = "1")]
    pub time_unix_nano: u64,
    #[prost(string, tag = "2")]
    pub name: String,
    #[prost(message, repeated, tag = "3")]
    pub attributes: Vec<KeyValue>,
    #[prost(uint32, tag = "4")]
    pub dropped_attributes_count: u32,
}

#[derive(Clone, PartialEq, Message)]
pub struct Link {
    #[prost(bytes = "vec", tag = "1")]
    pub trace_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub span_id: Vec<u8>,
    #[prost(message, repeated, tag = "4")]
    pub attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Status {
    #[prost(string, tag = "2")]
    pub message: String,
    #[prost(int32, tag = "3")]
    pub code: i32,
}

#[derive(Clone, PartialEq, Message)]
pub struct LogRecord {
    #[prost(fixed64, tag = "1")]
    pub time_unix_nano: u64,
    #[prost(int32, tag = "2")]
    pub severity_number: i32,
    #[prost(string, tag = "3")]
    pub severity_text: String,
    #[prost(message, optional, tag = "5")]
    pub body: Option<AnyValue>,
    #[prost(message, repeated, tag = "6")]
    pub attributes: Vec<KeyValue>,
    #[prost(uint32, tag = "7")]
    pub dropped_attributes_count: u32,
    #[prost(fixed32, tag = "8")]
    pub flags: u32,
    #[prost(bytes = "vec", tag = "9")]
    pub trace_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "10")]
    pub span_id: Vec<u8>,
    #[prost(fixed64, tag = "11")]
    pub observed_time_unix_nano: u64,
    #[prost(string, tag = "12")]
    pub event_name: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct KeyValue {
    #[prost(string, tag = "1")]
    pub key: String,
    #[prost(message, optional, tag = "2")]
    pub value: Option<AnyValue>,
}

#[derive(Clone, PartialEq, Message)]
pub struct AnyValue {
    #[prost(oneof = "Any", tags = "1, 2, 3, 4, 5, 6, 7")]
    pub value: Option<Any>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub enum Any {
    #[prost(string, tag = "1")]
    Text(String),
    #[prost(bool, tag = "2")]
    Bool(bool),
    #[prost(int64, tag = "3")]
    Int(i64),
    #[prost(double, tag = "4")]
    Double(f64),
    #[prost(message, tag = "5")]
    Array(ArrayValue),
    #[prost(message, tag = "6")]
    Map(KeyValues),
    #[prost(bytes = "vec", tag = "7")]
    Bytes(Vec<u8>),
}

#[derive(Clone, PartialEq, Message)]
pub struct ArrayValue {
    #[prost(message, repeated, tag = "1")]
    pub values: Vec<AnyValue>,
}

#[derive(Clone, PartialEq, Message)]
pub struct KeyValues {
    #[prost(message, repeated, tag = "1")]
    pub values: Vec<KeyValue>,
}

impl From<&str> for AnyValue {
    fn from(text: &str) -> AnyValue {
        AnyValue { value: Some(Any::Text(text.to_owned())) }
    }
}

impl From<i64> for AnyValue {
    fn from(number: i64) -> AnyValue {
        AnyValue { value: Some(Any::Int(number)) }
    }
}

impl From<bool> for AnyValue {
    fn from(flag: bool) -> AnyValue {
        AnyValue { value: Some(Any::Bool(flag)) }
    }
}

/// An attribute.
pub fn attribute(key: &str, value: impl Into<AnyValue>) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(value.into()) }
}

/// Attributes that are texts.
pub fn texts(attributes: &[(&str, &str)]) -> Vec<KeyValue> {
    attributes.iter().map(|(key, value)| attribute(key, *value)).collect()
}

/// The attributes of an exception.
pub fn exception(class: &str, message: &str, stack: &str) -> Vec<KeyValue> {
    texts(&[("exception.type", class), ("exception.message", message), ("exception.stacktrace", stack)])
}

/// A request with these spans.
pub fn traces(resource: Vec<KeyValue>, spans: Vec<Span>) -> Traces {
    let resource = Some(Resource { attributes: resource, ..Resource::default() });
    let scope = Some(Scope { name: "shop.manual".to_owned(), version: "1.0".to_owned(), ..Scope::default() });
    let scope_spans = vec![ScopeSpans { scope, spans, ..ScopeSpans::default() }];
    Traces { resource_spans: vec![ResourceSpans { resource, scope_spans, ..ResourceSpans::default() }] }
}

/// A request with these records.
pub fn logs(resource: Vec<KeyValue>, log_records: Vec<LogRecord>) -> Logs {
    let resource = Some(Resource { attributes: resource, ..Resource::default() });
    let scope = Some(Scope { name: "shop.orders".to_owned(), ..Scope::default() });
    let scope_logs = vec![ScopeLogs { scope, log_records, ..ScopeLogs::default() }];
    Logs { resource_logs: vec![ResourceLogs { resource, scope_logs, ..ResourceLogs::default() }] }
}

/// A span in a trace, with an exception.
pub fn span(attributes: Vec<KeyValue>, exception: Vec<KeyValue>) -> Span {
    Span {
        trace_id: vec![0x5b; 16],
        span_id: vec![0xaf; 8],
        name: "checkout".to_owned(),
        kind: 2,
        start_time_unix_nano: 1_795_316_388_000_000_000,
        end_time_unix_nano: 1_795_316_389_000_000_000,
        attributes,
        events: vec![Event {
            time_unix_nano: 1_795_316_388_564_007_123,
            name: "exception".to_owned(),
            attributes: exception,
            dropped_attributes_count: 0,
        }],
        ..Span::default()
    }
}

/// A record in the same trace.
pub fn record(attributes: Vec<KeyValue>) -> LogRecord {
    LogRecord {
        time_unix_nano: 1_795_316_388_564_007_123,
        severity_number: 17,
        severity_text: "ERROR".to_owned(),
        trace_id: vec![0x5b; 16],
        span_id: vec![0xaf; 8],
        attributes,
        ..LogRecord::default()
    }
}

/// The request as exporters write it in JSON.
pub fn traces_json(traces: &Traces) -> Value {
    let span = |span: &Span| {
        let events = span.events.iter().map(|event| {
            object([
                ("timeUnixNano", json!(event.time_unix_nano.to_string())),
                ("name", json!(event.name)),
                ("attributes", attributes_json(&event.attributes)),
                ("droppedAttributesCount", json!(event.dropped_attributes_count)),
            ])
        });
        let links = span.links.iter().map(|link| {
            object([
                ("traceId", hex(&link.trace_id)),
                ("spanId", hex(&link.span_id)),
                ("attributes", attributes_json(&link.attributes)),
            ])
        });
        let status = span.status.as_ref().map(|status| json!({"code": status.code, "message": status.message}));
        object([
            ("traceId", hex(&span.trace_id)),
            ("spanId", hex(&span.span_id)),
            ("traceState", json!(span.trace_state)),
            ("parentSpanId", hex(&span.parent_span_id)),
            ("name", json!(span.name)),
            ("kind", json!(span.kind)),
            ("startTimeUnixNano", json!(span.start_time_unix_nano.to_string())),
            ("endTimeUnixNano", json!(span.end_time_unix_nano.to_string())),
            ("attributes", attributes_json(&span.attributes)),
            ("droppedAttributesCount", json!(span.dropped_attributes_count)),
            ("events", events.collect()),
            ("links", links.collect()),
            ("status", json!(status)),
            ("flags", json!(span.flags)),
        ])
    };
    let resources = traces.resource_spans.iter().map(|resource| {
        let scopes = resource.scope_spans.iter().map(|scope| {
            object([
                ("scope", scope_json(scope.scope.as_ref())),
                ("spans", scope.spans.iter().map(span).collect()),
                ("schemaUrl", json!(scope.schema_url)),
            ])
        });
        object([
            ("resource", resource_json(resource.resource.as_ref())),
            ("scopeSpans", scopes.collect()),
            ("schemaUrl", json!(resource.schema_url)),
        ])
    });
    json!({"resourceSpans": resources.collect::<Vec<_>>()})
}

/// The request as exporters write it in JSON.
pub fn logs_json(logs: &Logs) -> Value {
    let record = |record: &LogRecord| {
        object([
            ("timeUnixNano", json!(record.time_unix_nano.to_string())),
            ("observedTimeUnixNano", json!(record.observed_time_unix_nano.to_string())),
            ("severityNumber", json!(record.severity_number)),
            ("severityText", json!(record.severity_text)),
            ("body", record.body.as_ref().map(any_json).unwrap_or_default()),
            ("attributes", attributes_json(&record.attributes)),
            ("droppedAttributesCount", json!(record.dropped_attributes_count)),
            ("flags", json!(record.flags)),
            ("traceId", hex(&record.trace_id)),
            ("spanId", hex(&record.span_id)),
            ("eventName", json!(record.event_name)),
        ])
    };
    let resources = logs.resource_logs.iter().map(|resource| {
        let scopes = resource.scope_logs.iter().map(|scope| {
            object([
                ("scope", scope_json(scope.scope.as_ref())),
                ("logRecords", scope.log_records.iter().map(record).collect()),
                ("schemaUrl", json!(scope.schema_url)),
            ])
        });
        object([
            ("resource", resource_json(resource.resource.as_ref())),
            ("scopeLogs", scopes.collect()),
            ("schemaUrl", json!(resource.schema_url)),
        ])
    });
    json!({"resourceLogs": resources.collect::<Vec<_>>()})
}

fn resource_json(resource: Option<&Resource>) -> Value {
    resource.map_or(Value::Null, |resource| json!({"attributes": attributes_json(&resource.attributes)}))
}

fn scope_json(scope: Option<&Scope>) -> Value {
    scope.map_or(Value::Null, |scope| {
        object([
            ("name", json!(scope.name)),
            ("version", json!(scope.version)),
            ("attributes", attributes_json(&scope.attributes)),
        ])
    })
}

fn attributes_json(attributes: &[KeyValue]) -> Value {
    let pair = |pair: &KeyValue| json!({"key": pair.key, "value": pair.value.as_ref().map(any_json)});
    attributes.iter().map(pair).collect()
}

fn any_json(any: &AnyValue) -> Value {
    match &any.value {
        None => json!({}),
        Some(Any::Text(text)) => json!({"stringValue": text}),
        Some(Any::Bool(flag)) => json!({"boolValue": flag}),
        Some(Any::Int(number)) => json!({"intValue": number.to_string()}),
        Some(Any::Double(number)) => json!({"doubleValue": number}),
        Some(Any::Array(array)) => {
            json!({"arrayValue": {"values": array.values.iter().map(any_json).collect::<Vec<_>>()}})
        }
        Some(Any::Map(map)) => json!({"kvlistValue": {"values": attributes_json(&map.values)}}),
        Some(Any::Bytes(bytes)) => {
            json!({"bytesValue": base64::Engine::encode(&base64::engine::general_purpose::STANDARD, bytes)})
        }
    }
}

/// Hexadecimal, in capitals: both cases are allowed.
fn hex(id: &[u8]) -> Value {
    id.iter().map(|byte| format!("{byte:02X}")).collect::<String>().into()
}

/// Exporters leave out what is empty.
fn object<const N: usize>(entries: [(&str, Value); N]) -> Value {
    let is_empty = |value: &Value| match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Number(number) => number.as_u64() == Some(0),
        _ => false,
    };
    let entries = entries.into_iter().filter(|(_, value)| !is_empty(value));
    entries.map(|(key, value)| (key.to_owned(), value)).collect::<Map<_, _>>().into()
}

/// The scalars of attributes, keys of their own included, as texts.
pub fn scalars(attributes: &[KeyValue], leaves: &mut Vec<(String, String)>) {
    for pair in attributes {
        if let Some(value) = &pair.value {
            any_scalars(&pair.key, value, leaves);
        }
    }
}

impl Traces {
    /// The request that was captured, in whichever encoding.
    pub fn of(capture: &Capture) -> Traces {
        match json_body(capture) {
            None => Traces::decode(capture.body.as_slice()).expect("captures are sound"),
            Some(body) => Traces {
                resource_spans: each(&body["resourceSpans"], |resource| ResourceSpans {
                    resource: Some(Resource { attributes: key_values(&resource["resource"]), ..Resource::default() }),
                    scope_spans: each(&resource["scopeSpans"], |scope| ScopeSpans {
                        scope: Some(scope_of(&scope["scope"])),
                        spans: each(&scope["spans"], span_of),
                        schema_url: text(&scope["schemaUrl"]),
                    }),
                    schema_url: text(&resource["schemaUrl"]),
                }),
            },
        }
    }
}

impl Logs {
    /// The request that was captured, in whichever encoding.
    pub fn of(capture: &Capture) -> Logs {
        match json_body(capture) {
            None => Logs::decode(capture.body.as_slice()).expect("captures are sound"),
            Some(body) => Logs {
                resource_logs: each(&body["resourceLogs"], |resource| ResourceLogs {
                    resource: Some(Resource { attributes: key_values(&resource["resource"]), ..Resource::default() }),
                    scope_logs: each(&resource["scopeLogs"], |scope| ScopeLogs {
                        scope: Some(scope_of(&scope["scope"])),
                        log_records: each(&scope["logRecords"], record_of),
                        schema_url: text(&scope["schemaUrl"]),
                    }),
                    schema_url: text(&resource["schemaUrl"]),
                }),
            },
        }
    }
}

fn json_body(capture: &Capture) -> Option<Value> {
    let is_json = capture.meta["content_type"].as_str().is_some_and(|kind| kind.starts_with("application/json"));
    is_json.then(|| serde_json::from_slice(&capture.body).expect("captures are sound"))
}

fn each<T>(list: &Value, read: impl Fn(&Value) -> T) -> Vec<T> {
    list.as_array().into_iter().flatten().map(read).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Some exporters write numbers of 64 bits as texts.
fn int<T: std::str::FromStr + Default>(value: &Value) -> T {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    text.parse().unwrap_or_default()
}

fn identity(hex: &Value) -> Vec<u8> {
    let hex = text(hex);
    (0..hex.len() / 2).map(|at| u8::from_str_radix(&hex[2 * at..][..2], 16).expect("captures are sound")).collect()
}

fn scope_of(scope: &Value) -> Scope {
    Scope {
        name: text(&scope["name"]),
        version: text(&scope["version"]),
        attributes: key_values(scope),
        ..Scope::default()
    }
}

fn span_of(span: &Value) -> Span {
    Span {
        trace_id: identity(&span["traceId"]),
        span_id: identity(&span["spanId"]),
        trace_state: text(&span["traceState"]),
        parent_span_id: identity(&span["parentSpanId"]),
        name: text(&span["name"]),
        kind: int(&span["kind"]),
        start_time_unix_nano: int(&span["startTimeUnixNano"]),
        end_time_unix_nano: int(&span["endTimeUnixNano"]),
        attributes: key_values(span),
        events: each(&span["events"], |event| Event {
            time_unix_nano: int(&event["timeUnixNano"]),
            name: text(&event["name"]),
            attributes: key_values(event),
            ..Event::default()
        }),
        status: Some(Status { message: text(&span["status"]["message"]), code: int(&span["status"]["code"]) }),
        flags: int(&span["flags"]),
        ..Span::default()
    }
}

fn record_of(record: &Value) -> LogRecord {
    LogRecord {
        time_unix_nano: int(&record["timeUnixNano"]),
        severity_number: int(&record["severityNumber"]),
        severity_text: text(&record["severityText"]),
        body: (!record["body"].is_null()).then(|| any_of(&record["body"])),
        attributes: key_values(record),
        trace_id: identity(&record["traceId"]),
        span_id: identity(&record["spanId"]),
        observed_time_unix_nano: int(&record["observedTimeUnixNano"]),
        event_name: text(&record["eventName"]),
        ..LogRecord::default()
    }
}

fn key_values(of: &Value) -> Vec<KeyValue> {
    each(&of["attributes"], |pair| KeyValue { key: text(&pair["key"]), value: Some(any_of(&pair["value"])) })
}

fn any_of(value: &Value) -> AnyValue {
    let Some((kind, value)) = value.as_object().and_then(|entries| entries.iter().next()) else {
        return AnyValue::default();
    };
    let any = match kind.as_str() {
        "stringValue" => Any::Text(text(value)),
        "boolValue" => Any::Bool(value == true),
        "intValue" => Any::Int(int(value)),
        "doubleValue" => Any::Double(int(value)),
        "arrayValue" => Any::Array(ArrayValue { values: each(&value["values"], any_of) }),
        "kvlistValue" => Any::Map(KeyValues { values: key_values(&json!({"attributes": value["values"]})) }),
        "bytesValue" => Any::Bytes(
            base64::Engine::decode(&base64::engine::general_purpose::STANDARD, text(value))
                .expect("captures are sound"),
        ),
        other => panic!("there is no {other}"),
    };
    AnyValue { value: Some(any) }
}

/// The scalars of a value.
pub fn any_scalars(name: &str, value: &AnyValue, leaves: &mut Vec<(String, String)>) {
    let text = match &value.value {
        None => return,
        Some(Any::Text(text)) => text.clone(),
        Some(Any::Bool(flag)) => flag.to_string(),
        Some(Any::Int(number)) => number.to_string(),
        Some(Any::Double(number)) => number.to_string(),
        Some(Any::Array(array)) => return array.values.iter().for_each(|item| any_scalars(name, item, leaves)),
        Some(Any::Map(map)) => return scalars(&map.values, leaves),
        Some(Any::Bytes(bytes)) => base64::Engine::encode(&base64::engine::general_purpose::STANDARD, bytes),
    };
    if !text.trim().is_empty() {
        leaves.push((name.to_owned(), text));
    }
}
