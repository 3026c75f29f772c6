//! What the database spends on us, and what it can bear: for `croak bench`, which no service calls.
//!
//! None of these statements names a table of ours, so there is nothing that the compiler could hold them against.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use sqlx::Row as _;

use super::{Admin, ServiceRole};
use crate::StoreError;

/// The server behind the address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Its version, as in `15.14`.
    pub version: String,
    /// The process that serves this connection; its parent is the server.
    pub backend_pid: u32,
    /// Whether a commit waits for the disk: what was measured without is worth nothing.
    pub is_durable: bool,
}

/// How often each statement was run since some time, by its id.
pub type StatementCounts = HashMap<i64, Statement>;

/// A statement and how often it was run.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Statement {
    /// Its text, with `$1` for what differs.
    pub query: String,
    /// How often.
    pub calls: i64,
}

impl Admin {
    /// What the server says of itself.
    pub async fn server(&self) -> Result<Server, StoreError> {
        let row = sqlx::query(
            "select current_setting('server_version') as version, pg_backend_pid() as pid,
                 current_setting('fsync') = 'on' and current_setting('synchronous_commit') <> 'off' as is_durable",
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(Server {
            version: row.try_get("version")?,
            backend_pid: row.try_get::<i32, _>("pid")?.unsigned_abs(),
            is_durable: row.try_get("is_durable")?,
        })
    }

    /// How often a role has run each statement, without the frame of transactions and without the signs of life that go on
    /// whether there is work or not. `None` where `pg_stat_statements` is missing or may not be read.
    pub async fn statements(&self, role: ServiceRole) -> Result<Option<StatementCounts>, StoreError> {
        let may_read: bool = sqlx::query_scalar(
            "select exists (select from pg_extension where extname = 'pg_stat_statements')
                 and pg_has_role(current_user, 'pg_read_all_stats', 'usage')
                 and current_setting('shared_preload_libraries') like '%pg_stat_statements%'",
        )
        .fetch_one(&self.pool)
        .await?;
        if !may_read {
            return Ok(None);
        }
        let rows = sqlx::query(
            "select queryid, min(query) as query, sum(calls)::bigint as calls from pg_stat_statements
             where dbid = (select oid from pg_database where datname = current_database())
                 and userid = $1::regrole
                 and query !~* '^\\s*(begin|commit|rollback|savepoint|release|set|start|show|discard|deallocate)'
                 and query !~ 'A sign of life of one worker|All idle lanes of one owner at once'
             group by queryid",
        )
        .bind(role.as_str())
        .fetch_all(&self.pool)
        .await?;
        let mut counts = StatementCounts::new();
        for row in rows {
            let statement = Statement { query: row.try_get("query")?, calls: row.try_get("calls")? };
            counts.insert(row.try_get("queryid")?, statement);
        }
        Ok(Some(counts))
    }

    /// How often the server has made room among what it counts by forgetting statements that are seldom run, where it says so: counts from before
    /// and after that do not compare.
    pub async fn statements_forgotten(&self) -> Result<i64, StoreError> {
        let tells: bool = sqlx::query_scalar("select to_regclass('pg_stat_statements_info') is not null")
            .fetch_one(&self.pool)
            .await?;
        if !tells {
            return Ok(0);
        }
        Ok(sqlx::query_scalar("select dealloc from pg_stat_statements_info").fetch_one(&self.pool).await?)
    }

    /// Bytes of all tables with their indexes.
    pub async fn table_bytes(&self) -> Result<i64, StoreError> {
        let bytes = sqlx::query_scalar(
            "select coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint
             from pg_class c join pg_namespace n on n.oid = c.relnamespace
             where n.nspname = 'public' and c.relkind in ('r', 'm')",
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(bytes)
    }

    /// How long the server takes to add to `keys` counters in one statement, again and again for `time`: the least that any
    /// fold of so many keys costs. In a table that only this connection sees and that goes with it.
    pub async fn upsert_times(&self, keys: i64, time: Duration) -> Result<Vec<Duration>, StoreError> {
        let mut transaction = self.pool.begin().await?;
        sqlx::query(
            "create temporary table bench_limit (project_id bigint, key bytea, notice_count bigint not null, last_at timestamptz not null,
                 primary key (project_id, key)) on commit drop",
        )
        .execute(&mut *transaction)
        .await?;
        // As wide as a fingerprint's.
        let wide = |key: i64| [key.to_be_bytes(), key.to_be_bytes()].concat();
        let names: Vec<Vec<u8>> = (0..keys).map(wide).collect();
        let counts: Vec<i64> = (0..keys).collect();
        let (mut times, began) = (Vec::new(), Instant::now());
        while began.elapsed() < time {
            let started_at = Instant::now();
            sqlx::query(
                "insert into bench_limit as b (project_id, key, notice_count, last_at)
                 select 1, k, n, now() from unnest($1::bytea[], $2::bigint[]) as u (k, n)
                 on conflict (project_id, key) do update
                 set notice_count = b.notice_count + excluded.notice_count, last_at = greatest(b.last_at, excluded.last_at)",
            )
            .bind(&names)
            .bind(&counts)
            .execute(&mut *transaction)
            .await?;
            times.push(started_at.elapsed());
        }
        transaction.rollback().await?;
        Ok(times)
    }
}
