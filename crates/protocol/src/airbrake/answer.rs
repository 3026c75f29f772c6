//! What Airbrake clients want to hear: JSON, always.

use notice::NoticeId;
use serde_json::json;

/// The answer to a notice that was accepted.
pub fn accepted(id: &NoticeId, url: &str) -> String {
    json!({"id": id.to_string(), "url": url}).to_string()
}

/// The answer to a deploy that was accepted.
pub fn deployed(id: &NoticeId) -> String {
    json!({"id": id.to_string()}).to_string()
}

/// The answer to what was refused. Clients take a body without `message` for a fault of the server.
pub fn refused(message: &str) -> String {
    json!({"message": message}).to_string()
}

/// The remote configuration: everything on, nothing redirected.
///
/// `enabled: false` would silently switch a client off, an `endpoint` would send it elsewhere,
/// and a `config_route` would change where it asks next.
pub fn remote_config(project_id: u64) -> String {
    let on = |name: &str| json!({"name": name, "enabled": true, "endpoint": null});
    json!({
        "project_id": project_id,
        "updated_at": 1,
        "poll_sec": 600,
        "config_route": "",
        "settings": [on("errors"), on("apm")],
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_stay_switched_on() {
        let config = remote_config(7);
        assert!(config.starts_with(r#"{"project_id":7,"#));
        assert_eq!(config.matches(r#""enabled":true,"endpoint":null"#).count(), 2);
    }
}
