//! What operators do about dead records.

use serde::Serialize;
use sqlx::{Postgres, Transaction};

use super::{Act, CommandStatus, Order, Outcome, note};
use crate::StoreError;
use crate::dead::{self, DeadNoticeId};

/// An operator has a dead record tried again by the owner of its lane. One that is good now goes into its group; one that is not stays,
/// with the reason of this time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RetryDeadNotice {
    /// The record.
    #[serde(flatten)]
    pub id: DeadNoticeId,
}

impl Act for RetryDeadNotice {
    fn kind(&self) -> &'static str {
        "retry_dead_notice"
    }

    async fn act(&self, transaction: &mut Transaction<'_, Postgres>, order: &Order) -> Result<Outcome, StoreError> {
        if !is_operator(transaction, order).await? {
            return Ok(denied());
        }
        let asked = dead::retry(transaction, self.id).await?;
        let Some(asked) = asked else { return Ok(gone()) };
        note_of(transaction, order, asked.project_id, "dead.retried", &asked.notice_id.to_string()).await?;
        Ok(Outcome::done("It is tried again."))
    }
}

/// Records that one command has tried again; more wait for the next.
const RETRIED_AT_ONCE: i64 = 10_000;

/// An operator has the dead records of a reason tried again, as after an upgrade: ten thousand of them at most.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RetryDeadNotices {
    /// The reason.
    pub reason: String,
}

impl Act for RetryDeadNotices {
    fn kind(&self) -> &'static str {
        "retry_dead_notices"
    }

    async fn act(&self, transaction: &mut Transaction<'_, Postgres>, order: &Order) -> Result<Outcome, StoreError> {
        if !is_operator(transaction, order).await? {
            return Ok(denied());
        }
        let asked = sqlx::query!(
            "update dead_notice set retry_at = now() where ctid in (
                 select ctid from dead_notice where reason = $1 and retry_at is null limit $2)",
            self.reason,
            RETRIED_AT_ONCE
        )
        .execute(&mut **transaction)
        .await?
        .rows_affected();
        note(transaction, order, None, "dead.retried", &format!("{asked} of reason {}", self.reason)).await?;
        Ok(Outcome::done(format!("Tried again: {asked}.")))
    }
}

/// An operator drops a dead record for good. An incident says that it was, so that the sums still tell where it went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DropDeadNotice {
    /// The record.
    #[serde(flatten)]
    pub id: DeadNoticeId,
}

impl Act for DropDeadNotice {
    fn kind(&self) -> &'static str {
        "drop_dead_notice"
    }

    async fn act(&self, transaction: &mut Transaction<'_, Postgres>, order: &Order) -> Result<Outcome, StoreError> {
        if !is_operator(transaction, order).await? {
            return Ok(denied());
        }
        let dropped = dead::drop_for_good(transaction, self.id).await?;
        let Some(dropped) = dropped else { return Ok(gone()) };
        note_of(transaction, order, dropped.project_id, "dead.dropped", &dropped.notice_id.to_string()).await?;
        Ok(Outcome::done("Dropped."))
    }
}

/// Whether the actor keeps the installation running.
async fn is_operator(transaction: &mut Transaction<'_, Postgres>, order: &Order) -> Result<bool, StoreError> {
    let is_one = sqlx::query_scalar!("select is_operator from user_account where id = $1", order.actor_id)
        .fetch_optional(&mut **transaction)
        .await?;
    Ok(is_one.unwrap_or(false))
}

/// Writes into the audit log of the project's organization what an operator did with a record of it.
async fn note_of(
    transaction: &mut Transaction<'_, Postgres>,
    order: &Order,
    project_id: i64,
    kind: &str,
    about: &str,
) -> Result<(), StoreError> {
    let organization_id = sqlx::query_scalar!("select organization_id from project where id = $1", project_id)
        .fetch_optional(&mut **transaction)
        .await?;
    // The record may have outlived its project.
    let project_id = organization_id.map_or(0, |_| project_id);
    note(transaction, &Order { project_id, ..*order }, organization_id, kind, about).await
}

fn denied() -> Outcome {
    Outcome::ended(CommandStatus::Denied, "Only operators of this installation may do this.")
}

fn gone() -> Outcome {
    Outcome::ended(CommandStatus::Missing, "It is no longer here: it is stored by now, or was dropped.")
}
