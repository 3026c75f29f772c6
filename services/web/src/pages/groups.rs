//! The groups of a project: the home of whoever is on call.

use std::collections::HashMap;
use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::http::Uri;
use axum::response::{IntoResponse, Redirect, Response};
use store::Reader;
use store::reader::search::Search;
use store::reader::{Grid, Group, GroupFilter, GroupSort, GroupState, Opened};
use time::OffsetDateTime;

use super::snippets::{Snippet, snippets};
use super::{Page, Piece, Tab, rendered};
use crate::app::App;
use crate::rejection::Rejection;
use crate::view::number::{counted, grouped, users};
use crate::view::text::{in_address, shortened};
use crate::view::{chart, times};
use crate::visitor::Visitor;

/// Groups on one page.
const GROUPS_PER_PAGE: usize = 40;
/// Characters of a message that a row shows.
const MESSAGE_CHARS_MAX: usize = 220;

/// How long a group is called new.
const NEW_FOR: time::Duration = time::Duration::HOUR;
/// How long after its last notice a group counts as broken at this moment.
const BURNING_FOR: time::Duration = time::Duration::HOUR;

/// What a page of groups shows; all of it stands in its address.
#[derive(Clone, Debug, PartialEq, Eq)]
struct View {
    query: String,
    sort: GroupSort,
    /// `None` is all states.
    state: Option<GroupState>,
    cursor: Option<String>,
    /// Whether the small charts show a fortnight and not a day.
    is_fortnight: bool,
}

impl View {
    /// What an address asks for. Without a state it is what is broken now, unless the search says otherwise.
    fn read(query: &str) -> View {
        let params: HashMap<String, String> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let text = |name: &str| params.get(name).map(|text| text.trim().to_owned()).unwrap_or_default();
        let query = text("query");
        let says_state = Search::parse(&query).is_ok_and(|search| search.state.is_some());
        let state = match text("state").as_str() {
            "all" => None,
            "" if says_state => None,
            name => Some(GroupState::parse(name).unwrap_or(GroupState::Unresolved)),
        };
        View {
            state,
            sort: GroupSort::parse(&text("sort")).unwrap_or_default(),
            cursor: Some(text("cursor")).filter(|cursor| !cursor.is_empty()),
            is_fortnight: text("span") == "14d",
            query,
        }
    }

    /// The address of this view.
    fn address(&self, project_id: i64) -> String {
        let mut parts = Vec::new();
        if !self.query.is_empty() {
            parts.push(format!("query={}", in_address(&self.query)));
        }
        parts.push(format!("state={}", self.state.map_or("all", GroupState::as_str)));
        parts.push(format!("sort={}", self.sort.as_str()));
        if self.is_fortnight {
            parts.push("span=14d".to_owned());
        }
        if let Some(cursor) = &self.cursor {
            parts.push(format!("cursor={}", in_address(cursor)));
        }
        format!("/projects/{project_id}/groups?{}", parts.join("&"))
    }

    fn with(&self, change: impl FnOnce(&mut View)) -> View {
        let mut view = View { cursor: None, ..self.clone() };
        change(&mut view);
        view
    }
}

#[derive(Template)]
#[template(path = "groups.html")]
struct Groups<'a> {
    project_name: &'a str,
    action: String,
    view: &'a View,
    trouble: Option<String>,
    states: Vec<Choice>,
    sorts: Vec<Choice>,
    spans: Vec<Choice>,
    span_words: &'static str,
    rows: Vec<Row>,
    first: Option<String>,
    next: Option<String>,
    summary: String,
}

/// One of several ways to look, as a link.
struct Choice {
    label: &'static str,
    count: Option<String>,
    address: String,
    is_chosen: bool,
}

struct Row {
    id: i64,
    address: String,
    class: String,
    message: String,
    culprit: String,
    environments: Vec<String>,
    release: Option<String>,
    state: GroupState,
    came_back: bool,
    spark: String,
    notices: String,
    notice_noun: &'static str,
    users: String,
    user_noun: &'static str,
    has_users: bool,
    first_seen: String,
    last_seen: String,
    is_new: bool,
    /// Broken at this moment: unresolved, and seen lately.
    is_burning: bool,
}

