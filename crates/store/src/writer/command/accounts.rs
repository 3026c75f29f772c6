//! What people do about their accounts.
//!
//! Whoever asks for a link is answered the same whether the address has an account: what differs is in the mail alone.

use serde::{Serialize, Serializer};
use sha2::{Digest as _, Sha256};
use sqlx::{Postgres, Transaction};

use super::projects::{named, unnamed};
use super::{Act, CommandStatus, Order, Outcome, letters, note};
use crate::writer::mail;
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
                   (select count(*) from account_link
                       where email = $1 and purpose <> 'email' and made_at > now() - interval '1 hour') as "link_count!""#,
            email
        )
        .fetch_one(&mut **transaction)
        .await?;
        let told = Outcome::done("A mail is on its way.");
        // Links by which others want the address for their own account are not counted: they would keep its owner out.
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
        in_turn(transaction, &self.token_sha256).await?;
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
                // Whoever had the account may have left themselves other ways in.
                revoke_own(transaction, user_id).await?;
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

/// Somebody chooses another password; the web has compared the one before. It ends all sessions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChangePassword {
    /// Argon2id, as a PHC string.
    #[serde(serialize_with = "fingerprint")]
    pub password_hash: String,
    /// Whether their tokens and feeds end with it.
    pub revokes_tokens: bool,
    /// Where the pages are.
    #[serde(skip)]
    pub public_url: Option<String>,
}

impl Act for ChangePassword {
    fn kind(&self) -> &'static str {
        "change_password"
    }

    async fn act(&self, transaction: &mut Transaction<'_, Postgres>, order: &Order) -> Result<Outcome, StoreError> {
        change_password(transaction, order.actor_id, &self.password_hash, self.public_url.as_deref()).await?;
        if self.revokes_tokens {
            revoke_own(transaction, order.actor_id).await?;
        }
        note(transaction, order, None, "account.password_changed", "").await?;
        Ok(Outcome::done("Your password is changed."))
    }
}

/// Somebody chooses what others call them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChangeName {
    /// The name; empty for none.
    pub name: String,
}

impl Act for ChangeName {
    fn kind(&self) -> &'static str {
        "change_name"
    }

    async fn act(&self, transaction: &mut Transaction<'_, Postgres>, order: &Order) -> Result<Outcome, StoreError> {
        let name = if self.name.trim().is_empty() { Some(String::new()) } else { named(&self.name) };
        let Some(name) = name else { return Ok(unnamed("A person")) };
        sqlx::query!("update user_account set name = $2 where id = $1", order.actor_id, name)
            .execute(&mut **transaction)
            .await?;
        Ok(Outcome::done("Your name is changed."))
    }
}

/// Somebody wants another address: it is told by a link to the new one, and a notice to the old one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AskEmail {
    /// The new address.
    pub email: String,
    /// Where the pages are.
    #[serde(skip)]
    pub public_url: Option<String>,
}

impl Act for AskEmail {
    fn kind(&self) -> &'static str {
        "ask_email"
    }

    async fn act(&self, transaction: &mut Transaction<'_, Postgres>, order: &Order) -> Result<Outcome, StoreError> {
        let Some(public_url) = &self.public_url else {
            return Ok(Outcome::ended(CommandStatus::Invalid, NO_ADDRESS));
        };
        let Some(email) = address(&self.email) else {
            return Ok(Outcome::ended(CommandStatus::Invalid, "This is not an e-mail address."));
        };
        let asked = sqlx::query!(
            r#"select u.email, exists (select from user_account where email = $2) as "is_taken!",
                   (select count(*) from account_link where user_id = $1 and purpose = 'email'
                       and made_at > now() - interval '1 hour') as "link_count!",
                   (select count(*) from account_link where email = $2 and made_at > now() - interval '1 hour') as "mail_count!"
               from user_account u where u.id = $1"#,
            order.actor_id,
            email
        )
        .fetch_optional(&mut **transaction)
        .await?;
        let Some(asked) = asked else {
            return Ok(Outcome::ended(CommandStatus::Missing, "There is no such account."));
        };
        if asked.link_count < LINKS_PER_HOUR_MAX {
            // An address that has an account is sent nothing, and the answer does not tell; nor does how often may be asked, so the
            // link is made all the same.
            let token = token::generate_link();
            make_link(transaction, &token, "email", SIGN_UP_HOURS, &email, Some(order.actor_id)).await?;
            if !asked.is_taken && asked.mail_count < LINKS_PER_HOUR_MAX {
                let mail = letters::new_address(&email, public_url, &token);
                mail::queue(transaction, "account.new_address", None, &mail).await?;
            }
            let mail = letters::address_leaves(&asked.email, public_url);
            mail::queue(transaction, "account.address_leaves", None, &mail).await?;
            note(transaction, order, None, "account.address_asked", "").await?;
        }
        Ok(Outcome::done("A mail with a link is on its way to the new address."))
    }
}

