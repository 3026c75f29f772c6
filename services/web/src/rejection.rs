//! Everything that is answered when things are not as asked: status, metric, log and words side by side.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use serde_json::json;
use store::reader::ReadError;

use crate::pages;

/// Why a request is not answered as asked.
#[derive(Debug)]
pub(crate) enum Rejection {
    /// Nobody is signed in; `wanted` is where to go afterwards.
    SignedOut { wanted: Option<String> },
    /// There is no such thing, or it is not the asker's to see: nobody can tell which.
    NotFound,
    /// The group was merged into another, which has all of it; `rest` is the end of the path behind the group.
    Merged { project_id: i64, into: i64, rest: String },
    /// The request is not understood; the text says what would be right.
    BadRequest(String),
    /// A form that was not made for this session.
    ForeignForm,
    /// The visitor may look, not act.
    NotAllowed,
    /// The API was asked without a valid token.
    NoToken,
    /// The token lacks the scope.
    NoScope(&'static str),
    /// The token is a project's, and only a person can do this.
    NobodysToken,
    /// No worker takes commands.
    Paused,
    /// A worker took the command and refused it.
    Refused { status: StatusCode, told: String },
    /// The path is known, the method is not.
    WrongMethod,
    /// More streams than the web bears at a time.
    TooManyStreams,
    /// More exports than the web bears at a time.
    TooManyExports,
    /// The database could not be read.
    Unreadable(ReadError),
}

impl From<ReadError> for Rejection {
    fn from(error: ReadError) -> Rejection {
        Rejection::Unreadable(error)
    }
}

impl Rejection {
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Rejection::SignedOut { .. } | Rejection::NoToken => StatusCode::UNAUTHORIZED,
            Rejection::NotFound => StatusCode::NOT_FOUND,
            Rejection::Merged { .. } => StatusCode::TEMPORARY_REDIRECT,
            Rejection::BadRequest(_) => StatusCode::BAD_REQUEST,
            Rejection::ForeignForm | Rejection::NotAllowed | Rejection::NoScope(_) => StatusCode::FORBIDDEN,
            Rejection::NobodysToken => StatusCode::FORBIDDEN,
            Rejection::Paused => StatusCode::SERVICE_UNAVAILABLE,
            Rejection::Refused { status, .. } => *status,
            Rejection::WrongMethod => StatusCode::METHOD_NOT_ALLOWED,
            Rejection::TooManyStreams | Rejection::TooManyExports | Rejection::Unreadable(ReadError::Database(_)) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Rejection::Unreadable(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The label of the metric and the last part of a problem's `type`.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Rejection::SignedOut { .. } => "signed_out",
            Rejection::NotFound => "not_found",
            Rejection::Merged { .. } => "merged",
            Rejection::BadRequest(_) => "bad_request",
            Rejection::ForeignForm => "foreign_form",
            Rejection::NotAllowed => "not_allowed",
            Rejection::NoToken => "no_token",
            Rejection::NoScope(_) => "no_scope",
            Rejection::NobodysToken => "nobodys_token",
            Rejection::Paused => "paused",
            Rejection::Refused { .. } => "refused",
            Rejection::WrongMethod => "wrong_method",
            Rejection::TooManyStreams => "streams",
            Rejection::TooManyExports => "exports",
            Rejection::Unreadable(ReadError::Database(_)) => "database",
            Rejection::Unreadable(_) => "damaged",
        }
    }

