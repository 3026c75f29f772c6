//! What people do to find again: searches that they save, and feeds.

use serde::Serialize;
use sqlx::{Postgres, Transaction};

use super::{Act, CommandStatus, Order, Outcome, may_act, role_in_project};
use crate::StoreError;
use crate::reader::search::Search;
use crate::reader::{GroupSort, GroupState};

/// Searches that one person can save in one project.
const SEARCHES_MAX: i64 = 50;
/// Feeds that one person can have of one project.
const FEEDS_MAX: i64 = 20;
/// Longest name of a search, in characters.
const NAME_CHARS_MAX: usize = 80;

/// Somebody saves a search; one of theirs that has the name already becomes this one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SaveSearch {
    /// What it is called.
    pub name: String,
    /// What was typed.
    pub query: String,
    /// `all`, or the one state that is listed.
    pub state: String,
    /// The order of the list.
    pub sort: String,
    /// Whether everybody of the project gets to see it.
    pub is_shared: bool,
}

/// Somebody lets a saved search go, and the feeds of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ForgetSearch {
    /// Which.
    pub search_id: i64,
}

/// Somebody makes an address for a newsreader.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MakeFeed {
    /// The saved search whose groups it tells; without one it is all that is unresolved in the project.
    pub search_id: Option<i64>,
    /// SHA-256 of the token in its address.
    pub token_sha256: Vec<u8>,
}

/// Somebody takes a feed's address back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct RevokeFeed {
    /// Which.
    pub feed_id: i64,
}

impl Act for SaveSearch {
    fn kind(&self) -> &'static str {
        "save_search"
    }

    async fn act(&self, transaction: &mut Transaction<'_, Postgres>, order: &Order) -> Result<Outcome, StoreError> {
        if !is_member(transaction, order).await? || (self.is_shared && !may_act(transaction, order).await?) {
            return Ok(denied());
        }
        if let Some(wrong) = self.wrong() {
            return Ok(Outcome::ended(CommandStatus::Invalid, wrong));
        }
        let others = sqlx::query_scalar!(
            r#"select count(*) as "count!" from saved_search where project_id = $1 and user_id = $2 and name <> $3"#,
            order.project_id,
            order.actor_id,
            self.name
        )
        .fetch_one(&mut **transaction)
        .await?;
        if others >= SEARCHES_MAX {
            let told = format!("You have {SEARCHES_MAX} searches in this project: let one go first.");
            return Ok(Outcome::ended(CommandStatus::Invalid, told));
        }
        let id = sqlx::query_scalar!(
            "insert into saved_search (project_id, user_id, name, query, state, sort, is_shared) values ($1, $2, $3, $4, $5, $6, $7)
             on conflict on constraint saved_search_has_one_name do update set
                query = excluded.query, state = excluded.state, sort = excluded.sort, is_shared = excluded.is_shared
             returning id",
            order.project_id,
            order.actor_id,
            self.name,
            self.query,
            self.state,
            self.sort,
            self.is_shared
        )
        .fetch_one(&mut **transaction)
        .await?;
        Ok(Outcome::done("Saved.").with_made(id))
    }
}

impl SaveSearch {
    fn wrong(&self) -> Option<String> {
        let chars = self.name.chars().count();
        if chars == 0 || chars > NAME_CHARS_MAX || self.name.trim() != self.name {
            return Some(format!("A search needs a name of 1 to {NAME_CHARS_MAX} characters."));
        }
        if GroupSort::parse(&self.sort).is_none() || (self.state != "all" && GroupState::parse(&self.state).is_none()) {
            return Some("There is no such list.".to_owned());
        }
        Search::parse(&self.query).err().map(|error| format!("The search is not understood: {error}."))
    }
}

impl Act for ForgetSearch {
    fn kind(&self) -> &'static str {
        "forget_search"
    }

    async fn act(&self, transaction: &mut Transaction<'_, Postgres>, order: &Order) -> Result<Outcome, StoreError> {
        let may_act = may_act(transaction, order).await?;
        // What is shared is everybody's, as far as they may change the project.
        let gone = sqlx::query!(
            "delete from saved_search where id = $1 and project_id = $2 and (user_id = $3 or (is_shared and $4))",
            self.search_id,
            order.project_id,
            order.actor_id,
            may_act
        )
        .execute(&mut **transaction)
        .await?;
        Ok(if gone.rows_affected() == 1 {
            Outcome::done("Done.")
        } else {
            missing("There is no such search of yours.")
        })
    }
}

impl Act for MakeFeed {
    fn kind(&self) -> &'static str {
        "make_feed"
    }

    async fn act(&self, transaction: &mut Transaction<'_, Postgres>, order: &Order) -> Result<Outcome, StoreError> {
        if !is_member(transaction, order).await? {
            return Ok(denied());
        }
        if self.token_sha256.len() != 32 {
            return Ok(Outcome::ended(CommandStatus::Invalid, "The token has no SHA-256."));
        }
        if let Some(search_id) = self.search_id {
            let found = sqlx::query_scalar!(
                "select id from saved_search where id = $1 and project_id = $2 and (user_id = $3 or is_shared)",
                search_id,
                order.project_id,
                order.actor_id
            )
            .fetch_optional(&mut **transaction)
            .await?;
            if found.is_none() {
                return Ok(missing("There is no such search."));
            }
        }
        let others = sqlx::query_scalar!(
            r#"select count(*) as "count!" from feed where user_id = $1 and project_id = $2"#,
            order.actor_id,
            order.project_id
        )
        .fetch_one(&mut **transaction)
        .await?;
        if others >= FEEDS_MAX {
            let told = format!("You have {FEEDS_MAX} feeds of this project: take one back first.");
            return Ok(Outcome::ended(CommandStatus::Invalid, told));
        }
        let id = sqlx::query_scalar!(
            "insert into feed (project_id, user_id, search_id, token_sha256) values ($1, $2, $3, $4) returning id",
            order.project_id,
            order.actor_id,
            self.search_id,
            self.token_sha256
        )
        .fetch_one(&mut **transaction)
        .await?;
        Ok(Outcome::done("Done.").with_made(id))
    }
}

impl Act for RevokeFeed {
    fn kind(&self) -> &'static str {
        "revoke_feed"
    }

    async fn act(&self, transaction: &mut Transaction<'_, Postgres>, order: &Order) -> Result<Outcome, StoreError> {
        let gone = sqlx::query!(
            "delete from feed where id = $1 and project_id = $2 and user_id = $3",
            self.feed_id,
            order.project_id,
            order.actor_id
        )
        .execute(&mut **transaction)
        .await?;
        Ok(if gone.rows_affected() == 1 { Outcome::done("Done.") } else { missing("There is no such feed of yours.") })
    }
}

fn denied() -> Outcome {
    Outcome::ended(CommandStatus::Denied, "You may not do this in this project.")
}

fn missing(told: &str) -> Outcome {
    Outcome::ended(CommandStatus::Missing, told)
}

async fn is_member(transaction: &mut Transaction<'_, Postgres>, order: &Order) -> Result<bool, StoreError> {
    Ok(role_in_project(transaction, order).await?.is_some())
}
