//! What people do about organizations: members, invitations, teams.

use serde::Serialize;
use sqlx::{Postgres, Transaction};

use super::accounts::{Registration, address, email_of};
use super::projects::{named, unnamed};
use super::{Act, CommandStatus, Order, Outcome, letters, note, role_in_organization};
use crate::writer::mail;
use crate::{Role, StoreError, token};

/// How long an invitation is good for.
const INVITED_DAYS: i32 = 7;
/// Invitations of one organization that wait.
const INVITATIONS_MAX: i64 = 200;
/// Mails of invitations to one address within an hour, whoever sends them.
const MAILS_TO_ONE_PER_HOUR_MAX: i64 = 5;
/// Invitations that one organization sends within a day, and one person.
const INVITATIONS_PER_DAY_MAX: i64 = 200;
/// Teams of one organization.
const TEAMS_MAX: i64 = 200;

const NOT_MANAGED: &str = "This is done by owners and admins of the organization.";
const OWNERS_ONLY: &str = "Owners are named by owners.";
const INVITATION_IS_OVER: &str = "This invitation was accepted or taken back, or is too old. Ask for another.";

/// Why the actor may not give or take this role; nothing when they may.
async fn refused(
    transaction: &mut Transaction<'_, Postgres>,
    order: &Order,
    organization_id: i64,
    needs_owner: bool,
) -> Result<Option<Outcome>, StoreError> {
    let mine = role_in_organization(transaction, order.actor_id, organization_id).await?;
    let denied = |told| Some(Outcome::ended(CommandStatus::Denied, told));
    Ok(match mine {
        Some(role) if role.may_own() || role.may_manage() && !needs_owner => None,
        Some(role) if role.may_manage() => denied(OWNERS_ONLY),
        _ => denied(NOT_MANAGED),
    })
}

/// Somebody renames an organization.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RenameOrganization {
    /// Which.
    pub organization_id: i64,
    /// What people call it from now on.
    pub name: String,
}

impl Act for RenameOrganization {
    fn kind(&self) -> &'static str {
        "rename_organization"
    }

    async fn act(&self, transaction: &mut Transaction<'_, Postgres>, order: &Order) -> Result<Outcome, StoreError> {
        if let Some(refused) = refused(transaction, order, self.organization_id, false).await? {
            return Ok(refused);
        }
        let Some(name) = named(&self.name) else { return Ok(unnamed("The organization")) };
        sqlx::query!("update organization set name = $2 where id = $1", self.organization_id, name)
            .execute(&mut **transaction)
            .await?;
        note(transaction, order, Some(self.organization_id), "organization.renamed", &name).await?;
        Ok(Outcome::done("The organization is renamed."))
    }
}

/// Somebody gives a member another role, or takes them out of the organization; who leaves takes themselves out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct SetOrganizationMember {
    /// Of which.
    pub organization_id: i64,
    /// Who.
    pub user_id: i64,
    /// As what; nothing takes them out.
    pub role: Option<Role>,
}

