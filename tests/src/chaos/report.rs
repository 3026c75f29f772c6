//! What a run has shown, for people and for scripts.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::kept::Kept;
use super::log::Event;
use super::sums::Sums;
use super::traffic::{Counts, Stream};
use super::visible::{AFTERMATH, SEEN_LIMIT, Times, Visibility};

/// Everything that a run has shown.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// What the schedule was made from.
    pub seed: u64,
    /// How long faults were injected.
    pub seconds: u64,
    /// Every fault with its times.
    pub injected: Vec<Injected>,
    /// How often each fault was injected.
    pub injected_by_kind: BTreeMap<String, usize>,
    /// What this machine cannot have.
    pub skipped: Vec<String>,
    /// What was sent, and what clients were told.
    pub traffic: BTreeMap<Stream, Counts>,
    /// What is stored of it.
    pub kept: Kept,
    /// Entries that were put into lanes and that no gateway made.
    pub poison: usize,
    /// The last of the snapshots that were added up.
    pub sums: Sums,
    /// How many there were.
    pub snapshot_count: usize,
    /// How soon notices were seen.
    pub visibility: Visibility,
    /// What services counted.
    pub counters: BTreeMap<String, u64>,
    /// From the end of all faults until the database had everything.
    pub drained_after_ms: u64,
    /// The last word of `croak audit`.
    pub audit: String,
    /// What does not hold. Empty is good.
    pub failures: Vec<String>,
}

/// One fault as it was.
#[derive(Clone, Debug, Serialize)]
pub struct Injected {
    /// Milliseconds from the beginning of the run.
    pub at_ms: u128,
    /// The same.
    pub until_ms: Option<u128>,
    /// Whom.
    pub victim: String,
    /// What.
    pub what: String,
    /// What was special.
    pub note: String,
}

impl From<&Event> for Injected {
    fn from(event: &Event) -> Injected {
        Injected {
            at_ms: event.began_at.as_millis(),
            until_ms: event.ended_at.map(|at| at.as_millis()),
            victim: event.fault.victim.to_string(),
            what: event.fault.kind.to_string(),
            note: event.note.clone(),
        }
    }
}

impl Report {
    /// Puts in what was injected.
    pub(super) fn tell_events(&mut self, events: &[Event]) {
        self.injected = events.iter().map(Injected::from).collect();
        for event in events {
            let victim = event.fault.victim.to_string();
            let victim = victim.split('-').next().unwrap_or_default();
            *self.injected_by_kind.entry(format!("{victim} {}", event.fault.kind)).or_default() += 1;
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nseed {}, {} s of faults, {} injected", self.seed, self.seconds, self.injected.len())?;
        for (what, count) in &self.injected_by_kind {
            writeln!(f, "  {count:4}  {what}")?;
        }
        for what in &self.skipped {
            writeln!(f, "  skipped: {what}")?;
        }
        writeln!(f, "sent")?;
        for (stream, counts) in &self.traffic {
            let Counts { sent, accepted, refused, unanswered, unsent } = counts;
            writeln!(
                f,
                "  {stream:9?} {sent:8} sent, {accepted:8} with 2xx, refused {refused:?}, {unanswered} unanswered, {unsent} not sent"
            )?;
        }
        let Kept { stored, missing, doubled, extra, altered, hostile_dead, sound_dead, dead } = &self.kept;
        writeln!(
            f,
            "kept\n  {stored} stored, {missing} missing, {doubled} doubled, {altered} altered, {extra} extra (without a 2xx)"
        )?;
        writeln!(
            f,
            "  {hostile_dead} hostile and {sound_dead} sound ones dead, {} poisons in lanes; all dead: {dead:?}",
            self.poison
        )?;
        let sums = &self.sums;
        writeln!(
            f,
            "sums of {} snapshots, the last: accounted {} - dead {} - declared gone {} - deploys, ledgers, statistics {} - repeats of a name {} = {}",
            self.snapshot_count,
            sums.accounted,
            sums.dead,
            sums.declared_gone,
            sums.others,
            sums.repeated,
            sums.expected()
        )?;
        writeln!(
            f,
            "  groups {}, chunks {}, minutes {}, days {}, projects {}",
            sums.in_groups, sums.in_chunks, sums.in_minutes, sums.in_days, sums.in_projects
        )?;
        let seen = &self.visibility;
        writeln!(
            f,
            "from 2xx to visible over the API (quiet projects; {} lanes were flooded; {:.0} s without a fault of worker, redis or postgres \
             under way or less than {} s over)",
            seen.flooded_lane_count,
            seen.undisturbed_seconds,
            AFTERMATH.as_secs()
        )?;
        for (what, times) in [
            (
                format!("undisturbed, other lanes than the flood's (judged: p99 below {} s)", SEEN_LIMIT.as_secs()),
                &seen.undisturbed,
            ),
            ("undisturbed, lanes of the flood".to_owned(), &seen.beside_the_flood),
            ("while something was under way".to_owned(), &seen.disturbed),
        ] {
            let Times { count, p50_ms, p99_ms, max_ms } = times;
            writeln!(f, "  {count:6} {what}: p50 {p50_ms} ms, p99 {p99_ms} ms, most {max_ms} ms")?;
        }
        if !seen.is_judged() {
            writeln!(f, "  too few were undisturbed to judge them")?;
        }
        writeln!(f, "counted by services (but for their last second before a kill)")?;
        for (name, value) in &self.counters {
            writeln!(f, "  {value:8}  {name}")?;
        }
        writeln!(f, "drained {} ms after the last fault; audit: {}", self.drained_after_ms, self.audit.trim())?;
        if self.failures.is_empty() {
            return writeln!(f, "everything holds (seed {})", self.seed);
        }
        writeln!(f, "DOES NOT HOLD, seed {}:", self.seed)?;
        self.failures.iter().try_for_each(|failure| writeln!(f, "  {failure}"))
    }
}
