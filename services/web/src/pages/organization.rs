//! An organization: who belongs to it, who is invited, its teams and projects, and what was changed by whom.

use std::collections::HashMap;

use askama::Template;
use axum::extract::{Form, Path, Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use service::proto::command::change_team::Change;
use service::proto::command::command::Action;
use service::proto::command::{
    ChangeTeam, CreateTeam, Invite, RenameOrganization, RevokeInvitation, SetOrganizationMember,
};
use store::Role;
use store::reader::{Invitation, LogLine, MemberLine, OwnOrganization, Team};
use time::OffsetDateTime;

use super::order::order;
use super::sent::{Sent, hidden};
use super::{Page, Piece, rendered};
use crate::app::App;
use crate::rejection::Rejection;
use crate::view::times;
use crate::visitor::Visitor;

/// Lines of the audit log on one page.
const LINES_PER_PAGE: i64 = 100;

#[derive(Template)]
#[template(path = "organization.html")]
struct Organization<'a> {
    own: &'a OwnOrganization,
    me: i64,
    members: Vec<MemberLine>,
    invitations: Vec<InvitationRow>,
    teams: Vec<Team>,
    projects: Vec<(i64, String)>,
    roles: [Role; 4],
    may_manage: bool,
    form_token: &'a str,
}

struct InvitationRow {
    invitation: Invitation,
    expires: String,
}

impl Organization<'_> {
    fn hidden(&self) -> String {
        hidden(self.form_token)
    }

    fn email(&self, user_id: &i64) -> &str {
        self.members.iter().find(|member| member.user_id == *user_id).map_or("", |member| &member.email)
    }

    fn project(&self, project_id: &i64) -> &str {
        self.projects.iter().find(|(id, _)| id == project_id).map_or("", |(_, name)| name)
    }
}

#[derive(Template)]
#[template(path = "audit_log.html")]
struct AuditLog<'a> {
    own: &'a OwnOrganization,
    rows: Vec<LogRow>,
    next: Option<i64>,
}

struct LogRow {
    at: String,
    line: LogLine,
}

/// The organization of an address, as the visitor belongs to it.
async fn own(app: &App, visitor: &Visitor, organization_id: &str) -> Result<OwnOrganization, Rejection> {
    let organization_id: i64 = organization_id.parse().map_err(|_| Rejection::NotFound)?;
    app.reader.own_organization(visitor.account.id, organization_id).await?.ok_or(Rejection::NotFound)
}

pub(crate) async fn page(
    State(app): State<App>,
    visitor: Visitor,
    Path(organization_id): Path<String>,
) -> Result<Response, Rejection> {
    let own = own(&app, &visitor, &organization_id).await?;
    let may_manage = own.role.may_manage();
    let now_waiting = if may_manage { app.reader.invitations(own.id).await? } else { Vec::new() };
    let invitations = now_waiting
        .into_iter()
        .map(|invitation| InvitationRow { expires: times::exact(invitation.expires_at), invitation });
    // Names of projects that a member does not see are not told.
    let projects = if may_manage { app.reader.organization_projects(own.id).await? } else { Vec::new() };
    let body = rendered(&Organization {
        me: visitor.account.id,
        members: app.reader.organization_members(own.id).await?,
        invitations: invitations.collect(),
        teams: app.reader.teams(own.id).await?,
        projects,
        roles: Role::ALL,
        may_manage,
        form_token: &visitor.form_token,
        own: &own,
    });
    let piece = Piece { title: own.name.clone(), body, ..Piece::default() };
    let path = format!("/organizations/{}", own.id);
    Ok(Page { visitor: &visitor, project: None, path: &path, piece: &piece, actions: "" }.answer(&app.keys))
}

pub(crate) async fn audit_log(
    State(app): State<App>,
    visitor: Visitor,
    Path(organization_id): Path<String>,
    Query(params): Query<HashMap<String, String>>,
) -> Result<Response, Rejection> {
    let own = own(&app, &visitor, &organization_id).await?;
    if !own.role.may_manage() {
        return Err(Rejection::NotFound);
    }
    let before = params.get("before").and_then(|before| before.parse().ok());
    let lines = app.reader.audit_log(own.id, before, LINES_PER_PAGE).await?;
    let is_full = i64::try_from(lines.len()).is_ok_and(|count| count == LINES_PER_PAGE);
    let next = lines.last().map(|line| line.id).filter(|_| is_full);
    let now = OffsetDateTime::now_utc();
    let rows = lines.into_iter().map(|line| LogRow { at: times::ago(line.at, now), line }).collect();
    let body = rendered(&AuditLog { own: &own, rows, next });
    let piece = Piece { title: format!("Audit log · {}", own.name), body, ..Piece::default() };
    let path = format!("/organizations/{}/audit-log", own.id);
    Ok(Page { visitor: &visitor, project: None, path: &path, piece: &piece, actions: "" }.answer(&app.keys))
}

/// Everything that the forms of the page ask for; the last part of the address says what.
pub(crate) async fn act(
    State(app): State<App>,
    visitor: Visitor,
    Path((organization_id, action)): Path<(String, String)>,
    headers: HeaderMap,
    Form(sent): Form<Sent>,
) -> Result<Response, Rejection> {
    let own = own(&app, &visitor, &organization_id).await?;
    let (organization_id, user_id) = (own.id, sent.number("user_id"));
    let on_team = |change| {
        Action::ChangeTeam(ChangeTeam { organization_id, team_id: sent.number("team_id"), change: Some(change) })
    };
    let name = || sent.text("name").to_owned();
    let role = sent.text("role").to_owned();
    let (action, done) = match action.as_str() {
        "rename" => (
            Action::RenameOrganization(RenameOrganization { organization_id, name: name() }),
            "The organization is renamed.",
        ),
        "role" => (
            Action::SetOrganizationMember(SetOrganizationMember { organization_id, user_id, role }),
            "The role is changed.",
        ),
        "take-out" => {
            let out = SetOrganizationMember { organization_id, user_id, role: String::new() };
            let done = "They see nothing of it any more. Tokens of its projects that they made are revoked.";
            (Action::SetOrganizationMember(out), done)
        }
        "invite" => {
            let (email, team_id) = (sent.text("email").to_owned(), sent.number("team_id"));
            let invite = Invite { organization_id, email, role, team_id };
            (Action::Invite(invite), "An invitation is on its way. It is good for seven days.")
        }
        "take-back" => {
            let invitation_id = sent.number("invitation_id");
            let revoke = RevokeInvitation { organization_id, invitation_id };
            (Action::RevokeInvitation(revoke), "The invitation is taken back.")
        }
        "team" => (Action::CreateTeam(CreateTeam { organization_id, name: name() }), "The team is made."),
        "delete-team" => (on_team(Change::Delete(true)), "The team is deleted."),
        "join-team" => (on_team(Change::AddMember(user_id)), "Done."),
        "leave-team" => (on_team(Change::RemoveMember(user_id)), "Done."),
        "add-project" => (on_team(Change::AddProject(sent.number("project_id"))), "Done."),
        "remove-project" => (on_team(Change::RemoveProject(sent.number("project_id"))), "Done."),
        _ => return Err(Rejection::NotFound),
    };
    let leaves =
        matches!(&action, Action::SetOrganizationMember(set) if set.role.is_empty() && user_id == visitor.account.id);
    let ordered = order(&app, &visitor, &sent.asked(0), action).await?;
    let path =
        if leaves && ordered.is_done() { "/account".to_owned() } else { format!("/organizations/{organization_id}") };
    Ok(ordered.lead_to(&app, &headers, &path, done))
}
