//! Who sees a project, and as what.

use askama::Template;
use axum::extract::{Form, Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use service::proto::command::SetProjectMember;
use service::proto::command::command::Action;
use store::Role;
use store::reader::MemberLine;

use super::{Section, SectionPage};
use crate::app::App;
use crate::pages::order::order;
use crate::pages::rendered;
use crate::pages::sent::{Sent, hidden};
use crate::rejection::Rejection;
use crate::visitor::Visitor;

#[derive(Template)]
#[template(path = "settings/members.html")]
struct Members<'a> {
    project_id: i64,
    organization_id: i64,
    rows: Vec<MemberLine>,
    /// Members of the organization who may be let in.
    others: Vec<MemberLine>,
    roles: [Role; 4],
    may_manage: bool,
    form_token: &'a str,
}

impl Members<'_> {
    fn hidden(&self) -> String {
        hidden(self.form_token)
    }
}

pub(crate) async fn page(
    State(app): State<App>,
    visitor: Visitor,
    Path(project_id): Path<String>,
) -> Result<Response, Rejection> {
    let project_id: i64 = project_id.parse().map_err(|_| Rejection::NotFound)?;
    let opened = app.open(visitor.viewer(), project_id).await?;
    let rows = app.reader.project_members(project_id).await?;
    // Who was let into this project alone need not learn who else the organization has: its members see that on its own page.
    let others =
        if opened.may_manage() { app.reader.organization_members(opened.organization_id()).await? } else { Vec::new() };
    let body = rendered(&Members {
        project_id,
        organization_id: opened.organization_id(),
        rows,
        others,
        roles: Role::ALL,
        may_manage: opened.may_manage(),
        form_token: &visitor.form_token,
    });
    Ok(SectionPage { visitor: &visitor, project: &opened, section: Section::Members, body: &body }.answer(&app))
}

pub(crate) async fn set(
    State(app): State<App>,
    visitor: Visitor,
    Path(project_id): Path<String>,
    headers: HeaderMap,
    Form(sent): Form<Sent>,
) -> Result<Response, Rejection> {
    let project_id: i64 = project_id.parse().map_err(|_| Rejection::NotFound)?;
    app.open(visitor.viewer(), project_id).await?;
    let action = Action::SetProjectMember(SetProjectMember {
        user_id: sent.number("user_id"),
        role: sent.text("role").to_owned(),
    });
    let ordered = order(&app, &visitor, &sent.asked(project_id), action).await?;
    Ok(ordered.lead_to(&app, &headers, &Section::Members.address(project_id), "Done."))
}
