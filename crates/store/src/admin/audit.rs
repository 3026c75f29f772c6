//! Recomputes every counter from what was kept, and says where they differ.
//!
//! The bodies are the truth: every chunk is decoded and its notices are counted, by day, while ids are watched for
//! repeats. Everything else is held against that, in one snapshot of the database.

use std::collections::{HashMap, HashSet};

use futures::TryStreamExt as _;
use notice::NoticeId;
use sha2::{Digest as _, Sha256};
use sqlx::{Postgres, Transaction};
use time::{Date, OffsetDateTime, UtcOffset};
use uuid::Uuid;

use super::Admin;
use crate::attachment::{self, Packed};
use crate::{StoreError, chunk};

/// What an audit found.
#[derive(Debug, Clone, Default, serde::Serialize)]
pub struct Audit {
    /// Notices that were decoded.
    pub notice_count: i64,
    /// Chunks that they were in.
    pub chunk_count: i64,
    /// Attachments that were put together.
    pub attachment_count: i64,
    /// Groups that were compared.
    pub group_count: i64,
    /// Where counters differ. Empty is good.
    pub findings: Vec<Finding>,
}

/// A counter that is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    /// The project; 0 for what all share.
    pub project_id: i64,
    /// What differs, in words, with the row that it is about.
    pub what: String,
    /// What the bodies, or what is nearer to them, say.
    pub expected: i64,
    /// What the counter says.
    pub found: i64,
}

/// Notices of one fingerprint on one day (UTC).
type Days = HashMap<(i64, i64, Date), i64>;

impl Admin {
    /// Audits one project, or all.
    pub async fn audit(&self, project_id: Option<i64>) -> Result<Audit, StoreError> {
        let mut transaction = self.pool.begin().await?;
        sqlx::query!("set transaction isolation level repeatable read, read only").execute(&mut *transaction).await?;
        // Before the snapshot is taken: none of the days that it shows is dropped until all of them were looked at.
        sqlx::query("lock table chunk, fingerprint_minute, attachment_part in access share mode")
            .execute(&mut *transaction)
            .await?;
        let mut audit = Audit::default();
        let mut days = decode_chunks(&mut transaction, project_id, &mut audit).await?;
        add_expired(&mut transaction, project_id, &mut days).await?;
        compare_days(&mut transaction, project_id, days, &mut audit).await?;
        compare_sums(&mut transaction, project_id, &mut audit).await?;
        compare_attachments(&mut transaction, project_id, &mut audit).await?;
        if project_id.is_none() {
            compare_lanes(&mut transaction, &mut audit).await?;
        }
        // What is being taken away is taken table by table.
        let going = sqlx::query_scalar!("select id from project where deleted_at is not null")
            .fetch_all(&mut *transaction)
            .await?;
        audit.findings.retain(|finding| !going.contains(&finding.project_id));
        transaction.rollback().await?;
        Ok(audit)
    }
}

/// Decodes every chunk; counts by day, and finds chunks that lie about their count and ids that were stored twice.
async fn decode_chunks(
    transaction: &mut Transaction<'_, Postgres>,
    project_id: Option<i64>,
    audit: &mut Audit,
) -> Result<Days, StoreError> {
    let mut days = Days::new();
    // An id names its lane and its moment, and a chunk stays within its lane and a stretch of minutes: a repeat can only be in the
    // same stretch of the same lane, so no more ids than those have to be remembered.
    let mut seen: HashSet<NoticeId> = HashSet::new();
    let mut stretch = (0, 0, 0);
    let mut rows = sqlx::query!(
        r#"select project_id, lane, fingerprint_id, id, notice_count, codec, body, last_at, last_id
           from chunk where $1::bigint is null or project_id = $1 order by project_id, lane, last_id"#,
        project_id
    )
    .fetch(&mut **transaction);
    while let Some(row) = rows.try_next().await? {
        let items = match chunk::decode(row.codec, &row.body) {
            Ok(items) => items,
            Err(error) => {
                let what = format!("chunk {} of fingerprint {} does not decode: {error}", row.id, row.fingerprint_id);
                audit.findings.push(Finding {
                    project_id: row.project_id,
                    what,
                    expected: i64::from(row.notice_count),
                    found: 0,
                });
                continue;
            }
        };
        let decoded = i64::try_from(items.len()).unwrap_or(i64::MAX);
        if decoded != i64::from(row.notice_count) {
            let what = format!("notice_count of chunk {} of fingerprint {}", row.id, row.fingerprint_id);
            audit.findings.push(Finding {
                project_id: row.project_id,
                what,
                expected: decoded,
                found: i64::from(row.notice_count),
            });
        }
        let this_stretch = (row.project_id, row.lane, NoticeId::from(row.last_id).accepted_at_ms() / chunk::SPAN_MS);
        if this_stretch != stretch {
            stretch = this_stretch;
            seen.clear();
        }
        for item in &items {
            if !seen.insert(item.id) {
                audit.findings.push(Finding {
                    project_id: row.project_id,
                    what: format!("notice {} is stored twice", item.id),
                    expected: 1,
                    found: 2,
                });
            }
        }
        audit.chunk_count += 1;
        audit.notice_count += decoded;
        *days.entry((row.project_id, row.fingerprint_id, utc_day(row.last_at))).or_default() += decoded;
    }
    Ok(days)
}

