//! Contexts: what no field takes, by where it comes from.

use std::borrow::Cow;

use notice::json_tree::{Tree, write_text};

use super::record::{Entries, Event, moment};

/// Facts and attributes of one record, if there are any.
pub(super) fn of<'a>(mut facts: Entries<'a>, attributes: Entries<'a>) -> Option<Tree<'a>> {
    if !attributes.is_empty() {
        facts.push((Cow::Borrowed("attributes"), Tree::map(attributes)));
    }
    (!facts.is_empty()).then(|| Tree::map(facts))
}

/// The JSON of all contexts.
pub(super) fn join(contexts: &[(&'static str, String)]) -> Option<String> {
    if contexts.is_empty() {
        return None;
    }
    let mut json = "{".to_owned();
    for (at, (name, context)) in contexts.iter().enumerate() {
        json.push_str(if at > 0 { "," } else { "" });
        write_text(name, &mut json);
        json.push(':');
        json.push_str(context);
    }
    json.push('}');
    Some(json)
}

/// An event of a span that came before its exception, as a breadcrumb.
pub(super) fn breadcrumb(event: Event<'_>) -> String {
    let mut crumb = vec![(Cow::Borrowed("category"), Tree::Text(Cow::Borrowed("event")))];
    if let Some(at_us) = event.at_us {
        crumb.push((Cow::Borrowed("at"), moment(at_us.unsigned_abs() * 1_000)));
    }
    crumb.push((Cow::Borrowed("message"), Tree::Text(event.name)));
    let mut data = event.attributes;
    data.extend(event.facts);
    if !data.is_empty() {
        crumb.push((Cow::Borrowed("data"), Tree::map(data)));
    }
    Tree::map(crumb).to_text()
}
