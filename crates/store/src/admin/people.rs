//! People, what they may see, and tokens for scripts.

use time::OffsetDateTime;

use super::Admin;
use super::project::taken;
use crate::token::SCOPES;
use crate::{StoreError, token};

/// Fewest characters of a token that comes from elsewhere.
const TOKEN_CHARS_MIN: usize = 32;

/// Whom a token belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenOwner {
    /// Sees what this person sees.
    User(i64),
    /// Sees this project.
    Project(i64),
}

/// A token that was just made: the only time that it is shown.
#[derive(Debug, Clone, serde::Serialize)]
pub struct NewToken {
    /// Number, by which it can be revoked.
    pub id: i64,
    /// The token.
    pub token: String,
}

/// A valid token, as operators know it: never the token itself.
#[derive(Debug, Clone, serde::Serialize)]
pub struct TokenRow {
    /// Number, by which it can be revoked.
    pub id: i64,
    /// What it is for.
    pub name: String,
    /// What it may do.
    pub scopes: Vec<String>,
    /// Address of the person who it belongs to.
    pub user: Option<String>,
    /// Slug of the project that it belongs to.
    pub project: Option<String>,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// When it ends by itself.
    #[serde(with = "time::serde::rfc3339::option")]
    pub expires_at: Option<OffsetDateTime>,
}

impl Admin {
    /// Makes a user, or gives the one with this address a new password and signs them out everywhere. The hash is a PHC string of argon2id.
    pub async fn create_user(&self, email: &str, name: &str, password_hash: &str) -> Result<i64, StoreError> {
        let email = email.trim().to_lowercase();
        if !email.contains('@') {
            return Err(StoreError::Invalid(format!("`{email}` is not an e-mail address")));
        }
        let mut transaction = self.pool.begin().await?;
        let id = sqlx::query_scalar!(
            "insert into user_account (email, name, password_hash) values ($1, $2, $3)
             on conflict (email) do update set password_hash = excluded.password_hash, session_epoch = user_account.session_epoch + 1
             returning id",
            email,
            name,
            password_hash
        )
        .fetch_one(&mut *transaction)
        .await?;
        end_links(&mut transaction, id).await?;
        transaction.commit().await?;
        Ok(id)
    }

    /// Turns the second factor of a user off, and signs them out everywhere: for who has neither telephone nor recovery codes.
    /// Says whether it was on.
    pub async fn disable_second_factor(&self, email: &str) -> Result<bool, StoreError> {
        let user_id = self.user_id(email).await?;
        let mut transaction = self.pool.begin().await?;
        sqlx::query!("update user_account set session_epoch = session_epoch + 1 where id = $1", user_id)
            .execute(&mut *transaction)
            .await?;
        end_links(&mut transaction, user_id).await?;
        let gone = sqlx::query!("delete from totp where user_id = $1", user_id)
            .execute(&mut *transaction)
            .await?
            .rows_affected();
        transaction.commit().await?;
        Ok(gone == 1)
    }

