//! What alerts say in words, whatever they are sent as.

use serde_json::Value;
use store::writer::{PendingAlert, PendingRule};

use super::Sender;

/// Groups that a message for many names.
pub(super) const NAMED_MAX: i64 = 10;

/// Most characters of a title.
const TITLE_CHARS_MAX: usize = 200;

/// Most characters of what an error says.
const MESSAGE_CHARS_MAX: usize = 1_000;

/// Many alerts of one rule.
pub(super) struct Together<'a> {
    pub(super) count: i64,
    /// The first of them.
    pub(super) named: &'a [PendingAlert],
}

impl Together<'_> {
    /// How many it does not name.
    pub(super) fn unnamed(&self) -> i64 {
        self.count - i64::try_from(self.named.len()).unwrap_or(i64::MAX)
    }
}

/// What happened, in a few words.
pub(super) fn happened(alert: &PendingAlert) -> String {
    let number = |name: &str| alert.body.get(name).and_then(Value::as_i64).unwrap_or_default();
    match alert.kind.as_str() {
        "group.new" => "New group".to_owned(),
        "group.reopened" => "Came back".to_owned(),
        "group.count" => format!("{} notices in {} minutes", number("counted"), number("window_minutes")),
        "group.users" => format!("{} users met it", number("counted")),
        other => other.to_owned(),
    }
}

/// The error in one line.
pub(super) fn title(alert: &PendingAlert) -> String {
    cut(&store::alert::title(&alert.class, &alert.message), TITLE_CHARS_MAX)
}

/// What the error says.
pub(super) fn message(alert: &PendingAlert) -> String {
    cut(&alert.message, MESSAGE_CHARS_MAX)
}

/// What many alerts say in one line.
pub(super) fn together_title(rule: &PendingRule, together: &Together<'_>) -> String {
    format!("{} alerts of “{}”", together.count, rule.name)
}

fn cut(text: &str, chars_max: usize) -> String {
    match text.char_indices().nth(chars_max) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

impl Sender {
    /// The address of a group's page.
    pub(super) fn group_url(&self, project_id: i64, group_id: i64) -> Option<String> {
        self.public_url.as_ref().map(|base| format!("{base}/projects/{project_id}/groups/{group_id}"))
    }

    /// The address of the list of a project's groups, newest first.
    pub(super) fn list_url(&self, project_id: i64) -> Option<String> {
        self.public_url.as_ref().map(|base| format!("{base}/projects/{project_id}/groups?sort=first_seen"))
    }
}
