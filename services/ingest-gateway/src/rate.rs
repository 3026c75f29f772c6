//! The rate that an operator set for a project: so many notices a minute on this gateway.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::projects::Project;

/// A bucket for each project that has a limit: a minute's worth at most, refilled steadily.
#[derive(Default)]
pub(crate) struct Rates(Mutex<HashMap<u64, Bucket>>);

struct Bucket {
    tokens: f64,
    at: Instant,
}

impl Rates {
    /// Takes so many from the project's bucket, all that a request brings or none, or says in how many seconds they will be there. What brings
    /// more than a minute's worth is taken when the bucket is full, and paid off afterwards: it could never be taken else.
    pub(crate) fn take(&self, project: &Project, count: usize, now: Instant) -> Result<(), u64> {
        let Some(per_minute) = project.rate_per_minute_max else {
            return Ok(());
        };
        let per_minute = f64::from(per_minute);
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket = buckets.entry(project.id).or_insert(Bucket { tokens: per_minute, at: now });
        let elapsed_s = now.saturating_duration_since(bucket.at).as_secs_f64();
        bucket.tokens = (bucket.tokens + elapsed_s * per_minute / 60.0).min(per_minute);
        bucket.at = now;
        let wanted = (count as f64).min(per_minute).max(1.0);
        if bucket.tokens >= wanted {
            bucket.tokens -= count as f64;
            return Ok(());
        }
        // A limit of 0 never refills: a minute is as long as anybody is told to wait.
        let wait_s = if per_minute > 0.0 { (wanted - bucket.tokens) * 60.0 / per_minute } else { 60.0 };
        Err((wait_s.ceil() as u64).clamp(1, 60))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_minutes_worth_passes_and_then_a_steady_stream() {
        let project =
            Project { id: 1, lane_subset: 1, rate_per_minute_max: Some(30), is_disabled: false, ..Project::default() };
        let rates = Rates::default();
        let start = Instant::now();
        let passed = (0..100).filter(|_| rates.take(&project, 1, start).is_ok()).count();
        assert_eq!(passed, 30);
        assert_eq!(rates.take(&project, 1, start), Err(2));
        assert_eq!(rates.take(&project, 1, start + Duration::from_secs(2)), Ok(()));
    }

    #[test]
    fn a_batch_is_taken_whole_or_leaves_the_others_theirs() {
        let project =
            Project { id: 1, lane_subset: 1, rate_per_minute_max: Some(30), is_disabled: false, ..Project::default() };
        let rates = Rates::default();
        let start = Instant::now();
        assert_eq!(rates.take(&project, 20, start), Ok(()));
        assert_eq!(rates.take(&project, 20, start), Err(20));
        assert_eq!(rates.take(&project, 10, start), Ok(()), "what was refused has taken nothing");
        let full = start + Duration::from_secs(60);
        assert_eq!(rates.take(&project, 60, full), Ok(()), "more than a minute's worth");
        assert_eq!(rates.take(&project, 1, full + Duration::from_secs(60)), Err(2), "is paid off");
        assert_eq!(rates.take(&project, 1, full + Duration::from_secs(62)), Ok(()));
        let none = Project { id: 2, rate_per_minute_max: Some(0), ..project };
        assert_eq!(rates.take(&none, 5, start), Err(60));
    }

    #[test]
    fn without_a_limit_everything_passes() {
        let project =
            Project { id: 1, lane_subset: 1, rate_per_minute_max: None, is_disabled: false, ..Project::default() };
        let rates = Rates::default();
        assert!((0..10_000).all(|_| rates.take(&project, 1, Instant::now()).is_ok()));
    }
}
