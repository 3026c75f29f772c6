//! Signing in and out.
//!
//! The answer, and the time it takes, are the same whether an address exists or not.

use askama::Template;
use axum::Extension;
use axum::extract::{Form, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum_extra::extract::cookie::Cookie;
use serde::Deserialize;
use service::http::ClientAddress;
use service::proto::command::command::Action;
use service::proto::command::{UseRecoveryCode, UseTotp};
use store::reader::Account;
use uuid::Uuid;

use super::order::order_by_nobody;
use super::visit::{self, Visit};
use super::{is_our_path, plain_page, rendered};
use crate::app::App;
use crate::attempts::Attempt as Trial;
use crate::config::Registration;
use crate::cookies::{self, HALF, SEEN, SESSION, TOLD, VISIT};
use crate::rejection::Rejection;
use crate::totp;
use crate::view::text::in_address;
use crate::visitor::{Half, Known, Seen, Session, Theme, Visitor};

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
    let counted = Known::counted(&app.keys, &headers, &email);
    if !app.attempts.take(Trial::Password, &counted, address).await {
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
    app.attempts.forgive(Trial::Password, &counted, address).await;
    let next = if is_our_path(&attempt.next) { attempt.next.as_str() } else { "/projects" };
    begin(&app, &headers, &account, None, next).await
}

/// Begins a session of somebody who is known: at once, or when they have shown their second factor. `lsn` is where the
/// database stood when the account was last changed.
pub(super) async fn begin(
    app: &App,
    headers: &HeaderMap,
    account: &Account,
    lsn: Option<&str>,
    next: &str,
) -> Result<Response, Rejection> {
    let mut jar = app.keys.jar(headers);
    if let Some(lsn) = lsn {
        jar = jar.add(app.keys.seen(Seen::write(lsn)));
    }
    if app.reader.second_factor(account.id).await?.is_some() {
        let code = format!("/sign-in/code?next={}", in_address(next));
        return Ok((jar.add(Half::begin(&app.keys, account)), Redirect::to(&code)).into_response());
    }
    let known = Known::write(&app.keys, &account.email);
    Ok((jar.add(known).add(Session::begin(&app.keys, account)), Redirect::to(next)).into_response())
}

#[derive(Template)]
#[template(path = "sign_in_code.html")]
struct SignInCode<'a> {
    form_token: &'a str,
    next: &'a str,
    trouble: Option<&'a str>,
}

#[derive(Deserialize)]
pub(crate) struct CodeAttempt {
    #[serde(default)]
    code: String,
    #[serde(default)]
    next: String,
    #[serde(default)]
    form_token: String,
}

pub(crate) async fn code_form(State(app): State<App>, headers: HeaderMap, Query(wanted): Query<Wanted>) -> Response {
    match Half::read(&app.keys, &headers) {
        Some(_) => show_code(&app, &headers, StatusCode::OK, &wanted.next, None),
        None => Redirect::to("/sign-in").into_response(),
    }
}

/// The second step. That a code is taken once is the worker's to decide, whichever web it is shown to.
pub(crate) async fn code(
    State(app): State<App>,
    Extension(ClientAddress(address)): Extension<ClientAddress>,
    headers: HeaderMap,
    Form(attempt): Form<CodeAttempt>,
) -> Result<Response, Rejection> {
    let Some(half) = Half::read(&app.keys, &headers) else { return Ok(Redirect::to("/sign-in").into_response()) };
    let again = |status, told: &str| Ok(show_code(&app, &headers, status, &attempt.next, Some(told)));
    if !visit::owns(&app.keys, &headers, &attempt.form_token) {
        return again(StatusCode::FORBIDDEN, "This form was too old. Please try again.");
    }
    let counted = half.user_id.to_string();
    if !app.attempts.take(Trial::Code, &counted, address).await {
        return again(StatusCode::TOO_MANY_REQUESTS, "Too many attempts. Please wait ten minutes and try again.");
    }
    let account = app.reader.account(half.user_id).await?.filter(|account| account.session_epoch == half.epoch);
    let factor = app.reader.second_factor(half.user_id).await?;
    let (Some(account), Some(factor)) = (account, factor) else {
        return Ok(Redirect::to("/sign-in").into_response());
    };
    let secret = app.sealer.open(account.id, &factor.sealed_secret);
    let step = secret.and_then(|secret| totp::step_of(&secret, &attempt.code, cookies::now_ms()));
    let action = match step {
        Some(step) => Action::UseTotp(UseTotp { user_id: account.id, step }),
        None => {
            let code_sha256 = totp::recovery_sha256(&attempt.code);
            Action::UseRecoveryCode(UseRecoveryCode { user_id: account.id, code_sha256 })
        }
    };
    // A command of its own each time: a repeat of one would be told that the code was taken.
    let ordered = order_by_nobody(&app, &Uuid::new_v4().to_string(), action).await?;
    if !ordered.is_done() {
        let told = ordered.told();
        return again(StatusCode::UNPROCESSABLE_ENTITY, &told);
    }
    app.attempts.forgive(Trial::Code, &counted, address).await;
    let next = if is_our_path(&attempt.next) { attempt.next.as_str() } else { "/projects" };
    let gone = Cookie::build(HALF).path("/").build();
    let known = Known::write(&app.keys, &account.email);
    let jar = app.keys.jar(&headers).remove(gone).add(known).add(Session::begin(&app.keys, &account));
    Ok((jar, Redirect::to(next)).into_response())
}

fn show_code(app: &App, headers: &HeaderMap, status: StatusCode, next: &str, trouble: Option<&str>) -> Response {
    let visit = Visit::of(&app.keys, headers);
    let body = rendered(&SignInCode { form_token: &visit.form_token(&app.keys), next, trouble });
    let page = plain_page("Sign in", Theme::of(&app.keys, headers), "/sign-in", &body);
    (status, visit.cookies(&app.keys), page).into_response()
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
    for name in [SESSION, HALF, SEEN, TOLD, VISIT] {
        jar = jar.remove(Cookie::build(name).path("/").build());
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
