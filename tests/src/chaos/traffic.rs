//! Clients that send to all gateways, whatever becomes of them, and what each was told.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::Instant;
use uuid::Uuid;

use crate::captures::{Capture, fixtures};
use crate::hostile::{self, Case, Sent};
use crate::load::pace;
use crate::wire::{Answer, Connection};

use super::fleet::Project;
use super::sample::Sample;
use super::visible::lane_of;

/// Connections to each gateway that flood it.
const FLOODING: usize = 10;

/// A request that got no answer for this long never will.
const ANSWER_LIMIT: Duration = Duration::from_secs(15);

/// Hostile requests at a time: some wait until the gateway gives up on them.
const HOSTILE_AT_ONCE: usize = 24;

/// Of so many requests one is hostile.
const HOSTILE_EVERY: u32 = 100;

/// Pause of a client whose gateway does not listen.
const UNHEARD_PAUSE: Duration = Duration::from_millis(20);

/// Recorded requests to each gateway, in a second.
const RECORDED_PER_SECOND: u32 = 8;

/// Of so many notices that their clients have named one is sent again through another gateway, whatever became of it; half of these with
/// other frames.
const AGAIN_EVERY: u32 = 5;

/// Notices of each quiet project to each gateway, in a second.
const QUIET_PER_SECOND: u32 = 3;

/// Who sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stream {
    /// One project with far more than all others.
    Flood,
    /// Projects with a notice now and then.
    Quiet,
    /// What real clients once sent.
    Recorded,
    /// What no honest client sends.
    Hostile,
}

/// What an id stands for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum What {
    /// A made up notice.
    Sample(Sample),
    /// A recorded one, by its number among the recorded requests ([`captures`]).
    Recorded(usize),
    /// A hostile one, by its name.
    Hostile(&'static str),
}

/// A notice that got a 2xx.
#[derive(Clone, Copy, Debug)]
pub struct Accepted {
    /// Its id; the one that its client gave it, if it did.
    pub id: Uuid,
    /// What it is.
    pub what: What,
    /// Whose it is.
    pub project_id: i64,
    /// The gateway that took it, from 0.
    pub gateway: usize,
    /// When the answer was read.
    pub at: Instant,
}

impl Accepted {
    /// The lane that it travels in, as its id says.
    pub fn lane(&self) -> Option<u16> {
        match self.what {
            What::Sample(sample) if sample.name().is_some() => None,
            _ => Some(lane_of(self.id)),
        }
    }
}

/// How many requests ended how.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Counts {
    /// Requests begun: at least a byte may have reached the gateway.
    pub sent: u64,
    /// Answered with 2xx.
    pub accepted: u64,
    /// Answered with anything else, by status.
    pub refused: BTreeMap<u16, u64>,
    /// The connection ended, or nobody answered in time: they may be stored or not.
    pub unanswered: u64,
    /// Nobody listened.
    pub unsent: u64,
}

/// What became of everything that was sent.
#[derive(Debug, Default)]
pub struct Ledger {
    /// By who sent it.
    pub counts: BTreeMap<Stream, Counts>,
    /// Everything with a 2xx.
    pub accepted: HashMap<Uuid, Accepted>,
    /// Answers that contradict each other or say nothing.
    pub faults: Vec<String>,
}

/// Senders that go on until they are stopped.
#[derive(Debug)]
pub struct Traffic {
    state: Arc<State>,
    senders: JoinSet<()>,
}

#[derive(Debug)]
struct State {
    stopping: AtomicBool,
    ledger: Mutex<Ledger>,
    captures: Arc<[Capture]>,
    /// What quiet projects were told, for whoever looks when it is seen.
    watched: mpsc::Sender<Accepted>,
}

/// Whom the traffic goes to and whose it is.
#[derive(Debug)]
pub struct Route<'a> {
    /// The gateways.
    pub gateways: Vec<SocketAddr>,
    /// The project that floods.
    pub flooding: &'a Project,
    /// Those that do not.
    pub quiet: &'a [Project],
    /// Notices of the flood, in a second.
    pub per_second: u32,
}

