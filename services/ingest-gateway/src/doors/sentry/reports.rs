//! What browsers report by themselves, check-ins by address, and what people wrote.

use std::sync::Arc;

use http::header::{AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::request::Parts;
use http::{Method, StatusCode};
use protocol::sentry::{self, Feedback, ReportContext};
use protocol::{ParseError, Parsed};
use serde_json::Value;
use service::http::Body;

use super::envelope::feedback;
use super::{Desk, key};
use crate::doors::{Answer, Answered, with_body};
use crate::gateway::Gateway;
use crate::keys;
use crate::projects::Project;
use crate::rejection::{Refusal, Rejection};

/// The types that a browser's reports of its policies have.
const SECURITY_TYPES: [&str; 6] = [
    "application/json",
    "application/csp-report",
    "application/expect-ct-report",
    "application/expect-ct-report+json",
    "application/expect-staple-report",
    "application/reports+json",
];

/// The types that a browser's reports of its network have.
const NEL_TYPES: [&str; 2] = ["application/reports+json", "application/json"];

/// What a monitor says of its run.
const CHECK_IN_STATUSES: [&str; 3] = ["in_progress", "ok", "error"];

type Read = fn(&[u8], &str, &ReportContext<'_>) -> Result<Vec<Parsed>, ParseError>;

/// `POST /api/{project}/security/`: violations of a policy.
pub(in crate::doors) async fn security(
    gateway: &Arc<Gateway>,
    parts: &Parts,
    body: &mut Body,
    named: &str,
) -> Answered {
    report(gateway, parts, body, named, &SECURITY_TYPES, sentry::security_report).await
}

/// `POST /api/{project}/nel/`: errors of the network.
pub(in crate::doors) async fn nel(gateway: &Arc<Gateway>, parts: &Parts, body: &mut Body, named: &str) -> Answered {
    report(gateway, parts, body, named, &NEL_TYPES, |body, _, context| sentry::nel_report(body, context)).await
}

async fn report(
    gateway: &Arc<Gateway>,
    parts: &Parts,
    body: &mut Body,
    named: &str,
    types: &[&str],
    parse: Read,
) -> Answered {
    let content_type = parts.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if !types.contains(&essence.as_str()) {
        return Err(Rejection::UnknownType.into());
    }
    let desk = open(gateway, parts, named, None)?;
    let project_id = desk.project.id;
    let intake = desk.taking.intake.clone();
    let query = parts.uri.query().unwrap_or_default().as_bytes().to_vec();
    let user_agent = parts.headers.get(USER_AGENT).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let taken = async {
        let posted = gateway.read(parts, body).await?;
        let read = move |body: &[u8]| {
            let environment = keys::in_form(&query, "sentry_environment");
            let release = keys::in_form(&query, "sentry_release");
            let context = ReportContext {
                environment: environment.as_deref(),
                release: release.as_deref(),
                user_agent: user_agent.as_deref(),
            };
            let reports = parse(body, &essence, &context).map_err(Rejection::from)?;
            reports.into_iter().map(|parsed| Ok(desk.notice(parsed.notice)?.1)).collect::<Result<Vec<_>, Refusal>>()
        };
        let drafts = gateway.understand(posted, read).await?;
        gateway.keep_all(&intake, gateway.all_ready(parts, drafts).await?).await
    };
    taken.await.map_err(|refusal: Refusal| refusal.or_of(Some(project_id)))?;
    Ok(Answer::default())
}

/// `GET` or `POST /api/{project}/cron/{slug}/{key}/`: counted, until there is something to show of it.
pub(in crate::doors) async fn check_in(
    gateway: &Arc<Gateway>,
    parts: &Parts,
    body: &mut Body,
    named: &str,
    key: Option<&str>,
) -> Answered {
    let desk = open(gateway, parts, named, key)?;
    let project = Arc::clone(&desk.project);
    let in_query = parts.uri.query().and_then(|query| keys::in_form(query.as_bytes(), "status"));
    let status = match (in_query, &parts.method) {
        (Some(status), _) => Some(status),
        (None, &Method::GET) => None,
        (None, _) => {
            let posted = gateway.read(parts, body).await?;
            gateway.understand(posted, |body| Ok(status_in(body))).await?
        }
    };
    if !status.is_some_and(|status| CHECK_IN_STATUSES.contains(&status.as_str())) {
        let told = ParseError::Malformed("`status` must be in_progress, ok or error".to_owned());
        return Err(Rejection::from(told).of_project(project.id));
    }
    gateway.count_only(&project, "check_in", 1);
    let mut answer = Answer::default();
    *answer.status_mut() = StatusCode::ACCEPTED;
    Ok(answer)
}

/// `GET /api/embed/error-page/?dsn=…&eventId=…`: a script that asks people what they did when it happened, and sends it to its own address.
pub(in crate::doors) fn feedback_dialog() -> Answer {
    with_body(StatusCode::OK, "application/javascript; charset=utf-8", include_str!("dialog.js"))
}

/// `POST /api/embed/error-page/?dsn=…&eventId=…`: what somebody wrote about what they did when it happened.
pub(in crate::doors) async fn feedback_form(gateway: &Arc<Gateway>, parts: &Parts, body: &mut Body) -> Answered {
    let query = parts.uri.query().unwrap_or_default().as_bytes().to_vec();
    let dsn = keys::in_form(&query, "dsn").ok_or(Rejection::MissingKey)?;
    keep_feedback(gateway, parts, body, &dsn, move |form| Ok(sentry::error_page_form(&query, form))).await
}

/// `POST /api/0/projects/{organization}/{project}/user-feedback/` with `Authorization: DSN …`: the same in JSON.
pub(in crate::doors) async fn user_feedback(gateway: &Arc<Gateway>, parts: &Parts, body: &mut Body) -> Answered {
    let shown = parts.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let dsn =
        shown.and_then(|value| value.trim().split_once(' ')).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("dsn"));
    let (_, dsn) = dsn.ok_or(Rejection::MissingKey)?;
    keep_feedback(gateway, parts, body, dsn.trim(), sentry::user_report).await
}

async fn keep_feedback(
    gateway: &Arc<Gateway>,
    parts: &Parts,
    body: &mut Body,
    dsn: &str,
    read: impl FnOnce(&[u8]) -> Result<Feedback, ParseError> + Send + 'static,
) -> Answered {
    let (key, named) = key_and_project(dsn).ok_or(Rejection::UnreadableKey)?;
    let taking = gateway.taking()?;
    let project = key::open(&taking.projects, &key, &named)?;
    let desk = Desk::new(gateway, taking, project, parts);
    let (project_id, intake) = (desk.project.id, desk.taking.intake.clone());
    let taken = async {
        let posted = gateway.read(parts, body).await?;
        let draft = move |body: &[u8]| Ok(feedback(&desk, &read(body).map_err(Rejection::from)?));
        gateway.keep(&intake, gateway.understand(posted, draft).await?, "feedback").await
    };
    taken.await.map_err(|refusal: Refusal| refusal.or_of(Some(project_id)))?;
    Ok(with_body(StatusCode::OK, "application/json", "{}"))
}

pub(super) fn open(gateway: &Arc<Gateway>, parts: &Parts, named: &str, key: Option<&str>) -> Result<Desk, Refusal> {
    let taking = gateway.taking()?;
    let shown = key::in_head(parts)?;
    let project: Arc<Project> = match key.or(shown.as_deref()) {
        Some(key) => key::open(&taking.projects, key, named)?,
        None => return Err(Rejection::MissingKey.into()),
    };
    Ok(Desk::new(gateway, taking, project, parts))
}

/// The status of a check-in in a body.
fn status_in(body: &[u8]) -> Option<String> {
    let check_in: Value = serde_json::from_slice(body).ok()?;
    check_in.get("status")?.as_str().map(str::to_owned)
}

/// The key and the project of `https://key@host/project`.
fn key_and_project(dsn: &str) -> Option<(String, String)> {
    let (_, rest) = dsn.split_once("://")?;
    let (user, place) = rest.split_once('@')?;
    let (_, project) = place.trim_end_matches('/').rsplit_once('/')?;
    Some((user.split(':').next()?.to_owned(), project.to_owned()))
}
