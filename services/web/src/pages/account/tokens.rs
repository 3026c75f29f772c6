//! Tokens for scripts: somebody's own, or those of a project. One is shown once, on the page that answers its making.

use std::net::IpAddr;

use askama::Template;
use axum::Extension;
use axum::extract::{Form, Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use service::http::ClientAddress;
use service::proto::command::command::Action;
use service::proto::command::{CreateToken, RevokeToken};
use store::reader::{Opened, TokenLine, Viewer};
use time::OffsetDateTime;

use super::confirmed;
use crate::app::App;
use crate::pages::order::order;
use crate::pages::rendered;
use crate::pages::sent::{Sent, hidden};
use crate::pages::settings::{Section, SectionPage};
use crate::rejection::Rejection;
use crate::view::times;
use crate::visitor::Visitor;

/// Days that a token may be good for, as the form offers them; 0: until it is revoked.
const DAYS: [(i32, &str); 4] = [(30, "30 days"), (90, "90 days"), (365, "a year"), (0, "until it is revoked")];

#[derive(Template)]
#[template(path = "account/tokens.html")]
struct Tokens<'a> {
    is_project: bool,
    may_manage: bool,
    action: &'a str,
    form_token: &'a str,
    rows: Vec<Row>,
    scopes: &'static [&'static str],
    days: [(i32, &'static str); 4],
    /// The token that was just made.
    made: Option<&'a str>,
    trouble: Option<&'a str>,
}

struct Row {
    id: i64,
    name: String,
    scopes: String,
    created: String,
    expires: Option<String>,
}

impl Tokens<'_> {
    fn hidden(&self) -> String {
        hidden(self.form_token)
    }
}

impl Row {
    fn of(line: TokenLine) -> Row {
        Row {
            id: line.id,
            name: line.name,
            scopes: line.scopes.join(", "),
            created: times::ago(line.created_at, OffsetDateTime::now_utc()),
            expires: line.expires_at.map(times::exact),
        }
    }
}

/// Whose tokens a page is about.
enum Owner {
    Visitor,
    Project(std::sync::Arc<Opened>),
}

impl Owner {
    async fn of(app: &App, visitor: &Visitor, project_id: Option<&str>) -> Result<Owner, Rejection> {
        let Some(project_id) = project_id else { return Ok(Owner::Visitor) };
        let project_id: i64 = project_id.parse().map_err(|_| Rejection::NotFound)?;
        Ok(Owner::Project(app.open(visitor.viewer(), project_id).await?))
    }

    fn project_id(&self) -> i64 {
        match self {
            Owner::Visitor => 0,
            Owner::Project(project) => project.id(),
        }
    }

    fn path(&self) -> String {
        match self {
            Owner::Visitor => "/account/tokens".to_owned(),
            Owner::Project(project) => Section::Tokens.address(project.id()),
        }
    }

    fn may_manage(&self) -> bool {
        match self {
            Owner::Visitor => true,
            Owner::Project(project) => project.may_manage(),
        }
    }
}

pub(crate) async fn page(State(app): State<App>, visitor: Visitor) -> Result<Response, Rejection> {
    show(&app, &visitor, &Owner::Visitor, None, None).await
}

pub(crate) async fn of_project(
    State(app): State<App>,
    visitor: Visitor,
    Path(project_id): Path<String>,
) -> Result<Response, Rejection> {
    let owner = Owner::of(&app, &visitor, Some(&project_id)).await?;
    show(&app, &visitor, &owner, None, None).await
}

pub(crate) async fn make(
    State(app): State<App>,
    visitor: Visitor,
    Extension(ClientAddress(address)): Extension<ClientAddress>,
    Form(sent): Form<Sent>,
) -> Result<Response, Rejection> {
    make_for(&app, &visitor, address, &Owner::Visitor, &sent).await
}

pub(crate) async fn make_of_project(
    State(app): State<App>,
    visitor: Visitor,
    Extension(ClientAddress(address)): Extension<ClientAddress>,
    Path(project_id): Path<String>,
    Form(sent): Form<Sent>,
) -> Result<Response, Rejection> {
    let owner = Owner::of(&app, &visitor, Some(&project_id)).await?;
    make_for(&app, &visitor, address, &owner, &sent).await
}

pub(crate) async fn revoke(
    State(app): State<App>,
    visitor: Visitor,
    headers: HeaderMap,
    Form(sent): Form<Sent>,
) -> Result<Response, Rejection> {
    revoke_of(&app, &visitor, &headers, &Owner::Visitor, &sent).await
}

pub(crate) async fn revoke_of_project(
    State(app): State<App>,
    visitor: Visitor,
    Path(project_id): Path<String>,
    headers: HeaderMap,
    Form(sent): Form<Sent>,
) -> Result<Response, Rejection> {
    let owner = Owner::of(&app, &visitor, Some(&project_id)).await?;
    revoke_of(&app, &visitor, &headers, &owner, &sent).await
}

async fn make_for(
    app: &App,
    visitor: &Visitor,
    address: IpAddr,
    owner: &Owner,
    sent: &Sent,
) -> Result<Response, Rejection> {
    // A token outlives the session in which it was made.
    if let Err(told) = confirmed(app, visitor, address, sent.text("password")).await? {
        return show(app, visitor, owner, None, Some(told)).await;
    }
    let asked = sent.asked(owner.project_id());
    // Made of the form, so that sending it twice makes one token, and shows it.
    let secret = app.keys.secret_of(&format!("token {} {}", visitor.account.id, asked.command_id));
    let token = format!("{}{secret}", store::token::PREFIX);
    let action = Action::CreateToken(CreateToken {
        name: sent.text("name").to_owned(),
        scopes: sent.all("scope"),
        days: sent.number("days"),
        token_sha256: store::token::sha256(&token).to_vec(),
    });
    let ordered = order(app, visitor, &asked, action).await?;
    if let Some(result) = ordered.result.as_ref().filter(|_| ordered.is_done()) {
        app.reader.wait_for(&result.lsn, crate::visitor::Seen::WAIT_MAX).await?;
        return show(app, visitor, owner, Some(&token), None).await;
    }
    let told = ordered.told();
    show(app, visitor, owner, None, Some(&told)).await
}

async fn revoke_of(
    app: &App,
    visitor: &Visitor,
    headers: &HeaderMap,
    owner: &Owner,
    sent: &Sent,
) -> Result<Response, Rejection> {
    let action = Action::RevokeToken(RevokeToken { token_id: sent.number("token_id") });
    let ordered = order(app, visitor, &sent.asked(owner.project_id()), action).await?;
    Ok(ordered.lead_to(app, headers, &owner.path(), "The token is revoked."))
}

async fn show(
    app: &App,
    visitor: &Visitor,
    owner: &Owner,
    made: Option<&str>,
    trouble: Option<&str>,
) -> Result<Response, Rejection> {
    let whose = match owner {
        Owner::Visitor => visitor.viewer(),
        Owner::Project(project) => Viewer::Project(project.id()),
    };
    let path = owner.path();
    let body = rendered(&Tokens {
        is_project: matches!(owner, Owner::Project(_)),
        may_manage: owner.may_manage(),
        action: &path,
        form_token: &visitor.form_token,
        rows: app.reader.tokens(whose).await?.into_iter().map(Row::of).collect(),
        scopes: store::token::SCOPES,
        days: DAYS,
        made,
        trouble,
    });
    Ok(match owner {
        Owner::Visitor => super::show(app, visitor, "Your tokens", &path, body),
        Owner::Project(project) => SectionPage { visitor, project, section: Section::Tokens, body: &body }.answer(app),
    })
}
