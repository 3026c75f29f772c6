//! From what batches brought of clients' ids to what finds a notice as long as it is kept.
//!
//! A row of the index is written anew with everything that is added to it, so that is done once an hour: until then the batches' own
//! rows are searched.

use std::collections::BTreeMap;

use futures::TryStreamExt as _;
use sqlx::Connection as _;
use time::{Date, OffsetDateTime};

use crate::StoreError;
use crate::client_ids::{ClientIdEntry, decode, encode};
use crate::housekeeper::Housekeeper;

/// Entries that are taken into memory at once: 16 MiB.
const ENTRIES_MAX: usize = 1 << 20;

/// How long what a batch brought is kept after that, for whoever stores more of the project. More than the two days in which it is asked.
const RUN_HOURS: f64 = 49.0;

impl Housekeeper {
    /// Adds what batches of hours that are over have brought to the index; how many notices.
    pub async fn index_client_ids(&mut self) -> Result<u64, StoreError> {
        let projects = sqlx::query_scalar!(
            "select distinct project_id from client_id_run where not indexed and at < date_trunc('hour', now()) order by 1"
        )
        .fetch_all(&mut self.connection)
        .await?;
        let mut indexed = 0;
        for project_id in projects {
            loop {
                let entry_count = self.index_some(project_id).await?;
                indexed += entry_count as u64;
                if entry_count < ENTRIES_MAX {
                    break;
                }
            }
        }
        Ok(indexed)
    }

    /// Forgets what batches brought once it is in the index and no repeat of it is recognised any more, and what the index has of
    /// days whose notices are gone.
    pub(crate) async fn sweep_client_ids(&mut self) -> Result<u64, StoreError> {
        let runs =
            sqlx::query!("delete from client_id_run where indexed and at < now() - $1 * interval '1 hour'", RUN_HOURS)
                .execute(&mut self.connection)
                .await?;
        let days = sqlx::query!(
            "delete from client_id_index i using project p
             where p.id = i.project_id and i.day < (now() at time zone 'utc')::date - p.retention_days"
        )
        .execute(&mut self.connection)
        .await?;
        Ok(runs.rows_affected() + days.rows_affected())
    }

    async fn index_some(&mut self, project_id: i64) -> Result<usize, StoreError> {
        let mut transaction = self.connection.begin().await?;
        let mut runs = Vec::new();
        let mut buckets: BTreeMap<(Date, u8), Vec<ClientIdEntry>> = BTreeMap::new();
        let mut entry_count = 0;
        {
            let mut rows = sqlx::query!(
                "select id, entries from client_id_run
                 where project_id = $1 and not indexed and at < date_trunc('hour', now()) order by id",
                project_id
            )
            .fetch(&mut *transaction);
            while entry_count < ENTRIES_MAX
                && let Some(row) = rows.try_next().await?
            {
                runs.push(row.id);
                for entry in decode(&row.entries) {
                    let at = OffsetDateTime::from_unix_timestamp(entry.at_ms().div_euclid(1000));
                    let day = at.unwrap_or(OffsetDateTime::UNIX_EPOCH).date();
                    buckets.entry((day, entry.bucket())).or_default().push(entry);
                    entry_count += 1;
                }
            }
        }
        let days: Vec<Date> = buckets.keys().map(|(day, _)| *day).collect();
        let numbers: Vec<i16> = buckets.keys().map(|(_, bucket)| i16::from(*bucket)).collect();
        let entries: Vec<Vec<u8>> = buckets.values().map(|entries| encode(entries)).collect();
        sqlx::query!(
            "insert into client_id_index as kept (project_id, bucket, day, entries)
             select $1, given.bucket, given.day, given.entries
             from unnest($2::smallint[], $3::date[], $4::bytea[]) as given (bucket, day, entries)
             on conflict (project_id, bucket, day) do update set entries = kept.entries || excluded.entries",
            project_id,
            &numbers,
            &days,
            &entries,
        )
        .execute(&mut *transaction)
        .await?;
        sqlx::query!(
            "update client_id_run set indexed = true where project_id = $1 and not indexed and id = any($2::bigint[])",
            project_id,
            &runs
        )
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(entry_count)
    }
}
