//! `data.body`: a chain of errors, one error, a message, or the text of a crash.

use std::borrow::Cow;

use notice::json_tree::Tree;
use notice::{Error, Notice};

use super::trace;
use crate::ParseError;
use crate::breadcrumbs::{self, Names};
use crate::json::set;
use crate::unmapped::Unmapped;

/// What its telemetry calls the parts of a breadcrumb.
const TELEMETRY: Names =
    Names { at: "timestamp_ms", category: "type", level: "level", message: "message", data: "body" };

/// Reads the errors and the telemetry into the notice; answers with what was attached to them.
pub(super) fn read<'a>(
    body: Tree<'a>,
    notice: &mut Notice,
    unmapped: &mut Unmapped<'a>,
) -> Result<Vec<(Cow<'a, str>, Tree<'a>)>, ParseError> {
    let mut extra = Vec::new();
    for (key, value) in unmapped.entries("data.body", body) {
        match (&*key, value) {
            // The first is the one that was raised.
            ("trace_chain", Tree::List(chain)) => {
                for (at, trace) in chain.into_iter().enumerate() {
                    let path = format!("data.body.trace_chain[{at}]");
                    notice.errors.push(trace::read(trace, &path, &mut extra, unmapped));
                }
            }
            ("trace", trace @ Tree::Map(_)) => {
                notice.errors.push(trace::read(trace, "data.body.trace", &mut extra, unmapped));
            }
            ("message", Tree::Map(entries)) => notice.errors.push(read_message(entries, &mut extra)),
            ("message", text) if text.scalar().is_some() => {
                notice.errors.push(Error { message: text.scalar().map(str::to_owned), ..Error::default() });
            }
            ("crash_report", Tree::Map(entries)) => {
                let mut error = Error::default();
                for (key, value) in entries {
                    if !(key == "raw" && set(&mut error.message, &value)) {
                        unmapped.add(format!("data.body.crash_report.{key}"), value);
                    }
                }
                notice.errors.push(error);
            }
            ("telemetry", trail @ Tree::List(_)) if notice.breadcrumbs_json.is_none() => {
                notice.breadcrumbs_json = breadcrumbs::read_as(trail, &TELEMETRY);
            }
            (key, value) => unmapped.add(format!("data.body.{key}"), value),
        }
    }
    if notice.errors.is_empty() {
        return Err(ParseError::MissingErrors(
            "`data.body` has no `trace`, `trace_chain`, `message` or `crash_report`: an item needs one",
        ));
    }
    Ok(extra)
}

/// A message. Whatever stands beside its text was attached to it.
fn read_message<'a>(entries: Vec<(Cow<'a, str>, Tree<'a>)>, extra: &mut Vec<(Cow<'a, str>, Tree<'a>)>) -> Error {
    let mut error = Error::default();
    for (key, value) in entries {
        match (&*key, value) {
            ("body", value) if set(&mut error.message, &value) => {}
            ("extra", Tree::Map(more)) => extra.extend(more),
            (_, value) => extra.push((key, value)),
        }
    }
    error
}
