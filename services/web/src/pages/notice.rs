//! One notice as the group's page shows it.

use askama::Template;
use notice::{Notice, NoticeId};
use serde_json::Value;
use store::reader::{Around, Attachment, StoredNotice};
use store::source_maps::{Fate, Minified};
use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

use crate::view::number::{bytes, counted};
use crate::view::stack::{self, Run, breakable};
use crate::view::text::escaped;
use crate::view::{copied, times, tree};

/// Breadcrumbs that are shown, the last ones.
const CRUMBS_MAX: usize = 60;

#[derive(Template)]
#[template(path = "notice.html")]
pub(super) struct NoticeView {
    id: String,
    json_address: String,
    /// Where it is itself.
    address: String,
    /// Whether it tells of a request that can be sent again.
    has_request: bool,
    accepted: String,
    occurred: Option<String>,
    /// Facts of one line each.
    facts: Vec<Fact>,
    newest: Option<String>,
    newer: Option<String>,
    older: Option<String>,
    oldest: Option<String>,
    errors: Vec<ErrorView>,
    scripts: Vec<ScriptView>,
    files: Vec<FileView>,
    notes: Vec<String>,
    crumbs: Vec<Crumb>,
    sections: Vec<Section>,
}

struct Fact {
    name: &'static str,
    value: String,
    /// Whether it is long, and gets a line of its own.
    is_long: bool,
}

struct ErrorView {
    class: String,
    message: String,
    /// Whether the message has values in it that the group's has not.
    is_formatted: bool,
    runs: Vec<Run>,
}

/// What became of the frames of a script.
struct ScriptView {
    file: String,
    /// Which map resolved how many frames, and how it was found; empty if none did.
    resolved: String,
    /// What is missing or wrong; empty if nothing is.
    problem: String,
}

/// A file that came with it.
struct FileView {
    address: String,
    name: String,
    /// What it is, in a word or two.
    what: String,
    size: String,
}

struct Crumb {
    at: String,
    category: String,
    level: String,
    message: String,
    data: String,
}

struct Section {
    title: &'static str,
    html: String,
    is_open: bool,
}

impl NoticeView {
    /// A notice and the ways to its neighbours. `base` is the address of the group.
    pub(super) fn of(
        stored: &StoredNotice,
        around: Around,
        newest: Option<NoticeId>,
        oldest: Option<NoticeId>,
        attachments: Vec<Attachment>,
        base: &str,
    ) -> NoticeView {
        let notice = &stored.notice;
        let address = |id: NoticeId| format!("{base}/notices/{id}");
        let at = |us: i64| OffsetDateTime::from_unix_timestamp_nanos(i128::from(us) * 1000).ok();
        NoticeView {
            id: stored.id.to_string(),
            json_address: format!("{base}/notices/{}/json", stored.id),
            address: address(stored.id),
            has_request: copied::curl(notice).is_some(),
            accepted: at(stored.accepted_at_us).map(times::exact).unwrap_or_default(),
            occurred: notice.occurred_at_us.and_then(at).map(times::exact),
            facts: facts(notice),
            newest: newest.filter(|id| *id != stored.id).map(address),
            newer: around.newer.map(address),
            older: around.older.map(address),
            oldest: oldest.filter(|id| *id != stored.id).map(address),
            errors: notice
                .errors
                .iter()
                .enumerate()
                .map(|(at, error)| ErrorView {
                    class: breakable(error.class.as_deref().unwrap_or("Error without a class")),
                    message: error.formatted.clone().or_else(|| error.message.clone()).unwrap_or_default(),
                    is_formatted: error.formatted.is_some(),
                    runs: stack::runs(&error.frames, minified_of(stored, at)),
                })
                .collect(),
            scripts: stored.resolution.iter().flat_map(|resolution| &resolution.scripts).map(script).collect(),
            files: attachments
                .into_iter()
                .map(|file| FileView {
                    address: format!("{base}/notices/{}/attachments/{}", stored.id, file.id),
                    what: what_it_is(&file.attachment_type, &file.content_type),
                    name: file.name,
                    size: bytes(file.byte_length),
                })
                .collect(),
            notes: notice.notes.clone(),
            crumbs: crumbs(notice),
            sections: sections(notice),
        }
    }
}

/// Where the frames of an error were before they were resolved.
fn minified_of(stored: &StoredNotice, error: usize) -> &[Option<Minified>] {
    let of_error = stored.resolution.as_ref().and_then(|resolution| resolution.minified.get(error));
    of_error.map_or(&[], Vec::as_slice)
}

fn script(fate: &Fate) -> ScriptView {
    let resolved = match (&fate.map, fate.by) {
        (Some(map), Some(by)) if fate.frame_count > 0 => {
            let frames = counted(fate.frame_count as i64, "frame", "frames");
            format!("{frames} resolved by <code>{}</code>, found by {by}", breakable(map))
        }
        _ => String::new(),
    };
    ScriptView {
        file: breakable(&fate.script.file),
        resolved,
        problem: fate.problem.as_deref().map(breakable).unwrap_or_default(),
    }
}

/// What a client says that a file is, or else its type.
fn what_it_is(attachment_type: &str, content_type: &str) -> String {
    match attachment_type {
        "event.attachment" => content_type.to_owned(),
        known => known.rsplit('.').next().unwrap_or(known).replace('_', " "),
    }
}

