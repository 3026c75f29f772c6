//! Mail on its way out: written to the outbox in the transaction of what it tells about.

use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::StoreError;

/// A mail, as the outbox keeps it until it was taken.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mail {
    /// The address that it goes to.
    pub to: String,
    /// One line.
    pub subject: String,
    /// The text, in lines.
    pub text: String,
    /// The same as HTML; mails of one line do without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub html: Option<String>,
    /// What all mails about one matter have in common, as `group-1-17`: readers show them as one thread.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread: Option<String>,
    /// Where one click ends such mails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unsubscribe_url: Option<String>,
}

impl std::fmt::Debug for Mail {
    /// Without what it says: there may be a link in it that opens an account.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mail").field("subject", &self.subject).finish_non_exhaustive()
    }
}

/// Puts a mail into the outbox. `kind` is what it tells, as `account.verify` or `group.new`.
pub(crate) async fn queue(
    connection: &mut PgConnection,
    kind: &str,
    about: Option<(i64, i64)>,
    mail: &Mail,
) -> Result<Uuid, StoreError> {
    let body = serde_json::to_value(mail).map_err(StoreError::NotJson)?;
    let (project_id, group_id) = about.unzip();
    let id = sqlx::query_scalar!(
        "insert into outbox (recipient, project_id, group_id, kind, body) values ($1, $2, $3, $4, $5) returning id",
        mail.to,
        project_id,
        group_id,
        kind,
        body
    )
    .fetch_one(connection)
    .await?;
    Ok(id)
}
