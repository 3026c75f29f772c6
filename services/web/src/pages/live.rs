//! The stream by which a list hears of new groups.

use std::collections::HashMap;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, Uri};
use axum::response::Response;

use super::group::number;
use crate::app::App;
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
    let params: HashMap<String, String> =
        url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let since = last.or(params.get("since").map(String::as_str)).and_then(|id| id.parse().ok()).unwrap_or(i64::MAX);
    app.live.stream(&opened, since)
}
