//! A group: what is broken, since when, how bad, for whom, what changed, where in the code.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::http::{Uri, header};
use axum::response::{IntoResponse, Response};
use notice::NoticeId;
use store::Reader;
use store::reader::{Around, Attachment, Change, Facet, Grid, Group, GroupState, Opened, StoredNotice};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::notice::NoticeView;
use super::{GroupPiece, Page, Piece, Tab, forms, rendered};
use crate::app::App;
use crate::download::download;
use crate::rejection::Rejection;
use crate::view::chart::{self, Column};
use crate::view::copied;
use crate::view::number::{counted, grouped, percent, users};
use crate::view::stack::breakable;
use crate::view::text::{in_address, shortened};
use crate::view::times;
use crate::visitor::Visitor;

/// Characters of a value in the list of facets.
const VALUE_CHARS_MAX: usize = 80;
/// Stretches of time that the chart can show: name in the address, label, columns.
const RANGES: [(&str, &str, Grid); 4] = [
    ("1h", "1 hour", Grid::HOUR),
    ("24h", "24 hours", Grid::DAY),
    ("14d", "14 days", Grid::FORTNIGHT),
    ("90d", "90 days", Grid::QUARTER),
];

#[derive(Template)]
#[template(path = "group_head.html")]
struct Head<'a> {
    list_address: String,
    class: String,
    message: &'a str,
    culprit: String,
    state: GroupState,
    came_back: bool,
    assignee: Option<&'a str>,
}

#[derive(Template)]
#[template(path = "group.html")]
struct Body<'a> {
    notice_count: String,
    notice_noun: &'static str,
    user_count: String,
    user_noun: &'static str,
    first_seen: String,
    last_seen: String,
    first_release: Option<&'a str>,
    last_release: Option<&'a str>,
    environments: &'a [String],
    ranges: Vec<Range>,
    chart: String,
    notice: Option<String>,
    facets: Vec<FacetView>,
    parts: Vec<PartsView>,
    history: Vec<ChangeView>,
    api_address: String,
}

struct Range {
    label: &'static str,
    address: String,
    is_chosen: bool,
}

struct FacetView {
    title: String,
    rows: Vec<ShareView>,
}

struct ShareView {
    value: String,
    full: String,
    address: Option<String>,
    share: String,
    /// Width of the bar, in per cent.
    width: String,
}

struct PartsView {
    fingerprint: String,
    version: i64,
    parts: Vec<(String, String)>,
}

struct ChangeView {
    at: String,
    actor: String,
    what: String,
    detail: String,
}

pub(crate) async fn page(
    State(app): State<App>,
    visitor: Visitor,
    Path((project_id, group_id)): Path<(String, String)>,
    uri: Uri,
) -> Result<Response, Rejection> {
    show(&app, &visitor, &project_id, &group_id, None, &uri).await
}

pub(crate) async fn notice_page(
    State(app): State<App>,
    visitor: Visitor,
    Path((project_id, group_id, notice_id)): Path<(String, String, String)>,
    uri: Uri,
) -> Result<Response, Rejection> {
    show(&app, &visitor, &project_id, &group_id, Some(&notice_id), &uri).await
}

/// The raw notice, as the API has it, for somebody who is signed in.
pub(crate) async fn notice_json(
    State(app): State<App>,
    visitor: Visitor,
    Path(place): Path<(String, String, String)>,
) -> Result<Response, Rejection> {
    let json = serde_json::to_vec_pretty(&open_notice(&app, &visitor, &place).await?.to_json());
    let json = json.map_err(|_| Rejection::NotFound)?;
    Ok(([(header::CONTENT_TYPE, "application/json")], json).into_response())
}

/// The notice for a ticket.
pub(crate) async fn notice_markdown(
    State(app): State<App>,
    visitor: Visitor,
    Path(place): Path<(String, String, String)>,
) -> Result<Response, Rejection> {
    let notice = open_notice(&app, &visitor, &place).await?;
    let (project_id, group_id, notice_id) = place;
    let page = format!("/projects/{project_id}/groups/{group_id}/notices/{notice_id}");
    let address = format!("{}{page}", app.public_url.as_deref().unwrap_or_default().trim_end_matches('/'));
    Ok(plain(copied::markdown(&notice, &address)))
}

