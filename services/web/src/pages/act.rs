//! What people do about a group: forms that travel as commands to a worker.

use askama::Template;
use axum::extract::{Form, Path, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use service::proto::command::command::Action;
use service::proto::command::command_result::Status;
use service::proto::command::{Command, MuteGroup, ReopenGroup, ResolveGroup};
use store::reader::{GroupState, Opened};
use uuid::Uuid;

use super::group::number;
use super::{Piece, is_our_path, rendered};
use crate::app::App;
use crate::rejection::Rejection;
use crate::visitor::{Seen, Told, Visitor};

#[derive(Template)]
#[template(path = "actions.html")]
struct Actions<'a> {
    address: String,
    actions: Vec<ActionView>,
    form_token: &'a str,
    version: i32,
    are_taken: bool,
    may_act: bool,
    back: &'a str,
}

struct ActionView {
    name: &'static str,
    label: &'static str,
    key: &'static str,
    is_main: bool,
    command_id: Uuid,
}

/// The forms that a group's state allows, for this visitor.
pub(super) async fn actions(
    app: &App,
    visitor: &Visitor,
    opened: &Opened,
    piece: &Piece,
    base: &str,
    back: &str,
) -> String {
    let Some((state, version)) = piece.group else { return String::new() };
    let action = |name, label, key, is_main| ActionView { name, label, key, is_main, command_id: Uuid::new_v4() };
    let actions = match state {
        GroupState::Unresolved => {
            vec![action("resolve", "Resolve", "r", true), action("mute", "Mute", "m", false)]
        }
        GroupState::Resolved => vec![action("reopen", "Reopen", "o", true)],
        GroupState::Muted => {
            vec![action("reopen", "Unmute", "m", true), action("resolve", "Resolve", "r", false)]
        }
    };
    rendered(&Actions {
        address: base.to_owned(),
        actions,
        form_token: &visitor.form_token,
        version,
        are_taken: app.commands.are_taken().await,
        may_act: opened.may_act(),
        back,
    })
}

/// A form that asks for a change.
#[derive(Deserialize)]
pub(crate) struct Order {
    #[serde(default)]
    form_token: String,
    #[serde(default)]
    command_id: String,
    #[serde(default)]
    expected_version: i32,
    #[serde(default)]
    back: String,
}

pub(crate) async fn act(
    State(app): State<App>,
    visitor: Visitor,
    Path((project_id, group_id, action)): Path<(String, String, String)>,
    headers: HeaderMap,
    Form(order): Form<Order>,
) -> Result<Response, Rejection> {
    let (project_id, group_id) = (number(&project_id)?, number(&group_id)?);
    if !visitor.owns(&app.keys, &order.form_token) {
        return Err(Rejection::ForeignForm);
    }
    let opened = app.open(visitor.viewer(), project_id).await?;
    if !opened.may_act() {
        return Err(Rejection::NotAllowed);
    }
    let id = Uuid::try_parse(&order.command_id)
        .map_err(|_| Rejection::BadRequest("`command_id` must be a UUID".to_owned()))?;
    let expected_version = order.expected_version;
    let (action, done) = match action.as_str() {
        "resolve" => {
            (Action::ResolveGroup(ResolveGroup { group_id, expected_version }), "Resolved. The next notice reopens it.")
        }
        "reopen" => (Action::ReopenGroup(ReopenGroup { group_id, expected_version }), "Open again."),
        "mute" => (
            Action::MuteGroup(MuteGroup { group_id, expected_version }),
            "Muted. Its notices are kept and counted, and nobody is told.",
        ),
        _ => return Err(Rejection::NotFound),
    };
    let command = Command { id: id.to_string(), actor_id: visitor.account.id, project_id, action: Some(action) };

    let mut jar = app.keys.jar(&headers);
    let told = match app.commands.execute(command).await {
        Ok(result) => {
            if !result.lsn.is_empty() {
                jar = jar.add(app.keys.seen(Seen::write(&result.lsn)));
            }
            let is_done = result.status() == Status::Done;
            Told { is_good: is_done, text: if is_done { done.to_owned() } else { result.told } }
        }
        Err(_) => Told {
            is_good: false,
            text: "Changes are paused: no worker answers. Nothing was changed; try again in a moment.".to_owned(),
        },
    };
    jar = jar.add(app.keys.told(told.write()));
    let base = format!("/projects/{project_id}/groups/{group_id}");
    let back = if order.back.starts_with(&base) && is_our_path(&order.back) { order.back } else { base };
    Ok((jar, Redirect::to(&back)).into_response())
}
