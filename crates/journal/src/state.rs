//! What appenders, readers and the writer share.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, oneshot};
use uuid::Uuid;

use crate::journal::DirLock;
use crate::volume::Volume;
use crate::{AppendError, JournalOptions};

/// How old the sums per project may be.
const SHARES_AGE_MAX: Duration = Duration::from_secs(1);

pub(crate) struct Shared {
    pub(crate) dir: PathBuf,
    /// Holds the lock for as long as anything of the journal is in use.
    pub(crate) dir_lock: DirLock,
    pub(crate) options: JournalOptions,
    pub(crate) bytes_max: u64,
    pub(crate) own: Uuid,
    pub(crate) state: Mutex<State>,
    pub(crate) waiting: Mutex<Waiting>,
    /// Tells the writer that something waits.
    pub(crate) wake_writer: Condvar,
    /// Tells readers that something was appended.
    pub(crate) appended: Notify,
    /// A copy of the sum in `state`, for appenders.
    pub(crate) unacked_bytes: AtomicU64,
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) volumes: BTreeMap<Uuid, Volume>,
    pub(crate) corrupt_records: u64,
    pub(crate) appended_records: u64,
    pub(crate) synced_groups: u64,
    shares: Option<(Instant, HashMap<u64, u64>)>,
}

/// What waits for the disk.
#[derive(Default)]
pub(crate) struct Waiting {
    pub(crate) appends: VecDeque<Append>,
    /// Of the appends that wait and of those being written.
    pub(crate) bytes: u64,
    /// Since when the oldest of those being written has waited.
    pub(crate) writing_since: Option<Instant>,
    /// The disk had no room for a segment; until then nobody asks again.
    pub(crate) no_room_until: Option<Instant>,
    pub(crate) is_closed: bool,
}

/// One append: frames and records, still without numbers.
pub(crate) struct Append {
    pub(crate) bytes: Vec<u8>,
    pub(crate) records: Vec<AppendedRecord>,
    pub(crate) since: Instant,
    pub(crate) answer: oneshot::Sender<Result<(), AppendError>>,
}

/// Where a record stands in the bytes of its append.
#[derive(Clone, Copy)]
pub(crate) struct AppendedRecord {
    pub(crate) lane: u16,
    pub(crate) project_id: u64,
    pub(crate) at: usize,
    pub(crate) bytes: usize,
}

impl Shared {
    /// A panic while holding a lock is a mistake of ours; what was written before it is still true.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Copies the sum of un-acknowledged bytes to where appenders see it.
    pub(crate) fn publish_unacked(&self, state: &State) {
        self.unacked_bytes.store(state.unacked_bytes(), Ordering::Release);
    }
}

impl State {
    pub(crate) fn unacked_bytes(&self) -> u64 {
        self.volumes.values().map(Volume::unacked_bytes).sum()
    }

    /// Bytes of this project that no watermark covers, at most a second ago.
    pub(crate) fn project_unacked_bytes(&mut self, project_id: u64) -> u64 {
        let is_fresh = self.shares.as_ref().is_some_and(|(at, _)| at.elapsed() < SHARES_AGE_MAX);
        if !is_fresh {
            let mut shares = HashMap::new();
            for volume in self.volumes.values() {
                for segment in volume.segments.values().filter(|segment| segment.acked_since.is_none()) {
                    segment.project_bytes(
                        |lane| volume.watermark(lane),
                        |project_id, bytes| *shares.entry(project_id).or_default() += bytes,
                    );
                }
            }
            self.shares = Some((Instant::now(), shares));
        }
        self.shares.as_ref().and_then(|(_, shares)| shares.get(&project_id)).copied().unwrap_or(0)
    }

    /// The sums per project are to be made anew.
    pub(crate) fn forget_shares(&mut self) {
        self.shares = None;
    }
}
