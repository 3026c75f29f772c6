//! The second factor: codes of RFC 6238, and recovery codes.
//!
//! The web holds the key by which secrets are sealed, so it compares codes; that each is taken once is decided here.

use serde::{Serialize, Serializer};
use sha2::{Digest as _, Sha256};
use sqlx::{Postgres, Transaction};

use super::accounts::{email_of, hex, sign_out};
use super::{Act, CommandStatus, Order, Outcome, letters, note};
use crate::StoreError;
use crate::writer::mail;

/// Recovery codes of one account.
pub const RECOVERY_CODES: usize = 10;
/// Wrong codes within a day that are answered at once. Each further one is followed by a longer pause.
const WRONG_CODES_MAX: i32 = 10;
/// How much longer each pause is than the one before, and the longest, in minutes.
const PAUSE_MINUTES: i32 = 10;
const PAUSE_MINUTES_MAX: i32 = 60;

/// Somebody turns the second factor on; the web has compared the password. It ends all sessions: others knew it, too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EnableTotp {
    /// The secret, sealed by the web.
    #[serde(serialize_with = "sum")] // also sealed it belongs into one table alone
    pub sealed_secret: Vec<u8>,
    /// The step of the code by which it was tried: it is used up.
    pub step: i64,
    /// SHA-256 of each recovery code.
    #[serde(serialize_with = "sum_of_all")]
    pub recovery_sha256: Vec<Vec<u8>>,
    /// Where the pages are.
    #[serde(skip)] // the worker's own setting, not what was asked
    pub public_url: Option<String>,
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
        sign_out(transaction, order.actor_id).await?;
        if let Some(public_url) = &self.public_url {
            let email = email_of(transaction, order.actor_id).await?;
            let mail = letters::second_factor_on(&email, public_url);
            mail::queue(transaction, "account.second_factor_on", None, &mail).await?;
        }
        note(transaction, order, None, "account.second_factor_on", "").await?;
        Ok(Outcome::done("The second factor is on."))
    }
}

/// Somebody turns the second factor off; the web has compared the password.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DisableTotp {
    /// Where the pages are.
    #[serde(skip)]
    pub public_url: Option<String>,
}

impl Act for DisableTotp {
    fn kind(&self) -> &'static str {
        "disable_totp"
    }

    async fn act(&self, transaction: &mut Transaction<'_, Postgres>, order: &Order) -> Result<Outcome, StoreError> {
        let gone = sqlx::query!("delete from totp where user_id = $1", order.actor_id)
            .execute(&mut **transaction)
            .await?
            .rows_affected();
        if let Some(public_url) = self.public_url.as_ref().filter(|_| gone == 1) {
            let email = email_of(transaction, order.actor_id).await?;
            let mail = letters::second_factor_off(&email, public_url);
            mail::queue(transaction, "account.second_factor_off", None, &mail).await?;
        }
        note(transaction, order, None, "account.second_factor_off", "").await?;
        Ok(Outcome::done("The second factor is off."))
    }
}

/// Somebody who knows the password shows a code that the web found right.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UseTotp {
    /// Whose it is.
    pub user_id: i64,
    /// The step that the code belongs to.
    pub step: i64,
    /// Where the pages are.
    #[serde(skip)]
    pub public_url: Option<String>,
}

impl Act for UseTotp {
    fn kind(&self) -> &'static str {
        "use_totp"
    }

    async fn act(&self, transaction: &mut Transaction<'_, Postgres>, _: &Order) -> Result<Outcome, StoreError> {
        if let Some(paused) = paused(transaction, self.user_id).await? {
            return Ok(paused);
        }
        let used = sqlx::query!(
            "update totp set last_step = $2 where user_id = $1 and last_step < $2",
            self.user_id,
            self.step
        )
        .execute(&mut **transaction)
        .await?
        .rows_affected();
        counted(transaction, self.user_id, used == 1, self.public_url.as_deref()).await
    }
}

