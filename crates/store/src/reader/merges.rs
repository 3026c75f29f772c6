//! Groups that were merged into others.

use uuid::Uuid;

use super::{Opened, ReadError, Reader};

/// The most merges that a page offers to take back.
const MERGES_MAX: i64 = 200;

/// A group that was merged into another, directly or through others.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields are the columns")]
pub struct MergedGroup {
    pub id: i64,
    /// The group that it was merged into itself.
    pub into_id: i64,
    pub class: String,
    pub message: String,
    /// Notices of its own fingerprints, whenever they came.
    pub notice_count: i64,
}

impl Reader {
    /// The group that shows what belonged to a group that was merged; `None` when it was not.
    pub async fn merged_into(&self, opened: &Opened, group_id: i64) -> Result<Option<i64>, ReadError> {
        let root = sqlx::query_file_scalar!("queries/group_root.sql", opened.id(), group_id)
            .fetch_optional(&self.pool)
            .await?;
        Ok(root.filter(|root| *root != group_id))
    }

    /// Whether there was a command with this id.
    pub async fn has_command(&self, id: Uuid) -> Result<bool, ReadError> {
        let has = sqlx::query_scalar!(r#"select exists (select from command where id = $1) as "has!""#, id)
            .fetch_one(&self.pool)
            .await?;
        Ok(has)
    }

    /// What was merged into a group.
    pub async fn merged_groups(&self, opened: &Opened, group_id: i64) -> Result<Vec<MergedGroup>, ReadError> {
        let merged = sqlx::query_file_as!(MergedGroup, "queries/read_merged.sql", opened.id(), group_id, MERGES_MAX)
            .fetch_all(&self.pool)
            .await?;
        Ok(merged)
    }
}
