//! The door of build tools, `/api/0/…`: only passed on, to who has the database.

use std::sync::Arc;

use http::StatusCode;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName};
use http::request::Parts;
use service::http::Body;
use service::proto::sentry_api::CallHead;

use super::super::{Answer, Answered};
use super::with_body;
use crate::encoding::Encoding;
use crate::gateway::Gateway;
use crate::rejection::{Refusal, Rejection};

/// What every address of this door begins with.
const ROOT: &str = "/api/0";
/// Most characters of an address, and of a header that is passed on.
const PATH_CHARS_MAX: usize = 2_048;
const HEADER_CHARS_MAX: usize = 1_024;
/// Most bytes of a body: what workers tell build tools to send at most (8 MiB), and room for the heads of its parts.
const BODY_BYTES_MAX: usize = 9 * 1024 * 1024;

/// Passes a request of a build tool on, and its answer back.
pub(in crate::doors) async fn api(gateway: &Arc<Gateway>, parts: &Parts, body: &mut Body) -> Answered {
    let head = head_of(parts)?;
    if Encoding::of(&parts.headers)? != Encoding::Identity {
        return Err(Rejection::UnknownEncoding.into());
    }
    if body.announced().is_some_and(|announced| announced > BODY_BYTES_MAX as u64) {
        return Err(Rejection::TooLarge { bytes_max: BODY_BYTES_MAX }.into());
    }
    let answer = gateway.workers.call(head, body, BODY_BYTES_MAX).await?;
    let status = u16::try_from(answer.status).ok().and_then(|status| StatusCode::from_u16(status).ok());
    let status = status.ok_or(Rejection::Broken)?;
    if answer.json.is_empty() {
        let mut bare = Answer::default();
        *bare.status_mut() = status;
        return Ok(bare);
    }
    Ok(with_body(status, "application/json", answer.json))
}

fn head_of(parts: &Parts) -> Result<CallHead, Refusal> {
    let path = parts.uri.path();
    if path.len() > PATH_CHARS_MAX {
        return Err(Rejection::NoSuchPath.into());
    }
    let path = path.strip_prefix(ROOT).unwrap_or_default().trim_matches('/');
    let token = header(parts, &AUTHORIZATION).and_then(bearer).ok_or(Rejection::MissingToken)?;
    Ok(CallHead {
        method: parts.method.to_string(),
        path: path.to_owned(),
        token: token.to_owned(),
        content_type: header(parts, &CONTENT_TYPE).unwrap_or_default().to_owned(),
    })
}

fn header<'a>(parts: &'a Parts, name: &HeaderName) -> Option<&'a str> {
    let value = parts.headers.get(name)?.to_str().ok()?;
    (value.len() <= HEADER_CHARS_MAX).then_some(value)
}

fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") && !token.trim().is_empty()).then(|| token.trim())
}
