//! What a project is, and what is kept and taken of it.

use askama::Template;
use axum::extract::{Form, Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use service::proto::command::command::Action;
use service::proto::command::{ChangeProject, DeleteProject};
use store::Role;
use store::reader::ProjectSettings;

use super::{Section, SectionPage};
use crate::app::App;
use crate::pages::order::order;
use crate::pages::rendered;
use crate::pages::sent::{Sent, hidden};
use crate::rejection::Rejection;
use crate::view::number::grouped;
use crate::view::times;
use crate::visitor::Visitor;

#[derive(Template)]
#[template(path = "settings/general.html")]
struct General<'a> {
    settings: ProjectSettings,
    project_id: i64,
    rate_max: Option<String>,
    kept_before: Option<(i32, String)>,
    created: String,
    may_manage: bool,
    may_delete: bool,
    are_taken: bool,
    form_token: &'a str,
}

impl General<'_> {
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
    let settings = app.reader.project_settings(&opened).await?.ok_or(Rejection::NotFound)?;
    let body = rendered(&General {
        project_id,
        rate_max: settings.rate_per_minute_max.map(|max| grouped(max.into())),
        kept_before: settings.kept_before_days.zip(settings.kept_before_until.map(times::exact)),
        created: times::exact(settings.created_at),
        settings,
        may_manage: opened.may_manage(),
        may_delete: opened.role().is_some_and(Role::may_own),
        are_taken: app.commands.are_taken().await,
        form_token: &visitor.form_token,
    });
    let page = SectionPage { visitor: &visitor, project: &opened, section: Section::General, body: &body };
    Ok(page.answer(&app))
}

pub(crate) async fn change(
    State(app): State<App>,
    visitor: Visitor,
    Path(project_id): Path<String>,
    headers: HeaderMap,
    Form(sent): Form<Sent>,
) -> Result<Response, Rejection> {
    let project_id: i64 = project_id.parse().map_err(|_| Rejection::NotFound)?;
    app.open(visitor.viewer(), project_id).await?;
    let action = Action::ChangeProject(ChangeProject {
        name: sent.text("name").to_owned(),
        retention_days: sent.number("retention_days"),
        rate_per_minute_max: sent.number("rate_per_minute_max"),
        disabled: sent.is_ticked("disabled"),
        seen: sent.text("seen").to_owned(),
    });
    let ordered = order(&app, &visitor, &sent.asked(project_id), action).await?;
    let told = ordered.told();
    Ok(ordered.lead_to(&app, &headers, &Section::General.address(project_id), &told))
}

pub(crate) async fn delete(
    State(app): State<App>,
    visitor: Visitor,
    Path(project_id): Path<String>,
    headers: HeaderMap,
    Form(sent): Form<Sent>,
) -> Result<Response, Rejection> {
    let project_id: i64 = project_id.parse().map_err(|_| Rejection::NotFound)?;
    app.open(visitor.viewer(), project_id).await?;
    let action = Action::DeleteProject(DeleteProject { slug: sent.text("slug").to_owned() });
    let ordered = order(&app, &visitor, &sent.asked(project_id), action).await?;
    let path = if ordered.is_done() { "/projects".to_owned() } else { Section::General.address(project_id) };
    Ok(ordered.lead_to(&app, &headers, &path, "The project is deleted."))
}
