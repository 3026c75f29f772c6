//! The switch between light and dark, a plain form.

use axum::extract::{Form, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::is_our_path;
use crate::app::App;
use crate::visitor::Theme;

#[derive(Deserialize)]
pub(crate) struct Choice {
    theme: String,
    #[serde(default)]
    next: String,
}

pub(crate) async fn choose(State(app): State<App>, headers: HeaderMap, Form(choice): Form<Choice>) -> Response {
    let next = if is_our_path(&choice.next) { choice.next.as_str() } else { "/" };
    let theme = Theme::parse(&choice.theme);
    let jar = app.keys.jar(&headers).add(app.keys.theme(theme.as_str().to_owned()));
    (jar, Redirect::to(next)).into_response()
}