fn facts(notice: &Notice) -> Vec<Fact> {
    let mut facts = Vec::new();
    let mut add = |name: &'static str, value: Option<String>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            facts.push(Fact { name, value, is_long: name == "Request" });
        }
    };
    let request = notice.request.as_ref();
    add(
        "Request",
        request.map(|request| {
            let url = request.url.as_deref().map(breakable).unwrap_or_default();
            let method = request.method.as_deref().map(escaped).unwrap_or_default();
            format!("{method} {url}").trim().to_owned()
        }),
    );
    add(
        "Action",
        request.and_then(|request| {
            let parts: Vec<&str> = [request.component.as_deref(), request.action.as_deref()]
                .into_iter()
                .flatten()
                .filter(|part| !part.is_empty())
                .collect();
            (!parts.is_empty()).then(|| breakable(&parts.join("#")))
        }),
    );
    add("Route", request.and_then(|request| request.route.as_deref().map(escaped)));
    add(
        "User",
        notice.user.as_ref().map(|user| {
            let parts = [&user.name, &user.username, &user.email];
            let names: Vec<String> = parts.into_iter().flatten().map(|part| escaped(part)).collect();
            let id = user.id.as_deref().filter(|id| !id.is_empty()).map(|id| format!("#{}", escaped(id)));
            let ip = user.ip.as_deref().map(escaped);
            names.into_iter().chain(id).chain(ip).collect::<Vec<_>>().join(" · ")
        }),
    );
    add("Environment", notice.environment.as_deref().map(escaped));
    add("Release", notice.release.as_deref().map(breakable));
    add("Build", notice.dist.as_deref().map(escaped));
    add("Host", notice.server.as_ref().and_then(|server| server.hostname.as_deref().map(escaped)));
    add("Severity", notice.severity.as_deref().map(escaped));
    add("Logger", notice.logger.as_deref().map(escaped));
    add(
        "Client",
        notice.notifier.as_ref().map(|notifier| {
            let name = notifier.name.as_deref().unwrap_or_default();
            escaped(format!("{name} {}", notifier.version.as_deref().unwrap_or_default()).trim())
        }),
    );
    add(
        "Platform",
        Some(
            [&notice.language, &notice.platform]
                .into_iter()
                .flatten()
                .filter(|part| !part.is_empty())
                .map(|part| escaped(part))
                .collect::<Vec<_>>()
                .join(" · "),
        ),
    );
    add("Client's id", notice.client_id.as_deref().map(escaped));
    add("Trace", notice.trace.as_ref().and_then(|trace| trace.trace_id.as_deref().map(escaped)));
    facts
}

/// A time in the viewer's zone, if it is one.
fn at(text: &str) -> String {
    // Near the last year there are times that have no counterpart in UTC.
    let utc = OffsetDateTime::parse(text, &Rfc3339).ok().and_then(|at| at.checked_to_offset(UtcOffset::UTC));
    utc.map_or_else(|| escaped(text), times::exact)
}

fn crumbs(notice: &Notice) -> Vec<Crumb> {
    let Some(Value::Array(crumbs)) = value(notice.breadcrumbs_json.as_deref()) else { return Vec::new() };
    let text = |crumb: &Value, name: &str| match &crumb[name] {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    };
    let skipped = crumbs.len().saturating_sub(CRUMBS_MAX);
    crumbs
        .iter()
        .skip(skipped)
        .map(|crumb| Crumb {
            at: at(&text(crumb, "at")),
            category: text(crumb, "category"),
            level: text(crumb, "level"),
            message: text(crumb, "message"),
            data: if tree::is_empty(&crumb["data"]) { String::new() } else { tree::tree(&crumb["data"]) },
        })
        .collect()
}

fn sections(notice: &Notice) -> Vec<Section> {
    let mut sections = Vec::new();
    let mut add = |title: &'static str, text: Option<&str>, is_open: bool| {
        if let Some(value) = value(text).filter(|value| !tree::is_empty(value)) {
            sections.push(Section { title, html: tree::tree(&value), is_open });
        }
    };
    let request = notice.request.as_ref();
    add("Parameters", request.and_then(|request| request.params_json.as_deref()), true);
    add("Session", request.and_then(|request| request.session_json.as_deref()), true);
    add("Body", request.and_then(|request| request.body_json.as_deref()), false);
    add("Tags", notice.tags_json.as_deref(), true);
    add("Extra", notice.extra_json.as_deref(), true);
    add("Contexts", notice.contexts_json.as_deref(), false);
    add("Mechanism", notice.errors.first().and_then(|error| error.mechanism_json.as_deref()), false);
    add("Cookies", request.and_then(|request| request.cookies_json.as_deref()), false);
    add("Headers", request.and_then(|request| request.headers_json.as_deref()), false);
    add("Environment variables", request.and_then(|request| request.cgi_json.as_deref()), false);
    add("Server", notice.server.as_ref().and_then(|server| server.extra_json.as_deref()), false);
    add("Threads", notice.threads_json.as_deref(), false);
    add("Modules", notice.modules_json.as_deref(), false);
    add("Debug images", notice.debug_images_json.as_deref(), false);
    add("Everything else", notice.unmapped_json.as_deref(), false);
    sections
}

fn value(text: Option<&str>) -> Option<Value> {
    text.map(|text| serde_json::from_str(text).unwrap_or_else(|_| Value::from(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_that_a_client_wrote_is_shown_as_one_or_as_it_came() {
        assert!(at("2026-11-22T03:34:24+02:00").contains("2026-11-22 01:34:24 UTC"));
        for other in ["9999-12-31T23:59:59-00:01", "soon"] {
            assert_eq!(at(other), other);
        }
    }
}
