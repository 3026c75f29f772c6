//! `debug_meta`: what maps compiled code to its source.

use notice::Notice;
use notice::json_tree::Tree;

use crate::unmapped::Unmapped;

/// Sets the images; what else there is, is kept beside.
pub(super) fn read<'a>(value: Tree<'a>, notice: &mut Notice, unmapped: &mut Unmapped<'a>) -> Option<Tree<'a>> {
    let entries = match value {
        Tree::Map(entries) if notice.debug_images_json.is_none() => entries,
        other => return Some(other),
    };
    for (key, value) in entries {
        match (&*key, value) {
            ("images", images @ Tree::List(_)) => {
                notice.debug_images_json = (!images.is_empty()).then(|| images.to_text());
            }
            (_, other) => unmapped.add(format!("debug_meta.{key}"), other),
        }
    }
    None
}