/// The request that failed, for a shell.
pub(crate) async fn notice_curl(
    State(app): State<App>,
    visitor: Visitor,
    Path(place): Path<(String, String, String)>,
) -> Result<Response, Rejection> {
    let notice = open_notice(&app, &visitor, &place).await?;
    copied::curl(&notice.notice).map(plain).ok_or(Rejection::NotFound)
}

fn plain(text: String) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response()
}

async fn open_notice(
    app: &App,
    visitor: &Visitor,
    (project_id, group_id, notice_id): &(String, String, String),
) -> Result<StoredNotice, Rejection> {
    let opened = app.open(visitor.viewer(), number(project_id)?).await?;
    let id = Uuid::try_parse(notice_id).map_err(|_| Rejection::NotFound)?;
    let notice = app.reader.notice_in_group(&opened, number(group_id)?, NoticeId::from(id)).await?;
    notice.ok_or(Rejection::NotFound)
}

/// A file that came with a notice, for somebody who is signed in.
pub(crate) async fn attachment(
    State(app): State<App>,
    visitor: Visitor,
    Path((project_id, group_id, notice_id, attachment_id)): Path<(String, String, String, String)>,
) -> Result<Response, Rejection> {
    let opened = app.open(visitor.viewer(), number(&project_id)?).await?;
    let id = Uuid::try_parse(&notice_id).map_err(|_| Rejection::NotFound)?;
    let notice = app.reader.notice_in_group(&opened, number(&group_id)?, NoticeId::from(id)).await?;
    let notice = notice.ok_or(Rejection::NotFound)?.notice;
    download(&app.reader, &opened, notice.client_id.as_deref(), &attachment_id).await
}

async fn show(
    app: &App,
    visitor: &Visitor,
    project_id: &str,
    group_id: &str,
    notice_id: Option<&str>,
    uri: &Uri,
) -> Result<Response, Rejection> {
    let (project_id, group_id) = (number(project_id)?, number(group_id)?);
    let opened = app.open(visitor.viewer(), project_id).await?;
    let notice_id =
        notice_id.map(|id| Uuid::try_parse(id).map(NoticeId::from).map_err(|_| Rejection::NotFound)).transpose()?;
    let range = chosen_range(uri.query());
    let base = format!("/projects/{project_id}/groups/{group_id}");
    let path = uri.path_and_query().map_or(base.as_str(), |path| path.as_str());
    let key = format!("group {project_id} {group_id} {notice_id:?} {range:?}");
    let project = Arc::clone(&opened);
    let here = uri.path().to_owned();
    let piece = app
        .piece(key, visitor.seen.as_ref(), move |reader| async move {
            read(&reader, &project, group_id, notice_id, range, &here).await
        })
        .await;
    let piece = match piece {
        Ok(piece) => piece,
        Err(Rejection::NotFound) => {
            let rest = uri.path().strip_prefix(&base).unwrap_or_default();
            return Err(app.no_group(&opened, group_id, rest).await);
        }
        Err(error) => return Err(error),
    };
    let forms = forms::forms(app, visitor, &opened, &piece, &base, path).await;
    let page = Page { visitor, project: Some((&opened, Tab::Groups)), path, piece: &piece, actions: &forms.actions };
    Ok(page.answer_with(&app.keys, &forms.below))
}

