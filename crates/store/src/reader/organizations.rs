//! Organizations, and who is what in them.

use sqlx::types::time::OffsetDateTime;

use super::{ReadError, Reader};
use crate::Role;

/// An organization that somebody belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnOrganization {
    /// Number.
    pub id: i64,
    /// What people call it.
    pub name: String,
    /// What that person is in it.
    pub role: Role,
}

impl Reader {
    /// The organizations that somebody belongs to, by name.
    pub async fn organizations_of(&self, user_id: i64) -> Result<Vec<OwnOrganization>, ReadError> {
        let rows = sqlx::query!(
            "select o.id, o.name, m.role from organization_member m join organization o on o.id = m.organization_id
             where m.user_id = $1 order by lower(o.name), o.id",
            user_id
        )
        .fetch_all(&self.pool)
        .await?;
        let own = rows.into_iter().map(|row| OwnOrganization {
            id: row.id,
            name: row.name,
            role: Role::parse(&row.role).unwrap_or(Role::Viewer),
        });
        Ok(own.collect())
    }
}

/// Somebody of an organization, or of a project.
#[derive(Clone, Debug)]
pub struct MemberLine {
    /// Number.
    pub user_id: i64,
    /// Address.
    pub email: String,
    /// What others call them.
    pub name: String,
    /// What they are.
    pub role: Role,
    /// Whether they were let into the project directly, and not by their organization or a team alone.
    pub is_direct: bool,
}

/// A team, with its members and projects.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields are the columns")]
pub struct Team {
    pub id: i64,
    pub name: String,
    pub user_ids: Vec<i64>,
    pub project_ids: Vec<i64>,
}

/// An invitation that waits.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields are the columns")]
pub struct Invitation {
    pub id: i64,
    pub email: String,
    pub role: String,
    pub expires_at: OffsetDateTime,
}

/// An invitation as who was invited sees it.
#[derive(Clone, Debug)]
pub struct OwnInvitation {
    /// The name of the organization.
    pub organization: String,
    /// The address that it was sent to.
    pub email: String,
    /// As what they are invited.
    pub role: String,
    /// Whether that address has an account.
    pub has_account: bool,
}

/// A line of the audit log.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields are the columns")]
pub struct LogLine {
    pub id: i64,
    pub at: OffsetDateTime,
    /// The address of who did it; nothing when their account is gone.
    pub actor: Option<String>,
    pub kind: String,
    pub project: Option<String>,
    pub about: String,
}

/// Most members, projects and other rows of an organization that a page shows.
const ROWS_MAX: i64 = 1_000;

impl Reader {
    /// An organization, if somebody belongs to it: to everybody else there is no such one.
    pub async fn own_organization(
        &self,
        user_id: i64,
        organization_id: i64,
    ) -> Result<Option<OwnOrganization>, ReadError> {
        let own = self.organizations_of(user_id).await?;
        Ok(own.into_iter().find(|organization| organization.id == organization_id))
    }

    /// Who belongs to an organization, by address.
    pub async fn organization_members(&self, organization_id: i64) -> Result<Vec<MemberLine>, ReadError> {
        let rows = sqlx::query!(
            "select u.id, u.email, u.name, m.role from organization_member m join user_account u on u.id = m.user_id
             where m.organization_id = $1 order by u.email limit $2",
            organization_id,
            ROWS_MAX
        )
        .fetch_all(&self.pool)
        .await?;
        let members = rows.into_iter().map(|row| MemberLine {
            user_id: row.id,
            email: row.email,
            name: row.name,
            role: Role::parse(&row.role).unwrap_or(Role::Viewer),
            is_direct: false,
        });
        Ok(members.collect())
    }

    /// Who sees a project, by address, and as what.
    pub async fn project_members(&self, project_id: i64) -> Result<Vec<MemberLine>, ReadError> {
        let rows = sqlx::query!(
            r#"select u.id, u.email, u.name, a.role as "role!",
                   exists (select from membership m where m.user_id = u.id and m.project_id = $1) as "is_direct!"
               from project_access a join user_account u on u.id = a.user_id
               where a.project_id = $1 order by u.email limit $2"#,
            project_id,
            ROWS_MAX
        )
        .fetch_all(&self.pool)
        .await?;
        let members = rows.into_iter().map(|row| MemberLine {
            user_id: row.id,
            email: row.email,
            name: row.name,
            role: Role::parse(&row.role).unwrap_or(Role::Viewer),
            is_direct: row.is_direct,
        });
        Ok(members.collect())
    }

    /// The teams of an organization, by name.
    pub async fn teams(&self, organization_id: i64) -> Result<Vec<Team>, ReadError> {
        let teams = sqlx::query_as!(
            Team,
            r#"select t.id, t.name,
                   array(select m.user_id from team_member m where m.team_id = t.id order by 1) as "user_ids!",
                   array(select p.project_id from team_project p where p.team_id = t.id order by 1) as "project_ids!"
               from team t where t.organization_id = $1 order by lower(t.name), t.id"#,
            organization_id
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(teams)
    }

    /// Number and name of each project of an organization, by name.
    pub async fn organization_projects(&self, organization_id: i64) -> Result<Vec<(i64, String)>, ReadError> {
        let rows = sqlx::query!(
            "select id, name from project where organization_id = $1 and deleted_at is null order by lower(name), id limit $2",
            organization_id,
            ROWS_MAX
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.into_iter().map(|row| (row.id, row.name)).collect())
    }

    /// The invitations of an organization that wait.
    pub async fn invitations(&self, organization_id: i64) -> Result<Vec<Invitation>, ReadError> {
        let waiting = sqlx::query_as!(
            Invitation,
            "select id, email, role, expires_at from invitation
             where organization_id = $1 and accepted_at is null and expires_at > now() order by email",
            organization_id
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(waiting)
    }

    /// The invitation with this SHA-256 of its token, while it waits.
    pub async fn invitation(&self, sha256: &[u8]) -> Result<Option<OwnInvitation>, ReadError> {
        let invitation = sqlx::query_as!(
            OwnInvitation,
            r#"select o.name as organization, i.email, i.role,
                   exists (select from user_account u where u.email = i.email) as "has_account!"
               from invitation i join organization o on o.id = i.organization_id
               where i.token_sha256 = $1 and i.accepted_at is null and i.expires_at > now()"#,
            sha256
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(invitation)
    }

    /// The newest lines of an organization's audit log, from before the line `before`.
    pub async fn audit_log(
        &self,
        organization_id: i64,
        before: Option<i64>,
        limit: i64,
    ) -> Result<Vec<LogLine>, ReadError> {
        let lines = sqlx::query_as!(
            LogLine,
            r#"select l.id, l.at, u.email as "actor?", l.kind, p.name as "project?", l.about
               from audit_log l left join user_account u on u.id = l.actor_id left join project p on p.id = l.project_id
               where l.organization_id = $1 and ($2::bigint is null or l.id < $2) order by l.id desc limit $3"#,
            organization_id,
            before,
            limit
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(lines)
    }
}
