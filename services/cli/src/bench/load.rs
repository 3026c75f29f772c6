//! The load: connections that send, on threads of their own.
//!
//! Everything of one thread stays in it: a connection costs one task, a request two system calls and no lock that
//! anybody waits for.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context as _;
use rand::rngs::SmallRng;
use rand::{Rng, RngExt as _, SeedableRng as _};
use tokio::task::LocalSet;
use uuid::Uuid;

use super::body::KeepAlive;
use super::mix::Mix;
use super::pace::Schedule;
use super::plan::{Pace, Plan, Sample, Until};
use super::tally::{Tally, record};
use super::template::Fresh;
use super::wire::{Answer, Connection};

/// A request that got no answer for this long gets none.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// After a connection that could not be made.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(20);
/// How often a load that is held looks whether it may go on.
const HELD_POLL: Duration = Duration::from_millis(10);
/// Users that meet errors.
const USERS: u64 = 1_000_000;
/// Values of the parameter.
const PARAMETERS: u64 = 100_000_000;

/// A load that runs.
pub(crate) struct Load {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<anyhow::Result<()>>>,
}

/// What the threads share with whoever watches them.
struct Shared {
    tallies: Vec<Mutex<Tally>>,
    begun: AtomicU64,
    is_held: AtomicBool,
    is_stopped: AtomicBool,
}

impl Load {
    /// Begins to send.
    pub(crate) fn start(plan: &Plan) -> Load {
        let thread_count = plan.threads.clamp(1, plan.connections.max(1));
        let shared = Arc::new(Shared {
            tallies: (0..thread_count).map(|_| Mutex::default()).collect(),
            begun: AtomicU64::new(0),
            is_held: AtomicBool::new(false),
            is_stopped: AtomicBool::new(false),
        });
        let began = Instant::now();
        let threads = (0..thread_count).map(|place| {
            // The connections are dealt out; the last threads may have one less.
            let connections = (plan.connections + thread_count - 1 - place) / thread_count;
            let (plan, shared) = (plan.clone(), Arc::clone(&shared));
            std::thread::spawn(move || Thread { plan, shared, place, connections, began }.run())
        });
        Load { threads: threads.collect(), shared }
    }

    /// What was counted so far, without times.
    pub(crate) fn counts(&self) -> Tally {
        let mut sum = Tally::default();
        for tally in &self.shared.tallies {
            sum.add_counts(&tally.lock().expect("no sender panics"));
        }
        sum
    }

    /// Sends nothing new for a while, or goes on.
    pub(crate) fn hold(&self, is_held: bool) {
        self.shared.is_held.store(is_held, Ordering::Relaxed);
    }

    /// Sends nothing new any more.
    pub(crate) fn stop(&self) {
        self.shared.is_stopped.store(true, Ordering::Relaxed);
    }

    /// Whether everything was sent and answered.
    pub(crate) fn is_done(&self) -> bool {
        self.threads.iter().all(JoinHandle::is_finished)
    }

    /// Waits for the last answer; what became of everything.
    pub(crate) async fn finish(self) -> anyhow::Result<Tally> {
        let Load { shared, threads } = self;
        let joining = move || -> anyhow::Result<()> {
            threads.into_iter().try_for_each(|thread| thread.join().expect("no sender panics"))
        };
        tokio::task::spawn_blocking(joining).await.context("waiting for the senders")??;
        let mut sum = Tally::default();
        for tally in &shared.tallies {
            sum.add(&tally.lock().expect("no sender panics"));
        }
        Ok(sum)
    }
}

/// One thread of a load.
struct Thread {
    plan: Plan,
    shared: Arc<Shared>,
    place: usize,
    connections: usize,
    began: Instant,
}

impl Thread {
    fn run(self) -> anyhow::Result<()> {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().context("starting a sender")?;
        let lines = LocalSet::new();
        lines.block_on(&runtime, self.send())
    }

    async fn send(self) -> anyhow::Result<()> {
        let Thread { plan, shared, place, connections, began } = self;
        let thread_count = shared.tallies.len();
        let pace = plan.pace;
        let sender = Rc::new(Sender::new(plan, Arc::clone(&shared), place, began));
        let mut lines = tokio::task::JoinSet::new();
        match pace {
            Pace::Closed => {
                for _ in 0..connections {
                    lines.spawn_local(Line::new(Rc::clone(&sender)).send_closed());
                }
            }
            Pace::Open { per_second } => {
                // The threads take turns, so that all of them together keep equal distances.
                let offset = Duration::from_secs_f64(place as f64 / per_second);
                let until = sender.until.unwrap_or(began + Duration::from_secs(365 * 86_400));
                let schedule = Rc::new(Schedule::new(per_second / thread_count as f64, began + offset, until));
                for _ in 0..connections {
                    lines.spawn_local(Line::new(Rc::clone(&sender)).send_open(Rc::clone(&schedule)));
                }
                schedule.keep().await.context("keeping the pace")?;
                if sender.until.is_some() {
                    sender.tally().unsent = schedule.untaken();
                }
            }
        }
        while let Some(ended) = lines.join_next().await {
            ended.context("a sender ended badly")?;
        }
        Ok(())
    }
}

