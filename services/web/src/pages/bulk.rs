//! What people do about many groups at once: forms that travel as one command.

use askama::Template;
use axum::extract::{Path, RawForm, State};
use axum::http::HeaderMap;
use axum::response::Response;
use service::proto::command::command::Action;
use service::proto::command::group_change::Change;
use service::proto::command::{
    ChangeFound, ChangeTicked, Comeback, GroupChange, MergeGroups, MuteUntil, SeenGroup, UndoBulk,
};
use store::reader::{Bulk, Member, Opened};
use uuid::Uuid;

use super::group::number;
use super::order::{Asked, order};
use super::{is_our_path, rendered};
use crate::app::App;
use crate::rejection::Rejection;
use crate::view::number::{counted, grouped};
use crate::visitor::Visitor;

/// Above the list: what became of the last change of many groups.
#[derive(Template)]
#[template(path = "bulk_note.html")]
struct Note<'a> {
    address: &'a str,
    form_token: &'a str,
    command_id: Uuid,
    bulk: &'a Bulk,
    said: String,
    back: &'a str,
    /// The same list with this note above it.
    again: String,
    can_act: bool,
}

/// Below the list: what can be done to the groups that are ticked.
#[derive(Template)]
#[template(path = "bulk.html")]
struct Ticked<'a> {
    address: &'a str,
    form_token: &'a str,
    command_id: Uuid,
    members: &'a [Member],
    search: &'a str,
    state: &'a str,
    back: &'a str,
}

/// What a visitor can do about the groups of a list.
#[derive(Default)]
pub(super) struct Forms {
    pub(super) above: String,
    pub(super) below: String,
}

/// The forms of a list of groups, with its search and its state. `last` is the change of many groups that led here.
pub(super) async fn forms(
    app: &App,
    visitor: &Visitor,
    opened: &Opened,
    last: Option<Uuid>,
    (search, state): (&str, &str),
    back: &str,
) -> Result<Forms, Rejection> {
    if !opened.may_act() {
        return Ok(Forms::default());
    }
    let can_act = app.commands.are_taken().await;
    let address = format!("/projects/{}/bulk", opened.id());
    let (form_token, address) = (visitor.form_token.as_str(), address.as_str());
    let bulk = match last {
        Some(id) => app.reader.bulk(opened, id).await?,
        None => None,
    };
    let above = bulk.map_or_else(String::new, |bulk| {
        let (said, again) = (said(&bulk), with_bulk(back, &bulk.id.to_string()));
        rendered(&Note { address, form_token, command_id: Uuid::new_v4(), bulk: &bulk, said, back, again, can_act })
    });
    if !can_act {
        return Ok(Forms { above, below: String::new() });
    }
    let members = app.members(opened, visitor.seen.as_ref()).await?;
    let below =
        rendered(&Ticked { address, form_token, command_id: Uuid::new_v4(), members: &members, search, state, back });
    Ok(Forms { above, below })
}

fn said(bulk: &Bulk) -> String {
    let groups = |count| counted(count, "group", "groups");
    if bulk.gave_up {
        let so_far = if bulk.is_undone {
            format!("Taken back for {} of {}", grouped(bulk.undone_count), groups(bulk.changed_count))
        } else {
            format!("{} changed", groups(bulk.changed_count))
        };
        return format!("{so_far}; then it failed again and again, and was given up.");
    }
    match (bulk.is_undone, bulk.is_running) {
        (false, false) => format!("{} changed.", groups(bulk.changed_count)),
        (false, true) => format!("{} changed so far; it goes on.", groups(bulk.changed_count)),
        (true, false) => format!("Taken back for {} of {}.", grouped(bulk.undone_count), groups(bulk.changed_count)),
        (true, true) => format!("Taken back for {} so far; it goes on.", groups(bulk.undone_count)),
    }
}

/// What the forms say.
#[derive(Default)]
struct BulkForm {
    form_token: String,
    command_id: String,
    back: String,
    /// What is done.
    what: String,
    assignee: String,
    /// Whether it is done to all that the list shows, on all of its pages: its search, and its state unless it shows all.
    is_all: bool,
    search: String,
    state: String,
    bulk_id: String,
    groups: Vec<SeenGroup>,
}

impl BulkForm {
    /// Reads a form in which a field may come many times.
    fn read(body: &[u8]) -> BulkForm {
        let mut form = BulkForm::default();
        for (name, value) in url::form_urlencoded::parse(body) {
            let value = value.into_owned();
            match name.as_ref() {
                "form_token" => form.form_token = value,
                "command_id" => form.command_id = value,
                "back" => form.back = value,
                "do" => form.what = value,
                "assignee" => form.assignee = value,
                "all" => form.is_all = true,
                "search" => form.search = value,
                "state" => form.state = value,
                "bulk_id" => form.bulk_id = value,
                "ticked" => form.groups.extend(ticked(&value)),
                _ => {}
            }
        }
        form
    }
}

