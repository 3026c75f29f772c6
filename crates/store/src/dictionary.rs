//! Dictionaries with which bodies were packed: none is ever changed or deleted.

use sqlx::PgExecutor;

use crate::StoreError;

/// Keeps a dictionary under this number for good; false if the number is taken.
pub(crate) async fn add(executor: impl PgExecutor<'_>, codec: u16, bytes: &[u8]) -> Result<bool, StoreError> {
    let codec = i16::try_from(codec).map_err(|_| StoreError::Invalid("no dictionary has this number".into()))?;
    let added = sqlx::query!(
        "insert into dictionary (codec, bytes) values ($1, $2) on conflict (codec) do nothing",
        codec,
        bytes
    )
    .execute(executor)
    .await?;
    Ok(added.rows_affected() == 1)
}
