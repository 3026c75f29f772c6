//! Releases, their commits and their deploys, as build tools announce them.

use sqlx::{Postgres, Transaction};
use time::OffsetDateTime;
use uuid::Uuid;

use super::Writer;
use crate::StoreError;

/// Most releases, and most deploys, of one list.
const LIST_MAX: i64 = 100;

/// What is to be known of a release. What is absent stays as it is.
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "the fields are the columns")]
pub struct ReleaseChange {
    pub r#ref: Option<String>,
    pub url: Option<String>,
    pub started_at: Option<OffsetDateTime>,
    pub released_at: Option<OffsetDateTime>,
    /// Projects that it is of, beside those that it is of already.
    pub project_ids: Vec<i64>,
    /// All its commits, newest first.
    pub commits: Option<Vec<ReleaseCommit>>,
}

/// A commit of a release.
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "the fields are the columns")]
pub struct ReleaseCommit {
    pub sha: String,
    pub repository: String,
    pub author_name: String,
    pub author_email: String,
    pub message: String,
    pub at: Option<OffsetDateTime>,
    /// `[{"path", "type"}]`
    pub patch_set: Option<serde_json::Value>,
}

/// A release.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the fields are the columns")]
pub struct Release {
    pub id: i64,
    pub version: String,
    pub r#ref: Option<String>,
    pub url: Option<String>,
    pub created_at: OffsetDateTime,
    pub started_at: Option<OffsetDateTime>,
    pub released_at: Option<OffsetDateTime>,
    /// Projects that it is of, also those that whoever asked does not see.
    pub project_ids: Vec<i64>,
    pub commit_count: i64,
    /// The newest of its commits.
    pub last_commit: Option<String>,
    pub last_repository: Option<String>,
    /// When a notice of it last came in, in the projects that were asked about.
    pub last_seen_at: Option<OffsetDateTime>,
}

/// A deploy of a release.
#[derive(Debug, Clone)]
pub struct ReleaseDeploy {
    /// The same for whoever announces the same again.
    pub id: Uuid,
    /// Where.
    pub environment: String,
    /// What somebody calls it.
    pub name: String,
    /// Where to look.
    pub url: String,
    /// When it began.
    pub started_at: Option<OffsetDateTime>,
    /// When it was done.
    pub at: OffsetDateTime,
}

impl Writer {
    /// Makes a release, or adds to one; says whether it is new. Whoever may change none of the projects that it is told to changes
    /// nothing about it but that it is of their projects as well.
    pub async fn put_release(
        &self,
        organization_id: i64,
        version: &str,
        changeable_ids: &[i64],
        change: &ReleaseChange,
    ) -> Result<bool, StoreError> {
        let mut transaction = self.pool.begin().await?;
        let made = sqlx::query!(
            "insert into release (organization_id, version) values ($1, $2) on conflict (organization_id, version) do nothing",
            organization_id,
            version
        )
        .execute(&mut *transaction)
        .await?;
        let id = sqlx::query_scalar!(
            "select id from release where organization_id = $1 and version = $2 for update",
            organization_id,
            version
        )
        .fetch_one(&mut *transaction)
        .await?;
        apply(&mut transaction, id, changeable_ids, change).await?;
        transaction.commit().await?;
        Ok(made.rows_affected() == 1)
    }

