//! What people do about projects: make, change, delete them, and their keys.

use serde::Serialize;
use sqlx::{Postgres, Transaction};

use super::organizations::revoke_made_tokens;
use super::{Act, CommandStatus, Order, Outcome, note, role_in_organization, role_in_project};
use crate::reader::seen_settings;
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
        // Whoever makes one waits for whoever makes another, and counts after that.
        sqlx::query!("select id from organization where id = $1 for no key update", organization_id)
            .fetch_optional(&mut **transaction)
            .await?;
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

/// Most days that notices are kept.
pub const RETENTION_DAYS_MAX: i32 = 3_650;
/// Keys of one project that are valid at a time.
const KEYS_MAX: i64 = 20;

/// What is answered to who may not change settings.
const NOT_MANAGED: &str = "Settings are changed by owners and admins of the project.";

/// The organization of the order's project, if the actor may change its settings; else what is answered.
async fn managed(
    transaction: &mut Transaction<'_, Postgres>,
    order: &Order,
    may: fn(Role) -> bool,
) -> Result<Result<i64, Outcome>, StoreError> {
    if !role_in_project(transaction, order).await?.is_some_and(may) {
        return Ok(Err(Outcome::ended(CommandStatus::Denied, NOT_MANAGED)));
    }
    let organization_id = sqlx::query_scalar!("select organization_id from project where id = $1", order.project_id)
        .fetch_optional(&mut **transaction)
        .await?;
    Ok(organization_id.ok_or_else(|| Outcome::ended(CommandStatus::Missing, "There is no such project.")))
}

/// Somebody changes what a project is called, and what is kept and taken of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChangeProject {
    /// What people call it.
    pub name: String,
    /// Days that notices are kept.
    pub retention_days: i32,
    /// Notices a minute above which clients are refused; none: all are taken.
    pub rate_per_minute_max: Option<i32>,
    /// Whether gateways refuse everything.
    pub disabled: bool,
    /// What stands for the settings that the person saw ([`ProjectSettings::seen`](crate::reader::ProjectSettings::seen)); empty:
    /// whatever they are.
    pub seen: String,
}

impl Act for ChangeProject {
    fn kind(&self) -> &'static str {
        "change_project"
    }

    async fn act(&self, transaction: &mut Transaction<'_, Postgres>, order: &Order) -> Result<Outcome, StoreError> {
        let organization_id = match managed(transaction, order, Role::may_manage).await? {
            Ok(organization_id) => organization_id,
            Err(outcome) => return Ok(outcome),
        };
        let Some(name) = named(&self.name) else { return Ok(unnamed("The project")) };
        if !(1..=RETENTION_DAYS_MAX).contains(&self.retention_days) {
            let told = format!("Notices are kept for 1 to {RETENTION_DAYS_MAX} days.");
            return Ok(Outcome::ended(CommandStatus::Invalid, told));
        }
        if self.rate_per_minute_max.is_some_and(|max| max < 1) {
            return Ok(Outcome::ended(CommandStatus::Invalid, "A limit is at least 1 notice a minute, or none."));
        }
        let found = sqlx::query!(
            "select name, retention_days, rate_per_minute_max, disabled from project where id = $1 for no key update",
            order.project_id
        )
        .fetch_one(&mut **transaction)
        .await?;
        let seen = seen_settings(&found.name, found.retention_days, found.rate_per_minute_max, found.disabled);
        if !self.seen.is_empty() && self.seen != seen {
            let told = "Somebody changed the settings meanwhile. Nothing was changed; look again.";
            return Ok(Outcome::ended(CommandStatus::Conflict, told));
        }
        // What a shorter retention takes away does not come back: it holds a day later.
        let waits = sqlx::query_scalar!(
            r#"update project p set
                   name = $2, retention_days = $3, rate_per_minute_max = $4, disabled = $5,
                   kept_before_days = case
                       when $3 = p.retention_days then p.kept_before_days when $3 < kept_days(p) then kept_days(p) end,
                   kept_before_until = case
                       when $3 = p.retention_days then p.kept_before_until when $3 < kept_days(p) then now() + interval '1 day' end
               where id = $1
               returning coalesce(kept_before_until > now(), false) as "waits!""#,
            order.project_id,
            name,
            self.retention_days,
            self.rate_per_minute_max,
            self.disabled
        )
        .fetch_one(&mut **transaction)
        .await?;
        let limit = self.rate_per_minute_max.map_or_else(|| "none".to_owned(), |max| max.to_string());
        let takes = if self.disabled { "takes nothing" } else { "takes notices" };
        let about = format!("{name}: kept {} days, limit {limit}, {takes}", self.retention_days);
        note(transaction, order, Some(organization_id), "project.changed", &about).await?;
        let told = if waits {
            "The settings are changed. What is kept too long by now goes tomorrow; until then it can be thought over."
        } else {
            "The settings are changed."
        };
        Ok(Outcome::done(told))
    }
}

/// Somebody deletes a project: it is hidden and refused at once, its rows go later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeleteProject {
    /// Its short name, typed to say that it is meant.
    pub slug: String,
}

impl Act for DeleteProject {
    fn kind(&self) -> &'static str {
        "delete_project"
    }

    async fn act(&self, transaction: &mut Transaction<'_, Postgres>, order: &Order) -> Result<Outcome, StoreError> {
        let organization_id = match managed(transaction, order, Role::may_own).await? {
            Ok(organization_id) => organization_id,
            Err(outcome) => return Ok(outcome),
        };
        let deleted = sqlx::query!(
            "update project set deleted_at = now(), disabled = true, slug = slug || '-deleted-' || id
             where id = $1 and slug = $2 and deleted_at is null",
            order.project_id,
            self.slug.trim()
        )
        .execute(&mut **transaction)
        .await?
        .rows_affected();
        if deleted == 0 {
            return Ok(Outcome::ended(CommandStatus::Invalid, "This is not its short name: nothing was deleted."));
        }
        note(transaction, order, Some(organization_id), "project.deleted", self.slug.trim()).await?;
        Ok(Outcome::done("The project is deleted."))
    }
}

