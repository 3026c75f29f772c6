//! `exception`: what was raised, and what it was raised from.

use std::collections::{HashMap, HashSet};

use notice::json_tree::Tree;
use notice::{Error, Notifier};

use super::chain::{self, Link};
use super::event::{Named, values};
use super::images::Images;
use super::stacktrace;
use crate::json::set;
use crate::unmapped::Unmapped;

/// Clients that begin with the raised error, without numbers that would say so.
const BEGIN_WITH_RAISED: [&str; 2] = ["sentry.javascript.react-native", "SharpRaven"];

/// Reads the errors, the raised one first. On the wire it is the last, but for some clients.
pub(super) fn read<'a>(
    exception: Named<'a>,
    client: Option<&Notifier>,
    images: &Images,
    unmapped: &mut Unmapped<'a>,
) -> Vec<Error> {
    let (path, exceptions) = match values(&exception.key, exception.value, unmapped) {
        Ok((path, exceptions)) => (path, exceptions),
        // The oldest clients had no list.
        Err(Tree::Map(entries)) => {
            return vec![read_exception(entries, &exception.key, images, unmapped).error];
        }
        Err(other) => {
            unmapped.add(exception.key, other);
            return Vec::new();
        }
    };
    let mut links = Vec::with_capacity(exceptions.len());
    for (at, exception) in exceptions.into_iter().enumerate() {
        match exception {
            Tree::Map(entries) => links.push(read_exception(entries, &format!("{path}[{at}]"), images, unmapped)),
            other => unmapped.add(format!("{path}[{at}]"), other),
        }
    }
    say_how_many(&mut links, &path, unmapped);
    let client = client.and_then(|client| client.name.as_deref());
    if client == Some("sentry.go") && begins_with_parents(&links) {
        links.iter_mut().for_each(|link| link.parent_id = None);
    }
    chain::raised_first(links, client.is_some_and(|name| BEGIN_WITH_RAISED.contains(&name)))
}

/// Whether an error comes behind the one that it says it belongs to. So sentry-go numbered wrapped errors, from the wrong end (0.28 to 0.35):
/// the innermost is nobody's, each wrapper the child of what it wraps.
fn begins_with_parents(links: &[Link]) -> bool {
    let mut ids = HashSet::new();
    links.iter().any(|link| {
        let is_behind = link.parent_id.is_some_and(|parent| ids.contains(&parent));
        ids.extend(link.id);
        is_behind
    })
}

/// Python's groups say how many errors are in them (`str()` of `ExceptionGroup`), and its client leaves that out: what the program, its log
/// and every other client show is put together again.
fn say_how_many(links: &mut [Link], path: &str, unmapped: &mut Unmapped<'_>) {
    let mut counts: HashMap<u64, usize> = HashMap::new();
    links.iter().filter_map(|link| link.parent_id).for_each(|parent| *counts.entry(parent).or_default() += 1);
    for (at, link) in links.iter_mut().enumerate() {
        let is_group = matches!(link.error.class.as_deref(), Some("ExceptionGroup" | "BaseExceptionGroup"));
        let Some(count) = link.id.and_then(|id| counts.get(&id)).filter(|_| is_group) else { continue };
        if let Some(message) = link.error.message.as_mut()
            && !message.ends_with(" sub-exception)")
            && !message.ends_with(" sub-exceptions)")
        {
            unmapped.add(format!("{path}[{at}].value"), Tree::Text(message.clone().into()));
            *message += &format!(" ({count} sub-exception{})", if *count == 1 { "" } else { "s" });
        }
    }
}

fn read_exception<'a>(
    entries: Vec<(std::borrow::Cow<'a, str>, Tree<'a>)>,
    path: &str,
    images: &Images,
    unmapped: &mut Unmapped<'a>,
) -> Link {
    let mut link = Link::default();
    let mut is_synthetic = false;
    let error = &mut link.error;
    for (key, value) in entries {
        let is_taken = match &*key {
            "type" => set(&mut error.class, &value),
            "value" => match value {
                // Whatever was raised, its text is the message.
                Tree::Map(_) | Tree::List(_) if error.message.is_none() && !value.is_empty() => {
                    error.message = Some(value.to_text());
                    true
                }
                _ => set(&mut error.message, &value),
            },
            "module" => set(&mut error.module, &value),
            "mechanism" if matches!(value, Tree::Map(_)) => {
                (link.id, link.parent_id) = (number(&value, "exception_id"), number(&value, "parent_id"));
                error.handled = flag(&value, "handled");
                is_synthetic = flag(&value, "synthetic") == Some(true);
                error.mechanism_json = (!value.is_empty()).then(|| value.to_text());
                true
            }
            "stacktrace" => {
                error.frames = stacktrace::read(value, &format!("{path}.stacktrace"), images, unmapped);
                continue;
            }
            _ => false,
        };
        if !is_taken {
            unmapped.add(format!("{path}.{key}"), value);
        }
    }
    // What was made up to have a stack is no exception: its text is a message and nothing else.
    if error.class.is_none() && !is_synthetic {
        split_class(error);
    }
    link
}

/// Clients that have only a text write `Class: message`.
fn split_class(error: &mut Error) {
    let Some((class, message)) = error.message.as_deref().and_then(|text| text.split_once(": ")) else { return };
    let is_path = class.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.'));
    let name = class.rsplit('.').next().unwrap_or_default();
    if is_path && name.starts_with(|first: char| first.is_ascii_uppercase()) && !message.contains('\n') {
        (error.class, error.message) = (Some(class.to_owned()), Some(message.trim().to_owned()));
    }
}

fn field<'t, 'a>(mechanism: &'t Tree<'a>, name: &str) -> Option<&'t Tree<'a>> {
    let Tree::Map(entries) = mechanism else { return None };
    entries.iter().find(|(key, _)| key == name).map(|(_, value)| value)
}

fn number(mechanism: &Tree<'_>, name: &str) -> Option<u64> {
    field(mechanism, name)?.scalar()?.parse().ok()
}

fn flag(mechanism: &Tree<'_>, name: &str) -> Option<bool> {
    match field(mechanism, name)? {
        Tree::Bool(flag) => Some(*flag),
        _ => None,
    }
}