async fn read(
    reader: &Reader,
    project: &Opened,
    group_id: i64,
    notice_id: Option<NoticeId>,
    range: Option<&'static str>,
    here: &str,
) -> Result<Option<Piece>, Rejection> {
    let now = OffsetDateTime::now_utc();
    let base = format!("/projects/{}/groups/{group_id}", project.id());
    // Each question waits for a processor of the database's: twenty of them, one after the other, are most of what a page takes under
    // load. Four are asked at a time.
    let (drawn, shown, (facets, parts, history), (oldest, merged, comments, members)) = tokio::try_join!(
        async {
            let Some(group) = reader.group(project, group_id).await? else { return Ok(None) };
            let range = range.unwrap_or_else(|| usual_range(&group, now));
            let chart = draw(reader, project, group_id, range, now).await?;
            Ok::<_, Rejection>(Some((group, range, chart)))
        },
        show_notice(reader, project, group_id, notice_id),
        async {
            let facets = reader.facets(project, group_id).await?;
            let parts = reader.group_parts(project, group_id).await?;
            Ok::<_, Rejection>((facets, parts, reader.history(project, group_id).await?))
        },
        async {
            let oldest = reader.oldest(project, group_id).await?;
            let merged = reader.merged_groups(project, group_id).await?;
            let comments = reader.comments(project, group_id).await?;
            Ok::<_, Rejection>((oldest, merged, comments, reader.assignable(project).await?))
        },
    )?;
    let (Some((group, range, chart)), Some(shown)) = (drawn, shown) else { return Ok(None) };
    let notice = shown.map(|Shown { stored, around, newest_id, attachments }| {
        rendered(&NoticeView::of(&stored, around, Some(newest_id), oldest, attachments, &base))
    });

    let head = rendered(&Head {
        list_address: format!("/projects/{}/groups", project.id()),
        class: breakable(&group.class),
        message: &group.message,
        culprit: breakable(&group.culprit),
        state: group.state,
        came_back: group.came_back,
        assignee: group.assignee.as_ref().map(|(_, name)| name.as_str()),
    });
    let body = rendered(&Body {
        notice_count: grouped(group.notice_count),
        notice_noun: if group.notice_count == 1 { "notice" } else { "notices" },
        // Clients that name no user are many: that nobody is named does not mean that nobody was hurt.
        user_count: if group.user_count > 0 { users(group.user_count) } else { "–".to_owned() },
        user_noun: if group.user_count == 1 { "user" } else { "users" },
        first_seen: times::ago(group.first_seen_at, now),
        last_seen: times::ago(group.last_seen_at, now),
        first_release: group.first_release.as_deref(),
        last_release: group.last_release.as_deref(),
        environments: &group.environments,
        ranges: RANGES
            .iter()
            .map(|(name, label, _)| Range { label, address: format!("{here}?range={name}"), is_chosen: *name == range })
            .collect(),
        chart,
        notice,
        facets: facets.into_iter().map(|facet| facet_view(project.id(), facet)).collect(),
        parts: parts
            .into_iter()
            .map(|parts| PartsView { fingerprint: parts.fingerprint, version: parts.version, parts: parts.parts })
            .collect(),
        history: history.into_iter().map(|change| change_view(change, now)).collect(),
        api_address: format!("/api/v1/projects/{}/groups/{group_id}/notices", project.id()),
    });
    Ok(Some(Piece {
        title: format!("{} · {}", shortened(&group.class, 60), project.name()),
        head,
        body,
        group: Some(GroupPiece::of(&group, members, merged, comments, now)),
        ..Piece::default()
    }))
}

/// The chart of a group, over one of [`RANGES`].
async fn draw(
    reader: &Reader,
    project: &Opened,
    group_id: i64,
    range: &str,
    now: OffsetDateTime,
) -> Result<String, Rejection> {
    let grid = RANGES.iter().find(|(name, ..)| *name == range).map_or(Grid::DAY, |(_, _, grid)| *grid);
    let bars = reader.group_bars(project, &[group_id], grid, now).await?.remove(&group_id).unwrap_or_default();
    let columns: Vec<Column> = bars.iter().map(Column::from).collect();
    let marks = reader.deploy_marks(project, grid.start(now)).await?;
    Ok(chart::chart(&columns, &marks, Duration::seconds(i64::from(grid.step_seconds)), "notices"))
}

/// The notice that a page shows, and where it stands.
struct Shown {
    stored: StoredNotice,
    around: Around,
    newest_id: NoticeId,
    attachments: Vec<Attachment>,
}

