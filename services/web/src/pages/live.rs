//! The streams by which lists hear of new groups.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use store::reader::Opened;

use super::group::number;
use crate::app::App;
use crate::live::WATCHED_MAX;
use crate::rejection::Rejection;
use crate::visitor::Visitor;

/// Streams what is newer than the group that the browser last heard of, or else than the one that its page had.
pub(crate) async fn live(
    State(app): State<App>,
    visitor: Visitor,
    Path(project_id): Path<String>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Rejection> {
    let opened = app.open(visitor.viewer(), number(&project_id)?).await?;
    app.live.stream(&[opened], since(&headers, &uri))
}

/// The same for the list over all projects that the visitor sees.
pub(crate) async fn live_of_all(
    State(app): State<App>,
    visitor: Visitor,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Rejection> {
    let opened = app.reader.open_all(visitor.viewer(), WATCHED_MAX).await?;
    let opened: Vec<Arc<Opened>> = opened.into_iter().map(Arc::new).collect();
    app.live.stream(&opened, since(&headers, &uri))
}

/// The group that the browser last heard of, or else the one that its page had.
fn since(headers: &HeaderMap, uri: &Uri) -> i64 {
    let params: HashMap<String, String> =
        url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    last.or(params.get("since").map(String::as_str)).and_then(|id| id.parse().ok()).unwrap_or(i64::MAX)
}
