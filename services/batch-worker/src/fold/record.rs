//! From an entry to what it says: a notice, a deploy, … or the reason why it cannot be read.

use std::panic::{AssertUnwindSafe, catch_unwind};

use journal::{BODY_BYTES_MAX, Kind, Record};
use notice::prost::Message as _;
use notice::{
    Accepted, AttachmentPart, Deploy, FoldKey, Ledger, LedgerLine, NoticeFacts, NoticeId, Stats, ledger_line,
};
use queue::body::Dictionaries;
use queue::{Malformed, Shipped};
use store::attachment;
use store::batch::{
    AttachmentHead, AttachmentPartRow, AttachmentRow, DeadRow, DeployRow, LedgerRow, StatsRow, UploadEnd,
};
use store::writer::{DeadRecord, ProjectRules};
use uuid::Uuid;

/// Level of compression of statistics: they are kept, and hardly read.
const STATS_LEVEL: i32 = 3;

/// What a record says.
#[derive(Debug)]
pub(crate) enum Read {
    Notice(Box<Accepted>),
    Deploy(DeployRow),
    Ledger(Vec<LedgerRow>),
    Stats(StatsRow),
    Attachment(AttachmentRow),
    Dead(DeadRow),
}

/// Why a record is dead. The texts are labels of metrics and values in the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Death {
    /// The entry lacks what every entry has.
    Malformed,
    /// The record is damaged or of a layout that is not known.
    Damaged,
    /// The record belongs to another lane or number than its entry says.
    Misplaced,
    /// A kind that this version does not know.
    UnknownKind,
    /// Its body cannot be unpacked or decoded.
    Undecodable,
    /// Decoding it panicked.
    Panicked,
    /// There is no such project.
    UnknownProject,
    /// The database refuses what it says.
    Refused,
    /// Workers died with it in hand; nobody looks into it any more.
    Deadly,
}

impl Death {
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Death::Malformed => "malformed_entry",
            Death::Damaged => "damaged_record",
            Death::Misplaced => "misplaced_record",
            Death::UnknownKind => "unknown_kind",
            Death::Undecodable => "undecodable_body",
            Death::Panicked => "panicked",
            Death::UnknownProject => "unknown_project",
            Death::Refused => "refused_by_database",
            Death::Deadly => "deadly",
        }
    }
}

/// Reads a record. Whatever is in it, this answers: a bad one never holds up a good one.
pub(crate) fn read(shipped: &Shipped, lane: u16, rules: &ProjectRules, dictionaries: &Dictionaries) -> Read {
    let record = match Record::decode(&shipped.record) {
        Ok(record) => record,
        Err(error) => return Read::Dead(bury(shipped, None, Death::Damaged, error.to_string())),
    };
    if record.lane != lane || record.seq != shipped.seq {
        let detail = format!("record {} of lane {} came as {} in lane {lane}", record.seq, record.lane, shipped.seq);
        return Read::Dead(bury(shipped, Some(&record), Death::Misplaced, detail));
    }
    let told = catch_unwind(AssertUnwindSafe(|| decode(&record, rules, dictionaries)));
    match told {
        Ok(Ok(read)) => read,
        Ok(Err((death, detail))) => Read::Dead(bury(shipped, Some(&record), death, detail)),
        Err(panic) => Read::Dead(bury(shipped, Some(&record), Death::Panicked, panic_text(panic.as_ref()))),
    }
}

fn project_id(record: &Record) -> i64 {
    i64::try_from(record.project_id).unwrap_or(0)
}

fn decode(record: &Record, rules: &ProjectRules, dictionaries: &Dictionaries) -> Result<Read, (Death, String)> {
    let kind = Kind::from_u8(record.kind).ok_or_else(|| unknown(record.kind))?;
    let project_id = project_id(record);
    if !rules.contains_key(&project_id) {
        return Err((Death::UnknownProject, format!("there is no project {}", record.project_id)));
    }
    let undecodable = |error: &dyn std::error::Error| (Death::Undecodable, error.to_string());
    let body = dictionaries
        .decompress(record.codec, &record.body, BODY_BYTES_MAX)
        .map_err(|error| (Death::Undecodable, service::causes(&error)))?;
    let at_us = record.accepted_at_us;
    Ok(match kind {
        Kind::Notice => Read::Notice(Box::new(Accepted {
            project_id,
            fold_key: FoldKey(record.fold_key),
            id: NoticeId::from_bytes(record.id),
            accepted_at_us: at_us,
            facts: NoticeFacts::decode(body.as_slice()).map_err(|error| undecodable(&error))?,
            body,
        })),
        Kind::Deploy => {
            let deploy = Deploy::decode(body.as_slice()).map_err(|error| undecodable(&error))?;
            Read::Deploy(DeployRow { project_id, id: record.uuid(), at_us, deploy })
        }
        Kind::Ledger => {
            let ledger = Ledger::decode(body.as_slice()).map_err(|error| undecodable(&error))?;
            Read::Ledger(ledger.lines.into_iter().map(|line| ledger_row(project_id, at_us, line)).collect())
        }
        Kind::Stats => {
            let stats = Stats::decode(body.as_slice()).map_err(|error| undecodable(&error))?;
            let body = zstd::bulk::compress(stats.json.as_bytes(), STATS_LEVEL)
                .map_err(|error| (Death::Undecodable, error.to_string()))?;
            Read::Stats(StatsRow { project_id, id: record.uuid(), at_us, kind: stats.kind, body })
        }
        Kind::AttachmentPart => {
            let part = AttachmentPart::decode(body.as_slice()).map_err(|error| undecodable(&error))?;
            Read::Attachment(attachment_row(record, project_id, part).map_err(|told| (Death::Undecodable, told))?)
        }
        Kind::Request | Kind::Session | Kind::CheckIn => return Err(unknown(record.kind)),
    })
}

