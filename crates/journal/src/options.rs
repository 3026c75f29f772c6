//! How a journal is set up.

use std::time::Duration;

/// The most lanes that a journal can have: an id has 12 bits for its lane.
pub const LANES_MAX: u16 = 4096;

/// How a journal is set up; [`Default`] is right for production.
#[derive(Clone, Debug)]
pub struct JournalOptions {
    /// Un-acknowledged bytes at which the journal is full; by default 8 GiB or a fifth of the free disk, whichever is less.
    pub bytes_max: Option<u64>,
    /// Size of a segment file.
    pub segment_bytes: u64,
    /// How long a segment is kept after everything in it was acknowledged, in case the database forgets.
    pub keep: Duration,
    /// Bytes of acknowledged segments above which the oldest go before their time.
    pub keep_bytes_max: u64,
    /// Age at which a segment is closed although it is not full.
    pub segment_age_max: Duration,
    /// Bytes that may wait for the disk before appends are refused.
    pub waiting_bytes_max: u64,
    /// How long the oldest waiting append may have waited before others are refused.
    pub waiting_max: Duration,
    /// Lanes are numbered from 0 to one below this.
    pub lane_count: u16,
}

impl Default for JournalOptions {
    fn default() -> JournalOptions {
        JournalOptions {
            bytes_max: None,
            segment_bytes: 64 * 1024 * 1024,
            keep: Duration::from_secs(600),
            keep_bytes_max: 1024 * 1024 * 1024,
            segment_age_max: Duration::from_secs(600),
            waiting_bytes_max: 64 * 1024 * 1024,
            waiting_max: Duration::from_secs(2),
            lane_count: 64,
        }
    }
}
