//! Above a list of groups: the searches that were saved, and what can be done with the one that is shown.

use askama::Template;
use axum::extract::{Form, Path, State};
use axum::http::{HeaderMap, header};
use axum::response::Response;
use serde::Deserialize;
use service::proto::command::command::Action;
use service::proto::command::{ForgetSearch, MakeFeed, RevokeFeed, SaveSearch};
use store::reader::{Feed, GroupState, Opened, SavedSearch};
use store::token;
use uuid::Uuid;

use super::group::number;
use super::groups::{View, state_named};
use super::order::{Asked, order};
use super::{is_our_path, rendered};
use crate::app::App;
use crate::rejection::Rejection;
use crate::view::text::in_address;
use crate::view::times;
use crate::visitor::{Seen, Visitor};

/// What was saved by and for one person in one project.
pub(crate) struct Saved {
    searches: Vec<SavedSearch>,
    feeds: Vec<Feed>,
}

impl Saved {
    /// About how much memory it takes.
    pub(crate) fn bytes(&self) -> usize {
        let searches = self.searches.iter().map(|search| 100 + search.name.len() + search.query.len());
        searches.sum::<usize>() + self.feeds.len() * 150
    }
}

#[derive(Template)]
#[template(path = "saved.html")]
struct Bar<'a> {
    base: String,
    searches: Vec<SearchView>,
    feeds: Vec<FeedView>,
    view: &'a View,
    state: &'static str,
    export: String,
    form_token: &'a str,
    command_id: Uuid,
    back: &'a str,
    are_taken: bool,
    may_share: bool,
}

struct SearchView {
    id: i64,
    name: String,
    address: String,
    is_shown: bool,
    is_shared: bool,
    may_forget: bool,
    command_id: Uuid,
}

struct FeedView {
    id: i64,
    name: String,
    made: String,
    command_id: Uuid,
}

/// The bar for a visitor, over the list that `view` shows.
pub(super) async fn bar(
    app: &App,
    visitor: &Visitor,
    opened: &Opened,
    view: &View,
    back: &str,
) -> Result<String, Rejection> {
    let base = format!("/projects/{}", opened.id());
    let list = format!("{base}/groups");
    let saved = saved(app, visitor, opened).await?;
    let searches = saved.searches.iter().map(|search| SearchView {
        id: search.id,
        name: search.name.clone(),
        address: address(search, &list),
        is_shown: search.query == view.query
            && search.sort == view.sort.as_str()
            && state_named(&search.state) == view.state,
        is_shared: search.is_shared,
        may_forget: search.is_own || opened.may_act(),
        command_id: Uuid::new_v4(),
    });
    let feeds = saved.feeds.iter().map(|feed| FeedView {
        id: feed.id,
        name: feed.search.clone().unwrap_or_else(|| "All that is unresolved".to_owned()),
        made: times::exact(feed.created_at),
        command_id: Uuid::new_v4(),
    });
    let state = view.state.map_or("all", GroupState::as_str);
    Ok(rendered(&Bar {
        searches: searches.collect(),
        feeds: feeds.collect(),
        view,
        state,
        export: format!("{base}/export?query={}&state={state}", in_address(&view.query)),
        base,
        form_token: &visitor.form_token,
        command_id: Uuid::new_v4(),
        back,
        are_taken: app.commands.are_taken().await,
        may_share: opened.may_act(),
    }))
}

async fn saved(app: &App, visitor: &Visitor, opened: &Opened) -> Result<std::sync::Arc<Saved>, Rejection> {
    let (reader, opened, user_id) = (app.reader.clone(), opened.clone(), visitor.account.id);
    let seen = visitor.seen.clone();
    let key = format!("{} {user_id}", opened.id());
    let saved = app.saved.get(key, visitor.seen.as_ref().map(Seen::at), || async move {
        Seen::shown_by(seen, &reader).await?;
        let searches = reader.saved_searches(&opened, user_id).await?;
        let feeds = reader.feeds(&opened, user_id).await?;
        Ok::<_, Rejection>(Some(Saved { searches, feeds }))
    });
    saved.await?.ok_or(Rejection::NotFound)
}

/// The list that a saved search shows.
fn address(search: &SavedSearch, list: &str) -> String {
    format!("{list}?query={}&state={}&sort={}", in_address(&search.query), search.state, search.sort)
}

