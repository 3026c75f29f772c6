//! The event of a crashed process of which there is a minidump: what it says of itself stands in the fields of a form.

use serde_json::{Map, Value, json};

/// The field that has a whole event as JSON.
const EVENT_FIELD: &str = "sentry";

/// Longest way from the event to a value, in names.
const DEPTH_MAX: usize = 8;

/// The event as JSON, from `sentry` and from fields like `sentry[contexts][app][version]`; the latter win. It is a fatal error even
/// where the form does not say so: only a process that has crashed leaves a dump.
pub fn minidump_event(fields: &[(String, String)]) -> String {
    let mut event = Map::new();
    for (_, text) in fields.iter().filter(|(name, _)| name == EVENT_FIELD) {
        if let Ok(Value::Object(said)) = serde_json::from_str(text) {
            event.extend(said);
        }
    }
    for (name, text) in fields {
        if let Some(way) = way(name) {
            put(&mut event, &way, text);
        }
    }
    event.insert("level".to_owned(), "fatal".into());
    event.entry("platform").or_insert_with(|| "native".into());
    event.entry("exception").or_insert_with(|| {
        json!({"values": [{
            "type": "Minidump",
            "value": "the process crashed and left a minidump",
            "mechanism": {"type": "minidump", "handled": false, "synthetic": true},
        }]})
    });
    Value::Object(event).to_string()
}

/// The names in `sentry[a][b]`.
fn way(name: &str) -> Option<Vec<&str>> {
    let inner = name.strip_prefix(EVENT_FIELD)?.strip_prefix('[')?.strip_suffix(']')?;
    let way: Vec<&str> = inner.split("][").collect();
    (way.len() <= DEPTH_MAX && way.iter().all(|name| !name.is_empty())).then_some(way)
}

fn put(object: &mut Map<String, Value>, way: &[&str], text: &str) {
    match way {
        [] => {}
        [name] => {
            object.insert((*name).to_owned(), text.into());
        }
        [name, rest @ ..] => {
            let inner = object.entry(*name).or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(inner) = inner {
                put(inner, rest, text);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sentry::{EventContext, parse_event};

    fn event(fields: &[(&str, &str)]) -> notice::Notice {
        let fields: Vec<_> = fields.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        parse_event(minidump_event(&fields).as_bytes(), &EventContext::default()).expect("is read").notice
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
            ("sentry[release][x]", "nowhere"),
            ("prod", "ignored"),
        ]);
        assert_eq!(notice.client_id.as_deref(), Some("8d1c2cbc5e4e4fac89924a67464ceb58"));
        assert_eq!((notice.release.as_deref(), notice.severity.as_deref()), (Some("a@2"), Some("fatal")));
        assert_eq!(notice.tags_json.as_deref(), Some(r#"{"shop":"eu"}"#));
        assert_eq!(notice.errors[0].class.as_deref(), Some("SIGSEGV"));
        assert!(event(&[("sentry", "{broken")]).client_id.is_none());
    }
}
