//! What Bugsnag's clients want to hear: the right status, hardly more.
//!
//! Older ones (Go's, Java's, Python's) take nothing but [`ACCEPTED_STATUS`] for a success where events go, and nothing but
//! [`COUNTED_STATUS`] where sessions go. Those of phones and of Unity keep what got no answer, a 408, a 429 or a 5xx, and send it again; events have no
//! id of their own, so one whose answer was lost counts twice.

use notice::NoticeId;
use serde_json::json;

/// The status that says that events were accepted.
pub const ACCEPTED_STATUS: u16 = 200;

/// The status that says that sessions were accepted.
pub const COUNTED_STATUS: u16 = 202;

/// The answer to events that were accepted: the id of the first. Some clients hand it to whoever called `notify`.
pub fn accepted(id: &NoticeId) -> String {
    json!({"id": id.to_string()}).to_string()
}

/// The answer to a report of a build.
pub const BUILT: &str = r#"{"status":"ok"}"#;

/// The answer to what was refused.
pub fn refused(message: &str) -> String {
    json!({"error": message}).to_string()
}
