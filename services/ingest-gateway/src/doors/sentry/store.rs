//! `/api/{project}/store/`: one event, as clients sent them before there were envelopes.

use std::sync::Arc;

use http::header::{CONTENT_TYPE, HeaderValue};
use http::request::Parts;
use http::{Method, StatusCode};
use protocol::ParseError;
use protocol::sentry;
use service::http::Body;

use super::{Desk, EVENT_BYTES_MAX, accepted, envelope, key};
use crate::doors::{Answered, with_body};
use crate::gateway::{Gateway, Taking};
use crate::keys;
use crate::projects::Project;
use crate::rejection::{Refusal, Rejection};

/// A transparent picture of one pixel: what a page gets that reports an error by loading a picture.
const PIXEL: &[u8] = b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\x00\x00\x00!\xf9\x04\x01\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;";

pub(in crate::doors) async fn store(gateway: &Arc<Gateway>, parts: &Parts, body: &mut Body, named: &str) -> Answered {
    let is_envelope = parts
        .headers
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/x-sentry-envelope"));
    if is_envelope {
        return envelope(gateway, parts, body, named).await;
    }
    let taking = gateway.taking()?;
    let key = key::in_head(parts)?.ok_or(Rejection::MissingKey)?;
    let project = key::open(&taking.projects, &key, named)?;
    take(gateway, taking, project, parts, body).await
}

/// `/api/store/`, where the key alone says which project it is.
pub(in crate::doors) async fn store_of_key(gateway: &Arc<Gateway>, parts: &Parts, body: &mut Body) -> Answered {
    let taking = gateway.taking()?;
    let key = key::in_head(parts)?.ok_or(Rejection::MissingKey)?;
    let project = keys::open(&taking.projects, &key)?;
    take(gateway, taking, project, parts, body).await
}

async fn take(
    gateway: &Arc<Gateway>,
    taking: Taking,
    project: Arc<Project>,
    parts: &Parts,
    body: &mut Body,
) -> Answered {
    let project_id = project.id;
    let intake = taking.intake.clone();
    let desk = Desk::new(gateway, taking, project, parts);
    let taken = async {
        let posted = if parts.method == Method::GET {
            let data = parts.uri.query().and_then(|query| keys::in_form(query.as_bytes(), "sentry_data"));
            gateway.read_query(parts, data.ok_or(Rejection::Unparsable(ParseError::Empty))?)?
        } else {
            gateway.read(parts, body).await?
        };
        let read = move |body: &[u8]| {
            let event = sentry::decode_store_body(body, EVENT_BYTES_MAX).map_err(Rejection::from)?;
            if event.len() > EVENT_BYTES_MAX {
                return Err(Rejection::TooLarge { bytes_max: EVENT_BYTES_MAX }.into());
            }
            desk.event(&event, None)
        };
        let Some((client_id, draft)) = gateway.understand(posted, read).await? else { return Ok(None) };
        gateway.keep(&intake, gateway.ready(parts, draft).await?, "notice").await?;
        Ok(Some(client_id))
    };
    let client_id = taken.await.map_err(|refusal: Refusal| refusal.or_of(Some(project_id)))?;
    if parts.method == Method::GET {
        let mut answer = with_body(StatusCode::OK, "image/gif", PIXEL);
        answer.headers_mut().insert("cache-control", HeaderValue::from_static("no-store"));
        return Ok(answer);
    }
    Ok(accepted(client_id.as_deref()))
}
