//! Tokens for scripts that people make on pages: of their own, or of a project that they manage.

use serde::Serialize;
use sqlx::{Postgres, Transaction};

use super::accounts::email_of;
use super::projects::{named, unnamed};
use super::{Act, CommandStatus, Order, Outcome, letters, note, role_in_project};
use crate::writer::mail;
use crate::{Role, StoreError, token};

/// Valid tokens of one person, or of one project.
const TOKENS_MAX: i64 = 50;
/// Longest life of a token that ends.
pub const TOKEN_DAYS_MAX: i32 = 3_650;

/// Somebody makes a token: of the order's project, or of their own where that is about none. It is made by the web, which
/// has compared the password and shows it once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CreateToken {
    /// What it is for.
    pub name: String,
    /// What it may do.
    pub scopes: Vec<String>,
    /// Days that it is good for; nothing: until it is revoked.
    pub days: Option<i32>,
    /// SHA-256 of the token.
    #[serde(serialize_with = "super::accounts::hex")]
    pub token_sha256: Vec<u8>,
    /// Where the pages are.
    #[serde(skip)]
    pub public_url: Option<String>,
}

impl Act for CreateToken {
    fn kind(&self) -> &'static str {
        "create_token"
    }

    async fn act(&self, transaction: &mut Transaction<'_, Postgres>, order: &Order) -> Result<Outcome, StoreError> {
        let Some(owner) = Owner::of(transaction, order).await? else {
            return Ok(Outcome::ended(CommandStatus::Denied, "Tokens of a project are made by its owners and admins."));
        };
        let Some(name) = named(&self.name) else { return Ok(unnamed("A token")) };
        let is_known = |scope: &String| token::SCOPES.contains(&scope.as_str());
        if self.scopes.is_empty() || !self.scopes.iter().all(is_known) {
            let told = format!("A token has one or more of the scopes {}.", token::SCOPES.join(", "));
            return Ok(Outcome::ended(CommandStatus::Invalid, told));
        }
        if self.days.is_some_and(|days| !(1..=TOKEN_DAYS_MAX).contains(&days)) {
            let told = format!("A token is good for 1 to {TOKEN_DAYS_MAX} days, or until it is revoked.");
            return Ok(Outcome::ended(CommandStatus::Invalid, told));
        }
        let valid_count = sqlx::query_scalar!(
            r#"select count(*) as "count!" from api_token where (user_id = $1 or project_id = $2)
                   and revoked_at is null and (expires_at is null or expires_at > now())"#,
            owner.user_id,
            owner.project_id
        )
        .fetch_one(&mut **transaction)
        .await?;
        if valid_count >= TOKENS_MAX {
            let told = format!("There are {TOKENS_MAX} valid tokens already: revoke one first.");
            return Ok(Outcome::ended(CommandStatus::Invalid, told));
        }
        let id = sqlx::query_scalar!(
            "insert into api_token (token_sha256, name, user_id, project_id, scopes, expires_at, created_by)
             values ($1, $2, $3, $4, $5, now() + make_interval(days => $6), $7) returning id",
            self.token_sha256,
            name,
            owner.user_id,
            owner.project_id,
            &self.scopes,
            self.days,
            order.actor_id
        )
        .fetch_one(&mut **transaction)
        .await?;
        if let Some(public_url) = &self.public_url {
            let email = email_of(transaction, order.actor_id).await?;
            let mail = letters::token_made(&email, public_url, &name);
            mail::queue(transaction, "account.token_made", None, &mail).await?;
        }
        let about = format!("{name}: {}", self.scopes.join(", "));
        note(transaction, order, owner.organization_id, "token.made", &about).await?;
        Ok(Outcome::done("The token is made.").with_made(id))
    }
}

/// Somebody revokes a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct RevokeToken {
    /// Its number.
    pub token_id: i64,
}

impl Act for RevokeToken {
    fn kind(&self) -> &'static str {
        "revoke_token"
    }

    async fn act(&self, transaction: &mut Transaction<'_, Postgres>, order: &Order) -> Result<Outcome, StoreError> {
        let Some(owner) = Owner::of(transaction, order).await? else {
            return Ok(Outcome::ended(
                CommandStatus::Denied,
                "Tokens of a project are revoked by its owners and admins.",
            ));
        };
        let name = sqlx::query_scalar!(
            "update api_token set revoked_at = now()
             where id = $1 and (user_id = $2 or project_id = $3) and revoked_at is null returning name",
            self.token_id,
            owner.user_id,
            owner.project_id
        )
        .fetch_optional(&mut **transaction)
        .await?;
        let Some(name) = name else {
            return Ok(Outcome::ended(CommandStatus::Missing, "There is no such token, or it was revoked already."));
        };
        note(transaction, order, owner.organization_id, "token.revoked", &name).await?;
        Ok(Outcome::done("The token is revoked."))
    }
}

/// Whose a token is.
struct Owner {
    user_id: Option<i64>,
    project_id: Option<i64>,
    organization_id: Option<i64>,
}

impl Owner {
    /// Whose tokens the order is about, if the actor may make and revoke them.
    async fn of(transaction: &mut Transaction<'_, Postgres>, order: &Order) -> Result<Option<Owner>, StoreError> {
        if order.project_id == 0 {
            let own = Owner { user_id: Some(order.actor_id), project_id: None, organization_id: None };
            return Ok((order.actor_id != 0).then_some(own));
        }
        if !role_in_project(transaction, order).await?.is_some_and(Role::may_manage) {
            return Ok(None);
        }
        let organization_id =
            sqlx::query_scalar!("select organization_id from project where id = $1", order.project_id)
                .fetch_optional(&mut **transaction)
                .await?;
        Ok(Some(Owner { user_id: None, project_id: Some(order.project_id), organization_id }))
    }
}
