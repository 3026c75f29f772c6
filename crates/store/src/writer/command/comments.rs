//! What people write about a group.

use serde::Serialize;
use sqlx::{Postgres, Transaction};

use super::groups::{denied, missing};
use super::{Act, CommandStatus, Order, Outcome, may_act};
use crate::StoreError;
use crate::reader::COMMENT_CHARS_MAX;

/// Somebody writes about a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WriteComment {
    /// The group, of the order's project.
    pub group_id: i64,
    /// Markdown.
    pub body: String,
}

impl Act for WriteComment {
    fn kind(&self) -> &'static str {
        "comment"
    }

    async fn act(&self, transaction: &mut Transaction<'_, Postgres>, order: &Order) -> Result<Outcome, StoreError> {
        if !may_act(transaction, order).await? {
            return Ok(denied());
        }
        let body = match body(&self.body) {
            Ok(body) => body,
            Err(invalid) => return Ok(invalid),
        };
        let id = sqlx::query_scalar!(
            "insert into comment (project_id, group_id, author_id, body)
             select $1, g.id, $3, $4 from grp g where g.project_id = $1 and g.id = $2 and g.deleted_at is null returning id",
            order.project_id,
            self.group_id,
            order.actor_id,
            body
        )
        .fetch_optional(&mut **transaction)
        .await?;
        Ok(id.map_or_else(missing, |id| Outcome::done("Written.").with_made(id)))
    }
}

/// Somebody writes a comment of theirs anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EditComment {
    /// The comment.
    pub comment_id: i64,
    /// Markdown.
    pub body: String,
}

impl Act for EditComment {
    fn kind(&self) -> &'static str {
        "edit_comment"
    }

    async fn act(&self, transaction: &mut Transaction<'_, Postgres>, order: &Order) -> Result<Outcome, StoreError> {
        if !may_act(transaction, order).await? {
            return Ok(denied());
        }
        let body = match body(&self.body) {
            Ok(body) => body,
            Err(invalid) => return Ok(invalid),
        };
        let edited = sqlx::query!(
            "update comment set body = $4, edited_at = now() where project_id = $1 and id = $2 and author_id = $3",
            order.project_id,
            self.comment_id,
            order.actor_id,
            body
        )
        .execute(&mut **transaction)
        .await?;
        Ok(if edited.rows_affected() == 1 { Outcome::done("Changed.") } else { not_yours() })
    }
}

/// Somebody takes a comment of theirs away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct DeleteComment {
    /// The comment.
    pub comment_id: i64,
}

impl Act for DeleteComment {
    fn kind(&self) -> &'static str {
        "delete_comment"
    }

    async fn act(&self, transaction: &mut Transaction<'_, Postgres>, order: &Order) -> Result<Outcome, StoreError> {
        if !may_act(transaction, order).await? {
            return Ok(denied());
        }
        let deleted = sqlx::query!(
            "delete from comment where project_id = $1 and id = $2 and author_id = $3",
            order.project_id,
            self.comment_id,
            order.actor_id
        )
        .execute(&mut **transaction)
        .await?;
        Ok(if deleted.rows_affected() == 1 { Outcome::done("Deleted.") } else { not_yours() })
    }
}

/// What is written, if it is neither nothing nor too much. PostgreSQL keeps no zero bytes.
fn body(text: &str) -> Result<String, Outcome> {
    let body = text.replace('\0', "").trim().to_owned();
    if body.is_empty() {
        return Err(Outcome::ended(CommandStatus::Invalid, "A comment needs some text."));
    }
    if body.chars().count() > COMMENT_CHARS_MAX {
        let told = format!("A comment has at most {COMMENT_CHARS_MAX} characters.");
        return Err(Outcome::ended(CommandStatus::Invalid, told));
    }
    Ok(body)
}

fn not_yours() -> Outcome {
    Outcome::ended(CommandStatus::Missing, "There is no such comment of yours.")
}