/// Somebody gives a project one more key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct CreateKey {}

impl Act for CreateKey {
    fn kind(&self) -> &'static str {
        "create_key"
    }

    async fn act(&self, transaction: &mut Transaction<'_, Postgres>, order: &Order) -> Result<Outcome, StoreError> {
        let organization_id = match managed(transaction, order, Role::may_manage).await? {
            Ok(organization_id) => organization_id,
            Err(outcome) => return Ok(outcome),
        };
        // Whoever makes one waits for whoever makes another, and counts after that.
        sqlx::query!("select id from project where id = $1 for no key update", order.project_id)
            .fetch_optional(&mut **transaction)
            .await?;
        let key_count = sqlx::query_scalar!(
            r#"select count(*) as "count!" from project_key where project_id = $1 and revoked_at is null"#,
            order.project_id
        )
        .fetch_one(&mut **transaction)
        .await?;
        if key_count >= KEYS_MAX {
            let told = format!("A project has at most {KEYS_MAX} keys: revoke one first.");
            return Ok(Outcome::ended(CommandStatus::Invalid, told));
        }
        let key = token::generate_key();
        sqlx::query!("insert into project_key (key, project_id) values ($1, $2)", key, order.project_id)
            .execute(&mut **transaction)
            .await?;
        note(transaction, order, Some(organization_id), "key.made", &beginning(&key)).await?;
        Ok(Outcome::done("A key is made. Gateways know it within a second."))
    }
}

/// Somebody revokes a key: gateways refuse it within a second.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RevokeKey {
    /// SHA-256 of the key.
    #[serde(serialize_with = "super::accounts::hex")]
    pub key_sha256: Vec<u8>,
}

impl Act for RevokeKey {
    fn kind(&self) -> &'static str {
        "revoke_key"
    }

    async fn act(&self, transaction: &mut Transaction<'_, Postgres>, order: &Order) -> Result<Outcome, StoreError> {
        let organization_id = match managed(transaction, order, Role::may_manage).await? {
            Ok(organization_id) => organization_id,
            Err(outcome) => return Ok(outcome),
        };
        let key = sqlx::query_scalar!(
            "update project_key set revoked_at = now()
             where project_id = $1 and revoked_at is null and sha256(convert_to(key, 'UTF8')) = $2 returning key",
            order.project_id,
            self.key_sha256
        )
        .fetch_optional(&mut **transaction)
        .await?;
        let Some(key) = key else { return Ok(Outcome::done("It was revoked already.")) };
        note(transaction, order, Some(organization_id), "key.revoked", &beginning(&key)).await?;
        Ok(Outcome::done("The key is revoked."))
    }
}

/// What tells one key from another without being one.
fn beginning(key: &str) -> String {
    format!("{}…", key.chars().take(6).collect::<String>())
}

/// Somebody lets a member of the organization into a project directly, in a role; or takes that back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct SetProjectMember {
    /// Who.
    pub user_id: i64,
    /// As what; nothing takes it back.
    pub role: Option<Role>,
}

impl Act for SetProjectMember {
    fn kind(&self) -> &'static str {
        "set_project_member"
    }

    async fn act(&self, transaction: &mut Transaction<'_, Postgres>, order: &Order) -> Result<Outcome, StoreError> {
        let organization_id = match managed(transaction, order, Role::may_manage).await? {
            Ok(organization_id) => organization_id,
            Err(outcome) => return Ok(outcome),
        };
        let found = sqlx::query!(
            r#"select u.email, m.role as "role?",
                   exists (select from organization_member o where o.user_id = u.id and o.organization_id = $3) as "belongs!"
               from user_account u left join membership m on m.user_id = u.id and m.project_id = $2
               where u.id = $1"#,
            self.user_id,
            order.project_id,
            organization_id
        )
        .fetch_optional(&mut **transaction)
        .await?;
        let Some(found) = found.filter(|found| found.belongs || found.role.is_some()) else {
            return Ok(Outcome::ended(CommandStatus::Missing, "They do not belong to the organization: invite them."));
        };
        let before = found.role.as_deref().and_then(Role::parse);
        let is_owners = before == Some(Role::Owner) || self.role == Some(Role::Owner);
        if is_owners && !role_in_project(transaction, order).await?.is_some_and(Role::may_own) {
            return Ok(Outcome::ended(CommandStatus::Denied, "Owners are named by owners."));
        }
        match self.role {
            Some(role) => {
                sqlx::query!(
                    "insert into membership (user_id, project_id, role) values ($1, $2, $3)
                     on conflict (user_id, project_id) do update set role = $3",
                    self.user_id,
                    order.project_id,
                    role.as_str()
                )
                .execute(&mut **transaction)
                .await?;
            }
            None => {
                sqlx::query!(
                    "delete from membership where user_id = $1 and project_id = $2",
                    self.user_id,
                    order.project_id
                )
                .execute(&mut **transaction)
                .await?;
                revoke_made_tokens(transaction, self.user_id).await?;
            }
        }
        let about = format!("{}: {}", found.email, self.role.map_or("no longer a direct member", Role::as_str));
        note(transaction, order, Some(organization_id), "project.member_changed", &about).await?;
        Ok(Outcome::done("Done."))
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
