//! What people are told of a project: where it goes, by which rules, and what the visitor wants to hear.

pub(crate) mod destination;
pub(crate) mod mine;
pub(crate) mod rule;

use std::collections::HashMap;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use store::alert::{DestinationKind, Trigger};
use store::reader::{AlertRule, Destination, NotificationChoice, Opened, WAITING_COUNTED_MAX};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Section, SectionPage};
use crate::app::App;
use crate::pages::order::Asked;
use crate::pages::rendered;
use crate::rejection::Rejection;
use crate::view::number::up_to;
use crate::view::times;
use crate::visitor::Visitor;

#[derive(Template)]
#[template(path = "settings/alerts.html")]
struct Alerts<'a> {
    base: &'a str,
    form_token: &'a str,
    command_id: Uuid,
    may_act: bool,
    are_taken: bool,
    /// Whether a mail would wait.
    waits_for_a_server: bool,
    destinations: Vec<DestinationRow>,
    rules: Vec<RuleRow>,
    choice: NotificationChoice,
}

struct DestinationRow {
    id: i64,
    name: String,
    what: &'static str,
    host: String,
    state: &'static str,
    is_troubled: bool,
    waiting: String,
    reached: Option<String>,
}

struct RuleRow {
    id: i64,
    name: String,
    when: String,
    /// What narrows it, and when it is told.
    more: String,
    places: String,
    enabled: bool,
    met: Option<String>,
}

/// Where the section is.
fn base(project_id: i64) -> String {
    Section::Alerts.address(project_id)
}

pub(crate) async fn page(
    State(app): State<App>,
    visitor: Visitor,
    Path(project_id): Path<String>,
) -> Result<Response, Rejection> {
    let opened = open(&app, &visitor, &project_id).await?;
    let destinations = app.reader.destinations(&opened, None).await?;
    let rules = app.reader.alert_rules(&opened, None).await?;
    let choice = app.reader.notification_choice(&opened, visitor.account.id).await?;
    let now = OffsetDateTime::now_utc();
    let waits_for_a_server = destinations
        .iter()
        .any(|destination| destination.kind == DestinationKind::Mail.as_str() && destination.enabled)
        && !app.reader.is_mail_sent().await?;
    let body = rendered(&Alerts {
        base: &base(opened.id()),
        form_token: &visitor.form_token,
        command_id: Uuid::new_v4(),
        may_act: opened.may_act(),
        are_taken: app.commands.are_taken().await,
        waits_for_a_server,
        rules: rules.iter().map(|rule| rule_row(rule, &destinations, now)).collect(),
        destinations: destinations.iter().map(|destination| destination_row(destination, now)).collect(),
        choice,
    });
    Ok(section(&app, &visitor, &opened, &body))
}

/// The project, if the visitor may see it.
async fn open(app: &App, visitor: &Visitor, project_id: &str) -> Result<std::sync::Arc<Opened>, Rejection> {
    let project_id: i64 = project_id.parse().map_err(|_| Rejection::NotFound)?;
    app.open(visitor.viewer(), project_id).await
}

fn section(app: &App, visitor: &Visitor, opened: &Opened, body: &str) -> Response {
    SectionPage { visitor, project: opened, section: Section::Alerts, body }.answer(app)
}

/// What a form is read as: every control of ours has a name of its own.
type Fields = HashMap<String, String>;

fn text<'a>(fields: &'a Fields, name: &str) -> &'a str {
    fields.get(name).map_or("", |value| value.trim())
}

fn number<T: std::str::FromStr + Default>(fields: &Fields, name: &str) -> Result<T, Rejection> {
    match text(fields, name) {
        "" => Ok(T::default()),
        value => value.parse().map_err(|_| Rejection::BadRequest(format!("`{name}` must be a number"))),
    }
}

/// The numbers of the boxes that were ticked, by what their names begin with.
fn ticked(fields: &Fields, prefix: &str) -> Vec<i64> {
    let mut ids: Vec<i64> =
        fields.keys().filter_map(|name| name.strip_prefix(prefix)).filter_map(|id| id.parse().ok()).collect();
    ids.sort_unstable();
    ids
}