    /// A few words.
    pub(crate) fn title(&self) -> &'static str {
        match self {
            Rejection::SignedOut { .. } => "Not signed in",
            Rejection::NotFound => "Not found",
            Rejection::Merged { .. } => "Merged into another group",
            Rejection::BadRequest(_) => "Not understood",
            Rejection::ForeignForm => "This form is too old",
            Rejection::NotAllowed => "Not allowed",
            Rejection::NoToken => "No valid token",
            Rejection::NoScope(_) => "The token may not do this",
            Rejection::NobodysToken => "Not a person's token",
            Rejection::Paused => "Changes are paused",
            Rejection::Refused { .. } => "Not done",
            Rejection::WrongMethod => "Wrong method",
            Rejection::TooManyStreams => "Too many watch",
            Rejection::TooManyExports => "Too many exports",
            Rejection::Unreadable(ReadError::Database(_)) => "The database does not answer",
            Rejection::Unreadable(_) => "This cannot be shown",
        }
    }

    /// One or two sentences for whoever asked. Our troubles stay in our logs.
    pub(crate) fn told(&self) -> String {
        match self {
            Rejection::SignedOut { .. } => "Sign in to see this.".to_owned(),
            Rejection::NotFound => "There is nothing at this address that you may see.".to_owned(),
            Rejection::Merged { into, .. } => format!("This group was merged into group {into}, which has its notices."),
            Rejection::BadRequest(told) => told.clone(),
            Rejection::ForeignForm => {
                "It was made for another session, or before you signed in. Nothing was changed: go back, load the page again and repeat it."
                    .to_owned()
            }
            Rejection::NotAllowed => "You may look at this project, not change it.".to_owned(),
            Rejection::NoToken => "Send a valid token, as in `Authorization: Bearer croak_…`.".to_owned(),
            Rejection::NoScope(scope) => format!("This needs a token with the scope `{scope}`."),
            Rejection::NobodysToken => "What is changed has an author: send a token of a person with the scope `write`.".to_owned(),
            Rejection::Paused => "No worker answers. Whether it was done is found out by sending it again with the same `Idempotency-Key`.".to_owned(),
            Rejection::Refused { told, .. } => told.clone(),
            Rejection::WrongMethod => "This address answers to another method.".to_owned(),
            Rejection::TooManyExports => "Others are exporting just now: try again when they are done.".to_owned(),
            Rejection::TooManyStreams => "Too many pages watch at once; this one asks from time to time instead.".to_owned(),
            Rejection::Unreadable(ReadError::Database(_)) => {
                "Nothing is lost: gateways keep taking notices in, and they appear here when the database is back.".to_owned()
            }
            Rejection::Unreadable(_) => "What is stored here cannot be read. The operator's log says more.".to_owned(),
        }
    }

    /// Where the pages, or the API, have it instead.
    fn elsewhere(&self, base: &str) -> Option<String> {
        let Rejection::Merged { project_id, into, rest } = self else { return None };
        Some(format!("{base}/projects/{project_id}/groups/{into}{rest}"))
    }

    fn count(&self) {
        metrics::counter!("web_rejections_total", "reason" => self.reason()).increment(1);
        if let Rejection::Unreadable(error) = self {
            tracing::warn!(causes = service::causes(error), "cannot read what was asked for");
        }
    }

    /// The answer for scripts: a problem document.
    pub(crate) fn problem(&self) -> Response {
        self.count();
        let status = self.status();
        let problem = json!({
            "type": format!("urn:croak:problem:{}", self.reason()),
            "title": self.title(),
            "status": status.as_u16(),
            "detail": self.told(),
        });
        let mut response = (status, Json(problem)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(elsewhere) = self.elsewhere("/api/v1").and_then(|path| HeaderValue::try_from(path).ok()) {
            headers.insert(header::LOCATION, elsewhere);
        }
        match status {
            StatusCode::UNAUTHORIZED => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"croak\""));
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
            }
            _ => {}
        }
        response
    }
}

/// The answer for people: a page, or the way to the sign-in form.
impl IntoResponse for Rejection {
    fn into_response(self) -> Response {
        self.count();
        if let Rejection::SignedOut { wanted } = &self {
            return Redirect::to(&pages::sign_in_address(wanted.as_deref())).into_response();
        }
        if let Some(elsewhere) = self.elsewhere("") {
            return Redirect::temporary(&elsewhere).into_response();
        }
        let mut response = (self.status(), pages::error_page(&self)).into_response();
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}
