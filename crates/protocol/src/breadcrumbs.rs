//! What the program did before.

use std::borrow::Cow;

use notice::json_tree::Tree;

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
    let mut crumb = Vec::with_capacity(5);
    let mut data = Vec::new();
    for (key, value) in entries {
        let name = match &*key {
            "date" | "time" | "timestamp" => "at",
            "type" | "category" => "category",
            "severity" | "level" => "level",
            "message" => "message",
            _ => {
                data.push((key, value));
                continue;
            }
        };
        if crumb.iter().any(|(there, _)| *there == name) {
            data.push((key, value));
        } else {
            crumb.push((Cow::Borrowed(name), value));
        }
    }
    if !data.is_empty() {
        crumb.push((Cow::Borrowed("data"), Tree::Map(data)));
    }
    Tree::Map(crumb)
}
