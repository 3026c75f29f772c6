//! The order of frames: innermost first.

use notice::{Frame, Notice};

/// Clients of Airbrake and Errbit for Python that send the outermost call first, as `traceback.extract_tb` lists them.
const OUTERMOST_FIRST: [&str; 4] = ["airbrake-python", "airbrakepy", "django-airbrake", "errbit"];

/// Turns round the stacks of clients that are known to begin at the other end.
pub(crate) fn repair(notice: &mut Notice) {
    let name = notice.notifier.as_ref().and_then(|notifier| notifier.name.as_deref()).unwrap_or_default();
    if OUTERMOST_FIRST.contains(&name) {
        notice.errors.iter_mut().for_each(|error| error.frames.reverse());
    }
}

/// Gives each place the function that it lies in. PHP names with a place the function that is called there; with the place of the error on top,
/// each function, its class and its arguments belong one call further in.
pub(crate) fn move_functions_in(frames: &mut [Frame]) {
    let (mut function, mut module, mut vars) = (None, None, None);
    for frame in frames.iter_mut().rev() {
        std::mem::swap(&mut function, &mut frame.function);
        std::mem::swap(&mut module, &mut frame.module);
        std::mem::swap(&mut vars, &mut frame.vars_json);
    }
}
