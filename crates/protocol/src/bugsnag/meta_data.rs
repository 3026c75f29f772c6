//! `metaData`: tabs of whatever the application attached. Clients for servers put what they know of the request there, too.

use std::borrow::Cow;

use notice::json_tree::Tree;
use notice::{Notice, Request};

use super::request;
use crate::json::part;
use crate::unmapped::Unmapped;

/// Reads the tabs into the notice. What the event said of the request itself stays.
pub(super) fn read<'a>(value: Tree<'a>, path: &str, notice: &mut Notice, unmapped: &mut Unmapped<'a>) {
    let tabs = match value {
        Tree::Map(tabs) => tabs,
        other if other.is_empty() => return,
        other => vec![(Cow::Borrowed("metaData"), other)],
    };
    let has_request = notice.request.as_ref().is_some_and(|request| *request != Request::default());
    let mut extra = Vec::new();
    for (tab, value) in tabs {
        match (&*tab, value) {
            ("request", value @ Tree::Map(_)) if !has_request => {
                request::read(value, &format!("{path}.request"), notice, unmapped);
            }
            ("session" | "cookies" | "environment", value @ Tree::Map(_)) => {
                let request = notice.request.get_or_insert_default();
                let field = match &*tab {
                    "session" => &mut request.session_json,
                    "cookies" => &mut request.cookies_json,
                    _ => &mut request.cgi_json,
                };
                if field.is_none() {
                    *field = part(Some(value));
                } else {
                    extra.push((tab, value));
                }
            }
            (_, value) => extra.push((tab, value)),
        }
    }
    notice.extra_json = part(Some(Tree::Map(extra)));
}
