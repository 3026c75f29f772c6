//! What people do about a group: forms that travel as commands to a worker.

use askama::Template;
use axum::extract::{Form, Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Deserialize;
use service::proto::command::command::Action;
use service::proto::command::{MuteGroup, ReopenGroup, ResolveGroup};
use store::reader::{GroupState, Opened};
use uuid::Uuid;

use super::group::number;
use super::order::{Asked, order};
use super::{Piece, is_our_path, rendered};
use crate::app::App;
use crate::rejection::Rejection;
use crate::visitor::Visitor;

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
pub(crate) struct ActForm {
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
    Form(form): Form<ActForm>,
) -> Result<Response, Rejection> {
    let (project_id, group_id) = (number(&project_id)?, number(&group_id)?);
    let opened = app.open(visitor.viewer(), project_id).await?;
    if !opened.may_act() {
        return Err(Rejection::NotAllowed);
    }
    let expected_version = form.expected_version;
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
    let asked = Asked { form_token: &form.form_token, command_id: &form.command_id, project_id };
    let ordered = order(&app, &visitor, &asked, action).await?;
    let base = format!("/projects/{project_id}/groups/{group_id}");
    let back = if form.back.starts_with(&base) && is_our_path(&form.back) { form.back } else { base };
    Ok(ordered.lead_to(&app, &headers, &back, done))
}
