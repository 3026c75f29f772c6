//! `logentry`: a message that was logged, with the template that it was made of.

use notice::json_tree::Tree;

use super::event::Named;
use super::params;
use crate::json::set;
use crate::unmapped::Unmapped;

/// What was logged.
pub(super) struct Message {
    /// The text as it stands in the program: what all notices of it have in common.
    pub(super) message: String,
    /// The text with the values in it, if there are any.
    pub(super) formatted: Option<String>,
}

impl Message {
    /// Reads a text, or an object with a text, its values, and what they make together. What says nothing goes to the unmapped.
    pub(super) fn read<'a>(said: Named<'a>, unmapped: &mut Unmapped<'a>) -> Option<Message> {
        let Named { key, value } = said;
        let mut entries = match value {
            Tree::Map(entries) => entries,
            other => {
                let message = other.scalar().map(str::to_owned);
                if message.is_none() {
                    unmapped.add(key, other);
                }
                return Some(Message { message: message?, formatted: None });
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
        // Python's older client had no log in mind, but somebody who wrote a message: there the text with its values is what was meant.
        if is_older(&key)
            && let Some(formatted) = formatted
        {
            let template = template.filter(|template| *template != formatted);
            unmapped.add(format!("{key}.message"), template.map_or(Tree::Null, |text| Tree::Text(text.into())));
            return Some(Message { message: formatted, formatted: None });
        }
        let message = template.or_else(|| formatted.clone())?;
        Some(Message { formatted: formatted.filter(|formatted| *formatted != message), message })
    }
}

/// Python's older client, which used this name, wrote values as its `repr` does.
fn quoting(key: &str) -> params::Quoting {
    if is_older(key) { params::Quoting::Python } else { params::Quoting::None }
}

fn is_older(key: &str) -> bool {
    key == "sentry.interfaces.Message"
}
