//! The keys of a project: what its clients show.

use askama::Template;
use axum::extract::{Form, Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use service::proto::command::command::Action;
use service::proto::command::{CreateKey, RevokeKey};
use time::OffsetDateTime;

use super::{Section, SectionPage};
use crate::app::App;
use crate::cookies::{hex, unhex};
use crate::pages::order::order;
use crate::pages::rendered;
use crate::pages::sent::{Sent, hidden};
use crate::rejection::Rejection;
use crate::view::times;
use crate::visitor::Visitor;

#[derive(Template)]
#[template(path = "settings/keys.html")]
struct Keys<'a> {
    project_id: i64,
    rows: Vec<Row>,
    may_manage: bool,
    form_token: &'a str,
}

struct Row {
    key: String,
    sha256: String,
    created: String,
}

impl Keys<'_> {
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
    let now = OffsetDateTime::now_utc();
    let rows = app.reader.project_keys(&opened).await?.into_iter().map(|(key, created_at)| Row {
        sha256: hex(&store::token::sha256(&key)),
        key,
        created: times::ago(created_at, now),
    });
    let body = rendered(&Keys {
        project_id,
        rows: rows.collect(),
        may_manage: opened.may_manage(),
        form_token: &visitor.form_token,
    });
    Ok(SectionPage { visitor: &visitor, project: &opened, section: Section::Keys, body: &body }.answer(&app))
}

pub(crate) async fn make(
    State(app): State<App>,
    visitor: Visitor,
    Path(project_id): Path<String>,
    headers: HeaderMap,
    Form(sent): Form<Sent>,
) -> Result<Response, Rejection> {
    let project_id: i64 = project_id.parse().map_err(|_| Rejection::NotFound)?;
    app.open(visitor.viewer(), project_id).await?;
    let ordered = order(&app, &visitor, &sent.asked(project_id), Action::CreateKey(CreateKey {})).await?;
    let done = "A key is made. Gateways know it within a second.";
    Ok(ordered.lead_to(&app, &headers, &Section::Keys.address(project_id), done))
}

pub(crate) async fn revoke(
    State(app): State<App>,
    visitor: Visitor,
    Path(project_id): Path<String>,
    headers: HeaderMap,
    Form(sent): Form<Sent>,
) -> Result<Response, Rejection> {
    let project_id: i64 = project_id.parse().map_err(|_| Rejection::NotFound)?;
    app.open(visitor.viewer(), project_id).await?;
    let action = Action::RevokeKey(RevokeKey { key_sha256: unhex(sent.text("key")).unwrap_or_default() });
    let ordered = order(&app, &visitor, &sent.asked(project_id), action).await?;
    let done = "The key is revoked. Gateways refuse it within a second.";
    Ok(ordered.lead_to(&app, &headers, &Section::Keys.address(project_id), done))
}
