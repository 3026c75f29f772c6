//! The doors of 2009 to 2014: XML notices and deploys as forms.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use http::header::{CONNECTION, CONTENT_LENGTH, HeaderValue};
use http::request::Parts;
use http::{Method, StatusCode};
use journal::Kind;
use notice::NoticeId;
use protocol::{ParseError, hoptoad};
use service::http::{Body, Overrun};

use super::{Answered, with_body};
use crate::body::Posted;
use crate::gateway::Gateway;
use crate::keys;
use crate::rejection::Rejection;

/// How long the rest of a cut document is waited for. It is sent in the same breath, or not at all.
const OVERRUN_WITHIN: Duration = Duration::from_millis(50);

/// The note on a notice that was completed from beyond its announced end.
const MISCOUNTED: &str = "the client announced too few bytes; the rest was taken from the connection";

/// `POST /notifier_api/v2/notices` with the document as the body or in the form field `data`; `GET` with `?data=`.
pub(super) async fn notice(gateway: &Arc<Gateway>, parts: &Parts, body: &mut Body) -> Answered {
    let taking = gateway.taking()?;
    let posted = if parts.method == Method::GET {
        let data = parts.uri.query().and_then(|query| keys::in_form(query.as_bytes(), "data"));
        gateway.read_query(parts, data.ok_or(Rejection::Unparsable(ParseError::Empty))?)?
    } else {
        gateway.read(parts, body).await?
    };
    let (posted, was_miscounted) = with_overrun(parts, posted).await;

    let (pacing, intake) = (Arc::clone(gateway), taking.intake.clone());
    let (drafted, is_cut) = gateway
        .understand(posted, move |body| {
            let mut parsed = hoptoad::parse(&document(body)).map_err(Rejection::from)?;
            if was_miscounted {
                parsed.notice.notes.push(MISCOUNTED.to_owned());
            }
            let key = parsed.api_key.ok_or(Rejection::MissingKey)?;
            let project = keys::open(&taking.projects, &key)?;
            pacing.pace(&project, 1)?;
            let drafted = taking.intake.draft_notice(&project, taking.projects.dictionary, parsed.notice);
            Ok((drafted, parsed.salvaged || was_miscounted))
        })
        .await?;
    let draft = gateway.ready(parts, drafted).await?;
    let id = NoticeId::from_bytes(draft.id);
    gateway.keep(&intake, draft, "notice").await?;

    let mut answer =
        with_body(StatusCode::OK, "text/xml; charset=utf-8", hoptoad::accepted(&id, &gateway.locate_url(id)));
    if is_cut {
        // What comes next on this connection is the rest of the document, not a request.
        answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(answer)
}

/// The rest of a document whose client announced too few bytes (node-airbrake counts UTF-16 units), taken from what came
/// after it on the connection; and whether there was one.
async fn with_overrun(parts: &Parts, posted: Posted) -> (Posted, bool) {
    let (Some(overrun), Some(length)) = (parts.extensions.get::<Overrun>(), posted.cut_document_bytes()) else {
        return (posted, false);
    };
    if !parts.headers.contains_key(CONTENT_LENGTH) {
        return (posted, false); // chunks say themselves where they end
    }
    let rest = overrun.after(length, OVERRUN_WITHIN, |rest| rest.trim_ascii_end().ends_with(b"</notice>")).await;
    let is_there = !rest.is_empty();
    (posted.followed_by(&rest), is_there)
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
