//! The outbox: what people are told, written with what it tells about, sent afterwards.
//!
//! A row is claimed for a while in a short transaction, sent outside of it and then finished. A sender that dies
//! leaves a claim that runs out, so every row is sent at least once; its id never changes, so a receiver can tell a repeat.

use std::time::Duration;

use time::OffsetDateTime;
use uuid::Uuid;

use super::{Mail, Writer};
use crate::StoreError;

/// A claimed row of the outbox, ready to be sent.
#[derive(Clone)]
pub struct Delivery {
    /// Stable over all attempts.
    pub id: Uuid,
    /// Where it goes.
    pub destination_id: i64,
    /// What that is: `webhook`, `slack`, ….
    pub destination_kind: String,
    /// Address of the receiver.
    pub url: String,
    /// Key of the signature, where calls are signed.
    pub secret: Option<Vec<u8>>,
    /// What it tells: `group.new`, `group.reopened`, ….
    pub kind: String,
    /// JSON text of the body.
    pub body: String,
    /// 1 for the first attempt.
    pub attempt: i32,
}

impl std::fmt::Debug for Delivery {
    /// Without the secret, the address (which may hold one) and the body.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Delivery")
            .field("id", &self.id)
            .field("kind", &self.kind)
            .field("attempt", &self.attempt)
            .finish_non_exhaustive()
    }
}

/// A claimed mail of the outbox.
#[derive(Clone)]
pub struct MailDelivery {
    /// Stable over all attempts.
    pub id: Uuid,
    /// What it tells: `account.verify`, `group.new`.
    pub kind: String,
    /// When it was written into the outbox.
    pub created_at: OffsetDateTime,
    /// 1 for the first attempt.
    pub attempt: i32,
    body: serde_json::Value,
}

impl MailDelivery {
    /// The mail itself.
    pub fn mail(&self) -> Result<Mail, StoreError> {
        serde_json::from_value(self.body.clone()).map_err(StoreError::NotJson)
    }
}

impl std::fmt::Debug for MailDelivery {
    /// Without what it says and whom it goes to.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MailDelivery")
            .field("id", &self.id)
            .field("kind", &self.kind)
            .field("attempt", &self.attempt)
            .finish_non_exhaustive()
    }
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempted {
    /// The receiver took it.
    Delivered,
    /// Not this time: again after the pause.
    Again(Duration),
    /// The server is not there, whatever was handed to it: again after the pause, and the attempt does not count.
    Uncounted(Duration),
    /// Not this time, and there is no next.
    GaveUp,
}

/// What is written down of an attempt, for people to see.
#[derive(Debug, Clone)]
pub struct AttemptReport {
    /// How it ended.
    pub ended: Attempted,
    /// HTTP status, when there was an answer.
    pub status: Option<u16>,
    /// One line about it, without addresses or secrets.
    pub told: String,
    /// How long it took.
    pub took: Duration,
}

impl Writer {
    /// Claims deliveries that are due, those first that wait for the longest: at most one per destination, only for destinations with
    /// none under way, and at most `of_project_max` under way for a project.
    ///
    /// `claim` must be longer than an attempt may take: it is what a sender that died holds up.
    pub async fn claim_deliveries(
        &self,
        limit: i64,
        of_project_max: i64,
        claim: Duration,
    ) -> Result<Vec<Delivery>, StoreError> {
        let claim_s = claim.as_secs_f64();
        let deliveries = sqlx::query_file_as!(Delivery, "queries/claim_deliveries.sql", limit, claim_s, of_project_max)
            .fetch_all(&self.pool)
            .await?;
        Ok(deliveries)
    }

    /// Writes down how an attempt ended, and when the next one is due. A destination that failed rests,
    /// so that one dead receiver does not take the time of the others.
    pub async fn finish_delivery(
        &self,
        delivery: &Delivery,
        report: &AttemptReport,
        rest: Duration,
    ) -> Result<(), StoreError> {
        let (delivered, again_s) = match report.ended {
            Attempted::Delivered => (true, None),
            Attempted::Again(pause) | Attempted::Uncounted(pause) => (false, Some(pause.as_secs_f64())),
            Attempted::GaveUp => (false, None),
        };
        sqlx::query_file!(
            "queries/finish_delivery.sql",
            delivery.id,
            delivered,
            again_s,
            delivery.destination_id,
            rest.as_secs_f64(),
            delivery.attempt,
            report.status.map(i32::from),
            report.told,
            i32::try_from(report.took.as_millis()).unwrap_or(i32::MAX),
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Claims mails that are due.
    pub async fn claim_mails(&self, limit: i64, claim: Duration) -> Result<Vec<MailDelivery>, StoreError> {
        let mails = sqlx::query_file_as!(MailDelivery, "queries/claim_mails.sql", limit, claim.as_secs_f64())
            .fetch_all(&self.pool)
            .await?;
        Ok(mails)
    }

    /// Writes down how an attempt at a mail ended, and when the next one is due. A mail that was sent or given up loses its body.
    pub async fn finish_mail(&self, delivery: &MailDelivery, report: &AttemptReport) -> Result<(), StoreError> {
        let (delivered, again_s) = match report.ended {
            Attempted::Delivered => (true, None),
            Attempted::Again(pause) | Attempted::Uncounted(pause) => (false, Some(pause.as_secs_f64())),
            Attempted::GaveUp => (false, None),
        };
        sqlx::query_file!(
            "queries/finish_mail.sql",
            delivery.id,
            delivered,
            again_s,
            !matches!(report.ended, Attempted::Uncounted(_)),
            delivery.attempt,
            report.status.map(i32::from),
            report.told,
            i32::try_from(report.took.as_millis()).unwrap_or(i32::MAX),
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }
}
