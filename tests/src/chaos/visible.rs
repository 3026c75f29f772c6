//! How soon what was accepted is seen by a script that asks for it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::api::Api;

use super::log::{Event, Log, Scope};
use super::traffic::Accepted;

/// Notices that are asked for at the same time; more are not watched.
const WATCHED_MAX: usize = 300;

/// Pause between two questions for one notice.
const ASK_EVERY: Duration = Duration::from_millis(60);

/// Who is not seen after this long is left to the count at the end.
const WATCH_LIMIT: Duration = Duration::from_secs(60);

/// In 99 of 100 cases it is seen this soon, while nothing stops everything.
pub const SEEN_LIMIT: Duration = Duration::from_secs(2);

/// What a fault has held up is made up for within this after its end: leases run out, Redis is probed, backlogs are read.
pub const AFTERMATH: Duration = Duration::from_secs(10);

/// Fewer say nothing about one in a hundred.
const JUDGED_MIN: usize = 100;

/// A notice and how long it took until it was seen.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    accepted: Accepted,
    /// `None`: not within [`WATCH_LIMIT`].
    took: Option<Duration>,
}

/// Times until something was seen, of all that were judged together.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Times {
    /// How many.
    pub count: usize,
    /// Half of them were as quick as this, in milliseconds.
    pub p50_ms: u64,
    /// 99 of 100 were.
    pub p99_ms: u64,
    /// All were.
    pub max_ms: u64,
}

/// What is told of all of them.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Visibility {
    /// No fault under way nor in its aftermath, on lanes that the flood does not use: what is judged.
    pub undisturbed: Times,
    /// The same, on lanes that the flood uses.
    pub beside_the_flood: Times,
    /// While something was under way, on any lane.
    pub disturbed: Times,
    /// Lanes that the flood used.
    pub flooded_lane_count: usize,
    /// Seconds of the run in which no fault was under way or in its aftermath that stops everything.
    pub undisturbed_seconds: f64,
}

/// Watches what comes from `watched` until nothing more can come.
pub async fn watch(apis: HashMap<i64, Api>, mut watched: mpsc::Receiver<Accepted>) -> Vec<Seen> {
    let apis = Arc::new(apis);
    let room = Arc::new(Semaphore::new(WATCHED_MAX));
    let seen = Arc::new(Mutex::new(Vec::new()));
    let mut watchers = JoinSet::new();
    while let Some(accepted) = watched.recv().await {
        let Ok(permit) = Arc::clone(&room).try_acquire_owned() else { continue };
        let (apis, seen) = (Arc::clone(&apis), Arc::clone(&seen));
        watchers.spawn(async move {
            let took = time_to_see(&apis[&accepted.project_id], &accepted).await;
            seen.lock().expect("no watcher panics").push(Seen { accepted, took });
            drop(permit);
        });
        while watchers.try_join_next().is_some() {}
    }
    while watchers.join_next().await.is_some() {}
    std::mem::take(&mut seen.lock().expect("no watcher panics"))
}

async fn time_to_see(api: &Api, accepted: &Accepted) -> Option<Duration> {
    let path = format!("/projects/{}/notices/{}", accepted.project_id, accepted.id);
    while accepted.at.elapsed() < WATCH_LIMIT {
        let asked = tokio::time::timeout(WATCH_LIMIT, api.get(&path)).await;
        if matches!(asked, Ok(Ok((200, _)))) {
            return Some(accepted.at.elapsed());
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
    None
}

/// The lane of a notice: the twelve bits of its id after the milliseconds and the version.
pub fn lane_of(id: Uuid) -> u16 {
    let bytes = id.as_bytes();
    u16::from_be_bytes([bytes[6] & 0x0f, bytes[7]])
}

/// Sorts what was seen by what was under way meanwhile.
pub fn judge(seen: &[Seen], flooded: &BTreeSet<u16>, log: &Log, run: Duration) -> Visibility {
    let events = log.events();
    let mut sorted: BTreeMap<&str, Vec<Duration>> = BTreeMap::new();
    for Seen { accepted, took } in seen {
        let at = accepted.at.saturating_duration_since(log.moment(Duration::ZERO));
        let is_disturbed = events.iter().any(|event| disturbs(event, accepted.gateway, at));
        let which = match (is_disturbed, accepted.lane().is_some_and(|lane| flooded.contains(&lane))) {
            (true, _) => "disturbed",
            (false, false) => "undisturbed",
            (false, true) => "beside the flood",
        };
        sorted.entry(which).or_default().push(took.unwrap_or(WATCH_LIMIT));
    }
    let mut times = |which| Times::of(sorted.remove(which).unwrap_or_default());
    Visibility {
        undisturbed: times("undisturbed"),
        beside_the_flood: times("beside the flood"),
        disturbed: times("disturbed"),
        flooded_lane_count: flooded.len(),
        undisturbed_seconds: undisturbed_seconds(&events, run),
    }
}

/// Whether an event can have held up a notice that this gateway accepted at this time: it was under way, or in its aftermath, at
/// any moment until the notice should have been seen.
fn disturbs(event: &Event, gateway: usize, at: Duration) -> bool {
    let holds_up = match event.scope() {
        Scope::Everything => true,
        Scope::Gateway(held_up) => held_up == gateway,
        Scope::Nothing => false,
    };
    let is_over = event.ended_at.is_some_and(|ended_at| ended_at + AFTERMATH < at);
    holds_up && event.began_at < at + SEEN_LIMIT && !is_over
}

fn undisturbed_seconds(events: &[Event], run: Duration) -> f64 {
    const STEP: Duration = Duration::from_millis(100);
    let everything: Vec<_> = events.iter().filter(|event| event.scope() == Scope::Everything).collect();
    let steps = (0..).map(|n| STEP * n).take_while(|at| *at < run);
    steps.filter(|at| !everything.iter().any(|event| disturbs(event, 0, *at))).count() as f64 * STEP.as_secs_f64()
}

impl Times {
    fn of(mut took: Vec<Duration>) -> Times {
        took.sort_unstable();
        let ms = |duration: Option<&Duration>| {
            duration.map_or(0, |duration| u64::try_from(duration.as_millis()).expect("less than an age"))
        };
        let part = |of_100: usize| ms(took.get((took.len() * of_100 / 100).min(took.len().saturating_sub(1))));
        Times { count: took.len(), p50_ms: part(50), p99_ms: part(99), max_ms: ms(took.last()) }
    }
}

impl Visibility {
    /// Whether there are enough to say anything.
    pub fn is_judged(&self) -> bool {
        self.undisturbed.count >= JUDGED_MIN
    }

    /// Why the promise is not kept, if it is not.
    pub fn fault(&self) -> Option<String> {
        let limit_ms = u64::try_from(SEEN_LIMIT.as_millis()).expect("two seconds");
        let Times { count, p99_ms, .. } = self.undisturbed;
        (self.is_judged() && p99_ms > limit_ms).then(|| {
            format!("undisturbed, one in a hundred is not seen within {limit_ms} ms: p99 is {p99_ms} ms of {count}")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lane_is_read_from_the_id() {
        assert_eq!(lane_of("0193e0a0-0000-7011-8000-000000000001".parse().expect("an id")), 0x011);
    }
}
