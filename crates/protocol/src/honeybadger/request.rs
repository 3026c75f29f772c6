//! `request`: what was asked for, and what the application said of its user.

use notice::json_tree::Tree;
use notice::{Notice, Request, User};

use crate::json::{part, set};
use crate::unmapped::Unmapped;

/// Longest name of a method of HTTP.
const METHOD_BYTES_MAX: usize = 20;

/// Reads the request into the notice.
pub(super) fn read<'a>(request: Tree<'a>, notice: &mut Notice, unmapped: &mut Unmapped<'a>) {
    let mut read = Request::default();
    for (key, value) in unmapped.entries("request", request) {
        let is_taken = match (&*key, &value) {
            ("url", value) => set(&mut read.url, value),
            ("component", value) => set(&mut read.component, value),
            ("action", value) => set(&mut read.action, value),
            ("params", _) => {
                read.params_json = part(Some(value));
                continue;
            }
            ("session", _) => {
                read.session_json = part(Some(value));
                continue;
            }
            ("cgi_data", _) => {
                read.method = method_of(&value);
                read.cgi_json = part(Some(value));
                continue;
            }
            ("context", Tree::Map(_)) => {
                read_context(value, notice);
                continue;
            }
            ("local_variables", Tree::Map(_)) => {
                if let Some(top) = notice.errors.first_mut().and_then(|error| error.frames.first_mut())
                    && top.vars_json.is_none()
                {
                    top.vars_json = part(Some(value));
                    continue;
                }
                false
            }
            _ => false,
        };
        if !is_taken {
            unmapped.add(format!("request.{key}"), value);
        }
    }
    notice.request = (read != Request::default()).then_some(read);
}

/// What the application attached. Two keys of it say who the user is; the rest is its own.
fn read_context(context: Tree<'_>, notice: &mut Notice) {
    let Tree::Map(entries) = context else { return };
    let mut user = User::default();
    let mut extra = Vec::with_capacity(entries.len());
    for (key, value) in entries {
        let is_taken = match &*key {
            "user_id" => set(&mut user.id, &value),
            "user_email" => set(&mut user.email, &value),
            _ => false,
        };
        if !is_taken {
            extra.push((key, value));
        }
    }
    notice.user = (user != User::default()).then_some(user);
    notice.extra_json = part(Some(Tree::Map(extra)));
}

fn method_of(cgi: &Tree<'_>) -> Option<String> {
    let Tree::Map(entries) = cgi else { return None };
    let (_, method) = entries.iter().find(|(key, _)| key == "REQUEST_METHOD")?;
    method.scalar().filter(|method| !method.is_empty() && method.len() <= METHOD_BYTES_MAX).map(str::to_owned)
}
