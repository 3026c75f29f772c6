//! Groups of a project.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Response;
use store::reader::search::Search;
use store::reader::{GroupFilter, GroupSort, GroupState};

use super::caller::Caller;
use super::params::{Params, number};
use super::{Problem, json, shapes};
use crate::app::App;
use crate::export::{self, Lines};
use crate::rejection::Rejection;

pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    Path(project_id): Path<String>,
    params: Params,
) -> Result<Response, Problem> {
    let opened = app.open(caller.viewer, number(&project_id)?).await?;
    let limit = params.limit()?;
    let query = params.text("query").unwrap_or_default();
    let filter = filter(&caller, &params)?;
    let me = if filter.search.names_me() { filter.me } else { None };
    let cursor = params.text("cursor").map(str::to_owned);
    let key = format!(
        "{} groups {me:?} {} {} {limit} {} {query}",
        opened.id(),
        filter.sort.as_str(),
        filter.state.map_or("any", GroupState::as_str),
        cursor.as_deref().unwrap_or("-"),
    );
    let (reader, public_url) = (app.reader.clone(), app.public_url.clone());
    let answer = app.answers.get(key, None, || async move {
        let page = reader
            .groups(&opened, &filter, cursor.as_deref(), limit)
            .await?
            .map_err(|error| Rejection::BadRequest(error.to_string()))?;
        let items = page.groups.iter().map(|group| shapes::group(group, public_url.as_deref())).collect();
        Ok::<_, Rejection>(Some(shapes::list(items, page.next).to_string().into()))
    });
    Ok(json(answer.await?.ok_or(Rejection::NotFound)?.as_ref().clone()))
}

/// The same as a stream of lines, all of it: `notices=1` asks for the notices of the groups.
pub(super) async fn export(
    State(app): State<App>,
    caller: Caller,
    Path(project_id): Path<String>,
    params: Params,
) -> Result<Response, Problem> {
    let opened = app.open(caller.viewer, number(&project_id)?).await?;
    let filter = filter(&caller, &params)?;
    Ok(export::export(&app, opened, filter, Lines::asked(params.text("notices")))?)
}

/// Which groups are asked for.
fn filter(caller: &Caller, params: &Params) -> Result<GroupFilter, Rejection> {
    let query = params.text("query").unwrap_or_default();
    let filter = GroupFilter {
        search: Search::parse(query).map_err(|error| Rejection::BadRequest(format!("`query`: {error}")))?,
        state: params.word("state", GroupState::parse, "unresolved, resolved or muted")?,
        sort: params.word("sort", GroupSort::parse, "last_seen, first_seen, count or users")?.unwrap_or_default(),
        me: caller.viewer.user_id(),
        among: None,
    };
    if filter.search.names_me() && filter.me.is_none() {
        let told = "`query`: `assigned:me` is nobody to the token of a project: name a person's address";
        return Err(Rejection::BadRequest(told.to_owned()));
    }
    Ok(filter)
}

pub(super) async fn one(
    State(app): State<App>,
    caller: Caller,
    Path((project_id, group_id)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let opened = app.open(caller.viewer, number(&project_id)?).await?;
    let group_id = number(&group_id)?;
    let project = Arc::clone(&opened);
    let (reader, public_url) = (app.reader.clone(), app.public_url.clone());
    let answer = app.answers.get(format!("{} group {group_id}", opened.id()), None, || async move {
        let group = reader.group(&opened, group_id).await?;
        Ok::<_, Rejection>(group.map(|group| shapes::group(&group, public_url.as_deref()).to_string().into()))
    });
    match answer.await? {
        Some(answer) => Ok(json(answer.as_ref().clone())),
        None => Err(app.no_group(&project, group_id, "").await.into()),
    }
}
