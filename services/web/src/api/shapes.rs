//! What the API's objects look like.

use serde_json::{Map, Value, json};
use store::reader::{Deploy, Group, Project};
use time::OffsetDateTime;

/// RFC 3339 in UTC with microseconds.
pub(crate) fn rfc_3339(at: OffsetDateTime) -> String {
    let at = at.to_offset(time::UtcOffset::UTC);
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z",
        at.year(),
        u8::from(at.month()),
        at.day(),
        at.hour(),
        at.minute(),
        at.second(),
        at.microsecond()
    )
}

pub(super) fn project(project: &Project) -> Value {
    json!({
        "id": project.id,
        "slug": project.slug,
        "name": project.name,
        "notice_count": project.notice_count,
        "unresolved_group_count": project.unresolved_group_count,
        "created_at": rfc_3339(project.created_at),
    })
}

pub(crate) fn group(group: &Group, public_url: Option<&str>) -> Value {
    let base = public_url.unwrap_or_default();
    json!({
        "id": group.id.to_string(),
        "project_id": group.project_id,
        "class": group.class,
        "message": group.message,
        "culprit": group.culprit,
        "state": group.state.as_str(),
        "version": group.version,
        "notice_count": group.notice_count,
        "user_count": group.user_count,
        "first_seen_at": rfc_3339(group.first_seen_at),
        "last_seen_at": rfc_3339(group.last_seen_at),
        "resolved_at": group.resolved_at.map(rfc_3339),
        "environments": group.environments,
        "releases": {"first": group.first_release, "last": group.last_release},
        "assignee": group.assignee.as_ref().map(|(id, name)| json!({"id": id.to_string(), "name": name})),
        "url": format!("{base}/projects/{}/groups/{}", group.project_id, group.id),
    })
}

pub(super) fn deploy(deploy: &Deploy) -> Value {
    let text = |text: &str| if text.is_empty() { Value::Null } else { Value::from(text) };
    json!({
        "id": deploy.id.to_string(),
        "environment": text(&deploy.environment),
        "revision": text(&deploy.revision),
        "repository": text(&deploy.repository),
        "username": text(&deploy.username),
        "version": text(&deploy.version),
        "message": text(&deploy.message),
        "new_group_count": deploy.new_group_count,
        "at": rfc_3339(deploy.at),
    })
}

/// A page of a list.
pub(super) fn list(items: Vec<Value>, next: Option<String>) -> Value {
    let mut list = Map::new();
    list.insert("items".to_owned(), Value::Array(items));
    list.insert("next".to_owned(), next.map_or(Value::Null, Value::String));
    Value::Object(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_six_digits_and_are_utc() {
        let at = time::macros::datetime!(2026-11-23 03:04:05.000_070 +02:00);
        assert_eq!(rfc_3339(at), "2026-11-23T01:04:05.000070Z");
    }
}
