//! Deploys of a project, and what was new after each.

use std::collections::HashMap;
use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::http::Uri;
use axum::response::Response;
use store::reader::Deploy;
use time::OffsetDateTime;

use super::{Page, Piece, Tab, rendered};
use crate::app::App;
use crate::rejection::Rejection;
use crate::view::number::grouped;
use crate::view::stack::breakable;
use crate::view::text::shortened;
use crate::view::times;
use crate::visitor::Visitor;

/// Deploys on one page.
const DEPLOYS_PER_PAGE: usize = 50;

#[derive(Template)]
#[template(path = "deploys.html")]
struct Deploys<'a> {
    project_name: &'a str,
    rows: Vec<Row>,
    /// Groups by when they were first seen.
    groups_address: String,
    gateway_url: &'a str,
    key: &'a str,
    next: Option<String>,
    first: Option<String>,
}

struct Row {
    version: String,
    environment: String,
    revision: String,
    repository: String,
    username: String,
    message: String,
    at: String,
    new_groups: Option<String>,
}

impl Row {
    fn of(deploy: Deploy, now: OffsetDateTime) -> Row {
        let revision = shortened(&deploy.revision, 12);
        let is_unnamed = deploy.version.is_empty();
        Row {
            // Most deploys have no version: then the revision is their name.
            version: breakable(if is_unnamed { &revision } else { &deploy.version }),
            revision: if is_unnamed { String::new() } else { revision },
            repository: breakable(&deploy.repository),
            environment: deploy.environment,
            username: deploy.username,
            message: shortened(&deploy.message, 200),
            at: times::ago(deploy.at, now),
            new_groups: (deploy.new_group_count > 0).then(|| grouped(deploy.new_group_count)),
        }
    }
}

pub(crate) async fn page(
    State(app): State<App>,
    visitor: Visitor,
    Path(project_id): Path<String>,
    uri: Uri,
) -> Result<Response, Rejection> {
    let project_id: i64 = project_id.parse().map_err(|_| Rejection::NotFound)?;
    let opened = app.open(visitor.viewer(), project_id).await?;
    let params: HashMap<String, String> =
        url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
    let cursor = params.get("cursor").filter(|cursor| !cursor.is_empty()).cloned();
    let (project, gateway_url) = (Arc::clone(&opened), app.gateway_url.clone());
    let key = format!("deploys {project_id} {cursor:?}");
    let piece = app
        .piece(key, visitor.seen.as_ref(), move |reader| async move {
            let rows_max = i64::try_from(DEPLOYS_PER_PAGE + 1).unwrap_or(i64::MAX);
            let mut deploys = reader
                .deploys(&project, cursor.as_deref(), rows_max)
                .await?
                .map_err(|error| Rejection::BadRequest(error.to_string()))?;
            let is_more = deploys.len() > DEPLOYS_PER_PAGE;
            deploys.truncate(DEPLOYS_PER_PAGE);
            let base = format!("/projects/{}/deploys", project.id());
            let next = deploys.last().filter(|_| is_more).map(|last| format!("{base}?cursor={}", last.cursor()));
            let key = reader.project_key(&project).await?.unwrap_or_else(|| "YOUR-KEY".to_owned());
            let now = OffsetDateTime::now_utc();
            let body = rendered(&Deploys {
                project_name: project.name(),
                rows: deploys.into_iter().map(|deploy| Row::of(deploy, now)).collect(),
                groups_address: format!("/projects/{}/groups?state=all&sort=first_seen", project.id()),
                gateway_url: &gateway_url,
                key: &key,
                next,
                first: cursor.map(|_| base),
            });
            Ok(Some(Piece { title: format!("Deploys · {}", project.name()), body, ..Piece::default() }))
        })
        .await?;
    let path = format!("/projects/{project_id}/deploys");
    let page =
        Page { visitor: &visitor, project: Some((&opened, Tab::Deploys)), path: &path, piece: &piece, actions: "" };
    Ok(page.answer(&app.keys))
}
