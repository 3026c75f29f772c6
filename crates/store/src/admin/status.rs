//! Where everything is: workers, lanes, journals.

use time::OffsetDateTime;

use super::Admin;
use crate::StoreError;

/// The installation, as PostgreSQL knows it.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Status {
    /// Workers that are alive.
    pub workers: Vec<WorkerStatus>,
    /// Lanes.
    pub lanes: Vec<LaneStatus>,
    /// Journals with records that are not yet committed, as their gateways last said.
    pub journals: Vec<JournalStatus>,
    /// Dead records.
    pub dead_count: i64,
    /// Records declared lost, by incidents: not those that operators dropped.
    pub incident_record_count: i64,
    /// Deliveries that are waiting, mails included.
    pub outbox_waiting_count: i64,
    /// Mails that are waiting.
    pub mail_waiting_count: i64,
}

/// A worker.
#[derive(Debug, Clone, serde::Serialize)]
pub struct WorkerStatus {
    /// Its name.
    pub id: String,
    /// What it does.
    pub roles: Vec<String>,
    /// What it runs.
    pub version: String,
    /// Lanes that it holds.
    pub lane_count: i64,
    /// Where it takes commands.
    pub command_address: Option<String>,
    /// Where operators reach it.
    pub control_address: Option<String>,
    /// Whether it has a server to hand mails to.
    pub sends_mail: bool,
}

/// A lane.
#[derive(Debug, Clone, serde::Serialize)]
pub struct LaneStatus {
    /// Number.
    pub lane: i32,
    /// Who holds it; nobody when its lease ran out.
    pub owner: Option<String>,
    /// How often it changed hands.
    pub token: i64,
    /// Owners that died on it since its last commit.
    pub attempts: i32,
    /// Greatest accepted_at that was committed.
    #[serde(with = "time::serde::rfc3339::option")]
    pub committed_through: Option<OffsetDateTime>,
    /// Records that its journals had and PostgreSQL had not, as of the last entries seen.
    pub depth: i64,
}

/// A journal with a backlog.
#[derive(Debug, Clone, serde::Serialize)]
pub struct JournalStatus {
    /// Its id.
    pub journal: uuid::Uuid,
    /// Records not yet committed.
    pub depth: i64,
    /// accepted_at of the oldest of them.
    #[serde(with = "time::serde::rfc3339::option")]
    pub oldest_unacked_at: Option<OffsetDateTime>,
    /// When its gateway last said so.
    #[serde(with = "time::serde::rfc3339")]
    pub as_of: OffsetDateTime,
}

impl Admin {
    /// Where everything is.
    pub async fn status(&self) -> Result<Status, StoreError> {
        let workers = sqlx::query_as!(
            WorkerStatus,
            r#"select w.id, w.roles, w.version, w.command_address, w.control_address, w.sends_mail,
                   (select count(*) from lane_state l where l.owner = w.id and l.lease_until > now()) as "lane_count!"
               from worker w where w.alive_until > now() order by w.id"#
        )
        .fetch_all(&self.pool)
        .await?;
        let lanes = sqlx::query_as!(
            LaneStatus,
            r#"select l.lane, case when l.lease_until > now() then l.owner end as owner, l.token, l.attempts, l.committed_through,
                   coalesce((select sum(greatest(c.head_seq - c.wm, 0)) from journal_cursor c where c.epoch = l.epoch and c.lane = l.lane), 0)::bigint as "depth!"
               from lane_state l order by l.epoch, l.lane"#
        )
        .fetch_all(&self.pool)
        .await?;
        let journals = sqlx::query_as!(
            JournalStatus,
            r#"select journal, sum(greatest(head_seq - wm, 0))::bigint as "depth!", min(oldest_unacked_at) as oldest_unacked_at, max(updated_at) as "as_of!"
               from journal_cursor where head_seq > wm group by journal order by journal"#
        )
        .fetch_all(&self.pool)
        .await?;
        let sums = sqlx::query!(
            r#"select (select count(*) from dead_notice) as "dead_count!",
                   (select coalesce(sum(record_count), 0) from incident where kind <> 'dead_dropped')::bigint as "incident_record_count!",
                   (select count(*) from outbox where done_at is null and gave_up_at is null) as "outbox_waiting_count!",
                   (select count(*) from outbox where recipient is not null and done_at is null and gave_up_at is null) as "mail_waiting_count!""#
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(Status {
            workers,
            lanes,
            journals,
            dead_count: sums.dead_count,
            incident_record_count: sums.incident_record_count,
            outbox_waiting_count: sums.outbox_waiting_count,
            mail_waiting_count: sums.mail_waiting_count,
        })
    }
}