/// The forms of the bar.
#[derive(Deserialize)]
pub(crate) struct SavedForm {
    #[serde(default)]
    form_token: String,
    #[serde(default)]
    command_id: String,
    #[serde(default)]
    back: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    query: String,
    #[serde(default)]
    state: String,
    #[serde(default)]
    sort: String,
    /// There when the box is ticked.
    is_shared: Option<String>,
    #[serde(default)]
    search_id: i64,
}

impl SavedForm {
    fn asked(&self, project_id: i64) -> Asked<'_> {
        Asked { form_token: &self.form_token, command_id: &self.command_id, project_id }
    }

    /// Where it leads back to: the list that it was above.
    fn list(&self, project_id: i64) -> String {
        let list = format!("/projects/{project_id}/groups");
        if self.back.starts_with(&format!("{list}?")) && is_our_path(&self.back) { self.back.clone() } else { list }
    }
}

pub(crate) async fn save(
    State(app): State<App>,
    visitor: Visitor,
    Path(project_id): Path<String>,
    headers: HeaderMap,
    Form(form): Form<SavedForm>,
) -> Result<Response, Rejection> {
    let project_id = number(&project_id)?;
    app.open(visitor.viewer(), project_id).await?;
    let action = Action::SaveSearch(SaveSearch {
        name: form.name.trim().to_owned(),
        query: form.query.trim().to_owned(),
        state: form.state.clone(),
        sort: form.sort.clone(),
        is_shared: form.is_shared.is_some(),
    });
    let ordered = order(&app, &visitor, &form.asked(project_id), action).await?;
    Ok(ordered.lead_to(&app, &headers, &form.list(project_id), "Saved: it stands above the list."))
}

pub(crate) async fn forget(
    State(app): State<App>,
    visitor: Visitor,
    Path((project_id, search_id)): Path<(String, String)>,
    headers: HeaderMap,
    Form(form): Form<SavedForm>,
) -> Result<Response, Rejection> {
    let (project_id, search_id) = (number(&project_id)?, number(&search_id)?);
    app.open(visitor.viewer(), project_id).await?;
    let action = Action::ForgetSearch(ForgetSearch { search_id });
    let ordered = order(&app, &visitor, &form.asked(project_id), action).await?;
    Ok(ordered.lead_to(&app, &headers, &form.list(project_id), "The search is gone, and its feeds with it."))
}

pub(crate) async fn make_feed(
    State(app): State<App>,
    visitor: Visitor,
    Path(project_id): Path<String>,
    headers: HeaderMap,
    Form(form): Form<SavedForm>,
) -> Result<Response, Rejection> {
    let project_id = number(&project_id)?;
    app.open(visitor.viewer(), project_id).await?;
    // Made of the command's id: a form that is sent twice makes one feed and shows one address.
    let clear = format!("{}{}", token::PREFIX, app.keys.secret_of(&format!("feed {}", form.command_id)));
    let action = Action::MakeFeed(MakeFeed { search_id: form.search_id, token_sha256: token::sha256(&clear).to_vec() });
    let ordered = order(&app, &visitor, &form.asked(project_id), action).await?;
    let told = format!(
        "The feed's address, which is shown this once: {}/feeds/{clear}. Whoever has it reads these groups; take it back here.",
        app.base_url(&headers)
    );
    Ok(ordered.lead_to(&app, &headers, &form.list(project_id), &told))
}

pub(crate) async fn revoke_feed(
    State(app): State<App>,
    visitor: Visitor,
    Path((project_id, feed_id)): Path<(String, String)>,
    headers: HeaderMap,
    Form(form): Form<SavedForm>,
) -> Result<Response, Rejection> {
    let (project_id, feed_id) = (number(&project_id)?, number(&feed_id)?);
    app.open(visitor.viewer(), project_id).await?;
    let action = Action::RevokeFeed(RevokeFeed { feed_id });
    let ordered = order(&app, &visitor, &form.asked(project_id), action).await?;
    Ok(ordered.lead_to(&app, &headers, &form.list(project_id), "The feed is taken back."))
}

impl App {
    /// The address of these pages as whoever asks reaches them.
    pub(crate) fn base_url(&self, headers: &HeaderMap) -> String {
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        let scheme = if self.is_https { "https" } else { "http" };
        self.public_url.clone().unwrap_or_else(|| format!("{scheme}://{host}"))
    }
}
