//! Where the links in mails lead: choosing a password, or confirming an address.
//!
//! To look at the page uses up nothing, because programs that read mail look, too.

use askama::Template;
use axum::extract::{Form, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use service::proto::command::command::Action;
use service::proto::command::command_result::Status;
use service::proto::command::{ConfirmEmail, SetPassword};
use store::reader::{AccountLink, LinkPurpose};
use uuid::Uuid;

use super::order::order_by_nobody;
use super::visit::{self, Visit};
use super::{plain_page, rendered, sign_in};
use crate::app::App;
use crate::passwords::{NotTaken, PASSWORD_CHARS_MIN};
use crate::rejection::Rejection;
use crate::visitor::{Seen, Theme, Told};

#[derive(Template)]
#[template(path = "set_password.html")]
struct ChoosePassword<'a> {
    is_new: bool,
    email: &'a str,
    token: &'a str,
    form_token: &'a str,
    command_id: Uuid,
    chars_min: usize,
    trouble: Option<&'a str>,
}

#[derive(Template)]
#[template(path = "confirm_email.html")]
struct ConfirmAddress<'a> {
    email: &'a str,
    token: &'a str,
    form_token: &'a str,
    command_id: Uuid,
    trouble: Option<&'a str>,
}

#[derive(Template)]
#[template(path = "link_over.html")]
struct LinkOver;

#[derive(Deserialize)]
pub(crate) struct Chosen {
    #[serde(default)]
    password: String,
    #[serde(default)]
    form_token: String,
    #[serde(default)]
    command_id: String,
}

pub(crate) async fn page(
    State(app): State<App>,
    headers: HeaderMap,
    Path(token): Path<String>,
) -> Result<Response, Rejection> {
    match app.reader.account_link(&store::token::sha256(&token)).await? {
        Some(link) => Ok(show(&app, &headers, StatusCode::OK, &link, &token, None)),
        None => Ok(over(&app, &headers)),
    }
}

pub(crate) async fn choose(
    State(app): State<App>,
    headers: HeaderMap,
    Path(token): Path<String>,
    Form(chosen): Form<Chosen>,
) -> Result<Response, Rejection> {
    let sha256 = store::token::sha256(&token);
    // Looked at first: nobody without a link makes us hash.
    let Some(link) = app.reader.account_link(&sha256).await? else { return Ok(over(&app, &headers)) };
    let again = |status, told: &str| Ok(show(&app, &headers, status, &link, &token, Some(told)));
    let is_address = link.purpose == LinkPurpose::Email;
    if !visit::owns(&app.keys, &headers, &chosen.form_token) {
        return again(StatusCode::FORBIDDEN, "This form was too old. Please try again.");
    }
    if is_address {
        let action = Action::ConfirmEmail(ConfirmEmail { token_sha256: sha256.to_vec() });
        let ordered = order_by_nobody(&app, &chosen.command_id, action).await?;
        if ordered.is_done() {
            return Ok(ordered.lead_to(&app, &headers, "/account", "Your address is changed."));
        }
        let told = ordered.told();
        return again(StatusCode::UNPROCESSABLE_ENTITY, &told);
    }
    let password_hash = match app.passwords.hash(chosen.password).await {
        Ok(hash) => hash,
        Err(not_taken) => {
            let is_busy = not_taken == NotTaken::Busy;
            let status = if is_busy { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::UNPROCESSABLE_ENTITY };
            return again(status, &not_taken.told());
        }
    };
    let action = Action::SetPassword(SetPassword { token_sha256: sha256.to_vec(), password_hash });
    let ordered = order_by_nobody(&app, &chosen.command_id, action).await?;
    let unanswered = ordered.told();
    let Some(result) = ordered.result else { return again(StatusCode::SERVICE_UNAVAILABLE, &unanswered) };
    if result.status() != Status::Done {
        return again(StatusCode::UNPROCESSABLE_ENTITY, &result.told);
    }
    app.reader.wait_for(&result.lsn, Seen::WAIT_MAX).await?;
    let Some(account) = app.reader.account(result.made_id).await? else {
        // A replica that is far behind: the password is set.
        return Ok(Redirect::to("/sign-in").into_response());
    };
    let text = match link.purpose {
        LinkPurpose::SignUp => "Welcome. You are signed in.",
        LinkPurpose::Reset | LinkPurpose::Email => "Your password is changed, and you are signed in.",
    };
    let told = app.keys.told(Told { is_good: true, text: text.to_owned() }.write());
    let begun = sign_in::begin(&app, &headers, &account, Some(&result.lsn), "/projects").await?;
    Ok((app.keys.jar(&headers).add(told), begun).into_response())
}

fn show(
    app: &App,
    headers: &HeaderMap,
    status: StatusCode,
    link: &AccountLink,
    token: &str,
    trouble: Option<&str>,
) -> Response {
    let visit = Visit::of(&app.keys, headers);
    let form_token = visit.form_token(&app.keys);
    if link.purpose == LinkPurpose::Email {
        let (email, command_id) = (link.email.as_str(), Uuid::new_v4());
        let body = rendered(&ConfirmAddress { email, token, form_token: &form_token, command_id, trouble });
        let page = plain_page("Your new address", Theme::of(&app.keys, headers), "/account", &body);
        return (status, visit.cookies(&app.keys), page).into_response();
    }
    let body = rendered(&ChoosePassword {
        is_new: link.purpose == LinkPurpose::SignUp,
        email: &link.email,
        token,
        form_token: &form_token,
        command_id: Uuid::new_v4(),
        chars_min: PASSWORD_CHARS_MIN,
        trouble,
    });
    let page = plain_page("Choose a password", Theme::of(&app.keys, headers), "/sign-in", &body);
    (status, visit.cookies(&app.keys), page).into_response()
}

/// What is shown to who follows a link that leads nowhere any more, or never did.
pub(super) fn over(app: &App, headers: &HeaderMap) -> Response {
    let page = plain_page("This link is over", Theme::of(&app.keys, headers), "/sign-in", &rendered(&LinkOver));
    (StatusCode::GONE, page).into_response()
}