/// Somebody who knows the password shows a recovery code, or what is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UseRecoveryCode {
    /// Whose it is.
    pub user_id: i64,
    /// SHA-256 of the code.
    #[serde(serialize_with = "hex")]
    pub code_sha256: Vec<u8>,
    /// Where the pages are.
    #[serde(skip)]
    pub public_url: Option<String>,
}

impl Act for UseRecoveryCode {
    fn kind(&self) -> &'static str {
        "use_recovery_code"
    }

    async fn act(&self, transaction: &mut Transaction<'_, Postgres>, order: &Order) -> Result<Outcome, StoreError> {
        if let Some(paused) = paused(transaction, self.user_id).await? {
            return Ok(paused);
        }
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
            if let Some(public_url) = &self.public_url {
                let codes_left = sqlx::query_scalar!(
                    r#"select count(*) as "count!" from recovery_code where user_id = $1 and used_at is null"#,
                    self.user_id
                )
                .fetch_one(&mut **transaction)
                .await?;
                let email = email_of(transaction, self.user_id).await?;
                let mail = letters::recovery_code_used(&email, public_url, codes_left);
                mail::queue(transaction, "account.recovery_code_used", None, &mail).await?;
            }
        }
        counted(transaction, self.user_id, used == 1, self.public_url.as_deref()).await
    }
}

/// What is answered, also to who shows the right code, while too many wrong ones were shown a moment ago. Whichever web they
/// are shown to, and how many at once: here they come one after the other.
async fn paused(transaction: &mut Transaction<'_, Postgres>, user_id: i64) -> Result<Option<Outcome>, StoreError> {
    let minutes = sqlx::query_scalar!(
        r#"select case when failed_count >= $2
               then least((failed_count - $2 + 1) * $3, $4) + ceil(extract(epoch from failed_at - now()) / 60)::int
               else 0 end as "minutes!"
           from totp where user_id = $1 for update"#,
        user_id,
        WRONG_CODES_MAX,
        PAUSE_MINUTES,
        PAUSE_MINUTES_MAX
    )
    .fetch_optional(&mut **transaction)
    .await?;
    Ok(minutes.filter(|minutes| *minutes > 0).map(|minutes| {
        let told = format!("Too many wrong codes. Please wait {minutes} minutes and try again.");
        Outcome::ended(CommandStatus::Denied, told)
    }))
}

/// Counts a wrong code, or forgets those before a right one; tells the owner by mail when they are many.
async fn counted(
    transaction: &mut Transaction<'_, Postgres>,
    user_id: i64,
    is_right: bool,
    public_url: Option<&str>,
) -> Result<Outcome, StoreError> {
    if is_right {
        sqlx::query!("update totp set failed_count = 0 where user_id = $1 and failed_count > 0", user_id)
            .execute(&mut **transaction)
            .await?;
        return Ok(Outcome::done("The code is taken."));
    }
    let failed_count = sqlx::query_scalar!(
        "update totp set failed_at = now(),
             failed_count = case when failed_at > now() - interval '1 day' then failed_count + 1 else 1 end
         where user_id = $1 returning failed_count",
        user_id
    )
    .fetch_optional(&mut **transaction)
    .await?;
    if let (Some(WRONG_CODES_MAX), Some(public_url)) = (failed_count, public_url) {
        let email = email_of(transaction, user_id).await?;
        let mail = letters::codes_guessed(&email, public_url, WRONG_CODES_MAX);
        mail::queue(transaction, "account.codes_guessed", None, &mail).await?;
    }
    Ok(Outcome::ended(CommandStatus::Denied, "This code is wrong, or was used already."))
}

/// What tells bytes from others without telling them, for what `command.args` keeps.
fn sum<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    hex(&Sha256::digest(bytes), serializer)
}

fn sum_of_all<S: Serializer>(sums: &[Vec<u8>], serializer: S) -> Result<S::Ok, S::Error> {
    sum(&sums.concat(), serializer)
}
