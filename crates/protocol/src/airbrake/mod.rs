//! Airbrake JSON: notices of version 3, deploys of version 4, statistics of version 5, remote configuration.

mod answer;
mod context;
mod crash_report;
mod deploy;
mod errors;
mod quirks;
mod stats;

pub use answer::{accepted, deployed, refused, remote_config};
pub use deploy::parse_deploy;
pub use stats::check_stats;

use std::borrow::Cow;

use notice::json_tree::Tree;
use notice::{Error, Notice, Notifier, Request};

use crate::json::{part, read, set, text_of};
use crate::unmapped::Unmapped;
use crate::{ParseError, Parsed};

/// Reads a JSON notice.
pub fn parse_notice(body: &[u8]) -> Result<Parsed, ParseError> {
    let mut notes = Vec::new();
    let text = text_of(body, &mut notes);
    let mut tree = read(&text, &mut notes)?;
    let mut unmapped = Unmapped::default();
    let errors = read_errors(&mut tree, &mut unmapped)?;
    let mut notice = Notice { protocol: "airbrake-json".to_owned(), errors, ..Notice::default() };
    let mut request = Request::default();
    if let Some(context) = tree.take("context") {
        context::read(context, &mut notice, &mut request, &mut unmapped);
    }
    if let Some(notifier) = tree.take("notifier") {
        read_notifier(notifier, "notifier", &mut notice, &mut unmapped);
    }
    quirks::repair(&mut notice, &mut unmapped);
    request.params_json = part(tree.take("params"));
    request.session_json = part(tree.take("session"));
    request.cgi_json = part(tree.take("environment"));
    notice.request = (request != Request::default()).then_some(request);

    let api_key = tree.take("key").and_then(|key| key.scalar().map(str::to_owned));
    let project_id = tree.take("project_id").and_then(|id| id.scalar().map(str::to_owned));
    if let Some(id) = &project_id {
        unmapped.add("project_id", Tree::Text(Cow::Owned(id.clone())));
    }
    if let Tree::Map(rest) = tree {
        rest.into_iter().for_each(|(key, value)| unmapped.add(key, value));
    }
    notice.unmapped_json = unmapped.finish(&mut notes);
    notice.notes = notes;
    Ok(Parsed { notice, api_key, project_id, salvaged: false })
}

/// The errors, or the one that a crash report tells of.
fn read_errors<'a>(tree: &mut Tree<'a>, unmapped: &mut Unmapped<'a>) -> Result<Vec<Error>, ParseError> {
    match (tree.take("errors"), tree.take("report")) {
        (Some(Tree::List(errors)), _) if errors.is_empty() => {
            Err(ParseError::MissingErrors("`errors` is empty: a notice needs at least one error"))
        }
        (Some(Tree::List(errors)), report) => {
            unmapped.add("report", report.unwrap_or(Tree::Null));
            Ok(errors::read(errors, unmapped))
        }
        (None, Some(Tree::Text(report))) => {
            let error = crash_report::read(&report);
            unmapped.add("report", Tree::Text(report));
            Ok(vec![error])
        }
        _ => Err(ParseError::MissingErrors("`errors` is missing: a notice needs a list of at least one error")),
    }
}

fn read_notifier<'a>(value: Tree<'a>, path: &str, notice: &mut Notice, unmapped: &mut Unmapped<'a>) {
    let Tree::Map(entries) = value else {
        unmapped.add(path.to_owned(), value);
        return;
    };
    let notifier = notice.notifier.get_or_insert_with(Notifier::default);
    for (key, value) in entries {
        let is_taken = match &*key {
            "name" => set(&mut notifier.name, &value),
            "version" => set(&mut notifier.version, &value),
            "url" => set(&mut notifier.url, &value),
            _ => false,
        };
        if !is_taken {
            unmapped.add(format!("{path}.{key}"), value);
        }
    }
}
