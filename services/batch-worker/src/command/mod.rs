//! Role command: what people do on the web, executed at most once and answered at once.

mod accounts;
mod finding;
mod groups;
mod operators;
mod told;

use std::time::Duration;

use service::proto::command::command::Action;
use service::proto::command::command_result::Status as Ended;
use service::proto::command::commands_server::Commands;
use service::proto::command::{Command, CommandResult};
use store::Writer;
use store::writer::{
    Act, ChangeName, CommandStatus, ConfirmEmail, CreateKey, CreateTeam, DeleteAccount, DeleteProject, DisableTotp,
    Order, RenameOrganization, RetryDeadNotices, RevokeInvitation, RevokeKey, RevokeToken, SignOutEverywhere,
    UseRecoveryCode, UseTotp,
};
use tonic::{Request, Response, Status};
use uuid::Uuid;

/// Longest time for one command.
const COMMAND_MAX: Duration = Duration::from_secs(10);

/// Answers the gRPC service `Commands`.
#[derive(Debug, Clone)]
pub(crate) struct Executor {
    writer: Writer,
    /// Where people reach the pages, for links in mails.
    public_url: Option<String>,
}

impl Executor {
    pub(crate) fn new(writer: Writer, public_url: Option<&str>) -> Self {
        Self { writer, public_url: public_url.map(|url| url.trim_end_matches('/').to_owned()) }
    }
}

#[tonic::async_trait]
impl Commands for Executor {
    async fn execute(&self, request: Request<Command>) -> Result<Response<CommandResult>, Status> {
        let command = request.into_inner();
        let id = Uuid::parse_str(&command.id).map_err(|_| Status::invalid_argument("id is not a UUID"))?;
        let order = Order { id, actor_id: command.actor_id, project_id: command.project_id };
        let public_url = self.public_url.clone();
        match command.action {
            Some(Action::ResolveGroup(asked)) => self.act(order, groups::resolve(&asked)).await,
            Some(Action::ReopenGroup(asked)) => self.act(order, groups::reopen(&asked)).await,
            Some(Action::MuteGroup(asked)) => self.act(order, groups::mute(&asked)).await,
            Some(Action::MergeGroups(asked)) => self.act(order, groups::merge(&asked)).await,
            Some(Action::UnmergeGroup(asked)) => self.act(order, groups::unmerge(&asked)).await,
            Some(Action::AssignGroup(asked)) => self.act(order, groups::assign(&asked, public_url)).await,
            Some(Action::WriteComment(asked)) => self.act(order, groups::write_comment(&asked)).await,
            Some(Action::EditComment(asked)) => self.act(order, groups::edit_comment(&asked)).await,
            Some(Action::DeleteComment(asked)) => self.act(order, groups::delete_comment(&asked)).await,
            Some(Action::ChangeTicked(asked)) => self.act(order, groups::change_ticked(&asked)?).await,
            Some(Action::UndoBulk(asked)) => self.act(order, groups::undo_bulk(&asked)?).await,
            Some(Action::DeleteGroup(asked)) => self.act(order, groups::delete(&asked)).await,
            Some(Action::ChangeFound(asked)) => self.act(order, groups::change_found(&asked)?).await,
            Some(Action::SetScrubbing(asked)) => self.act(order, groups::set_scrubbing(asked)?).await,
            Some(Action::AskLink(asked)) => self.act(order, accounts::ask_link(asked, public_url)).await,
            Some(Action::SetPassword(asked)) => self.act(order, accounts::set_password(asked, public_url)).await,
            Some(Action::CreateProject(asked)) => self.act(order, accounts::create_project(asked)).await,
            Some(Action::SaveDestination(asked)) => self.act(order, told::save_destination(asked)?).await,
            Some(Action::EnableDestination(asked)) => self.act(order, told::enable_destination(&asked)).await,
            Some(Action::DeleteDestination(asked)) => self.act(order, told::delete_destination(&asked)).await,
            Some(Action::TestDestination(asked)) => self.act(order, told::test_destination(&asked)).await,
            Some(Action::SaveRule(asked)) => self.act(order, told::save_rule(asked)).await,
            Some(Action::DeleteRule(asked)) => self.act(order, told::delete_rule(&asked)).await,
            Some(Action::ChooseNotifications(asked)) => self.act(order, told::choose_notifications(&asked)).await,
            Some(Action::Unsubscribe(asked)) => match told::unsubscribe(&self.writer, &asked).await? {
                Some(unsubscribe) => self.act(order, unsubscribe).await,
                None => Ok(Response::new(CommandResult {
                    status: Ended::Invalid.into(),
                    told: "This link is none of ours.".to_owned(),
                    ..CommandResult::default()
                })),
            },
            Some(Action::ChangePassword(asked)) => self.act(order, accounts::change_password(asked, public_url)).await,
            Some(Action::ChangeName(asked)) => self.act(order, ChangeName { name: asked.name }).await,
            Some(Action::AskEmail(asked)) => self.act(order, accounts::ask_email(asked, public_url)).await,
            Some(Action::ConfirmEmail(asked)) => {
                self.act(order, ConfirmEmail { token_sha256: asked.token_sha256, public_url }).await
            }
            Some(Action::SignOutEverywhere(asked)) => {
                self.act(order, SignOutEverywhere { revokes_tokens: asked.revokes_tokens }).await
            }
            Some(Action::DeleteAccount(_)) => self.act(order, DeleteAccount {}).await,
            Some(Action::EnableTotp(asked)) => self.act(order, accounts::enable_totp(asked, public_url)).await,
            Some(Action::DisableTotp(_)) => self.act(order, DisableTotp { public_url }).await,
            Some(Action::UseTotp(asked)) => {
                self.act(order, UseTotp { user_id: asked.user_id, step: asked.step, public_url }).await
            }
            Some(Action::UseRecoveryCode(asked)) => {
                let (user_id, code_sha256) = (asked.user_id, asked.code_sha256);
                self.act(order, UseRecoveryCode { user_id, code_sha256, public_url }).await
            }
            Some(Action::ChangeProject(asked)) => self.act(order, accounts::change_project(asked)).await,
            Some(Action::DeleteProject(asked)) => self.act(order, DeleteProject { slug: asked.slug }).await,
            Some(Action::CreateKey(_)) => self.act(order, CreateKey {}).await,
            Some(Action::RevokeKey(asked)) => self.act(order, RevokeKey { key_sha256: asked.key_sha256 }).await,
            Some(Action::SetProjectMember(asked)) => self.act(order, accounts::set_project_member(&asked)?).await,
            Some(Action::CreateToken(asked)) => self.act(order, accounts::create_token(asked, public_url)).await,
            Some(Action::RevokeToken(asked)) => self.act(order, RevokeToken { token_id: asked.token_id }).await,
            Some(Action::RenameOrganization(asked)) => {
                let (organization_id, name) = (asked.organization_id, asked.name);
                self.act(order, RenameOrganization { organization_id, name }).await
            }
            Some(Action::SetOrganizationMember(asked)) => {
                self.act(order, accounts::set_organization_member(&asked)?).await
            }
            Some(Action::Invite(asked)) => self.act(order, accounts::invite(asked, public_url)?).await,
            Some(Action::RevokeInvitation(asked)) => {
                let (organization_id, invitation_id) = (asked.organization_id, asked.invitation_id);
                self.act(order, RevokeInvitation { organization_id, invitation_id }).await
            }
            Some(Action::AcceptInvitation(asked)) => self.act(order, accounts::accept_invitation(asked)).await,
            Some(Action::CreateTeam(asked)) => {
                let (organization_id, name) = (asked.organization_id, asked.name);
                self.act(order, CreateTeam { organization_id, name }).await
            }
            Some(Action::ChangeTeam(asked)) => self.act(order, accounts::change_team(&asked)?).await,
            Some(Action::SaveSearch(asked)) => self.act(order, finding::save(asked)).await,
            Some(Action::ForgetSearch(asked)) => self.act(order, finding::forget(&asked)).await,
            Some(Action::MakeFeed(asked)) => self.act(order, finding::make_feed(asked)).await,
            Some(Action::RevokeFeed(asked)) => self.act(order, finding::revoke_feed(&asked)).await,
            Some(Action::RetryDeadNotice(asked)) => self.act(order, operators::retry(asked)?).await,
            Some(Action::RetryDeadNotices(asked)) => self.act(order, RetryDeadNotices { reason: asked.reason }).await,
            Some(Action::DropDeadNotice(asked)) => self.act(order, operators::drop_for_good(asked)?).await,
            None => Err(Status::invalid_argument("no action, or one that this worker is too old for")),
        }
    }
}