fn asked<'a>(fields: &'a Fields, project_id: i64) -> Asked<'a> {
    Asked { form_token: text(fields, "form_token"), command_id: text(fields, "command_id"), project_id }
}

fn what(kind: &str) -> &'static str {
    match DestinationKind::parse(kind) {
        Some(DestinationKind::Mail) => "Mail",
        Some(DestinationKind::Webhook) => "Webhook",
        Some(DestinationKind::Slack) => "Slack or Mattermost",
        Some(DestinationKind::Discord) => "Discord",
        Some(DestinationKind::Teams) => "Teams",
        None => "Something newer",
    }
}

fn destination_row(destination: &Destination, now: OffsetDateTime) -> DestinationRow {
    let is_resting = destination.resting_until.is_some_and(|until| until > now);
    let is_troubled = destination.enabled && destination.failure_count > 0;
    DestinationRow {
        id: destination.id,
        name: destination.name.clone(),
        what: what(&destination.kind),
        host: match (&destination.host, &destination.member_ids) {
            (Some(host), _) => host.clone(),
            (None, None) => "all members".to_owned(),
            (None, Some(ids)) if ids.len() == 1 => "1 member".to_owned(),
            (None, Some(ids)) => format!("{} members", ids.len()),
        },
        state: match (destination.enabled, is_troubled, is_resting) {
            (false, ..) => "off",
            (true, true, true) => "failing, rests",
            (true, true, false) => "failing",
            (true, false, _) => "on",
        },
        is_troubled,
        waiting: up_to(destination.waiting_count, WAITING_COUNTED_MAX),
        reached: destination.reached_at.map(|at| times::ago(at, now)),
    }
}

fn rule_row(rule: &AlertRule, destinations: &[Destination], now: OffsetDateTime) -> RuleRow {
    let mut more = Vec::new();
    if !rule.environments.is_empty() {
        more.push(format!("in {}", rule.environments.join(", ")));
    }
    if !rule.severity_min.is_empty() {
        more.push(format!("{} or worse", rule.severity_min));
    }
    if !rule.search.is_empty() {
        more.push(format!("found by {}", rule.search));
    }
    if rule.digest_minutes > 0 {
        more.push(format!("collected for {} min", rule.digest_minutes));
    }
    if let Some((from, until)) = rule.quiet_from.zip(rule.quiet_until) {
        more.push(format!("quiet from {} until {} ({})", clock(from), clock(until), rule.time_zone));
    }
    if rule.waiting_count > 0 {
        more.push(format!("{} not told yet", up_to(rule.waiting_count, WAITING_COUNTED_MAX)));
    }
    RuleRow {
        id: rule.id,
        name: rule.name.clone(),
        when: when(rule),
        more: more.join(" · "),
        places: match &rule.destination_ids {
            None => "everywhere".to_owned(),
            Some(ids) => {
                let named = destinations.iter().filter(|destination| ids.contains(&destination.id));
                let names: Vec<&str> = named.map(|destination| destination.name.as_str()).collect();
                if names.is_empty() { "nowhere any more".to_owned() } else { names.join(", ") }
            }
        },
        enabled: rule.enabled,
        met: rule.met_at.map(|at| times::ago(at, now)),
    }
}

/// What makes a rule fire, in words.
fn when(rule: &AlertRule) -> String {
    match Trigger::parse(&rule.trigger) {
        Some(Trigger::New) => "A group is new".to_owned(),
        Some(Trigger::Regression) => "A resolved group comes back".to_owned(),
        Some(Trigger::Count) => {
            format!("More than {} notices of a group in {} minutes", rule.threshold, rule.window_minutes)
        }
        Some(Trigger::Users) => format!("{} users met a group", rule.threshold),
        None => "Something newer".to_owned(),
    }
}

/// A minute of the day as people write it.
fn clock(minute: i32) -> String {
    format!("{:02}:{:02}", minute / 60, minute % 60)
}