    /// Changes a release that is there, as far as [`Writer::put_release`] would.
    pub async fn change_release(
        &self,
        release_id: i64,
        changeable_ids: &[i64],
        change: &ReleaseChange,
    ) -> Result<(), StoreError> {
        let mut transaction = self.pool.begin().await?;
        sqlx::query!("select id from release where id = $1 for update", release_id)
            .fetch_optional(&mut *transaction)
            .await?;
        apply(&mut transaction, release_id, changeable_ids, change).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// A release of one of these projects, by its version.
    pub async fn release(
        &self,
        organization_id: i64,
        project_ids: &[i64],
        version: &str,
    ) -> Result<Option<Release>, StoreError> {
        let found = sqlx::query_file_as!(
            Release,
            "queries/releases.sql",
            organization_id,
            project_ids,
            Some(version),
            None::<i64>,
            1
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(found)
    }

    /// The newest releases of these projects.
    pub async fn releases(&self, organization_id: i64, project_ids: &[i64]) -> Result<Vec<Release>, StoreError> {
        let found = sqlx::query_file_as!(
            Release,
            "queries/releases.sql",
            organization_id,
            project_ids,
            None::<String>,
            None::<i64>,
            LIST_MAX
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(found)
    }

    /// The newest release with commits that was made before this one.
    pub async fn release_with_commits_before(
        &self,
        organization_id: i64,
        project_ids: &[i64],
        release_id: i64,
    ) -> Result<Option<Release>, StoreError> {
        let found = sqlx::query_file_as!(
            Release,
            "queries/releases.sql",
            organization_id,
            project_ids,
            None::<String>,
            Some(release_id),
            1
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(found)
    }

    /// The commits of a release as these projects are told, newest first.
    pub async fn release_commits(
        &self,
        release_id: i64,
        project_ids: &[i64],
    ) -> Result<Vec<ReleaseCommit>, StoreError> {
        let commits = sqlx::query_as!(
            ReleaseCommit,
            "select sha, repository, author_name, author_email, message, at, patch_set from release_commit c
             where release_id = $1 and exists (select from release_project p
                 where p.release_id = c.release_id and p.is_told and p.project_id = any($2))
             order by position",
            release_id,
            project_ids
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(commits)
    }

    /// Takes a release from these projects, and away when no project has it any more.
    pub async fn delete_release(&self, release_id: i64, project_ids: &[i64]) -> Result<(), StoreError> {
        let mut transaction = self.pool.begin().await?;
        sqlx::query!("select id from release where id = $1 for update", release_id)
            .fetch_optional(&mut *transaction)
            .await?;
        sqlx::query!(
            "delete from release_project where release_id = $1 and project_id = any($2)",
            release_id,
            project_ids
        )
        .execute(&mut *transaction)
        .await?;
        sqlx::query!(
            "delete from release where id = $1 and not exists (select from release_project where release_id = $1)",
            release_id
        )
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Writes a deploy of a release down for each of these projects; one that is there already stays as it is.
    pub async fn put_deploy(
        &self,
        release: &Release,
        project_ids: &[i64],
        deploy: &ReleaseDeploy,
    ) -> Result<(), StoreError> {
        let revision = release.r#ref.as_ref().or(release.last_commit.as_ref());
        sqlx::query!(
            "insert into deploy (project_id, id, environment, revision, repository, version, message, url, started_at, at)
             select project_id, $2, $3, $4, $5, $6, $7, $8, $9, $10 from unnest($1::bigint[]) as of (project_id) order by project_id
             on conflict (project_id, id) do nothing",
            project_ids,
            deploy.id,
            deploy.environment,
            revision.map_or("", String::as_str),
            release.last_repository.as_deref().unwrap_or_default(),
            release.version,
            deploy.name,
            deploy.url,
            deploy.started_at,
            deploy.at
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// The newest deploys of a version in these projects, each once.
    pub async fn deploys_of(&self, project_ids: &[i64], version: &str) -> Result<Vec<ReleaseDeploy>, StoreError> {
        let deploys = sqlx::query_as!(
            ReleaseDeploy,
            r#"select id, min(environment) as "environment!", min(message) as "name!", min(url) as "url!", min(started_at) as started_at, min(at) as "at!"
               from deploy where project_id = any($1) and version = $2 group by id order by min(at) desc, id limit $3"#,
            project_ids,
            version,
            LIST_MAX
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(deploys)
    }
}

async fn apply(
    transaction: &mut Transaction<'_, Postgres>,
    release_id: i64,
    changeable_ids: &[i64],
    change: &ReleaseChange,
) -> Result<(), StoreError> {
    let is_theirs = sqlx::query_scalar!(
        "select bool_or(project_id = any($2)) from release_project where release_id = $1 and is_told",
        release_id,
        changeable_ids
    )
    .fetch_one(&mut **transaction)
    .await?;
    if is_theirs.is_none() {
        // Those that it was told to are gone: what they were told is nobody else's.
        sqlx::query!("delete from release_commit where release_id = $1", release_id)
            .execute(&mut **transaction)
            .await?;
        sqlx::query!(
            "update release set ref = null, url = null, started_at = null, released_at = null where id = $1",
            release_id
        )
        .execute(&mut **transaction)
        .await?;
    }
    let is_theirs = is_theirs.unwrap_or(true);
    if is_theirs {
        tell(transaction, release_id, change).await?;
    }
    sqlx::query!(
        "insert into release_project as kept (project_id, release_id, is_told)
         select project_id, $2, $3 from unnest($1::bigint[]) as of (project_id)
         order by project_id on conflict (project_id, release_id) do update set is_told = kept.is_told or excluded.is_told",
        &change.project_ids,
        release_id,
        is_theirs
    )
    .execute(&mut **transaction)
    .await?;
    sqlx::query!(
        "insert into project_release (project_id, version) select p.project_id, r.version
         from release r, unnest($1::bigint[]) as p (project_id) where r.id = $2
         order by p.project_id on conflict do nothing",
        &change.project_ids,
        release_id
    )
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

/// Writes down what a build tells of a release.
async fn tell(
    transaction: &mut Transaction<'_, Postgres>,
    release_id: i64,
    change: &ReleaseChange,
) -> Result<(), StoreError> {
    sqlx::query!(
        "update release set ref = coalesce($2, ref), url = coalesce($3, url), started_at = coalesce($4, started_at),
             released_at = coalesce($5, released_at) where id = $1",
        release_id,
        change.r#ref,
        change.url,
        change.started_at,
        change.released_at
    )
    .execute(&mut **transaction)
    .await?;
    if let Some(commits) = &change.commits {
        replace_commits(transaction, release_id, commits).await?;
    }
    Ok(())
}

async fn replace_commits(
    transaction: &mut Transaction<'_, Postgres>,
    release_id: i64,
    commits: &[ReleaseCommit],
) -> Result<(), StoreError> {
    fn column<T>(commits: &[ReleaseCommit], of: impl Fn(&ReleaseCommit) -> T) -> Vec<T> {
        commits.iter().map(of).collect()
    }
    sqlx::query!("delete from release_commit where release_id = $1", release_id).execute(&mut **transaction).await?;
    sqlx::query_file!(
        "queries/put_commits.sql",
        release_id,
        &column(commits, |commit| commit.sha.clone()),
        &column(commits, |commit| commit.repository.clone()),
        &column(commits, |commit| commit.author_name.clone()),
        &column(commits, |commit| commit.author_email.clone()),
        &column(commits, |commit| commit.message.clone()),
        &column(commits, |commit| commit.at) as &[Option<OffsetDateTime>],
        &column(commits, |commit| commit.patch_set.clone()) as &[Option<serde_json::Value>],
    )
    .execute(&mut **transaction)
    .await?;
    Ok(())
}
