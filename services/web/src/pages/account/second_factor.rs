//! Turning the second factor on and off.

use askama::Template;
use axum::Extension;
use axum::extract::{Form, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use service::http::ClientAddress;
use service::proto::command::command::Action;
use service::proto::command::{DisableTotp, EnableTotp};

use super::{back, confirmed, show};
use crate::app::App;
use crate::cookies::{hex, now_ms, unhex};
use crate::pages::order::order;
use crate::pages::rendered;
use crate::pages::sent::{Sent, hidden};
use crate::rejection::Rejection;
use crate::totp;
use crate::visitor::{Seen, Visitor};

const PATH: &str = "/account/second-factor";

#[derive(Template)]
#[template(path = "account/second_factor.html")]
struct SecondFactor<'a> {
    hidden: String,
    codes_left: Option<i64>,
    picture: String,
    secret: String,
    sealed: &'a str,
}

#[derive(Template)]
#[template(path = "account/recovery_codes.html")]
struct RecoveryCodes<'a> {
    codes: &'a [String],
}

pub(crate) async fn page(State(app): State<App>, visitor: Visitor) -> Result<Response, Rejection> {
    let codes_left = app.reader.second_factor(visitor.account.id).await?.map(|factor| factor.codes_left);
    let secret = totp::new_secret();
    let body = rendered(&SecondFactor {
        hidden: hidden(&visitor.form_token),
        codes_left,
        picture: totp::qr_code(&totp::address(&secret, &visitor.account.email)),
        secret: totp::base_32(&secret),
        sealed: &hex(&app.sealer.seal(visitor.account.id, &secret)),
    });
    Ok(show(&app, &visitor, "Second factor", PATH, body))
}

pub(crate) async fn turn_on(
    State(app): State<App>,
    visitor: Visitor,
    Extension(ClientAddress(address)): Extension<ClientAddress>,
    headers: HeaderMap,
    Form(sent): Form<Sent>,
) -> Result<Response, Rejection> {
    let id = visitor.account.id;
    // Who only found a browser open must not lock its owner out.
    if let Err(told) = confirmed(&app, &visitor, address, sent.text("password")).await? {
        return Ok(back(&app, &headers, PATH, told));
    }
    // The form brings the secret back as it was sealed for this account: nothing is kept of one that is not used.
    let sealed_secret = unhex(sent.text("sealed")).unwrap_or_default();
    let Some(secret) = app.sealer.open(id, &sealed_secret) else { return Err(Rejection::ForeignForm) };
    let Some(step) = totp::step_of(&secret, sent.text("code"), now_ms()) else {
        let told = "This code is not the one of this minute. Scan the new picture, and try again.";
        return Ok(back(&app, &headers, PATH, told));
    };
    // Made of the form, so that sending it twice shows the codes that hold.
    let asked = sent.asked(0);
    let codes = totp::recovery_codes(|n| app.keys.secret_of(&format!("recovery {id} {} {n}", asked.command_id)));
    let recovery_sha256 = codes.iter().map(|code| totp::recovery_sha256(code)).collect();
    let action = Action::EnableTotp(EnableTotp { sealed_secret, step, recovery_sha256 });
    let ordered = order(&app, &visitor, &asked, action).await?;
    let Some(lsn) = ordered.result.as_ref().filter(|_| ordered.is_done()).map(|result| result.lsn.clone()) else {
        return Ok(ordered.lead_to(&app, &headers, PATH, ""));
    };
    app.reader.wait_for(&lsn, Seen::WAIT_MAX).await?;
    let mut jar = app.keys.jar(&headers).add(app.keys.seen(Seen::write(&lsn)));
    if let Some(account) = app.reader.account(id).await? {
        jar = jar.add(visitor.session_again(&app.keys, &account));
    }
    let body = rendered(&RecoveryCodes { codes: &codes });
    Ok((jar, show(&app, &visitor, "Recovery codes", PATH, body)).into_response())
}

pub(crate) async fn turn_off(
    State(app): State<App>,
    visitor: Visitor,
    Extension(ClientAddress(address)): Extension<ClientAddress>,
    headers: HeaderMap,
    Form(sent): Form<Sent>,
) -> Result<Response, Rejection> {
    if let Err(told) = confirmed(&app, &visitor, address, sent.text("password")).await? {
        return Ok(back(&app, &headers, PATH, told));
    }
    let ordered = order(&app, &visitor, &sent.asked(0), Action::DisableTotp(DisableTotp {})).await?;
    Ok(ordered.lead_to(&app, &headers, "/account", "The second factor is off."))
}
