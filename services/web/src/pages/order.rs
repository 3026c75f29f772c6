//! What people ask for by a form: on its way to a worker, and what is told of it on the page that follows.

use axum::http::HeaderMap;
use axum::response::{IntoResponse, Redirect, Response};
use service::proto::command::command::Action;
use service::proto::command::command_result::Status;
use service::proto::command::{Command, CommandResult};
use uuid::Uuid;

use crate::app::App;
use crate::commands::Paused;
use crate::rejection::Rejection;
use crate::visitor::{Seen, Told, Visitor};

/// What is told where no worker took a command.
const PAUSED: &str = "Changes are paused: no worker answers. Nothing was changed; try again in a moment.";

/// What is told where it is not known what became of it.
const UNKNOWN: &str =
    "It takes longer than usual, and may still be done: look here again in a moment, before you try once more.";

/// What every form that asks for a change has besides its own fields.
pub(crate) struct Asked<'a> {
    /// Proves that the form was made for this session.
    pub(crate) form_token: &'a str,
    /// Made with the form, so that sending it twice acts once.
    pub(crate) command_id: &'a str,
    /// The project that it is about, or 0.
    pub(crate) project_id: i64,
}

/// What became of it.
pub(crate) struct Ordered {
    /// What the worker answered; nothing when none did.
    pub(crate) result: Option<CommandResult>,
    /// What is told when none did.
    unanswered: &'static str,
}

/// Sends what somebody asks for to a worker, which decides whether they may.
pub(crate) async fn order(
    app: &App,
    visitor: &Visitor,
    asked: &Asked<'_>,
    action: Action,
) -> Result<Ordered, Rejection> {
    if !visitor.owns(&app.keys, asked.form_token) {
        return Err(Rejection::ForeignForm);
    }
    send(app, asked.command_id, visitor.account.id, asked.project_id, action).await
}

/// Sends what somebody who is not signed in asks for. Whoever calls this has seen that the form was shown to that browser.
pub(crate) async fn order_by_nobody(app: &App, command_id: &str, action: Action) -> Result<Ordered, Rejection> {
    send(app, command_id, 0, 0, action).await
}

async fn send(
    app: &App,
    command_id: &str,
    actor_id: i64,
    project_id: i64,
    action: Action,
) -> Result<Ordered, Rejection> {
    let id =
        Uuid::try_parse(command_id).map_err(|_| Rejection::BadRequest("`command_id` must be a UUID".to_owned()))?;
    let command = Command { id: id.to_string(), actor_id, project_id, action: Some(action) };
    Ok(match app.commands.execute(command).await {
        Ok(result) => Ordered { result: Some(result), unanswered: PAUSED },
        Err(Paused::NotTaken) => Ordered { result: None, unanswered: PAUSED },
        Err(Paused::Unknown) => Ordered { result: None, unanswered: UNKNOWN },
    })
}

impl Ordered {
    /// The number of what was made, or 0.
    pub(crate) fn made_id(&self) -> i64 {
        self.result.as_ref().map_or(0, |result| result.made_id)
    }

    /// Whether it was done.
    pub(crate) fn is_done(&self) -> bool {
        self.result.as_ref().is_some_and(|result| result.status() == Status::Done)
    }

    /// What the worker says of it.
    pub(crate) fn told(&self) -> String {
        self.result.as_ref().map_or_else(|| self.unanswered.to_owned(), |result| result.told.clone())
    }

    /// Leads on to one of our pages, which tells `done` or why it was not, and shows the change.
    pub(crate) fn lead_to(self, app: &App, headers: &HeaderMap, path: &str, done: &str) -> Response {
        let mut jar = app.keys.jar(headers);
        if let Some(result) = self.result.as_ref().filter(|result| !result.lsn.is_empty()) {
            jar = jar.add(app.keys.seen(Seen::write(&result.lsn)));
        }
        let is_good = self.is_done();
        let text = if is_good { done.to_owned() } else { self.told() };
        (jar.add(app.keys.told(Told { is_good, text }.write())), Redirect::to(path)).into_response()
    }
}
