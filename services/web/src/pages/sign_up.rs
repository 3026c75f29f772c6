//! Asking for an account, or for a new password.
//!
//! Status, text and time of the answer are the same whether an address has an account: what follows comes by mail. Nothing
//! is hashed here, so that many may ask at once.

use std::time::Duration;

use askama::Template;
use axum::Extension;
use axum::extract::{Form, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use service::http::ClientAddress;
use service::proto::command::command::Action;
use service::proto::command::command_result::Status;
use service::proto::command::{self as asked, AskLink, ask_link};
use uuid::Uuid;

use super::order::order_by_nobody;
use super::visit::{self, Visit};
use super::{plain_page, rendered};
use crate::app::App;
use crate::attempts::Attempt;
use crate::config::Registration;
use crate::rejection::Rejection;
use crate::visitor::Theme;

/// An answer comes so long after its question, however soon it is known: how long the worker took could tell whether an
/// address has an account.
pub(super) const ANSWERED_AFTER: Duration = Duration::from_millis(200);

/// What somebody asks a mail for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Account,
    Password,
}

impl Wanted {
    fn address(self) -> &'static str {
        match self {
            Wanted::Account => "/sign-up",
            Wanted::Password => "/forgotten",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Wanted::Account => "Sign up",
            Wanted::Password => "Forgotten your password?",
        }
    }
}

#[derive(Template)]
#[template(path = "sign_up.html")]
struct SignUp<'a> {
    title: &'static str,
    action: &'static str,
    is_new: bool,
    is_closed: bool,
    is_invited: bool,
    form_token: &'a str,
    command_id: Uuid,
    email: &'a str,
    trouble: Option<&'a str>,
}

#[derive(Template)]
#[template(path = "mail_sent.html")]
struct MailSent<'a> {
    is_new: bool,
    is_invited: bool,
    email: &'a str,
    again: &'static str,
}

#[derive(Deserialize)]
pub(crate) struct Asking {
    #[serde(default)]
    email: String,
    #[serde(default)]
    form_token: String,
    #[serde(default)]
    command_id: String,
}

pub(crate) async fn sign_up_form(State(app): State<App>, headers: HeaderMap) -> Response {
    show(&app, &headers, Wanted::Account, StatusCode::OK, "", None)
}

pub(crate) async fn forgotten_form(State(app): State<App>, headers: HeaderMap) -> Response {
    show(&app, &headers, Wanted::Password, StatusCode::OK, "", None)
}

pub(crate) async fn sign_up(
    State(app): State<App>,
    Extension(address): Extension<ClientAddress>,
    headers: HeaderMap,
    Form(form): Form<Asking>,
) -> Result<Response, Rejection> {
    ask(&app, address, &headers, Wanted::Account, &form).await
}

pub(crate) async fn forgotten(
    State(app): State<App>,
    Extension(address): Extension<ClientAddress>,
    headers: HeaderMap,
    Form(form): Form<Asking>,
) -> Result<Response, Rejection> {
    ask(&app, address, &headers, Wanted::Password, &form).await
}

/// Who may make an account here, as workers are told.
pub(super) fn registration(app: &App) -> asked::Registration {
    match app.registration {
        Registration::Open => asked::Registration::Open,
        Registration::Invited => asked::Registration::Invited,
        Registration::Closed => asked::Registration::Closed,
    }
}

async fn ask(
    app: &App,
    ClientAddress(address): ClientAddress,
    headers: &HeaderMap,
    wanted: Wanted,
    form: &Asking,
) -> Result<Response, Rejection> {
    let due = tokio::time::Instant::now() + ANSWERED_AFTER;
    let again = |status, told: &str| Ok(show(app, headers, wanted, status, &form.email, Some(told)));
    if !visit::owns(&app.keys, headers, &form.form_token) {
        return again(StatusCode::FORBIDDEN, "This form was too old. Please try again.");
    }
    let email = form.email.trim().to_lowercase();
    if !app.attempts.take(Attempt::Mail, &email, address).await {
        return again(StatusCode::TOO_MANY_REQUESTS, "Too many attempts. Please wait ten minutes and try again.");
    }
    let purpose = match wanted {
        Wanted::Account => ask_link::Purpose::SignUp,
        Wanted::Password => ask_link::Purpose::Reset,
    };
    let asking = AskLink { email: email.clone(), purpose: purpose.into(), registration: registration(app).into() };
    let ordered = order_by_nobody(app, &form.command_id, Action::AskLink(asking)).await?;
    tokio::time::sleep_until(due).await;
    // Where the database stood after it is not told: how far it moved would say what was written.
    let unanswered = ordered.told();
    match ordered.result {
        None => again(StatusCode::SERVICE_UNAVAILABLE, &unanswered),
        Some(result) if result.status() == Status::Done => {
            let is_new = wanted == Wanted::Account;
            let is_invited = app.registration == Registration::Invited;
            let body = rendered(&MailSent { is_new, is_invited, email: &email, again: wanted.address() });
            Ok(plain_page("Look into your mail", Theme::of(&app.keys, headers), wanted.address(), &body))
        }
        Some(result) if result.status() == Status::Denied => again(StatusCode::FORBIDDEN, &result.told),
        Some(result) => again(StatusCode::UNPROCESSABLE_ENTITY, &result.told),
    }
}

fn show(
    app: &App,
    headers: &HeaderMap,
    wanted: Wanted,
    status: StatusCode,
    email: &str,
    trouble: Option<&str>,
) -> Response {
    let visit = Visit::of(&app.keys, headers);
    let body = rendered(&SignUp {
        title: wanted.title(),
        action: wanted.address(),
        is_new: wanted == Wanted::Account,
        is_closed: wanted == Wanted::Account && app.registration == Registration::Closed,
        is_invited: app.registration == Registration::Invited,
        form_token: &visit.form_token(&app.keys),
        command_id: Uuid::new_v4(),
        email,
        trouble,
    });
    let page = plain_page(wanted.title(), Theme::of(&app.keys, headers), wanted.address(), &body);
    (status, visit.cookies(&app.keys), page).into_response()
}
