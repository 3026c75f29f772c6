//! Doors of clients whose key alone says which project it is: Honeybadger's, Rollbar's, Bugsnag's.

use std::sync::Arc;

use http::StatusCode;
use http::header::HeaderName;
use http::request::Parts;
use notice::NoticeId;
use protocol::{ParseError, Parsed, bugsnag, honeybadger, rollbar};
use service::http::Body;

use super::{Answer, Answered, with_body};
use crate::gateway::Gateway;
use crate::keys;
use crate::rejection::{Refusal, Rejection};

const JSON: &str = "application/json";

/// How the key is called in a header and in a query.
struct KeyNames {
    header: HeaderName,
    query: &'static str,
}

const HONEYBADGER: KeyNames = KeyNames { header: HeaderName::from_static("x-api-key"), query: "api_key" };
const ROLLBAR: KeyNames = KeyNames { header: HeaderName::from_static("x-rollbar-access-token"), query: "access_token" };
const BUGSNAG: KeyNames = KeyNames { header: HeaderName::from_static("bugsnag-api-key"), query: "apiKey" };

/// A notice that was accepted.
struct Accepted {
    id: NoticeId,
    /// The id that its client gave it.
    client_id: Option<String>,
}

impl Accepted {
    /// The id by which its client knows it, or could.
    fn name(&self) -> String {
        self.client_id.clone().unwrap_or_else(|| self.id.to_string())
    }
}

/// `POST /v1/notices` and `/v1/notices/js`.
pub(super) async fn honeybadger_notice(gateway: &Arc<Gateway>, parts: &Parts, body: &mut Body) -> Answered {
    let parse = |body: &[u8]| Ok(vec![honeybadger::parse_notice(body)?]);
    let accepted = take(gateway, parts, body, HONEYBADGER, parse).await?;
    Ok(with_body(StatusCode::CREATED, JSON, honeybadger::accepted(&accepted.id)))
}

/// `POST /v1/events`: counted.
pub(super) async fn honeybadger_events(gateway: &Arc<Gateway>, parts: &Parts, body: &mut Body) -> Answered {
    count(gateway, parts, body, HONEYBADGER, "honeybadger_event", honeybadger::count_events).await?;
    Ok(with_body(StatusCode::CREATED, JSON, "{}"))
}

/// `POST /api/1/item/`.
pub(super) async fn rollbar_item(gateway: &Arc<Gateway>, parts: &Parts, body: &mut Body) -> Answered {
    let parse = |body: &[u8]| Ok(vec![rollbar::parse_item(body)?]);
    let accepted = take(gateway, parts, body, ROLLBAR, parse).await?;
    Ok(with_body(StatusCode::OK, JSON, rollbar::accepted(&accepted.name())))
}

/// `POST /` and `/notify`: one event or several.
pub(super) async fn bugsnag_events(gateway: &Arc<Gateway>, parts: &Parts, body: &mut Body) -> Answered {
    let accepted = take(gateway, parts, body, BUGSNAG, bugsnag::parse_notify).await?;
    Ok(with_body(status(bugsnag::ACCEPTED_STATUS), JSON, bugsnag::accepted(&accepted.id)))
}

/// `POST /sessions`: counted.
pub(super) async fn bugsnag_sessions(gateway: &Arc<Gateway>, parts: &Parts, body: &mut Body) -> Answered {
    count(gateway, parts, body, BUGSNAG, "bugsnag_session", bugsnag::count_sessions).await?;
    let mut answer = Answer::default();
    *answer.status_mut() = status(bugsnag::COUNTED_STATUS);
    Ok(answer)
}

/// Takes all notices of a request, or none; answers with the first.
async fn take(
    gateway: &Arc<Gateway>,
    parts: &Parts,
    body: &mut Body,
    names: KeyNames,
    parse: impl Fn(&[u8]) -> Result<Vec<Parsed>, ParseError> + Send + 'static,
) -> Result<Accepted, Refusal> {
    let taking = gateway.taking()?;
    let shown = in_head(parts, &names).map(|key| keys::open(&taking.projects, &key)).transpose()?;
    let project_id = shown.as_ref().map(|project| project.id);
    let intake = taking.intake.clone();
    let taken = async {
        let posted = gateway.read(parts, body).await?;
        let pacing = Arc::clone(gateway);
        let read = move |body: &[u8]| {
            let parsed = parse(body).map_err(Rejection::from)?;
            let project = match (shown, parsed.first().and_then(|first| first.api_key.as_deref())) {
                (Some(project), _) => project,
                (None, Some(key)) => keys::open(&taking.projects, key)?,
                (None, None) => return Err(Rejection::MissingKey.into()),
            };
            let first_client_id = parsed.first().and_then(|first| first.notice.client_id.clone());
            let mut drafts = Vec::with_capacity(parsed.len());
            for Parsed { notice, .. } in parsed {
                pacing.pace(&project)?;
                drafts.push(taking.intake.draft_notice(&project, taking.projects.dictionary, notice));
            }
            Ok((first_client_id, drafts))
        };
        let (client_id, drafts) = gateway.understand(posted, read).await?;
        let drafts = gateway.all_ready(parts, drafts).await?;
        let first = drafts.first().ok_or(Rejection::Unparsable(ParseError::Empty))?;
        let accepted = Accepted { id: NoticeId::from_bytes(first.id), client_id };
        gateway.keep_all(&intake, drafts).await?;
        Ok(accepted)
    };
    taken.await.map_err(|refusal: Refusal| refusal.or_of(project_id))
}

/// Counts what is in a request, and keeps nothing of it.
async fn count(
    gateway: &Arc<Gateway>,
    parts: &Parts,
    body: &mut Body,
    names: KeyNames,
    what: &'static str,
    counted: fn(&[u8]) -> Result<u64, ParseError>,
) -> Result<(), Refusal> {
    let taking = gateway.taking()?;
    let project = keys::open(&taking.projects, &in_head(parts, &names).ok_or(Rejection::MissingKey)?)?;
    let taken = async {
        let posted = gateway.read(parts, body).await?;
        gateway.understand(posted, move |body| Ok(counted(body).map_err(Rejection::from)?)).await
    };
    let count = taken.await.map_err(|refusal: Refusal| refusal.or_of(Some(project.id)))?;
    gateway.count_only(&project, what, count);
    Ok(())
}

fn in_head(parts: &Parts, names: &KeyNames) -> Option<String> {
    let in_header = || parts.headers.get(&names.header)?.to_str().ok().map(|key| key.trim().to_owned());
    let in_query = || keys::in_form(parts.uri.query()?.as_bytes(), names.query);
    in_header().or_else(in_query).filter(|key| !key.is_empty())
}

fn status(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::OK)
}
