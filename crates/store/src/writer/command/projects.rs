//! What people do about projects: make, change, delete them, and their keys.

use serde::Serialize;
use sqlx::{Postgres, Transaction};

use super::{Act, CommandStatus, Order, Outcome, note, role_in_organization};
use crate::{Role, StoreError, slug, token};

/// Longest name of a project or an organization, in characters.
pub const NAME_CHARS_MAX: usize = 100;
/// Organizations that one person may own.
const ORGANIZATIONS_OF_ONE_MAX: i64 = 10;
/// Projects of one organization.
const PROJECTS_MAX: i64 = 1_000;

/// Somebody makes a project, with its first key; and the organization that it is to belong to, where there is none yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CreateProject {
    /// Whose it is to be, or 0: a new organization's.
    pub organization_id: i64,
    /// The name of a new organization.
    pub organization_name: String,
    /// What people call it.
    pub name: String,
}

impl Act for CreateProject {
    fn kind(&self) -> &'static str {
        "create_project"
    }

    async fn act(&self, transaction: &mut Transaction<'_, Postgres>, order: &Order) -> Result<Outcome, StoreError> {
        let Some(name) = named(&self.name) else { return Ok(unnamed("The project")) };
        let organization_id = if self.organization_id == 0 {
            match create_organization(transaction, order, &self.organization_name).await? {
                Ok(organization_id) => organization_id,
                Err(outcome) => return Ok(outcome),
            }
        } else {
            self.organization_id
        };
        if !role_in_organization(transaction, order.actor_id, organization_id).await?.is_some_and(Role::may_manage) {
            let told = "Projects are made by owners and admins of the organization.";
            return Ok(Outcome::ended(CommandStatus::Denied, told));
        }
        let project_count = sqlx::query_scalar!(
            r#"select count(*) as "count!" from project where organization_id = $1 and deleted_at is null"#,
            organization_id
        )
        .fetch_one(&mut **transaction)
        .await?;
        if project_count >= PROJECTS_MAX {
            let told = format!("An organization has at most {PROJECTS_MAX} projects.");
            return Ok(Outcome::ended(CommandStatus::Invalid, told));
        }
        let Some(project_id) = insert_project(transaction, organization_id, &name).await? else {
            return Ok(Outcome::ended(
                CommandStatus::Invalid,
                "There are too many projects of this name: choose another.",
            ));
        };
        sqlx::query!("insert into project_key (key, project_id) values ($1, $2)", token::generate_key(), project_id)
            .execute(&mut **transaction)
            .await?;
        let order = Order { project_id, ..*order };
        note(transaction, &order, Some(organization_id), "project.made", &name).await?;
        Ok(Outcome::done(format!("{name} is made.")).with_made(project_id))
    }
}

/// Makes a project under a short name that is free.
async fn insert_project(
    transaction: &mut Transaction<'_, Postgres>,
    organization_id: i64,
    name: &str,
) -> Result<Option<i64>, StoreError> {
    for slug in slug::candidates(name, "project") {
        let made = sqlx::query_scalar!(
            "insert into project (slug, name, organization_id) values ($1, $2, $3) on conflict (slug) do nothing returning id",
            slug,
            name,
            organization_id
        )
        .fetch_optional(&mut **transaction)
        .await?;
        if made.is_some() {
            return Ok(made);
        }
    }
    Ok(None)
}

/// Makes an organization that the actor owns; or says why not.
pub(super) async fn create_organization(
    transaction: &mut Transaction<'_, Postgres>,
    order: &Order,
    name: &str,
) -> Result<Result<i64, Outcome>, StoreError> {
    let Some(name) = named(name) else { return Ok(Err(unnamed("The organization"))) };
    // Waits for who makes another for the same person at this moment: what is counted then stays.
    let actor = sqlx::query_scalar!("select id from user_account where id = $1 for no key update", order.actor_id)
        .fetch_optional(&mut **transaction)
        .await?;
    if actor.is_none() {
        return Ok(Err(Outcome::ended(CommandStatus::Denied, "Sign in to make an organization.")));
    }
    let owned_count = sqlx::query_scalar!(
        r#"select count(*) as "count!" from organization_member where user_id = $1 and role = 'owner'"#,
        order.actor_id
    )
    .fetch_one(&mut **transaction)
    .await?;
    if owned_count >= ORGANIZATIONS_OF_ONE_MAX {
        let told = format!("You own {owned_count} organizations; nobody owns more than {ORGANIZATIONS_OF_ONE_MAX}.");
        return Ok(Err(Outcome::ended(CommandStatus::Invalid, told)));
    }
    for slug in slug::candidates(&name, "organization") {
        let made = sqlx::query_scalar!(
            "insert into organization (slug, name) values ($1, $2) on conflict (slug) do nothing returning id",
            slug,
            name
        )
        .fetch_optional(&mut **transaction)
        .await?;
        if let Some(organization_id) = made {
            sqlx::query!(
                "insert into organization_member (organization_id, user_id, role) values ($1, $2, 'owner')",
                organization_id,
                order.actor_id
            )
            .execute(&mut **transaction)
            .await?;
            note(transaction, order, Some(organization_id), "organization.made", &name).await?;
            return Ok(Ok(organization_id));
        }
    }
    let told = "There are too many organizations of this name: choose another.";
    Ok(Err(Outcome::ended(CommandStatus::Invalid, told)))
}

/// A name, if it is one.
pub(super) fn named(text: &str) -> Option<String> {
    let name = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let is_plain = !name.contains(char::is_control);
    ((1..=NAME_CHARS_MAX).contains(&name.chars().count()) && is_plain).then_some(name)
}

/// What is answered to who gives no name, or too long a one.
pub(super) fn unnamed(what: &str) -> Outcome {
    Outcome::ended(CommandStatus::Invalid, format!("{what} needs a name of 1 to {NAME_CHARS_MAX} characters."))
}
