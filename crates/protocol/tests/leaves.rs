//! "Kept whole": every scalar that a client sent is in the notice's JSON, was scrubbed, or is named in its notes.

#![expect(clippy::unwrap_used, reason = "a test may")]

mod capture;
mod otlp_message;

use std::collections::HashMap;

use capture::{Capture, PEER_IP, captures_or_fixtures, fixtures, json_of};
use notice::{CodeLine, Error, Frame, Notice};
use otlp_message::{AnyValue, KeyValue, Logs, Resource, Scope, Traces, any_scalars, scalars};
use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::{Rfc2822, Rfc3339};

/// What may be hidden because of its name. Spelled out here, so that a rule that hides more is found.
const SECRET_NAMES: [&str; 12] = [
    "password",
    "sid",
    "session_id",
    "secret",
    "shop.session",
    "session",
    "cvv",
    "HTTP_COOKIE",
    "'HTTP_COOKIE'",
    "Cookie",
    "rack.request.cookie_string",
    // What Sentry's client says about a secret that it has hidden itself, under the name of the secret.
    "rem",
];

/// What says when it happened: the notice has that in a form of its own.
const TIME_NAMES: [&str; 3] = ["time", "timestamp", "timestamp_ms"];

/// A scalar of the wire and the name that it had there.
#[derive(Debug)]
struct Leaf {
    name: String,
    text: String,
}

#[test]
fn every_leaf_of_the_wire_is_kept() {
    let mut lost = Vec::new();
    let mut count = 0;
    let captures = captures_or_fixtures();
    let fixtures = fixtures();
    for capture in captures.iter().chain(&fixtures).filter(|capture| capture.is_notice() && !capture.is_otlp()) {
        let leaves = match capture.is_sentry().then(|| capture.event()).flatten() {
            _ if capture.is_xml() => xml_leaves(&capture.whole_body()),
            Some((event, _)) => json_leaves(&event),
            _ => json_leaves(&capture.body),
        };
        assert!(leaves.len() > 10, "{} has hardly any leaves: {leaves:?}", capture.name);
        count += leaves.len();
        lost.extend(lost_leaves(capture, leaves));
    }
    assert!(lost.is_empty(), "{} of {count} leaves are lost:\n{}", lost.len(), lost.join("\n"));
    println!("{count} leaves found");
}

fn lost_leaves(capture: &Capture, leaves: Vec<Leaf>) -> Vec<String> {
    let notice = capture.whole_notice();
    let json = json_of(&notice);
    let mut kept: HashMap<String, usize> = HashMap::new();
    count_scalars(&json, &mut kept);
    let mut lost = Vec::new();
    for leaf in leaves {
        let left = kept.get_mut(leaf.text.trim());
        match left {
            Some(left) if *left > 0 => *left -= 1,
            _ if is_told_otherwise(&leaf, &notice, capture) => {}
            _ => lost.push(format!(
                "{}: {} = {:?}",
                capture.name,
                leaf.name,
                leaf.text.chars().take(120).collect::<String>()
            )),
        }
    }
    lost
}

#[test]
fn every_attribute_of_an_exception_is_kept() {
    let mut lost = Vec::new();
    let mut count = 0;
    for capture in captures_or_fixtures().iter().chain(&fixtures()).filter(|c| c.is_notice() && c.is_otlp()) {
        let notices = capture.taken().notices.into_iter().map(|parsed| parsed.notice);
        for (mut notice, leaves) in notices.zip(otlp_leaves(capture)) {
            assert!(leaves.len() > 10, "{} has hardly any leaves: {leaves:?}", capture.name);
            count += leaves.len();
            notice::normalise(&mut notice);
            notice::scrub(&mut notice);
            let mut kept: HashMap<String, usize> = HashMap::new();
            count_scalars(&json_of(&notice), &mut kept);
            for leaf in leaves {
                match kept.get_mut(leaf.text.trim()) {
                    // Parts of an address could be taken for others that are equal.
                    _ if is_told_in_parts(&leaf, &notice) => {}
                    Some(left) if *left > 0 => *left -= 1,
                    _ => lost.push(format!("{}: {leaf:?}", capture.name)),
                }
            }
        }
    }
    assert!(count > 0);
    assert!(lost.is_empty(), "{} of {count} leaves are lost:\n{}", lost.len(), lost.join("\n"));
    println!("{count} leaves found");
}

