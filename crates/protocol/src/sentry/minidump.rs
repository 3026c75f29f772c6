//! The event of a crashed process of which there is a minidump: what it says of itself stands in the other fields of a form.

use std::collections::BTreeMap;

use notice::Error;
use serde_json::{Map, Value, json};

use super::message_pack;

/// What Sentry calls programs that have no language of their own.
pub(super) const PLATFORM: &str = "native";

/// The error of an event that is known by its dump alone.
const CLASS: &str = "Minidump";
const MESSAGE: &str = "the process crashed and left a minidump";

/// The field that has an event as JSON.
const EVENT_FIELD: &str = "sentry";

/// How fields begin that have more of it, for whoever names what they are about.
const EVENT_FIELDS: &str = "sentry___";

/// How fields begin that have the JSON in numbered pieces.
const CHUNK_FIELDS: &str = "sentry__";

/// Files that clients write while all is well, and send with the dump.
const EVENT_FILE: &str = "__sentry-event";
const BREADCRUMB_FILES: [&str; 2] = ["__sentry-breadcrumb1", "__sentry-breadcrumb2"];

/// Longest way from the event to a value, in names.
const DEPTH_MAX: usize = 8;

/// Whether the form's field of this name has a part of the event in MessagePack, and is to be given to [`minidump_event`].
pub fn is_part_of_event(name: &str) -> bool {
    name == EVENT_FILE || BREADCRUMB_FILES.contains(&name)
}

/// The event as JSON, of a form's texts and of those of its files that [have a part of it](is_part_of_event).
///
/// It is put together from `sentry` and `sentry___…`, from `sentry__1`, `sentry__2`, …, which are one JSON, from fields like
/// `sentry[contexts][app][version]` and from the file `__sentry-event`; of two that say the same the latter wins, and the other
/// stands in `extra`, as does every other field. It is a fatal error even where the form does not say so: only a process that has
/// crashed leaves a dump.
pub fn minidump_event(fields: &[(String, String)], files: &[(String, Vec<u8>)]) -> String {
    let mut event = Merged::default();
    let mut extra = Map::new();
    let mut chunks: BTreeMap<u32, &str> = BTreeMap::new();
    let mut nested = Vec::new();
    for (name, text) in fields {
        if name == EVENT_FIELD || name.starts_with(EVENT_FIELDS) {
            match serde_json::from_str(text) {
                Ok(said @ Value::Object(_)) => event.add(said),
                _ => keep(&mut extra, name, text.as_str().into()),
            }
        } else if let Some(number) = name.strip_prefix(CHUNK_FIELDS).and_then(|number| number.parse().ok()) {
            chunks.insert(number, text);
        } else if let Some(way) = way(name) {
            nested.push((way, text));
        } else {
            keep(&mut extra, name, text.as_str().into());
        }
    }
    if !chunks.is_empty() {
        let whole: String = chunks.into_values().collect();
        match serde_json::from_str(&whole) {
            Ok(said @ Value::Object(_)) => event.add(said),
            _ => keep(&mut extra, CHUNK_FIELDS, whole.into()),
        }
    }
    for (way, text) in nested {
        let said = way.iter().rev().fold(Value::from(text.as_str()), |inner, name| json!({*name: inner}));
        event.add(said);
    }
    if let Some((_, bytes)) = files.iter().find(|(name, _)| name == EVENT_FILE)
        && let Some(said @ Value::Object(_)) = message_pack::read_all(bytes).into_iter().next()
    {
        event.add(said);
    }
    event.add(json!({"level": "fatal"}));
    let Merged { event, replaced } = event;
    let Value::Object(mut event) = event else { return json!({"level": "fatal"}).to_string() };
    replaced.into_iter().for_each(|(path, value)| keep(&mut extra, &format!("{EVENT_FIELD}.{path}"), value));
    finish(&mut event, extra, breadcrumbs(files));
    Value::Object(event).to_string()
}

/// What a dump alone says.
pub(super) fn error() -> Error {
    Error { class: Some(CLASS.to_owned()), message: Some(MESSAGE.to_owned()), handled: Some(false), ..Error::default() }
}

