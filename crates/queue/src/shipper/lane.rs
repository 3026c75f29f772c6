//! One lane: the journals that have something for it, and whether Redis takes more.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::flow::Flow;

const PAUSE_MIN: Duration = Duration::from_millis(250);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// Two looks that are further apart say nothing of when something was published. Looks are two seconds apart.
const MOMENT: Duration = Duration::from_secs(10);

/// One lane, over all journals.
#[derive(Default)]
pub(super) struct Lane {
    pub(super) flows: BTreeMap<Uuid, Flow>,
    /// What the pipeline in flight may carry; `None` when none is.
    pub(super) in_flight_bytes: Option<u64>,
    /// Whether its server did not answer the last time.
    pub(super) is_lost: bool,
    /// The claim that the watermarks were last published whole after.
    pub(super) token: Option<i64>,
    /// The number of the publication that stood there last, and when it did.
    beat: Option<(u64, Instant)>,
    /// Whether the watermarks of that claim are still to be asked for.
    pub(super) is_claimed_anew: bool,
    /// The journal that was served last.
    served: Option<Uuid>,
    paused_until: Option<Instant>,
    pause: Duration,
}

impl Lane {
    /// Takes in the number of the publication that stands there at `now`; whether a worker has published in the last moments.
    ///
    /// What stands there unchanged is no word of a worker's: it may be gone from a database that is being restored. Nor is one that was not seen
    /// a moment ago and is another since: it may have been written at any time in between.
    pub(super) fn hear(&mut self, beat: Option<u64>, now: Instant) -> bool {
        let before = std::mem::replace(&mut self.beat, beat.map(|beat| (beat, now)));
        let (Some((before, seen_at)), Some(beat)) = (before, beat) else { return false };
        before != beat && now.duration_since(seen_at) <= MOMENT
    }

    /// Bytes that Redis holds of this lane, or is about to.
    pub(super) fn used_bytes(&self) -> u64 {
        self.outstanding_bytes() + self.in_flight_bytes.unwrap_or(0)
    }

    pub(super) fn outstanding_bytes(&self) -> u64 {
        self.flows.values().map(Flow::outstanding_bytes).sum()
    }

    /// Whether watermarks are worth asking for at the quick pace.
    pub(super) fn is_lively(&self) -> bool {
        self.is_lost || self.is_claimed_anew || self.flows.values().any(|flow| flow.has_outstanding() || !flow.is_asked)
    }

    /// The journal whose turn it is, if a pipeline may start.
    pub(super) fn next(&mut self, now: Instant) -> Option<Uuid> {
        if self.is_lost || self.in_flight_bytes.is_some() || self.paused_until.is_some_and(|until| now < until) {
            return None;
        }
        let is_ready = |(_, flow): &(&Uuid, &Flow)| flow.is_ready();
        let after = self.served.map_or(Bound::Unbounded, Bound::Excluded);
        let next =
            self.flows.range((after, Bound::Unbounded)).find(is_ready).or_else(|| self.flows.iter().find(is_ready));
        let journal = *next?.0;
        self.served = Some(journal);
        Some(journal)
    }

    /// When the pause ends, if something waits for that.
    pub(super) fn wakes_at(&self) -> Option<Instant> {
        self.paused_until.filter(|_| self.in_flight_bytes.is_none() && self.flows.values().any(Flow::is_ready))
    }

    /// Takes nothing for a while, longer each time; tells whether this is the first time in a row.
    pub(super) fn pause(&mut self) -> bool {
        let is_first = self.pause.is_zero();
        self.pause = (self.pause * 2).clamp(PAUSE_MIN, PAUSE_MAX);
        self.paused_until = Some(Instant::now() + self.pause);
        is_first
    }

    /// Redis took everything.
    pub(super) fn resume(&mut self) {
        self.pause = Duration::ZERO;
        self.paused_until = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_is_heard_only_while_it_is_listened_to() {
        let began = Instant::now();
        let at = |seconds| began + Duration::from_secs(seconds);
        let mut lane = Lane::default();
        assert!(!lane.hear(Some(7), at(0)), "it may have been written at any time");
        assert!(!lane.hear(Some(7), at(2)));
        assert!(lane.hear(Some(8), at(4)));
        assert!(!lane.hear(Some(9), at(604)), "nobody looked for ten minutes");
        assert!(lane.hear(Some(10), at(606)));
        assert!(!lane.hear(None, at(608)));
        assert!(!lane.hear(Some(11), at(610)), "Redis had forgotten it");
        assert!(lane.hear(Some(12), at(612)));
    }
}