/// Whether a leaf of OpenTelemetry's is there in another form: in frames, in the address of the request, as a module and a class, scrubbed.
fn is_told_in_parts(leaf: &Leaf, notice: &Notice) -> bool {
    let error = &notice.errors[0];
    let url = notice.request.as_ref().and_then(|request| request.url.as_deref()).unwrap_or_default();
    match leaf.name.as_str() {
        "exception.stacktrace" => {
            leaf.text.matches("  File \"").count() <= notice.errors.iter().map(|e| e.frames.len()).sum()
        }
        "exception.type" => {
            let module = error.module.as_deref().unwrap_or_default();
            format!("{module}.{}", error.class.as_deref().unwrap_or_default()) == leaf.text
        }
        "exception.escaped" => error.handled == Some(leaf.text == "False"),
        "http.scheme" | "http.host" | "http.target" => url.contains(&leaf.text),
        _ => is_scrubbed(&leaf.text, notice) || is_scrubbed_status(&leaf.text, notice),
    }
}

/// Whether the text is what a span's status says of the exception, without its secrets.
fn is_scrubbed_status(text: &str, notice: &Notice) -> bool {
    let message = notice.errors[0].message.as_deref().unwrap_or_default();
    let status = json_of(notice)["contexts"]["span"]["status"]["message"].clone();
    text.contains(": ") && status.as_str().is_some_and(|status| status.ends_with(message))
}

/// The leaves of each exception of a request: of its record, its span, its scope and its resource, but for times and ids.
fn otlp_leaves(capture: &Capture) -> Vec<Vec<Leaf>> {
    let mut records = Vec::new();
    if capture.meta["expected"]["signal"] == "logs" {
        let logs = Logs::of(capture);
        for resource in logs.resource_logs {
            for scope in &resource.scope_logs {
                for record in scope.log_records.iter().filter(|record| is_exception(&record.attributes)) {
                    let mut leaves = shared_leaves(resource.resource.as_ref(), scope.scope.as_ref());
                    scalars(&record.attributes, &mut leaves);
                    record.body.iter().for_each(|body| any_scalars("body", body, &mut leaves));
                    push_texts(&[&record.severity_text, &record.event_name, &scope.schema_url], &mut leaves);
                    records.push(leaves);
                }
            }
        }
    } else {
        for resource in Traces::of(capture).resource_spans {
            for scope in &resource.scope_spans {
                for span in &scope.spans {
                    for (at, event) in span.events.iter().enumerate().filter(|(_, event)| event.name == "exception") {
                        let mut leaves = shared_leaves(resource.resource.as_ref(), scope.scope.as_ref());
                        scalars(&span.attributes, &mut leaves);
                        scalars(&event.attributes, &mut leaves);
                        let status = span.status.as_ref().map(|status| status.message.clone()).unwrap_or_default();
                        push_texts(&[&span.name, &status, &span.trace_state, &scope.schema_url], &mut leaves);
                        for before in &span.events[..at] {
                            scalars(&before.attributes, &mut leaves);
                            push_texts(&[&before.name], &mut leaves);
                        }
                        records.push(leaves);
                    }
                }
            }
        }
    }
    let leaf = |(name, text)| Leaf { name, text };
    records.into_iter().map(|leaves| leaves.into_iter().map(leaf).collect()).collect()
}

fn is_exception(attributes: &[KeyValue]) -> bool {
    attributes.iter().any(|attribute| attribute.key.starts_with("exception."))
}

fn shared_leaves(resource: Option<&Resource>, scope: Option<&Scope>) -> Vec<(String, String)> {
    let mut leaves = Vec::new();
    resource.iter().for_each(|resource| scalars(&resource.attributes, &mut leaves));
    if let Some(scope) = scope {
        scalars(&scope.attributes, &mut leaves);
        push_texts(&[&scope.name, &scope.version], &mut leaves);
    }
    leaves
}

fn push_texts(texts: &[&str], leaves: &mut Vec<(String, String)>) {
    texts.iter().for_each(|text| any_scalars("", &AnyValue::from(*text), leaves));
}

