//! Signing in and out.
//!
//! The answer, and the time it takes, are the same whether an address exists or not.

use askama::Template;
use axum::Extension;
use axum::extract::{Form, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use service::http::ClientAddress;

use super::visit::{self, Visit};
use super::{is_our_path, plain_page, rendered};
use crate::app::App;
use crate::attempts::Attempt as Trial;
use crate::config::Registration;
use crate::cookies::{SEEN, SESSION, TOLD, VISIT};
use crate::rejection::Rejection;
use crate::visitor::{Session, Theme, Visitor};

/// Longer addresses are nobody's.
const EMAIL_CHARS_MAX: usize = 320;

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignIn<'a> {
    form_token: &'a str,
    next: &'a str,
    email: &'a str,
    trouble: Option<&'a str>,
    may_sign_up: bool,
}

#[derive(Deserialize)]
pub(crate) struct Wanted {
    #[serde(default)]
    next: String,
}

#[derive(Deserialize)]
pub(crate) struct Attempt {
    #[serde(default)]
    email: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    next: String,
    #[serde(default)]
    form_token: String,
}

pub(crate) async fn form(State(app): State<App>, headers: HeaderMap, Query(wanted): Query<Wanted>) -> Response {
    show(&app, &headers, StatusCode::OK, &wanted.next, "", None)
}

pub(crate) async fn sign_in(
    State(app): State<App>,
    Extension(ClientAddress(address)): Extension<ClientAddress>,
    headers: HeaderMap,
    Form(attempt): Form<Attempt>,
) -> Result<Response, Rejection> {
    let again = |status, told| Ok(show(&app, &headers, status, &attempt.next, &attempt.email, Some(told)));
    if !visit::owns(&app.keys, &headers, &attempt.form_token) {
        return again(StatusCode::FORBIDDEN, "This form was too old. Please try again.");
    }
    let email = attempt.email.trim().to_lowercase();
    if !app.attempts.take(Trial::Password, &email, address).await {
        metrics::counter!("web_sign_ins_total", "outcome" => "limited").increment(1);
        return again(StatusCode::TOO_MANY_REQUESTS, "Too many attempts. Please wait ten minutes and try again.");
    }
    let account = match email.chars().count() {
        1..=EMAIL_CHARS_MAX => app.reader.account_by_email(&email).await?,
        _ => None,
    };
    let hash = account.as_ref().and_then(|account| account.password_hash.clone());
    let Ok(is_right) = app.passwords.is_right(attempt.password.clone(), hash).await else {
        metrics::counter!("web_sign_ins_total", "outcome" => "busy").increment(1);
        return again(StatusCode::SERVICE_UNAVAILABLE, "Many people are signing in at this moment. Please try again.");
    };
    let Some(account) = account.filter(|_| is_right) else {
        metrics::counter!("web_sign_ins_total", "outcome" => "wrong").increment(1);
        return again(StatusCode::UNPROCESSABLE_ENTITY, "Address and password do not belong together.");
    };
    metrics::counter!("web_sign_ins_total", "outcome" => "right").increment(1);
    app.attempts.forgive(Trial::Password, &email, address).await;
    let next = if is_our_path(&attempt.next) { attempt.next.as_str() } else { "/projects" };
    let jar = app.keys.jar(&headers).add(Session::begin(&app.keys, &account));
    Ok((jar, Redirect::to(next)).into_response())
}

#[derive(Deserialize)]
pub(crate) struct Leaving {
    #[serde(default)]
    form_token: String,
}

pub(crate) async fn sign_out(
    State(app): State<App>,
    visitor: Visitor,
    headers: HeaderMap,
    Form(leaving): Form<Leaving>,
) -> Result<Response, Rejection> {
    if !visitor.owns(&app.keys, &leaving.form_token) {
        return Err(Rejection::ForeignForm);
    }
    let mut jar = app.keys.jar(&headers);
    for name in [SESSION, SEEN, TOLD, VISIT] {
        jar = jar.remove(axum_extra::extract::cookie::Cookie::build(name).path("/").build());
    }
    Ok((jar, Redirect::to("/sign-in")).into_response())
}

fn show(
    app: &App,
    headers: &HeaderMap,
    status: StatusCode,
    next: &str,
    email: &str,
    trouble: Option<&str>,
) -> Response {
    let visit = Visit::of(&app.keys, headers);
    let form_token = visit.form_token(&app.keys);
    let email = if email.len() <= EMAIL_CHARS_MAX { email } else { "" };
    let may_sign_up = app.registration != Registration::Closed;
    let body = rendered(&SignIn { form_token: &form_token, next, email, trouble, may_sign_up });
    (status, visit.cookies(&app.keys), plain_page("Sign in", Theme::of(&app.keys, headers), "/sign-in", &body))
        .into_response()
}
