//! Projects and their keys.

use time::OffsetDateTime;

use super::Admin;
use crate::{StoreError, slug, token};

/// A project to be made.
#[derive(Debug, Clone, Default)]
pub struct NewProject {
    /// Its number, for a project that comes from elsewhere; the next free one when absent.
    pub id: Option<i64>,
    /// Its name in addresses; made from the name when absent.
    pub slug: Option<String>,
    /// What people call it.
    pub name: String,
    /// Its key, for a project that comes from elsewhere; a new one when absent.
    pub key: Option<String>,
    /// The slug of the organization that it belongs to; the first one's when absent.
    pub organization: Option<String>,
}

/// A project as operators see it.
#[derive(Debug, Clone, serde::Serialize)]
pub struct ProjectRow {
    /// Number.
    pub id: i64,
    /// Its name in addresses.
    pub slug: String,
    /// What people call it.
    pub name: String,
    /// The slug of the organization that it belongs to.
    pub organization: String,
    /// `default` or `hoptoad`.
    pub grouping: String,
    /// Days that bodies are kept.
    pub retention_days: i32,
    /// Notices a minute above which clients are refused; none: all are taken.
    pub rate_per_minute_max: Option<i32>,
    /// Whether it refuses everything.
    pub disabled: bool,
    /// Notices counted so far.
    pub notice_count: i64,
    /// The keys that are valid now.
    pub keys: Vec<String>,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
}

impl Admin {
    /// Makes a project and its key.
    pub async fn create_project(&self, new: NewProject) -> Result<ProjectRow, StoreError> {
        let slug = new.slug.unwrap_or_else(|| slug::of(&new.name));
        slug::check(&slug)?;
        let key = new.key.unwrap_or_else(token::generate_key);
        let organization_id = self.organization_id(new.organization.as_deref()).await?;
        let mut transaction = self.pool.begin().await?;
        let id = match new.id {
            Some(id) => {
                sqlx::query_scalar!(
                    "insert into project (id, slug, name, organization_id) values ($1, $2, $3, $4) returning id",
                    id,
                    slug,
                    new.name,
                    organization_id
                )
                .fetch_one(&mut *transaction)
                .await
            }
            None => {
                sqlx::query_scalar!(
                    "insert into project (slug, name, organization_id) values ($1, $2, $3) returning id",
                    slug,
                    new.name,
                    organization_id
                )
                .fetch_one(&mut *transaction)
                .await
            }
        }
        .map_err(|error| taken(error, &format!("a project with the slug `{slug}` or this id exists already")))?;
        if new.id.is_some() {
            sqlx::query!("select setval(pg_get_serial_sequence('project', 'id'), (select max(id) from project))")
                .fetch_one(&mut *transaction)
                .await?;
        }
        sqlx::query!("insert into project_key (key, project_id) values ($1, $2)", key, id)
            .execute(&mut *transaction)
            .await
            .map_err(|error| taken(error, "this key belongs to a project already"))?;
        // Who sees every project so far sees the new one too: the first installation has no other way to say so.
        sqlx::query!(
            "insert into membership (user_id, project_id, role)
             select m.user_id, $1, 'owner' from membership m where m.role = 'owner' and m.project_id <> $1
             group by m.user_id
             having count(*) = (select count(*) from project where deleted_at is null and id <> $1)",
            id
        )
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        self.project(&id.to_string()).await
    }

    /// All projects.
    pub async fn projects(&self) -> Result<Vec<ProjectRow>, StoreError> {
        Ok(sqlx::query_file_as!(ProjectRow, "queries/admin_projects.sql", None::<String>).fetch_all(&self.pool).await?)
    }

    /// One project, by its number or its slug.
    pub async fn project(&self, id_or_slug: &str) -> Result<ProjectRow, StoreError> {
        sqlx::query_file_as!(ProjectRow, "queries/admin_projects.sql", Some(id_or_slug))
            .fetch_optional(&self.pool)
            .await?
            .ok_or_else(|| {
                StoreError::Invalid(format!("there is no project `{id_or_slug}`; `croak project list` shows them"))
            })
    }

    /// Gives a project a new key and revokes the old ones.
    pub async fn rotate_key(&self, project_id: i64) -> Result<String, StoreError> {
        let key = token::generate_key();
        let mut transaction = self.pool.begin().await?;
        sqlx::query!(
            "update project_key set revoked_at = now() where project_id = $1 and revoked_at is null",
            project_id
        )
        .execute(&mut *transaction)
        .await?;
        sqlx::query!("insert into project_key (key, project_id) values ($1, $2)", key, project_id)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(key)
    }

    /// Deletes a project: it is refused and hidden at once, its rows go in slices.
    pub async fn delete_project(&self, project_id: i64) -> Result<(), StoreError> {
        sqlx::query!(
            "update project set deleted_at = now(), disabled = true, slug = slug || '-deleted-' || id where id = $1 and deleted_at is null",
            project_id
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }
}

/// A unique key that was hit is the operator's to know of in words.
pub(super) fn taken(error: sqlx::Error, told: &str) -> StoreError {
    match &error {
        sqlx::Error::Database(answer) if answer.is_unique_violation() => StoreError::Invalid(told.to_owned()),
        _ => StoreError::Database(error),
    }
}
