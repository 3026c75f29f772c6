//! Where the link of an invitation leads: joining an organization, with the account that there is or a new one.

use askama::Template;
use axum::extract::{Form, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use service::proto::command::AcceptInvitation;
use service::proto::command::command::Action;
use store::reader::OwnInvitation;

use super::order::{order, order_by_nobody};
use super::sent::{Sent, hidden};
use super::visit::{self, Visit};
use super::{link, plain_page, rendered, sign_in, sign_up};
use crate::app::App;
use crate::config::Registration;
use crate::passwords::{NotTaken, PASSWORD_CHARS_MIN};
use crate::rejection::Rejection;
use crate::visitor::{Seen, Theme, Visitor};

#[derive(Template)]
#[template(path = "invitation.html")]
struct Joining<'a> {
    invitation: &'a OwnInvitation,
    token: &'a str,
    hidden: String,
    /// The address of who is signed in.
    signed_in: Option<&'a str>,
    is_closed: bool,
    chars_min: usize,
    trouble: Option<&'a str>,
}

pub(crate) async fn page(
    State(app): State<App>,
    visitor: Result<Visitor, Rejection>,
    headers: HeaderMap,
    Path(token): Path<String>,
) -> Result<Response, Rejection> {
    match app.reader.invitation(&store::token::sha256(&token)).await? {
        Some(invitation) => Ok(show(&app, visitor.ok().as_ref(), &headers, StatusCode::OK, &invitation, &token, None)),
        None => Ok(link::over(&app, &headers)),
    }
}

pub(crate) async fn join(
    State(app): State<App>,
    visitor: Result<Visitor, Rejection>,
    headers: HeaderMap,
    Path(token): Path<String>,
    Form(sent): Form<Sent>,
) -> Result<Response, Rejection> {
    let visitor = visitor.ok();
    let sha256 = store::token::sha256(&token);
    // Looked at first: nobody without an invitation makes us hash.
    let Some(invitation) = app.reader.invitation(&sha256).await? else { return Ok(link::over(&app, &headers)) };
    let again =
        |status, told: &str| Ok(show(&app, visitor.as_ref(), &headers, status, &invitation, &token, Some(told)));
    let accept = |password_hash| {
        let registration = sign_up::registration(&app).into();
        Action::AcceptInvitation(AcceptInvitation { token_sha256: sha256.to_vec(), password_hash, registration })
    };
    let ordered = match &visitor {
        Some(visitor) => order(&app, visitor, &sent.asked(0), accept(String::new())).await?,
        None => {
            if !visit::owns(&app.keys, &headers, sent.text("form_token")) {
                return again(StatusCode::FORBIDDEN, "This form was too old. Please try again.");
            }
            if invitation.has_account || app.registration == Registration::Closed {
                return again(StatusCode::UNPROCESSABLE_ENTITY, "Sign in first.");
            }
            match app.passwords.hash(sent.text("password").to_owned()).await {
                Ok(hash) => order_by_nobody(&app, sent.text("command_id"), accept(hash)).await?,
                Err(NotTaken::Busy) => return again(StatusCode::SERVICE_UNAVAILABLE, &NotTaken::Busy.told()),
                Err(other) => return again(StatusCode::UNPROCESSABLE_ENTITY, &other.told()),
            }
        }
    };
    if !ordered.is_done() {
        let told = ordered.told();
        return again(StatusCode::UNPROCESSABLE_ENTITY, &told);
    }
    if visitor.is_some() {
        return Ok(ordered.lead_to(&app, &headers, "/projects", "Welcome. You see its projects now."));
    }
    let (user_id, lsn) = (ordered.made_id(), ordered.result.map(|result| result.lsn).unwrap_or_default());
    app.reader.wait_for(&lsn, Seen::WAIT_MAX).await?;
    let Some(account) = app.reader.account(user_id).await? else {
        return Ok(Redirect::to("/sign-in").into_response());
    };
    sign_in::begin(&app, &headers, &account, Some(&lsn), "/projects").await
}

fn show(
    app: &App,
    visitor: Option<&Visitor>,
    headers: &HeaderMap,
    status: StatusCode,
    invitation: &OwnInvitation,
    token: &str,
    trouble: Option<&str>,
) -> Response {
    let visit = Visit::of(&app.keys, headers);
    let form_token = visitor.map_or_else(|| visit.form_token(&app.keys), |visitor| visitor.form_token.clone());
    let body = rendered(&Joining {
        invitation,
        token,
        hidden: hidden(&form_token),
        signed_in: visitor.map(|visitor| visitor.account.email.as_str()),
        is_closed: app.registration == Registration::Closed,
        chars_min: PASSWORD_CHARS_MIN,
        trouble,
    });
    let page = plain_page("Join", Theme::of(&app.keys, headers), "/projects", &body);
    (status, visit.cookies(&app.keys), page).into_response()
}
