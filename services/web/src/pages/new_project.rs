//! Making a project.

use askama::Template;
use axum::extract::{Form, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use service::proto::command::CreateProject;
use service::proto::command::command::Action;
use store::reader::OwnOrganization;
use uuid::Uuid;

use super::order::{Asked, order};
use super::{Page, Piece, rendered};
use crate::app::App;
use crate::rejection::Rejection;
use crate::visitor::Visitor;

#[derive(Template)]
#[template(path = "new_project.html")]
struct NewProject<'a> {
    /// Those that the visitor may make projects for.
    organizations: &'a [OwnOrganization],
    form: &'a ProjectForm,
    form_token: &'a str,
    command_id: Uuid,
    are_taken: bool,
    trouble: Option<&'a str>,
}

/// A form that asks for a project.
#[derive(Default, Deserialize)]
pub(crate) struct ProjectForm {
    #[serde(default)]
    form_token: String,
    #[serde(default)]
    command_id: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    organization_id: i64,
    #[serde(default)]
    organization_name: String,
}

pub(crate) async fn page(State(app): State<App>, visitor: Visitor) -> Result<Response, Rejection> {
    show(&app, &visitor, StatusCode::OK, &ProjectForm::default(), None).await
}

pub(crate) async fn create(
    State(app): State<App>,
    visitor: Visitor,
    headers: HeaderMap,
    Form(form): Form<ProjectForm>,
) -> Result<Response, Rejection> {
    let asked = Asked { form_token: &form.form_token, command_id: &form.command_id, project_id: 0 };
    let action = Action::CreateProject(CreateProject {
        organization_id: form.organization_id,
        organization_name: form.organization_name.clone(),
        name: form.name.clone(),
    });
    let ordered = order(&app, &visitor, &asked, action).await?;
    if ordered.is_done() {
        let path = format!("/projects/{}/groups", ordered.made_id());
        return Ok(ordered.lead_to(
            &app,
            &headers,
            &path,
            "The project is made. Gateways know its key within a second.",
        ));
    }
    let status = match &ordered.result {
        Some(_) => StatusCode::UNPROCESSABLE_ENTITY,
        None => StatusCode::SERVICE_UNAVAILABLE,
    };
    show(&app, &visitor, status, &form, Some(&ordered.told())).await
}

async fn show(
    app: &App,
    visitor: &Visitor,
    status: StatusCode,
    form: &ProjectForm,
    trouble: Option<&str>,
) -> Result<Response, Rejection> {
    let mut organizations = app.reader.organizations_of(visitor.account.id).await?;
    organizations.retain(|organization| organization.role.may_manage());
    let body = rendered(&NewProject {
        organizations: &organizations,
        form,
        form_token: &visitor.form_token,
        command_id: Uuid::new_v4(),
        are_taken: app.commands.are_taken().await,
        trouble,
    });
    let piece = Piece { title: "New project".into(), body, ..Piece::default() };
    let page = Page { visitor, project: None, path: "/projects/new", piece: &piece, actions: "" };
    Ok((status, page.answer(&app.keys)).into_response())
}