/// Which part of which upload it is. An error is what is wrong with it.
fn attachment_row(record: &Record, project_id: i64, part: AttachmentPart) -> Result<AttachmentRow, String> {
    let number = |number: u32| i32::try_from(number).map_err(|_| format!("no upload has {number} parts"));
    let end = match part.end {
        _ if part.given_up => Some(UploadEnd::GivenUp),
        None => None,
        Some(end) => Some(UploadEnd::Whole(Box::new(AttachmentHead {
            id: Uuid::from_slice(&end.id).map_err(|_| "the attachment's id has not 16 bytes")?,
            client_id: end.client_id,
            name: end.name,
            content_type: end.content_type,
            attachment_type: end.attachment_type,
            byte_length: i64::try_from(end.byte_length).map_err(|_| "no attachment is as long")?,
            part_count: number(end.part_count)?,
            sha256: end.sha256,
        }))),
    };
    let part = if part.content.is_empty() {
        None
    } else {
        let packed = attachment::pack(part.content).map_err(|error| error.to_string())?;
        Some(AttachmentPartRow { part: number(part.part)?, packed })
    };
    Ok(AttachmentRow { project_id, upload: record.uuid(), at_us: record.accepted_at_us, part, end })
}

fn unknown(kind: u8) -> (Death, String) {
    (Death::UnknownKind, format!("this version does not know records of kind {kind}"))
}

fn ledger_row(project_id: i64, at_us: i64, line: LedgerLine) -> LedgerRow {
    let ending = match line.ending() {
        ledger_line::Ending::Refused => "refused",
        ledger_line::Ending::LostInClient => "lost_in_client",
        ledger_line::Ending::NotKept => "not_kept",
    };
    LedgerRow { project_id, at_us, ending, reason: line.reason, count: line.count }
}

/// Keeps a record as it came.
pub(crate) fn bury(shipped: &Shipped, record: Option<&Record>, death: Death, detail: String) -> DeadRow {
    DeadRow {
        journal: shipped.journal,
        seq: shipped.seq,
        project_id: record.map_or(0, project_id),
        id: record.map_or(Uuid::nil(), Record::uuid),
        kind: record.map_or(0, |record| record.kind),
        reason: death.reason(),
        detail,
        raw: shipped.record.clone(),
    }
}

/// Keeps a record as it came without looking into its body: that is what killed whoever did.
pub(crate) fn bury_unread(shipped: &Shipped) -> DeadRow {
    let record = Record::decode(&shipped.record).ok();
    bury(shipped, record.as_ref(), Death::Deadly, "workers died with this record in hand".to_owned())
}

/// Keeps an entry that is not one. Without journal and number it lies under its place in the stream.
pub(crate) fn bury_malformed(malformed: &Malformed) -> DeadRow {
    let (journal, seq) = match (malformed.journal, malformed.seq) {
        (Some(journal), Some(seq)) => (journal, seq),
        _ => (Uuid::nil(), place(&malformed.stream_id)),
    };
    DeadRow {
        journal,
        seq,
        project_id: 0,
        id: Uuid::nil(),
        kind: 0,
        reason: Death::Malformed.reason(),
        detail: malformed.reason.clone(),
        raw: malformed.raw.clone(),
    }
}

/// A dead record as the entry that it came by.
pub(crate) fn dug_up(dead: &DeadRecord) -> Shipped {
    Shipped {
        stream_id: String::new(),
        journal: dead.journal,
        seq: dead.seq,
        base: 1,
        gap: None,
        head_seq: 0,
        oldest_unacked_at_us: 0,
        record: dead.raw.clone(),
    }
}

/// A number for a place in a stream: its milliseconds and the count within them.
fn place(stream_id: &str) -> u64 {
    let mut parts = stream_id.split('-').map(|part| part.parse().unwrap_or(0_u64));
    let ms = parts.next().unwrap_or(0);
    (ms << 16) | (parts.next().unwrap_or(0) & 0xffff)
}

/// What a panic said.
pub(crate) fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic without words".to_owned())
}