/// Days whose bodies have gone by retention count as they were when they went.
async fn add_expired(
    transaction: &mut Transaction<'_, Postgres>,
    project_id: Option<i64>,
    days: &mut Days,
) -> Result<(), StoreError> {
    let rows = sqlx::query!(
        "select project_id, fingerprint_id, day, notice_count from expired where $1::bigint is null or project_id = $1",
        project_id
    )
    .fetch_all(&mut **transaction)
    .await?;
    for row in rows {
        *days.entry((row.project_id, row.fingerprint_id, row.day)).or_default() += row.notice_count;
    }
    Ok(())
}

/// Holds the counters by day against the bodies.
async fn compare_days(
    transaction: &mut Transaction<'_, Postgres>,
    project_id: Option<i64>,
    mut days: Days,
    audit: &mut Audit,
) -> Result<(), StoreError> {
    let rows = sqlx::query!(
        "select project_id, fingerprint_id, day, notice_count from fingerprint_day where $1::bigint is null or project_id = $1",
        project_id
    )
    .fetch_all(&mut **transaction)
    .await?;
    for row in rows {
        let expected = days.remove(&(row.project_id, row.fingerprint_id, row.day)).unwrap_or(0);
        if expected != row.notice_count {
            let what = format!("fingerprint_day of fingerprint {} on {}", row.fingerprint_id, row.day);
            audit.findings.push(Finding { project_id: row.project_id, what, expected, found: row.notice_count });
        }
    }
    for ((project_id, fingerprint_id, day), expected) in days {
        let what = format!("fingerprint_day of fingerprint {fingerprint_id} on {day} is missing");
        audit.findings.push(Finding { project_id, what, expected, found: 0 });
    }
    Ok(())
}

/// Holds the sums that lists and pages show against the counters by day.
async fn compare_sums(
    transaction: &mut Transaction<'_, Postgres>,
    project_id: Option<i64>,
    audit: &mut Audit,
) -> Result<(), StoreError> {
    let rows = sqlx::query_file!("queries/audit_sums.sql", project_id).fetch_all(&mut **transaction).await?;
    audit.findings.extend(rows.into_iter().map(|row| Finding {
        project_id: row.project_id,
        what: row.what,
        expected: row.expected,
        found: row.found,
    }));
    audit.group_count = sqlx::query_scalar!(
        r#"select count(*) as "count!" from grp where $1::bigint is null or project_id = $1"#,
        project_id
    )
    .fetch_one(&mut **transaction)
    .await?;
    Ok(())
}

/// Puts every attachment together, part by part, and holds it against what was said of it when it was whole.
async fn compare_attachments(
    transaction: &mut Transaction<'_, Postgres>,
    project_id: Option<i64>,
    audit: &mut Audit,
) -> Result<(), StoreError> {
    let mut open: Option<Assembling> = None;
    let mut rows = sqlx::query_file!("queries/audit_attachments.sql", project_id).fetch(&mut **transaction);
    while let Some(row) = rows.try_next().await? {
        let is_next = open.as_ref().is_none_or(|open| (open.project_id, open.id) != (row.project_id, row.id));
        if is_next {
            audit.attachment_count += 1;
            let next = Assembling {
                project_id: row.project_id,
                id: row.id,
                byte_length: row.byte_length,
                part_count: row.part_count,
                sha256: row.sha256,
                may_wait: row.may_wait,
                part_next: 0,
                found: 0,
                is_damaged: false,
                content: Sha256::new(),
            };
            audit.findings.extend(open.replace(next).and_then(Assembling::finding));
        }
        if let (Some(open), Some(part), Some(codec), Some(byte_length), Some(body)) =
            (&mut open, row.part, row.codec, row.part_bytes, row.body)
        {
            open.add(part, Packed { codec, byte_length, body });
        }
    }
    audit.findings.extend(open.and_then(Assembling::finding));
    Ok(())
}

/// An attachment while its parts are looked at, in order.
struct Assembling {
    project_id: i64,
    id: Uuid,
    byte_length: i64,
    part_count: i32,
    sha256: Vec<u8>,
    /// Whether there is a reason why parts may be missing.
    may_wait: bool,
    part_next: i32,
    found: i64,
    is_damaged: bool,
    content: Sha256,
}

impl Assembling {
    fn add(&mut self, part: i32, packed: Packed) {
        match attachment::unpack(packed) {
            Ok(content) => {
                self.found += i64::try_from(content.len()).unwrap_or(i64::MAX);
                self.content.update(&content);
            }
            Err(_) => self.is_damaged = true,
        }
        // With a gap nothing can be said of the whole but that it is not whole.
        if part == self.part_next {
            self.part_next += 1;
        }
    }

    fn finding(self) -> Option<Finding> {
        let is_whole = self.part_next == self.part_count;
        let is_right = !self.is_damaged && self.content.finalize().as_slice() == self.sha256;
        if (is_whole && is_right) || (!is_whole && !self.is_damaged && self.may_wait) {
            return None;
        }
        let what = if is_whole { "is not what came in" } else { "lacks parts" };
        Some(Finding {
            project_id: self.project_id,
            what: format!("attachment {} {what}", self.id),
            expected: self.byte_length,
            found: self.found,
        })
    }
}

/// Every record that is accounted for has one end: what lanes say became of their records against the sets of their numbers.
async fn compare_lanes(transaction: &mut Transaction<'_, Postgres>, audit: &mut Audit) -> Result<(), StoreError> {
    let rows = sqlx::query_file!("queries/audit_lanes.sql").fetch_all(&mut **transaction).await?;
    audit.findings.extend(rows.into_iter().map(|row| Finding {
        project_id: 0,
        what: format!("records of lane {} that had an end", row.lane),
        expected: row.accounted,
        found: row.ended,
    }));
    Ok(())
}

fn utc_day(at: OffsetDateTime) -> Date {
    at.to_offset(UtcOffset::UTC).date()
}
