//! The state of the shipper and what it does next. One task, no locks.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use journal::{Journal, Source};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::flow::{Flow, Moved};
use super::lane::Lane;
use super::pipeline::{Load, Returned, Trouble, send};
use super::status::{ShipperStatus, publish};
use super::wire::{LaneQuestion, LaneWatermarks, Polled};
use super::{Shipper, ShipperOptions};
use crate::{Queue, QueueError};

/// How often watermarks are read while nothing is on its way: they may still go down.
const IDLE_EVERY: Duration = Duration::from_secs(2);

/// How often metrics are set.
const METRICS_EVERY: Duration = Duration::from_secs(1);

/// What is missing may have been taken by a worker that has not said so yet; it does within a second.
const WORKER_SAYS_WITHIN: Duration = Duration::from_millis(1500);

/// The mistake to take Redis at its word: what it has taken counts as acknowledged.
#[cfg(feature = "failpoints")]
const FORGETS_AFTER_XADD: &str = "gateway.forgets_after_xadd";

/// What is done beside the rounds, and comes back.
pub(super) enum Done {
    Returned(Returned),
    Polled(Polled),
    Probed { lane: u16, journal: Uuid, has_both: Result<bool, QueueError> },
}

pub(super) struct Rounds {
    journal: Journal,
    queue: Queue,
    options: ShipperOptions,
    own: Source,
    lanes: BTreeMap<u16, Lane>,
    /// Lanes that were complained about.
    unknown_lanes: BTreeSet<u16>,
    /// Pipelines, polls and probes in flight.
    pub(super) tasks: JoinSet<Done>,
    status: ShipperStatus,
    /// Whether it was said that some lanes are not answered for.
    is_complained: bool,
    /// One poll at a time, so that an older answer never follows a newer one.
    is_polling: bool,
    /// When the last poll began.
    polled_at: Instant,
    polled_all_at: Option<Instant>,
    metrics_at: Option<Instant>,
}

impl Rounds {
    pub(super) fn new(shipper: &Shipper) -> Rounds {
        let own = shipper.journal.sources().pop().expect("a journal is among its own sources");
        Rounds {
            journal: shipper.journal.clone(),
            queue: shipper.queue.clone(),
            options: shipper.options.clone(),
            own,
            lanes: BTreeMap::new(),
            unknown_lanes: BTreeSet::new(),
            tasks: JoinSet::new(),
            status: ShipperStatus::default(),
            is_complained: false,
            is_polling: false,
            // The first poll is due at once: before it we know neither Redis nor what is committed.
            polled_at: Instant::now().checked_sub(IDLE_EVERY).unwrap_or_else(Instant::now),
            polled_all_at: None,
            metrics_at: None,
        }
    }

    /// Sees what this process has appended.
    pub(super) fn look_at_own(&mut self) {
        let own = self.own.clone();
        self.look_at(&own, true);
    }

    /// Sees which journals there are and what they have.
    fn look_at_all(&mut self) {
        let sources = self.journal.sources();
        for source in &sources {
            self.look_at(source, source.journal() == self.own.journal());
        }
        for lane in self.lanes.values_mut() {
            lane.flows.retain(|journal, flow| {
                flow.pending.is_none() || sources.iter().any(|source| source.journal() == *journal)
            });
        }
    }

    fn look_at(&mut self, source: &Source, is_own: bool) {
        let lanes = self.queue.lanes();
        for (lane, head) in source.heads() {
            if !lanes.has(lane) {
                if self.unknown_lanes.insert(lane) {
                    tracing::error!(
                        lane,
                        "the journal has records for a lane that the installation does not have: they stay"
                    );
                }
                continue;
            }
            let lane = self.lanes.entry(lane).or_default();
            lane.flows.entry(source.journal()).or_insert_with(|| Flow::new(source.clone(), is_own)).head = head;
        }
    }

    /// Starts a pipeline on every lane that has something to send and may.
    pub(super) fn start_pipelines(&mut self) {
        if !self.status.is_connected {
            return;
        }
        let now = Instant::now();
        // Each lane has a part of the window for itself, so that lanes that stand still cannot stop the others.
        let own_bytes = self.options.window_bytes / 2 / u64::from(self.queue.lanes().count());
        let shared_bytes: u64 = self.lanes.values().map(|lane| lane.used_bytes().saturating_sub(own_bytes)).sum();
        let mut shared_left = (self.options.window_bytes / 2).saturating_sub(shared_bytes);
        for (number, lane) in &mut self.lanes {
            let used = lane.used_bytes();
            let room =
                self.options.window_lane_bytes.saturating_sub(used).min(own_bytes.saturating_sub(used) + shared_left);
            if room == 0 {
                continue;
            }
            let Some(journal) = lane.next(now) else { continue };
            let Some(flow) = lane.flows.get_mut(&journal) else { continue };
            let room_ahead = flow.room_ahead(self.options.window_lane_bytes / 4);
            let Some(pending) = flow.pending.take() else { continue };
            let bytes_max = room.min(self.options.pipeline_bytes as u64);
            let load = Load {
                records_max: self.options.pipeline_records,
                bytes_max: usize::try_from(bytes_max).unwrap_or(usize::MAX),
                ahead_max: room_ahead,
                watermark: flow.acked(),
            };
            let (queue, source, number) = (self.queue.clone(), flow.source.clone(), *number);
            self.tasks.spawn(async move { Done::Returned(send(queue, source, number, pending, load).await) });
            lane.in_flight_bytes = Some(bytes_max);
            shared_left = shared_left.saturating_sub(bytes_max.saturating_sub(own_bytes.saturating_sub(used)));
        }
    }

