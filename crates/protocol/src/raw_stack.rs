//! Stacks that clients of browsers send as the text that the browser gave them.

use std::borrow::Cow;

use notice::Error;
use notice::json_tree::Tree;

use crate::stack_text::{self, StackText};
use crate::unmapped::Unmapped;

/// Reads the stack at this path into the error's frames. What no frame takes of it is kept beside them; all of it if it tells of more errors than one.
pub(crate) fn read<'a>(text: Cow<'a, str>, path: String, error: &mut Error, unmapped: &mut Unmapped<'a>) {
    // A browser leaves out no frames that would have to be put in; a hostile text counts thousands in a line.
    let Some(StackText { errors, rest, .. }) = stack_text::read_within(&text, Some("javascript"), 0) else {
        unmapped.add(path, Tree::Text(text));
        return;
    };
    if errors.len() == 1 {
        unmapped.add(format!("{path}.rest"), Tree::Text(Cow::Owned(rest)));
    } else {
        unmapped.add(path, Tree::Text(text));
    }
    error.frames = errors.into_iter().next().map(|raised| raised.frames).unwrap_or_default();
}