/// The newest notice, or the one that is asked for. `None` when that is not there; `Some(None)` when none is kept.
async fn show_notice(
    reader: &Reader,
    project: &Opened,
    group_id: i64,
    notice_id: Option<NoticeId>,
) -> Result<Option<Option<Shown>>, Rejection> {
    let Some(newest) = reader.notices(project, group_id, None, 1).await?.notices.pop() else {
        return Ok(notice_id.is_none().then_some(None));
    };
    let newest_id = newest.id;
    let stored = match notice_id.filter(|id| *id != newest_id) {
        None => newest,
        Some(id) => match reader.notice_in_group(project, group_id, id).await? {
            Some(stored) => stored,
            None => return Ok(None),
        },
    };
    let around = reader.around(project, group_id, stored.id).await?;
    let attachments = match stored.notice.client_id.as_deref() {
        Some(client_id) => reader.attachments(project, client_id).await?,
        None => Vec::new(),
    };
    Ok(Some(Some(Shown { stored, around, newest_id, attachments })))
}

fn chosen_range(query: Option<&str>) -> Option<&'static str> {
    let query = query.unwrap_or_default();
    let chosen = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "range")?.1.into_owned();
    RANGES.iter().map(|(name, ..)| *name).find(|name| *name == chosen)
}

/// What tells most at the first look: the day that it has been going on, or the fortnight.
fn usual_range(group: &Group, now: OffsetDateTime) -> &'static str {
    if now - group.first_seen_at < Duration::HOUR {
        "1h"
    } else if now - group.first_seen_at < Duration::hours(48) && now - group.last_seen_at < Duration::hours(24) {
        "24h"
    } else if now - group.last_seen_at < Duration::days(14) {
        "14d"
    } else {
        "90d"
    }
}

fn facet_view(project_id: i64, facet: Facet) -> FacetView {
    // Facets that the search box knows by their own name.
    const NAMED: [&str; 7] = ["environment", "release", "hostname", "action", "cause", "severity", "notifier"];
    let search_key = if NAMED.contains(&facet.key.as_str()) { facet.key.clone() } else { format!("tag.{}", facet.key) };
    let share =
        |count: i64| (percent(count, facet.total), format!("{:.1}%", count as f64 * 100.0 / facet.total.max(1) as f64));
    let mut rows: Vec<ShareView> = facet
        .values
        .iter()
        .map(|value| {
            let (percent, width) = share(value.notice_count);
            let query = format!("{search_key}:\"{}\"", value.value.replace('\\', "\\\\").replace('"', "\\\""));
            ShareView {
                full: format!("{}: {}", value.value, counted(value.notice_count, "notice", "notices")),
                address: Some(format!("/projects/{project_id}/groups?state=all&query={}", in_address(&query))),
                value: shortened(&value.value, VALUE_CHARS_MAX),
                share: percent,
                width,
            }
        })
        .collect();
    if facet.other_count > 0 {
        let (percent, width) = share(facet.other_count);
        rows.push(ShareView {
            value: "other".to_owned(),
            full: counted(facet.other_count, "notice", "notices"),
            address: None,
            share: percent,
            width,
        });
    }
    FacetView { title: facet.key, rows }
}

fn change_view(change: Change, now: OffsetDateTime) -> ChangeView {
    ChangeView {
        at: times::ago(change.at, now),
        actor: change.actor.unwrap_or_else(|| "Croak".to_owned()),
        what: match change.kind.as_str() {
            "resolved" => "resolved it".to_owned(),
            "reopened" => "reopened it".to_owned(),
            "muted" => "muted it".to_owned(),
            "unmuted" => "ended its mute".to_owned(),
            "assigned" => "assigned it".to_owned(),
            "unassigned" => "assigned it to nobody".to_owned(),
            "merged" => "merged it".to_owned(),
            "unmerged" => "took a merge back".to_owned(),
            other => other.to_owned(),
        },
        detail: change.detail,
    }
}

/// A number in a path. What is no number names nothing.
pub(super) fn number(text: &str) -> Result<i64, Rejection> {
    text.parse().ok().filter(|number| *number > 0).ok_or(Rejection::NotFound)
}
