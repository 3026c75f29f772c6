//! What a project's settings say at present.

use sqlx::types::time::OffsetDateTime;

use super::{Opened, ReadError, Reader};

/// The settings of a project.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields are the columns")]
pub struct ProjectSettings {
    pub name: String,
    pub slug: String,
    /// The name of the organization that it belongs to.
    pub organization: String,
    /// `default` or `hoptoad`.
    pub grouping: String,
    /// Notices a minute above which clients are refused; none: all are taken.
    pub rate_per_minute_max: Option<i32>,
    /// Days that bodies are kept.
    pub retention_days: i32,
    /// Days that they are still kept, until [`Self::kept_before_until`], since the retention became shorter.
    pub kept_before_days: Option<i32>,
    pub kept_before_until: Option<OffsetDateTime>,
    /// Whether gateways refuse everything.
    pub disabled: bool,
    pub created_at: OffsetDateTime,
}

impl ProjectSettings {
    /// What stands for the settings that people change: a change says which ones it was made from.
    pub fn seen(&self) -> String {
        seen_settings(&self.name, self.retention_days, self.rate_per_minute_max, self.disabled)
    }
}

/// What [`ProjectSettings::seen`] is made of.
pub(crate) fn seen_settings(
    name: &str,
    retention_days: i32,
    rate_per_minute_max: Option<i32>,
    disabled: bool,
) -> String {
    format!("{retention_days} {} {disabled} {name}", rate_per_minute_max.unwrap_or_default())
}

impl Reader {
    /// The settings of a project; `None` when it was deleted since it was opened.
    pub async fn project_settings(&self, opened: &Opened) -> Result<Option<ProjectSettings>, ReadError> {
        let settings = sqlx::query_as!(
            ProjectSettings,
            "select p.name, p.slug, o.name as organization, p.grouping, p.rate_per_minute_max, p.retention_days, p.disabled,
                 p.created_at,
                 case when p.kept_before_until > now() then p.kept_before_days end as kept_before_days,
                 case when p.kept_before_until > now() then p.kept_before_until end as kept_before_until
             from project p join organization o on o.id = p.organization_id where p.id = $1",
            opened.id()
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(settings)
    }

    /// The keys of a project that are valid, oldest first, and when each was made.
    pub async fn project_keys(&self, opened: &Opened) -> Result<Vec<(String, OffsetDateTime)>, ReadError> {
        let rows = sqlx::query!(
            "select key, created_at from project_key where project_id = $1 and revoked_at is null order by created_at, key",
            opened.id()
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.into_iter().map(|row| (row.key, row.created_at)).collect())
    }
}