fn finish(event: &mut Map<String, Value>, extra: Map<String, Value>, breadcrumbs: Vec<Value>) {
    event.entry("platform").or_insert_with(|| PLATFORM.into());
    event.entry("exception").or_insert_with(|| {
        json!({"values": [{
            "type": CLASS,
            "value": MESSAGE,
            "mechanism": {"type": "minidump", "handled": false, "synthetic": true},
        }]})
    });
    if !extra.is_empty() {
        let there = event.entry("extra").or_insert_with(|| Value::Object(Map::new()));
        match there {
            Value::Object(there) => extra.into_iter().for_each(|(name, value)| keep(there, &name, value)),
            other => {
                let other = std::mem::replace(other, Value::Object(extra));
                event.insert("sentry.extra".to_owned(), other);
            }
        }
    }
    if !breadcrumbs.is_empty() {
        let list = match event.entry("breadcrumbs").or_insert_with(|| json!([])) {
            Value::Object(values) => values.entry("values").or_insert_with(|| json!([])),
            list => list,
        };
        if let Value::Array(list) = list {
            list.extend(breadcrumbs);
        }
    }
}

/// Both files, the older first: when one is full its client begins the other anew.
fn breadcrumbs(files: &[(String, Vec<u8>)]) -> Vec<Value> {
    let of = |name: &str| {
        let file = files.iter().find(|(there, _)| there == name);
        file.map(|(_, bytes)| message_pack::read_all(bytes)).unwrap_or_default()
    };
    let mut parts = BREADCRUMB_FILES.map(of);
    let begin = |crumbs: &Vec<Value>| crumbs.first().map(|crumb| crumb["timestamp"].to_string());
    if begin(&parts[1]) < begin(&parts[0]) {
        parts.swap(0, 1);
    }
    parts.into_iter().flatten().collect()
}

/// Puts it there under its name, or beside what has it already.
fn keep(entries: &mut Map<String, Value>, name: &str, value: Value) {
    let names = std::iter::once(name.to_owned()).chain((2_u32..).map(|number| format!("{name}#{number}")));
    if let Some(free) = names.into_iter().find(|name| !entries.contains_key(name)) {
        entries.insert(free, value);
    }
}

/// An event that is put together, and what was there before something else was said.
struct Merged {
    event: Value,
    replaced: Vec<(String, Value)>,
}

impl Default for Merged {
    fn default() -> Merged {
        Merged { event: Value::Object(Map::new()), replaced: Vec::new() }
    }
}

impl Merged {
    fn add(&mut self, said: Value) {
        merge(&mut self.event, said, String::new(), 0, &mut self.replaced);
    }
}

fn merge(there: &mut Value, said: Value, path: String, depth: usize, replaced: &mut Vec<(String, Value)>) {
    match (there, said) {
        (Value::Object(there), Value::Object(said)) if depth < DEPTH_MAX => {
            for (name, value) in said {
                match there.get_mut(&name) {
                    Some(inner) => {
                        let path = if path.is_empty() { name } else { format!("{path}.{name}") };
                        merge(inner, value, path, depth + 1, replaced);
                    }
                    None => {
                        there.insert(name, value);
                    }
                }
            }
        }
        (there, said) if *there == said || said.is_null() => {}
        (there, said) => {
            let before = std::mem::replace(there, said);
            if !before.is_null() {
                replaced.push((path, before));
            }
        }
    }
}

