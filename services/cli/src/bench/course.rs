//! The course of a run: what was accepted, what was stored and what waited between, over time.

use std::time::{Duration, Instant};

use serde::Serialize;

use super::services::{Look, Services, Use};

/// How often everything is looked at.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Below this share of what is accepted a queue that grows is one whose depth swings.
const GROWTH_SHARE: f64 = 0.01;

/// One look.
#[derive(Clone, Debug)]
pub(crate) struct Point {
    /// Seconds since the load began.
    pub(crate) at_s: f64,
    pub(crate) accepted: u64,
    /// Stored since the load began.
    pub(crate) stored: Option<u64>,
    pub(crate) machine_cpu_s: Option<f64>,
    pub(crate) uses: Vec<Option<Use>>,
}

impl Point {
    /// Accepted and not yet stored.
    pub(crate) fn waiting(&self) -> Option<u64> {
        Some(self.accepted.saturating_sub(self.stored?))
    }
}

/// All looks of a run, in the order of time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Course {
    pub(crate) before: Look,
    pub(crate) points: Vec<Point>,
}

/// How the queue did while it was measured.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Queue {
    /// Notices stored a second.
    pub(crate) stored_per_s: f64,
    pub(crate) waiting_max: u64,
    /// How much longer it became, a second: the slope of a straight line through all looks.
    pub(crate) growth_per_s: f64,
    /// Whether that is more than one in a hundred of what was accepted.
    pub(crate) did_grow: bool,
}

impl Course {
    /// Begins before the load does.
    pub(crate) async fn begin(services: &Services) -> Course {
        Course { before: services.look().await, points: Vec::new() }
    }

    /// Whether the last look is long enough ago.
    pub(crate) fn is_due(&self, began: Instant) -> bool {
        let looked_s = self.points.last().map_or(0.0, |point| point.at_s);
        began.elapsed().as_secs_f64() - looked_s >= LOOK_EVERY.as_secs_f64()
    }

    /// Looks once, when so many are accepted.
    pub(crate) async fn look(&mut self, services: &Services, accepted: u64, began: Instant) -> &Point {
        let at_s = began.elapsed().as_secs_f64();
        let look = services.look().await;
        let stored = look.stored.zip(self.before.stored).map(|(now, before)| now.saturating_sub(before));
        let Look { machine_cpu_s, uses, .. } = look;
        self.points.push(Point { at_s, accepted, stored, machine_cpu_s, uses });
        self.points.last().expect("one was pushed")
    }

    /// The points within what is measured.
    pub(crate) fn measured(&self, from_s: f64, until_s: f64) -> &[Point] {
        let first = self.points.partition_point(|point| point.at_s < from_s);
        let last = self.points.partition_point(|point| point.at_s <= until_s);
        &self.points[first.min(last)..last]
    }

    /// How the queue did between these points; `None` when there are fewer than two or a worker did not answer.
    pub(crate) fn queue(points: &[Point]) -> Option<Queue> {
        let (first, last) = (points.first()?, points.last()?);
        let took_s = last.at_s - first.at_s;
        if took_s <= 0.0 {
            return None;
        }
        let depths: Option<Vec<(f64, f64)>> =
            points.iter().map(|point| Some((point.at_s, point.waiting()? as f64))).collect();
        let growth_per_s = slope(&depths?);
        let accepted_per_s = (last.accepted - first.accepted) as f64 / took_s;
        Some(Queue {
            stored_per_s: (last.stored? - first.stored?) as f64 / took_s,
            waiting_max: points.iter().filter_map(Point::waiting).max()?,
            growth_per_s,
            did_grow: growth_per_s > accepted_per_s * GROWTH_SHARE,
        })
    }
}

/// The slope of the straight line that is nearest to these points, by least squares.
fn slope(points: &[(f64, f64)]) -> f64 {
    let count = points.len() as f64;
    let (mean_x, mean_y) = points.iter().fold((0.0, 0.0), |(x, y), point| (x + point.0 / count, y + point.1 / count));
    let (mut covariance, mut variance) = (0.0, 0.0);
    for (x, y) in points {
        covariance += (x - mean_x) * (y - mean_y);
        variance += (x - mean_x).powi(2);
    }
    if variance > 0.0 { covariance / variance } else { 0.0 }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::*;

    fn point(at_s: u32, accepted: u64, stored: u64) -> Point {
        Point { at_s: at_s.into(), accepted, stored: Some(stored), machine_cpu_s: None, uses: Vec::new() }
    }

    #[test]
    fn a_queue_whose_depth_swings_does_not_grow() {
        let points: Vec<Point> = (0..60)
            .map(|s| point(s, 1_000 * u64::from(s) + 800, 1_000 * u64::from(s) + 300 * u64::from(s % 2)))
            .collect();
        let queue = Course::queue(&points).unwrap();
        assert!(!queue.did_grow, "{queue:?}");
        assert!((queue.stored_per_s - 1_000.0).abs() < 10.0 && queue.waiting_max == 800, "{queue:?}");
    }

    #[test]
    fn a_queue_that_gets_longer_all_the_time_grows() {
        let points: Vec<Point> = (0..60).map(|s| point(s, 1_000 * u64::from(s), 950 * u64::from(s))).collect();
        let queue = Course::queue(&points).unwrap();
        assert!(queue.did_grow && (queue.growth_per_s - 50.0).abs() < 1e-6, "{queue:?}");
    }

    #[test]
    fn only_what_is_measured_counts() {
        let course = Course { points: (0..10).map(|s| point(s, 0, 0)).collect(), ..Course::default() };
        let measured: Vec<f64> = course.measured(2.5, 7.0).iter().map(|point| point.at_s).collect();
        assert_eq!(measured, [3.0, 4.0, 5.0, 6.0, 7.0]);
        assert!(course.measured(20.0, 30.0).is_empty());
        assert_eq!(Course::queue(&course.points[..1]), None);
    }
}
