//! What the search box offers while somebody types, for the script of the pages.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::Uri;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use store::reader::completion::Typing;

use super::group::number;
use crate::app::App;
use crate::rejection::Rejection;
use crate::visitor::Visitor;

/// Longest text that is gone on with, in bytes.
const QUERY_BYTES_MAX: usize = 2_000;

/// Answers `{"from": …, "offers": [{"text", "hint"}]}`: the texts go in the place of everything from `from` on, counted in
/// units of UTF-16 as scripts count.
pub(crate) async fn complete(
    State(app): State<App>,
    visitor: Visitor,
    Path(project_id): Path<String>,
    uri: Uri,
) -> Result<Response, Rejection> {
    let opened = app.open(visitor.viewer(), number(&project_id)?).await?;
    let query = url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes())
        .find(|(name, _)| name == "query")
        .map(|(_, query)| query.into_owned())
        .filter(|query| query.len() <= QUERY_BYTES_MAX)
        .unwrap_or_default();
    let typing = Typing::at_the_end_of(&query);
    let from = query[..typing.from].encode_utf16().count();
    let key = format!("{} offers {} {}", opened.id(), typing.key.as_deref().unwrap_or(" "), typing.begun);
    let reader = app.reader.clone();
    let offers = app.answers.get(key, None, || async move {
        let offers = reader.offers(&opened, &typing).await?;
        let offers: Vec<_> = offers.iter().map(|offer| json!({"text": offer.text, "hint": offer.hint})).collect();
        Ok::<_, Rejection>(Some(json!(offers).to_string().into()))
    });
    let offers = offers.await?.ok_or(Rejection::NotFound)?;
    let offers: serde_json::Value = serde_json::from_slice(&offers).unwrap_or_default();
    Ok(Json(json!({"from": from, "offers": offers})).into_response())
}
