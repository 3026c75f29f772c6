//! Lists that are told of new groups while somebody looks at them.
//!
//! Each project that is watched is read once a second, however many watch it; when nobody does any more, the reading ends.
//! Who watches one project or several gets a stream of server-sent events. An event's id is the greatest number of a group that there was: whoever
//! comes back with it, to this web or to another one, is told what came meanwhile.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::{Stream, StreamExt as _, stream};
use serde_json::json;
use store::Reader;
use store::reader::Opened;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::rejection::Rejection;

/// How often a watched project is read.
const POLL_EVERY: Duration = Duration::from_secs(1);
/// Streams at a time; more are told to come again later, and their pages ask from time to time instead.
const STREAMS_MAX: usize = 1_000;
/// A sign of life at least this often: proxies close what is silent, and a viewer that has gone is noticed.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// After this time a stream ends and its page comes again: whoever is no member any more is then refused.
const STREAM_MAX: Duration = Duration::from_secs(300);
/// Projects that a list over all of them watches; of others it hears when it is asked for again.
pub(crate) const WATCHED_MAX: i64 = 50;
/// The newest groups that are compared with those of the last reading.
const NEWEST_MAX: i64 = 50;

/// The newest groups of a project, greatest number first; nothing before the first reading.
type Newest = Option<Arc<Vec<i64>>>;

/// Everybody who watches. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Live(Arc<Inner>);

struct Inner {
    reader: Reader,
    shutdown: CancellationToken,
    places: Arc<Semaphore>,
    watched: Mutex<HashMap<i64, watch::Sender<Newest>>>,
}

impl Live {
    pub(crate) fn new(reader: Reader, shutdown: CancellationToken) -> Live {
        let places = Arc::new(Semaphore::new(STREAMS_MAX));
        Live(Arc::new(Inner { reader, shutdown, places, watched: Mutex::default() }))
    }

    /// A stream of the groups of these projects that are newer than the group `since`.
    pub(crate) fn stream(&self, projects: &[Arc<Opened>], since: i64) -> Result<Response, Rejection> {
        let place = Arc::clone(&self.0.places).try_acquire_owned().map_err(|_| Rejection::TooManyStreams)?;
        let (place, until) = (Arc::new(Place::taken(place)), Instant::now() + STREAM_MAX);
        let of_each = projects.iter().map(|project| {
            let viewer = Viewer {
                newest: self.watch(project),
                shutdown: self.0.shutdown.clone(),
                until,
                since,
                told: None,
                _place: Arc::clone(&place),
            };
            viewer.events().boxed()
        });
        let heartbeat = KeepAlive::new().interval(HEARTBEAT);
        // nginx would wait until it has a buffer full.
        let unbuffered = [("x-accel-buffering", "no")];
        Ok((unbuffered, Sse::new(stream::select_all(of_each)).keep_alive(heartbeat)).into_response())
    }

    /// What the project's one reader finds; begins to read if nobody watched it.
    fn watch(&self, project: &Arc<Opened>) -> watch::Receiver<Newest> {
        let mut watched = self.0.watched.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = watched.get(&project.id()) {
            return sender.subscribe();
        }
        let (sender, receiver) = watch::channel(None);
        watched.insert(project.id(), sender.clone());
        tokio::spawn(self.clone().poll(Arc::clone(project), sender));
        receiver
    }

    async fn poll(self, project: Arc<Opened>, sender: watch::Sender<Newest>) {
        let mut ticks = tokio::time::interval(POLL_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = self.0.shutdown.cancelled() => return,
                _ = ticks.tick() => {}
            }
            {
                let mut watched = self.0.watched.lock().unwrap_or_else(PoisonError::into_inner);
                // Under the lock nobody new begins to watch: the entry goes with its last viewer.
                if sender.receiver_count() == 0 {
                    watched.remove(&project.id());
                    return;
                }
            }
            let read = self.0.reader.newest_groups(&project, NEWEST_MAX).await;
            metrics::counter!("web_live_polls_total", "ended" => if read.is_ok() { "read" } else { "failed" })
                .increment(1);
            // A database that is away has nothing new; the next reading finds what came meanwhile.
            if let Ok(newest) = read {
                sender.send_if_modified(|last| {
                    let is_new = last.as_deref() != Some(&newest);
                    if is_new {
                        *last = Some(Arc::new(newest));
                    }
                    is_new
                });
            }
        }
    }
}

/// One place of a stream, counted while it is taken.
struct Place(#[expect(dead_code, reason = "it is given back when it is dropped")] OwnedSemaphorePermit);

impl Place {
    fn taken(permit: OwnedSemaphorePermit) -> Place {
        metrics::gauge!("web_live_streams").increment(1);
        Place(permit)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        metrics::gauge!("web_live_streams").decrement(1);
    }
}

struct Viewer {
    newest: watch::Receiver<Newest>,
    shutdown: CancellationToken,
    until: Instant,
    /// The greatest group that the page had.
    since: i64,
    /// What there was when something was last told.
    told: Newest,
    _place: Arc<Place>,
}

impl Viewer {
    fn events(self) -> impl Stream<Item = Result<Event, Infallible>> + Send {
        stream::unfold(self, |mut viewer| async move {
            loop {
                let changed = tokio::select! {
                    () = viewer.shutdown.cancelled() => return None,
                    () = tokio::time::sleep_until(viewer.until) => return None,
                    changed = viewer.newest.wait_for(|newest| *newest != viewer.told && newest.is_some()) => changed.ok()?.clone(),
                };
                if let Some(event) = changed.and_then(|newest| viewer.tell(newest)) {
                    return Some((Ok(event), viewer));
                }
            }
        })
    }

    /// What is new, if anything is; the first event always comes, so that the page has an id to come back with.
    fn tell(&mut self, newest: Arc<Vec<i64>>) -> Option<Event> {
        let fresh = fresh(&newest, self.told.as_deref(), self.since);
        let is_first = self.told.is_none();
        let greatest = newest.first().copied().unwrap_or(0).max(self.since);
        self.told = Some(newest);
        if fresh.is_empty() && !is_first {
            return None;
        }
        let fresh: Vec<String> = fresh.iter().map(i64::to_string).collect();
        Some(Event::default().event("groups").id(greatest.to_string()).data(json!({ "fresh": fresh }).to_string()))
    }
}

/// The groups that a viewer does not know of. Numbers become visible out of order: what is compared is what was there.
fn fresh(newest: &[i64], told: Option<&Vec<i64>>, since: i64) -> Vec<i64> {
    match told {
        None => newest.iter().copied().filter(|id| *id > since).collect(),
        // What lies below all that was compared before came into sight because something above it has gone.
        Some(told) => {
            let least = if told.len() < NEWEST_MAX as usize { 0 } else { told.last().copied().unwrap_or(0) };
            newest.iter().copied().filter(|id| *id > least && !told.contains(id)).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_new_is_what_was_not_there() {
        assert_eq!(fresh(&[9, 7, 5], None, 5), [9, 7]);
        assert_eq!(fresh(&[9, 7, 5], Some(&vec![9, 5]), 5), [7], "one that became visible late");
        assert_eq!(fresh(&[9, 5], Some(&vec![9, 7, 5]), 5), Vec::<i64>::new(), "one that has gone");
        let full: Vec<i64> = (101..=150).rev().collect();
        let after: Vec<i64> = (100..150).rev().collect();
        assert_eq!(fresh(&after, Some(&full), 0), Vec::<i64>::new(), "one that came into sight from below");
    }
}
