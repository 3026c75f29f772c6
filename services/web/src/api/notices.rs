//! Notices: of a group, of a project as they become visible, and single ones.
//!
//! Lists go to the database each time: they are walked page by page, and no two walkers ask for the same page.

use axum::extract::{Path, State};
use axum::response::Response;
use serde_json::{Value, json as object};
use store::Reader;
use store::reader::{CursorError, Opened, Stage, StoredNotice};

use super::caller::Caller;
use super::params::{Params, notice_id, number};
use super::{Problem, json, shapes};
use crate::app::App;
use crate::download;
use crate::rejection::Rejection;

pub(super) async fn of_group(
    State(app): State<App>,
    caller: Caller,
    Path((project_id, group_id)): Path<(String, String)>,
    params: Params,
) -> Result<Response, Problem> {
    let opened = app.open(caller.viewer, number(&project_id)?).await?;
    let group_id = number(&group_id)?;
    let limit = params.limit()?;
    let before = params
        .text("cursor")
        .map(|cursor| notice_id(cursor).map_err(|_| Rejection::BadRequest(CursorError.to_string())))
        .transpose()?;
    if app.reader.group(&opened, group_id).await?.is_none() {
        return Err(app.no_group(&opened, group_id, "/notices").await.into());
    }
    let page = app.reader.notices(&opened, group_id, before, limit).await?;
    let next = page.next.map(|id| id.to_string());
    let items = page.notices.iter().map(StoredNotice::to_json).collect();
    Ok(json(shapes::list(items, next).to_string().into()))
}

pub(super) async fn since(
    State(app): State<App>,
    caller: Caller,
    Path(project_id): Path<String>,
    params: Params,
) -> Result<Response, Problem> {
    let opened = app.open(caller.viewer, number(&project_id)?).await?;
    let page = app
        .reader
        .notices_since(&opened, params.time("since")?, params.text("cursor"), params.limit()?)
        .await?
        .map_err(|error| Rejection::BadRequest(error.to_string()))?;
    let items = page.notices.iter().map(StoredNotice::to_json).collect();
    let mut list = shapes::list(items, page.next);
    // Where to ask again later: the list has an end, its project has not.
    list["resume"] = Value::from(page.resume);
    Ok(json(list.to_string().into()))
}

pub(super) async fn one(
    State(app): State<App>,
    caller: Caller,
    Path((project_id, id)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let opened = app.open(caller.viewer, number(&project_id)?).await?;
    let reader = app.reader.clone();
    let answer = app.answers.get(format!("{} notice {id}", opened.id()), None, || async move {
        let Some(notice) = find(&reader, &opened, &id).await? else { return Ok(None) };
        let mut shown = notice.to_json();
        shown["attachments"] = attachments(&reader, &opened, &notice).await?;
        Ok::<_, Rejection>(Some(shown.to_string().into()))
    });
    Ok(json(Box::pin(answer).await?.ok_or(Rejection::NotFound)?.as_ref().clone()))
}

/// The files that came with a notice.
async fn attachments(reader: &Reader, opened: &Opened, notice: &StoredNotice) -> Result<Value, Rejection> {
    let Some(client_id) = notice.notice.client_id.as_deref() else { return Ok(Value::Array(Vec::new())) };
    let base = format!("/api/v1/projects/{}/notices/{}", opened.id(), notice.id);
    let attachments = reader.attachments(opened, client_id).await?;
    Ok(attachments.iter().map(|attachment| download::shape(attachment, &base)).collect())
}

pub(super) async fn attachment(
    State(app): State<App>,
    caller: Caller,
    Path((project_id, id, attachment_id)): Path<(String, String, String)>,
) -> Result<Response, Problem> {
    let opened = app.open(caller.viewer, number(&project_id)?).await?;
    let notice = find(&app.reader, &opened, &id).await?.ok_or(Rejection::NotFound)?;
    Ok(download::download(&app.reader, &opened, notice.notice.client_id.as_deref(), &attachment_id).await?)
}

/// A notice by its own id or by the one that its client gave it.
async fn find(reader: &Reader, opened: &Opened, id: &str) -> Result<Option<StoredNotice>, Rejection> {
    if let Ok(own) = notice_id(id)
        && let Some(notice) = reader.notice(opened, own).await?
    {
        return Ok(Some(notice));
    }
    match reader.named(opened, id).await? {
        Some(own) => Ok(reader.notice(opened, own).await?),
        None => Ok(None),
    }
}

pub(super) async fn status(
    State(app): State<App>,
    caller: Caller,
    Path((project_id, id)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let opened = app.open(caller.viewer, number(&project_id)?).await?;
    let (stage, group_id) = match app.reader.located(&opened, &id).await?.1 {
        Stage::Queued => ("queued", None),
        Stage::Stored(group_id) => ("stored", Some(group_id.to_string())),
        Stage::Dead => ("dead", None),
        Stage::Unknown => ("unknown", None),
    };
    Ok(json(object!({"stage": stage, "group_id": group_id}).to_string().into()))
}
