//! The order of frames: innermost first.

use notice::Notice;

/// Clients of Airbrake and Errbit for Python that send the outermost call first, as `traceback.extract_tb` lists them.
const OUTERMOST_FIRST: [&str; 4] = ["airbrake-python", "airbrakepy", "django-airbrake", "errbit"];

/// Turns round the stacks of clients that are known to begin at the other end.
pub(crate) fn repair(notice: &mut Notice) {
    let name = notice.notifier.as_ref().and_then(|notifier| notifier.name.as_deref()).unwrap_or_default();
    if OUTERMOST_FIRST.contains(&name) {
        notice.errors.iter_mut().for_each(|error| error.frames.reverse());
    }
}
