//! What the program did before.

use std::borrow::Cow;

use notice::json_tree::Tree;

use crate::timestamp;

/// A list of them, whatever the client calls their parts, as `{at, category, level, message, data}`. Every other key of an entry goes to its data.
pub(crate) fn read(history: Tree<'_>) -> Option<String> {
    let Tree::List(entries) = history else { return None };
    let crumbs: Vec<Tree<'_>> = entries.into_iter().map(breadcrumb).collect();
    (!crumbs.is_empty()).then(|| Tree::List(crumbs).to_text())
}

fn breadcrumb(entry: Tree<'_>) -> Tree<'_> {
    let Tree::Map(entries) = entry else {
        return Tree::Map(vec![(Cow::Borrowed("message"), entry)]);
    };
    let has_category = entries.iter().any(|(key, value)| key == "category" && !value.is_empty());
    let mut crumb = Vec::with_capacity(5);
    let mut data = Vec::new();
    for (key, value) in entries {
        if value == Tree::Null {
            continue;
        }
        let name = match &*key {
            "date" | "time" | "timestamp" => "at",
            "category" => "category",
            "type" if !has_category => "category",
            "severity" | "level" => "level",
            "message" => "message",
            "data" if matches!(value, Tree::Map(_)) => {
                match value {
                    Tree::Map(entries) if data.is_empty() => data = entries,
                    Tree::Map(entries) => data.extend(entries),
                    _ => {}
                }
                continue;
            }
            _ => {
                data.push((key, value));
                continue;
            }
        };
        if crumb.iter().any(|(there, _)| *there == name) {
            data.push((key, value));
        } else {
            let value = if name == "at" { timestamp::legible(value) } else { value };
            crumb.push((Cow::Borrowed(name), value));
        }
    }
    if !crumb.iter().any(|(name, _)| name == "message") {
        crumb.extend(said(&mut data).map(|text| (Cow::Borrowed("message"), Tree::Text(text.into()))));
    }
    if !data.is_empty() {
        crumb.push((Cow::Borrowed("data"), Tree::map(data)));
    }
    Tree::Map(crumb)
}

/// What a browser's console was told, as it shows it: Airbrake's clients send the arguments of the call.
fn said(data: &mut Vec<(Cow<'_, str>, Tree<'_>)>) -> Option<String> {
    let at = data.iter().position(|(key, _)| key == "arguments")?;
    let Tree::List(arguments) = &data[at].1 else { return None };
    let words: Option<Vec<&str>> = arguments.iter().map(Tree::scalar).collect();
    let text = words.filter(|words| !words.is_empty())?.join(" ");
    data.remove(at);
    Some(text)
}

/// What a client calls the parts of a breadcrumb.
pub(crate) struct Names {
    pub(crate) at: &'static str,
    pub(crate) category: &'static str,
    pub(crate) level: &'static str,
    pub(crate) message: &'static str,
    /// The map of all that is particular to this one; the message may be in there.
    pub(crate) data: &'static str,
}

/// As [`read`], for a client that has one name for each part and a map for the rest.
pub(crate) fn read_as(trail: Tree<'_>, names: &Names) -> Option<String> {
    let Tree::List(entries) = trail else { return None };
    let crumbs: Vec<Tree<'_>> = entries.into_iter().map(|entry| breadcrumb_as(entry, names)).collect();
    (!crumbs.is_empty()).then(|| Tree::List(crumbs).to_text())
}

fn breadcrumb_as<'a>(entry: Tree<'a>, names: &Names) -> Tree<'a> {
    let Tree::Map(entries) = entry else {
        return Tree::Map(vec![(Cow::Borrowed("message"), entry)]);
    };
    let parts = [(names.at, "at"), (names.category, "category"), (names.level, "level"), (names.message, "message")];
    let mut crumb = Vec::with_capacity(5);
    let mut data = Vec::new();
    for (key, value) in entries {
        match value {
            Tree::Map(more) if key == names.data => data.extend(more),
            value => match parts.iter().find(|(name, _)| key == *name) {
                Some((_, "at")) => crumb.push((Cow::Borrowed("at"), timestamp::legible(value))),
                Some((_, part)) => crumb.push((Cow::Borrowed(*part), value)),
                None => data.push((key, value)),
            },
        }
    }
    if !crumb.iter().any(|(part, _)| part == "message")
        && let Some(at) = data.iter().position(|(key, _)| key == names.message)
    {
        crumb.push((Cow::Borrowed("message"), data.remove(at).1));
    }
    if !data.is_empty() {
        crumb.push((Cow::Borrowed("data"), Tree::map(data)));
    }
    Tree::Map(crumb)
}