    /// Makes a user an operator of the installation, or no longer one.
    pub async fn set_operator(&self, email: &str, is_operator: bool) -> Result<(), StoreError> {
        let user_id = self.user_id(email).await?;
        sqlx::query!("update user_account set is_operator = $2 where id = $1", user_id, is_operator)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// The user with this address.
    pub async fn user_id(&self, email: &str) -> Result<i64, StoreError> {
        sqlx::query_scalar!("select id from user_account where email = lower($1)", email.trim())
            .fetch_optional(&self.pool)
            .await?
            .ok_or_else(|| StoreError::Invalid(format!("there is no user `{email}`")))
    }

    /// Lets a user see a project, in a role: `owner`, `admin`, `member` or `viewer`.
    pub async fn add_member(&self, user_id: i64, project_id: i64, role: &str) -> Result<(), StoreError> {
        sqlx::query!(
            "insert into membership (user_id, project_id, role) values ($1, $2, $3)
             on conflict (user_id, project_id) do update set role = excluded.role",
            user_id,
            project_id,
            role
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Lets a user belong to the organization of a slug, in a role: `owner`, `admin`, `member` or `viewer`.
    pub async fn add_organization_member(&self, user_id: i64, slug: &str, role: &str) -> Result<(), StoreError> {
        let organization_id = self.organization_id(Some(slug)).await?;
        sqlx::query!(
            "insert into organization_member (organization_id, user_id, role) values ($1, $2, $3)
             on conflict (organization_id, user_id) do update set role = excluded.role",
            organization_id,
            user_id,
            role
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Makes a token, or takes one that comes from elsewhere. The database keeps its hash only.
    pub async fn create_token(
        &self,
        owner: TokenOwner,
        name: &str,
        scopes: &[String],
        given: Option<String>,
    ) -> Result<NewToken, StoreError> {
        if let Some(unknown) = scopes.iter().find(|scope| !SCOPES.contains(&scope.as_str())) {
            return Err(StoreError::Invalid(format!("there is no scope `{unknown}`: there are {}", SCOPES.join(", "))));
        }
        if given
            .as_ref()
            .is_some_and(|token| token.len() < TOKEN_CHARS_MIN || !token.bytes().all(|b| b.is_ascii_graphic()))
        {
            return Err(StoreError::Invalid(format!(
                "a token has at least {TOKEN_CHARS_MIN} characters of ASCII, and no space"
            )));
        }
        let (user_id, project_id) = match owner {
            TokenOwner::User(id) => (Some(id), None),
            TokenOwner::Project(id) => (None, Some(id)),
        };
        let token = given.unwrap_or_else(token::generate);
        let id = sqlx::query_scalar!(
            "insert into api_token (token_sha256, name, user_id, project_id, scopes) values ($1, $2, $3, $4, $5) returning id",
            &token::sha256(&token),
            name,
            user_id,
            project_id,
            scopes
        )
        .fetch_one(&self.pool)
        .await
        .map_err(|error| taken(error, "this token exists already"))?;
        Ok(NewToken { id, token })
    }

    /// The valid tokens of a person or a project, or of all; newest first.
    pub async fn tokens(&self, owner: Option<TokenOwner>) -> Result<Vec<TokenRow>, StoreError> {
        let (user_id, project_id) = match owner {
            Some(TokenOwner::User(id)) => (Some(id), None),
            Some(TokenOwner::Project(id)) => (None, Some(id)),
            None => (None, None),
        };
        let tokens = sqlx::query_as!(
            TokenRow,
            r#"select t.id, t.name, t.scopes, u.email as "user?", p.slug as "project?", t.created_at, t.expires_at
               from api_token t left join user_account u on u.id = t.user_id left join project p on p.id = t.project_id
               where t.revoked_at is null and (t.expires_at is null or t.expires_at > now())
                   and ($3 or t.user_id = $1 or t.project_id = $2)
               order by t.id desc"#,
            user_id,
            project_id,
            owner.is_none()
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(tokens)
    }

    /// Ends the token of this number, whoever it belongs to, and gives its name.
    pub async fn revoke_token(&self, id: i64) -> Result<String, StoreError> {
        sqlx::query_scalar!(
            "update api_token set revoked_at = now() where id = $1 and revoked_at is null returning name",
            id
        )
        .fetch_optional(&self.pool)
        .await?
        .ok_or_else(|| StoreError::Invalid(format!("there is no valid token {id}")))
    }
}

/// Uses up what mails of an account still lead to.
async fn end_links(transaction: &mut sqlx::Transaction<'_, sqlx::Postgres>, user_id: i64) -> Result<(), StoreError> {
    sqlx::query!("update account_link set used_at = now() where user_id = $1 and used_at is null", user_id)
        .execute(&mut **transaction)
        .await?;
    Ok(())
}