impl Act for SetOrganizationMember {
    fn kind(&self) -> &'static str {
        "set_organization_member"
    }

    async fn act(&self, transaction: &mut Transaction<'_, Postgres>, order: &Order) -> Result<Outcome, StoreError> {
        // One change of an organization's members at a time: two owners must not take each other out at once.
        sqlx::query!("select id from organization where id = $1 for no key update", self.organization_id)
            .fetch_optional(&mut **transaction)
            .await?;
        let before = role_in_organization(transaction, self.user_id, self.organization_id).await?;
        let Some(before) = before else {
            return Ok(Outcome::ended(CommandStatus::Missing, "They do not belong to the organization."));
        };
        let leaves = self.user_id == order.actor_id && self.role.is_none();
        let needs_owner = before == Role::Owner || self.role == Some(Role::Owner);
        if !leaves && let Some(refused) = refused(transaction, order, self.organization_id, needs_owner).await? {
            return Ok(refused);
        }
        let other_owners = sqlx::query_scalar!(
            r#"select count(*) as "count!" from organization_member
               where organization_id = $1 and role = 'owner' and user_id <> $2"#,
            self.organization_id,
            self.user_id
        )
        .fetch_one(&mut **transaction)
        .await?;
        if before == Role::Owner && self.role != Some(Role::Owner) && other_owners == 0 {
            return Ok(Outcome::ended(CommandStatus::Invalid, "An organization has an owner: name another one first."));
        }
        match self.role {
            Some(role) => {
                sqlx::query!(
                    "update organization_member set role = $3 where organization_id = $1 and user_id = $2",
                    self.organization_id,
                    self.user_id,
                    role.as_str()
                )
                .execute(&mut **transaction)
                .await?;
            }
            None => {
                sqlx::query!(
                    "delete from organization_member where organization_id = $1 and user_id = $2",
                    self.organization_id,
                    self.user_id
                )
                .execute(&mut **transaction)
                .await?;
                // Who is taken out sees nothing of it any more, by whichever way they came in.
                sqlx::query!(
                    "delete from membership m using project p
                     where m.user_id = $2 and p.id = m.project_id and p.organization_id = $1",
                    self.organization_id,
                    self.user_id
                )
                .execute(&mut **transaction)
                .await?;
            }
        }
        // What was theirs to give and see is no longer: neither by a token they made, nor by an invitation that waits.
        revoke_made_tokens(transaction, self.user_id).await?;
        sqlx::query!(
            "delete from invitation where organization_id = $1 and invited_by = $2 and accepted_at is null
                 and (not $3 or (role = 'owner' and not $4))",
            self.organization_id,
            self.user_id,
            self.role.is_some_and(Role::may_manage),
            self.role == Some(Role::Owner)
        )
        .execute(&mut **transaction)
        .await?;
        let email = email_of(transaction, self.user_id).await?;
        let about = format!("{email}: {}", self.role.map_or("no longer a member", Role::as_str));
        note(transaction, order, Some(self.organization_id), "member.changed", &about).await?;
        Ok(Outcome::done("Done."))
    }
}

/// Revokes the tokens that somebody made of projects which they do not see any more: whoever has the token would.
pub(super) async fn revoke_made_tokens(
    transaction: &mut Transaction<'_, Postgres>,
    user_id: i64,
) -> Result<(), StoreError> {
    sqlx::query!(
        "update api_token t set revoked_at = now()
         where t.created_by = $1 and t.project_id is not null and t.revoked_at is null
             and not exists (select from project_access a where a.user_id = $1 and a.project_id = t.project_id)",
        user_id
    )
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

/// Somebody invites an address; once more with the same address it is another link, and maybe another role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Invite {
    /// To which organization.
    pub organization_id: i64,
    /// Whom.
    pub email: String,
    /// As what.
    pub role: Role,
    /// The team that they join with it.
    pub team_id: Option<i64>,
    /// Where the pages are.
    #[serde(skip)]
    pub public_url: Option<String>,
}

