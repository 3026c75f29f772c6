//! The second factor: codes of RFC 6238, and recovery codes.
//!
//! The web holds the key by which secrets are sealed, so it compares codes; that each is taken once is decided here.

use serde::Serialize;
use sqlx::{Postgres, Transaction};

use super::{Act, CommandStatus, Order, Outcome, note};
use crate::StoreError;

/// Recovery codes of one account.
pub const RECOVERY_CODES: usize = 10;

/// Somebody turns the second factor on, or draws other recovery codes for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EnableTotp {
    /// The secret, sealed by the web.
    #[serde(skip)] // also sealed it belongs into one table alone
    pub sealed_secret: Vec<u8>,
    /// The step of the code by which it was tried: it is used up.
    pub step: i64,
    /// SHA-256 of each recovery code.
    #[serde(skip)]
    pub recovery_sha256: Vec<Vec<u8>>,
}

impl Act for EnableTotp {
    fn kind(&self) -> &'static str {
        "enable_totp"
    }

    async fn act(&self, transaction: &mut Transaction<'_, Postgres>, order: &Order) -> Result<Outcome, StoreError> {
        if self.recovery_sha256.len() != RECOVERY_CODES {
            return Ok(Outcome::ended(CommandStatus::Invalid, format!("There are {RECOVERY_CODES} recovery codes.")));
        }
        let is_new = sqlx::query!(
            "insert into totp (user_id, secret, last_step) values ($1, $2, $3) on conflict (user_id) do nothing",
            order.actor_id,
            self.sealed_secret,
            self.step
        )
        .execute(&mut **transaction)
        .await?
        .rows_affected()
            == 1;
        if !is_new {
            return Ok(Outcome::ended(CommandStatus::Conflict, "It is on already: turn it off first."));
        }
        sqlx::query!(
            "insert into recovery_code (user_id, code_sha256) select $1, code from unnest($2::bytea[]) code",
            order.actor_id,
            &self.recovery_sha256
        )
        .execute(&mut **transaction)
        .await?;
        note(transaction, order, None, "account.second_factor_on", "").await?;
        Ok(Outcome::done("The second factor is on."))
    }
}

/// Somebody turns the second factor off; the web has compared the password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct DisableTotp {}

impl Act for DisableTotp {
    fn kind(&self) -> &'static str {
        "disable_totp"
    }

    async fn act(&self, transaction: &mut Transaction<'_, Postgres>, order: &Order) -> Result<Outcome, StoreError> {
        sqlx::query!("delete from totp where user_id = $1", order.actor_id).execute(&mut **transaction).await?;
        note(transaction, order, None, "account.second_factor_off", "").await?;
        Ok(Outcome::done("The second factor is off."))
    }
}

/// Somebody who knows the password shows a code that the web found right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct UseTotp {
    /// Whose it is.
    pub user_id: i64,
    /// The step that the code belongs to.
    pub step: i64,
}

impl Act for UseTotp {
    fn kind(&self) -> &'static str {
        "use_totp"
    }

    async fn act(&self, transaction: &mut Transaction<'_, Postgres>, _: &Order) -> Result<Outcome, StoreError> {
        let used = sqlx::query!(
            "update totp set last_step = $2 where user_id = $1 and last_step < $2",
            self.user_id,
            self.step
        )
        .execute(&mut **transaction)
        .await?
        .rows_affected();
        Ok(taken(used))
    }
}

/// Somebody who knows the password shows a recovery code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UseRecoveryCode {
    /// Whose it is.
    pub user_id: i64,
    /// SHA-256 of the code.
    #[serde(serialize_with = "super::accounts::hex")]
    pub code_sha256: Vec<u8>,
}

impl Act for UseRecoveryCode {
    fn kind(&self) -> &'static str {
        "use_recovery_code"
    }

    async fn act(&self, transaction: &mut Transaction<'_, Postgres>, order: &Order) -> Result<Outcome, StoreError> {
        let used = sqlx::query!(
            "update recovery_code set used_at = now() where user_id = $1 and code_sha256 = $2 and used_at is null",
            self.user_id,
            self.code_sha256
        )
        .execute(&mut **transaction)
        .await?
        .rows_affected();
        if used == 1 {
            note(transaction, &Order { actor_id: self.user_id, ..*order }, None, "account.recovery_code_used", "")
                .await?;
        }
        Ok(taken(used))
    }
}

fn taken(used: u64) -> Outcome {
    match used {
        0 => Outcome::ended(CommandStatus::Denied, "This code is wrong, or was used already."),
        _ => Outcome::done("The code is taken."),
    }
}
