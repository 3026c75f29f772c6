//! What people do about their accounts.
//!
//! Whoever asks for a link is answered the same whether the address has an account: what differs is in the mail alone.

use serde::{Serialize, Serializer};
use sha2::{Digest as _, Sha256};
use sqlx::{Postgres, Transaction};

use super::{Act, CommandStatus, Order, Outcome, letters, note};
use crate::writer::mail::{self, Mail};
use crate::{StoreError, token};

/// Links that one address is sent within an hour; who asks for more is answered alike, and sent nothing.
const LINKS_PER_HOUR_MAX: i64 = 5;
/// How long a link to a new account leads anywhere.
const SIGN_UP_HOURS: i32 = 24;
/// How long a link to a new password does.
const RESET_HOURS: i32 = 1;

/// Longest address of a person.
pub const EMAIL_CHARS_MAX: usize = 320;

/// What is answered where a mail cannot lead anywhere.
const NO_ADDRESS: &str = "Mail cannot be sent: the operator has not set CROAK_PUBLIC_URL of the workers.";
/// What is answered to who follows a link that is over.
const LINK_IS_OVER: &str = "This link was used already, or is too old. Ask for another.";

/// Who may make an account by the web.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Registration {
    /// Everybody.
    Open,
    /// Who was invited to an organization.
    Invited,
    /// Nobody.
    Closed,
}

/// What somebody who is not signed in wants a link for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkWanted {
    /// To make an account.
    SignUp(Registration),
    /// To choose another password.
    Reset,
}

/// Somebody who is not signed in asks for a link by mail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AskLink {
    /// The address that it goes to.
    pub email: String,
    /// What for.
    pub wanted: LinkWanted,
    /// Where the pages are.
    #[serde(skip)] // the worker's own setting, not what was asked
    pub public_url: Option<String>,
}

impl Act for AskLink {
    fn kind(&self) -> &'static str {
        match self.wanted {
            LinkWanted::SignUp(_) => "sign_up",
            LinkWanted::Reset => "ask_reset",
        }
    }

    async fn act(&self, transaction: &mut Transaction<'_, Postgres>, _: &Order) -> Result<Outcome, StoreError> {
        if self.wanted == LinkWanted::SignUp(Registration::Closed) {
            return Ok(Outcome::ended(CommandStatus::Denied, "Accounts are made by the operator here."));
        }
        let Some(public_url) = &self.public_url else {
            return Ok(Outcome::ended(CommandStatus::Invalid, NO_ADDRESS));
        };
        let Some(email) = address(&self.email) else {
            return Ok(Outcome::ended(CommandStatus::Invalid, "This is not an e-mail address."));
        };
        let asked = sqlx::query!(
            r#"select (select id from user_account where email = $1) as user_id,
                   exists (select from invitation where email = $1 and accepted_at is null and expires_at > now()) as "is_invited!",
                   (select count(*) from account_link where email = $1 and made_at > now() - interval '1 hour') as "link_count!""#,
            email
        )
        .fetch_one(&mut **transaction)
        .await?;
        let told = Outcome::done("A mail is on its way.");
        if asked.link_count >= LINKS_PER_HOUR_MAX {
            return Ok(told);
        }
        let token = token::generate_link();
        let (purpose, hours, kind, mail) = match (self.wanted, asked.user_id) {
            (LinkWanted::SignUp(_), Some(_)) => {
                ("reset", RESET_HOURS, "account.exists", letters::has_account(&email, public_url, &token))
            }
            (LinkWanted::SignUp(registration), None) if registration == Registration::Open || asked.is_invited => {
                ("sign_up", SIGN_UP_HOURS, "account.sign_up", letters::welcome(&email, public_url, &token))
            }
            (LinkWanted::Reset, Some(_)) => {
                ("reset", RESET_HOURS, "account.reset", letters::reset(&email, public_url, &token))
            }
            (LinkWanted::SignUp(_) | LinkWanted::Reset, None) => return Ok(told),
        };
        make_link(transaction, &token, purpose, hours, &email, asked.user_id).await?;
        mail::queue(transaction, kind, None, &mail).await?;
        Ok(told)
    }
}

/// Somebody who followed a link chooses a password; makes the account where the link was for that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SetPassword {
    /// SHA-256 of the link's token.
    #[serde(serialize_with = "hex")]
    pub token_sha256: Vec<u8>,
    /// Argon2id, as a PHC string.
    #[serde(serialize_with = "fingerprint")]
    pub password_hash: String,
    /// Where the pages are.
    #[serde(skip)]
    pub public_url: Option<String>,
}

