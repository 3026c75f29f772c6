//! Where a project's alerts go, as operators see and make it.

use time::OffsetDateTime;

use super::Admin;
use crate::alert::DestinationKind;
use crate::{StoreError, token};

/// Most lines of the log of deliveries that are shown.
const LOG_MAX: i64 = 100;

/// A destination that was just made: the only time that its secret is shown.
#[derive(Debug, Clone, serde::Serialize)]
pub struct NewDestination {
    /// Number.
    pub id: i64,
    /// The secret in the form of Standard Webhooks: `whsec_` and base64. Chats and mails have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

/// A destination.
#[derive(Debug, Clone, serde::Serialize)]
pub struct DestinationRow {
    /// Number.
    pub id: i64,
    /// `mail`, `webhook`, `slack`, `discord`, `teams`.
    pub kind: String,
    /// What people call it.
    pub name: String,
    /// The server that it is at. The rest of its address may be as good as a password.
    pub host: Option<String>,
    /// Whether it is sent to.
    pub enabled: bool,
    /// Failures in a row.
    pub failure_count: i32,
    /// Until when it rests after a failure.
    #[serde(with = "time::serde::rfc3339::option")]
    pub resting_until: Option<OffsetDateTime>,
    /// What waits for it.
    pub waiting_count: i64,
}

/// A line of the log of deliveries.
#[derive(Debug, Clone, serde::Serialize)]
pub struct DeliveryRow {
    /// When it was attempted.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// What it told.
    pub kind: String,
    /// Which attempt at it this was.
    pub attempt: i32,
    /// What the receiver's server answered.
    pub status: Option<i32>,
    /// The same in words, or why there was no answer.
    pub told: String,
    /// How long it took.
    pub took_ms: i32,
}

impl Admin {
    /// Adds a destination. Mails have no address: they go to the project's members.
    pub async fn create_destination(
        &self,
        project_id: i64,
        kind: DestinationKind,
        name: Option<&str>,
        url: Option<&str>,
    ) -> Result<NewDestination, StoreError> {
        match (kind, url) {
            (DestinationKind::Mail, None) => {}
            (DestinationKind::Mail, Some(_)) => {
                return Err(StoreError::Invalid(
                    "mails go to the members of the project: leave the address away".into(),
                ));
            }
            (_, Some(url)) if url.starts_with("http://") || url.starts_with("https://") => {}
            (..) => return Err(StoreError::Invalid("its address begins with https:// or http://".into())),
        }
        let secret = (kind == DestinationKind::Webhook).then(token::generate_secret);
        let row = sqlx::query!(
            r#"insert into destination (project_id, kind, name, url, secret)
               values ($1, $2, coalesce($3, substring($4 from '^[a-z]+://([^/?#]+)'), 'Members'), $4, $5)
               returning id, encode(secret, 'base64') as secret"#,
            project_id,
            kind.as_str(),
            name,
            url,
            secret.as_ref().map(|secret| &secret[..])
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(NewDestination { id: row.id, secret: row.secret.map(|secret| format!("whsec_{secret}")) })
    }

    /// A project's destinations.
    pub async fn destinations(&self, project_id: i64) -> Result<Vec<DestinationRow>, StoreError> {
        Ok(sqlx::query_as!(
            DestinationRow,
            r#"select id, kind, name, host, enabled, failure_count, resting_until,
                   (select count(*) from outbox o
                       where o.destination_id = d.id and o.done_at is null and o.gave_up_at is null) as "waiting_count!"
               from destination d where project_id = $1 order by id"#,
            project_id
        )
        .fetch_all(&self.pool)
        .await?)
    }

    /// Switches a destination on or off. One that is switched on is tried at once.
    pub async fn enable_destination(&self, id: i64, enabled: bool) -> Result<(), StoreError> {
        let changed = sqlx::query!(
            "update destination set enabled = $2, failure_count = 0, resting_until = null, version = version + 1 where id = $1",
            id,
            enabled
        )
        .execute(&self.pool)
        .await?;
        there_is(id, changed.rows_affected())
    }

    /// Takes a destination away, with what waits for it.
    pub async fn delete_destination(&self, id: i64) -> Result<(), StoreError> {
        let deleted = sqlx::query!("delete from destination where id = $1", id).execute(&self.pool).await?;
        there_is(id, deleted.rows_affected())
    }

    /// Puts a test for a destination into the outbox; how many messages that are.
    pub async fn test_destination(&self, id: i64) -> Result<u64, StoreError> {
        let queued = sqlx::query_file!("queries/test_destination.sql", id, None::<i64>).execute(&self.pool).await?;
        there_is(id, queued.rows_affected())?;
        Ok(queued.rows_affected())
    }

    /// The last attempts at a destination, newest first.
    pub async fn deliveries(&self, destination_id: i64) -> Result<Vec<DeliveryRow>, StoreError> {
        Ok(sqlx::query_as!(
            DeliveryRow,
            "select d.at, o.kind, d.attempt, d.status, d.told, d.took_ms
             from outbox o join delivery d on d.outbox_id = o.id
             where o.destination_id = $1 order by d.id desc limit $2",
            destination_id,
            LOG_MAX
        )
        .fetch_all(&self.pool)
        .await?)
    }
}

fn there_is(id: i64, rows: u64) -> Result<(), StoreError> {
    if rows == 0 {
        return Err(StoreError::Invalid(format!("there is no destination {id}, or nobody whom it reaches")));
    }
    Ok(())
}
