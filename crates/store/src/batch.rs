//! What one batch of one lane brings to the database.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use notice::{FrameNames, NoticeId, UserSketch};
use uuid::Uuid;

use crate::attachment;
use crate::chunk;
use crate::client_ids::{ClientIdEntry, KnownTo, StoredRun};

/// A lane that is held, and what proves it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// Which lane.
    pub lane: u16,
    /// Which generation of the map of lanes it is of.
    pub epoch: i32,
    /// Raised by every claim: only the holder of the newest commits.
    pub token: i64,
    /// Records of the lane that are accounted for. A database that has fewer was set back, or is another one.
    pub accounted: i64,
}

impl Claim {
    /// Whether the database, where this is what it says of a lane, lacks something of what was known before.
    pub fn is_behind(&self, before: &Claim) -> bool {
        (self.token, self.accounted) < (before.token, before.accounted)
    }
}

/// Everything that one transaction writes for a lane.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// Notices, folded to one per fingerprint.
    pub groups: Vec<FingerprintBatch>,
    /// Deploys.
    pub deploys: Vec<DeployRow>,
    /// What was refused, or lost in clients; how many records told of it.
    pub ledger: Vec<LedgerRow>,
    /// How many records the ledger rows came from.
    pub ledger_records: u64,
    /// Statistics.
    pub stats: Vec<StatsRow>,
    /// Parts of attachments, and what tells their end.
    pub attachments: Vec<AttachmentRow>,
    /// The ids that clients gave to the notices, by project.
    pub client_ids: BTreeMap<i64, ClientIdRun>,
    /// How many records brought what is stored already.
    pub repeat_records: u64,
    /// Records that could not become what they were sent as.
    pub dead: Vec<DeadRow>,
    /// What gateways declared gone.
    pub gone: Vec<GoneRow>,
    /// The accounted sets, as they are with this batch.
    pub cursors: Vec<CursorRow>,
    /// Dead records that were tried again and are good now: their rows go.
    pub revived: Vec<(Uuid, u64)>,
    /// Greatest accepted_at of the batch's records.
    pub newest_at_us: Option<i64>,
}

/// The notices of one fingerprint in one batch.
#[derive(Debug, Clone)]
pub struct FingerprintBatch {
    /// The project.
    pub project_id: i64,
    /// Who they are.
    pub identity: Arc<Identity>,
    /// How many.
    pub notice_count: u64,
    /// accepted_at of the oldest.
    pub first_at_us: i64,
    /// accepted_at of the newest.
    pub last_at_us: i64,
    /// Id of the newest.
    pub newest_id: NoticeId,
    /// Notices per minute, by the minute's Unix seconds.
    pub minutes: BTreeMap<i64, u64>,
    /// Values of facets by (key, value).
    pub facets: BTreeMap<(String, String), FacetCount>,
    /// Who was affected.
    pub users: UserSketch,
    /// The hash of each of them.
    pub user_hashes: BTreeSet<u64>,
    /// All bodies.
    pub chunks: Vec<chunk::Encoded>,
}

/// How often a value of a facet was seen, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FacetCount {
    /// How often.
    pub notice_count: u64,
    /// First sight.
    pub first_at_us: i64,
    /// Last sight.
    pub last_at_us: i64,
}

impl FacetCount {
    /// Adds what was counted elsewhere.
    pub fn add(&mut self, other: &FacetCount) {
        self.notice_count += other.notice_count;
        self.first_at_us = self.first_at_us.min(other.first_at_us);
        self.last_at_us = self.last_at_us.max(other.last_at_us);
    }
}

/// What grouping made of a notice: the fingerprint, and the texts that a new group begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The fingerprint.
    pub fingerprint: [u8; 16],
    /// Version of the rules that made it.
    pub version: u8,
    /// Why these notices are one group: JSON, `[{"name", "value"}]`.
    pub parts_json: String,
    /// Class of the outermost error.
    pub class: String,
    /// Its message.
    pub message: String,
    /// Where it happened.
    pub culprit: String,
    /// What a search finds the group by.
    pub words: String,
    /// Files and functions that a search finds it by.
    pub frame_names: FrameNames,
}

/// The clients' ids of the notices of one project in one batch.
#[derive(Debug, Clone)]
pub struct ClientIdRun {
    /// Up to where it was known what is stored of the project, when these were found to be new.
    pub known_to: KnownTo,
    /// Each with its place.
    pub entries: Vec<ClientIdEntry>,
    /// Greatest accepted_at of these notices.
    pub last_at_us: i64,
}

