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
use crate::housekeeper::{Housekeeper, Progress, Turn};

/// Entries that are taken into memory at once: 16 MiB.
const ENTRIES_MAX: usize = 1 << 20;
/// Runs that are asked for at once; a run has the names of one batch.
const RUNS_MAX: i64 = 2_000;

impl Housekeeper {
    /// Adds what batches of hours that are over have brought to the index; how many notices.
    pub async fn index_client_ids(&mut self, turn: Turn) -> Result<Progress, StoreError> {
        let projects = sqlx::query_scalar!(
            "select distinct project_id from client_id_run where not indexed and at < date_trunc('hour', now()) order by 1"
        )
        .fetch_all(&mut self.connection)
        .await?;
        let mut progress = Progress::default();
        for project_id in projects {
            loop {
                let entry_count = self.index_some(project_id).await?;
                progress.count += entry_count as u64;
                if turn.is_over() {
                    return Ok(progress);
                }
                if entry_count < ENTRIES_MAX {
                    break;
                }
            }
        }
        Ok(progress.done())
    }

    async fn index_some(&mut self, project_id: i64) -> Result<usize, StoreError> {
        let mut transaction = self.connection.begin().await?;
        let mut runs = Vec::new();
        let mut buckets: BTreeMap<(Date, u8), Vec<ClientIdEntry>> = BTreeMap::new();
        let mut entry_count = 0;
        {
            let mut rows = sqlx::query!(
                "select id, entries from client_id_run
                 where project_id = $1 and not indexed and at < date_trunc('hour', now()) order by id limit $2",
                project_id,
                RUNS_MAX
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
