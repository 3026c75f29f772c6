//! How bad it is.

use notice::Notice;
use notice::json_tree::Tree;

/// What an event is that says nothing of it.
pub(super) const DEFAULT: &str = "error";

/// Sets the severity. Gives back what is not one of the five words, so that it is kept as it came.
pub(super) fn read<'a>(value: Tree<'a>, notice: &mut Notice) -> Option<Tree<'a>> {
    let severity = value.scalar().and_then(severity);
    match severity {
        Some(severity) if notice.severity.is_none() => {
            notice.severity = Some(severity.to_owned());
            (value.scalar() != Some(severity)).then_some(value)
        }
        _ => Some(value),
    }
}

/// The word of the protocol for a level; Python's older client writes the number of its logging module.
fn severity(level: &str) -> Option<&'static str> {
    match level {
        "fatal" | "critical" | "50" => Some("fatal"),
        "error" | "40" => Some("error"),
        "warning" | "warn" | "30" => Some("warning"),
        "info" | "log" | "20" => Some("info"),
        "debug" | "10" => Some("debug"),
        _ => None,
    }
}
