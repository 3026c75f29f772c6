//! What Honeybadger's clients want to hear: JSON. None of them sends anything again.

use notice::NoticeId;
use serde_json::json;

/// The answer to a notice that was accepted, with status 201. The id is shown to whoever called `notify`.
pub fn accepted(id: &NoticeId) -> String {
    json!({"id": id.to_string()}).to_string()
}

/// The answer to a deploy that was recorded, with status 201.
pub const DEPLOYED: &str = r#"{"status":"OK"}"#;

/// The answer to what was refused. The clients log it.
pub fn refused(message: &str) -> String {
    json!({"error": message}).to_string()
}
