//! What became of the requests.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

/// The longest time that is told apart from longer ones.
const LATENCY_MAX: Duration = Duration::from_secs(120);
/// Digits that are right.
const DIGITS: u8 = 3;

/// Counts and times of requests. Those of several threads are added up.
#[derive(Clone, Debug)]
pub(crate) struct Tally {
    /// Requests of which at least a byte was sent.
    pub(crate) sent: u64,
    /// Answers of 200 to 299.
    pub(crate) accepted: u64,
    /// Other answers, by status.
    pub(crate) refused: BTreeMap<u16, u64>,
    /// Requests without an answer: the connection broke.
    pub(crate) broken: u64,
    /// Requests without an answer in time.
    pub(crate) timed_out: u64,
    /// Connections that could not be made.
    pub(crate) unreachable: u64,
    /// Requests that were due and not sent because every connection was busy.
    pub(crate) unsent: u64,
    /// Of the accepted, those within what is measured.
    pub(crate) accepted_measured: u64,
    /// Times of the answers within what is measured, from when the request was due, in microseconds.
    pub(crate) latency: Histogram<u64>,
}

impl Default for Tally {
    fn default() -> Tally {
        Tally {
            sent: 0,
            accepted: 0,
            refused: BTreeMap::new(),
            broken: 0,
            timed_out: 0,
            unreachable: 0,
            unsent: 0,
            accepted_measured: 0,
            latency: histogram(),
        }
    }
}

/// An empty histogram of microseconds.
pub(crate) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LATENCY_MAX.as_micros() as u64, DIGITS).expect("the bounds are in order")
}

/// Records a time.
pub(crate) fn record(histogram: &mut Histogram<u64>, took: Duration) {
    histogram.saturating_record(took.as_micros() as u64);
}

impl Tally {
    /// Adds what another thread has counted.
    pub(crate) fn add(&mut self, other: &Tally) {
        self.add_counts(other);
        self.latency.add(&other.latency).expect("all histograms have the same bounds");
    }

    /// The same without the times, which are large.
    pub(crate) fn add_counts(&mut self, other: &Tally) {
        self.sent += other.sent;
        self.accepted += other.accepted;
        for (status, count) in &other.refused {
            *self.refused.entry(*status).or_default() += count;
        }
        self.broken += other.broken;
        self.timed_out += other.timed_out;
        self.unreachable += other.unreachable;
        self.unsent += other.unsent;
        self.accepted_measured += other.accepted_measured;
    }

    /// Whether so many stored notices are those that were accepted, each once: one that was sent and not answered may be stored, or not.
    pub(crate) fn could_be(&self, stored: u64) -> bool {
        (self.accepted..=self.accepted + self.broken + self.timed_out).contains(&stored)
    }

    /// Requests that were not accepted, for whatever reason.
    pub(crate) fn failed(&self) -> u64 {
        self.refused.values().sum::<u64>() + self.broken + self.timed_out + self.unreachable
    }
}

/// Times in milliseconds, as a report tells them.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Times {
    pub(crate) count: u64,
    pub(crate) mean_ms: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p90_ms: f64,
    pub(crate) p95_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) p999_ms: f64,
    pub(crate) max_ms: f64,
}

impl Times {
    pub(crate) fn of(histogram: &Histogram<u64>) -> Times {
        let at = |quantile| milliseconds(histogram.value_at_quantile(quantile) as f64);
        Times {
            count: histogram.len(),
            mean_ms: milliseconds(histogram.mean()),
            p50_ms: at(0.5),
            p90_ms: at(0.9),
            p95_ms: at(0.95),
            p99_ms: at(0.99),
            p999_ms: at(0.999),
            max_ms: milliseconds(histogram.max() as f64),
        }
    }
}

/// Microseconds as milliseconds, to the microsecond.
pub(crate) fn milliseconds(us: f64) -> f64 {
    us.round() / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_threads_counted_adds_up() {
        let mut one = Tally { sent: 3, accepted: 2, refused: BTreeMap::from([(503, 1)]), ..Tally::default() };
        let mut other = Tally { sent: 2, accepted: 1, refused: BTreeMap::from([(503, 1)]), ..Tally::default() };
        record(&mut one.latency, Duration::from_millis(1));
        record(&mut other.latency, Duration::from_millis(9));
        one.add(&other);
        assert_eq!((one.sent, one.accepted, one.failed()), (5, 3, 2));
        assert_eq!((one.latency.len(), one.refused[&503]), (2, 2));
    }

    #[test]
    fn what_was_not_answered_may_be_stored_or_not() {
        let tally =
            Tally { accepted: 10, broken: 1, timed_out: 1, refused: BTreeMap::from([(503, 5)]), ..Tally::default() };
        assert_eq!([9, 10, 12, 13].map(|stored| tally.could_be(stored)), [false, true, true, false]);
    }

    #[test]
    fn times_are_told_in_milliseconds() {
        let mut latency = histogram();
        for ms in 1..=100 {
            record(&mut latency, Duration::from_millis(ms));
        }
        record(&mut latency, Duration::from_secs(1_000));
        let times = Times::of(&latency);
        assert!((times.p50_ms - 51.0).abs() < 0.1 && (times.p99_ms - 100.0).abs() < 0.2, "{times:?}");
        assert!((times.max_ms - 120_000.0).abs() < 200.0, "what is longer counts as the longest: {times:?}");
    }
}