/// Whether the leaf is there in another form: as the key, decoded into its parts, scrubbed, or cut with a note.
fn is_told_otherwise(leaf: &Leaf, notice: &Notice, capture: &Capture) -> bool {
    let text = leaf.text.trim();
    let error = &notice.errors[0];
    let is_key = ["api-key", "apiKey"].contains(&leaf.name.as_str())
        && Some(text) == capture.meta["expected"]["api_key"].as_str();
    let is_hidden = SECRET_NAMES.contains(&leaf.name.as_str())
        && notice.notes.iter().any(|note| note.starts_with("scrubbed: passwords"));
    let is_cut = text.len() > notice::normalise::MESSAGE_BYTES_MAX
        && notice.notes.iter().any(|note| note.starts_with("message: cut"));
    let is_filled_in = text == "{{auto}}" && json_of(notice)["user"]["ip"] == PEER_IP;
    let is_time = TIME_NAMES.contains(&leaf.name.as_str())
        && (is_when_it_happened(text, notice) || is_time_of(text, &json_of(notice)));
    // Bugsnag's clients for JavaScript say each message under two names.
    let is_said_twice = ["message", "errorMessage"].contains(&leaf.name.as_str())
        && capture.meta["expected"]["protocol"] == "bugsnag"
        && notice.errors.iter().any(|error| error.message.as_deref() == Some(text));
    is_key
        || is_said_twice
        || is_hidden
        || is_cut
        || is_filled_in
        || is_time
        || is_scrubbed(text, notice)
        || is_message_in_parts(text, error)
        || (leaf.name == "query_string" && is_query_of(text, notice))
}

/// Whether the text, a number of seconds or an HTTP date, is the second in which it happened.
fn is_when_it_happened(text: &str, notice: &Notice) -> bool {
    let second = text.parse().ok().or_else(|| Some(OffsetDateTime::parse(text, &Rfc2822).ok()?.unix_timestamp()));
    second.is_some() && second == notice.occurred_at_us.map(|at_us| at_us.div_euclid(1_000_000))
}

/// Whether the time is in it as people write times. On the wire it may be seconds or milliseconds since 1970.
fn is_time_of(wire: &str, json: &Value) -> bool {
    let seconds = |text: &str| {
        let at = OffsetDateTime::parse(text, &Rfc3339).ok()?;
        Some(at.unix_timestamp_nanos() as f64 / 1e9)
    };
    match json {
        Value::String(text) => seconds(text).is_some_and(|at| {
            let number = wire.parse().ok().map(|number: f64| if number > 1e12 { number / 1e3 } else { number });
            let wanted = number.or_else(|| seconds(wire));
            wanted.is_some_and(|wanted| (at - wanted).abs() < 2e-6)
        }),
        Value::Array(items) => items.iter().any(|item| is_time_of(wire, item)),
        Value::Object(entries) => entries.values().any(|value| is_time_of(wire, value)),
        _ => false,
    }
}

/// Whether every parameter of the query is among the parameters; several of one name are numbered.
fn is_query_of(query: &str, notice: &Notice) -> bool {
    let params = json_of(notice)["request"]["params"].clone();
    let mut values: Vec<&str> =
        params.as_object().into_iter().flatten().filter_map(|(_, value)| value.as_str()).collect();
    form_urlencoded::parse(query.as_bytes()).all(|(key, value)| {
        let at = values.iter().position(|there| *there == value);
        at.map(|at| values.swap_remove(at)).is_some() && params[&*key].is_string()
    })
}

/// Whether the text without its secrets is there, as a message has it or as a line of code, and a note says so.
fn is_scrubbed(text: &str, notice: &Notice) -> bool {
    let json = json_of(notice).to_string();
    let message = Error { message: Some(text.to_owned()), ..Error::default() };
    let code = vec![CodeLine { line: 1, text: text.to_owned() }];
    let line = Error { frames: vec![Frame { code, ..Frame::default() }], ..Error::default() };
    [message, line].into_iter().any(|error| {
        let mut alone = Notice { errors: vec![error], ..Notice::default() };
        notice::scrub(&mut alone);
        let error = &alone.errors[0];
        let code = error.frames.first().map(|frame| frame.code[0].text.as_str());
        let scrubbed = error.message.as_deref().or(code).unwrap_or_default();
        let is_there = json.contains(serde_json::to_string(scrubbed).unwrap().trim_matches('"'))
            || is_message_in_parts(scrubbed, &notice.errors[0]);
        scrubbed != text && is_there && alone.notes.iter().all(|note| notice.notes.contains(note))
    })
}

