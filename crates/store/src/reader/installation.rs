//! The whole installation, as operators look at it: who runs, what waits, what takes the disk, and what is dead.

use time::{Date, OffsetDateTime};
use uuid::Uuid;

use super::{ReadError, Reader};

/// The journal of a gateway, as it last told with what it sent.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields are the columns")]
pub struct JournalLine {
    pub journal: Uuid,
    /// Records that it has and the database does not.
    pub waiting: i64,
    /// accepted_at of the oldest of them.
    pub oldest_at: Option<OffsetDateTime>,
    /// When it was last heard of.
    pub as_of: OffsetDateTime,
}

/// A table, with its indexes and partitions.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields are the columns")]
pub struct TableSize {
    pub name: String,
    /// 0: it has none.
    pub partition_count: i64,
    pub first_day: Option<Date>,
    pub last_day: Option<Date>,
    /// An estimate of the database's.
    pub row_count: i64,
    pub byte_count: i64,
}

/// A dead record: never what was sent, which this role cannot read.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields are the columns")]
pub struct DeadLine {
    pub journal: Uuid,
    pub epoch: i32,
    pub lane: i32,
    pub seq: i64,
    pub project_id: i64,
    /// Nothing when the project is gone.
    pub project: Option<String>,
    pub notice_id: Uuid,
    pub reason: String,
    pub detail: String,
    pub at: OffsetDateTime,
    /// Whether somebody asked for another try, which is not over.
    pub is_retried: bool,
}

/// Numbers of the whole installation.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the fields are the columns")]
pub struct Totals {
    /// Bytes of the database on its disk.
    pub byte_count: i64,
    /// Notices that were stored in the five full minutes before this one.
    pub stored_lately: i64,
    pub dead_count: i64,
    /// Records that were declared lost, by incidents: not those that operators dropped.
    pub incident_record_count: i64,
    /// Mails and calls that wait.
    pub outbox_waiting: i64,
}

/// Minutes over which [`Totals::stored_lately`] goes.
pub const LATELY_MINUTES: i64 = 5;

impl Reader {
    /// Numbers of the whole installation.
    pub async fn totals(&self) -> Result<Totals, ReadError> {
        let totals = sqlx::query_as!(
            Totals,
            r#"select pg_database_size(current_database()) as "byte_count!",
                   (select coalesce(sum(stored), 0)::bigint from project_minute
                    where minute >= date_trunc('minute', now()) - $1::bigint * interval '1 minute'
                        and minute < date_trunc('minute', now())) as "stored_lately!",
                   (select count(*) from dead_notice) as "dead_count!",
                   (select coalesce(sum(record_count), 0)::bigint from incident where kind <> 'dead_dropped') as "incident_record_count!",
                   (select count(*) from outbox where done_at is null and gave_up_at is null) as "outbox_waiting!""#,
            LATELY_MINUTES
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(totals)
    }

    /// Journals that have something, or were heard of in the last day; those with the most waiting first.
    pub async fn journals(&self, limit: i64) -> Result<Vec<JournalLine>, ReadError> {
        let journals =
            sqlx::query_file_as!(JournalLine, "queries/read_journals.sql", limit).fetch_all(&self.pool).await?;
        Ok(journals)
    }

    /// The tables that take most of the disk.
    pub async fn tables(&self, limit: i64) -> Result<Vec<TableSize>, ReadError> {
        let tables = sqlx::query_file_as!(TableSize, "queries/read_tables.sql", limit).fetch_all(&self.pool).await?;
        Ok(tables)
    }

    /// Dead records of all projects, newest first.
    pub async fn dead_records(&self, limit: i64) -> Result<Vec<DeadLine>, ReadError> {
        let dead = sqlx::query_as!(
            DeadLine,
            r#"select d.journal, d.epoch, d.lane, d.seq, d.project_id, p.name as "project?", d.notice_id, d.reason, d.detail, d.at,
                   d.retry_at is not null as "is_retried!"
               from dead_notice d left join project p on p.id = d.project_id
               order by d.at desc, d.journal, d.lane, d.seq limit $1"#,
            limit
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(dead)
    }

    /// Why records are dead, and how many of each reason; the most frequent first.
    pub async fn dead_by_reason(&self) -> Result<Vec<(String, i64)>, ReadError> {
        let rows =
            sqlx::query!(r#"select reason, count(*) as "count!" from dead_notice group by reason order by 2 desc, 1"#)
                .fetch_all(&self.pool)
                .await?;
        Ok(rows.into_iter().map(|row| (row.reason, row.count)).collect())
    }
}
