//! What a journal tells of itself.

use uuid::Uuid;

/// The state of a journal directory at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The journal that this process writes.
    pub journal: Uuid,
    /// Journals on the disk, with this one.
    pub journal_count: usize,
    /// Segment files on the disk.
    pub segment_count: usize,
    /// Bytes that these files take.
    pub disk_bytes: u64,
    /// Bytes of records that no watermark covers yet.
    pub unacked_bytes: u64,
    /// Un-acknowledged bytes at which appends are refused.
    pub bytes_max: u64,
    /// When the oldest un-acknowledged record was accepted: Unix microseconds.
    pub oldest_unacked_at_us: Option<i64>,
    /// Bytes that wait for the disk.
    pub waiting_bytes: u64,
    /// Places found since the start at which a file is damaged: each cost at least one record.
    pub corrupt_records: u64,
    /// Records made durable since the start.
    pub appended_records: u64,
    /// Groups of records made durable since the start, each with one fdatasync.
    pub synced_groups: u64,
    /// Whether appends are refused for want of room: the cap or the disk.
    pub is_full: bool,
}