/// Who followed the link to a new address confirms it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConfirmEmail {
    /// SHA-256 of the link's token.
    #[serde(serialize_with = "hex")]
    pub token_sha256: Vec<u8>,
    /// Where the pages are.
    #[serde(skip)]
    pub public_url: Option<String>,
}

impl Act for ConfirmEmail {
    fn kind(&self) -> &'static str {
        "confirm_email"
    }

    async fn act(&self, transaction: &mut Transaction<'_, Postgres>, order: &Order) -> Result<Outcome, StoreError> {
        in_turn(transaction, &self.token_sha256).await?;
        let followed = sqlx::query!(
            r#"update account_link set used_at = now()
               where token_sha256 = $1 and purpose = 'email' and used_at is null and expires_at > now()
               returning email, user_id as "user_id!""#,
            self.token_sha256
        )
        .fetch_optional(&mut **transaction)
        .await?;
        let Some(link) = followed else {
            return Ok(Outcome::ended(CommandStatus::Invalid, LINK_IS_OVER));
        };
        let left = sqlx::query_scalar!(
            "update user_account u set email = $2 from user_account before
             where u.id = $1 and before.id = u.id and not exists (select from user_account where email = $2)
             returning before.email",
            link.user_id,
            link.email
        )
        .fetch_optional(&mut **transaction)
        .await?;
        let Some(left) = left else {
            let told = "There is another account with this address.";
            return Ok(Outcome::ended(CommandStatus::Conflict, told));
        };
        // What was sent to the old address leads nowhere any more.
        end_links(transaction, link.user_id).await?;
        if let Some(public_url) = &self.public_url {
            let mail = letters::address_changed(&left, public_url);
            mail::queue(transaction, "account.address_changed", None, &mail).await?;
        }
        note(transaction, &Order { actor_id: link.user_id, ..*order }, None, "account.address_changed", "").await?;
        Ok(Outcome::done("Your address is changed."))
    }
}

/// Somebody ends all their sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct SignOutEverywhere {
    /// Whether their tokens and feeds end as well.
    pub revokes_tokens: bool,
}

impl Act for SignOutEverywhere {
    fn kind(&self) -> &'static str {
        "sign_out_everywhere"
    }

    async fn act(&self, transaction: &mut Transaction<'_, Postgres>, order: &Order) -> Result<Outcome, StoreError> {
        sign_out(transaction, order.actor_id).await?;
        if self.revokes_tokens {
            revoke_own(transaction, order.actor_id).await?;
        }
        note(transaction, order, None, "account.signed_out_everywhere", "").await?;
        Ok(Outcome::done("You are signed out everywhere."))
    }
}

/// Somebody deletes their account. Who alone owns an organization that has others or projects names another owner first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct DeleteAccount {}

