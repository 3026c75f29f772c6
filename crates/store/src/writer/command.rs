//! What people do to groups: executed at most once, whatever is sent twice.

use sqlx::{Postgres, Transaction};
use uuid::Uuid;

use super::Writer;
use crate::StoreError;

/// Something a person does to a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupAction {
    /// It is mended; a later notice reopens it.
    Resolve,
    /// It is not mended after all.
    Reopen,
    /// It goes on being counted, but tells nobody.
    Mute,
}

impl GroupAction {
    /// The name of its kind, as `command` keeps it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Resolve => "resolve",
            Self::Reopen => "reopen",
            Self::Mute => "mute",
        }
    }

    /// The state it leads to.
    fn state(self) -> &'static str {
        match self {
            Self::Resolve => "resolved",
            Self::Reopen => "unresolved",
            Self::Mute => "muted",
        }
    }

    /// What the history calls it.
    fn happened(self) -> &'static str {
        match self {
            Self::Resolve => "resolved",
            Self::Reopen => "reopened",
            Self::Mute => "muted",
        }
    }
}

/// A command to a group.
#[derive(Debug, Clone)]
pub struct GroupCommand {
    /// Made before it is first sent; the same for every repeat.
    pub id: Uuid,
    /// Who does it.
    pub actor_id: i64,
    /// The project of the group.
    pub project_id: i64,
    /// The group.
    pub group_id: i64,
    /// What is done.
    pub action: GroupAction,
    /// The version of the group that the person saw.
    pub expected_version: i32,
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommandStatus {
    /// It holds.
    Done,
    /// Somebody changed the group since the person saw it; nothing was done.
    Conflict,
    /// The actor may not act in this project, or this is somebody else's command.
    Denied,
    /// There is no such group.
    Missing,
}

impl CommandStatus {
    fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Conflict => "conflict",
            Self::Denied => "denied",
            Self::Missing => "missing",
        }
    }

    fn from_str(text: &str) -> Self {
        match text {
            "done" => Self::Done,
            "conflict" => Self::Conflict,
            "missing" => Self::Missing,
            _ => Self::Denied,
        }
    }
}

/// The result of a command, the same for every repeat of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandResult {
    /// How it ended.
    pub status: CommandStatus,
    /// One sentence for the person.
    pub told: String,
    /// The version of the group afterwards; 0 when there is none to tell.
    pub version: i32,
    /// A reader that has replayed this position of the log sees the change.
    pub lsn: String,
}

impl Writer {
    /// Executes a command, or answers what became of it when it was sent before.
    ///
    /// Runs in a task of its own: whoever waits for the answer may go away in the middle of it.
    pub async fn execute(&self, command: GroupCommand) -> Result<CommandResult, StoreError> {
        let writer = self.clone();
        tokio::spawn(async move { writer.execute_here(&command).await }).await.map_err(StoreError::TaskDied)?
    }

    async fn execute_here(&self, command: &GroupCommand) -> Result<CommandResult, StoreError> {
        let mut transaction = self.pool.begin().await?;
        let (status, told, version) = match record(&mut transaction, command).await? {
            Some(earlier) => earlier,
            None => {
                let (status, told, version) = act(&mut transaction, command).await?;
                sqlx::query!(
                    "update command set status = $2, told = $3, version = $4 where id = $1",
                    command.id,
                    status.as_str(),
                    told,
                    version
                )
                .execute(&mut *transaction)
                .await?;
                (status, told.to_owned(), version)
            }
        };
        transaction.commit().await.map_err(StoreError::CommitUnknown)?;
        let lsn =
            sqlx::query_scalar!(r#"select pg_current_wal_insert_lsn()::text as "lsn!""#).fetch_one(&self.pool).await?;
        Ok(CommandResult { status, told, version, lsn })
    }
}

/// Takes the command's id. `Some` is the result of the one that had it before: a repeat that comes while the first is
/// still under way waits here for its end.
async fn record(
    transaction: &mut Transaction<'_, Postgres>,
    command: &GroupCommand,
) -> Result<Option<(CommandStatus, String, i32)>, StoreError> {
    let args =
        serde_json::json!({ "group_id": command.group_id.to_string(), "expected_version": command.expected_version });
    let is_new = sqlx::query!(
        "insert into command (id, actor_id, project_id, kind, args, status) values ($1, $2, $3, $4, $5, 'running') on conflict (id) do nothing",
        command.id,
        command.actor_id,
        command.project_id,
        command.action.as_str(),
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
        "select actor_id, project_id, kind, args, status, told, version from command where id = $1",
        command.id
    )
    .fetch_one(&mut **transaction)
    .await?;
    let is_the_same = earlier.actor_id == command.actor_id
        && earlier.project_id == command.project_id
        && earlier.kind == command.action.as_str()
        && earlier.args == args;
    if !is_the_same {
        return Ok(Some((CommandStatus::Denied, "This id belongs to another command.".to_owned(), 0)));
    }
    Ok(Some((CommandStatus::from_str(&earlier.status), earlier.told, earlier.version)))
}

async fn act(
    transaction: &mut Transaction<'_, Postgres>,
    command: &GroupCommand,
) -> Result<(CommandStatus, &'static str, i32), StoreError> {
    let may_act = sqlx::query_scalar!(
        r#"select role <> 'viewer' as "may_act!" from membership where user_id = $1 and project_id = $2"#,
        command.actor_id,
        command.project_id
    )
    .fetch_optional(&mut **transaction)
    .await?;
    if may_act != Some(true) {
        return Ok((CommandStatus::Denied, "You may not change this project.", 0));
    }
    let found = sqlx::query!(
        "select state, version from grp where project_id = $1 and id = $2 for update",
        command.project_id,
        command.group_id
    )
    .fetch_optional(&mut **transaction)
    .await?;
    let Some(group) = found else {
        return Ok((CommandStatus::Missing, "There is no such group.", 0));
    };
    let state = command.action.state();
    if group.state == state {
        return Ok((CommandStatus::Done, "It was so already.", group.version));
    }
    if group.version != command.expected_version {
        return Ok((CommandStatus::Conflict, "Somebody changed this group meanwhile; look again.", group.version));
    }
    let version = sqlx::query_scalar!(
        "update grp set state = $3, version = version + 1, resolved_at = case when $3 = 'resolved' then now() end
         where project_id = $1 and id = $2 returning version",
        command.project_id,
        command.group_id,
        state
    )
    .fetch_one(&mut **transaction)
    .await?;
    sqlx::query!(
        "insert into grp_history (project_id, group_id, actor_id, kind) values ($1, $2, $3, $4)",
        command.project_id,
        command.group_id,
        command.actor_id,
        command.action.happened()
    )
    .execute(&mut **transaction)
    .await?;
    Ok((CommandStatus::Done, "Done.", version))
}
