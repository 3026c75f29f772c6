//! What people wrote about groups, and who can be assigned to them.

use sqlx::types::time::OffsetDateTime;

use super::{Opened, ReadError, Reader};

/// Longest comment, in characters of Markdown.
pub const COMMENT_CHARS_MAX: usize = 10_000;

/// The most comments that a page shows.
const COMMENTS_MAX: i64 = 500;
/// The most people that a form offers.
const MEMBERS_MAX: i64 = 500;

/// What somebody wrote about a group.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields are the columns")]
pub struct Comment {
    pub id: i64,
    pub author_id: i64,
    /// Nobody, when the account was deleted.
    pub author: Option<String>,
    /// Markdown.
    pub body: String,
    pub at: OffsetDateTime,
    pub edited_at: Option<OffsetDateTime>,
}

/// Somebody who belongs to a project.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are the columns")]
pub struct Member {
    pub id: i64,
    pub name: String,
}

impl Reader {
    /// What people wrote about a group and about those that were merged into it, oldest first.
    pub async fn comments(&self, opened: &Opened, group_id: i64) -> Result<Vec<Comment>, ReadError> {
        let comments = sqlx::query_file_as!(Comment, "queries/read_comments.sql", opened.id(), group_id, COMMENTS_MAX)
            .fetch_all(&self.pool)
            .await?;
        Ok(comments)
    }

    /// Who can be assigned to the groups of a project, by name.
    pub async fn assignable(&self, opened: &Opened) -> Result<Vec<Member>, ReadError> {
        let members = sqlx::query_as!(
            Member,
            r#"select u.id, coalesce(nullif(u.name, ''), u.email) as "name!"
               from project_access m join user_account u on u.id = m.user_id
               where m.project_id = $1 order by 2, 1 limit $2"#,
            opened.id(),
            MEMBERS_MAX
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(members)
    }
}
