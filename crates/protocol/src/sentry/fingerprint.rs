//! `fingerprint`: what the client wants notices to be grouped by.

use notice::Notice;
use notice::json_tree::Tree;

use crate::unmapped::Unmapped;

/// Sets the parts of the fingerprint, numbers as they are written.
pub(super) fn read<'a>(value: Tree<'a>, notice: &mut Notice, unmapped: &mut Unmapped<'a>) -> Option<Tree<'a>> {
    let items = match value {
        Tree::List(items) if notice.client_fingerprint.is_empty() => items,
        other => return Some(other),
    };
    for (at, item) in items.into_iter().enumerate() {
        match item.scalar() {
            Some(part) => notice.client_fingerprint.push(part.to_owned()),
            None => unmapped.add(format!("fingerprint[{at}]"), item),
        }
    }
    None
}
