//! Role command: what people do on the web, executed at most once and answered at once.

use std::time::Duration;

use service::proto::command::command::Action;
use service::proto::command::command_result::Status as Ended;
use service::proto::command::commands_server::Commands;
use service::proto::command::{Command, CommandResult};
use store::Writer;
use store::writer::{CommandStatus, GroupAction, GroupCommand};
use tonic::{Request, Response, Status};
use uuid::Uuid;

/// Longest time for one command.
const COMMAND_MAX: Duration = Duration::from_secs(10);

/// Answers the gRPC service `Commands`.
#[derive(Debug, Clone)]
pub(crate) struct Executor {
    writer: Writer,
}

impl Executor {
    pub(crate) fn new(writer: Writer) -> Self {
        Self { writer }
    }
}

#[tonic::async_trait]
impl Commands for Executor {
    async fn execute(&self, request: Request<Command>) -> Result<Response<CommandResult>, Status> {
        let command = group_command(&request.into_inner())?;
        let kind = command.action.as_str();
        let executed = tokio::time::timeout(COMMAND_MAX, self.writer.execute(command)).await;
        let executed =
            executed.map_err(|_| Status::deadline_exceeded("the command took too long; it can be sent again"))?;
        match executed {
            Ok(result) => {
                let ended = ended(result.status);
                metrics::counter!("worker_commands_total", "kind" => kind, "ended" => ended.as_str_name()).increment(1);
                tracing::info!(kind, ended = ended.as_str_name(), "command executed");
                Ok(Response::new(CommandResult {
                    status: ended.into(),
                    told: result.told,
                    version: result.version,
                    lsn: result.lsn,
                }))
            }
            Err(error) => {
                tracing::warn!(kind, error = service::causes(&error), "command not executed");
                // The same id may be sent again: whether it was executed is then found out.
                Err(Status::unavailable("the command could not be executed; it can be sent again"))
            }
        }
    }
}

/// The command as the store takes it, or what is wrong with it.
fn group_command(command: &Command) -> Result<GroupCommand, Status> {
    let id = Uuid::parse_str(&command.id).map_err(|_| Status::invalid_argument("id is not a UUID"))?;
    let (action, group_id, expected_version) = match &command.action {
        Some(Action::ResolveGroup(resolve)) => (GroupAction::Resolve, resolve.group_id, resolve.expected_version),
        Some(Action::ReopenGroup(reopen)) => (GroupAction::Reopen, reopen.group_id, reopen.expected_version),
        Some(Action::MuteGroup(mute)) => (GroupAction::Mute, mute.group_id, mute.expected_version),
        None => return Err(Status::invalid_argument("no action, or one that this worker is too old for")),
    };
    Ok(GroupCommand {
        id,
        actor_id: command.actor_id,
        project_id: command.project_id,
        group_id,
        action,
        expected_version,
    })
}

fn ended(status: CommandStatus) -> Ended {
    match status {
        CommandStatus::Done => Ended::Done,
        CommandStatus::Conflict => Ended::Conflict,
        CommandStatus::Denied => Ended::Denied,
        CommandStatus::Missing => Ended::Missing,
    }
}
