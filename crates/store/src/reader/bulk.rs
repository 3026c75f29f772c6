//! Changes of many groups: how far they are.

use uuid::Uuid;

use super::{Opened, ReadError, Reader};

/// A change of many groups.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields are the columns")]
pub struct Bulk {
    pub id: Uuid,
    /// Groups that it has changed so far.
    pub changed_count: i64,
    /// Whether it goes on.
    pub is_running: bool,
    /// Whether it was or is being taken back.
    pub is_undone: bool,
    /// Groups for which it was taken back so far.
    pub undone_count: i64,
    /// Whether it, or taking it back, ended before its end because it failed again and again.
    pub gave_up: bool,
}

impl Reader {
    /// A change of many groups of a project.
    pub async fn bulk(&self, opened: &Opened, id: Uuid) -> Result<Option<Bulk>, ReadError> {
        let bulk = sqlx::query_as!(
            Bulk,
            r#"select id, changed_count, undone_count, gave_up, undo_id is not null as "is_undone!",
                   done_at is null or (undo_id is not null and undone_at is null) as "is_running!"
               from bulk where project_id = $1 and id = $2"#,
            opened.id(),
            id
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(bulk)
    }
}