impl Act for Invite {
    fn kind(&self) -> &'static str {
        "invite"
    }

    async fn act(&self, transaction: &mut Transaction<'_, Postgres>, order: &Order) -> Result<Outcome, StoreError> {
        let needs_owner = self.role == Role::Owner;
        if let Some(refused) = refused(transaction, order, self.organization_id, needs_owner).await? {
            return Ok(refused);
        }
        let Some(public_url) = &self.public_url else {
            let told = "Mail cannot be sent: the operator has not set CROAK_PUBLIC_URL of the workers.";
            return Ok(Outcome::ended(CommandStatus::Invalid, told));
        };
        let Some(email) = address(&self.email) else {
            return Ok(Outcome::ended(CommandStatus::Invalid, "This is not an e-mail address."));
        };
        let found = sqlx::query!(
            r#"select o.name,
                   exists (select from organization_member m join user_account u on u.id = m.user_id
                       where m.organization_id = o.id and u.email = $2) as "belongs!",
                   ($3::bigint is null or exists (select from team t where t.id = $3 and t.organization_id = o.id)) as "has_team!",
                   (select count(*) from invitation i where i.organization_id = o.id and i.email <> $2
                       and i.accepted_at is null and i.expires_at > now()) as "waiting!",
                   (select count(*) from outbox where recipient = $2 and kind = 'organization.invitation'
                       and created_at > now() - interval '1 hour') as "mailed!",
                   (select greatest(count(*) filter (where l.organization_id = $1), count(*) filter (where l.actor_id = $4))
                    from audit_log l where l.kind = 'member.invited' and l.at > now() - interval '1 day') as "today!"
               from organization o where o.id = $1"#,
            self.organization_id,
            email,
            self.team_id,
            order.actor_id
        )
        .fetch_one(&mut **transaction)
        .await?;
        let invalid = |told: String| Ok(Outcome::ended(CommandStatus::Invalid, told));
        if found.belongs {
            return invalid(format!("{email} belongs to the organization already."));
        }
        if !found.has_team {
            return invalid("There is no such team.".to_owned());
        }
        if found.waiting >= INVITATIONS_MAX {
            return invalid(format!("{INVITATIONS_MAX} invitations wait already: take some back."));
        }
        if found.mailed >= MAILS_TO_ONE_PER_HOUR_MAX {
            return invalid(format!(
                "{email} was sent {MAILS_TO_ONE_PER_HOUR_MAX} invitations within an hour: wait for the next."
            ));
        }
        if found.today >= INVITATIONS_PER_DAY_MAX {
            return invalid(format!(
                "{INVITATIONS_PER_DAY_MAX} invitations were sent within a day: wait for the next."
            ));
        }
        let token = token::generate_link();
        let sha256 = token::sha256(&token);
        sqlx::query!(
            "insert into invitation (organization_id, email, role, team_id, token_sha256, invited_by, expires_at)
             values ($1, $2, $3, $4, $5, $6, now() + make_interval(days => $7))
             on conflict (organization_id, email) do update set role = excluded.role, team_id = excluded.team_id,
                 token_sha256 = excluded.token_sha256, invited_by = excluded.invited_by, created_at = now(),
                 expires_at = excluded.expires_at, accepted_at = null",
            self.organization_id,
            email,
            self.role.as_str(),
            self.team_id,
            sha256.as_slice(),
            order.actor_id,
            INVITED_DAYS
        )
        .execute(&mut **transaction)
        .await?;
        let by = email_of(transaction, order.actor_id).await?;
        let letter = letters::invitation(&email, public_url, &token, &found.name, &by);
        mail::queue(transaction, "organization.invitation", None, &letter).await?;
        let about = format!("{email}: {}", self.role.as_str());
        note(transaction, order, Some(self.organization_id), "member.invited", &about).await?;
        Ok(Outcome::done(format!("An invitation is on its way to {email}.")))
    }
}

/// Somebody takes an invitation back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct RevokeInvitation {
    /// Of which organization.
    pub organization_id: i64,
    /// Its number.
    pub invitation_id: i64,
}

impl Act for RevokeInvitation {
    fn kind(&self) -> &'static str {
        "revoke_invitation"
    }

    async fn act(&self, transaction: &mut Transaction<'_, Postgres>, order: &Order) -> Result<Outcome, StoreError> {
        if let Some(refused) = refused(transaction, order, self.organization_id, false).await? {
            return Ok(refused);
        }
        let email = sqlx::query_scalar!(
            "delete from invitation where id = $1 and organization_id = $2 and accepted_at is null returning email",
            self.invitation_id,
            self.organization_id
        )
        .fetch_optional(&mut **transaction)
        .await?;
        let Some(email) = email else {
            return Ok(Outcome::ended(CommandStatus::Missing, "It was accepted or taken back already."));
        };
        note(transaction, order, Some(self.organization_id), "member.invitation_revoked", &email).await?;
        Ok(Outcome::done("The invitation is taken back."))
    }
}

/// Who was invited joins: signed in as that address, or with a password for a new account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AcceptInvitation {
    /// SHA-256 of the link's token.
    #[serde(serialize_with = "super::accounts::hex")]
    pub token_sha256: Vec<u8>,
    /// Argon2id, as a PHC string; empty when they are signed in.
    #[serde(serialize_with = "super::accounts::fingerprint")]
    pub password_hash: String,
    /// Who may make an account by the web that was asked.
    pub registration: Registration,
}

