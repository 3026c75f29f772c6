//! Whose token a call carries.

use axum::extract::FromRequestParts;
use axum::http::header;
use axum::http::request::Parts;
use store::reader::Viewer;

use super::Problem;
use crate::app::App;
use crate::rejection::Rejection;

/// The scope that every call of today needs.
const READ: &str = "read";

/// A script with a valid token.
pub(crate) struct Caller {
    pub(crate) viewer: Viewer,
}

impl FromRequestParts<App> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Caller, Problem> {
        let shown = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let clear = shown.and_then(bearer).ok_or(Rejection::NoToken)?;
        let token = app.token(clear).await.map_err(Rejection::from)?.ok_or(Rejection::NoToken)?;
        if !token.scopes.iter().any(|scope| scope == READ) {
            return Err(Rejection::NoScope(READ).into());
        }
        Ok(Caller { viewer: token.viewer })
    }
}

/// The token of an `Authorization: Bearer …`; the scheme's case does not matter.
fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") && !token.trim().is_empty()).then(|| token.trim())
}
