//! Doors of clients whose key alone says which project it is: Honeybadger's, Rollbar's, Bugsnag's. Notices, deploys, and what is only counted.

use std::borrow::Cow;
use std::sync::Arc;

use http::header::HeaderName;
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode};
use journal::Kind;
use notice::{Deploy, NoticeId};
use protocol::{ParseError, Parsed, bugsnag, honeybadger, rollbar};
use service::http::{Body, ClientAddress};

use super::{Answer, Answered, with_body};
use crate::form::{self, FieldHead, Piece};
use crate::gateway::Gateway;
use crate::rejection::{Refusal, Rejection};
use crate::{keys, measures};

const JSON: &str = "application/json";

/// How the key is called in a header and in a query.
struct KeyNames {
    header: HeaderName,
    query: &'static str,
}

const HONEYBADGER: KeyNames = KeyNames { header: HeaderName::from_static("x-api-key"), query: "api_key" };
const ROLLBAR: KeyNames = KeyNames { header: HeaderName::from_static("x-rollbar-access-token"), query: "access_token" };
const BUGSNAG: KeyNames = KeyNames { header: HeaderName::from_static("bugsnag-api-key"), query: "apiKey" };

/// What a request brought.
enum Brought {
    Notices(Vec<Parsed>),
    /// A deploy, with the key if the body has it.
    Deploy(Option<String>, Deploy),
}

impl Brought {
    fn deploy((key, deploy): (Option<String>, Deploy)) -> Brought {
        Brought::Deploy(key, deploy)
    }

    /// The key that the body has.
    fn key(&self) -> Option<&str> {
        match self {
            Brought::Notices(parsed) => parsed.first()?.api_key.as_deref(),
            Brought::Deploy(key, _) => key.as_deref(),
        }
    }
}

/// A notice or a deploy that was accepted.
struct Accepted {
    id: NoticeId,
    /// The id that its client gave it.
    client_id: Option<String>,
    kind: Kind,
}

impl Accepted {
    /// The id by which its client knows it, or could.
    fn name(&self) -> String {
        self.client_id.clone().unwrap_or_else(|| self.id.to_string())
    }
}

/// `POST /v1/notices` and `/v1/notices/js`; `GET /v1/notices/js.gif?notice[error][class]=…` of older browsers' clients.
pub(super) async fn honeybadger_notice(gateway: &Arc<Gateway>, parts: &Parts, body: &mut Body) -> Answered {
    let read = if parts.method == Method::GET { honeybadger::parse_query } else { honeybadger::parse_notice };
    let parse = move |body: &[u8]| Ok(Brought::Notices(vec![read(body).map_err(Rejection::from)?]));
    let accepted = take(gateway, parts, body, HONEYBADGER, parse).await?;
    Ok(with_body(StatusCode::CREATED, JSON, honeybadger::accepted(&accepted.id)))
}

/// `POST /v1/events`: counted.
pub(super) async fn honeybadger_events(gateway: &Arc<Gateway>, parts: &Parts, body: &mut Body) -> Answered {
    count(gateway, parts, body, HONEYBADGER, "honeybadger_event", honeybadger::count_events).await?;
    Ok(with_body(StatusCode::CREATED, JSON, "{}"))
}

/// `POST /v1/deploys`; a hook of Heroku's puts its fields into the query, too.
pub(super) async fn honeybadger_deploy(gateway: &Arc<Gateway>, parts: &Parts, body: &mut Body) -> Answered {
    take(gateway, parts, body, HONEYBADGER, deploy_form(parts, honeybadger::parse_deploy)).await?;
    Ok(with_body(StatusCode::CREATED, JSON, honeybadger::DEPLOYED))
}

/// `GET`, `HEAD` or `POST /v1/check_in/{id}`, or `…/{key}/{slug}`: counted, for the project if anything says which it is.
pub(super) fn honeybadger_check_in(gateway: &Arc<Gateway>, parts: &Parts, key: Option<&str>) -> Answered {
    const CHECK_IN: &str = "check_in";
    let taking = gateway.taking()?;
    match key.map(str::to_owned).or_else(|| in_head(parts, &HONEYBADGER)) {
        Some(key) => {
            let project = keys::open(&taking.projects, &key)?;
            gateway.count_only(&project, CHECK_IN, 1);
        }
        // The id was given out by somebody else, who knows whose it is.
        None => measures::counted(CHECK_IN, 1),
    }
    Ok(with_body(StatusCode::OK, JSON, honeybadger::DEPLOYED))
}

