//! The fields of a form that was sent, and what every form of ours has.

use serde::Deserialize;
use uuid::Uuid;

use super::order::Asked;
use crate::view::text::escaped;

/// What somebody filled in.
#[derive(Default, Deserialize)]
#[serde(transparent)]
pub(crate) struct Sent(Vec<(String, String)>);

impl Sent {
    /// A field; empty when it was not sent.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.0.iter().find(|(found, _)| found == name).map_or("", |(_, value)| value)
    }

    /// A number; 0 when it was not sent or is none.
    pub(crate) fn number<N: std::str::FromStr + Default>(&self, name: &str) -> N {
        self.text(name).trim().parse().unwrap_or_default()
    }

    /// Every value of a field that may be ticked several times.
    pub(crate) fn all(&self, name: &str) -> Vec<String> {
        self.0.iter().filter(|(found, _)| found == name).map(|(_, value)| value.clone()).collect()
    }

    /// Whether a box was ticked.
    pub(crate) fn is_ticked(&self, name: &str) -> bool {
        !self.text(name).is_empty()
    }

    /// What proves the form, for a change of this project, or of none (0).
    pub(crate) fn asked(&self, project_id: i64) -> Asked<'_> {
        Asked { form_token: self.text("form_token"), command_id: self.text("command_id"), project_id }
    }
}

/// The hidden fields of a form: what proves it, and the id by which sending it twice acts once.
pub(crate) fn hidden(form_token: &str) -> String {
    format!(
        r#"<input type="hidden" name="form_token" value="{}"><input type="hidden" name="command_id" value="{}">"#,
        escaped(form_token),
        Uuid::new_v4()
    )
}
