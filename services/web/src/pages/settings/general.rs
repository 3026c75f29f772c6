//! What a project is, and what is kept and taken of it.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use store::reader::ProjectSettings;

use super::{Section, SectionPage};
use crate::app::App;
use crate::pages::rendered;
use crate::rejection::Rejection;
use crate::view::number::grouped;
use crate::view::times;
use crate::visitor::Visitor;

#[derive(Template)]
#[template(path = "settings/general.html")]
struct General {
    settings: ProjectSettings,
    project_id: i64,
    rate_max: Option<String>,
    created: String,
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
        created: times::exact(settings.created_at),
        settings,
    });
    let page = SectionPage { visitor: &visitor, project: &opened, section: Section::General, body: &body };
    Ok(page.answer(&app))
}
