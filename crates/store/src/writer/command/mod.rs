//! What people do: executed at most once, whatever is sent twice.
//!
//! Everything that can be done is a type that implements [`Act`], in the module of the room that it belongs to. What all
//! of them have in common is here: the row of `command` that takes the id, and what is told of a repeat.

mod accounts;
mod bulk;
mod comments;
mod dead;
mod delete;
mod finding;
mod groups;
mod letters;
mod merges;
mod organizations;
mod projects;
mod scrubbing;
mod second_factor;
mod tokens;
mod told;

use std::future::Future;

use serde::Serialize;
use sqlx::{Postgres, Transaction};
use uuid::Uuid;

pub use accounts::{
    AskEmail, AskLink, ChangeName, ChangePassword, ConfirmEmail, DeleteAccount, EMAIL_CHARS_MAX, LinkWanted,
    Registration, SetPassword, SignOutEverywhere,
};
pub use bulk::{ChangeFound, ChangeTicked, TICKED_MAX, UndoBulk};
pub use comments::{DeleteComment, EditComment, WriteComment};
pub use dead::{DropDeadNotice, RetryDeadNotice, RetryDeadNotices};
pub use delete::DeleteGroup;
pub use finding::{ForgetSearch, MakeFeed, RevokeFeed, SaveSearch};
pub use groups::{AssignGroup, Comeback, GroupAct, GroupChange, MuteUntil};
pub use merges::{MERGED_MAX, MergeGroups, SeenGroup, UnmergeGroup};
pub use organizations::{
    AcceptInvitation, ChangeTeam, CreateTeam, Invite, RenameOrganization, RevokeInvitation, SetOrganizationMember,
    TeamChange,
};
pub use projects::{
    ChangeProject, CreateKey, CreateProject, DeleteProject, NAME_CHARS_MAX, RETENTION_DAYS_MAX, RevokeKey,
    SetProjectMember,
};
pub use scrubbing::SetScrubbing;
pub use second_factor::{DisableTotp, EnableTotp, RECOVERY_CODES, UseRecoveryCode, UseTotp};
pub use tokens::{CreateToken, RevokeToken, TOKEN_DAYS_MAX};
pub use told::{
    ChooseNotifications, DeleteDestination, DeleteRule, EnableDestination, SaveDestination, SaveRule, TestDestination,
    Unsubscribe,
};

use super::Writer;
use crate::{Role, StoreError};

/// How often a command that two of them held each other up with is tried.
const TRIES_MAX: u32 = 3;

/// What a command waits for a lock at most: shorter than whoever sent it waits for the answer, so that he hears that nothing was changed.
const COMMAND_LIMITS: &str = "set local lock_timeout = '4s'";

/// Something that a person does. Serialized it is what `command.args` keeps, so it holds no secret in clear.
pub trait Act: Serialize + Send + Sync + 'static {
    /// The name of its kind, as `command.kind` keeps it.
    fn kind(&self) -> &'static str;

    /// Does it, or says why not. Whether the actor may do it is its business, too: `order` says who asks, and for which
    /// project. What it wrote is kept whichever way it ends, unless it fails.
    fn act(
        &self,
        transaction: &mut Transaction<'_, Postgres>,
        order: &Order,
    ) -> impl Future<Output = Result<Outcome, StoreError>> + Send;
}

/// Who asks, and by which name: the same for every repeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    /// Made before it is first sent; the same for every repeat.
    pub id: Uuid,
    /// Who does it: a user, or 0 for somebody who is not signed in.
    pub actor_id: i64,
    /// The project that it is done in, or 0 where it is not about one.
    pub project_id: i64,
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommandStatus {
    /// It holds.
    Done,
    /// Somebody changed the object since the person saw it; nothing was done.
    Conflict,
    /// The actor may not do this, or this is somebody else's command.
    Denied,
    /// There is no such object.
    Missing,
    /// What was asked for cannot be.
    Invalid,
}

impl CommandStatus {
    fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Conflict => "conflict",
            Self::Denied => "denied",
            Self::Missing => "missing",
            Self::Invalid => "invalid",
        }
    }

    fn from_str(text: &str) -> Self {
        match text {
            "done" => Self::Done,
            "conflict" => Self::Conflict,
            "missing" => Self::Missing,
            "invalid" => Self::Invalid,
            _ => Self::Denied,
        }
    }
}

/// What an [`Act`] led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// How it ended.
    pub status: CommandStatus,
    /// One sentence for the person.
    pub told: String,
    /// The version of the object afterwards; 0 when there is none to tell.
    pub version: i32,
    /// The id of what was made; 0 when nothing was.
    pub made_id: i64,
}

impl Outcome {
    /// It holds, and `told` says what does.
    pub fn done(told: impl Into<String>) -> Self {
        Self::ended(CommandStatus::Done, told)
    }

    /// It ended so; `told` says why.
    pub fn ended(status: CommandStatus, told: impl Into<String>) -> Self {
        Self { status, told: told.into(), version: 0, made_id: 0 }
    }

    /// The same, with the version of the object.
    #[must_use]
    pub fn with_version(self, version: i32) -> Self {
        Self { version, ..self }
    }

    /// The same, with the id of what was made.
    #[must_use]
    pub fn with_made(self, made_id: i64) -> Self {
        Self { made_id, ..self }
    }
}

/// The result of a command, the same for every repeat of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandResult {
    /// What it led to.
    pub outcome: Outcome,
    /// A reader that has replayed this position of the log sees the change.
    pub lsn: String,
}