impl Act for AcceptInvitation {
    fn kind(&self) -> &'static str {
        "accept_invitation"
    }

    /// Tells the account's number as what was made, whether it is new or not.
    async fn act(&self, transaction: &mut Transaction<'_, Postgres>, order: &Order) -> Result<Outcome, StoreError> {
        let found = sqlx::query!(
            "update invitation set accepted_at = now()
             where token_sha256 = $1 and accepted_at is null and expires_at > now()
             returning organization_id, email, role, team_id",
            self.token_sha256
        )
        .fetch_optional(&mut **transaction)
        .await?;
        let Some(invitation) = found else {
            return Ok(Outcome::ended(CommandStatus::Invalid, INVITATION_IS_OVER));
        };
        let joined = if order.actor_id == 0 {
            self.make_account(transaction, &invitation.email).await?
        } else {
            let is_theirs = email_of(transaction, order.actor_id).await? == invitation.email;
            is_theirs.then_some(order.actor_id).ok_or("This invitation is for another address.")
        };
        let user_id = match joined {
            Ok(user_id) => user_id,
            Err(told) => {
                // It was not accepted after all; a command that ends so keeps what it wrote.
                sqlx::query!("update invitation set accepted_at = null where token_sha256 = $1", self.token_sha256)
                    .execute(&mut **transaction)
                    .await?;
                return Ok(Outcome::ended(CommandStatus::Denied, told));
            }
        };
        sqlx::query!(
            "insert into organization_member (organization_id, user_id, role) values ($1, $2, $3)
             on conflict (organization_id, user_id) do nothing",
            invitation.organization_id,
            user_id,
            invitation.role
        )
        .execute(&mut **transaction)
        .await?;
        if let Some(team_id) = invitation.team_id {
            sqlx::query!(
                "insert into team_member (team_id, organization_id, user_id) values ($1, $2, $3) on conflict do nothing",
                team_id,
                invitation.organization_id,
                user_id
            )
            .execute(&mut **transaction)
            .await?;
        }
        let about = format!("{}: {}", invitation.email, invitation.role);
        let order = Order { actor_id: user_id, ..*order };
        note(transaction, &order, Some(invitation.organization_id), "member.joined", &about).await?;
        Ok(Outcome::done("Welcome.").with_made(user_id))
    }
}

impl AcceptInvitation {
    /// The account of who is not signed in, or why there is none.
    async fn make_account(
        &self,
        transaction: &mut Transaction<'_, Postgres>,
        email: &str,
    ) -> Result<Result<i64, &'static str>, StoreError> {
        if self.registration == Registration::Closed {
            return Ok(Err("Accounts are made by the operator here."));
        }
        if self.password_hash.is_empty() {
            return Ok(Err("Sign in, or choose a password."));
        }
        let made = sqlx::query_scalar!(
            "insert into user_account (email, password_hash) values ($1, $2) on conflict (email) do nothing returning id",
            email,
            self.password_hash
        )
        .fetch_optional(&mut **transaction)
        .await?;
        Ok(made.ok_or("There is an account with this address: sign in first."))
    }
}

/// Somebody makes a team.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CreateTeam {
    /// Of which organization.
    pub organization_id: i64,
    /// What people call it.
    pub name: String,
}

impl Act for CreateTeam {
    fn kind(&self) -> &'static str {
        "create_team"
    }

    async fn act(&self, transaction: &mut Transaction<'_, Postgres>, order: &Order) -> Result<Outcome, StoreError> {
        if let Some(refused) = refused(transaction, order, self.organization_id, false).await? {
            return Ok(refused);
        }
        let Some(name) = named(&self.name) else { return Ok(unnamed("A team")) };
        let team_count = sqlx::query_scalar!(
            r#"select count(*) as "count!" from team where organization_id = $1"#,
            self.organization_id
        )
        .fetch_one(&mut **transaction)
        .await?;
        if team_count >= TEAMS_MAX {
            let told = format!("An organization has at most {TEAMS_MAX} teams.");
            return Ok(Outcome::ended(CommandStatus::Invalid, told));
        }
        let made = sqlx::query_scalar!(
            "insert into team (organization_id, name) values ($1, $2) on conflict (organization_id, name) do nothing returning id",
            self.organization_id,
            name
        )
        .fetch_optional(&mut **transaction)
        .await?;
        let Some(id) = made else {
            return Ok(Outcome::ended(CommandStatus::Conflict, "There is a team of this name."));
        };
        note(transaction, order, Some(self.organization_id), "team.made", &name).await?;
        Ok(Outcome::done("The team is made.").with_made(id))
    }
}