/// `POST /api/1/item/`.
pub(super) async fn rollbar_item(gateway: &Arc<Gateway>, parts: &Parts, body: &mut Body) -> Answered {
    let peer_ip = parts.extensions.get::<ClientAddress>().map(|client| client.0.to_string());
    let parse = move |body: &[u8]| {
        Ok(Brought::Notices(rollbar::parse_items(body, peer_ip.as_deref()).map_err(Rejection::from)?))
    };
    let accepted = take(gateway, parts, body, ROLLBAR, parse).await?;
    Ok(with_body(StatusCode::OK, JSON, rollbar::accepted(&accepted.name())))
}

/// `POST /api/1/deploy/`: JSON, a form, or one of several parts, as curl writes it.
pub(super) async fn rollbar_deploy(gateway: &Arc<Gateway>, parts: &Parts, body: &mut Body) -> Answered {
    let accepted = take(gateway, parts, body, ROLLBAR, deploy_form(parts, rollbar::parse_deploy)).await?;
    Ok(with_body(StatusCode::OK, JSON, rollbar::deployed(&accepted.id)))
}

/// `PATCH /api/1/deploy/{id}`: counted. A deploy is recorded when it begins.
pub(super) async fn rollbar_deploy_update(
    gateway: &Arc<Gateway>,
    parts: &Parts,
    body: &mut Body,
    deploy: &str,
) -> Answered {
    let taking = gateway.taking()?;
    let shown = in_head(parts, &ROLLBAR).map(|key| keys::open(&taking.projects, &key)).transpose()?;
    let project_id = shown.as_ref().map(|project| project.id);
    let taken = async {
        let posted = gateway.read(parts, body).await?;
        let headers = parts.headers.clone();
        let read = move |body: &[u8]| {
            let key = rollbar::parse_deploy_update(&plain_form(&headers, body)?).map_err(Rejection::from)?;
            match (shown, key) {
                (Some(project), _) => Ok(project),
                (None, Some(key)) => Ok(keys::open(&taking.projects, &key)?),
                (None, None) => Err(Rejection::MissingKey.into()),
            }
        };
        gateway.understand(posted, read).await
    };
    let project = taken.await.map_err(|refusal: Refusal| refusal.or_of(project_id))?;
    gateway.count_only(&project, "deploy_update", 1);
    Ok(with_body(StatusCode::OK, JSON, rollbar::deploy_updated(deploy)))
}

/// Whether the query has the key of an event: others who ask for the root want to know whether somebody is there.
pub(super) fn is_bugsnag_event(parts: &Parts) -> bool {
    parts.method == Method::GET && in_head(parts, &BUGSNAG).is_some()
}

/// `POST /` and `/notify`: one event or several. Whoever reports a build sends it to the same address. `GET /js?apiKey=…&name=…` of older
/// browsers' clients has the event in the query.
pub(super) async fn bugsnag_events(gateway: &Arc<Gateway>, parts: &Parts, body: &mut Body) -> Answered {
    let is_query = parts.method == Method::GET;
    let parse = move |body: &[u8]| {
        if is_query {
            return Ok(Brought::Notices(vec![bugsnag::parse_query(body).map_err(Rejection::from)?]));
        }
        match bugsnag::parse_notify(body) {
            Ok(parsed) => Ok(Brought::Notices(parsed)),
            Err(error) => bugsnag::parse_build(body).map(Brought::deploy).map_err(|_| Rejection::from(error).into()),
        }
    };
    let accepted = take(gateway, parts, body, BUGSNAG, parse).await?;
    let answer = match accepted.kind {
        Kind::Deploy => bugsnag::BUILT.to_owned(),
        _ => bugsnag::accepted(&accepted.id),
    };
    Ok(with_body(status(bugsnag::ACCEPTED_STATUS), JSON, answer))
}

/// `POST /builds`, and `/deploy` of older clients.
pub(super) async fn bugsnag_build(gateway: &Arc<Gateway>, parts: &Parts, body: &mut Body) -> Answered {
    take(gateway, parts, body, BUGSNAG, deploy_form(parts, bugsnag::parse_build)).await?;
    Ok(with_body(status(bugsnag::ACCEPTED_STATUS), JSON, bugsnag::BUILT))
}

