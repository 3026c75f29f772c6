//! What somebody's own account is, and what they do about it.

pub(crate) mod second_factor;
pub(crate) mod tokens;

use std::net::IpAddr;

use askama::Template;
use axum::Extension;
use axum::extract::{Form, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Redirect, Response};
use service::http::ClientAddress;
use service::proto::command::command::Action;
use service::proto::command::{AskEmail, ChangeName, ChangePassword, DeleteAccount, SignOutEverywhere};
use store::reader::OwnOrganization;

use super::order::{Ordered, order};
use super::sent::{Sent, hidden};
use super::sign_up::ANSWERED_AFTER;
use super::{Page, Piece, rendered};
use crate::app::App;
use crate::attempts::Attempt;
use crate::passwords::PASSWORD_CHARS_MIN;
use crate::rejection::Rejection;
use crate::visitor::{Seen, Session, Told, Visitor};

#[derive(Template)]
#[template(path = "account/account.html")]
struct Account<'a> {
    visitor: &'a Visitor,
    organizations: Vec<OwnOrganization>,
    /// Recovery codes that are left, where the second factor is on.
    codes_left: Option<i64>,
    chars_min: usize,
}

impl Account<'_> {
    fn hidden(&self) -> String {
        hidden(&self.visitor.form_token)
    }
}

pub(crate) async fn page(State(app): State<App>, visitor: Visitor) -> Result<Response, Rejection> {
    let id = visitor.account.id;
    let body = rendered(&Account {
        organizations: app.reader.organizations_of(id).await?,
        codes_left: app.reader.second_factor(id).await?.map(|factor| factor.codes_left),
        chars_min: PASSWORD_CHARS_MIN,
        visitor: &visitor,
    });
    Ok(show(&app, &visitor, "Your account", "/account", body))
}

/// A page about the visitor's account.
fn show(app: &App, visitor: &Visitor, title: &str, path: &str, body: String) -> Response {
    let piece = Piece { title: title.to_owned(), body, ..Piece::default() };
    Page { visitor, project: None, path, piece: &piece, actions: "" }.answer(&app.keys)
}

pub(crate) async fn name(
    State(app): State<App>,
    visitor: Visitor,
    headers: HeaderMap,
    Form(sent): Form<Sent>,
) -> Result<Response, Rejection> {
    let action = Action::ChangeName(ChangeName { name: sent.text("name").to_owned() });
    let ordered = order(&app, &visitor, &sent.asked(0), action).await?;
    Ok(ordered.lead_to(&app, &headers, "/account", "Your name is changed."))
}

pub(crate) async fn password(
    State(app): State<App>,
    visitor: Visitor,
    Extension(ClientAddress(address)): Extension<ClientAddress>,
    headers: HeaderMap,
    Form(sent): Form<Sent>,
) -> Result<Response, Rejection> {
    if let Err(told) = confirmed(&app, &visitor, address, sent.text("password")).await? {
        return Ok(back(&app, &headers, "/account", told));
    }
    let password_hash = match app.passwords.hash(sent.text("new_password").to_owned()).await {
        Ok(hash) => hash,
        Err(not_taken) => return Ok(back(&app, &headers, "/account", &not_taken.told())),
    };
    let action =
        Action::ChangePassword(ChangePassword { password_hash, revokes_tokens: sent.is_ticked("revokes_tokens") });
    let ordered = order(&app, &visitor, &sent.asked(0), action).await?;
    stay(&app, &visitor, &headers, ordered, "Your password is changed, and you are signed out everywhere else.").await
}

