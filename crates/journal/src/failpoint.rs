//! Named points at which a test can have the process killed, and named mistakes that it can have made.
//!
//! `CROAK_FAILPOINTS="journal.after_write=kill:3"` kills at the third time that the
//! point is passed. `CROAK_MUTANT=<name>` makes a mistake on purpose, so that a test can show that it
//! would notice. Without the cargo feature `failpoints` nothing of this is built.

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

/// Whether the environment asks for this mistake.
#[cfg(feature = "failpoints")]
pub fn is_mutant(name: &str) -> bool {
    use std::sync::LazyLock;

    static MUTANT: LazyLock<Option<String>> = LazyLock::new(|| std::env::var("CROAK_MUTANT").ok());
    MUTANT.as_deref() == Some(name)
}
