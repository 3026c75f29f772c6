//! What a lane's task and whoever keeps its lease tell each other.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use store::batch::Claim;

/// One lane that is held.
#[derive(Debug)]
pub(crate) struct Standing {
    claim: Mutex<Claim>,
    has_retries: AtomicBool,
    is_set_back: AtomicBool,
}

impl Standing {
    pub(crate) fn new(claim: Claim) -> Self {
        Self { claim: Mutex::new(claim), has_retries: AtomicBool::new(false), is_set_back: AtomicBool::new(false) }
    }

    /// The lane is held with this claim now.
    pub(crate) fn holds(&self, claim: Claim) {
        *self.claim.lock().unwrap_or_else(PoisonError::into_inner) = claim;
    }

    /// What the lane is held with.
    pub(crate) fn claim(&self) -> Claim {
        *self.claim.lock().unwrap_or_else(PoisonError::into_inner)
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
