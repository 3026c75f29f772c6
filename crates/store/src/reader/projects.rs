//! Projects, and who may see which.

use sqlx::types::time::OffsetDateTime;

use super::{GROUPS_COUNTED_MAX, ReadError, Reader};
use crate::Role;

/// Who is looking. Decides which projects there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Viewer {
    /// A person: sees the projects that `project_access` says.
    User(i64),
    /// A project's own token: sees that project.
    Project(i64),
}

impl Viewer {
    /// The person, if it is one.
    #[must_use]
    pub fn user_id(self) -> Option<i64> {
        match self {
            Viewer::User(id) => Some(id),
            Viewer::Project(_) => None,
        }
    }

    pub(super) fn project_id(self) -> Option<i64> {
        match self {
            Viewer::User(_) => None,
            Viewer::Project(id) => Some(id),
        }
    }
}

/// A project that its viewer may see. Only [`Reader::open`] makes one; what belongs to a project is read through it.
#[derive(Clone, Debug)]
pub struct Opened {
    id: i64,
    slug: String,
    name: String,
    organization_id: i64,
    role: Option<Role>,
}

impl Opened {
    /// The project's number.
    #[must_use]
    pub fn id(&self) -> i64 {
        self.id
    }

    /// The project's short name.
    #[must_use]
    pub fn slug(&self) -> &str {
        &self.slug
    }

    /// The project's name for people.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The number of the organization that it belongs to.
    #[must_use]
    pub fn organization_id(&self) -> i64 {
        self.organization_id
    }

    /// What the viewer is in it; nothing for a project's own token, which looks only.
    #[must_use]
    pub fn role(&self) -> Option<Role> {
        self.role
    }

    /// Whether the viewer may change the state of groups.
    #[must_use]
    pub fn may_act(&self) -> bool {
        self.role.is_some_and(Role::may_act)
    }

    /// Whether the viewer may change the settings.
    #[must_use]
    pub fn may_manage(&self) -> bool {
        self.role.is_some_and(Role::may_manage)
    }
}

/// A project with its totals.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields are the columns")]
pub struct Project {
    pub id: i64,
    pub slug: String,
    pub name: String,
    pub notice_count: i64,
    /// Up to [`GROUPS_COUNTED_MAX`], and one more.
    pub unresolved_group_count: i64,
    pub created_at: OffsetDateTime,
}

/// A project as the list of projects shows it.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields are the columns")]
pub struct ProjectCard {
    pub project: Project,
    /// Notices of each of the last 24 hours, oldest first.
    pub hours: Vec<i64>,
    pub last_seen_at: Option<OffsetDateTime>,
    pub last_deploy_at: Option<OffsetDateTime>,
    pub last_deploy: Option<String>,
}

impl Reader {
    /// Opens a project for a viewer; `None` when there is no such project or it is not the viewer's to see.
    pub async fn open(&self, viewer: Viewer, project_id: i64) -> Result<Option<Opened>, ReadError> {
        let row = sqlx::query!(
            r#"select p.slug, p.name, p.organization_id, a.role as "role?"
               from project p left join project_access a on a.project_id = p.id and a.user_id = $2::bigint
               where p.id = $1 and p.deleted_at is null and (a.role is not null or p.id = $3::bigint)"#,
            project_id,
            viewer.user_id(),
            viewer.project_id(),
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.map(|row| Opened {
            id: project_id,
            slug: row.slug,
            name: row.name,
            organization_id: row.organization_id,
            role: row.role.as_deref().and_then(Role::parse),
        }))
    }

    /// Opens every project that a viewer sees, up to `limit`, by name.
    pub async fn open_all(&self, viewer: Viewer, limit: i64) -> Result<Vec<Opened>, ReadError> {
        let rows = sqlx::query!(
            r#"select p.id, p.slug, p.name, p.organization_id, a.role as "role?"
               from project p left join project_access a on a.project_id = p.id and a.user_id = $1::bigint
               where p.deleted_at is null and (a.role is not null or p.id = $2::bigint) order by p.name, p.id limit $3"#,
            viewer.user_id(),
            viewer.project_id(),
            limit
        )
        .fetch_all(&self.pool)
        .await?;
        let opened = rows.into_iter().map(|row| Opened {
            id: row.id,
            slug: row.slug,
            name: row.name,
            organization_id: row.organization_id,
            role: row.role.as_deref().and_then(Role::parse),
        });
        Ok(opened.collect())
    }

    /// The projects that a viewer sees, by id, after the id `after`.
    pub async fn projects(&self, viewer: Viewer, after: i64, limit: i64) -> Result<Vec<Project>, ReadError> {
        let projects = sqlx::query_file_as!(
            Project,
            "queries/read_projects.sql",
            viewer.user_id(),
            viewer.project_id(),
            after,
            limit,
            GROUPS_COUNTED_MAX
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(projects)
    }

    /// One project with its totals.
    pub async fn project(&self, opened: &Opened) -> Result<Option<Project>, ReadError> {
        let found = self.projects(Viewer::Project(opened.id), opened.id - 1, 1).await?;
        Ok(found.into_iter().next())
    }

    /// The projects that a viewer sees, with what the list of projects shows; those with the newest notices first.
    pub async fn project_cards(&self, viewer: Viewer, limit: i64) -> Result<Vec<ProjectCard>, ReadError> {
        let projects = self.projects(viewer, 0, limit).await?;
        let ids: Vec<i64> = projects.iter().map(|project| project.id).collect();
        let hours = sqlx::query_file!("queries/read_project_hours.sql", &ids).fetch_all(&self.pool).await?;
        let news = sqlx::query_file!("queries/read_project_news.sql", &ids).fetch_all(&self.pool).await?;
        let mut cards: Vec<ProjectCard> = projects
            .into_iter()
            .map(|project| {
                let news = news.iter().find(|row| row.project_id == project.id);
                let mut card = ProjectCard {
                    hours: vec![0; 24],
                    last_seen_at: news.and_then(|row| row.last_seen_at),
                    last_deploy_at: news.and_then(|row| row.last_deploy_at),
                    last_deploy: news.and_then(|row| row.last_deploy.clone()),
                    project,
                };
                for row in hours.iter().filter(|row| row.project_id == card.project.id) {
                    if let Some(hour) = usize::try_from(row.hour).ok().and_then(|hour| card.hours.get_mut(hour)) {
                        *hour = row.stored;
                    }
                }
                card
            })
            .collect();
        cards.sort_by_key(|card| std::cmp::Reverse(card.last_seen_at));
        Ok(cards)
    }

    /// The oldest valid key of a project, for the lines that people paste into their clients.
    pub async fn project_key(&self, opened: &Opened) -> Result<Option<String>, ReadError> {
        let key = sqlx::query_scalar!(
            "select key from project_key where project_id = $1 and revoked_at is null order by created_at limit 1",
            opened.id
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(key)
    }
}
