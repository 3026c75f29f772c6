//! A steady stream of notices, and a ledger of what became of each.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::wire::{Answer, Connection};

/// Connections that send side by side.
const CONNECTIONS: usize = 32;

/// A request that got no answer for this long never will.
const ANSWER_LIMIT: Duration = Duration::from_secs(15);

/// The pacer hands out its permits this often.
const TICK: Duration = Duration::from_millis(10);

/// What became of everything that was sent.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// Requests begun: at least a byte may have reached the gateway.
    pub sent: u64,
    /// Ids that came with a 2xx.
    pub accepted: Vec<Uuid>,
    /// Answers that were not 2xx, by status.
    pub refused: BTreeMap<u16, u64>,
    /// Sent, but the connection ended without an answer: they may be stored or not.
    pub unanswered: u64,
    /// Not sent, because nobody listened.
    pub unsent: u64,
}

/// A stream that goes on until it is stopped.
#[derive(Debug)]
pub struct Load {
    state: Arc<State>,
    senders: JoinSet<()>,
}

#[derive(Debug, Default)]
struct State {
    stopping: AtomicBool,
    next: AtomicU64,
    ledger: Mutex<Ledger>,
}

impl Load {
    /// Begins to send `per_second` requests to `address`; `requests` makes the n-th.
    pub fn start(
        address: SocketAddr,
        per_second: u32,
        requests: impl Fn(u64) -> Vec<u8> + Send + Sync + 'static,
    ) -> Load {
        Load::over(CONNECTIONS, address, per_second, requests)
    }

    /// The same over so many connections.
    pub fn over(
        connections: usize,
        address: SocketAddr,
        per_second: u32,
        requests: impl Fn(u64) -> Vec<u8> + Send + Sync + 'static,
    ) -> Load {
        let requests = Arc::new(requests);
        let state = Arc::new(State::default());
        let permits = Arc::new(Semaphore::new(0));
        let mut senders = JoinSet::new();
        let stopping = state.clone();
        let is_stopping = move || stopping.stopping.load(Ordering::Relaxed);
        senders.spawn(pace(is_stopping, permits.clone(), per_second));
        for _ in 0..connections {
            let (state, permits, requests) = (state.clone(), permits.clone(), requests.clone());
            senders.spawn(async move {
                let mut connection = None;
                while let Ok(permit) = permits.acquire().await {
                    permit.forget();
                    let request = requests(state.next.fetch_add(1, Ordering::Relaxed));
                    send_one(&state, &mut connection, address, &request).await;
                }
            });
        }
        Load { state, senders }
    }

    /// How many got a 2xx so far.
    pub fn accepted_count(&self) -> usize {
        self.state.ledger.lock().expect("no sender panics").accepted.len()
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

/// Sends `count` requests as fast as the gateway takes them; `requests` makes the n-th.
pub async fn send_all(
    address: SocketAddr,
    count: u64,
    requests: impl Fn(u64) -> Vec<u8> + Send + Sync + 'static,
) -> Ledger {
    let requests = Arc::new(requests);
    let state = Arc::new(State::default());
    let mut senders = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let (state, requests) = (state.clone(), requests.clone());
        senders.spawn(async move {
            let mut connection = None;
            loop {
                let n = state.next.fetch_add(1, Ordering::Relaxed);
                if n >= count {
                    return;
                }
                send_one(&state, &mut connection, address, &requests(n)).await;
            }
        });
    }
    while let Some(ended) = senders.join_next().await {
        ended.expect("no sender panics");
    }
    std::mem::take(&mut state.ledger.lock().expect("no sender panics"))
}

/// Hands out permits at a steady rate; what could not be sent within a second is not made up for.
pub(crate) async fn pace(is_stopping: impl Fn() -> bool, permits: Arc<Semaphore>, per_second: u32) {
    let per_tick = f64::from(per_second) * TICK.as_secs_f64();
    let mut ticks = tokio::time::interval(TICK);
    let mut due = 0.0;
    while !is_stopping() {
        ticks.tick().await;
        due += per_tick;
        let whole = due as usize;
        due -= whole as f64;
        let room = (per_second as usize).saturating_sub(permits.available_permits());
        permits.add_permits(whole.min(room));
    }
    permits.close();
}

async fn send_one(state: &State, connection: &mut Option<Connection>, address: SocketAddr, request: &[u8]) {
    let mut open = match connection.take() {
        Some(open) => open,
        None => match Connection::open(address).await {
            Ok(open) => open,
            Err(_) => {
                state.ledger.lock().expect("no sender panics").unsent += 1;
                // Nobody listens: trying again at once would only burn the processor that the gateway needs to start.
                tokio::time::sleep(TICK).await;
                return;
            }
        },
    };
    let answer = tokio::time::timeout(ANSWER_LIMIT, open.exchange(request)).await;
    let mut ledger = state.ledger.lock().expect("no sender panics");
    ledger.sent += 1;
    match answer {
        Ok(Ok(answer)) => {
            ledger.note(&answer);
            if answer.header("connection") != Some("close") {
                *connection = Some(open);
            }
        }
        Ok(Err(_)) | Err(_) => ledger.unanswered += 1,
    }
}

impl Ledger {
    fn note(&mut self, answer: &Answer) {
        if (200..300).contains(&answer.status) {
            let id = answer.notice_id().unwrap_or_else(|| panic!("a 2xx names the notice: {}", answer.text()));
            self.accepted.push(id);
        } else {
            *self.refused.entry(answer.status).or_default() += 1;
        }
    }
}
