//! Waiting without sleeping blindly: a question is asked again and again until it is answered or the limit is reached.

use std::time::{Duration, Instant};

/// Pause between two questions.
pub(crate) const POLL_EVERY: Duration = Duration::from_millis(20);

/// Asks `question` until it answers `Some`; panics with `what` when `limit` has passed.
pub async fn wait_until<T>(what: &str, limit: Duration, mut question: impl AsyncFnMut() -> Option<T>) -> T {
    let started_at = Instant::now();
    loop {
        if let Some(answer) = question().await {
            return answer;
        }
        assert!(started_at.elapsed() < limit, "waited {limit:?} in vain: {what}");
        tokio::time::sleep(POLL_EVERY).await;
    }
}
