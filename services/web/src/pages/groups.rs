//! The groups of a project: the home of whoever is on call.

use std::collections::HashMap;
use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::http::Uri;
use axum::response::{IntoResponse, Redirect, Response};
use store::Reader;
use store::reader::search::Search;
use store::reader::{
    Bar, CursorError, GROUPS_COUNTED_MAX, GROUPS_LOOKED_AT_MAX, Grid, Group, GroupFilter, GroupPage, GroupSort,
    GroupState, Opened, ReadError,
};
use time::OffsetDateTime;
use uuid::Uuid;

use super::snippets::{Snippet, snippets};
use super::{Page, Piece, Tab, bulk, rendered, saved};
use crate::app::App;
use crate::rejection::Rejection;
use crate::view::number::{self, counted, grouped, users};
use crate::view::text::{in_address, shortened};
use crate::view::{chart, times};
use crate::visitor::Visitor;

/// Groups on one page.
const GROUPS_PER_PAGE: usize = 40;
/// Characters of a message that a row shows.
const MESSAGE_CHARS_MAX: usize = 220;

/// Projects that a list over all of them is made of.
const PROJECTS_MAX: i64 = 200;

/// How long a group is called new.
const NEW_FOR: time::Duration = time::Duration::HOUR;
/// How long after its last notice a group counts as broken at this moment.
const BURNING_FOR: time::Duration = time::Duration::HOUR;

/// What a page of groups shows; all of it stands in its address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct View {
    pub(super) query: String,
    pub(super) sort: GroupSort,
    /// `None` is all states.
    pub(super) state: Option<GroupState>,
    cursor: Option<String>,
    /// Whether the small charts show a fortnight and not a day.
    is_fortnight: bool,
}

/// Of which projects the groups are.
enum Scope {
    One(Arc<Opened>),
    /// All that the visitor sees.
    All(Vec<Opened>),
}

impl View {
    /// What an address asks for. Without a state it is what is broken now, unless the search says otherwise.
    pub(super) fn read(query: &str) -> View {
        let params: HashMap<String, String> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let text = |name: &str| params.get(name).map(|text| text.trim().to_owned()).unwrap_or_default();
        let query = text("query");
        let says_state = Search::parse(&query).is_ok_and(|search| search.states.is_some());
        let state = match text("state").as_str() {
            "" if says_state => None,
            name => state_named(name),
        };
        View {
            state,
            sort: GroupSort::parse(&text("sort")).unwrap_or_default(),
            cursor: Some(text("cursor")).filter(|cursor| !cursor.is_empty()),
            is_fortnight: text("span") == "14d",
            query,
        }
    }

    /// The address of this view of the list at `base`.
    pub(super) fn address(&self, base: &str) -> String {
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
        format!("{base}?{}", parts.join("&"))
    }

