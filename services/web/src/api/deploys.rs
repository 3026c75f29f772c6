//! Deploys of a project.

use axum::extract::{Path, State};
use axum::response::Response;

use super::caller::Caller;
use super::params::{Params, number};
use super::{Problem, json, shapes};
use crate::app::App;
use crate::rejection::Rejection;

pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    Path(project_id): Path<String>,
    params: Params,
) -> Result<Response, Problem> {
    let opened = app.open(caller.viewer, number(&project_id)?).await?;
    let limit = params.limit()?;
    let rows = i64::try_from(limit).unwrap_or(i64::MAX) + 1;
    let mut deploys = app
        .reader
        .deploys(&opened, params.text("cursor"), rows)
        .await?
        .map_err(|error| Rejection::BadRequest(error.to_string()))?;
    let is_more = deploys.len() > limit;
    deploys.truncate(limit);
    let next = deploys.last().filter(|_| is_more).map(store::reader::Deploy::cursor);
    let items = deploys.iter().map(shapes::deploy).collect();
    Ok(json(shapes::list(items, next).to_string().into()))
}
