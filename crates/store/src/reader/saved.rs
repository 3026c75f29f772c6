//! Searches that people saved, and the feeds that newsreaders ask for.

use sqlx::types::time::OffsetDateTime;

use super::{Opened, ReadError, Reader};

/// Most searches of one project that a person is shown.
const SEARCHES_MAX: i64 = 100;

/// A search that somebody saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedSearch {
    /// Its number.
    pub id: i64,
    /// What it is called.
    pub name: String,
    /// What was typed.
    pub query: String,
    /// `all`, or the one state that is listed.
    pub state: String,
    /// The order of the list.
    pub sort: String,
    /// Whether everybody of the project sees it.
    pub is_shared: bool,
    /// Whether it is of the person who looks.
    pub is_own: bool,
}

/// An address for a newsreader.
#[derive(Clone, Debug)]
pub struct Feed {
    /// Its number.
    pub id: i64,
    /// The name of the search that it tells of; without one it is all that is unresolved.
    pub search: Option<String>,
    /// Since when.
    pub created_at: OffsetDateTime,
}

/// What a feed's token opens.
#[derive(Clone, Debug)]
pub struct OpenedFeed {
    /// Whose eyes it has.
    pub user_id: i64,
    /// Of which project it tells.
    pub project_id: i64,
    /// The search.
    pub search: Option<SavedSearch>,
}

impl Reader {
    /// The searches of a project that a person sees, by name.
    pub async fn saved_searches(&self, opened: &Opened, user_id: i64) -> Result<Vec<SavedSearch>, ReadError> {
        let searches = sqlx::query_as!(
            SavedSearch,
            r#"select id, name, query, state, sort, is_shared, user_id = $2 as "is_own!" from saved_search
               where project_id = $1 and (user_id = $2 or is_shared) order by name, id limit $3"#,
            opened.id(),
            user_id,
            SEARCHES_MAX
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(searches)
    }

    /// The feeds that a person has of a project.
    pub async fn feeds(&self, opened: &Opened, user_id: i64) -> Result<Vec<Feed>, ReadError> {
        let feeds = sqlx::query_as!(
            Feed,
            r#"select f.id, s.name as "search?", f.created_at from feed f left join saved_search s on s.id = f.search_id
               where f.project_id = $1 and f.user_id = $2 order by f.id"#,
            opened.id(),
            user_id
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(feeds)
    }

    /// What a feed's token opens. Whether its owner still sees the project is decided by [`Reader::open`].
    pub async fn feed(&self, sha256: &[u8]) -> Result<Option<OpenedFeed>, ReadError> {
        let row = sqlx::query!(
            r#"select f.user_id, f.project_id, s.id as "id?", s.name as "name?", s.query as "query?", s.state as "state?", s.sort as "sort?",
                   s.is_shared as "is_shared?", s.user_id = f.user_id as "is_own?"
               from feed f left join saved_search s on s.id = f.search_id and (s.user_id = f.user_id or s.is_shared)
               where f.token_sha256 = $1 and (f.search_id is null or s.id is not null)"#,
            sha256
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.map(|row| OpenedFeed {
            user_id: row.user_id,
            project_id: row.project_id,
            search: row.id.map(|id| SavedSearch {
                id,
                name: row.name.unwrap_or_default(),
                query: row.query.unwrap_or_default(),
                state: row.state.unwrap_or_default(),
                sort: row.sort.unwrap_or_default(),
                is_shared: row.is_shared.unwrap_or_default(),
                is_own: row.is_own.unwrap_or_default(),
            }),
        }))
    }
}
