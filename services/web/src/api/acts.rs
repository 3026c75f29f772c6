//! What scripts do about a group: passed on as a command, as the forms of the pages are.
//!
//! The header `Idempotency-Key` is the command's id, so that a script which repeats a call acts once and is answered the same.

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;
use service::proto::command::command::Action;
use service::proto::command::command_result::Status;
use service::proto::command::{
    AssignGroup, Comeback, Command, DeleteGroup, MergeGroups, MuteGroup, MuteUntil, ReopenGroup, ResolveGroup,
    SeenGroup, UnmergeGroup, WriteComment,
};
use store::reader::Viewer;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

use super::Problem;
use super::caller::Writing;
use super::params::number;
use crate::app::App;
use crate::rejection::Rejection;

/// The header that names a call, so that repeating it acts once.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// The version of whoever did not look.
const AS_IT_IS: i32 = 0;

/// What a call says beside its address. Without a version the group is changed as it is.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Asked {
    expected_version: Option<i32>,
    /// Of `resolve`: `this_release` or `next_release`.
    unless: Option<String>,
    /// Of `mute`: RFC 3339.
    until: Option<String>,
    /// Of `mute`: so many more.
    notices: Option<i64>,
    /// Of `mute`: so many in all.
    users: Option<i32>,
    /// Of `mute`: a notice from elsewhere ends it.
    environment: Option<String>,
    /// Of `assign`: a member, or nobody.
    assignee_id: Option<String>,
    /// Of `merge`: the group that takes this one in.
    into: Option<String>,
    /// Of `unmerge`: the group that was taken in.
    group_id: Option<String>,
    /// Of `comment`: Markdown.
    body: Option<String>,
}

pub(super) async fn act(
    State(app): State<App>,
    writing: Writing,
    Path((project_id, group_id, action)): Path<(String, String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let (project_id, group_id) = (number(&project_id)?, number(&group_id)?);
    let opened = app.open(Viewer::User(writing.user_id), project_id).await?;
    if !opened.may_act() {
        return Err(Rejection::NotAllowed.into());
    }
    let id = match headers.get(IDEMPOTENCY_KEY) {
        None => Uuid::new_v4(),
        Some(key) => key.to_str().ok().and_then(|key| Uuid::try_parse(key).ok()).ok_or_else(|| {
            Rejection::BadRequest("`Idempotency-Key` must be a UUID, made anew for each change".to_owned())
        })?,
    };
    let asked: Asked = if body.is_empty() {
        Asked::default()
    } else {
        serde_json::from_slice(&body).map_err(|error| Rejection::BadRequest(format!("the body: {error}")))?
    };
    // Not the version of now: a repeat would ask for something else. One that is not there any more may be so by this very call.
    if asked.expected_version.is_none()
        && app.reader.group(&opened, group_id).await.map_err(Rejection::from)?.is_none()
        && !app.reader.has_command(id).await.map_err(Rejection::from)?
    {
        return Err(app.no_group(&opened, group_id, format!("/{action}")).await.into());
    }
    let expected_version = asked.expected_version.unwrap_or(AS_IT_IS);
    let action = action_of(&action, group_id, expected_version, asked)?;
    let command = Command { id: id.to_string(), actor_id: writing.user_id, project_id, action: Some(action) };
    let result = app.commands.execute(command).await.map_err(|_| Rejection::Paused)?;
    let status = match result.status() {
        Status::Done => StatusCode::OK,
        Status::Conflict => StatusCode::CONFLICT,
        Status::Denied => StatusCode::FORBIDDEN,
        Status::Missing => StatusCode::NOT_FOUND,
        Status::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
    };
    if status != StatusCode::OK {
        return Err(Rejection::Refused { status, told: result.told }.into());
    }
    let answer = json!({
        "told": result.told,
        "version": result.version,
        "group_id": if result.made_id > 0 { result.made_id } else { group_id }.to_string(),
    });
    Ok(([(header::CACHE_CONTROL, "no-store")], axum::Json(answer)).into_response())
}

fn action_of(name: &str, group_id: i64, expected_version: i32, asked: Asked) -> Result<Action, Rejection> {
    Ok(match name {
        "resolve" => {
            let unless = match asked.unless.as_deref() {
                None | Some("any") => Comeback::Any,
                Some("this_release") => Comeback::ThisRelease,
                Some("next_release") => Comeback::NextRelease,
                Some(other) => {
                    let told = format!("`unless` is `{other}`; it can be any, this_release or next_release");
                    return Err(Rejection::BadRequest(told));
                }
            };
            Action::ResolveGroup(ResolveGroup { group_id, expected_version, unless: unless.into() })
        }
        "reopen" => Action::ReopenGroup(ReopenGroup { group_id, expected_version }),
        "mute" => {
            let at_s = asked.until.as_deref().map(|until| {
                OffsetDateTime::parse(until, &Rfc3339).map(OffsetDateTime::unix_timestamp).map_err(|_| {
                    Rejection::BadRequest("`until` must be a time as in `2026-11-23T04:05:06Z`".to_owned())
                })
            });
            let until = MuteUntil {
                at_s: at_s.transpose()?,
                seconds: None,
                notices: asked.notices,
                users: asked.users,
                elsewhere_than: asked.environment,
            };
            Action::MuteGroup(MuteGroup { group_id, expected_version, until: Some(until) })
        }
        "assign" => {
            let assignee_id = asked.assignee_id.as_deref().map(|id| named(id, "assignee_id")).transpose()?;
            Action::AssignGroup(AssignGroup { group_id, expected_version, assignee_id })
        }
        "merge" => {
            let into = named(asked.into.as_deref().unwrap_or_default(), "into")?;
            let groups = vec![SeenGroup { group_id, expected_version }];
            Action::MergeGroups(MergeGroups { groups, into: Some(into) })
        }
        "unmerge" => {
            let group_id = named(asked.group_id.as_deref().unwrap_or_default(), "group_id")?;
            Action::UnmergeGroup(UnmergeGroup { group_id, expected_version })
        }
        "delete" => Action::DeleteGroup(DeleteGroup { group_id, expected_version }),
        "comment" => Action::WriteComment(WriteComment { group_id, body: asked.body.unwrap_or_default() }),
        _ => return Err(Rejection::NotFound),
    })
}

fn named(id: &str, what: &str) -> Result<i64, Rejection> {
    id.parse()
        .ok()
        .filter(|id| *id > 0)
        .ok_or_else(|| Rejection::BadRequest(format!("`{what}` must be a number in quotes, as in `\"7\"`")))
}