impl Act for SetPassword {
    fn kind(&self) -> &'static str {
        "set_password"
    }

    /// Tells the account's number as what was made, whether it is new or not.
    async fn act(&self, transaction: &mut Transaction<'_, Postgres>, order: &Order) -> Result<Outcome, StoreError> {
        let followed = sqlx::query!(
            "update account_link set used_at = now()
             where token_sha256 = $1 and purpose in ('sign_up', 'reset') and used_at is null and expires_at > now()
             returning email, user_id",
            self.token_sha256
        )
        .fetch_optional(&mut **transaction)
        .await?;
        let Some(link) = followed else {
            return Ok(Outcome::ended(CommandStatus::Invalid, LINK_IS_OVER));
        };
        let user_id = match link.user_id {
            Some(user_id) => {
                change_password(transaction, user_id, &self.password_hash, self.public_url.as_deref()).await?;
                user_id
            }
            None => {
                let made = sqlx::query_scalar!(
                    "insert into user_account (email, password_hash) values ($1, $2) on conflict (email) do nothing returning id",
                    link.email,
                    self.password_hash
                )
                .fetch_optional(&mut **transaction)
                .await?;
                let Some(user_id) = made else {
                    let told = "There is an account with this address already: sign in, or ask for a new password.";
                    return Ok(Outcome::ended(CommandStatus::Conflict, told));
                };
                user_id
            }
        };
        // What other mails still lead to was asked for before.
        sqlx::query!(
            "update account_link set used_at = now() where email = $1 and used_at is null and purpose in ('sign_up', 'reset')",
            link.email
        )
        .execute(&mut **transaction)
        .await?;
        let kind = if link.user_id.is_some() { "account.password_reset" } else { "account.made" };
        note(transaction, &Order { actor_id: user_id, ..*order }, None, kind, "").await?;
        Ok(Outcome::done("Your password is set.").with_made(user_id))
    }
}

/// Gives an account another password, ends its sessions, and tells its owner by mail.
pub(super) async fn change_password(
    transaction: &mut Transaction<'_, Postgres>,
    user_id: i64,
    password_hash: &str,
    public_url: Option<&str>,
) -> Result<(), StoreError> {
    let email = sqlx::query_scalar!(
        "update user_account set password_hash = $2, session_epoch = session_epoch + 1 where id = $1 returning email",
        user_id,
        password_hash
    )
    .fetch_optional(&mut **transaction)
    .await?;
    if let (Some(email), Some(public_url)) = (email, public_url) {
        let mail: Mail = letters::password_changed(&email, public_url);
        mail::queue(transaction, "account.password_changed", None, &mail).await?;
    }
    Ok(())
}

/// Keeps what a link leads to.
async fn make_link(
    transaction: &mut Transaction<'_, Postgres>,
    token: &str,
    purpose: &str,
    hours: i32,
    email: &str,
    user_id: Option<i64>,
) -> Result<(), StoreError> {
    let sha256 = token::sha256(token);
    sqlx::query!(
        "insert into account_link (token_sha256, purpose, email, user_id, expires_at)
         values ($1, $2, $3, $4, now() + make_interval(hours => $5))",
        sha256.as_slice(),
        purpose,
        email,
        user_id,
        hours
    )
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

/// An e-mail address as accounts have it, if it is one: something on both sides of one @, and nothing that ends a line.
pub(super) fn address(text: &str) -> Option<String> {
    let email = text.trim().to_lowercase();
    let (local, domain) = email.split_once('@')?;
    let is_plain = |part: &str| {
        !part.is_empty() && !part.contains(|c: char| c.is_whitespace() || c.is_control() || "@<>,;\"".contains(c))
    };
    (email.chars().count() <= EMAIL_CHARS_MAX && is_plain(local) && is_plain(domain)).then_some(email)
}

/// Bytes as hex digits, for what `command.args` keeps.
pub(super) fn hex<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    serializer.serialize_str(&text)
}

/// What tells a secret from another without telling the secret.
pub(super) fn fingerprint<S: Serializer>(secret: &str, serializer: S) -> Result<S::Ok, S::Error> {
    hex(&Sha256::digest(secret.as_bytes()), serializer)
}

#[cfg(test)]
mod tests {
    use super::address;

    #[test]
    fn an_address_is_lower_case_and_one() {
        assert_eq!(address(" Ada@Example.org ").as_deref(), Some("ada@example.org"));
        for text in ["", "ada", "@example.org", "ada@", "a@b@c", "a b@c", "a@b\r\nbcc:x@y", "<a@b>", "a@b,c@d"] {
            assert_eq!(address(text), None, "{text}");
        }
    }
}
