//! Named points at which a test can have the process killed.
//!
//! `CROAK_FAILPOINTS="journal.after_write=kill:3"` kills at the third time that the
//! point is passed. Without the cargo feature `failpoints` nothing of this is built.

/// Passes a named point.
#[cfg(not(feature = "failpoints"))]
#[inline(always)]
pub fn hit(_name: &str) {}

/// Passes a named point; kills this process with SIGKILL when the environment says so.
#[cfg(feature = "failpoints")]
pub fn hit(name: &str) {
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    static POINTS: LazyLock<Vec<(String, AtomicU64)>> = LazyLock::new(|| {
        let points = std::env::var("CROAK_FAILPOINTS").unwrap_or_default();
        points
            .split(',')
            .filter_map(|point| {
                let (name, count) = point.trim().split_once("=kill:")?;
                Some((name.to_owned(), AtomicU64::new(count.parse().ok()?)))
            })
            .collect()
    });

    for (point, left) in POINTS.iter() {
        if point == name && left.fetch_sub(1, Ordering::SeqCst) == 1 {
            let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        }
    }
}
