//! What a project takes out of its notices.

use super::{Opened, ReadError, Reader};

/// A project's own rules.
#[derive(Clone, Debug, Default)]
#[expect(missing_docs, reason = "the fields are the columns")]
pub struct Scrubbing {
    pub fields: Vec<String>,
    pub patterns: Vec<String>,
    /// What becomes of the addresses of people: keep, cut or drop.
    pub ip: String,
    /// 0 where there are none.
    pub version: i32,
}

impl Reader {
    /// The rules of a project, read anew each time: whoever changes them must see what holds.
    pub async fn scrubbing(&self, opened: &Opened) -> Result<Scrubbing, ReadError> {
        let rules = sqlx::query_as!(
            Scrubbing,
            "select fields, patterns, ip, version from project_scrubbing where project_id = $1",
            opened.id()
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(rules.unwrap_or_else(|| Scrubbing { ip: "keep".to_owned(), ..Scrubbing::default() }))
    }
}
