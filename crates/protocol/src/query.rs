//! Queries that a whole document is in: `notice[error][class]=TypeError&notice[error][message]=…`.

use std::borrow::Cow;

use notice::json_tree::Tree;

/// Most fields that are read.
const FIELDS_MAX: usize = 1_000;

/// Most names that lie in each other. What lies deeper has the rest of its names in one.
const DEPTH_MAX: usize = 16;

/// Reads a query into a map. A note says when there was more than is read.
pub(crate) fn read(query: &[u8], notes: &mut Vec<String>) -> Tree<'static> {
    let mut entries = Vec::new();
    let mut fields = form_urlencoded::parse(query);
    for (name, value) in fields.by_ref().take(FIELDS_MAX) {
        put(&mut entries, &name, value.into_owned());
    }
    let left_out = fields.count();
    if left_out > 0 {
        notes.push(format!("the query has too many fields: {left_out} were left out"));
    }
    Tree::Map(entries)
}

fn put(entries: &mut Vec<(Cow<'static, str>, Tree<'static>)>, name: &str, value: String) {
    let mut at = entries;
    let mut rest = name;
    for _ in 1..DEPTH_MAX {
        let Some((first, inner)) = rest.split_once('[').filter(|(first, _)| !first.is_empty()) else { break };
        let first = first.trim_end_matches(']');
        let is_it = |(key, there): &(Cow<'_, str>, Tree<'_>)| key == first && matches!(there, Tree::Map(_));
        let index = at.iter().position(is_it).unwrap_or_else(|| {
            at.push((Cow::Owned(first.to_owned()), Tree::Map(Vec::new())));
            at.len() - 1
        });
        let Tree::Map(deeper) = &mut at[index].1 else { return };
        at = deeper;
        rest = inner;
    }
    at.push((Cow::Owned(rest.trim_end_matches(']').to_owned()), Tree::Text(Cow::Owned(value))));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(query: &str) -> String {
        let Tree::Map(entries) = read(query.as_bytes(), &mut Vec::new()) else { return String::new() };
        Tree::map(entries).to_text()
    }

    #[test]
    fn names_in_brackets_lie_in_each_other() {
        assert_eq!(json("a[b][c]=1&a[b][d]=x%20y&a[e]=&f=%C3%BC"), r#"{"a":{"b":{"c":"1","d":"x y"},"e":""},"f":"ü"}"#);
        assert_eq!(json("a[b=1&a]=2&[]=3&a[][x]=4"), r#"{"a":{"b":"1","":{"x":"4"}},"a (2)":"2","[":"3"}"#);
        assert_eq!(json("a=1&a[b]=2&a=3"), r#"{"a":"1","a (2)":{"b":"2"},"a (3)":"3"}"#);
    }

    #[test]
    fn what_is_too_much_is_noted_and_what_is_too_deep_has_a_long_name() {
        let mut notes = Vec::new();
        read("a=1&".repeat(FIELDS_MAX + 2).as_bytes(), &mut notes);
        assert_eq!(notes, ["the query has too many fields: 2 were left out"]);
        let deep = json(&format!("a{}=1", "[a]".repeat(40)));
        assert_eq!(deep.matches('{').count(), DEPTH_MAX);
    }
}