impl Traffic {
    /// Begins to send; each notice of a quiet project that was accepted also goes to `watched`.
    pub fn start(route: &Route<'_>, captures: Arc<[Capture]>, watched: mpsc::Sender<Accepted>) -> Traffic {
        let state = Arc::new(State { stopping: AtomicBool::new(false), ledger: Mutex::default(), captures, watched });
        let mut senders = JoinSet::new();
        let each = u32::try_from(route.gateways.len()).expect("a few gateways");
        let doors: Vec<Door> = route
            .gateways
            .iter()
            .enumerate()
            .map(|(gateway, address)| Door { state: Arc::clone(&state), gateway, address: *address })
            .collect();
        for (door, next) in doors.iter().zip(doors.iter().cycle().skip(1)) {
            let permits = Arc::new(Semaphore::new(0));
            senders.spawn(pace(door.state_stops(), Arc::clone(&permits), route.per_second / each));
            for _ in 0..FLOODING {
                senders.spawn(door.clone().flood(next.clone(), route.flooding.clone(), Arc::clone(&permits)));
            }
            for project in route.quiet {
                senders.spawn(door.clone().trickle(project.clone()));
            }
            senders.spawn(door.clone().replay());
            senders.spawn(door.clone().annoy((route.per_second / each / HOSTILE_EVERY).max(1)));
        }
        Traffic { state, senders }
    }

    /// Sends nothing more, waits for what is under way, and answers what became of it all.
    pub async fn stop(mut self) -> Ledger {
        self.state.stopping.store(true, Ordering::Relaxed);
        while let Some(ended) = self.senders.join_next().await {
            ended.expect("no sender panics");
        }
        std::mem::take(&mut self.state.ledger.lock().expect("no sender panics"))
    }
}

/// The recorded requests that carry an error and can be sent again and again: without an id that their client gave to it.
pub fn captures() -> Arc<[Capture]> {
    fixtures().into_iter().flatten().filter(|capture| capture.carries_error() && !capture.names_its_notice()).collect()
}

/// One gateway, as all clients see it.
#[derive(Clone, Debug)]
struct Door {
    state: Arc<State>,
    gateway: usize,
    address: SocketAddr,
}

impl Door {
    fn state_stops(&self) -> impl Fn() -> bool + Send + use<> {
        let state = Arc::clone(&self.state);
        move || state.stopping.load(Ordering::Relaxed)
    }

    fn is_stopping(&self) -> bool {
        self.state.stopping.load(Ordering::Relaxed)
    }

    /// Sends whenever there is a permit, and something again to the next gateway.
    async fn flood(self, next: Door, project: Project, permits: Arc<Semaphore>) {
        let (mut connection, mut next_connection) = (None, None);
        while let Ok(permit) = permits.acquire().await {
            permit.forget();
            let sample = Sample::random_of_all();
            self.send_sample(Stream::Flood, sample, &project, &mut connection).await;
            if sample.name().is_some() && rand::random_ratio(1, AGAIN_EVERY) {
                let again = if rand::random() { sample } else { sample.turned() };
                next.send_sample(Stream::Flood, again, &project, &mut next_connection).await;
            }
        }
    }

    /// Sends now and then.
    async fn trickle(self, project: Project) {
        let mut connection = None;
        while !self.is_stopping() {
            pause(QUIET_PER_SECOND).await;
            self.send_sample(Stream::Quiet, Sample::random(), &project, &mut connection).await;
        }
    }

    /// Sends what was recorded, again and again, each on a connection of its own.
    async fn replay(self) {
        let captures = Arc::clone(&self.state.captures);
        for number in (0..captures.len()).cycle() {
            if self.is_stopping() {
                return;
            }
            pause(RECORDED_PER_SECOND).await;
            let sent = tokio::time::timeout(ANSWER_LIMIT, captures[number].send(self.address)).await;
            self.note(Stream::Recorded, What::Recorded(number), 1, sent.unwrap_or_else(|late| Err(late.into())));
        }
    }

