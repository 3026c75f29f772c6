//! Who signs in, and which tokens open what.

use sqlx::types::time::OffsetDateTime;

use super::{ReadError, Reader, Viewer};

/// Somebody who can sign in.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields are the columns")]
pub struct Account {
    pub id: i64,
    pub email: String,
    pub name: String,
    /// Argon2id as a PHC string; nobody without one can sign in by password.
    pub password_hash: Option<String>,
    /// Sessions of an earlier epoch are over.
    pub session_epoch: i32,
    /// Whether they keep the installation running, and see all of it.
    pub is_operator: bool,
}

/// A valid token for scripts.
#[derive(Clone, Debug)]
pub struct Token {
    /// Whose eyes it has.
    pub viewer: Viewer,
    /// What it may do: `read`, ….
    pub scopes: Vec<String>,
}

impl Reader {
    /// The account of an address, which is compared in lower case.
    pub async fn account_by_email(&self, email: &str) -> Result<Option<Account>, ReadError> {
        let account = sqlx::query_as!(
            Account,
            "select id, email, name, password_hash, session_epoch, is_operator from user_account where email = lower($1)",
            email
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(account)
    }

    /// An account by its number.
    pub async fn account(&self, id: i64) -> Result<Option<Account>, ReadError> {
        let account = sqlx::query_as!(
            Account,
            "select id, email, name, password_hash, session_epoch, is_operator from user_account where id = $1",
            id
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(account)
    }

    /// The token with this SHA-256, while it is valid.
    pub async fn token(&self, sha256: &[u8]) -> Result<Option<Token>, ReadError> {
        let row = sqlx::query!(
            r#"select user_id, project_id, scopes from api_token
               where token_sha256 = $1 and revoked_at is null and (expires_at is null or expires_at > now())"#,
            sha256
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.and_then(|row| {
            let viewer = row.user_id.map(Viewer::User).or(row.project_id.map(Viewer::Project))?;
            Some(Token { viewer, scopes: row.scopes })
        }))
    }
}

/// What a link in a mail leads to, while it leads anywhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountLink {
    /// The address that it was sent to.
    pub email: String,
    /// What follows.
    pub purpose: LinkPurpose,
}

/// What a link in a mail is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkPurpose {
    /// A password for a new account.
    SignUp,
    /// Another password.
    Reset,
    /// Another address of the account.
    Email,
}

impl Reader {
    /// The link with this SHA-256 of its token, unless it was used or is too old.
    pub async fn account_link(&self, sha256: &[u8]) -> Result<Option<AccountLink>, ReadError> {
        let row = sqlx::query!(
            "select email, purpose from account_link where token_sha256 = $1 and used_at is null and expires_at > now()",
            sha256
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.map(|row| AccountLink {
            email: row.email,
            purpose: match row.purpose.as_str() {
                "sign_up" => LinkPurpose::SignUp,
                "email" => LinkPurpose::Email,
                _ => LinkPurpose::Reset,
            },
        }))
    }
}

/// A token as its owner sees it: never in clear.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields are the columns")]
pub struct TokenLine {
    pub id: i64,
    pub name: String,
    pub scopes: Vec<String>,
    pub created_at: OffsetDateTime,
    pub expires_at: Option<OffsetDateTime>,
}

/// The second factor of an account.
#[derive(Clone, Debug)]
pub struct SecondFactor {
    /// The secret, sealed.
    pub sealed_secret: Vec<u8>,
    /// Recovery codes that were not used.
    pub codes_left: i64,
}

impl Reader {
    /// The valid tokens of a person or of a project, newest first.
    pub async fn tokens(&self, owner: Viewer) -> Result<Vec<TokenLine>, ReadError> {
        let tokens = sqlx::query_as!(
            TokenLine,
            "select id, name, scopes, created_at, expires_at from api_token
             where (user_id = $1::bigint or project_id = $2::bigint) and revoked_at is null
                 and (expires_at is null or expires_at > now())
             order by id desc",
            owner.user_id(),
            owner.project_id()
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(tokens)
    }

    /// The second factor of an account, if it has one.
    pub async fn second_factor(&self, user_id: i64) -> Result<Option<SecondFactor>, ReadError> {
        let factor = sqlx::query_as!(
            SecondFactor,
            r#"select t.secret as sealed_secret,
                   (select count(*) from recovery_code c where c.user_id = t.user_id and c.used_at is null) as "codes_left!"
               from totp t where t.user_id = $1"#,
            user_id
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(factor)
    }
}
