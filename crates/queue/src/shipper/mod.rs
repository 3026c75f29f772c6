//! The shipper: from the journal to Redis, again and again until the database has it.

mod flow;
mod lane;
mod pending;
mod pipeline;
mod rounds;
mod status;
mod wire;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use journal::Journal;
use tokio::task::JoinError;
use tokio_util::sync::CancellationToken;

use self::rounds::{Done, Rounds};
pub use self::status::ShipperStatus;
use crate::Queue;

/// How long pipelines in flight are waited for at the end.
const LAST_WAIT: Duration = Duration::from_secs(1);

/// How much may be on its way at once.
#[derive(Clone, Debug)]
pub struct ShipperOptions {
    /// Un-acknowledged bytes on Redis per lane.
    pub window_lane_bytes: u64,
    /// Un-acknowledged bytes on Redis in all: what this gateway can take of its memory.
    pub window_bytes: u64,
    /// Records of one pipeline.
    pub pipeline_records: usize,
    /// Bytes of one pipeline.
    pub pipeline_bytes: usize,
    /// How often watermarks are read while something is on its way.
    pub watermarks_every: Duration,
    /// How long a watermark may stand still before it is looked at whether Redis still has the entries.
    pub stall_max: Duration,
}

impl Default for ShipperOptions {
    fn default() -> ShipperOptions {
        ShipperOptions {
            window_lane_bytes: 8 * 1024 * 1024,
            window_bytes: 256 * 1024 * 1024,
            pipeline_records: 500,
            pipeline_bytes: 1024 * 1024,
            watermarks_every: Duration::from_millis(200),
            stall_max: Duration::from_secs(5),
        }
    }
}

/// Sends what the journal has and Redis has not, until a watermark covers it.
#[derive(Clone)]
pub struct Shipper {
    journal: Journal,
    queue: Queue,
    options: ShipperOptions,
    status: Arc<Mutex<ShipperStatus>>,
}

impl Shipper {
    /// A shipper for all journals of a directory. There must be only one.
    pub fn new(journal: Journal, queue: Queue, options: ShipperOptions) -> Shipper {
        Shipper { journal, queue, options, status: Arc::default() }
    }

    /// Ships until told to stop, then waits a moment for the pipelines in flight. What stays behind is sent by the next process.
    pub async fn run(&self, shutdown: CancellationToken) {
        status::describe();
        let mut rounds = Rounds::new(self);
        loop {
            rounds.tick();
            rounds.start_pipelines();
            *self.lock_status() = rounds.status();
            let next_tick = rounds.next_tick();
            tokio::select! {
                () = shutdown.cancelled() => break,
                Some(done) = rounds.tasks.join_next() => rounds.finish(expect(done)),
                () = self.journal.appended() => rounds.look_at_own(),
                () = tokio::time::sleep_until(next_tick.into()) => {}
            }
        }
        let last = async {
            while let Some(done) = rounds.tasks.join_next().await {
                rounds.finish(expect(done));
            }
        };
        // Giving up costs nothing but sending them again.
        let _ = tokio::time::timeout(LAST_WAIT, last).await;
        *self.lock_status() = rounds.status();
    }

    /// Waits until everything in the directory was acknowledged; `run` must be running. Has no limit of its own.
    pub async fn drain(&self) {
        while self.journal.unacked_bytes() > 0 {
            tokio::time::sleep(self.options.watermarks_every / 4).await;
        }
    }

    /// What was done so far.
    pub fn status(&self) -> ShipperStatus {
        self.lock_status().clone()
    }

    fn lock_status(&self) -> MutexGuard<'_, ShipperStatus> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A task that panicked is a mistake of ours, and what it held is lost: better to end than to leave a lane behind.
fn expect(done: Result<Done, JoinError>) -> Done {
    done.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}
