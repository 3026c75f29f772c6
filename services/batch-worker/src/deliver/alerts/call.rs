//! Bodies of Standard Webhooks: type, timestamp, data. Their schema is published by the web (`/schemas/webhook.json`).

use serde_json::{Value, json};
use store::writer::PendingRule;
use time::format_description::well_known::Rfc3339;

use super::{Sender, Told, wording};

/// The body that tells of an alert, or of many.
pub(super) fn compose(sender: &Sender, rule: &PendingRule, told: &Told<'_>) -> Value {
    let rule_json = json!({ "id": rule.id.to_string(), "name": rule.name });
    match told {
        Told::Single(alert) => {
            let mut data = json!({
                "project_id": rule.project_id,
                "project": rule.project_name,
                "group_id": alert.group_id.to_string(),
                "class": alert.class,
                "message": wording::message(alert),
                "culprit": alert.culprit,
                "notice_id": alert.body.get("notice_id"),
                "url": sender.group_url(rule.project_id, alert.group_id),
                "notice_count": alert.notice_count,
                "user_count": alert.user_count,
                "rule": rule_json,
            });
            for name in ["threshold", "window_minutes", "counted"] {
                if let Some(value) = alert.body.get(name) {
                    data[name] = value.clone();
                }
            }
            json!({ "type": alert.kind, "timestamp": alert.at.format(&Rfc3339).unwrap_or_default(), "data": data })
        }
        Told::Together(together) => {
            let newest = together.named.last().map(|alert| alert.at.format(&Rfc3339).unwrap_or_default());
            let groups: Vec<Value> = together
                .named
                .iter()
                .map(|alert| {
                    json!({
                        "type": alert.kind,
                        "group_id": alert.group_id.to_string(),
                        "class": alert.class,
                        "message": wording::message(alert),
                        "culprit": alert.culprit,
                        "url": sender.group_url(rule.project_id, alert.group_id),
                    })
                })
                .collect();
            json!({
                "type": told.kind(),
                "timestamp": newest,
                "data": {
                    "project_id": rule.project_id,
                    "project": rule.project_name,
                    "alert_count": together.count,
                    "groups": groups,
                    "url": sender.list_url(rule.project_id),
                    "rule": rule_json,
                },
            })
        }
    }
}

/// The body of a test. `asked` has the project and when somebody asked for it.
pub(super) fn test(asked: &Value) -> Value {
    json!({
        "type": "test",
        "timestamp": asked["at"],
        "data": { "project_id": asked["project_id"], "message": TEST },
    })
}

/// What a test says.
pub(super) const TEST: &str = "This is a test of a destination: Croak can reach it.";