pub(crate) async fn email(
    State(app): State<App>,
    visitor: Visitor,
    Extension(ClientAddress(address)): Extension<ClientAddress>,
    headers: HeaderMap,
    Form(sent): Form<Sent>,
) -> Result<Response, Rejection> {
    if let Err(told) = confirmed(&app, &visitor, address, sent.text("password")).await? {
        return Ok(back(&app, &headers, "/account", told));
    }
    let due = tokio::time::Instant::now() + ANSWERED_AFTER;
    let action = Action::AskEmail(AskEmail { email: sent.text("email").to_owned() });
    let mut ordered = order(&app, &visitor, &sent.asked(0), action).await?;
    tokio::time::sleep_until(due).await;
    // Neither the time nor how far the log moved tells whether somebody else has this address.
    if let Some(result) = &mut ordered.result {
        result.lsn.clear();
    }
    let done = "A mail with a link is on its way to the new address. Until it is followed, the old one holds.";
    Ok(ordered.lead_to(&app, &headers, "/account", done))
}

pub(crate) async fn sign_out_everywhere(
    State(app): State<App>,
    visitor: Visitor,
    headers: HeaderMap,
    Form(sent): Form<Sent>,
) -> Result<Response, Rejection> {
    let action = Action::SignOutEverywhere(SignOutEverywhere { revokes_tokens: sent.is_ticked("revokes_tokens") });
    let ordered = order(&app, &visitor, &sent.asked(0), action).await?;
    stay(&app, &visitor, &headers, ordered, "You are signed out everywhere else.").await
}

pub(crate) async fn delete(
    State(app): State<App>,
    visitor: Visitor,
    Extension(ClientAddress(address)): Extension<ClientAddress>,
    headers: HeaderMap,
    Form(sent): Form<Sent>,
) -> Result<Response, Rejection> {
    if let Err(told) = confirmed(&app, &visitor, address, sent.text("password")).await? {
        return Ok(back(&app, &headers, "/account", told));
    }
    let ordered = order(&app, &visitor, &sent.asked(0), Action::DeleteAccount(DeleteAccount {})).await?;
    let path = if ordered.is_done() { "/sign-in" } else { "/account" };
    Ok(ordered.lead_to(&app, &headers, path, "Your account is deleted."))
}

/// Whether who sits there knows the account's password, or what they are told; counted as when signing in.
async fn confirmed(
    app: &App,
    visitor: &Visitor,
    address: IpAddr,
    password: &str,
) -> Result<Result<(), &'static str>, Rejection> {
    let counted = visitor.counted();
    if !app.attempts.take(Attempt::Password, &counted, address).await {
        return Ok(Err("Too many attempts. Please wait ten minutes and try again."));
    }
    let hash = visitor.account.password_hash.clone();
    match app.passwords.is_right(password.to_owned(), hash).await {
        Ok(true) => {
            app.attempts.forgive(Attempt::Password, &counted, address).await;
            Ok(Ok(()))
        }
        Ok(false) => Ok(Err("This is not your password. Nothing was changed.")),
        Err(_) => Ok(Err("Many people are signing in at this moment. Please try again.")),
    }
}

/// Leads back, and tells what was wrong.
fn back(app: &App, headers: &HeaderMap, path: &str, told: &str) -> Response {
    let told = Told { is_good: false, text: told.to_owned() };
    (app.keys.jar(headers).add(app.keys.told(told.write())), Redirect::to(path)).into_response()
}

/// Leads back to the account with a new session: the change has ended the one before.
async fn stay(
    app: &App,
    visitor: &Visitor,
    headers: &HeaderMap,
    ordered: Ordered,
    done: &str,
) -> Result<Response, Rejection> {
    if !ordered.is_done() {
        return Ok(ordered.lead_to(app, headers, "/account", done));
    }
    let lsn = ordered.result.map(|result| result.lsn).unwrap_or_default();
    app.reader.wait_for(&lsn, Seen::WAIT_MAX).await?;
    let mut jar = app.keys.jar(headers).add(app.keys.seen(Seen::write(&lsn)));
    if let Some(account) = app.reader.account(visitor.account.id).await? {
        jar = jar.add(Session::begin(&app.keys, &account));
    }
    let told = Told { is_good: true, text: done.to_owned() };
    Ok((jar.add(app.keys.told(told.write())), Redirect::to("/account")).into_response())
}
