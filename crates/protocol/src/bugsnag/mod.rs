//! Bugsnag: events of payload versions 4 and 5 (and what older ones have otherwise), sessions that are only counted, and reports of builds.

mod answer;
mod build;
mod event;
mod exceptions;
mod meta_data;
mod request;
mod script;
mod sessions;

pub use answer::{ACCEPTED_STATUS, BUILT, COUNTED_STATUS, accepted, refused};
pub use build::parse_build;
pub use script::parse_query;
pub use sessions::count_sessions;

use notice::json_tree::Tree;
use notice::{Notice, Notifier};

use crate::json::{read, set, text_of};
use crate::unmapped::Unmapped;
use crate::{ParseError, Parsed};

/// Most events of one request. Clients send one; a request of more than that is none of theirs, and each event costs far more than its bytes.
const EVENTS_MAX: usize = 500;

/// Longest text of the notifier, which every event of the request gets a copy of.
const NOTIFIER_TEXT_BYTES_MAX: usize = 256;

/// Reads the events of a request: each becomes a notice, in their order; never none.
///
/// What the request says beside its events is kept with the first.
pub fn parse_notify(body: &[u8]) -> Result<Vec<Parsed>, ParseError> {
    let mut notes = Vec::new();
    let text = text_of(body, &mut notes);
    let mut tree = read(&text, &mut notes)?;
    let Some(Tree::List(events)) = tree.take("events") else {
        return Err(ParseError::MissingErrors("`events` is missing: a request needs a list of at least one event"));
    };
    if events.len() > EVENTS_MAX {
        return Err(ParseError::Malformed(format!(
            "{} events are too many for one request: {EVENTS_MAX} are taken",
            events.len()
        )));
    }
    let api_key = tree.take("apiKey").and_then(|key| key.scalar().map(str::to_owned));
    let mut of_request = Unmapped::default();
    let notifier = tree.take("notifier").and_then(|notifier| read_notifier(notifier, &mut of_request));
    if let Tree::Map(rest) = tree {
        rest.into_iter().for_each(|(key, value)| of_request.add(key, value));
    }

    let (events, others): (Vec<_>, Vec<_>) =
        events.into_iter().enumerate().partition(|(_, event)| matches!(event, Tree::Map(_)));
    others.into_iter().for_each(|(at, other)| of_request.add(format!("events[{at}]"), other));

    let mut of_request = Some(of_request);
    let mut parsed: Vec<Parsed> = Vec::with_capacity(events.len());
    for (at, event) in events {
        let mut unmapped = of_request.take().unwrap_or_default();
        let mut notice = Notice { protocol: "bugsnag".to_owned(), notifier: notifier.clone(), ..Notice::default() };
        event::read(event, &format!("events[{at}]"), &mut notice, &mut unmapped);
        notice.unmapped_json = unmapped.finish(&mut notice.notes);
        parsed.push(Parsed { notice, api_key: api_key.clone(), project_id: None, salvaged: false });
    }
    match parsed.first_mut() {
        Some(first) => first.notice.notes.splice(0..0, notes),
        None => return Err(ParseError::MissingErrors("`events` has no event: a request needs at least one")),
    };
    Ok(parsed)
}

fn read_notifier<'a>(value: Tree<'a>, unmapped: &mut Unmapped<'a>) -> Option<Notifier> {
    let mut notifier = Notifier::default();
    for (key, value) in unmapped.entries("notifier", value) {
        let is_short = value.scalar().is_some_and(|text| text.len() <= NOTIFIER_TEXT_BYTES_MAX);
        let is_taken = match &*key {
            "name" if is_short => set(&mut notifier.name, &value),
            "version" if is_short => set(&mut notifier.version, &value),
            "url" if is_short => set(&mut notifier.url, &value),
            _ => false,
        };
        if !is_taken {
            unmapped.add(format!("notifier.{key}"), value);
        }
    }
    (notifier != Notifier::default()).then_some(notifier)
}
