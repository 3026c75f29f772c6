//! The ids that clients gave to a batch's notices, in the transaction that stores these.

use sqlx::PgConnection;
use time::OffsetDateTime;

use crate::batch::Batch;
use crate::client_ids::encode;
use crate::error::StoreError;
use crate::live_days::time_of;

pub(super) async fn write(tx: &mut PgConnection, lane: u16, batch: &Batch) -> Result<(), StoreError> {
    let projects: Vec<i64> = batch.client_ids.keys().copied().collect();
    let at: Vec<OffsetDateTime> = batch.client_ids.values().map(|run| time_of(run.last_at_us)).collect();
    let entries: Vec<Vec<u8>> = batch.client_ids.values().map(|run| encode(&run.entries)).collect();
    sqlx::query!(
        "insert into client_id_run (lane, project_id, at, entries)
         select $1, given.project_id, given.at, given.entries
         from unnest($2::bigint[], $3::timestamptz[], $4::bytea[]) as given (project_id, at, entries)",
        i32::from(lane),
        &projects,
        &at,
        &entries,
    )
    .execute(tx)
    .await?;
    Ok(())
}