/// What the connections of a thread share.
struct Sender {
    plan: Plan,
    shared: Arc<Shared>,
    place: usize,
    measured_from: Instant,
    until: Option<Instant>,
    random: RefCell<SmallRng>,
    next_sample_at: Cell<Instant>,
}

impl Sender {
    fn new(plan: Plan, shared: Arc<Shared>, place: usize, began: Instant) -> Sender {
        let until = match plan.until {
            Until::Duration(duration) => Some(began + plan.warm_up + duration),
            Until::Count(_) => None,
        };
        Sender {
            measured_from: began + plan.warm_up,
            until,
            random: RefCell::new(SmallRng::seed_from_u64(rand::random())),
            next_sample_at: Cell::new(began + plan.warm_up),
            plan,
            shared,
            place,
        }
    }

    fn tally(&self) -> std::sync::MutexGuard<'_, Tally> {
        self.shared.tallies[self.place].lock().expect("no sender panics")
    }

    /// Whether one more request may be begun.
    fn goes_on(&self) -> bool {
        if self.shared.is_stopped.load(Ordering::Relaxed) || self.until.is_some_and(|until| Instant::now() >= until) {
            return false;
        }
        match self.plan.until {
            Until::Duration(_) => true,
            Until::Count(count) => self.shared.begun.fetch_add(1, Ordering::Relaxed) < count,
        }
    }

    fn fresh(&self) -> Fresh {
        let mix = self.plan.mix.as_ref();
        mix.map(|mix| fresh(mix, &mut *self.random.borrow_mut())).unwrap_or_default()
    }

    /// Notes an answer to a request that was due at `due`.
    fn note(&self, answer: &Answer<'_>, due: Instant) {
        let now = Instant::now();
        let mut tally = self.tally();
        tally.sent += 1;
        if answer.is_good() {
            tally.accepted += 1;
        } else {
            *tally.refused.entry(answer.status).or_default() += 1;
        }
        if due >= self.measured_from && self.until.is_none_or(|until| now <= until) {
            tally.accepted_measured += u64::from(answer.is_good());
            record(&mut tally.latency, now - due);
        }
        drop(tally);
        self.sample(answer, due, now);
    }

    fn sample(&self, answer: &Answer<'_>, due: Instant, now: Instant) {
        let Some(samples) = &self.plan.samples else { return };
        if now >= self.next_sample_at.get()
            && answer.is_good()
            && let Some(id) = notice_id(answer.body)
        {
            self.next_sample_at.set(now + samples.every);
            // Whoever looks after them is behind: then this one is not looked after, which is told.
            if samples.into.try_send(Sample { id, sent_at: due }).is_err() {
                samples.omitted.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

/// What makes the next notice another than the ones before it.
pub(crate) fn fresh(mix: &Mix, random: &mut impl Rng) -> Fresh {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Fresh {
        group: mix.draw(random),
        request_id: random.random(),
        user: random.random_range(0..USERS),
        parameter: random.random_range(0..PARAMETERS),
        time_ms: now.as_millis() as u64,
    }
}

/// One connection of a load.
struct Line {
    sender: Rc<Sender>,
    request: Vec<u8>,
    connection: Option<Connection>,
}

impl Line {
    fn new(sender: Rc<Sender>) -> Line {
        Line { request: sender.plan.request.to_bytes(), sender, connection: None }
    }

    async fn send_closed(mut self) {
        while self.sender.goes_on() {
            while self.sender.shared.is_held.load(Ordering::Relaxed)
                && !self.sender.shared.is_stopped.load(Ordering::Relaxed)
            {
                tokio::time::sleep(HELD_POLL).await;
            }
            self.send(Instant::now()).await;
        }
    }

    async fn send_open(mut self, schedule: Rc<Schedule>) {
        while let Some(due) = schedule.next().await {
            if !self.sender.goes_on() {
                return schedule.stop();
            }
            self.send(due).await;
        }
    }

    async fn send(&mut self, due: Instant) {
        let plan = &self.sender.plan;
        let mut connection = match self.connection.take() {
            Some(open) => open,
            None => match tokio::time::timeout(ANSWER_WITHIN, Connection::open(&plan.target)).await {
                Ok(Ok(open)) => open,
                Ok(Err(_)) | Err(_) => {
                    self.sender.tally().unreachable += 1;
                    tokio::time::sleep(PAUSE_AFTER_ERROR).await;
                    return;
                }
            },
        };
        plan.request.fill(&mut self.request, &self.sender.fresh());
        match tokio::time::timeout(ANSWER_WITHIN, connection.exchange(&self.request)).await {
            Ok(Ok(answer)) => {
                self.sender.note(&answer, due);
                if !answer.is_last && plan.keep_alive == KeepAlive::On {
                    self.connection = Some(connection);
                }
            }
            Ok(Err(_)) => {
                let mut tally = self.sender.tally();
                tally.sent += 1;
                tally.broken += 1;
            }
            Err(_) => {
                let mut tally = self.sender.tally();
                tally.sent += 1;
                tally.timed_out += 1;
            }
        }
    }
}

/// The id in an answer to a notice: the first thing in it that looks like one.
fn notice_id(body: &[u8]) -> Option<Uuid> {
    const LENGTH: usize = uuid::fmt::Hyphenated::LENGTH;
    const FIRST_DASH: usize = 8;
    let dashes = body.iter().enumerate().filter(|(_, byte)| **byte == b'-').map(|(at, _)| at);
    dashes
        .filter_map(|at| body.get(at.checked_sub(FIRST_DASH)?..)?.get(..LENGTH))
        .find_map(|text| Uuid::try_parse_ascii(text).ok())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::super::body::KeepAlive;
    use super::super::tally::Times;
    use super::super::target::{ReachArgs, Target};
    use super::super::template::Template;
    use super::*;

    /// A server that answers everything at once, but for one pause of `stall` after `before_stall` requests.
    async fn server(before_stall: usize, stall: Duration) -> Target {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let (mut connection, _) = listener.accept().await.unwrap();
            let mut read = [0; 4_096];
            for request in 0.. {
                if connection.read(&mut read).await.unwrap_or(0) == 0 {
                    return;
                }
                if request == before_stall {
                    tokio::time::sleep(stall).await;
                }
                connection.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.unwrap();
            }
        });
        ReachArgs::default().find(&url).await.unwrap()
    }

    fn plan(target: Target, pace: Pace, until: Until) -> Plan {
        Plan {
            target,
            request: Template::parse("GET / HTTP/1.1\r\n\r\n"),
            mix: None,
            pace,
            connections: 1,
            threads: 1,
            keep_alive: KeepAlive::On,
            warm_up: Duration::ZERO,
            until,
            samples: None,
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_server_that_stalls_cannot_hide_the_requests_that_had_to_wait() {
        let stall = Duration::from_millis(400);
        let until = Until::Duration(Duration::from_secs(1));
        let open = plan(server(100, stall).await, Pace::Open { per_second: 500.0 }, until);
        let tally = Load::start(&open).finish().await.unwrap();
        let times = Times::of(&tally.latency);
        assert!(tally.accepted + tally.unsent >= 499, "every request is accounted for: {tally:?}");
        // Of 500 requests 200 fell due during the stall, the first of them 400 ms before its end.
        assert!(times.p90_ms > 150.0 && times.max_ms >= 390.0, "{times:?}");

        let closed = plan(server(100, stall).await, Pace::Closed, until);
        let times = Times::of(&Load::start(&closed).finish().await.unwrap().latency);
        assert!(times.p90_ms < 150.0, "whoever waits for the answer meets the stall once: {times:?}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn as_many_are_sent_as_were_asked_for() {
        let counted = plan(server(usize::MAX, Duration::ZERO).await, Pace::Closed, Until::Count(123));
        let tally = Load::start(&counted).finish().await.unwrap();
        assert_eq!((tally.sent, tally.accepted, tally.failed()), (123, 123, 0));
        assert_eq!(tally.latency.len(), 123);
    }

    #[test]
    fn the_id_is_found_in_every_answer() {
        let id = "018f2f6e-7d11-7abc-8def-0123456789ab";
        let xml = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<notice><error-id type=\"integer\">{id}</error-id></notice>"
        );
        let json = format!("{{\"id\":\"{id}\",\"url\":\"http://a-b.example/locate/{id}\"}}");
        for body in [xml, json] {
            assert_eq!(notice_id(body.as_bytes()).unwrap().to_string(), id);
        }
        assert_eq!(notice_id(b"-no-id-is-here-at-all-"), None);
    }
}
