//! `request`: what was asked when it happened.

use std::borrow::Cow;

use notice::Request;
use notice::json_tree::Tree;

use super::event::Named;
use super::pairs::pairs;
use crate::json::{part, set};
use crate::unmapped::Unmapped;

/// Most parameters of a query that are read apart; a longer query stays a text.
const QUERY_PARAMETERS_MAX: usize = 1_000;

/// Reads the request; the transaction is its action, and makes one where there is none.
pub(super) fn read<'a>(
    request: Option<Named<'a>>,
    transaction: Option<String>,
    unmapped: &mut Unmapped<'a>,
) -> Option<Request> {
    let mut read = Request { action: transaction, ..Request::default() };
    match request {
        Some(Named { key, value: Tree::Map(entries) }) => {
            for (name, value) in entries {
                let path = format!("{key}.{name}");
                if let Some(rest) = field(&mut read, &name, value, &path, unmapped) {
                    unmapped.add(path, rest);
                }
            }
        }
        Some(Named { key, value }) => unmapped.add(key, value),
        None => {}
    }
    (read != Request::default()).then_some(read)
}

/// Sets the field of this name; gives back what it does not take.
fn field<'a>(
    request: &mut Request,
    name: &str,
    value: Tree<'a>,
    path: &str,
    unmapped: &mut Unmapped<'a>,
) -> Option<Tree<'a>> {
    let (json, new) = match name {
        "url" => return (!set(&mut request.url, &value)).then_some(value),
        "method" => return (!set(&mut request.method, &value)).then_some(value),
        "query_string" => (&mut request.params_json, query(value, path, unmapped)),
        "headers" => (&mut request.headers_json, object(value, path, unmapped)),
        "cookies" => (&mut request.cookies_json, object(value, path, unmapped)),
        "env" => (&mut request.cgi_json, value),
        "data" => (&mut request.body_json, value),
        _ => return Some(value),
    };
    if json.is_some() {
        return Some(new);
    }
    *json = part(Some(new));
    None
}

/// An object, of an object or of pairs; anything else as it is.
fn object<'a>(value: Tree<'a>, path: &str, unmapped: &mut Unmapped<'a>) -> Tree<'a> {
    match pairs(value, path, unmapped) {
        Ok(entries) => Tree::map(entries),
        Err(other) => other,
    }
}

/// The parameters of a query that is a text, as far as they can be told apart without losing anything.
fn query<'a>(value: Tree<'a>, path: &str, unmapped: &mut Unmapped<'a>) -> Tree<'a> {
    let Tree::Text(text) = &value else { return object(value, path, unmapped) };
    let text = text.strip_prefix('?').unwrap_or(text);
    if text.bytes().filter(|byte| *byte == b'&').count() >= QUERY_PARAMETERS_MAX {
        return value;
    }
    let entries: Vec<(Cow<'_, str>, Tree<'_>)> = form_urlencoded::parse(text.as_bytes())
        .map(|(key, value)| (Cow::Owned(key.into_owned()), Tree::Text(Cow::Owned(value.into_owned()))))
        .collect();
    let is_legible = !entries
        .iter()
        .any(|(key, value)| key.contains('\u{fffd}') || value.scalar().is_some_and(|text| text.contains('\u{fffd}')));
    if is_legible && !entries.is_empty() { Tree::map(entries) } else { value }
}