/// `Class: message` and `message in FILE on line N`, whose parts have fields of their own.
fn is_message_in_parts(text: &str, error: &Error) -> bool {
    let class = error.class.as_deref().unwrap_or_default();
    let message = error.message.as_deref().unwrap_or_default();
    let with_place = error.frames.first().map(|top| {
        let (file, line) = (top.file.as_deref().unwrap_or_default(), top.line.unwrap_or_default());
        format!("{message} in {file} on line {line}")
    });
    let is_same = |whole: &str| whole.trim() == text.trim();
    is_same(&format!("{class}: {message}")) || with_place.as_deref().is_some_and(is_same)
}

fn count_scalars(value: &Value, kept: &mut HashMap<String, usize>) {
    let mut add = |text: &str| *kept.entry(text.trim().to_owned()).or_default() += 1;
    match value {
        Value::Null => {}
        Value::Bool(_) | Value::Number(_) => add(&value.to_string()),
        Value::String(text) => add(text),
        Value::Array(items) => items.iter().for_each(|item| count_scalars(item, kept)),
        Value::Object(entries) => {
            for (key, value) in entries {
                *kept.entry(key.trim().to_owned()).or_default() += 1;
                count_scalars(value, kept);
            }
        }
    }
}

fn json_leaves(body: &[u8]) -> Vec<Leaf> {
    fn walk(name: &str, value: &Value, leaves: &mut Vec<Leaf>) {
        match value {
            Value::Null => {}
            Value::Bool(_) | Value::Number(_) => leaves.push(Leaf { name: name.to_owned(), text: value.to_string() }),
            Value::String(text) if text.trim().is_empty() => {}
            Value::String(text) => leaves.push(Leaf { name: name.to_owned(), text: text.clone() }),
            Value::Array(items) => items.iter().for_each(|item| walk(name, item, leaves)),
            Value::Object(entries) => entries.iter().for_each(|(key, value)| walk(key, value, leaves)),
        }
    }
    let mut leaves = Vec::new();
    walk("", &serde_json::from_slice(body).expect("captures are JSON"), &mut leaves);
    leaves
}

fn xml_leaves(body: &[u8]) -> Vec<Leaf> {
    let text = String::from_utf8_lossy(body);
    let mut reader = Reader::from_str(&text);
    let mut leaves = Vec::new();
    let mut open: Vec<Leaf> = Vec::new();
    loop {
        match reader.read_event() {
            Ok(Event::Start(tag)) => open.push(begin(&tag, &mut leaves)),
            Ok(Event::Empty(tag)) => {
                begin(&tag, &mut leaves);
            }
            Ok(Event::End(_)) => {
                let leaf = open.pop().unwrap();
                if !leaf.text.trim().is_empty() {
                    leaves.push(leaf);
                }
            }
            Ok(Event::Text(part)) => push(&mut open, &part.xml10_content()),
            Ok(Event::CData(part)) => push(&mut open, &part.xml10_content()),
            Ok(Event::GeneralRef(part)) => match part.resolve_char_ref().unwrap() {
                Some(character) => push(&mut open, &character.to_string()),
                None => push(&mut open, quick_xml::escape::resolve_predefined_entity(&part.into_inner()).unwrap()),
            },
            // A document that its client cut ends somewhere.
            Ok(Event::Eof) | Err(_) => return leaves,
            Ok(_) => {}
        }
    }
}

/// The leaf that the element can become; its attributes are leaves already.
fn begin(tag: &BytesStart<'_>, leaves: &mut Vec<Leaf>) -> Leaf {
    let mut name = String::from_utf8_lossy(tag.name().as_ref().as_ref()).into_owned();
    for attribute in tag.attributes() {
        let attribute = attribute.unwrap();
        let value = attribute.normalized_value(XmlVersion::Implicit1_0).unwrap().into_owned();
        let key = String::from_utf8_lossy(attribute.key.as_ref().as_ref()).into_owned();
        if key == "key" {
            name = value.clone();
        }
        if !value.trim().is_empty() {
            leaves.push(Leaf { name: key, text: value });
        }
    }
    Leaf { name, text: String::new() }
}

fn push(open: &mut [Leaf], text: &str) {
    if let Some(leaf) = open.last_mut() {
        leaf.text.push_str(text);
    }
}