    /// Sends what is hostile, some at a time, each on a connection of its own.
    async fn annoy(self, per_second: u32) {
        let cases: Vec<Case> = hostile::cases();
        let mut running = JoinSet::new();
        for case in cases.into_iter().cycle() {
            if self.is_stopping() {
                break;
            }
            pause(per_second).await;
            while running.len() >= HOSTILE_AT_ONCE {
                running.join_next().await;
            }
            let Sent::Whole(request) = case.sent else { continue };
            let door = self.clone();
            running.spawn(async move {
                let sent = tokio::time::timeout(ANSWER_LIMIT, provoke(door.address, &request)).await;
                door.note(Stream::Hostile, What::Hostile(case.name), 1, sent.unwrap_or_else(|late| Err(late.into())));
            });
        }
        while running.join_next().await.is_some() {}
    }

    async fn send_sample(
        &self,
        stream: Stream,
        sample: Sample,
        project: &Project,
        connection: &mut Option<Connection>,
    ) {
        let mut open = match connection.take() {
            Some(open) => open,
            None => match tokio::time::timeout(ANSWER_LIMIT, Connection::open(self.address)).await {
                Ok(Ok(open)) => open,
                Ok(Err(_)) | Err(_) => {
                    self.count(stream, |counts| counts.unsent += 1);
                    // Trying again at once would only burn the processor that the gateway needs to start.
                    return tokio::time::sleep(UNHEARD_PAUSE).await;
                }
            },
        };
        let request = sample.request(project.id, &project.key);
        let sent = tokio::time::timeout(ANSWER_LIMIT, open.exchange(&request)).await;
        let sent = sent.unwrap_or_else(|late| Err(late.into()));
        if sent.as_ref().is_ok_and(|answer| answer.header("connection") != Some("close")) {
            *connection = Some(open);
        }
        self.note(stream, What::Sample(sample), project.id, sent);
    }

    /// Writes down what became of a request.
    fn note(&self, stream: Stream, what: What, project_id: i64, sent: std::io::Result<Answer>) {
        match sent {
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
                self.count(stream, |counts| counts.unsent += 1);
            }
            Err(_) => {
                self.count(stream, |counts| {
                    counts.sent += 1;
                    counts.unanswered += 1;
                });
            }
            Ok(answer) if !(200..300).contains(&answer.status) => self.count(stream, |counts| {
                counts.sent += 1;
                *counts.refused.entry(answer.status).or_default() += 1;
            }),
            Ok(answer) => {
                self.count(stream, |counts| {
                    counts.sent += 1;
                    counts.accepted += 1;
                });
                self.accept(stream, what, project_id, &answer);
            }
        }
    }

    fn accept(&self, stream: Stream, what: What, project_id: i64, answer: &Answer) {
        let at = Instant::now();
        let mut ledger = self.state.ledger.lock().expect("no sender panics");
        let named = match what {
            What::Sample(sample) => sample.name(),
            _ => None,
        };
        let Some(id) = named.or_else(|| answer.notice_id()) else {
            // A deploy of nobody, statistics: what is hostile need not be a notice.
            if stream != Stream::Hostile {
                ledger.faults.push(format!("a 2xx without an id: {}", answer.text()));
            }
            return;
        };
        let accepted = Accepted { id, what, project_id, gateway: self.gateway, at };
        if let Some(before) = ledger.accepted.insert(id, accepted)
            && !matches!((what, before.what), (What::Sample(now), What::Sample(before)) if named.is_some() && now.is_same(&before))
        {
            ledger.faults.push(format!("two answers name {id}: for {:?} and for {what:?}", before.what));
        }
        drop(ledger);
        if stream == Stream::Quiet {
            // Whoever watches has enough to do when there is no room.
            let _ = self.state.watched.try_send(accepted);
        }
    }

    fn count(&self, stream: Stream, change: impl FnOnce(&mut Counts)) {
        change(self.state.ledger.lock().expect("no sender panics").counts.entry(stream).or_default());
    }
}

/// Sends what may be refused before it was read: then there is an answer although not everything could be written.
async fn provoke(address: SocketAddr, request: &[u8]) -> std::io::Result<Answer> {
    let mut connection = Connection::open(address).await?;
    let _ = connection.write(request).await;
    connection.answer().await
}

/// Waits for the next of so many in a second; not in step with others.
async fn pause(per_second: u32) {
    let mean_ms = 1_000 / u64::from(per_second);
    tokio::time::sleep(Duration::from_millis(rand::random_range(mean_ms / 2..=mean_ms * 3 / 2))).await;
}
