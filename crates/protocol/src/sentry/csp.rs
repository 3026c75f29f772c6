//! Content security policies: what a page tried to load and was not allowed to.

use std::borrow::Cow;

use notice::Frame;
use notice::json_tree::Tree;

use super::hosts::host_of;
use super::report::{Entries, Report, ReportContext};
use crate::Parsed;
use crate::json::{number, part, set};

/// Reads a report at this path of the body.
pub(super) fn read<'a>(
    entries: Entries<'a>,
    path: &'static str,
    around: Entries<'a>,
    context: &ReportContext<'_>,
) -> Parsed {
    let mut report = begin(path);
    report.keep_around(around);
    read_into(report, entries, context)
}

/// Reads a report by the Reporting API.
pub(super) fn read_by_type(entries: Entries<'_>, context: &ReportContext<'_>) -> Parsed {
    let mut report = begin("body");
    let body = report.unwrap(entries);
    read_into(report, body, context)
}

fn begin<'a>(path: &'static str) -> Report<'a> {
    let mut report = Report::new("sentry-csp", "CSP violation", path);
    report.notice.logger = Some("csp".to_owned());
    report
}

/// Each directive with each host that it blocked is a group.
fn read_into<'a>(mut report: Report<'a>, entries: Entries<'a>, context: &ReportContext<'_>) -> Parsed {
    let (mut effective, mut violated, mut blocked) = (None, None, None);
    let mut frame = Frame::default();
    for (key, value) in entries {
        let is_taken = match &*key {
            "document-uri" | "documentURL" => {
                let is_told = value.scalar().is_some() && value.scalar() == report.request.url.as_deref();
                is_told || set(&mut report.request.url, &value)
            }
            "referrer" => set(&mut report.referrer, &value),
            "source-file" | "sourceFile" => set(&mut frame.file, &value),
            "line-number" | "lineNumber" => number(&mut frame.line, &value),
            "column-number" | "columnNumber" => number(&mut frame.column, &value),
            _ => {
                // What message and group are made of stays where it came, too.
                match &*key {
                    "effective-directive" | "effectiveDirective" => set(&mut effective, &value),
                    "violated-directive" => set(&mut violated, &value),
                    "blocked-uri" | "blockedURL" => set(&mut blocked, &value),
                    "disposition" if value.scalar() == Some("report") => {
                        set(&mut report.notice.severity, &Tree::Text(Cow::Borrowed("warning")))
                    }
                    _ => false,
                };
                false
            }
        };
        if !is_taken {
            report.keep(key, value);
        }
    }
    if frame != Frame::default() {
        report.error.frames.push(frame);
    }
    let directive = effective.or(violated).unwrap_or_default();
    let directive = directive.split_whitespace().next().unwrap_or("default-src");
    let page = report.request.url.clone();
    let blocked = blocked_from(blocked.as_deref().unwrap_or_default(), page.as_deref());
    let text = |text| Tree::Text(Cow::Borrowed(text));
    let tags = vec![("effective-directive".into(), text(directive)), ("blocked".into(), text(blocked))];
    report.notice.tags_json = part(Some(Tree::Map(tags)));
    report.error.message = Some(message(directive, blocked));
    report.finish(&["csp", directive, blocked], context)
}

fn message(directive: &str, blocked: &str) -> String {
    let what = ["-elem", "-attr", "-src"].iter().fold(directive, |what, end| what.strip_suffix(end).unwrap_or(what));
    match blocked {
        "inline" | "eval" | "wasm-eval" => format!("Blocked {blocked} '{what}'"),
        from => format!("Blocked '{what}' from '{from}'"),
    }
}

/// The host of what was blocked, `self` for that of the page, or the scheme or word that stands for it.
fn blocked_from<'t>(blocked: &'t str, page: Option<&str>) -> &'t str {
    let blocked = blocked.trim();
    if blocked.is_empty() {
        // Older browsers leave it empty when nothing was to be loaded from anywhere.
        return "inline";
    }
    match host_of(blocked) {
        Some(host) if page.and_then(host_of) == Some(host) => "self",
        Some(host) => host,
        None => blocked.split(':').next().unwrap_or(blocked),
    }
}