    /// Takes in what has come back.
    pub(super) fn finish(&mut self, done: Done) {
        match done {
            Done::Returned(returned) => self.finish_pipeline(returned),
            Done::Polled(polled) => self.finish_poll(&polled),
            Done::Probed { lane, journal, has_both } => self.finish_probe(lane, journal, has_both),
        }
    }

    fn finish_poll(&mut self, polled: &Polled) {
        self.is_polling = false;
        for watermarks in &polled.heard {
            self.find(watermarks.lane);
            self.believe(watermarks);
        }
        if let Some(error) = &polled.error {
            polled.silent.iter().for_each(|lane| self.lose(*lane, error));
            self.status.connection_errors += 1;
        }
        let was_connected = std::mem::replace(&mut self.status.is_connected, !polled.heard.is_empty());
        match &polled.error {
            Some(error) if was_connected && !self.status.is_connected => {
                tracing::warn!(error = causes(error), "redis cannot be reached: the journal goes on");
            }
            None if !was_connected => tracing::info!("redis answers"),
            None if std::mem::take(&mut self.is_complained) => tracing::info!("redis answers for all lanes"),
            _ => {}
        }
    }

    fn finish_pipeline(&mut self, returned: Returned) {
        let Some(lane) = self.lanes.get_mut(&returned.lane) else { return };
        lane.in_flight_bytes = None;
        let Some(flow) = lane.flows.get_mut(&returned.journal) else { return };
        let sent = returned.accepted.len() as u64;
        #[cfg(feature = "failpoints")]
        let sent_upto = returned.accepted.iter().map(|(seq, ..)| *seq).max();
        self.status.sent_entries += sent;
        self.status.resent_entries += flow.settle(returned.pending, returned.accepted);
        #[cfg(feature = "failpoints")]
        if journal::failpoint::is_mutant(FORGETS_AFTER_XADD)
            && let Some(sent_upto) = sent_upto
        {
            let lowest = flow.pending.as_ref().and_then(super::pending::Pending::lowest);
            let watermark = lowest.map_or(sent_upto, |lowest| lowest - 1).max(flow.acked());
            flow.set_acked(watermark);
            self.journal.acknowledge(returned.journal, returned.lane, watermark);
        }
        match returned.trouble {
            None if sent > 0 => lane.resume(),
            None => {}
            Some(Trouble::Connection(error)) => {
                self.status.connection_errors += 1;
                self.lose(returned.lane, &error);
            }
            Some(trouble) => {
                self.status.oom_pauses += u64::from(matches!(trouble, Trouble::OutOfMemory));
                self.status.refusals += u64::from(matches!(trouble, Trouble::Refused(_)));
                if lane.pause() {
                    trouble.log(returned.lane);
                }
            }
        }
    }

    fn finish_probe(&mut self, lane: u16, journal: Uuid, has_both: Result<bool, QueueError>) {
        let Some(flow) = self.lanes.get_mut(&lane).and_then(|lane| lane.flows.get_mut(&journal)) else { return };
        flow.is_probing = false;
        match has_both {
            Err(error) => {
                self.status.connection_errors += 1;
                self.lose(lane, &error);
            }
            // The queue is merely slow.
            Ok(true) => {
                self.status.probes_found += 1;
                flow.probe_at_once = false;
                flow.look_again_later();
            }
            Ok(false) => {
                self.status.probes_missing += 1;
                flow.probe_at_once = false;
                flow.missing = Some((flow.acked(), Instant::now() + WORKER_SAYS_WITHIN));
            }
        }
    }

    /// Believes what a lane's hash says; sends again what is missing and still not committed.
    fn believe(&mut self, watermarks: &LaneWatermarks) {
        let Some(lane) = self.lanes.get_mut(&watermarks.lane) else { return };
        lane.is_claimed_anew = watermarks.token.is_some() && lane.token != watermarks.token;
        if lane.is_claimed_anew {
            // What was answered are the watermarks of the claim before: the next poll asks for those of this one.
            lane.token = watermarks.token;
            tracing::debug!(lane = watermarks.lane, token = watermarks.token, "the lane was claimed");
            return;
        }
        let is_heard = lane.hear(watermarks.beat, Instant::now());
        for (journal, watermark) in watermarks.known() {
            let Some(flow) = lane.flows.get_mut(&journal) else { continue };
            flow.is_asked = true;
            #[cfg(feature = "failpoints")]
            let watermark = watermark.filter(|_| !journal::failpoint::is_mutant(FORGETS_AFTER_XADD));
            if let Some(watermark) = watermark {
                if flow.set_acked(watermark) == Moved::Down {
                    self.status.watermarks_lowered += 1;
                    tracing::warn!(lane = watermarks.lane, journal = %journal, watermark, "the database has lost commits: sending again what lies above");
                }
                if is_heard || flow.source.acknowledged(watermarks.lane) != Some(watermark) {
                    self.journal.acknowledge(journal, watermarks.lane, watermark);
                }
            }
            if let Some((acked, decide_at)) = flow.missing
                && self.polled_at >= decide_at
            {
                flow.missing = None;
                if !flow.has_outstanding() {
                    continue;
                }
                if flow.acked() != acked {
                    // A worker had taken a part of it; what about the rest?
                    flow.probe_at_once = true;
                    continue;
                }
                tracing::warn!(lane = watermarks.lane, journal = %journal, "redis has lost entries: sending them again");
                flow.restart();
            }
        }
    }

