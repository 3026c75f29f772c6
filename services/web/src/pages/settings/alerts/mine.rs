//! What the visitor wants to hear of a project by mail.

use axum::extract::{Form, Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use service::proto::command::ChooseNotifications;
use service::proto::command::command::Action;

use super::{Fields, asked, base, open};
use crate::app::App;
use crate::pages::order::order;
use crate::rejection::Rejection;
use crate::visitor::Visitor;

pub(crate) async fn choose(
    State(app): State<App>,
    visitor: Visitor,
    Path(project_id): Path<String>,
    headers: HeaderMap,
    Form(fields): Form<Fields>,
) -> Result<Response, Rejection> {
    let opened = open(&app, &visitor, &project_id).await?;
    let action = Action::ChooseNotifications(ChooseNotifications {
        alerts: fields.contains_key("alerts"),
        weekly: fields.contains_key("weekly"),
    });
    let ordered = order(&app, &visitor, &asked(&fields, opened.id()), action).await?;
    Ok(ordered.lead_to(&app, &headers, &base(opened.id()), "Saved."))
}
