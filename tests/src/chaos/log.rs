//! What happened during a run, told while it happens and kept for the report.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::schedule::{Fault, Kind, Victim};

/// A fault that was injected, with the times that it really had.
#[derive(Clone, Debug)]
pub struct Event {
    /// What and whom.
    pub fault: Fault,
    /// From the beginning of the run.
    pub began_at: Duration,
    /// The same; `None` while it lasts.
    pub ended_at: Option<Duration>,
    /// What was special.
    pub note: String,
}

/// The log of a run.
#[derive(Debug)]
pub struct Log {
    began_at: Instant,
    events: Mutex<Vec<Event>>,
    failures: Mutex<Vec<String>>,
}

impl Log {
    /// Begins now.
    pub fn begin() -> Log {
        Log { began_at: Instant::now(), events: Mutex::default(), failures: Mutex::default() }
    }

    /// Since the beginning.
    pub fn now(&self) -> Duration {
        self.began_at.elapsed()
    }

    /// The moment so long after the beginning.
    pub fn moment(&self, at: Duration) -> Instant {
        self.began_at + at
    }

    /// A fault begins; the answer is its number, for its end.
    pub fn begins(&self, fault: Fault) -> usize {
        let began_at = self.now();
        println!("{:7.2} s  {}: {}{}", began_at.as_secs_f64(), fault.victim, fault.kind, how_much(&fault));
        let mut events = lock(&self.events);
        events.push(Event { fault, began_at, ended_at: None, note: String::new() });
        events.len() - 1
    }

    /// It is over.
    pub fn ends(&self, number: usize, note: String) {
        let ended_at = self.now();
        let event = &mut lock(&self.events)[number];
        let Fault { victim, kind, .. } = event.fault;
        let separator = if note.is_empty() { "" } else { ": " };
        println!("{:7.2} s  {victim}: no longer {kind}{separator}{note}", ended_at.as_secs_f64());
        event.ended_at = Some(ended_at);
        event.note = note;
    }

    /// Something does not hold.
    pub fn fails(&self, what: String) {
        println!("{:7.2} s  FAILS: {what}", self.now().as_secs_f64());
        lock(&self.failures).push(what);
    }

    /// Everything that was injected so far.
    pub fn events(&self) -> Vec<Event> {
        lock(&self.events).clone()
    }

    /// Everything that does not hold.
    pub fn failures(&self) -> Vec<String> {
        lock(&self.failures).clone()
    }
}

/// Whom an event holds up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Every notice, or those of some lanes: nobody can say which.
    Everything,
    /// Notices that came by this gateway.
    Gateway(usize),
    /// Nobody.
    Nothing,
}

impl Event {
    /// Whom it holds up.
    pub fn scope(&self) -> Scope {
        match (self.fault.victim, self.fault.kind) {
            (_, Kind::GatewayClockBack | Kind::WorkerClockBack) | (Victim::Lanes, _) => Scope::Nothing,
            (Victim::Gateway(gateway), _) => Scope::Gateway(gateway),
            (Victim::Worker(_) | Victim::Redis | Victim::Postgres, _) => Scope::Everything,
        }
    }
}

fn how_much(fault: &Fault) -> String {
    match fault.kind {
        Kind::SlowDisk => format!(", by {} ms", fault.amount.as_millis()),
        Kind::GatewayClockBack | Kind::WorkerClockBack => format!(", by {} s", fault.amount.as_secs()),
        _ => String::new(),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
