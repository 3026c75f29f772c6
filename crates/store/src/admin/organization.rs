//! Organizations: who projects belong to.

use super::Admin;
use super::project::taken;
use crate::writer::Organization;
use crate::{StoreError, slug};

impl Admin {
    /// Makes an organization. Its name in addresses is made from its name when there is none.
    pub async fn create_organization(&self, name: &str, slug: Option<String>) -> Result<Organization, StoreError> {
        let slug = slug.unwrap_or_else(|| slug::of(name));
        slug::check(&slug)?;
        sqlx::query_as!(
            Organization,
            "insert into organization (slug, name) values ($1, $2) returning id, slug, name, created_at",
            slug,
            name
        )
        .fetch_one(&self.pool)
        .await
        .map_err(|error| taken(error, &format!("an organization with the slug `{slug}` exists already")))
    }

    /// All organizations.
    pub async fn organizations(&self) -> Result<Vec<Organization>, StoreError> {
        let all = sqlx::query_as!(Organization, "select id, slug, name, created_at from organization order by id");
        Ok(all.fetch_all(&self.pool).await?)
    }

    /// The organization with this slug, or the first.
    pub(super) async fn organization_id(&self, slug: Option<&str>) -> Result<i64, StoreError> {
        sqlx::query_scalar!("select id from organization where $1::text is null or slug = $1 order by id limit 1", slug)
            .fetch_optional(&self.pool)
            .await?
            .ok_or_else(|| {
                let slug = slug.unwrap_or_default();
                StoreError::Invalid(format!("there is no organization `{slug}`; `croak organization list` shows them"))
            })
    }
}
