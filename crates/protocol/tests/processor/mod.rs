//! How long something really took.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// How long this thread has worked, where the system tells it: that others keep the machine busy is no fault of a parser.
pub(crate) fn worked() -> Duration {
    static STARTED: LazyLock<Instant> = LazyLock::new(Instant::now);
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanoseconds = told.and_then(|told| told.split(' ').next()?.parse().ok());
    nanoseconds.map_or_else(|| STARTED.elapsed(), Duration::from_nanos)
}
