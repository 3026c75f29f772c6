//! What people do about accounts, organizations and projects, as the store takes it.

use service::proto::command::ask_link::Purpose;
use service::proto::command::change_team::Change;
use service::proto::command::{self as asked};
use store::Role;
use store::writer::{
    AcceptInvitation, AskEmail, AskLink, ChangePassword, ChangeProject, ChangeTeam, CreateProject, CreateToken,
    EnableTotp, Invite, LinkWanted, Registration, SetOrganizationMember, SetPassword, SetProjectMember, TeamChange,
};
use tonic::Status;

pub(super) fn ask_link(asked: asked::AskLink, public_url: Option<String>) -> AskLink {
    let wanted = match asked.purpose() {
        Purpose::SignUp => LinkWanted::SignUp(registration(asked.registration())),
        Purpose::Reset => LinkWanted::Reset,
    };
    AskLink { email: asked.email, wanted, public_url }
}

pub(super) fn set_password(asked: asked::SetPassword, public_url: Option<String>) -> SetPassword {
    SetPassword { token_sha256: asked.token_sha256, password_hash: asked.password_hash, public_url }
}

pub(super) fn change_password(asked: asked::ChangePassword, public_url: Option<String>) -> ChangePassword {
    ChangePassword { password_hash: asked.password_hash, revokes_tokens: asked.revokes_tokens, public_url }
}

pub(super) fn ask_email(asked: asked::AskEmail, public_url: Option<String>) -> AskEmail {
    AskEmail { email: asked.email, public_url }
}

pub(super) fn enable_totp(asked: asked::EnableTotp, public_url: Option<String>) -> EnableTotp {
    let asked::EnableTotp { sealed_secret, step, recovery_sha256 } = asked;
    EnableTotp { sealed_secret, step, recovery_sha256, public_url }
}

pub(super) fn create_project(asked: asked::CreateProject) -> CreateProject {
    CreateProject {
        organization_id: asked.organization_id,
        organization_name: asked.organization_name,
        name: asked.name,
    }
}

pub(super) fn change_project(asked: asked::ChangeProject) -> ChangeProject {
    ChangeProject {
        name: asked.name,
        retention_days: asked.retention_days,
        rate_per_minute_max: Some(asked.rate_per_minute_max).filter(|max| *max != 0),
        disabled: asked.disabled,
        seen: asked.seen,
    }
}

pub(super) fn set_project_member(asked: &asked::SetProjectMember) -> Result<SetProjectMember, Status> {
    Ok(SetProjectMember { user_id: asked.user_id, role: role_or_none(&asked.role)? })
}

pub(super) fn create_token(asked: asked::CreateToken, public_url: Option<String>) -> CreateToken {
    CreateToken {
        name: asked.name,
        scopes: asked.scopes,
        days: Some(asked.days).filter(|days| *days != 0),
        token_sha256: asked.token_sha256,
        public_url,
    }
}

pub(super) fn set_organization_member(asked: &asked::SetOrganizationMember) -> Result<SetOrganizationMember, Status> {
    let role = role_or_none(&asked.role)?;
    Ok(SetOrganizationMember { organization_id: asked.organization_id, user_id: asked.user_id, role })
}

pub(super) fn invite(asked: asked::Invite, public_url: Option<String>) -> Result<Invite, Status> {
    Ok(Invite {
        role: role_or_none(&asked.role)?.ok_or_else(|| Status::invalid_argument("an invitation has a role"))?,
        organization_id: asked.organization_id,
        email: asked.email,
        team_id: Some(asked.team_id).filter(|id| *id != 0),
        public_url,
    })
}

pub(super) fn accept_invitation(asked: asked::AcceptInvitation) -> AcceptInvitation {
    let registration = registration(asked.registration());
    AcceptInvitation { token_sha256: asked.token_sha256, password_hash: asked.password_hash, registration }
}

pub(super) fn change_team(asked: &asked::ChangeTeam) -> Result<ChangeTeam, Status> {
    let change = match asked.change {
        Some(Change::Delete(true)) => TeamChange::Delete,
        Some(Change::AddMember(id)) => TeamChange::AddMember(id),
        Some(Change::RemoveMember(id)) => TeamChange::RemoveMember(id),
        Some(Change::AddProject(id)) => TeamChange::AddProject(id),
        Some(Change::RemoveProject(id)) => TeamChange::RemoveProject(id),
        Some(Change::Delete(false)) | None => return Err(Status::invalid_argument("nothing to change")),
    };
    Ok(ChangeTeam { organization_id: asked.organization_id, team_id: asked.team_id, change })
}

fn registration(asked: asked::Registration) -> Registration {
    match asked {
        asked::Registration::Open => Registration::Open,
        asked::Registration::Invited => Registration::Invited,
        asked::Registration::Closed => Registration::Closed,
    }
}

fn role_or_none(name: &str) -> Result<Option<Role>, Status> {
    if name.is_empty() {
        return Ok(None);
    }
    Role::parse(name).map(Some).ok_or_else(|| Status::invalid_argument("there is no such role"))
}
