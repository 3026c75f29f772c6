//! Whose token a call carries.

use axum::extract::FromRequestParts;
use axum::http::header;
use axum::http::request::Parts;
use store::reader::Viewer;

use super::Problem;
use crate::app::App;
use crate::rejection::Rejection;

/// The scope of calls that read.
const READ: &str = "read";
/// The scope of calls that change something.
const WRITE: &str = "write";

/// A script with a valid token.
pub(crate) struct Caller {
    pub(crate) viewer: Viewer,
}

impl FromRequestParts<App> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Caller, Problem> {
        Ok(Caller { viewer: caller(parts, app, READ).await? })
    }
}

/// A script that changes something, for the person whose token it has: what is changed has an author.
pub(crate) struct Writing {
    pub(crate) user_id: i64,
}

impl FromRequestParts<App> for Writing {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Writing, Problem> {
        match caller(parts, app, WRITE).await? {
            Viewer::User(user_id) => Ok(Writing { user_id }),
            Viewer::Project(_) => Err(Rejection::NobodysToken.into()),
        }
    }
}

/// Whose token a call carries, if it has the scope.
async fn caller(parts: &Parts, app: &App, scope: &'static str) -> Result<Viewer, Rejection> {
    let shown = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let clear = shown.and_then(bearer).ok_or(Rejection::NoToken)?;
    let token = app.token(clear).await?.ok_or(Rejection::NoToken)?;
    if !token.scopes.iter().any(|held| held == scope) {
        return Err(Rejection::NoScope(scope));
    }
    Ok(token.viewer)
}

/// The token of an `Authorization: Bearer …`; the scheme's case does not matter.
fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") && !token.trim().is_empty()).then(|| token.trim())
}
