//! The ids that clients gave to a batch's notices, in the transaction that stores these.

use std::collections::HashSet;

use sqlx::PgConnection;
use time::OffsetDateTime;

use crate::batch::Batch;
use crate::client_ids::{KnownTo, StoredRun, decode, encode};
use crate::error::StoreError;
use crate::live_days::time_of;

/// Answers what is stored of the batch's projects that the batch did not know of, with what it brings itself. If that has one of its
/// own ids, the batch is not written.
///
/// Batches with ids of one project take turns from here to their end. So this has to be the last thing that waits for anybody: whoever
/// has the turn only commits.
pub(super) async fn write(tx: &mut PgConnection, lane: u16, batch: &Batch) -> Result<Vec<StoredRun>, StoreError> {
    let projects: Vec<i64> = batch.client_ids.keys().copied().collect();
    let at: Vec<OffsetDateTime> = batch.client_ids.values().map(|run| time_of(run.last_at_us)).collect();
    let entries: Vec<Vec<u8>> = batch.client_ids.values().map(|run| encode(&run.entries)).collect();
    let known_to: Vec<i64> = batch.client_ids.values().map(|run| run.known_to.run_id).collect();
    // All in the same order. A statement of its own: the next one sees what those before have committed.
    sqlx::query!(
        "select pg_advisory_xact_lock(hashtextextended('croak client ids', project_id)) from unnest($1::bigint[]) as given (project_id)",
        &projects
    )
    .execute(&mut *tx)
    .await?;
    let rows = sqlx::query_file!("queries/batch/client_ids.sql", i32::from(lane), &projects, &at, &entries, &known_to)
        .fetch_all(tx)
        .await?;
    let own: HashSet<u64> = batch.client_ids.values().flat_map(|run| &run.entries).map(|entry| entry.hash).collect();
    let mut runs = Vec::with_capacity(rows.len());
    for row in rows {
        let known_to = KnownTo { server_started_at: row.server_started_at, run_id: row.id };
        let run = StoredRun { project_id: row.project_id, known_to, entries: decode(&row.entries).collect() };
        let is_of_known_server = batch
            .client_ids
            .get(&row.project_id)
            .is_some_and(|own| own.known_to.server_started_at == row.server_started_at);
        if !is_of_known_server || (!row.is_own && run.entries.iter().any(|entry| own.contains(&entry.hash))) {
            return Err(StoreError::StoredMeanwhile);
        }
        runs.push(run);
    }
    Ok(runs)
}
