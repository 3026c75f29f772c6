//! One destination: its form, its log, and what can be done with it.

use askama::Template;
use axum::extract::{Form, Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use base64::Engine as _;
use service::proto::command::command::Action;
use service::proto::command::{DeleteDestination, EnableDestination, SaveDestination, TestDestination};
use sha2::{Digest as _, Sha256};
use store::alert::DestinationKind;
use store::reader::{DeliveryLine, Destination};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Fields, asked, base, number, open, section, text, ticked, what};
use crate::app::App;
use crate::pages::order::order;
use crate::pages::rendered;
use crate::rejection::Rejection;
use crate::view::times;
use crate::visitor::Visitor;

/// Most lines of the log that the page shows.
const LOG_MAX: i64 = 50;

#[derive(Template)]
#[template(path = "settings/destination.html")]
struct DestinationPage<'a> {
    base: &'a str,
    form_token: &'a str,
    /// One for each form.
    save_id: Uuid,
    act_id: Uuid,
    may_act: bool,
    are_taken: bool,
    destination: Option<&'a Destination>,
    kinds: Vec<(&'static str, &'static str)>,
    is_mail: bool,
    what: &'static str,
    members: Vec<Choice>,
    log: Vec<LogRow>,
}

/// A box that can be ticked.
pub(super) struct Choice {
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) is_ticked: bool,
}

struct LogRow {
    at: String,
    kind: String,
    group_id: Option<i64>,
    recipient: String,
    answer: String,
    state: &'static str,
    is_bad: bool,
    took_ms: i32,
    attempt: i32,
}

pub(crate) async fn page(
    State(app): State<App>,
    visitor: Visitor,
    Path((project_id, id)): Path<(String, String)>,
) -> Result<Response, Rejection> {
    let opened = open(&app, &visitor, &project_id).await?;
    let destination = match id.as_str() {
        "new" => None,
        id => {
            let id: i64 = id.parse().map_err(|_| Rejection::NotFound)?;
            Some(app.reader.destinations(&opened, Some(id)).await?.pop().ok_or(Rejection::NotFound)?)
        }
    };
    let now = OffsetDateTime::now_utc();
    let log = match &destination {
        Some(destination) => app.reader.delivery_log(&opened, destination.id, LOG_MAX).await?,
        None => Vec::new(),
    };
    let chosen = destination.as_ref().and_then(|destination| destination.member_ids.clone()).unwrap_or_default();
    let members = app.reader.alert_members(&opened).await?;
    let kind = destination.as_ref().map_or("", |destination| destination.kind.as_str());
    let body = rendered(&DestinationPage {
        base: &base(opened.id()),
        form_token: &visitor.form_token,
        save_id: Uuid::new_v4(),
        act_id: Uuid::new_v4(),
        may_act: opened.may_act(),
        are_taken: app.commands.are_taken().await,
        kinds: DestinationKind::ALL.map(|kind| (kind.as_str(), what(kind.as_str()))).to_vec(),
        is_mail: kind == DestinationKind::Mail.as_str(),
        what: what(kind),
        members: members
            .into_iter()
            .map(|member| Choice { id: member.id, is_ticked: chosen.contains(&member.id), name: member.name })
            .collect(),
        log: log.into_iter().map(|line| log_row(line, now)).collect(),
        destination: destination.as_ref(),
    });
    Ok(section(&app, &visitor, &opened, &body))
}

fn log_row(line: DeliveryLine, now: OffsetDateTime) -> LogRow {
    LogRow {
        at: times::ago(line.at, now),
        kind: line.kind,
        group_id: line.group_id,
        recipient: line.recipient.unwrap_or_default(),
        state: match (line.is_done, line.is_given_up) {
            (true, _) => "delivered",
            (_, true) => "given up",
            _ => "tried again later",
        },
        is_bad: !line.is_done,
        answer: line.told,
        took_ms: line.took_ms,
        attempt: line.attempt,
    }
}

pub(crate) async fn save(
    State(app): State<App>,
    visitor: Visitor,
    Path((project_id, id)): Path<(String, String)>,
    headers: HeaderMap,
    Form(fields): Form<Fields>,
) -> Result<Response, Rejection> {
    let opened = open(&app, &visitor, &project_id).await?;
    if !opened.may_act() {
        return Err(Rejection::NotAllowed);
    }
    let id: i64 = if id == "new" { 0 } else { id.parse().map_err(|_| Rejection::NotFound)? };
    let asked = asked(&fields, opened.id());
    let kind = text(&fields, "kind").to_owned();
    // The same for a form that is sent twice: what is shown is what was kept.
    let secret = Sha256::digest(app.keys.secret_of(&format!("webhook {}", asked.command_id)));
    let is_moved = id != 0 && !text(&fields, "url").is_empty();
    let is_signed = (id == 0 || is_moved) && kind == DestinationKind::Webhook.as_str();
    let action = Action::SaveDestination(SaveDestination {
        id,
        kind,
        name: text(&fields, "name").to_owned(),
        url: text(&fields, "url").to_owned(),
        secret: if is_signed { secret.to_vec() } else { Vec::new() },
        member_ids: ticked(&fields, "member_"),
        expected_version: number(&fields, "expected_version")?,
    });
    let ordered = order(&app, &visitor, &asked, action).await?;
    let done = if is_signed {
        let secret = base64::engine::general_purpose::STANDARD.encode(secret);
        let what = if is_moved { "Saved" } else { "Added" };
        format!("{what}. Its calls are signed with whsec_{secret} – it is shown this once.")
    } else {
        "Saved.".to_owned()
    };
    let path = match &ordered.result {
        Some(result) if ordered.is_done() && result.made_id != 0 => {
            format!("{}/destinations/{}", base(opened.id()), result.made_id)
        }
        _ if id != 0 => format!("{}/destinations/{id}", base(opened.id())),
        _ if ordered.is_done() => base(opened.id()),
        _ => format!("{}/destinations/new", base(opened.id())),
    };
    Ok(ordered.lead_to(&app, &headers, &path, &done))
}

pub(crate) async fn act(
    State(app): State<App>,
    visitor: Visitor,
    Path((project_id, id, action)): Path<(String, String, String)>,
    headers: HeaderMap,
    Form(fields): Form<Fields>,
) -> Result<Response, Rejection> {
    let opened = open(&app, &visitor, &project_id).await?;
    if !opened.may_act() {
        return Err(Rejection::NotAllowed);
    }
    let id: i64 = id.parse().map_err(|_| Rejection::NotFound)?;
    let (action, done) = match action.as_str() {
        "enable" => (Action::EnableDestination(EnableDestination { id, enabled: true }), "It is sent to again."),
        "disable" => {
            (Action::EnableDestination(EnableDestination { id, enabled: false }), "Nothing is sent to it any more.")
        }
        "test" => {
            (Action::TestDestination(TestDestination { id }), "A test is on its way. The log below says how it went.")
        }
        "delete" => (Action::DeleteDestination(DeleteDestination { id }), "Deleted."),
        _ => return Err(Rejection::NotFound),
    };
    let is_deletion = matches!(action, Action::DeleteDestination(_));
    let ordered = order(&app, &visitor, &asked(&fields, opened.id()), action).await?;
    let path = if is_deletion && ordered.is_done() {
        base(opened.id())
    } else {
        format!("{}/destinations/{id}", base(opened.id()))
    };
    Ok(ordered.lead_to(&app, &headers, &path, done))
}
