//! A notice as the JSON API shows it.

use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::iso8601::{Config, EncodedConfig, Iso8601, TimePrecision};

use crate::{Error, Frame, Notice, NoticeId, json_tree};

/// RFC 3339 in UTC with microseconds.
const RFC_3339_MICROS: EncodedConfig =
    Config::DEFAULT.set_time_precision(TimePrecision::Second { decimal_digits: std::num::NonZero::new(6) }).encode();

/// A notice and what is known of it since it was accepted.
#[derive(Clone, Copy, Debug)]
pub struct Stored<'a> {
    /// Its id.
    pub id: NoticeId,
    /// The project.
    pub project_id: i64,
    /// The group that it is in.
    pub group_id: i64,
    /// When the gateway accepted it, in Unix microseconds.
    pub accepted_at_us: i64,
    /// What it says.
    pub notice: &'a Notice,
    /// Why it is in that group: `{fingerprint, version, parts}`.
    pub why: Option<&'a Value>,
}

/// The notice as the API's `Notice`.
pub fn to_json(stored: &Stored<'_>) -> Value {
    let notice = stored.notice;
    let mut out = json!({
        "id": stored.id.to_string(),
        "client_id": notice.client_id,
        "project_id": stored.project_id,
        "group_id": stored.group_id.to_string(),
        "accepted_at": rfc_3339(stored.accepted_at_us),
        "occurred_at": notice.occurred_at_us.and_then(rfc_3339),
        "protocol": notice.protocol,
        "notifier": notice.notifier.as_ref().map(|notifier| json!({
            "name": notifier.name, "version": notifier.version, "url": notifier.url,
        })),
        "severity": notice.severity,
        "environment": notice.environment,
        "release": notice.release,
        "language": notice.language,
        "platform": notice.platform,
        "errors": notice.errors.iter().map(error).collect::<Vec<_>>(),
        "request": notice.request.as_ref().map(|request| json!({
            "url": request.url,
            "method": request.method,
            "component": request.component,
            "action": request.action,
            "route": request.route,
            "params": embedded(request.params_json.as_deref()),
            "session": embedded(request.session_json.as_deref()),
            "headers": embedded(request.headers_json.as_deref()),
            "cgi": embedded(request.cgi_json.as_deref()),
            "body": embedded(request.body_json.as_deref()),
            "cookies": embedded(request.cookies_json.as_deref()),
        })),
        "user": notice.user.as_ref().map(|user| json!({
            "id": user.id, "name": user.name, "username": user.username, "email": user.email, "ip": user.ip,
        })),
        "server": notice.server.as_ref().map(server),
        "tags": embedded(notice.tags_json.as_deref()),
        "breadcrumbs": embedded(notice.breadcrumbs_json.as_deref()),
        "contexts": embedded(notice.contexts_json.as_deref()),
        "extra": embedded(notice.extra_json.as_deref()),
        "trace": notice.trace.as_ref().map(|trace| json!({"trace_id": trace.trace_id, "span_id": trace.span_id})),
        "notes": notice.notes,
        "why": stored.why,
    });
    if let Value::Object(out) = &mut out {
        if !notice.client_fingerprint.is_empty() {
            out.insert("client_fingerprint".into(), json!(notice.client_fingerprint));
        }
        for (name, text) in [("logger", &notice.logger), ("dist", &notice.dist)] {
            if let Some(text) = text {
                out.insert(name.into(), text.as_str().into());
            }
        }
        for (name, json) in [
            ("threads", &notice.threads_json),
            ("modules", &notice.modules_json),
            ("debug_images", &notice.debug_images_json),
        ] {
            if json.is_some() {
                out.insert(name.into(), embedded(json.as_deref()));
            }
        }
        if let Some(unmapped) = &notice.unmapped_json {
            let unmapped = embedded(Some(unmapped));
            if let Some(framework) = unmapped.get("framework").filter(|framework| framework.is_string()) {
                out.insert("framework".into(), framework.clone());
            }
            out.insert("unmapped".into(), unmapped);
        }
    }
    out
}

fn error(error: &Error) -> Value {
    let mut out = json!({
        "class": error.class,
        "message": error.message,
        "handled": error.handled,
        "frames": error.frames.iter().map(frame).collect::<Vec<_>>(),
    });
    if let Value::Object(out) = &mut out {
        for (name, text) in [("formatted", &error.formatted), ("module", &error.module)] {
            if let Some(text) = text {
                out.insert(name.into(), text.as_str().into());
            }
        }
        if error.mechanism_json.is_some() {
            out.insert("mechanism".into(), embedded(error.mechanism_json.as_deref()));
        }
    }
    out
}

fn frame(frame: &Frame) -> Value {
    let code: Option<Map<String, Value>> = (!frame.code.is_empty())
        .then(|| frame.code.iter().map(|code| (code.line.to_string(), Value::from(code.text.as_str()))).collect());
    json!({
        "file": frame.file,
        "function": frame.function,
        "module": frame.module,
        "line": frame.line,
        "column": frame.column,
        "in_app": frame.in_app,
        "code": code,
        "vars": embedded(frame.vars_json.as_deref()),
    })
}

/// `{hostname, root}` and whatever else the client said of its machine, unless it would take their place.
fn server(server: &crate::Server) -> Value {
    let mut out = Map::new();
    out.insert("hostname".into(), json!(server.hostname));
    out.insert("root".into(), json!(server.root));
    if let Value::Object(extra) = embedded(server.extra_json.as_deref()) {
        for (key, value) in extra {
            out.entry(key).or_insert(value);
        }
    }
    Value::Object(out)
}

/// The value of a `*_json` field. A text that is not JSON is shown as the text, because showing it beats losing it.
fn embedded(text: Option<&str>) -> Value {
    let Some(text) = text else { return Value::Null };
    json_tree::read(text).map_or_else(|_| Value::from(text), |read| read.tree.into_value())
}

fn rfc_3339(at_us: i64) -> Option<String> {
    let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(at_us) * 1000).ok()?;
    at.format(&Iso8601::<RFC_3339_MICROS>).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_utc_with_microseconds() {
        assert_eq!(rfc_3339(1_795_316_388_564_007).as_deref(), Some("2026-11-22T02:59:48.564007Z"));
        assert_eq!(rfc_3339(i64::MAX), None);
    }
}