impl Writer {
    /// Executes a command, or answers what became of it when it was sent before.
    ///
    /// Runs in a task of its own: whoever waits for the answer may go away in the middle of it.
    pub async fn execute(&self, order: Order, act: impl Act) -> Result<CommandResult, StoreError> {
        let writer = self.clone();
        let executed = async move {
            let mut tries = 1;
            loop {
                match writer.execute_here(&order, &act).await {
                    Err(error) if error.is_deadlock() && tries < TRIES_MAX => tries += 1,
                    ended => return ended,
                }
            }
        };
        tokio::spawn(executed).await.map_err(StoreError::TaskDied)?
    }

    /// A transaction of a command.
    async fn begin_command(&self) -> Result<Transaction<'static, Postgres>, StoreError> {
        let mut transaction = self.begin().await?;
        sqlx::raw_sql(COMMAND_LIMITS).execute(&mut *transaction).await?;
        Ok(transaction)
    }

    async fn execute_here(&self, order: &Order, act: &impl Act) -> Result<CommandResult, StoreError> {
        let args = serde_json::to_value(act).map_err(StoreError::NotJson)?;
        if has_nul(&args) {
            let outcome = Outcome::ended(CommandStatus::Invalid, "There is a character in it that no text has.");
            return Ok(CommandResult { outcome, lsn: String::new() });
        }
        let mut transaction = self.begin_command().await?;
        let outcome = match record(&mut transaction, order, act.kind(), &args).await? {
            Some(earlier) => earlier,
            None => {
                let outcome = act.act(&mut transaction, order).await?;
                sqlx::query!(
                    "update command set status = $2, told = $3, version = $4, made_id = $5 where id = $1",
                    order.id,
                    outcome.status.as_str(),
                    outcome.told,
                    outcome.version,
                    outcome.made_id
                )
                .execute(&mut *transaction)
                .await?;
                outcome
            }
        };
        transaction.commit().await.map_err(StoreError::CommitUnknown)?;
        let lsn = sqlx::query_scalar!(r#"select pg_current_wal_insert_lsn()::text as "lsn!""#)
            .fetch_one(&self.pool)
            .await
            .map_err(StoreError::CommitUnknown)?; // it holds, and whoever asks must not hear otherwise
        Ok(CommandResult { outcome, lsn })
    }
}

/// Whether a text in there has a NUL, which PostgreSQL keeps nowhere.
fn has_nul(args: &serde_json::Value) -> bool {
    match args {
        serde_json::Value::String(text) => text.contains('\0'),
        serde_json::Value::Array(items) => items.iter().any(has_nul),
        serde_json::Value::Object(fields) => fields.values().any(has_nul),
        _ => false,
    }
}

/// Takes the command's id. `Some` is the result of the one that had it before: a repeat that comes while the first is
/// still under way waits here for its end.
async fn record(
    transaction: &mut Transaction<'_, Postgres>,
    order: &Order,
    kind: &str,
    args: &serde_json::Value,
) -> Result<Option<Outcome>, StoreError> {
    let is_new = sqlx::query!(
        "insert into command (id, actor_id, project_id, kind, args, status) values ($1, $2, $3, $4, $5, 'running') on conflict (id) do nothing",
        order.id,
        order.actor_id,
        order.project_id,
        kind,
        args,
    )
    .execute(&mut **transaction)
    .await?
    .rows_affected()
        == 1;
    if is_new {
        return Ok(None);
    }
    let earlier = sqlx::query!(
        "select actor_id, project_id, kind, args, status, told, version, made_id from command where id = $1",
        order.id
    )
    .fetch_one(&mut **transaction)
    .await?;
    let is_the_same = earlier.actor_id == order.actor_id
        && earlier.project_id == order.project_id
        && earlier.kind == kind
        && earlier.args == *args;
    if !is_the_same {
        return Ok(Some(Outcome::ended(CommandStatus::Denied, "This id belongs to another command.")));
    }
    Ok(Some(Outcome {
        status: CommandStatus::from_str(&earlier.status),
        told: earlier.told,
        version: earlier.version,
        made_id: earlier.made_id,
    }))
}

/// Whether the actor may change the state of the project's groups.
async fn may_act(transaction: &mut Transaction<'_, Postgres>, order: &Order) -> Result<bool, StoreError> {
    Ok(role_in_project(transaction, order).await?.is_some_and(Role::may_act))
}

/// What the actor is in the order's project.
async fn role_in_project(
    transaction: &mut Transaction<'_, Postgres>,
    order: &Order,
) -> Result<Option<Role>, StoreError> {
    let role = sqlx::query_scalar!(
        r#"select role as "role!" from project_access where user_id = $1 and project_id = $2"#,
        order.actor_id,
        order.project_id
    )
    .fetch_optional(&mut **transaction)
    .await?;
    Ok(role.as_deref().and_then(Role::parse))
}

/// What somebody is in an organization.
async fn role_in_organization(
    transaction: &mut Transaction<'_, Postgres>,
    user_id: i64,
    organization_id: i64,
) -> Result<Option<Role>, StoreError> {
    let role = sqlx::query_scalar!(
        "select role from organization_member where user_id = $1 and organization_id = $2",
        user_id,
        organization_id
    )
    .fetch_optional(&mut **transaction)
    .await?;
    Ok(role.as_deref().and_then(Role::parse))
}

/// Writes into the audit log what the actor changed: of the organization's, or of the own account.
async fn note(
    transaction: &mut Transaction<'_, Postgres>,
    order: &Order,
    organization_id: Option<i64>,
    kind: &str,
    about: &str,
) -> Result<(), StoreError> {
    let project_id = Some(order.project_id).filter(|id| *id != 0);
    sqlx::query!(
        "insert into audit_log (actor_id, organization_id, project_id, kind, about) values ($1, $2, $3, $4, $5)",
        order.actor_id,
        organization_id,
        project_id,
        kind,
        about
    )
    .execute(&mut **transaction)
    .await?;
    Ok(())
}
