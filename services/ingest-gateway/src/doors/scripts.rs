//! What scripts and people ask the gateway: the way to a notice, and Errbit's checks.

use http::StatusCode;
use http::header::{HeaderValue, LOCATION};
use http::request::Parts;
use uuid::Uuid;

use super::{Answer, Answered, with_body};
use crate::gateway::Gateway;
use crate::keys;
use crate::rejection::Rejection;

const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";

/// `GET /locate/{id}`: the notice's page is on the web. Notifiers build this address from the host that they post to.
pub(super) fn locate(gateway: &Gateway, id: &str) -> Answered {
    let id: Uuid = id.parse().map_err(|_| Rejection::NoSuchPath)?;
    let place = HeaderValue::try_from(gateway.locate_url(id)).map_err(|_| Rejection::NoSuchPath)?;
    let mut answer = with_body(StatusCode::FOUND, TEXT, "The notice is on the web.\n");
    answer.headers_mut().insert(LOCATION, place);
    Ok(answer)
}

/// `GET /health/api-key-tester?api_key=`: whether a key would be taken.
pub(super) fn key_tester(gateway: &Gateway, parts: &Parts) -> Answered {
    let projects = gateway.known.now().ok_or(Rejection::NoSnapshot)?;
    let key = parts.uri.query().and_then(|query| keys::in_form(query.as_bytes(), "api_key"));
    let is_good = key.is_some_and(|key| keys::open(&projects, &key).is_ok());
    Ok(match is_good {
        true => with_body(StatusCode::OK, JSON, r#"{"ok":true}"#),
        false => with_body(StatusCode::FORBIDDEN, JSON, r#"{"ok":false}"#),
    })
}

/// `GET /up`: whether notices are taken.
pub(super) fn up(gateway: &Gateway) -> Answer {
    match gateway.health.ready().ready {
        true => with_body(StatusCode::OK, TEXT, "up\n"),
        false => with_body(StatusCode::SERVICE_UNAVAILABLE, TEXT, "not ready\n"),
    }
}
