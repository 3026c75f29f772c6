//! From a notice's id, or the one that its client gave it, to its page. Answers to clients carry this address.

use askama::Template;
use axum::extract::{Path, State};
use axum::http::Uri;
use axum::response::{IntoResponse, Redirect, Response};
use store::reader::Stage;

use super::{Page, Piece, rendered};
use crate::app::App;
use crate::rejection::Rejection;
use crate::visitor::Visitor;

/// Projects of one visitor that are searched.
const PROJECTS_MAX: i64 = 500;

#[derive(Template)]
#[template(path = "on_its_way.html")]
struct OnItsWay<'a> {
    id: &'a str,
}

pub(crate) async fn locate(
    State(app): State<App>,
    visitor: Visitor,
    Path(notice_id): Path<String>,
    uri: Uri,
) -> Result<Response, Rejection> {
    let mut is_queued = false;
    for opened in app.reader.open_all(visitor.viewer(), PROJECTS_MAX).await? {
        match app.reader.located(&opened, &notice_id).await? {
            (Some(id), Stage::Stored(group_id)) => {
                let address = format!("/projects/{}/groups/{group_id}/notices/{id}", opened.id());
                return Ok(Redirect::to(&address).into_response());
            }
            (_, Stage::Queued) => is_queued = true,
            _ => {}
        }
    }
    if !is_queued {
        return Err(Rejection::NotFound);
    }
    let piece = Piece {
        title: "On its way".to_owned(),
        body: rendered(&OnItsWay { id: &notice_id }),
        refresh_seconds: Some(2),
        ..Piece::default()
    };
    Ok(Page { visitor: &visitor, project: None, path: uri.path(), piece: &piece, actions: "" }.answer(&app.keys))
}
