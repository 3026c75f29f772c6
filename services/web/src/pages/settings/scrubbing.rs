//! What a project takes out of its notices beside what is always taken out.

use askama::Template;
use axum::extract::{Form, Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use notice::{SCRUB_RULE_CHARS_MAX, SCRUB_RULES_MAX};
use serde::Deserialize;
use service::proto::command::SetScrubbing;
use service::proto::command::command::Action;
use uuid::Uuid;

use super::{Section, SectionPage};
use crate::app::App;
use crate::pages::order::{Asked, order};
use crate::pages::rendered;
use crate::rejection::Rejection;
use crate::visitor::Visitor;

/// What can become of the addresses of people, and how the page says it.
const IP_RULES: [(&str, &str); 3] =
    [("keep", "Keep them"), ("cut", "Keep their network only: 192.0.2.77 becomes 192.0.2.0"), ("drop", "Drop them")];

#[derive(Template)]
#[template(path = "settings/scrubbing.html")]
struct Page<'a> {
    address: String,
    form_token: &'a str,
    command_id: Uuid,
    fields: String,
    patterns: String,
    ip: String,
    ip_rules: [(&'static str, &'static str); 3],
    version: i32,
    may_manage: bool,
    are_taken: bool,
    rules_max: usize,
    rule_chars_max: usize,
}

pub(crate) async fn page(
    State(app): State<App>,
    visitor: Visitor,
    Path(project_id): Path<String>,
) -> Result<Response, Rejection> {
    let project_id: i64 = project_id.parse().map_err(|_| Rejection::NotFound)?;
    let opened = app.open(visitor.viewer(), project_id).await?;
    let rules = app.reader.scrubbing(&opened).await?;
    let body = rendered(&Page {
        address: Section::Scrubbing.address(project_id),
        form_token: &visitor.form_token,
        command_id: Uuid::new_v4(),
        fields: rules.fields.join("\n"),
        patterns: rules.patterns.join("\n"),
        ip: rules.ip,
        ip_rules: IP_RULES,
        version: rules.version,
        may_manage: opened.may_manage(),
        are_taken: app.commands.are_taken().await,
        rules_max: SCRUB_RULES_MAX,
        rule_chars_max: SCRUB_RULE_CHARS_MAX,
    });
    let page = SectionPage { visitor: &visitor, project: &opened, section: Section::Scrubbing, body: &body };
    Ok(page.answer(&app))
}

/// The form of the page.
#[derive(Deserialize)]
pub(crate) struct Rules {
    form_token: String,
    command_id: String,
    expected_version: i32,
    #[serde(default)]
    fields: String,
    #[serde(default)]
    patterns: String,
    ip: String,
}

pub(crate) async fn save(
    State(app): State<App>,
    visitor: Visitor,
    Path(project_id): Path<String>,
    headers: HeaderMap,
    Form(rules): Form<Rules>,
) -> Result<Response, Rejection> {
    let project_id: i64 = project_id.parse().map_err(|_| Rejection::NotFound)?;
    let opened = app.open(visitor.viewer(), project_id).await?;
    if !opened.may_manage() {
        return Err(Rejection::NotAllowed);
    }
    let set = SetScrubbing {
        fields: lines(&rules.fields),
        patterns: lines(&rules.patterns),
        ip: rules.ip,
        expected_version: rules.expected_version,
    };
    let asked = Asked { form_token: &rules.form_token, command_id: &rules.command_id, project_id };
    let ordered = order(&app, &visitor, &asked, Action::SetScrubbing(set)).await?;
    let done = "Saved. Notices that come from now on are scrubbed so; those that are there stay as they are.";
    Ok(ordered.lead_to(&app, &headers, &Section::Scrubbing.address(project_id), done))
}

/// What stands in the lines of a field that have something in them.
fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
}
