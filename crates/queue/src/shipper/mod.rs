//! The shipper: from the journal to Redis, again and again until the database has it.

use std::time::Duration;

use journal::Journal;
use tokio_util::sync::CancellationToken;

use crate::Queue;

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

/// What the shipper has done since it started, and what is on its way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShipperStatus {
    /// Whether the last exchange with Redis succeeded.
    pub is_connected: bool,
    /// Bytes on Redis that no watermark covers yet.
    pub outstanding_bytes: u64,
    /// Entries that Redis took.
    pub sent_entries: u64,
    /// Entries that Redis took although it had taken them before.
    pub resent_entries: u64,
    /// Probes that found everything still there.
    pub probes_found: u64,
    /// Probes that found entries missing.
    pub probes_missing: u64,
    /// Times that a lane was paused because Redis had no memory left.
    pub oom_pauses: u64,
    /// Times that Redis could not be reached or did not answer.
    pub connection_errors: u64,
    /// Watermarks that went down: the database lost commits, or was set back.
    pub watermarks_lowered: u64,
}

/// Sends what the journal has and Redis has not.
#[derive(Clone)]
pub struct Shipper {}

impl Shipper {
    /// A shipper for all journals of a directory.
    pub fn new(_journal: Journal, _queue: Queue, _options: ShipperOptions) -> Shipper {
        Shipper {}
    }

    /// Ships until told to stop, then finishes the pipelines in flight.
    pub async fn run(&self, _shutdown: CancellationToken) {
        unimplemented!()
    }

    /// Waits until everything in the directory was acknowledged; `run` must be running. Has no limit of its own.
    pub async fn drain(&self) {
        unimplemented!()
    }

    /// What was done so far.
    pub fn status(&self) -> ShipperStatus {
        unimplemented!()
    }
}
