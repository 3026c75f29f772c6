//! One rule: when people are told, of what, and where.

use askama::Template;
use axum::extract::{Form, Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use service::proto::command::command::Action;
use service::proto::command::{DeleteRule, SaveRule};
use store::alert::{Severity, Trigger};
use store::reader::AlertRule;
use time::OffsetDateTime;
use uuid::Uuid;

use super::destination::Choice;
use super::{Fields, asked, base, clock, number, open, section, text, ticked};
use crate::app::App;
use crate::pages::order::order;
use crate::pages::rendered;
use crate::rejection::Rejection;
use crate::visitor::Visitor;

#[derive(Template)]
#[template(path = "settings/rule.html")]
struct RulePage<'a> {
    base: &'a str,
    form_token: &'a str,
    save_id: Uuid,
    delete_id: Uuid,
    may_act: bool,
    are_taken: bool,
    is_new: bool,
    rule: &'a AlertRule,
    environments: String,
    triggers: Vec<(&'static str, &'static str)>,
    severities: [&'static str; 5],
    quiet_from: String,
    quiet_until: String,
    destinations: Vec<Choice>,
}

/// What the form of a new rule begins with.
fn fresh() -> AlertRule {
    AlertRule {
        id: 0,
        name: String::new(),
        trigger: Trigger::Count.as_str().to_owned(),
        threshold: 100,
        window_minutes: 60,
        search: String::new(),
        environments: Vec::new(),
        severity_min: String::new(),
        destination_ids: None,
        quiet_from: None,
        quiet_until: None,
        time_zone: "UTC".to_owned(),
        digest_minutes: 0,
        enabled: true,
        version: 0,
        met_at: None::<OffsetDateTime>,
        waiting_count: 0,
    }
}

fn label(trigger: Trigger) -> &'static str {
    match trigger {
        Trigger::New => "A group is new",
        Trigger::Regression => "A resolved group comes back",
        Trigger::Count => "A group has more than so many notices in so many minutes",
        Trigger::Users => "So many users met a group",
    }
}

pub(crate) async fn page(
    State(app): State<App>,
    visitor: Visitor,
    Path((project_id, id)): Path<(String, String)>,
) -> Result<Response, Rejection> {
    let opened = open(&app, &visitor, &project_id).await?;
    let rule = match id.as_str() {
        "new" => fresh(),
        id => {
            let id: i64 = id.parse().map_err(|_| Rejection::NotFound)?;
            app.reader.alert_rules(&opened, Some(id)).await?.pop().ok_or(Rejection::NotFound)?
        }
    };
    let chosen = rule.destination_ids.clone().unwrap_or_default();
    let destinations = app.reader.destinations(&opened, None).await?;
    let time = |minute: Option<i32>| minute.map(clock).unwrap_or_default();
    let body = rendered(&RulePage {
        base: &base(opened.id()),
        form_token: &visitor.form_token,
        save_id: Uuid::new_v4(),
        delete_id: Uuid::new_v4(),
        may_act: opened.may_act(),
        are_taken: app.commands.are_taken().await,
        is_new: rule.id == 0,
        environments: rule.environments.join(", "),
        triggers: Trigger::ALL.map(|trigger| (trigger.as_str(), label(trigger))).to_vec(),
        severities: Severity::ALL.map(Severity::as_str),
        quiet_from: time(rule.quiet_from),
        quiet_until: time(rule.quiet_until),
        destinations: destinations
            .into_iter()
            .map(|one| Choice { id: one.id, is_ticked: chosen.contains(&one.id), name: one.name })
            .collect(),
        rule: &rule,
    });
    Ok(section(&app, &visitor, &opened, &body))
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
    let environments = text(&fields, "environments").split(',').map(str::trim).filter(|one| !one.is_empty());
    let action = Action::SaveRule(SaveRule {
        id,
        name: text(&fields, "name").to_owned(),
        trigger: text(&fields, "trigger").to_owned(),
        threshold: number(&fields, "threshold")?,
        window_minutes: number(&fields, "window_minutes")?,
        search: text(&fields, "search").to_owned(),
        environments: environments.map(str::to_owned).collect(),
        severity_min: text(&fields, "severity_min").to_owned(),
        destination_ids: ticked(&fields, "destination_"),
        quiet_from: minute(&fields, "quiet_from")?,
        quiet_until: minute(&fields, "quiet_until")?,
        time_zone: text(&fields, "time_zone").to_owned(),
        digest_minutes: number(&fields, "digest_minutes")?,
        enabled: fields.contains_key("enabled"),
        expected_version: number(&fields, "expected_version")?,
    });
    let ordered = order(&app, &visitor, &asked(&fields, opened.id()), action).await?;
    let path = match (ordered.is_done(), id) {
        (true, _) => base(opened.id()),
        (false, 0) => format!("{}/rules/new", base(opened.id())),
        (false, id) => format!("{}/rules/{id}", base(opened.id())),
    };
    Ok(ordered.lead_to(&app, &headers, &path, "Saved."))
}

pub(crate) async fn delete(
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
    let id: i64 = id.parse().map_err(|_| Rejection::NotFound)?;
    let action = Action::DeleteRule(DeleteRule { id });
    let ordered = order(&app, &visitor, &asked(&fields, opened.id()), action).await?;
    Ok(ordered.lead_to(&app, &headers, &base(opened.id()), "Deleted."))
}

/// A time of the day as `<input type=time>` sends it; nothing where nothing was said.
fn minute(fields: &Fields, name: &str) -> Result<Option<i32>, Rejection> {
    let text = text(fields, name);
    if text.is_empty() {
        return Ok(None);
    }
    let minute = text.split_once(':').and_then(|(hours, minutes)| {
        let (hours, minutes): (i32, i32) = (hours.parse().ok()?, minutes.get(..2)?.parse().ok()?);
        ((0..24).contains(&hours) && (0..60).contains(&minutes)).then_some(hours * 60 + minutes)
    });
    minute.map(Some).ok_or_else(|| Rejection::BadRequest(format!("`{name}` must be a time of the day, as 22:00")))
}