/// `POST /sessions`: counted.
pub(super) async fn bugsnag_sessions(gateway: &Arc<Gateway>, parts: &Parts, body: &mut Body) -> Answered {
    count(gateway, parts, body, BUGSNAG, "bugsnag_session", bugsnag::count_sessions).await?;
    let mut answer = Answer::default();
    *answer.status_mut() = status(bugsnag::COUNTED_STATUS);
    Ok(answer)
}

type ReadDeploy = fn(&[u8]) -> Result<(Option<String>, Deploy), ParseError>;

/// Reads a deploy of a body, however its client writes it, or of the query where there is none.
fn deploy_form(parts: &Parts, read: ReadDeploy) -> impl Fn(&[u8]) -> Result<Brought, Refusal> + Send + 'static {
    let (headers, query) = (parts.headers.clone(), parts.uri.query().unwrap_or_default().to_owned());
    move |body| {
        let form = plain_form(&headers, body)?;
        let form = if form.is_empty() { query.as_bytes() } else { &form };
        Ok(read(form).map(Brought::deploy).map_err(Rejection::from)?)
    }
}

/// The body, or what is in a form of several parts as a form in one.
fn plain_form<'b>(headers: &HeaderMap, body: &'b [u8]) -> Result<Cow<'b, [u8]>, Refusal> {
    let Some(boundary) = form::boundary(headers) else { return Ok(Cow::Borrowed(body)) };
    let mut fields = form_urlencoded::Serializer::new(String::new());
    let mut content = Vec::new();
    form::read(&mut &body[..], boundary, |piece| {
        match piece {
            Piece::Content(_, bytes) => content.extend_from_slice(bytes),
            Piece::End(FieldHead { name, .. }) => {
                fields.append_pair(name, &String::from_utf8_lossy(&content));
                content.clear();
            }
        }
        Ok(())
    })?;
    Ok(Cow::Owned(fields.finish().into_bytes()))
}

/// Takes all that a request brought, or nothing; answers with the first.
async fn take(
    gateway: &Arc<Gateway>,
    parts: &Parts,
    body: &mut Body,
    names: KeyNames,
    parse: impl Fn(&[u8]) -> Result<Brought, Refusal> + Send + 'static,
) -> Result<Accepted, Refusal> {
    let taking = gateway.taking()?;
    let shown = in_head(parts, &names).map(|key| keys::open(&taking.projects, &key)).transpose()?;
    let project_id = shown.as_ref().map(|project| project.id);
    let intake = taking.intake.clone();
    let taken = async {
        let posted = match parts.method {
            Method::GET => gateway.read_query(parts, parts.uri.query().unwrap_or_default().to_owned())?,
            _ => gateway.read(parts, body).await?,
        };
        let pacing = Arc::clone(gateway);
        let read = move |body: &[u8]| {
            let brought = parse(body)?;
            let project = match (shown, brought.key()) {
                (Some(project), _) => project,
                (None, Some(key)) => keys::open(&taking.projects, key)?,
                (None, None) => return Err(Rejection::MissingKey.into()),
            };
            let parsed = match brought {
                Brought::Notices(parsed) => parsed,
                Brought::Deploy(_, deploy) => {
                    let (_, draft) = taking.intake.draft(Kind::Deploy, &project, &deploy);
                    return Ok((None, vec![draft.into()]));
                }
            };
            let first_client_id = parsed.first().and_then(|first| first.notice.client_id.clone());
            pacing.pace(&project, parsed.len())?;
            let mut drafts = Vec::with_capacity(parsed.len());
            for Parsed { notice, .. } in parsed {
                drafts.push(taking.intake.draft_notice(&project, taking.projects.dictionary, notice));
            }
            Ok((first_client_id, drafts))
        };
        let (client_id, drafts) = gateway.understand(posted, read).await?;
        let drafts = gateway.all_ready(parts, drafts).await?;
        let first = drafts.first().ok_or(Rejection::Unparsable(ParseError::Empty))?;
        let accepted = Accepted { id: NoticeId::from_bytes(first.id), client_id, kind: first.kind };
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
