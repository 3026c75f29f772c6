//! Who a build tool is, and what it may touch.

use super::Writer;
use crate::StoreError;

/// A valid token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptToken {
    /// Whose it is; nobody's when it belongs to a project.
    pub user: Option<ScriptUser>,
    /// The project that it belongs to.
    pub project_id: Option<i64>,
    /// What it may do.
    pub scopes: Vec<String>,
}

/// The owner of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptUser {
    /// Number.
    pub id: i64,
    /// Address.
    pub email: String,
    /// What people call them.
    pub name: String,
}

/// A project that a token sees, and its organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenProject {
    /// Number.
    pub id: i64,
    /// Its name in addresses.
    pub slug: String,
    /// What people call it.
    pub name: String,
    /// Whether whose token it is may change anything there.
    pub may_change: bool,
    /// The organization that it belongs to.
    pub organization: Organization,
}

/// Who projects belong to.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Organization {
    /// Number.
    pub id: i64,
    /// Its name in addresses.
    pub slug: String,
    /// What people call it.
    pub name: String,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: time::OffsetDateTime,
}

impl Writer {
    /// The token with this SHA-256, while it is valid.
    pub async fn script_token(&self, sha256: &[u8; 32]) -> Result<Option<ScriptToken>, StoreError> {
        let row = sqlx::query!(
            r#"select t.project_id, t.scopes, u.id as "user_id?", u.email as "email?", u.name as "name?"
               from api_token t left join user_account u on u.id = t.user_id
               where t.token_sha256 = $1 and t.revoked_at is null and (t.expires_at is null or t.expires_at > now())"#,
            sha256.as_slice()
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.map(|row| ScriptToken {
            user: row.user_id.zip(row.email).zip(row.name).map(|((id, email), name)| ScriptUser { id, email, name }),
            project_id: row.project_id,
            scopes: row.scopes,
        }))
    }

    /// The projects that a token sees: its own, or those of its user.
    pub async fn projects_seen_by(&self, token: &ScriptToken) -> Result<Vec<SeenProject>, StoreError> {
        let rows = sqlx::query!(
            r#"select p.id, p.slug, p.name, coalesce(a.role <> 'viewer', true) as "may_change!",
                   o.id as organization_id, o.slug as organization_slug, o.name as organization_name, o.created_at
               from project p
               join organization o on o.id = p.organization_id
               left join project_access a on a.project_id = p.id and a.user_id = $1
               where p.deleted_at is null and (a.user_id is not null or p.id = $2)
               order by p.id"#,
            token.user.as_ref().map(|user| user.id),
            token.project_id
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows
            .into_iter()
            .map(|row| SeenProject {
                id: row.id,
                slug: row.slug,
                name: row.name,
                may_change: row.may_change,
                organization: Organization {
                    id: row.organization_id,
                    slug: row.organization_slug,
                    name: row.organization_name,
                    created_at: row.created_at,
                },
            })
            .collect())
    }
}