    fn names_me(&self) -> bool {
        Search::parse(&self.query).is_ok_and(|search| search.names_me())
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
    /// Where the search box learns how to go on; a list over several projects offers nothing.
    complete: Option<String>,
    trouble: Option<Trouble>,
    examples: &'static [(&'static str, &'static str)],
    states: Vec<Choice>,
    sorts: Vec<Choice>,
    spans: Vec<Choice>,
    span_words: &'static str,
    rows: Vec<Row>,
    /// Where news of this list come from; pages behind the first have none.
    live: Option<String>,
    first: Option<String>,
    next: Option<String>,
    summary: String,
    /// Whether the search ended before the page was full.
    is_cut: bool,
    looked_at: String,
}

/// The state of a list's address; what is broken now when it names none.
pub(super) fn state_named(name: &str) -> Option<GroupState> {
    if name == "all" { None } else { Some(GroupState::parse(name).unwrap_or(GroupState::Unresolved)) }
}

/// What is wrong with a search: the place is marked in the text.
struct Trouble {
    told: String,
    before: String,
    wrong: String,
    after: String,
}

/// What can be searched by, for those who do not know yet.
const EXAMPLES: [(&str, &str); 12] = [
    ("timeout \"went away\"", "words that begin a word of class, message, culprit or stack trace; text as it stands"),
    ("class:Timeout message:… culprit:…", "text in one of them"),
    ("file:app/models function:charge", "frames of the application"),
    ("environment:production release:1.4.2", "also hostname, action, cause, severity and notifier"),
    ("tag.shop:eu", "a tag that the client set"),
    ("is:unresolved", "also is:resolved, is:muted, is:assigned and is:unassigned"),
    ("assigned:me", "also assigned:none, or somebody's address"),
    ("user:42", "what the user of this id, address or name met"),
    ("first-seen:<24h", "new since yesterday; with m, h or d"),
    ("last-seen:>7d", "quiet for a week"),
    ("count:>100 users:>10", "how often, and for how many"),
    ("-release:1.4.2", "a minus leaves out"),
];

/// One of several ways to look, as a link.
struct Choice {
    label: &'static str,
    count: Option<String>,
    address: String,
    is_chosen: bool,
}

struct Row {
    id: i64,
    /// The project's name, in a list over several.
    project: Option<String>,
    version: i32,
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
    assignee: Option<String>,
}

#[derive(Template)]
#[template(path = "groups_empty.html")]
struct NoGroups<'a> {
    project_name: &'a str,
    live: String,
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
    let (search, state) = (view.query.clone(), view.state.map_or("", GroupState::as_str));
    let path = view.address(&format!("/projects/{project_id}/groups"));
    let saved = saved::bar(&app, &visitor, &opened, &view, &path).await?;
    let (scope, gateway_url) = (Scope::One(Arc::clone(&opened)), app.gateway_url.clone());
    // What is assigned to me is not what is assigned to you.
    let me = view.names_me().then_some(visitor.account.id);
    let piece = app
        .piece(format!("groups {me:?} {path}"), visitor.seen.as_ref(), move |reader| async move {
            read(&reader, &scope, &view, me, &gateway_url).await.map(Some)
        })
        .await?;
    let forms = bulk::forms(&app, &visitor, &opened, last_bulk(uri.query()), (&search, state), &path).await?;
    let above = format!("{}{saved}", forms.above);
    let page =
        Page { visitor: &visitor, project: Some((&opened, Tab::Groups)), path: &path, piece: &piece, actions: &above };
    Ok(page.answer_with(&app.keys, if piece.is_list { &forms.below } else { "" }))
}

/// The change of many groups that led here.
fn last_bulk(query: Option<&str>) -> Option<Uuid> {
    let query = query.unwrap_or_default();
    let (_, id) = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "bulk")?;
    Uuid::try_parse(&id).ok()
}

/// The same list over every project that the visitor sees.
pub(crate) async fn all(State(app): State<App>, visitor: Visitor, uri: Uri) -> Result<Response, Rejection> {
    let view = View::read(uri.query().unwrap_or_default());
    let path = view.address("/groups");
    let (viewer, me, gateway_url) = (visitor.viewer(), visitor.account.id, app.gateway_url.clone());
    let piece = app
        .piece(format!("groups of {me} {path}"), visitor.seen.as_ref(), move |reader| async move {
            let scope = Scope::All(reader.open_all(viewer, PROJECTS_MAX).await?);
            read(&reader, &scope, &view, Some(me), &gateway_url).await.map(Some)
        })
        .await?;
    Ok(Page { visitor: &visitor, project: None, path: &path, piece: &piece, actions: "" }.answer(&app.keys))
}