    /// The server of a lane does not answer: the lane waits until it does. In a cluster the others go on.
    fn lose(&mut self, lane: u16, error: &QueueError) {
        if !self.queue.is_cluster() {
            self.lanes.values_mut().for_each(|lane| lane.is_lost = true);
            return;
        }
        let Some(state) = self.lanes.get_mut(&lane) else { return };
        state.is_lost = true;
        if self.status.is_connected && !std::mem::replace(&mut self.is_complained, true) {
            tracing::warn!(lane, error = causes(error), "redis does not answer for a lane: it waits, others go on");
        }
    }

    /// The server of a lane answers. If it did not before, it may have forgotten anything.
    fn find(&mut self, lane: u16) {
        let Some(lane) = self.lanes.get_mut(&lane) else { return };
        if !std::mem::take(&mut lane.is_lost) {
            return;
        }
        for flow in lane.flows.values_mut() {
            flow.probe_at_once = flow.has_outstanding();
        }
    }

    /// Does what is due by the clock.
    pub(super) fn tick(&mut self) {
        let now = Instant::now();
        if !self.is_polling && self.poll_at() <= now {
            self.look_at_all();
            self.start_poll(now);
        }
        if self.status.is_connected {
            self.start_probes();
        }
        if self.metrics_at.is_none_or(|at| now.duration_since(at) >= METRICS_EVERY) {
            self.metrics_at = Some(now);
            publish(&self.journal.status(), &self.status());
        }
    }

    /// When the clock next has something to do.
    pub(super) fn next_tick(&self) -> Instant {
        let now = Instant::now();
        let poll_at = if self.is_polling { now + IDLE_EVERY } else { self.poll_at() };
        // A pause that is over is no reason: what starts after it has been started, or waits for something else.
        let wakes = self.lanes.values().filter_map(Lane::wakes_at).filter(|at| self.status.is_connected && *at > now);
        let metrics_at = self.metrics_at.map(|at| at + METRICS_EVERY);
        wakes.chain(metrics_at).fold(poll_at, Instant::min)
    }

    fn poll_at(&self) -> Instant {
        let is_lively = !self.status.is_connected || self.lanes.values().any(Lane::is_lively);
        self.polled_at + if is_lively { self.options.watermarks_every } else { IDLE_EVERY }
    }

    /// Asks for the watermarks of lanes with something on their way, and now and then of all.
    fn start_poll(&mut self, now: Instant) {
        let all = self.polled_all_at.is_none_or(|at| now.duration_since(at) >= IDLE_EVERY);
        if all {
            self.polled_all_at = Some(now);
        }
        let lanes = self.lanes.iter().filter(|(_, lane)| all || lane.is_lively());
        let mut lanes: Vec<LaneQuestion> = lanes
            .map(|(number, lane)| LaneQuestion {
                lane: *number,
                token: lane.token,
                journals: lane.flows.keys().copied().collect(),
            })
            .collect();
        if lanes.is_empty() {
            // Only to see whether Redis answers.
            lanes.push(LaneQuestion { lane: self.queue.lanes().current().start, token: None, journals: Vec::new() });
        }
        self.is_polling = true;
        self.polled_at = now;
        let queue = self.queue.clone();
        self.tasks.spawn(async move { Done::Polled(queue.ask_watermarks(&lanes).await) });
    }

    /// Looks whether Redis still has what was sent, where the watermark stands still.
    fn start_probes(&mut self) {
        let stall_max = self.options.stall_max;
        for (lane, state) in &mut self.lanes {
            for (journal, flow) in &mut state.flows {
                let Some((oldest, newest)) = flow.probe(stall_max) else { continue };
                flow.is_probing = true;
                let (queue, lane, journal) = (self.queue.clone(), *lane, *journal);
                self.tasks.spawn(async move {
                    Done::Probed { lane, journal, has_both: queue.has_both(lane, oldest, newest).await }
                });
            }
        }
    }

    pub(super) fn status(&self) -> ShipperStatus {
        ShipperStatus {
            outstanding_bytes: self.lanes.values().map(Lane::outstanding_bytes).sum(),
            ..self.status.clone()
        }
    }
}

/// An error with its causes.
fn causes(error: &QueueError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