/// A group as its box in the list names it: number and version.
fn ticked(value: &str) -> Option<SeenGroup> {
    let (group_id, version) = value.split_once(':')?;
    Some(SeenGroup { group_id: group_id.parse().ok()?, expected_version: version.parse().ok()? })
}

pub(crate) async fn bulk(
    State(app): State<App>,
    visitor: Visitor,
    Path(project_id): Path<String>,
    headers: HeaderMap,
    RawForm(body): RawForm,
) -> Result<Response, Rejection> {
    let project_id = number(&project_id)?;
    let opened = app.open(visitor.viewer(), project_id).await?;
    if !opened.may_act() {
        return Err(Rejection::NotAllowed);
    }
    let form = BulkForm::read(&body);
    let asked = Asked { form_token: &form.form_token, command_id: &form.command_id, project_id };
    let list = format!("/projects/{project_id}/groups");
    let back = if form.back.starts_with(&list) && is_our_path(&form.back) { form.back.as_str() } else { &list };
    let change = match form.what.as_str() {
        "merge" => {
            let merge = MergeGroups { groups: form.groups, into: None };
            let ordered = order(&app, &visitor, &asked, Action::MergeGroups(merge)).await?;
            let into = ordered.result.as_ref().map_or(0, |result| result.made_id);
            let path = if ordered.is_done() { format!("{list}/{into}") } else { back.to_owned() };
            let done = "Merged into this group. It can be taken back at the end of the page.";
            return Ok(ordered.lead_to(&app, &headers, &path, done));
        }
        "undo" => {
            let undo = UndoBulk { bulk_id: form.bulk_id.clone() };
            let ordered = order(&app, &visitor, &asked, Action::UndoBulk(undo)).await?;
            let done = ordered.told();
            let path = if ordered.is_done() { with_bulk(back, &form.bulk_id) } else { back.to_owned() };
            return Ok(ordered.lead_to(&app, &headers, &path, &done));
        }
        "resolve" => Change::Resolve(Comeback::Any.into()),
        "reopen" => Change::Reopen(true),
        "mute" => Change::Mute(MuteUntil::default()),
        "assign" => Change::Assign(form.assignee.parse().unwrap_or(0)),
        _ => return Err(Rejection::BadRequest("Choose what is done to the groups that are ticked.".to_owned())),
    };
    let change = Some(GroupChange { change: Some(change) });
    let action = if form.is_all {
        let state = Some(form.state.clone()).filter(|state| !state.is_empty());
        Action::ChangeFound(ChangeFound { search: form.search.clone(), state, change })
    } else {
        Action::ChangeTicked(ChangeTicked { groups: form.groups, change })
    };
    let ordered = order(&app, &visitor, &asked, action).await?;
    let done = ordered.told();
    let path = if ordered.is_done() { with_bulk(back, &form.command_id) } else { back.to_owned() };
    Ok(ordered.lead_to(&app, &headers, &path, &done))
}

/// The address of a list that says what was changed last.
fn with_bulk(list: &str, bulk_id: &str) -> String {
    let (path, query) = list.split_once('?').unwrap_or((list, ""));
    let kept = query.split('&').filter(|part| !part.is_empty() && !part.starts_with("bulk="));
    let parts: Vec<&str> = kept.collect();
    let id = format!("bulk={bulk_id}");
    format!("{path}?{}", parts.into_iter().chain([id.as_str()]).collect::<Vec<_>>().join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_ticks_many_groups() {
        let form =
            BulkForm::read(b"do=resolve&ticked=7%3A1&ticked=8:2&ticked=x&command_id=a&back=%2Fprojects%2F1%2Fgroups");
        let groups: Vec<(i64, i32)> = form.groups.iter().map(|seen| (seen.group_id, seen.expected_version)).collect();
        assert_eq!(groups, [(7, 1), (8, 2)]);
        assert_eq!((form.what.as_str(), form.command_id.as_str()), ("resolve", "a"));
    }

    #[test]
    fn the_list_names_the_last_change_alone() {
        assert_eq!(with_bulk("/projects/1/groups", "a"), "/projects/1/groups?bulk=a");
        assert_eq!(
            with_bulk("/projects/1/groups?state=all&bulk=b&sort=count", "a"),
            "/projects/1/groups?state=all&sort=count&bulk=a"
        );
    }
}
