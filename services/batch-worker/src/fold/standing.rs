//! What a lane's task and whoever keeps its lease tell each other.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use store::batch::Claim;

/// How long a lane is its owner's after the database has said so.
const LEASE: Duration = Duration::from_secs(5);

/// One lane that is held.
#[derive(Debug)]
pub(crate) struct Standing {
    hold: Mutex<Hold>,
    has_retries: AtomicBool,
    is_set_back: AtomicBool,
}

/// What a lane is held with, and when the database was last asked whether it is.
#[derive(Debug)]
struct Hold {
    claim: Claim,
    confirmed_at: Instant,
}

impl Standing {
    pub(crate) fn new(claim: Claim, asked_at: Instant) -> Self {
        Self {
            hold: Mutex::new(Hold { claim, confirmed_at: asked_at }),
            has_retries: AtomicBool::new(false),
            is_set_back: AtomicBool::new(false),
        }
    }

    /// The lane is held with this claim: so said the database, which was asked then.
    pub(crate) fn holds(&self, claim: Claim, asked_at: Instant) {
        *self.hold() = Hold { claim, confirmed_at: asked_at };
    }

    /// The database, asked then, knows this token as the lane's newest.
    pub(crate) fn confirm(&self, token: i64, asked_at: Instant) {
        let mut hold = self.hold();
        if hold.claim.token == token {
            hold.confirmed_at = hold.confirmed_at.max(asked_at);
        }
    }

    /// What the lane is held with.
    pub(crate) fn claim(&self) -> Claim {
        self.hold().claim
    }

    /// Whether the lease cannot have run out: nobody else has been given the lane.
    pub(crate) fn has_lease(&self) -> bool {
        self.hold().confirmed_at.elapsed() < LEASE
    }

    fn hold(&self) -> MutexGuard<'_, Hold> {
        self.hold.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Dead records of the lane are to be tried again.
    pub(crate) fn tell_retries(&self) {
        self.has_retries.store(true, Ordering::Relaxed);
    }

    pub(crate) fn take_retries(&self) -> bool {
        self.has_retries.swap(false, Ordering::Relaxed)
    }

    /// The database lacks something that was committed: what is in memory does not hold.
    pub(crate) fn tell_set_back(&self) {
        self.is_set_back.store(true, Ordering::Relaxed);
    }

    pub(crate) fn take_set_back(&self) -> bool {
        self.is_set_back.swap(false, Ordering::Relaxed)
    }
}
