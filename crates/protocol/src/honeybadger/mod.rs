//! Honeybadger: notices, deploys, and events that are only counted.

mod answer;
mod deploy;
mod errors;
mod events;
mod request;
mod server;

pub use answer::{DEPLOYED, accepted, refused};
pub use deploy::parse_deploy;
pub use events::count_events;

use std::borrow::Cow;

use notice::json_tree::Tree;
use notice::{Notice, Notifier};

use crate::breadcrumbs::{self, Names};
use crate::json::{part, read, set, text_of, text_of_field};
use crate::query;
use crate::unmapped::Unmapped;
use crate::{ParseError, Parsed};

/// What its breadcrumbs call their parts.
const BREADCRUMB: Names =
    Names { at: "timestamp", category: "category", level: "level", message: "message", data: "metadata" };

/// Reads a notice, as it is sent to `/v1/notices` and `/v1/notices/js`.
pub fn parse_notice(body: &[u8]) -> Result<Parsed, ParseError> {
    let mut notes = Vec::new();
    let text = text_of(body, &mut notes);
    let tree = read(&text, &mut notes)?;
    read_notice(tree, notes)
}

/// Reads a notice of the browsers' client before 0.6, which writes it into the query of an address: `notice[error][class]=…&api_key=…`.
pub fn parse_query(query: &[u8]) -> Result<Parsed, ParseError> {
    let mut notes = Vec::new();
    let mut said = query::read(query, &mut notes);
    let Some(Tree::Map(mut entries)) = said.take("notice") else {
        return Err(ParseError::MissingErrors("`notice[error]` is missing: a notice needs one"));
    };
    if let Tree::Map(beside) = said {
        entries.extend(beside);
    }
    read_notice(Tree::Map(entries), notes)
}

fn read_notice(mut tree: Tree<'_>, mut notes: Vec<String>) -> Result<Parsed, ParseError> {
    let error = tree.take("error").filter(|error| !error.is_empty());
    let error = error.ok_or(ParseError::MissingErrors("`error` is missing: a notice needs one"))?;

    let mut unmapped = Unmapped::default();
    let mut notice = Notice { protocol: "honeybadger".to_owned(), ..Notice::default() };
    errors::read(error, &mut notice, &mut unmapped);
    if let Some(notifier) = tree.take("notifier") {
        read_notifier(notifier, &mut notice, &mut unmapped);
    }
    if let Some(server) = tree.take("server") {
        server::read(server, &mut notice, &mut unmapped);
    }
    if let Some(request) = tree.take("request") {
        request::read(request, &mut notice, &mut unmapped);
    }
    if let Some(breadcrumbs) = tree.take("breadcrumbs") {
        read_breadcrumbs(breadcrumbs, &mut notice, &mut unmapped);
    }
    notice.contexts_json = contexts(&mut tree);

    let api_key = text_of_field(&mut tree, "api_key");
    if let Tree::Map(rest) = tree {
        rest.into_iter().for_each(|(key, value)| unmapped.add(key, value));
    }
    notice.unmapped_json = unmapped.finish(&mut notes);
    notice.notes = notes;
    Ok(Parsed { notice, api_key, project_id: None, salvaged: false })
}

fn read_notifier<'a>(value: Tree<'a>, notice: &mut Notice, unmapped: &mut Unmapped<'a>) {
    let mut notifier = Notifier::default();
    for (key, value) in unmapped.entries("notifier", value) {
        let is_taken = match &*key {
            "name" => set(&mut notifier.name, &value),
            "version" => set(&mut notifier.version, &value),
            "url" => set(&mut notifier.url, &value),
            "language" => set(&mut notice.language, &value),
            _ => false,
        };
        if !is_taken {
            unmapped.add(format!("notifier.{key}"), value);
        }
    }
    notice.notifier = (notifier != Notifier::default()).then_some(notifier);
}

/// `{"enabled": true, "trail": […]}`
fn read_breadcrumbs<'a>(value: Tree<'a>, notice: &mut Notice, unmapped: &mut Unmapped<'a>) {
    for (key, value) in unmapped.entries("breadcrumbs", value) {
        match (&*key, value) {
            ("trail", trail @ Tree::List(_)) => notice.breadcrumbs_json = breadcrumbs::read_as(trail, &BREADCRUMB),
            (key, value) => unmapped.add(format!("breadcrumbs.{key}"), value),
        }
    }
}

/// `details` is a map of maps by itself; `correlation_context` has the id of the request through several services.
fn contexts(tree: &mut Tree<'_>) -> Option<String> {
    let mut contexts = match tree.take("details") {
        Some(Tree::Map(details)) => details,
        Some(other) if !other.is_empty() => vec![(Cow::Borrowed("details"), other)],
        _ => Vec::new(),
    };
    if let Some(correlation) = tree.take("correlation_context").filter(|correlation| !correlation.is_empty()) {
        contexts.push((Cow::Borrowed("correlation_context"), correlation));
    }
    part(Some(Tree::map(contexts)))
}
