//! `fingerprint`: what the client wants notices to be grouped by.

use notice::Notice;
use notice::json_tree::Tree;

use super::pairs::tag;
use crate::unmapped::Unmapped;

/// Most parts of a fingerprint in which variables are written out.
const WRITTEN_OUT_MAX: usize = 20;

/// Longest value of a variable, in characters: the message of an event may be as long as the event.
const VALUE_CHARS_MAX: usize = 1_000;

/// Sets the parts of the fingerprint, numbers as they are written.
pub(super) fn read<'a>(value: Tree<'a>, notice: &mut Notice, unmapped: &mut Unmapped<'a>) -> Option<Tree<'a>> {
    let items = match value {
        Tree::List(items) if notice.client_fingerprint.is_empty() => items,
        other => return Some(other),
    };
    for (at, item) in items.into_iter().enumerate() {
        match item.scalar() {
            Some(part) => notice.client_fingerprint.push(part.to_owned()),
            None => unmapped.add(format!("fingerprint[{at}]"), item),
        }
    }
    None
}

/// Writes out the variables that a client may use in its fingerprint: `{{ type }}`, `{{ transaction }}`, … Here, because the fold key has
/// the fingerprint and not all that it may name. Those of other names stay as they are, and what is not known is said to be missing.
///
/// Source: Sentry's "Fingerprint Rules", variables.
pub(super) fn write_out(notice: &mut Notice) {
    let mut parts = std::mem::take(&mut notice.client_fingerprint);
    for part in parts.iter_mut().take(WRITTEN_OUT_MAX) {
        let Some(name) = part.trim().strip_prefix("{{").and_then(|part| part.strip_suffix("}}")).map(str::trim) else {
            continue;
        };
        if let Some(value) = variable(name, notice) {
            let value =
                value.filter(|value| !value.is_empty()).map(|value| value.chars().take(VALUE_CHARS_MAX).collect());
            *part = value.unwrap_or_else(|| format!("<no-{name}>"));
        }
    }
    notice.client_fingerprint = parts;
}

/// The value of a variable, if it has one; nothing for a name that no variable has.
fn variable(name: &str, notice: &Notice) -> Option<Option<String>> {
    let error = notice.errors.first();
    let frames = error.map(|error| error.frames.as_slice()).unwrap_or_default();
    let frame = || frames.iter().find(|frame| frame.in_app == Some(true)).or(frames.first());
    let message = || error.and_then(|error| error.formatted.clone().or_else(|| error.message.clone()));
    Some(match name {
        "type" | "error.type" => error.and_then(|error| error.class.clone()),
        "value" | "error.value" | "message" => message(),
        "function" | "stack.function" => frame().and_then(|frame| frame.function.clone()),
        "module" | "stack.module" => frame().and_then(|frame| frame.module.clone()),
        "path" | "stack.abs_path" | "stack.filename" => frame().and_then(|frame| frame.file.clone()),
        "transaction" => notice.request.as_ref().and_then(|request| request.action.clone()),
        "level" => notice.severity.clone(),
        "logger" => notice.logger.clone(),
        _ => tag(notice, name.strip_prefix("tags.")?),
    })
}
