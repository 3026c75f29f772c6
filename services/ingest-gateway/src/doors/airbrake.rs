//! Airbrake's JSON doors: notices (v3), deploys (v4), statistics (v5), and the configuration that clients ask for.
//!
//! A key alone decides on the project: whoever comes from Errbit has any number in the address, as its instructions say.

use std::sync::Arc;

use http::request::Parts;
use http::{Method, StatusCode};
use journal::Kind;
use notice::NoticeId;
use notice::prost::Message;
use protocol::{ParseError, airbrake};
use service::http::Body;

use super::{Answer, Answered, with_body};
use crate::gateway::{Gateway, Taking};
use crate::keys;
use crate::projects::Project;
use crate::rejection::{Refusal, Rejection};

const JSON: &str = "application/json";
const SCRIPT: &str = "application/javascript; charset=utf-8";

/// Longest name of a function that is called with an answer.
const CALLBACK_CHARS_MAX: usize = 100;

/// `POST /api/v3/projects/{project}/notices`. Read as JSON whatever its type: browsers say `text/plain` to spare
/// themselves a preflight.
pub(super) async fn notice(gateway: &Arc<Gateway>, parts: &Parts, body: &mut Body, named: &str) -> Answered {
    let answer = notice_of(gateway, parts, body, named).await?;
    Ok(with_body(StatusCode::CREATED, JSON, answer))
}

/// `POST /api/v3/projects/{project}/create-notice`: the same, but that these clients take 200 alone for success. `GET` with `?body=`
/// comes from a script element, and is answered with a call of the function that it names.
pub(super) async fn create_notice(gateway: &Arc<Gateway>, parts: &Parts, body: &mut Body, named: &str) -> Answered {
    let answer = notice_of(gateway, parts, body, named).await?;
    let callback = parts.uri.query().and_then(|query| keys::in_form(query.as_bytes(), "callback"));
    Ok(match callback.filter(|name| parts.method == Method::GET && is_callback(name)) {
        // What stands before the name keeps the answer from being anything but a script.
        Some(callback) => with_body(StatusCode::OK, SCRIPT, format!("/**/{callback}({answer});")),
        None => with_body(StatusCode::OK, JSON, answer),
    })
}

/// A name of a function, as clients make them: `airbrakeCb1`, `jQuery.cb`.
fn is_callback(name: &str) -> bool {
    let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$' | b'.');
    (1..=CALLBACK_CHARS_MAX).contains(&name.len()) && name.bytes().all(is_of_name)
}

async fn notice_of(gateway: &Arc<Gateway>, parts: &Parts, body: &mut Body, named: &str) -> Result<String, Refusal> {
    let taking = gateway.taking()?;
    let shown = keys::in_head(parts).map(|key| keys::open(&taking.projects, &key)).transpose()?;
    let project_id = shown.as_ref().map(|project| project.id);
    let taken = take_notice(gateway, taking, parts, body, shown, named.to_owned()).await;
    let id = taken.map_err(|refusal| refusal.or_of(project_id))?;
    Ok(airbrake::accepted(&id, &gateway.locate_url(id)))
}

async fn take_notice(
    gateway: &Arc<Gateway>,
    Taking { projects, intake }: Taking,
    parts: &Parts,
    body: &mut Body,
    shown: Option<Arc<Project>>,
    named: String,
) -> Result<NoticeId, Refusal> {
    let posted = if parts.method == Method::GET {
        let query = parts.uri.query().unwrap_or_default().as_bytes();
        gateway.read_query(parts, keys::in_form(query, "body").ok_or(Rejection::Unparsable(ParseError::Empty))?)?
    } else {
        gateway.read(parts, body).await?
    };
    let (pacing, drafting) = (Arc::clone(gateway), intake.clone());
    let read = move |body: &[u8]| {
        let parsed = airbrake::parse_notice(body).map_err(Rejection::from)?;
        let project = match (shown, parsed.api_key) {
            (Some(project), _) => project,
            (None, Some(key)) => keys::open(&projects, &key)?,
            (None, None) => keys::open_by_address(&projects, &named)?,
        };
        pacing.pace(&project, 1)?;
        Ok(drafting.draft_notice(&project, projects.dictionary, parsed.notice))
    };
    let draft = gateway.ready(parts, gateway.understand(posted, read).await?).await?;
    let id = NoticeId::from_bytes(draft.id);
    gateway.keep(&intake, draft, "notice").await?;
    Ok(id)
}

/// `POST /api/v4/projects/{project}/deploys`.
pub(super) async fn deploy(gateway: &Arc<Gateway>, parts: &Parts, body: &mut Body, named: &str) -> Answered {
    let id = take(gateway, parts, body, named, Kind::Deploy, "deploy", airbrake::parse_deploy).await?;
    Ok(with_body(StatusCode::CREATED, JSON, airbrake::deployed(&id)))
}

/// `PUT /api/v5/projects/{project}/{kind}`; JavaScript clients POST.
pub(super) async fn stats(gateway: &Arc<Gateway>, parts: &Parts, body: &mut Body, named: &str, kind: &str) -> Answered {
    let kind = kind.to_owned();
    let check = move |body: &[u8]| airbrake::check_stats(&kind, body);
    take(gateway, parts, body, named, Kind::Stats, "stats", check).await?;
    let mut answer = Answer::default();
    *answer.status_mut() = StatusCode::NO_CONTENT;
    Ok(answer)
}

/// `GET /2020-06-18/config/{project}/config.json`. Without a key, and the same for every project: it tells nothing.
pub(super) fn remote_config(gateway: &Gateway, named: &str) -> Answered {
    let by_key = || Some(gateway.known.now()?.by_key(named)?.id);
    let project_id = named.parse().ok().or_else(by_key).ok_or(Rejection::NoSuchPath)?;
    Ok(with_body(StatusCode::OK, JSON, airbrake::remote_config(project_id)))
}

/// Takes what is small and rare: the key is in the head, or the address is the key.
async fn take<M, F>(
    gateway: &Arc<Gateway>,
    parts: &Parts,
    body: &mut Body,
    named: &str,
    kind: Kind,
    counted_as: &'static str,
    parse: F,
) -> Result<NoticeId, Refusal>
where
    M: Message,
    F: FnOnce(&[u8]) -> Result<M, ParseError> + Send + 'static,
{
    let Taking { projects, intake } = gateway.taking()?;
    let project = match keys::in_head(parts) {
        Some(key) => keys::open(&projects, &key)?,
        None => keys::open_by_address(&projects, named)?,
    };
    let project_id = project.id;
    let drafting = intake.clone();
    let taken = async {
        let posted = gateway.read(parts, body).await?;
        let read = move |body: &[u8]| {
            let message = parse(body).map_err(Rejection::from)?;
            Ok(drafting.draft(kind, &project, &message))
        };
        let (id, draft) = gateway.understand(posted, read).await?;
        gateway.keep(&intake, draft, counted_as).await?;
        Ok(id)
    };
    taken.await.map_err(|refusal: Refusal| refusal.or_of(Some(project_id)))
}