/// A deploy.
#[derive(Debug, Clone)]
pub struct DeployRow {
    /// The project.
    pub project_id: i64,
    /// The record's id.
    pub id: Uuid,
    /// When it was accepted.
    pub at_us: i64,
    /// What was deployed, where and by whom.
    pub deploy: notice::Deploy,
}

/// Notices of a project that never came in.
#[derive(Debug, Clone)]
pub struct LedgerRow {
    /// The project.
    pub project_id: i64,
    /// When the gateway told.
    pub at_us: i64,
    /// `refused`, `lost_in_client` or `not_kept`.
    pub ending: &'static str,
    /// Why.
    pub reason: String,
    /// How many.
    pub count: u64,
}

/// Statistics as a client sent them.
#[derive(Debug, Clone)]
pub struct StatsRow {
    /// The project.
    pub project_id: i64,
    /// The record's id.
    pub id: Uuid,
    /// When they were accepted.
    pub at_us: i64,
    /// `routes-stats` and the like.
    pub kind: String,
    /// The JSON, compressed with zstd.
    pub body: Vec<u8>,
}

/// What one record brings of an attachment.
#[derive(Debug, Clone)]
pub struct AttachmentRow {
    /// The project.
    pub project_id: i64,
    /// All records of one upload have its id.
    pub upload: Uuid,
    /// When the upload began.
    pub at_us: i64,
    /// Bytes of the file, if there are any in it.
    pub part: Option<AttachmentPartRow>,
    /// What becomes of the upload, in its last record.
    pub end: Option<UploadEnd>,
}

/// A part of an attachment.
#[derive(Debug, Clone)]
pub struct AttachmentPartRow {
    /// 0, 1, 2, …
    pub part: i32,
    /// The bytes, packed.
    pub packed: attachment::Packed,
}

/// How an upload ended.
#[derive(Debug, Clone)]
pub enum UploadEnd {
    /// All of it is on its way, and this is what it is.
    Whole(Box<AttachmentHead>),
    /// It was broken off, or is not wanted: what came of it goes.
    GivenUp,
}

/// What an attachment is.
#[derive(Debug, Clone)]
pub struct AttachmentHead {
    /// Made of the project and all that follows.
    pub id: Uuid,
    /// The id of its event, as the client gave it.
    pub client_id: String,
    /// The file's name.
    pub name: String,
    /// Its media type.
    pub content_type: String,
    /// `event.attachment`, `event.minidump` and the like.
    pub attachment_type: String,
    /// How long it is.
    pub byte_length: i64,
    /// How many parts it has.
    pub part_count: i32,
    /// SHA-256 of all of it.
    pub sha256: Vec<u8>,
}

/// A record that is kept as it came.
#[derive(Debug, Clone)]
pub struct DeadRow {
    /// Its journal.
    pub journal: Uuid,
    /// Its number in the journal's lane.
    pub seq: u64,
    /// The project, 0 when not even that can be read.
    pub project_id: i64,
    /// The record's id, nil when not even that can be read.
    pub id: Uuid,
    /// The record's kind.
    pub kind: u8,
    /// Why, from a fixed set.
    pub reason: &'static str,
    /// Why, in words.
    pub detail: String,
    /// The whole record.
    pub raw: Vec<u8>,
}

/// Records that a gateway says it has no longer and that never arrived.
#[derive(Debug, Clone)]
pub struct GoneRow {
    /// Their journal.
    pub journal: Uuid,
    /// Everything below this number is gone.
    pub base: u64,
    /// How many of these had not been accounted for.
    pub record_count: u64,
}

/// The accounted set of one journal in the batch's lane.
#[derive(Debug, Clone)]
pub struct CursorRow {
    /// The journal.
    pub journal: Uuid,
    /// The set.
    pub accounted: notice::Accounted,
    /// The newest record of the journal in this lane, as its gateway last said.
    pub head_seq: u64,
    /// accepted_at of its oldest record not yet acknowledged, as its gateway last said.
    pub oldest_unacked_at_us: Option<i64>,
}

/// What a transaction did, for logs and metrics.
#[derive(Debug, Clone, Default)]
pub struct Written {
    /// Records of the lane that are accounted for now.
    pub accounted: i64,
    /// Notices.
    pub notice_count: u64,
    /// Groups that are new.
    pub fresh_group_count: u64,
    /// Resolved groups whose error came back.
    pub reopened_group_count: u64,
    /// Which clients' ids are stored now that were not known before, with those of this batch.
    pub client_ids: Vec<StoredRun>,
}