impl Act for DeleteAccount {
    fn kind(&self) -> &'static str {
        "delete_account"
    }

    async fn act(&self, transaction: &mut Transaction<'_, Postgres>, order: &Order) -> Result<Outcome, StoreError> {
        // One change of an organization's owners at a time: two of them must not both go because there is the other. What is asked
        // after this lock is as whoever had it left it.
        sqlx::query!(
            "select o.id from organization_member mine join organization o on o.id = mine.organization_id
             where mine.user_id = $1 and mine.role = 'owner' order by o.id for update of o",
            order.actor_id
        )
        .fetch_all(&mut **transaction)
        .await?;
        let owned = sqlx::query!(
            r#"select o.id, o.name,
                   exists (select from organization_member m where m.organization_id = o.id and m.user_id <> $1) as "has_others!",
                   exists (select from project p where p.organization_id = o.id and p.deleted_at is null) as "has_projects!"
               from organization_member mine join organization o on o.id = mine.organization_id
               where mine.user_id = $1 and mine.role = 'owner'
                   and not exists (select from organization_member m
                       where m.organization_id = o.id and m.user_id <> $1 and m.role = 'owner')
               order by o.id"#,
            order.actor_id
        )
        .fetch_all(&mut **transaction)
        .await?;
        if let Some(held) = owned.iter().find(|owned| owned.has_others || owned.has_projects) {
            let told = format!("Nobody else owns {}: name another owner first, or delete its projects.", held.name);
            return Ok(Outcome::ended(CommandStatus::Invalid, told));
        }
        note(transaction, order, None, "account.deleted", "").await?;
        // Afterwards nobody can tell whose they were.
        sqlx::query!(
            "update api_token set revoked_at = now() where created_by = $1 and project_id is not null and revoked_at is null",
            order.actor_id
        )
        .execute(&mut **transaction)
        .await?;
        sqlx::query!("delete from invitation where invited_by = $1 and accepted_at is null", order.actor_id)
            .execute(&mut **transaction)
            .await?;
        sqlx::query!("delete from user_account where id = $1", order.actor_id).execute(&mut **transaction).await?;
        let empty: Vec<i64> = owned.iter().map(|owned| owned.id).collect();
        // One whose deleted projects housekeep has not taken away yet stays, and belongs to nobody.
        sqlx::query!(
            "delete from organization o where id = any($1) and id <> 1
                 and not exists (select from project p where p.organization_id = o.id)",
            &empty
        )
        .execute(&mut **transaction)
        .await?;
        Ok(Outcome::done("Your account is deleted."))
    }
}

/// Gives an account another password, ends its sessions and links, and tells its owner by mail.
pub(super) async fn change_password(
    transaction: &mut Transaction<'_, Postgres>,
    user_id: i64,
    password_hash: &str,
    public_url: Option<&str>,
) -> Result<(), StoreError> {
    sign_out(transaction, user_id).await?;
    let email = sqlx::query_scalar!(
        "update user_account set password_hash = $2 where id = $1 returning email",
        user_id,
        password_hash
    )
    .fetch_optional(&mut **transaction)
    .await?;
    if let (Some(email), Some(public_url)) = (email, public_url) {
        let mail = letters::password_changed(&email, public_url);
        mail::queue(transaction, "account.password_changed", None, &mail).await?;
    }
    Ok(())
}

/// Ends the sessions of an account, and what mails still lead to: whoever had it may have asked for another address.
pub(super) async fn sign_out(transaction: &mut Transaction<'_, Postgres>, user_id: i64) -> Result<(), StoreError> {
    // The same turn as who follows a link takes.
    sqlx::query!(
        "select pg_advisory_xact_lock(hashtextextended('croak account ' || email, 0)) from user_account where id = $1",
        user_id
    )
    .fetch_optional(&mut **transaction)
    .await?;
    sqlx::query!("update user_account set session_epoch = session_epoch + 1 where id = $1", user_id)
        .execute(&mut **transaction)
        .await?;
    end_links(transaction, user_id).await
}

/// Uses up every link that was mailed for an account.
async fn end_links(transaction: &mut Transaction<'_, Postgres>, user_id: i64) -> Result<(), StoreError> {
    sqlx::query!("update account_link set used_at = now() where user_id = $1 and used_at is null", user_id)
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

/// Ends somebody's own tokens and feeds.
async fn revoke_own(transaction: &mut Transaction<'_, Postgres>, user_id: i64) -> Result<(), StoreError> {
    sqlx::query!("update api_token set revoked_at = now() where user_id = $1 and revoked_at is null", user_id)
        .execute(&mut **transaction)
        .await?;
    sqlx::query!("delete from feed where user_id = $1", user_id).execute(&mut **transaction).await?;
    Ok(())
}

/// Waits for who follows another link of the same person: each uses up the others, and two would wait for each other.
async fn in_turn(transaction: &mut Transaction<'_, Postgres>, token_sha256: &[u8]) -> Result<(), StoreError> {
    sqlx::query!(
        "select pg_advisory_xact_lock(hashtextextended('croak account ' || coalesce(u.email, l.email), 0))
         from account_link l left join user_account u on u.id = l.user_id where l.token_sha256 = $1",
        token_sha256
    )
    .fetch_optional(&mut **transaction)
    .await?;
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

/// The address of an account; empty when there is none.
pub(super) async fn email_of(transaction: &mut Transaction<'_, Postgres>, user_id: i64) -> Result<String, StoreError> {
    let email = sqlx::query_scalar!("select email from user_account where id = $1", user_id)
        .fetch_optional(&mut **transaction)
        .await?;
    Ok(email.unwrap_or_default())
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
