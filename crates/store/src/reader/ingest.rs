//! How notices travel: what came in, what waits, what was refused, what could not be processed.

use sqlx::types::time::OffsetDateTime;

use super::{Opened, ReadError, Reader};

/// How an ending of notices is called in the ledger.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields are the columns")]
pub struct Ending {
    /// `refused`, `lost_in_client` or `not_kept`.
    pub ending: String,
    pub reason: String,
    pub count: i64,
}

/// Notices of a project that could not become what they were sent as.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields are the columns")]
pub struct DeadReason {
    pub reason: String,
    pub count: i64,
    pub last_at: OffsetDateTime,
    /// The words of the newest.
    pub detail: String,
}

/// How far notices of one fingerprint share a chunk.
#[derive(Clone, Copy, Debug, Default)]
#[expect(missing_docs, reason = "the fields are the columns")]
pub struct Fold {
    pub notice_count: i64,
    pub chunk_count: i64,
}

/// One lane as gateways and workers last said.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields are the columns")]
pub struct Lane {
    pub lane: i32,
    /// Records that gateways have and the database does not.
    pub waiting: i64,
    /// accepted_at of the oldest of them.
    pub oldest_at: Option<OffsetDateTime>,
    pub committed_through: Option<OffsetDateTime>,
    /// When this was last heard.
    pub as_of: Option<OffsetDateTime>,
    pub owner: Option<String>,
    /// Whether it is of a number of lanes that has been left, and needs no owner while nothing waits in it.
    pub is_retired: bool,
}

/// A worker that is alive.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields are the columns")]
pub struct Worker {
    pub id: String,
    pub roles: Vec<String>,
    pub version: String,
    pub command_address: Option<String>,
    /// Whether it has a server to hand mails to.
    pub sends_mail: bool,
}

/// Everything about a project's intake over a stretch of time.
#[derive(Clone, Debug)]
pub struct Intake {
    /// Notices stored.
    pub stored: i64,
    /// What was refused, and what clients say they lost.
    pub endings: Vec<Ending>,
    /// What could not be processed.
    pub dead: Vec<DeadReason>,
    /// How well duplicates fold.
    pub fold: Fold,
}

impl Reader {
    /// What became of a project's notices since a time.
    pub async fn intake(&self, opened: &Opened, since: OffsetDateTime) -> Result<Intake, ReadError> {
        let stored = sqlx::query_scalar!(
            r#"select coalesce(sum(stored), 0)::bigint as "stored!" from project_minute where project_id = $1 and minute >= $2"#,
            opened.id(),
            since
        )
        .fetch_one(&self.pool)
        .await?;
        let endings = sqlx::query_as!(
            Ending,
            r#"select ending, reason, sum(record_count)::bigint as "count!" from ledger
            where project_id = $1 and minute >= $2 group by ending, reason order by 1, 3 desc"#,
            opened.id(),
            since
        )
        .fetch_all(&self.pool)
        .await?;
        let dead = sqlx::query_as!(
            DeadReason,
            r#"select reason, count(*) as "count!", max(at) as "last_at!",
                (array_agg(detail order by at desc))[1] as "detail!"
            from dead_notice where project_id = $1 group by reason order by 2 desc"#,
            opened.id()
        )
        .fetch_all(&self.pool)
        .await?;
        let fold =
            sqlx::query_file_as!(Fold, "queries/read_fold.sql", opened.id(), since).fetch_one(&self.pool).await?;
        Ok(Intake { stored, endings, dead, fold })
    }

    /// The lanes of the installation, those with the most waiting first.
    pub async fn lanes(&self) -> Result<Vec<Lane>, ReadError> {
        let lanes = sqlx::query_file_as!(Lane, "queries/read_lanes.sql").fetch_all(&self.pool).await?;
        Ok(lanes)
    }

    /// Workers that are alive.
    pub async fn workers(&self) -> Result<Vec<Worker>, ReadError> {
        let workers = sqlx::query_as!(
            Worker,
            "select id, roles, version, command_address, sends_mail from worker where alive_until > now() order by id"
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(workers)
    }
}