#[derive(Template)]
#[template(path = "groups_empty.html")]
struct NoGroups<'a> {
    project_name: &'a str,
    snippets: Vec<Snippet>,
}

pub(crate) async fn home(Path(project_id): Path<String>) -> Result<Response, Rejection> {
    let project_id: i64 = project_id.parse().map_err(|_| Rejection::NotFound)?;
    Ok(Redirect::to(&format!("/projects/{project_id}/groups")).into_response())
}

pub(crate) async fn page(
    State(app): State<App>,
    visitor: Visitor,
    Path(project_id): Path<String>,
    uri: Uri,
) -> Result<Response, Rejection> {
    let project_id: i64 = project_id.parse().map_err(|_| Rejection::NotFound)?;
    let opened = app.open(visitor.viewer(), project_id).await?;
    let view = View::read(uri.query().unwrap_or_default());
    let path = view.address(project_id);
    let (project, gateway_url) = (Arc::clone(&opened), app.gateway_url.clone());
    let piece = app
        .piece(format!("groups {path}"), visitor.seen.as_ref(), move |reader| async move {
            read(&reader, &project, &view, &gateway_url).await.map(Some)
        })
        .await?;
    let page =
        Page { visitor: &visitor, project: Some((&opened, Tab::Groups)), path: &path, piece: &piece, actions: "" };
    Ok(page.answer(&app.keys))
}

async fn read(reader: &Reader, project: &Opened, view: &View, gateway_url: &str) -> Result<Piece, Rejection> {
    let now = OffsetDateTime::now_utc();
    let counts = reader.group_counts(project).await?;
    if counts.is_empty() {
        let key = reader.project_key(project).await?.unwrap_or_else(|| "YOUR-KEY".into());
        let body =
            rendered(&NoGroups { project_name: project.name(), snippets: snippets(project.id(), &key, gateway_url) });
        return Ok(Piece { title: project.name().to_owned(), body, refresh_seconds: Some(3), ..Piece::default() });
    }
    let (search, trouble) = match Search::parse(&view.query) {
        Ok(search) => (search, None),
        Err(error) => (Search::default(), Some(error.to_string())),
    };
    let filter = GroupFilter { search, state: view.state, sort: view.sort };
    // A cursor of another list is an old link: the list begins again.
    let page = match reader.groups(project, &filter, view.cursor.as_deref(), GROUPS_PER_PAGE).await? {
        Ok(page) => page,
        Err(_) => match reader.groups(project, &filter, None, GROUPS_PER_PAGE).await? {
            Ok(page) => page,
            Err(error) => return Err(Rejection::BadRequest(error.to_string())),
        },
    };
    let grid = if view.is_fortnight { Grid::FORTNIGHT_SMALL } else { Grid::DAY_SMALL };
    let span_words = if view.is_fortnight { "14 days" } else { "24 hours" };
    let ids: Vec<i64> = page.groups.iter().map(|group| group.id).collect();
    let mut bars = reader.group_bars(project, &ids, grid, now).await?;
    let rows: Vec<Row> = page
        .groups
        .into_iter()
        .map(|group| {
            let counts: Vec<i64> = bars.remove(&group.id).unwrap_or_default().iter().map(|bar| bar.count).collect();
            Row::of(group, chart::sparkline(&counts, &format!("notices in {span_words}")), now)
        })
        .collect();
    let id = project.id();
    let count_of = |state: Option<GroupState>| match state {
        None => counts.values().sum(),
        Some(state) => counts.get(&state).copied().unwrap_or(0),
    };
    let states = [Some(GroupState::Unresolved), Some(GroupState::Resolved), Some(GroupState::Muted), None];
    let body = rendered(&Groups {
        project_name: project.name(),
        action: format!("/projects/{id}/groups"),
        view,
        trouble,
        states: states
            .into_iter()
            .map(|state| Choice {
                label: match state {
                    Some(GroupState::Unresolved) => "Unresolved",
                    Some(GroupState::Resolved) => "Resolved",
                    Some(GroupState::Muted) => "Muted",
                    None => "All",
                },
                count: Some(grouped(count_of(state))),
                address: view.with(|view| view.state = state).address(id),
                is_chosen: view.state == state,
            })
            .collect(),
        sorts: GroupSort::ALL
            .into_iter()
            .map(|sort| Choice {
                label: match sort {
                    GroupSort::LastSeen => "Last seen",
                    GroupSort::FirstSeen => "First seen",
                    GroupSort::Count => "Notices",
                    GroupSort::Users => "Users",
                },
                count: None,
                address: view.with(|view| view.sort = sort).address(id),
                is_chosen: view.sort == sort,
            })
            .collect(),
        spans: [("24 h", false), ("14 d", true)]
            .into_iter()
            .map(|(label, is_fortnight)| Choice {
                label,
                count: None,
                address: view.with(|view| view.is_fortnight = is_fortnight).address(id),
                is_chosen: view.is_fortnight == is_fortnight,
            })
            .collect(),
        span_words,
        summary: summary(view, rows.len(), page.next.is_some()),
        rows,
        first: view.cursor.is_some().then(|| view.with(|_| {}).address(id)),
        next: page.next.map(|next| view.with(|view| view.cursor = Some(next)).address(id)),
    });
    Ok(Piece { title: project.name().to_owned(), body, ..Piece::default() })
}

