//! What Sentry's clients want to hear: JSON, always.

use serde_json::json;

/// The answer to what was accepted; the id is that of the event, if there is one in it.
pub fn accepted(event_id: Option<&str>) -> String {
    match event_id {
        Some(id) => json!({"id": id}).to_string(),
        None => "{}".to_owned(),
    }
}

/// The answer to what was refused. Clients log the detail.
pub fn refused(detail: &str) -> String {
    json!({"detail": detail}).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_json() {
        assert_eq!(accepted(Some("8d1c2cbc5e4e4fac89924a67464ceb58")), r#"{"id":"8d1c2cbc5e4e4fac89924a67464ceb58"}"#);
        assert_eq!(accepted(None), "{}");
        assert_eq!(refused("no \"key\""), r#"{"detail":"no \"key\""}"#);
    }
}
