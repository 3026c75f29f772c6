//! Names and values, which clients write as an object or as a list of pairs.

use std::borrow::Cow;

use notice::Notice;
use notice::json_tree::{self, Tree};

use crate::json::part;
use crate::unmapped::Unmapped;

/// The entries of an object or of a list of pairs at this path; what of the list is no pair is kept beside. Anything else
/// comes back as it is.
pub(super) fn pairs<'a>(
    value: Tree<'a>,
    path: &str,
    unmapped: &mut Unmapped<'a>,
) -> Result<Vec<(Cow<'a, str>, Tree<'a>)>, Tree<'a>> {
    let items = match value {
        Tree::Map(entries) => return Ok(entries),
        Tree::List(items) if items.iter().any(is_pair) => items,
        other => return Err(other),
    };
    let mut entries = Vec::with_capacity(items.len());
    for (at, item) in items.into_iter().enumerate() {
        match item {
            Tree::List(pair) if is_name_and_value(&pair) => {
                let mut pair = pair.into_iter();
                entries.extend(pair.next().zip(pair.next()).map(|(name, value)| (name_of(name), value)));
            }
            other => unmapped.add(format!("{path}[{at}]"), other),
        }
    }
    Ok(entries)
}

fn is_pair(item: &Tree<'_>) -> bool {
    matches!(item, Tree::List(pair) if is_name_and_value(pair))
}

fn is_name_and_value(pair: &[Tree<'_>]) -> bool {
    matches!(pair, [name, _] if name.scalar().is_some())
}

fn name_of(name: Tree<'_>) -> Cow<'_, str> {
    match name {
        Tree::Text(text) | Tree::Number(text) => text,
        other => Cow::Owned(other.scalar().unwrap_or_default().to_owned()),
    }
}

/// The value of the tag of this name.
pub(super) fn tag(notice: &Notice, name: &str) -> Option<String> {
    let tags = notice.tags_json.as_deref().filter(|tags| tags.contains(name))?;
    let Tree::Map(tags) = json_tree::read(tags).ok()?.tree else { return None };
    tags.iter().find(|(tag, _)| tag == name)?.1.scalar().filter(|value| !value.is_empty()).map(str::to_owned)
}

/// Sets the tags. Those without a value are none; those that are no scalar are kept beside.
pub(super) fn tags<'a>(value: Tree<'a>, notice: &mut Notice, unmapped: &mut Unmapped<'a>) -> Option<Tree<'a>> {
    if notice.tags_json.is_some() {
        return Some(value);
    }
    let entries = match pairs(value, "tags", unmapped) {
        Ok(entries) => entries,
        Err(other) => return Some(other),
    };
    let mut tags = Vec::with_capacity(entries.len());
    for (name, value) in entries {
        match value {
            Tree::Null => {}
            Tree::List(_) | Tree::Map(_) => unmapped.add(format!("tags.{name}"), value),
            value => tags.push((name, value)),
        }
    }
    notice.tags_json = part(Some(Tree::map(tags)));
    None
}