/// What the list is, in words.
fn summary(view: &View, shown: usize, is_more: bool) -> String {
    let order = match view.sort {
        GroupSort::LastSeen => "last seen first",
        GroupSort::FirstSeen => "newest first",
        GroupSort::Count => "most notices first",
        GroupSort::Users => "most users first",
    };
    let count = counted(i64::try_from(shown).unwrap_or(0), "group", "groups");
    let more = if is_more { ", more follow" } else { "" };
    format!("{count}, {order}{more}")
}

impl Row {
    fn of(group: Group, spark: String, now: OffsetDateTime) -> Row {
        Row {
            id: group.id,
            address: format!("/projects/{}/groups/{}", group.project_id, group.id),
            class: group.class,
            message: shortened(&group.message, MESSAGE_CHARS_MAX),
            culprit: group.culprit,
            environments: group.environments,
            release: group.last_release,
            came_back: group.came_back,
            state: group.state,
            spark,
            notices: grouped(group.notice_count),
            notice_noun: if group.notice_count == 1 { "notice" } else { "notices" },
            users: if group.user_count > 0 { users(group.user_count) } else { "–".to_owned() },
            user_noun: if group.user_count == 1 { "user" } else { "users" },
            has_users: group.user_count > 0,
            is_new: now - group.first_seen_at < NEW_FOR,
            is_burning: group.state == GroupState::Unresolved && now - group.last_seen_at < BURNING_FOR,
            first_seen: times::ago(group.first_seen_at, now),
            last_seen: times::ago(group.last_seen_at, now),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_says_all_that_is_shown() {
        let view = View::read("query=class%3ATimeout+x&sort=count&state=muted&span=14d&cursor=c1.2.3");
        assert_eq!(View::read(view.address(1).split_once('?').map_or("", |(_, query)| query)), view);
        assert_eq!(view.query, "class:Timeout x");
        assert_eq!(view.state, Some(GroupState::Muted));
    }

    #[test]
    fn what_is_broken_is_shown_unless_asked_otherwise() {
        assert_eq!(View::read("").state, Some(GroupState::Unresolved));
        assert_eq!(View::read("state=all").state, None);
        assert_eq!(View::read("query=is:resolved").state, None);
    }

    #[test]
    fn another_way_to_look_begins_at_its_top() {
        let view = View::read("cursor=l1.2.3");
        assert_eq!(view.with(|view| view.sort = GroupSort::Count).cursor, None);
    }
}
