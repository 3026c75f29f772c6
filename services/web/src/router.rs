//! Every address and who answers there.

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{get, post};

use crate::app::App;
use crate::pages::{
    account, act, bulk, complete, deploys, export, feed, group, groups, ingest, invitation, link, live, locate,
    new_project, operator, organization, projects, saved, settings, sign_in, sign_up, theme, unsubscribe,
};
use crate::rejection::Rejection;
use crate::{api, assets, headers};

/// Most bytes of a form. A comment of 10,000 characters has nine for each where it is written in Japanese.
const FORM_BYTES_MAX: usize = 128 * 1024;

pub(crate) fn routes(app: App) -> Router {
    Router::new()
        .route("/", get(projects::home))
        .route("/sign-in", get(sign_in::form).post(sign_in::sign_in))
        .route("/sign-in/code", get(sign_in::code_form).post(sign_in::code))
        .route("/sign-out", post(sign_in::sign_out))
        .route("/sign-up", get(sign_up::sign_up_form).post(sign_up::sign_up))
        .route("/forgotten", get(sign_up::forgotten_form).post(sign_up::forgotten))
        .route("/link/{token}", get(link::page).post(link::choose))
        .route("/invitation/{token}", get(invitation::page).post(invitation::join))
        .route("/account", get(account::page))
        .route("/account/name", post(account::name))
        .route("/account/email", post(account::email))
        .route("/account/password", post(account::password))
        .route("/account/sign-out-everywhere", post(account::sign_out_everywhere))
        .route("/account/delete", post(account::delete))
        .route("/account/second-factor", get(account::second_factor::page))
        .route("/account/second-factor/on", post(account::second_factor::turn_on))
        .route("/account/second-factor/off", post(account::second_factor::turn_off))
        .route("/account/tokens", get(account::tokens::page).post(account::tokens::make))
        .route("/account/tokens/revoke", post(account::tokens::revoke))
        .route("/organizations/{organization_id}", get(organization::page))
        .route("/organizations/{organization_id}/audit-log", get(organization::audit_log))
        .route("/organizations/{organization_id}/{action}", post(organization::act))
        .route("/operator", get(operator::page))
        .route("/operator/dead/{action}", post(operator::act))
        .route("/theme", post(theme::choose))
        .route("/projects", get(projects::page))
        .route("/projects/new", get(new_project::page).post(new_project::create))
        .route("/projects/{project_id}", get(groups::home))
        .route("/projects/{project_id}/groups", get(groups::page))
        .route("/groups", get(groups::all))
        .route("/groups/live", get(live::live_of_all))
        .route("/feeds/{token}", get(feed::feed))
        .route("/projects/{project_id}/export", get(export::groups))
        .route("/projects/{project_id}/searches", post(saved::save))
        .route("/projects/{project_id}/searches/{search_id}/forget", post(saved::forget))
        .route("/projects/{project_id}/feeds", post(saved::make_feed))
        .route("/projects/{project_id}/feeds/{feed_id}/revoke", post(saved::revoke_feed))
        .route("/projects/{project_id}/live", get(live::live))
        .route("/projects/{project_id}/complete", get(complete::complete))
        .route("/projects/{project_id}/bulk", post(bulk::bulk))
        .route("/projects/{project_id}/groups/{group_id}", get(group::page))
        .route("/projects/{project_id}/groups/{group_id}/{action}", post(act::act))
        .route("/projects/{project_id}/groups/{group_id}/notices/{notice_id}", get(group::notice_page))
        .route("/projects/{project_id}/groups/{group_id}/notices/{notice_id}/json", get(group::notice_json))
        .route("/projects/{project_id}/groups/{group_id}/notices/{notice_id}/markdown", get(group::notice_markdown))
        .route("/projects/{project_id}/groups/{group_id}/notices/{notice_id}/curl", get(group::notice_curl))
        .route(
            "/projects/{project_id}/groups/{group_id}/notices/{notice_id}/attachments/{attachment_id}",
            get(group::attachment),
        )
        .route("/projects/{project_id}/deploys", get(deploys::page))
        .route("/projects/{project_id}/ingest", get(ingest::page))
        .route(
            "/projects/{project_id}/settings/scrubbing",
            get(settings::scrubbing::page).post(settings::scrubbing::save),
        )
        .route("/projects/{project_id}/settings/alerts", get(settings::alerts::page))
        .route("/projects/{project_id}/settings/alerts/mine", post(settings::alerts::mine::choose))
        .route(
            "/projects/{project_id}/settings/alerts/destinations/{destination_id}",
            get(settings::alerts::destination::page).post(settings::alerts::destination::save),
        )
        .route(
            "/projects/{project_id}/settings/alerts/destinations/{destination_id}/{action}",
            post(settings::alerts::destination::act),
        )
        .route(
            "/projects/{project_id}/settings/alerts/rules/{rule_id}",
            get(settings::alerts::rule::page).post(settings::alerts::rule::save),
        )
        .route("/projects/{project_id}/settings/alerts/rules/{rule_id}/delete", post(settings::alerts::rule::delete))
        .route("/unsubscribe/{link}", get(unsubscribe::page).post(unsubscribe::end))
        .route("/schemas/webhook.json", get(assets::webhook_schema))
        .route("/projects/{project_id}/settings", get(settings::general::page).post(settings::general::change))
        .route("/projects/{project_id}/settings/delete", post(settings::general::delete))
        .route("/projects/{project_id}/settings/keys", get(settings::keys::page).post(settings::keys::make))
        .route("/projects/{project_id}/settings/keys/revoke", post(settings::keys::revoke))
        .route("/projects/{project_id}/settings/members", get(settings::members::page).post(settings::members::set))
        .route(
            "/projects/{project_id}/settings/tokens",
            get(account::tokens::of_project).post(account::tokens::make_of_project),
        )
        .route("/projects/{project_id}/settings/tokens/revoke", post(account::tokens::revoke_of_project))
        .route("/locate/{notice_id}", get(locate::locate))
        .route("/assets/{name}", get(assets::asset))
        .route("/favicon.ico", get(assets::favicon))
        .fallback(async || Rejection::NotFound)
        .method_not_allowed_fallback(async || Rejection::WrongMethod)
        .layer(from_fn_with_state(app.clone(), headers::from_our_pages))
        .nest("/api/v1", api::routes())
        .layer(DefaultBodyLimit::max(FORM_BYTES_MAX))
        .layer(from_fn(headers::readable))
        .layer(from_fn_with_state(app.clone(), headers::secured))
        .layer(from_fn(headers::measured))
        .with_state(app)
}
