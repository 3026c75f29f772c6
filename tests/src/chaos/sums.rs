//! What must add up at any moment: every record that is accounted for has one end, and what is counted is what is kept.

use serde::Serialize;
use sqlx::{PgPool, Row as _};

/// One snapshot of the database: what the tables say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Sums {
    /// Records whose numbers are in the accounted sets.
    pub accounted: i64,
    /// Of these, in `dead_notice`.
    pub dead: i64,
    /// Of these, declared gone in incidents.
    pub declared_gone: i64,
    /// Of these, deploys, ledgers, statistics and parts of attachments.
    pub others: i64,
    /// Of these, repeats of notices that had been stored before.
    pub repeated: i64,
    /// What groups say that they have.
    pub in_groups: i64,
    /// What chunks say that they hold.
    pub in_chunks: i64,
    /// What minutes add up to, and hours where they were rolled up.
    pub in_minutes: i64,
    /// What days add up to.
    pub in_days: i64,
    /// What projects say that they have.
    pub in_projects: i64,
}

/// Deploys, ledgers, statistics and parts of attachments have no table of one row each: the lanes count them.
const SUMS: &str = "
    select
        (select coalesce(sum(wm + coalesce((
            select sum(runs[i + 1] - runs[i] + 1) from generate_subscripts(runs, 1) i where i % 2 = 1
         ), 0)), 0)::bigint from journal_cursor) as accounted,
        (select count(*) from dead_notice where journal <> '00000000-0000-0000-0000-000000000000') as dead,
        (select coalesce(sum(record_count), 0)::bigint from incident where kind = 'declared_gone') as declared_gone,
        (select sum(deploy_records + ledger_records + stats_records + attachment_records)::bigint from lane_state) as others,
        (select sum(repeat_records)::bigint from lane_state) as repeated,
        (select coalesce(sum(notice_count), 0)::bigint from grp) as in_groups,
        (select coalesce(sum(notice_count), 0)::bigint from chunk) as in_chunks,
        (select coalesce(sum(notice_count), 0)::bigint from fingerprint_minute)
            + (select coalesce(sum(notice_count), 0)::bigint from fingerprint_hour) as in_minutes,
        (select coalesce(sum(notice_count), 0)::bigint from fingerprint_day) as in_days,
        (select coalesce(sum(notice_count), 0)::bigint from project_tally) as in_projects";

impl Sums {
    /// Reads all of them in one snapshot.
    pub async fn read(pool: &PgPool) -> Result<Sums, sqlx::Error> {
        let mut transaction = pool.begin().await?;
        sqlx::raw_sql("set transaction isolation level repeatable read, read only").execute(&mut *transaction).await?;
        let row = sqlx::query(SUMS).fetch_one(&mut *transaction).await?;
        transaction.rollback().await?;
        Ok(Sums {
            accounted: row.get("accounted"),
            dead: row.get("dead"),
            declared_gone: row.get("declared_gone"),
            others: row.get("others"),
            repeated: row.get("repeated"),
            in_groups: row.get("in_groups"),
            in_chunks: row.get("in_chunks"),
            in_minutes: row.get("in_minutes"),
            in_days: row.get("in_days"),
            in_projects: row.get("in_projects"),
        })
    }

    /// Notices that must be there.
    pub fn expected(&self) -> i64 {
        self.accounted - self.dead - self.declared_gone - self.others - self.repeated
    }

    /// Whether everything adds up.
    pub fn hold(&self) -> bool {
        let counted = [self.in_groups, self.in_chunks, self.in_minutes, self.in_days, self.in_projects];
        counted.iter().all(|count| *count == self.expected())
    }
}
