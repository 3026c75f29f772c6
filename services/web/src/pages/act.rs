//! What people do about a group: forms that travel as commands to a worker.

use axum::extract::{Form, Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Deserialize;
use service::proto::command::command::Action;
use service::proto::command::{
    AssignGroup, Comeback, DeleteComment, DeleteGroup, EditComment, MergeGroups, MuteGroup, MuteUntil, ReopenGroup,
    ResolveGroup, SeenGroup, UnmergeGroup, WriteComment,
};
use time::OffsetDateTime;

use super::group::number;
use super::is_our_path;
use super::order::{Asked, order};
use crate::app::App;
use crate::rejection::Rejection;
use crate::visitor::Visitor;

/// Longest time that a form mutes for.
const MUTE_SECONDS_MAX: i64 = 366 * 86_400;

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
    /// Which later notices reopen what is resolved: `this_release`, `next_release`, or any.
    #[serde(default)]
    unless: String,
    /// What ends a mute; nothing is no limit.
    #[serde(default)]
    seconds: String,
    #[serde(default)]
    notices: String,
    #[serde(default)]
    users: String,
    #[serde(default)]
    environment: String,
    /// Who deals with it; nothing is nobody.
    #[serde(default)]
    assignee: String,
    /// The number or the address of the group that this one is merged into.
    #[serde(default)]
    into: String,
    /// The group whose merge is taken back.
    #[serde(default)]
    merged: i64,
    /// A comment of the visitor's.
    #[serde(default)]
    comment: i64,
    /// What is written, as Markdown.
    #[serde(default)]
    body: String,
}

pub(crate) async fn act(
    State(app): State<App>,
    visitor: Visitor,
    Path((project_id, group_id, action_name)): Path<(String, String, String)>,
    headers: HeaderMap,
    Form(form): Form<ActForm>,
) -> Result<Response, Rejection> {
    let (project_id, group_id) = (number(&project_id)?, number(&group_id)?);
    let opened = app.open(visitor.viewer(), project_id).await?;
    if !opened.may_act() {
        return Err(Rejection::NotAllowed);
    }
    let (action, done) = asked(&action_name, group_id, &form)?;
    let asked = Asked { form_token: &form.form_token, command_id: &form.command_id, project_id };
    let ordered = order(&app, &visitor, &asked, action).await?;
    let base = format!("/projects/{project_id}/groups/{group_id}");
    if action_name == "delete" && ordered.is_done() {
        return Ok(ordered.lead_to(&app, &headers, &format!("/projects/{project_id}/groups"), done));
    }
    let back = if form.back.starts_with(&base) && is_our_path(&form.back) { form.back } else { base };
    Ok(ordered.lead_to(&app, &headers, &back, done))
}

/// What a form asks for, and what is told when it was done.
fn asked(action: &str, group_id: i64, form: &ActForm) -> Result<(Action, &'static str), Rejection> {
    let expected_version = form.expected_version;
    Ok(match action {
        "resolve" => {
            let (unless, done) = match form.unless.as_str() {
                "this_release" => (Comeback::ThisRelease, "Resolved. A notice of a later release reopens it."),
                "next_release" => (Comeback::NextRelease, "Resolved. A notice of a release to come reopens it."),
                _ => (Comeback::Any, "Resolved. The next notice reopens it."),
            };
            (Action::ResolveGroup(ResolveGroup { group_id, expected_version, unless: unless.into() }), done)
        }
        "reopen" => (Action::ReopenGroup(ReopenGroup { group_id, expected_version }), "Open again."),
        "mute" => {
            let until = Some(mute_until(form)?);
            (
                Action::MuteGroup(MuteGroup { group_id, expected_version, until }),
                "Muted. Its notices are kept and counted, and nobody is told.",
            )
        }
        "assign" => {
            let assignee_id = limit(&form.assignee, "A member's number")?;
            let done = if assignee_id.is_some() { "Assigned." } else { "Nobody is assigned." };
            (Action::AssignGroup(AssignGroup { group_id, expected_version, assignee_id }), done)
        }
        "merge" => {
            let into = group_in(&form.into).ok_or_else(|| {
                let told = "Name the other group by its number or its address, as in `/projects/1/groups/7`.";
                Rejection::BadRequest(told.to_owned())
            })?;
            let groups = vec![SeenGroup { group_id, expected_version }];
            (
                Action::MergeGroups(MergeGroups { groups, into: Some(into) }),
                "Merged into this group. It can be taken back at the end of the page.",
            )
        }
        "unmerge" => (
            Action::UnmergeGroup(UnmergeGroup { group_id: form.merged, expected_version }),
            "Taken back: the group has its notices again.",
        ),
        "delete" => (
            Action::DeleteGroup(DeleteGroup { group_id, expected_version }),
            "Deleted. If the error comes again, it is a new group.",
        ),
        "comment" => {
            (Action::WriteComment(WriteComment { group_id, body: form.body.clone() }), "Your comment is written.")
        }
        "edit-comment" => (
            Action::EditComment(EditComment { comment_id: form.comment, body: form.body.clone() }),
            "Your comment is changed.",
        ),
        "delete-comment" => {
            (Action::DeleteComment(DeleteComment { comment_id: form.comment }), "Your comment is deleted.")
        }
        _ => return Err(Rejection::NotFound),
    })
}

fn mute_until(form: &ActForm) -> Result<MuteUntil, Rejection> {
    let seconds = limit(&form.seconds, "A time in seconds")?;
    if seconds.is_some_and(|seconds| seconds > MUTE_SECONDS_MAX) {
        return Err(Rejection::BadRequest("A mute lasts a year at most, or without a limit.".to_owned()));
    }
    let users = limit(&form.users, "A number of users")?.map(|users| {
        i32::try_from(users).map_err(|_| Rejection::BadRequest("So many users there are not.".to_owned()))
    });
    Ok(MuteUntil {
        // A worker of before goes by the time; the others by the seconds, which a form that is sent twice says twice.
        at_s: seconds.map(|seconds| OffsetDateTime::now_utc().unix_timestamp() + seconds),
        seconds,
        notices: limit(&form.notices, "A number of notices")?,
        users: users.transpose()?,
        elsewhere_than: Some(form.environment.clone()).filter(|name| !name.is_empty()),
    })
}

/// A number above nought, or nothing.
fn limit(text: &str, what: &str) -> Result<Option<i64>, Rejection> {
    match text.trim() {
        "" => Ok(None),
        text => match text.parse() {
            Ok(number) if number > 0 => Ok(Some(number)),
            _ => Err(Rejection::BadRequest(format!("{what} is a whole number above 0."))),
        },
    }
}

/// The number of a group, from itself or from the end of its address.
fn group_in(text: &str) -> Option<i64> {
    let text = text.trim();
    let text = text.rsplit_once("/groups/").map_or(text, |(_, rest)| rest);
    let digits = text.split(|letter: char| !letter.is_ascii_digit()).next()?;
    digits.parse().ok().filter(|id| *id > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_named_by_its_number_or_its_address() {
        for text in ["7", " 7 ", "/projects/1/groups/7", "https://croak.example/projects/1/groups/7?range=24h"] {
            assert_eq!(group_in(text), Some(7), "{text}");
        }
        for text in ["", "x", "-7", "/projects/1/groups/", "0"] {
            assert_eq!(group_in(text), None, "{text}");
        }
    }
}