async fn read(
    reader: &Reader,
    scope: &Scope,
    view: &View,
    me: Option<i64>,
    gateway_url: &str,
) -> Result<Piece, Rejection> {
    let now = OffsetDateTime::now_utc();
    // Before everything else: what comes while this is read is then news.
    let (base, name, live) = match scope {
        Scope::One(project) => {
            let newest = reader.newest_groups(project, 1).await?.first().copied().unwrap_or(0);
            (format!("/projects/{}/groups", project.id()), project.name(), live_address(project, newest))
        }
        Scope::All(projects) => {
            let newest = reader.newest_group_of(projects).await?;
            ("/groups".to_owned(), "all projects", format!("/groups/live?since={newest}"))
        }
    };
    let (search, trouble) = match Search::parse(&view.query) {
        Ok(search) => (search, None),
        Err(error) => {
            let [before, wrong, after] = error.split(&view.query).map(str::to_owned);
            (Search::default(), Some(Trouble { told: error.told.clone(), before, wrong, after }))
        }
    };
    let filter = GroupFilter { search, state: view.state, sort: view.sort, me, among: None };
    let (counts, page) = tokio::try_join!(scope.counts(reader), scope.page(reader, &filter, view.cursor.as_deref()))?;
    if let (Scope::One(project), Some(true)) = (scope, counts.as_ref().map(HashMap::is_empty)) {
        return nothing_yet(reader, project, gateway_url).await;
    }
    // A cursor of another list is an old link: the list begins again.
    let page = match page {
        Ok(page) => page,
        Err(_) => match scope.page(reader, &filter, None).await? {
            Ok(page) => page,
            Err(error) => return Err(Rejection::BadRequest(error.to_string())),
        },
    };
    let grid = if view.is_fortnight { Grid::FORTNIGHT_SMALL } else { Grid::DAY_SMALL };
    let span_words = if view.is_fortnight { "14 days" } else { "24 hours" };
    let mut bars = scope.bars(reader, &page.groups, grid, now).await?;
    let (summary, is_cut) = (summary(view, &page), page.is_cut());
    let rows: Vec<Row> = page
        .groups
        .into_iter()
        .map(|group| {
            let counts: Vec<i64> = bars.remove(&group.id).unwrap_or_default().iter().map(|bar| bar.count).collect();
            let project = scope.name_of(group.project_id);
            Row::of(group, project, chart::sparkline(&counts, &format!("notices in {span_words}")), now)
        })
        .collect();
    let states = [Some(GroupState::Unresolved), Some(GroupState::Resolved), Some(GroupState::Muted), None];
    let is_list = !rows.is_empty();
    let body = rendered(&Groups {
        project_name: name,
        action: base.clone(),
        complete: match scope {
            Scope::One(project) => Some(format!("/projects/{}/complete", project.id())),
            Scope::All(_) => None,
        },
        view,
        trouble,
        examples: &EXAMPLES,
        states: states
            .into_iter()
            .map(|state| Choice {
                label: match state {
                    Some(GroupState::Unresolved) => "Unresolved",
                    Some(GroupState::Resolved) => "Resolved",
                    Some(GroupState::Muted) => "Muted",
                    None => "All",
                },
                count: counts.as_ref().map(|counts| up_to(counts, state)),
                address: view.with(|view| view.state = state).address(&base),
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
                address: view.with(|view| view.sort = sort).address(&base),
                is_chosen: view.sort == sort,
            })
            .collect(),
        spans: [("24 h", false), ("14 d", true)]
            .into_iter()
            .map(|(label, is_fortnight)| Choice {
                label,
                count: None,
                address: view.with(|view| view.is_fortnight = is_fortnight).address(&base),
                is_chosen: view.is_fortnight == is_fortnight,
            })
            .collect(),
        span_words,
        summary,
        is_cut,
        looked_at: grouped(GROUPS_LOOKED_AT_MAX),
        rows,
        live: view.cursor.is_none().then_some(live),
        first: view.cursor.is_some().then(|| view.with(|_| {}).address(&base)),
        next: page.next.map(|next| view.with(|view| view.cursor = Some(next)).address(&base)),
    });
    let title = if counts.is_some() { name.to_owned() } else { "Groups of all projects".to_owned() };
    Ok(Piece { title, body, is_list, ..Piece::default() })
}

/// What a project shows that has not been heard of.
async fn nothing_yet(reader: &Reader, project: &Opened, gateway_url: &str) -> Result<Piece, Rejection> {
    let key = reader.project_key(project).await?.unwrap_or_else(|| "YOUR-KEY".into());
    let body = rendered(&NoGroups {
        project_name: project.name(),
        live: live_address(project, 0),
        snippets: snippets(project.id(), &key, gateway_url),
    });
    let title = project.name().to_owned();
    Ok(Piece { title, body, refresh_seconds: Some(3), hears_news: true, ..Piece::default() })
}

