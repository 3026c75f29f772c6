//! Events of the browsers' client before 4.0, which writes all of one into the query of an address.

use std::borrow::Cow;

use notice::json_tree::Tree;
use notice::{Notice, Notifier};

use super::event;
use crate::json::text_of_field;
use crate::query;
use crate::unmapped::Unmapped;
use crate::{ParseError, Parsed};

/// What the query calls the parts of the error, and what an event does.
const OF_ERROR: [(&str, &str); 3] = [("name", "errorClass"), ("message", "message"), ("stacktrace", "stacktrace")];

/// Reads `apiKey=…&name=TypeError&message=…&stacktrace=…&metaData[tab][key]=…`.
pub fn parse_query(query: &[u8]) -> Result<Parsed, ParseError> {
    let mut notes = Vec::new();
    let mut said = query::read(query, &mut notes);
    let error: Vec<_> =
        OF_ERROR.iter().filter_map(|(here, there)| Some((Cow::Borrowed(*there), said.take(here)?))).collect();
    if error.is_empty() {
        return Err(ParseError::MissingErrors("`name`, `message` and `stacktrace` are missing: an event needs one"));
    }
    let api_key = text_of_field(&mut said, "apiKey");
    let version = text_of_field(&mut said, "notifierVersion");
    let mut request = Vec::new();
    request.extend(said.take("url").map(|url| (Cow::Borrowed("url"), url)));
    if let Some(agent) = said.take("userAgent") {
        request.push((Cow::Borrowed("headers"), Tree::Map(vec![(Cow::Borrowed("User-Agent"), agent)])));
    }
    let mut entries = vec![
        (Cow::Borrowed("exceptions"), Tree::List(vec![Tree::Map(error)])),
        (Cow::Borrowed("request"), Tree::Map(request)),
    ];
    if let Tree::Map(rest) = said {
        entries.extend(rest);
    }

    let mut unmapped = Unmapped::default();
    let mut notice = Notice {
        protocol: "bugsnag".to_owned(),
        language: Some("javascript".to_owned()),
        notifier: Some(Notifier { name: Some("bugsnag-js".to_owned()), version, ..Notifier::default() }),
        ..Notice::default()
    };
    event::read(Tree::Map(entries), "query", &mut notice, &mut unmapped);
    notice.unmapped_json = unmapped.finish(&mut notes);
    notice.notes.splice(0..0, notes);
    Ok(Parsed { notice, api_key, project_id: None, salvaged: false })
}
