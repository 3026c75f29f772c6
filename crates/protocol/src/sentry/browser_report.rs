//! Whatever else browsers report through the same address: functions that are going, interventions, crashes.

use notice::Frame;
use notice::json_tree::Tree;

use super::report::{Entries, Report, ReportContext};
use crate::Parsed;
use crate::json::{number, set};

/// Reads a report by the Reporting API, of which only its type is known. Each type with each of its ids is a group.
pub(super) fn read(mut entries: Entries<'_>, context: &ReportContext<'_>) -> Parsed {
    let at = entries.iter().position(|(key, value)| key == "type" && matches!(value, Tree::Text(_)));
    let kind = at.and_then(|at| entries.swap_remove(at).1.scalar().map(str::to_owned)).unwrap_or_default();
    let class = if kind.is_empty() { "report" } else { &kind };
    let mut report = Report::new("sentry-report", class, "body");
    report.notice.severity = Some("warning".to_owned());
    let (mut message, mut id) = (None, None);
    let mut frame = Frame::default();
    for (key, value) in report.unwrap(entries) {
        let is_taken = match &*key {
            "message" => set(&mut message, &value),
            "sourceFile" => set(&mut frame.file, &value),
            "lineNumber" => number(&mut frame.line, &value),
            "columnNumber" => number(&mut frame.column, &value),
            "id" | "reason" => {
                set(&mut id, &value);
                false
            }
            _ => false,
        };
        if !is_taken {
            report.keep(key, value);
        }
    }
    if frame != Frame::default() {
        report.error.frames.push(frame);
    }
    let id = id.or_else(|| message.clone()).unwrap_or_default();
    report.error.message = message.or_else(|| Some(id.clone()).filter(|id| !id.is_empty()));
    report.finish(&["report", &kind, &id], context)
}
