//! The doors of 2009 to 2014: XML notices and deploys as forms.

use std::borrow::Cow;
use std::sync::Arc;

use http::header::{CONNECTION, HeaderValue};
use http::request::Parts;
use http::{Method, StatusCode};
use journal::Kind;
use protocol::{ParseError, hoptoad};
use service::http::Body;

use super::{Answered, with_body};
use crate::gateway::Gateway;
use crate::keys;
use crate::rejection::Rejection;

/// `POST /notifier_api/v2/notices` with the document as the body or in the form field `data`; `GET` with `?data=`.
pub(super) async fn notice(gateway: &Arc<Gateway>, parts: &Parts, body: &mut Body) -> Answered {
    let taking = gateway.taking()?;
    let posted = if parts.method == Method::GET {
        let data = parts.uri.query().and_then(|query| keys::in_form(query.as_bytes(), "data"));
        gateway.read_query(parts, data.ok_or(Rejection::Unparsable(ParseError::Empty))?)?
    } else {
        gateway.read(parts, body).await?
    };

    let (pacing, intake) = (Arc::clone(gateway), taking.intake.clone());
    let (id, draft, is_cut) = gateway
        .understand(posted, move |body| {
            let parsed = hoptoad::parse(&document(body)).map_err(Rejection::from)?;
            let key = parsed.api_key.ok_or(Rejection::MissingKey)?;
            let project = keys::open(&taking.projects, &key)?;
            pacing.pace(&project)?;
            let (id, draft) = taking.intake.draft_notice(&project, parsed.notice);
            Ok((id, draft, parsed.salvaged))
        })
        .await?;
    gateway.keep(&intake, draft, "notice").await?;

    let mut answer =
        with_body(StatusCode::OK, "text/xml; charset=utf-8", hoptoad::accepted(&id, &gateway.locate_url(id)));
    if is_cut {
        // What comes next on this connection is the rest of the document, not a request.
        answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(answer)
}

/// `POST /deploys.txt` with a form; a hook of Heroku's put the fields into the query instead.
pub(super) async fn deploy(gateway: &Arc<Gateway>, parts: &Parts, body: &mut Body) -> Answered {
    let taking = gateway.taking()?;
    let posted = gateway.read(parts, body).await?;
    let query = parts.uri.query().unwrap_or_default().to_owned();

    let intake = taking.intake.clone();
    let draft = gateway
        .understand(posted, move |body| {
            let form = [body, b"&", query.as_bytes()].concat();
            let (key, deploy) = hoptoad::parse_deploy(&form).map_err(Rejection::from)?;
            let project = keys::open(&taking.projects, &key.ok_or(Rejection::MissingKey)?)?;
            let (_, draft) = taking.intake.draft(Kind::Deploy, &project, &deploy);
            Ok(draft)
        })
        .await?;
    gateway.keep(&intake, draft, "deploy").await?;
    Ok(with_body(StatusCode::OK, "text/plain; charset=utf-8", "Recorded the deploy.\n"))
}

/// The XML: the body itself or, if that does not look like XML, its form field `data`.
fn document(body: &[u8]) -> Cow<'_, [u8]> {
    let begins_as_form = body.trim_ascii_start().first().is_some_and(u8::is_ascii_alphabetic);
    let in_form = || keys::in_form(body, "data").map(|data| Cow::Owned(data.into_bytes()));
    begins_as_form.then(in_form).flatten().unwrap_or(Cow::Borrowed(body))
}
