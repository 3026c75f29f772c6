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
    if !data.is_empty() {
        crumb.push((Cow::Borrowed("data"), Tree::map(data)));
    }
    Tree::Map(crumb)
}
