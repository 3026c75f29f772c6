//! `logentry`: a message that was logged, with the template that it was made of.

use notice::json_tree::Tree;

use super::event::Named;
use super::params;
use crate::json::set;
use crate::unmapped::Unmapped;

/// What was logged.
pub(super) struct Message {
    /// The text, with the values in it.
    pub(super) formatted: String,
    /// The text without the values, if there are any.
    pub(super) template: Option<String>,
}

impl Message {
    /// Reads a text, or an object with a text, its values, and what they make together. What says nothing goes to the unmapped.
    pub(super) fn read<'a>(said: Named<'a>, unmapped: &mut Unmapped<'a>) -> Option<Message> {
        let Named { key, value } = said;
        let mut entries = match value {
            Tree::Map(entries) => entries,
            other => {
                let formatted = other.scalar().map(str::to_owned);
                if formatted.is_none() {
                    unmapped.add(key, other);
                }
                return Some(Message { formatted: formatted?, template: None });
            }
        };
        let (mut template, mut formatted) = (None, None);
        entries.retain(|(name, value)| match &**name {
            "message" => !set(&mut template, value),
            "formatted" => !set(&mut formatted, value),
            _ => true,
        });
        if formatted.is_none()
            && let Some(template) = &template
            && let Some((_, values)) = entries.iter().find(|(name, _)| name == "params")
        {
            formatted = params::put_in(template, values, quoting(&key));
        }
        for (name, value) in entries {
            unmapped.add(format!("{key}.{name}"), value);
        }
        let formatted = formatted.or_else(|| template.clone())?;
        let template = template.filter(|template| *template != formatted);
        Some(Message { formatted, template })
    }
}

/// Python's older client, which used this name, wrote values as its `repr` does.
fn quoting(key: &str) -> params::Quoting {
    if key == "sentry.interfaces.Message" { params::Quoting::Python } else { params::Quoting::None }
}
