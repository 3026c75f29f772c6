//! The places of a stack, as grouping sees them.

use crate::class_name::{JVM_EXTENSIONS, extension};
use crate::function_name::{is_wrapper, name, qualified_name};
use crate::source_path::source_paths;
use crate::{Error, Frame};

/// Most places of a stack that take part; a stack has hundreds only when it is a recursion.
const PLACES_MAX: usize = 50;

/// A place of a stack, in words.
pub(crate) struct Place {
    pub(crate) text: String,
    pub(crate) has_function: bool,
}

/// The places of the application's own frames (of all, if none is its own), innermost first, each once: a recursion is the same however deep it went.
pub(crate) fn places(error: &Error, root: Option<&str>) -> Vec<Place> {
    let own = |frame: &&Frame| frame.in_app == Some(true);
    let has_own = error.frames.iter().any(|frame| own(&frame));
    let frames: Vec<&Frame> =
        error.frames.iter().filter(|frame| (!has_own || own(frame)) && !is_wrapper(frame)).collect();
    let mut places: Vec<Place> = Vec::new();
    for (frame, file) in frames.iter().zip(source_paths(&frames, root)) {
        let Some(place) = place(frame, file) else { continue };
        if !places.iter().any(|there| there.text == place.text) {
            places.push(place);
        }
        if places.len() == PLACES_MAX {
            break;
        }
    }
    places
}

/// File and name of the function. Java's files are named without their folders, but its functions with their packages, so there these tell.
fn place(frame: &Frame, file: String) -> Option<Place> {
    let is_of_java = extension(frame).is_some_and(|extension| JVM_EXTENSIONS.contains(&extension));
    if file.is_empty() || is_of_java {
        let text = qualified_name(frame);
        if file.is_empty() || text.contains('.') {
            let has_function = !text.is_empty();
            return has_function.then(|| Place { text: text.into_owned(), has_function });
        }
    }
    let function = name(frame);
    let has_function = !function.is_empty();
    Some(Place { text: if has_function { format!("{file} in {function}") } else { file }, has_function })
}