impl Scope {
    async fn page(
        &self,
        reader: &Reader,
        filter: &GroupFilter,
        cursor: Option<&str>,
    ) -> Result<Result<GroupPage, CursorError>, ReadError> {
        match self {
            Scope::One(project) => reader.groups(project, filter, cursor, GROUPS_PER_PAGE).await,
            Scope::All(projects) => reader.groups_of(projects, filter, cursor, GROUPS_PER_PAGE).await,
        }
    }

    /// How many groups of one project are in each state.
    async fn counts(&self, reader: &Reader) -> Result<Option<HashMap<GroupState, i64>>, ReadError> {
        match self {
            Scope::One(project) => reader.group_counts(project).await.map(Some),
            Scope::All(_) => Ok(None),
        }
    }

    /// The small charts of some groups.
    async fn bars(
        &self,
        reader: &Reader,
        groups: &[Group],
        grid: Grid,
        now: OffsetDateTime,
    ) -> Result<HashMap<i64, Vec<Bar>>, ReadError> {
        let projects = match self {
            Scope::One(project) => std::slice::from_ref(&**project),
            Scope::All(projects) => projects,
        };
        let mut bars = HashMap::new();
        for project in projects {
            let of_project = groups.iter().filter(|group| group.project_id == project.id());
            let ids: Vec<i64> = of_project.map(|group| group.id).collect();
            if !ids.is_empty() {
                bars.extend(reader.group_bars(project, &ids, grid, now).await?);
            }
        }
        Ok(bars)
    }

    fn name_of(&self, project_id: i64) -> Option<String> {
        match self {
            Scope::One(_) => None,
            Scope::All(projects) => {
                projects.iter().find(|project| project.id() == project_id).map(|project| project.name().to_owned())
            }
        }
    }
}

/// How many groups are in a state, or in all, or that they are many.
fn up_to(counts: &HashMap<GroupState, i64>, state: Option<GroupState>) -> String {
    let are_many = |count: &i64| *count > GROUPS_COUNTED_MAX;
    let count = match state {
        Some(state) => counts.get(&state).copied().unwrap_or(0),
        None if counts.values().any(are_many) => GROUPS_COUNTED_MAX + 1,
        None => counts.values().sum(),
    };
    number::up_to(count, GROUPS_COUNTED_MAX)
}

/// Where a page that had these groups hears of newer ones.
fn live_address(project: &Opened, newest: i64) -> String {
    format!("/projects/{}/live?since={newest}", project.id())
}

/// What the list is, in words.
fn summary(view: &View, page: &GroupPage) -> String {
    let order = match view.sort {
        GroupSort::LastSeen => "last seen first",
        GroupSort::FirstSeen => "newest first",
        GroupSort::Count => "most notices first",
        GroupSort::Users => "most users first",
    };
    let count = counted(i64::try_from(page.groups.len()).unwrap_or(0), "group", "groups");
    let more = match (page.is_cut(), page.next.is_some()) {
        (true, _) => format!(" among {} that were looked through, there may be more", grouped(GROUPS_LOOKED_AT_MAX)),
        (false, true) => ", more follow".to_owned(),
        (false, false) => String::new(),
    };
    format!("{count}, {order}{more}")
}

impl Row {
    fn of(group: Group, project: Option<String>, spark: String, now: OffsetDateTime) -> Row {
        Row {
            id: group.id,
            project,
            version: group.version,
            address: format!("/projects/{}/groups/{}", group.project_id, group.id),
            class: group.class,
            message: shortened(&group.message, MESSAGE_CHARS_MAX),
            culprit: group.culprit,
            environments: group.environments,
            release: group.last_release,
            came_back: group.came_back,
            assignee: group.assignee.map(|(_, name)| name),
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
        assert_eq!(View::read(view.address("/groups").split_once('?').map_or("", |(_, query)| query)), view);
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
