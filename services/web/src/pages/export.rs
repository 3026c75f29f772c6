//! A search as a file.

use std::collections::HashMap;

use axum::extract::{Path, State};
use axum::http::Uri;
use axum::response::Response;
use store::reader::GroupFilter;
use store::reader::search::Search;

use super::group::number;
use super::groups::state_named;
use crate::app::App;
use crate::export::{self, Lines};
use crate::rejection::Rejection;
use crate::visitor::Visitor;

pub(crate) async fn groups(
    State(app): State<App>,
    visitor: Visitor,
    Path(project_id): Path<String>,
    uri: Uri,
) -> Result<Response, Rejection> {
    let opened = app.open(visitor.viewer(), number(&project_id)?).await?;
    let params: HashMap<String, String> =
        url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
    let text = |name: &str| params.get(name).map(String::as_str).unwrap_or_default();
    let search = Search::parse(text("query").trim()).map_err(|error| Rejection::BadRequest(error.to_string()))?;
    let filter = GroupFilter {
        search,
        state: state_named(text("state")),
        me: Some(visitor.account.id),
        ..GroupFilter::default()
    };
    export::export(&app, opened, filter, Lines::asked(params.get("notices").map(String::as_str)))
}
