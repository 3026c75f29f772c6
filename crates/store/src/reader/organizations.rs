//! Organizations, and who is what in them.

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
