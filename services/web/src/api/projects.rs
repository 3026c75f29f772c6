//! Projects.

use std::time::{Duration, Instant};

use axum::extract::{Path, State};
use axum::response::Response;
use store::reader::Viewer;

use super::caller::Caller;
use super::params::{Params, number};
use super::{Problem, json, shapes};
use crate::app::App;
use crate::rejection::Rejection;

/// A script that has seen its notice asks next how many there are: an answer from before it would be a miscount. It takes
/// longer than this for a notice to get from the door to being seen.
const COUNT_AGE_MAX: Duration = Duration::from_millis(50);

pub(super) async fn list(State(app): State<App>, caller: Caller, params: Params) -> Result<Response, Problem> {
    let limit = params.limit()?;
    let after = match params.text("cursor") {
        None => 0,
        Some(cursor) => cursor
            .strip_prefix('p')
            .and_then(|id| id.parse().ok())
            .ok_or_else(|| Rejection::BadRequest(store::reader::CursorError.to_string()))?,
    };
    let viewer = caller.viewer;
    let whose = match viewer {
        Viewer::User(id) => format!("u{id}"),
        Viewer::Project(id) => format!("p{id}"),
    };
    let reader = app.reader.clone();
    let answer = app.answers.get(format!("{whose} projects {after} {limit}"), None, || async move {
        let rows = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut projects = reader.projects(viewer, after, rows + 1).await?;
        let is_more = projects.len() > limit;
        projects.truncate(limit);
        let next = projects.last().filter(|_| is_more).map(|last| format!("p{}", last.id));
        let items = projects.iter().map(shapes::project).collect();
        Ok::<_, Rejection>(Some(shapes::list(items, next).to_string().into()))
    });
    Ok(json(answer.await?.ok_or(Rejection::NotFound)?.as_ref().clone()))
}

pub(super) async fn one(
    State(app): State<App>,
    caller: Caller,
    Path(project_id): Path<String>,
) -> Result<Response, Problem> {
    let opened = app.open(caller.viewer, number(&project_id)?).await?;
    let reader = app.reader.clone();
    let not_before = Instant::now().checked_sub(COUNT_AGE_MAX);
    let answer = app.answers.get(format!("{} project", opened.id()), not_before, || async move {
        let project = reader.project(&opened).await?;
        Ok::<_, Rejection>(project.map(|project| shapes::project(&project).to_string().into()))
    });
    Ok(json(answer.await?.ok_or(Rejection::NotFound)?.as_ref().clone()))
}