/// What somebody does about a team that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TeamChange {
    /// It is no more.
    Delete,
    /// A member of the organization joins it.
    AddMember(i64),
    /// A member leaves it.
    RemoveMember(i64),
    /// It has a project of the organization from now on.
    AddProject(i64),
    /// It has that project no longer.
    RemoveProject(i64),
}

/// Somebody changes a team.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ChangeTeam {
    /// Of which organization.
    pub organization_id: i64,
    /// Which team.
    pub team_id: i64,
    /// What is done.
    pub change: TeamChange,
}

impl Act for ChangeTeam {
    fn kind(&self) -> &'static str {
        "change_team"
    }

    async fn act(&self, transaction: &mut Transaction<'_, Postgres>, order: &Order) -> Result<Outcome, StoreError> {
        if let Some(refused) = refused(transaction, order, self.organization_id, false).await? {
            return Ok(refused);
        }
        let team = sqlx::query_scalar!(
            "select name from team where id = $1 and organization_id = $2",
            self.team_id,
            self.organization_id
        )
        .fetch_optional(&mut **transaction)
        .await?;
        let Some(team) = team else { return Ok(Outcome::ended(CommandStatus::Missing, "There is no such team.")) };
        let members = sqlx::query_scalar!("select user_id from team_member where team_id = $1", self.team_id)
            .fetch_all(&mut **transaction)
            .await?;
        let (changed, about) = match self.change {
            TeamChange::Delete => {
                let gone = sqlx::query!("delete from team where id = $1", self.team_id);
                (gone.execute(&mut **transaction).await?.rows_affected(), format!("{team}: deleted"))
            }
            TeamChange::AddMember(user_id) => {
                let added = sqlx::query!(
                    "insert into team_member (team_id, organization_id, user_id)
                     select $1, organization_id, user_id from organization_member where organization_id = $2 and user_id = $3
                     on conflict do nothing",
                    self.team_id,
                    self.organization_id,
                    user_id
                );
                let added = added.execute(&mut **transaction).await?.rows_affected();
                (added, format!("{team}: {} joins", email_of(transaction, user_id).await?))
            }
            TeamChange::RemoveMember(user_id) => {
                let gone =
                    sqlx::query!("delete from team_member where team_id = $1 and user_id = $2", self.team_id, user_id);
                let gone = gone.execute(&mut **transaction).await?.rows_affected();
                (gone, format!("{team}: {} leaves", email_of(transaction, user_id).await?))
            }
            TeamChange::AddProject(project_id) => {
                let added = sqlx::query!(
                    "insert into team_project (team_id, organization_id, project_id)
                     select $1, organization_id, id from project where organization_id = $2 and id = $3 and deleted_at is null
                     on conflict do nothing",
                    self.team_id,
                    self.organization_id,
                    project_id
                );
                let added = added.execute(&mut **transaction).await?.rows_affected();
                (added, format!("{team}: has project {project_id}"))
            }
            TeamChange::RemoveProject(project_id) => {
                let gone = sqlx::query!(
                    "delete from team_project where team_id = $1 and project_id = $2",
                    self.team_id,
                    project_id
                );
                let gone = gone.execute(&mut **transaction).await?.rows_affected();
                (gone, format!("{team}: no longer has project {project_id}"))
            }
        };
        if changed > 0 {
            for user_id in members {
                revoke_made_tokens(transaction, user_id).await?;
            }
            note(transaction, order, Some(self.organization_id), "team.changed", &about).await?;
        }
        Ok(Outcome::done("Done."))
    }
}
