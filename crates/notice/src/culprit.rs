//! Where an error is to be looked for, in a few words.

use crate::{Notice, place};

/// Where it happened: `component#action`, else the innermost frame of the application as `file in function`; empty when neither is known.
pub fn culprit(notice: &Notice) -> String {
    let request = notice.request.as_ref();
    let component = request.and_then(|request| request.component.as_deref()).filter(|name| !name.is_empty());
    let action = request.and_then(|request| request.action.as_deref()).filter(|name| !name.is_empty());
    match (component, action) {
        (Some(component), Some(action)) => format!("{component}#{action}"),
        (Some(component), None) => component.to_owned(),
        _ => notice.errors.first().map(|error| top_place(&error.frames, notice)).unwrap_or_default(),
    }
}

fn top_place(frames: &[crate::Frame], notice: &Notice) -> String {
    let top = frames.iter().find(|frame| frame.in_app == Some(true)).or_else(|| frames.first());
    let Some(top) = top else { return String::new() };
    let root = notice.server.as_ref().and_then(|server| server.root.as_deref());
    let file = place::file(top, root);
    let function = place::function(top);
    match (file.is_empty(), function.is_empty()) {
        (false, false) => format!("{file} in {function}"),
        (false, true) => file.into_owned(),
        _ => function.into_owned(),
    }
}