impl Executor {
    async fn act(&self, order: Order, act: impl Act) -> Result<Response<CommandResult>, Status> {
        let kind = act.kind();
        let executed = tokio::time::timeout(COMMAND_MAX, self.writer.execute(order, act)).await;
        let executed =
            executed.map_err(|_| Status::deadline_exceeded("the command took too long; it can be sent again"))?;
        match executed {
            Ok(result) => {
                let outcome = result.outcome;
                let ended = ended(outcome.status);
                metrics::counter!("worker_commands_total", "kind" => kind, "ended" => ended.as_str_name()).increment(1);
                tracing::info!(kind, ended = ended.as_str_name(), "command executed");
                Ok(Response::new(CommandResult {
                    status: ended.into(),
                    told: outcome.told,
                    version: outcome.version,
                    lsn: result.lsn,
                    made_id: outcome.made_id,
                }))
            }
            Err(error) => {
                tracing::warn!(kind, error = service::causes(&error), "command not executed");
                if error.is_rolled_back() {
                    return Err(Status::aborted(
                        "the command could not be executed, nothing was changed; it can be sent again",
                    ));
                }
                // The same id may be sent again: whether it was executed is then found out.
                Err(Status::unavailable("it is not known whether the command was executed; it can be sent again"))
            }
        }
    }
}

fn ended(status: CommandStatus) -> Ended {
    match status {
        CommandStatus::Done => Ended::Done,
        CommandStatus::Conflict => Ended::Conflict,
        CommandStatus::Denied => Ended::Denied,
        CommandStatus::Missing => Ended::Missing,
        CommandStatus::Invalid => Ended::Invalid,
    }
}