/// The names in `sentry[a][b]`.
fn way(name: &str) -> Option<Vec<&str>> {
    let inner = name.strip_prefix(EVENT_FIELD)?.strip_prefix('[')?.strip_suffix(']')?;
    let way: Vec<&str> = inner.split("][").collect();
    (way.len() <= DEPTH_MAX && way.iter().all(|name| !name.is_empty())).then_some(way)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sentry::{EventContext, parse_event};

    fn event_with(fields: &[(&str, &str)], files: &[(&str, &[u8])]) -> notice::Notice {
        let fields: Vec<_> = fields.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        let files: Vec<_> = files.iter().map(|(name, bytes)| ((*name).to_owned(), bytes.to_vec())).collect();
        parse_event(minidump_event(&fields, &files).as_bytes(), &EventContext::default()).expect("is read").notice
    }

    fn event(fields: &[(&str, &str)]) -> notice::Notice {
        event_with(fields, &[])
    }

    fn json_of(text: Option<&String>) -> Value {
        serde_json::from_str(text.expect("is there")).expect("is JSON")
    }

    #[test]
    fn a_dump_alone_is_a_fatal_error() {
        let notice = event(&[]);
        assert_eq!((notice.severity.as_deref(), notice.platform.as_deref()), (Some("fatal"), Some("native")));
        assert_eq!(notice.errors[0].class.as_deref(), Some("Minidump"));
        assert_eq!(notice.errors[0].handled, Some(false));
    }

    #[test]
    fn what_the_form_says_is_in_the_event() {
        let json = r#"{"event_id":"8d1c2cbc5e4e4fac89924a67464ceb58","release":"a@1","level":"info","exception":{"values":[{"type":"SIGSEGV","value":"0x0"}]}}"#;
        let notice = event(&[
            ("sentry", json),
            ("sentry[release]", "a@2"),
            ("sentry[tags][shop]", "eu"),
            ("sentry[]", "nothing"),
            ("prod", "Electron"),
        ]);
        assert_eq!(notice.client_id.as_deref(), Some("8d1c2cbc5e4e4fac89924a67464ceb58"));
        assert_eq!((notice.release.as_deref(), notice.severity.as_deref()), (Some("a@2"), Some("fatal")));
        assert_eq!(notice.tags_json.as_deref(), Some(r#"{"shop":"eu"}"#));
        assert_eq!(notice.errors[0].class.as_deref(), Some("SIGSEGV"));
        assert_eq!(
            json_of(notice.extra_json.as_ref()),
            json!({"prod": "Electron", "sentry[]": "nothing", "sentry.release": "a@1", "sentry.level": "info"})
        );
        let broken = event(&[("sentry", "{broken"), ("sentry", "{again")]);
        assert!(broken.client_id.is_none());
        assert_eq!(json_of(broken.extra_json.as_ref()), json!({"sentry": "{broken", "sentry#2": "{again"}));
    }

    #[test]
    fn electron_says_it_in_fields_of_its_own_and_in_pieces() {
        let notice = event(&[
            (
                "sentry___initialScope",
                r#"{"release":"shop@2","environment":"beta","user":{"id":"7"},"tags":{"a":"b"}}"#,
            ),
            ("sentry__2", r#""c":"d"},"server_name":"till"}"#),
            ("sentry__1", r#"{"tags":{"#),
            ("ptype", "renderer"),
        ]);
        assert_eq!((notice.release.as_deref(), notice.environment.as_deref()), (Some("shop@2"), Some("beta")));
        assert_eq!(notice.user.and_then(|user| user.id).as_deref(), Some("7"));
        assert_eq!(json_of(notice.tags_json.as_ref()), json!({"a": "b", "c": "d"}));
        assert_eq!(notice.server.and_then(|server| server.hostname).as_deref(), Some("till"));
        assert_eq!(json_of(notice.extra_json.as_ref()), json!({"ptype": "renderer"}));
        let unreadable = event(&[("sentry__1", "{\"a\":"), ("sentry__3", "}")]);
        assert_eq!(json_of(unreadable.extra_json.as_ref()), json!({"sentry__": "{\"a\":}"}));
    }

    #[test]
    fn what_a_native_client_wrote_beside_the_dump_is_its_event() {
        let id = "8d1c2cbc5e4e4fac89924a67464ceb58";
        let packed =
            [&b"\x83\xa8event_id\xd9\x20"[..], id.as_bytes(), b"\xa7release\xa6shop@3\xa4user\x81\xa2id\xa17"].concat();
        let crumb = |second: u8| {
            [&b"\x82\xa9timestamp\xb42026-11-26T10:00:0"[..], &[b'0' + second], b"Z\xa7message\xa1", &[b'a' + second]]
                .concat()
        };
        let (newer, older) = (crumb(3), [crumb(1), crumb(2)].concat());
        let notice = event_with(
            &[("sentry[release]", "old"), ("guid", "x")],
            &[("__sentry-event", &packed), ("__sentry-breadcrumb1", &newer), ("__sentry-breadcrumb2", &older)],
        );
        assert_eq!((notice.client_id.as_deref(), notice.release.as_deref()), (Some(id), Some("shop@3")));
        assert_eq!(notice.user.as_ref().and_then(|user| user.id.as_deref()), Some("7"));
        let crumbs = json_of(notice.breadcrumbs_json.as_ref());
        let messages: Vec<_> = crumbs.as_array().expect("is a list").iter().map(|crumb| &crumb["message"]).collect();
        assert_eq!(messages, ["b", "c", "d"]);
        assert_eq!(json_of(notice.extra_json.as_ref()), json!({"guid": "x", "sentry.release": "old"}));
        let broken = event_with(&[], &[("__sentry-event", b"\xc1"), ("__sentry-breadcrumb1", b"\xff")]);
        assert_eq!(broken.errors[0].class.as_deref(), Some("Minidump"));
    }
}
