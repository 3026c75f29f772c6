//! Deploys of a project.

use sqlx::types::time::OffsetDateTime;
use uuid::Uuid;

use super::cursor::{self, CursorError};
use super::{Opened, ReadError, Reader};

/// One deploy as somebody's script announced it.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields are the columns")]
pub struct Deploy {
    pub id: Uuid,
    pub environment: String,
    pub revision: String,
    pub repository: String,
    pub username: String,
    pub version: String,
    pub message: String,
    pub at: OffsetDateTime,
    /// Groups that were seen for the first time after it, and before the next one of its environment.
    pub new_group_count: i64,
}

impl Deploy {
    /// The cursor of the list that goes on behind this deploy.
    #[must_use]
    pub fn cursor(&self) -> String {
        let (high, low) = self.id.as_u64_pair();
        let micros = i64::try_from(self.at.unix_timestamp_nanos() / 1000).unwrap_or(i64::MAX);
        cursor::write('d', &[micros, high.cast_signed(), low.cast_signed()])
    }
}

impl Reader {
    /// Deploys of a project, newest first; `cursor` is a [`Deploy::cursor`].
    pub async fn deploys(
        &self,
        opened: &Opened,
        cursor: Option<&str>,
        limit: i64,
    ) -> Result<Result<Vec<Deploy>, CursorError>, ReadError> {
        let after = match cursor.map(|word| cursor::read::<3>('d', word)).transpose() {
            Ok(after) => after,
            Err(error) => return Ok(Err(error)),
        };
        let id = after.map(|[_, high, low]| Uuid::from_u64_pair(high.cast_unsigned(), low.cast_unsigned()));
        let deploys = sqlx::query_file_as!(
            Deploy,
            "queries/read_deploys.sql",
            opened.id(),
            after.map(|[micros, ..]| micros),
            id,
            limit
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(Ok(deploys))
    }
}
