//! The end of mails, by the link that is in them: for whoever has it, signed in or not.
//!
//! Looking ends nothing, because programs that check mails look at every link; the button does, and so does what mail readers send by
//! themselves (RFC 8058).

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use service::proto::command::command::Action;
use service::proto::command::command_result::Status;
use service::proto::command::{Command, Unsubscribe};
use uuid::Uuid;

use super::{plain_page, rendered};
use crate::app::App;
use crate::visitor::Theme;

/// No link of ours is longer, in characters.
const LINK_CHARS_MAX: usize = 100;

#[derive(Template)]
#[template(path = "unsubscribe.html")]
struct UnsubscribePage<'a> {
    link: &'a str,
    /// What became of it, once somebody asked.
    told: Option<&'a str>,
    is_ended: bool,
}

pub(crate) async fn page(Path(link): Path<String>) -> Response {
    show(&link, None)
}

pub(crate) async fn end(State(app): State<App>, Path(link): Path<String>) -> Response {
    if link.len() > LINK_CHARS_MAX {
        return show("", Some((false, "This link is none of ours.")));
    }
    // Asking again does no harm, so that it needs no id that is the same each time.
    let command = Command {
        id: Uuid::new_v4().to_string(),
        actor_id: 0,
        project_id: 0,
        action: Some(Action::Unsubscribe(Unsubscribe { link: link.clone() })),
    };
    match app.commands.execute(command).await {
        Ok(result) if result.status() == Status::Done => show(&link, Some((true, &result.told))),
        Ok(result) => show(&link, Some((false, &result.told))),
        Err(_) => show(&link, Some((false, "It could not be done now. Please try again in a moment."))),
    }
}

fn show(link: &str, told: Option<(bool, &str)>) -> Response {
    let is_ended = told.is_some_and(|(is_ended, _)| is_ended);
    let body = rendered(&UnsubscribePage { link, told: told.map(|(_, text)| text), is_ended });
    plain_page("End mails", Theme::System, "/", &body)
}
