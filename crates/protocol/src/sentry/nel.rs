//! Network errors that browsers report.

use notice::json_tree::Tree;

use super::hosts::host_of;
use super::report::{self, Entries, Report, ReportContext};
use crate::json::set;
use crate::{ParseError, Parsed};

/// Reads a list of reports: one notice for each.
pub fn nel_report(body: &[u8], context: &ReportContext<'_>) -> Result<Vec<Parsed>, ParseError> {
    report::each(body, |entries| {
        let is_report = entries.iter().any(|(key, value)| key == "body" && matches!(value, Tree::Map(_)));
        is_report.then(|| read(entries, context))
    })
}

/// What broke, in which phase, on the way to which host. Each kind of error of each host is a group.
pub(super) fn read(entries: Entries<'_>, context: &ReportContext<'_>) -> Parsed {
    let mut report = Report::new("sentry-nel", "Network error", "body");
    let (mut kind, mut phase, mut status) = (None, None, None);
    for (key, value) in report.unwrap(entries) {
        let is_taken = match &*key {
            "referrer" => set(&mut report.referrer, &value),
            "method" => set(&mut report.request.method, &value),
            // They stay where they came as well: the message is only made of them.
            "type" => set(&mut kind, &value) && value.is_empty(),
            "phase" => set(&mut phase, &value) && value.is_empty(),
            "status_code" => set(&mut status, &value) && value.is_empty(),
            _ => false,
        };
        if !is_taken {
            report.keep(key, value);
        }
    }
    let kind = kind.unwrap_or_else(|| "unknown".to_owned());
    // Browsers report a sample of what went well, too.
    if kind == "ok" {
        report.notice.severity = Some("info".to_owned());
    }
    let url = report.request.url.clone().unwrap_or_default();
    let host = host_of(&url).unwrap_or(&url);
    let status = status.filter(|status| kind == "http.error" && status != "0").unwrap_or_default();
    let what = [&kind, &status].map(String::as_str).join(" ");
    let place = phase.map(|phase| format!(" in phase '{phase}'")).unwrap_or_default();
    report.error.message = Some(format!("{}{place} of a request to '{host}'", what.trim()));
    report.finish(&["nel", what.trim(), host], context)
}
