//! How notices travel: what came in, what waits, what was refused, and where a single notice is.

use std::collections::HashMap;
use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::http::Uri;
use axum::response::Response;
use store::Reader;
use store::reader::{BucketSize, DeadReason, Ending, Lane, Opened, Stage};
use time::{Duration, OffsetDateTime};

use super::{Page, Piece, Tab, rendered};
use crate::app::App;
use crate::rejection::Rejection;
use crate::view::chart::{self, Column};
use crate::view::number::{counted, grouped};
use crate::view::text::shortened;
use crate::view::times;
use crate::visitor::Visitor;

/// Lanes that are listed one by one.
const LANES_MAX: usize = 64;

const RANGES: [(&str, &str, BucketSize, i64); 3] = [
    ("1h", "1 hour", BucketSize::Minute, 60),
    ("24h", "24 hours", BucketSize::Hour, 24),
    ("14d", "14 days", BucketSize::Day, 14),
];

#[derive(Template)]
#[template(path = "ingest.html")]
struct Ingest<'a> {
    project_name: &'a str,
    ranges: Vec<Range>,
    received: String,
    stored: String,
    refused: String,
    is_refused: bool,
    dead: String,
    is_dead: bool,
    lost: String,
    chart: String,
    refusals: Vec<Reason>,
    losses: Vec<Reason>,
    counted: Vec<Reason>,
    dead_reasons: Vec<Dead>,
    waiting: String,
    is_waiting: bool,
    oldest: Option<String>,
    as_of: Option<String>,
    fold: Option<String>,
    lanes: Vec<LaneView>,
    lanes_idle: usize,
    workers: Vec<WorkerView>,
    asked: &'a str,
    answer: Option<(String, Option<String>)>,
}

struct Range {
    label: &'static str,
    address: String,
    is_chosen: bool,
}

struct Reason {
    reason: String,
    count: String,
}

struct Dead {
    reason: String,
    count: String,
    detail: String,
    last: String,
}

struct LaneView {
    lane: i32,
    waiting: String,
    oldest: String,
    committed: String,
    owner: String,
}

struct WorkerView {
    id: String,
    roles: String,
    version: String,
}

pub(crate) async fn page(
    State(app): State<App>,
    visitor: Visitor,
    Path(project_id): Path<String>,
    uri: Uri,
) -> Result<Response, Rejection> {
    let project_id: i64 = project_id.parse().map_err(|_| Rejection::NotFound)?;
    let opened = app.open(visitor.viewer(), project_id).await?;
    let params: HashMap<String, String> =
        url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
    let asked = params.get("notice").map(|id| id.trim().to_owned()).unwrap_or_default();
    let wanted = params.get("range").map_or("24h", String::as_str);
    let range = RANGES.iter().position(|(name, ..)| *name == wanted).unwrap_or(1);
    let project = Arc::clone(&opened);
    let key = format!("ingest {project_id} {range} {asked}");
    let piece = app
        .piece(key, visitor.seen.as_ref(), move |reader| async move {
            read(&reader, &project, range, &asked).await.map(Some)
        })
        .await?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let page = Page { visitor: &visitor, project: Some((&opened, Tab::Ingest)), path, piece: &piece, actions: "" };
    Ok(page.answer(&app.keys))
}

async fn read(reader: &Reader, project: &Opened, range: usize, asked: &str) -> Result<Piece, Rejection> {
    let now = OffsetDateTime::now_utc();
    let (_, _, size, count) = RANGES[range];
    let step = size.seconds();
    let present = now.unix_timestamp().div_euclid(step) * step;
    let at = |number: i64| OffsetDateTime::from_unix_timestamp(present - (count - 1 - number) * step).unwrap_or(now);
    let since = at(0);

    let buckets = reader.stats(project, since, now + Duration::MINUTE, size).await?;
    let intake = reader.intake(project, since).await?;
    let lanes = reader.lanes().await?;
    let workers = reader.workers().await?;

    let columns: Vec<Column> = (0..count)
        .map(|number| {
            let bucket = buckets.get(&at(number)).cloned().unwrap_or_default();
            Column { at: at(number), count: bucket.stored, refused: bucket.refused.values().sum::<i64>() + bucket.dead }
        })
        .collect();
    let sum_of =
        |ending: &str| intake.endings.iter().filter(|row| row.ending == ending).map(|row| row.count).sum::<i64>();
    let refused = sum_of("refused");
    let dead: i64 = intake.dead.iter().map(|dead| dead.count).sum();
    let dead_lately: i64 = buckets.values().map(|bucket| bucket.dead).sum();
    let waiting: i64 = lanes.iter().map(|lane| lane.waiting).sum();
    let busy: Vec<&Lane> =
        lanes.iter().filter(|lane| lane.waiting > 0 || lane.as_of.is_some()).take(LANES_MAX).collect();
    let base = format!("/projects/{}/ingest", project.id());

    let body = rendered(&Ingest {
        project_name: project.name(),
        ranges: RANGES
            .iter()
            .enumerate()
            .map(|(number, (name, label, ..))| Range {
                label,
                address: format!("{base}?range={name}"),
                is_chosen: number == range,
            })
            .collect(),
        received: grouped(intake.stored + refused + dead_lately),
        stored: grouped(intake.stored),
        refused: grouped(refused),
        is_refused: refused > 0,
        dead: grouped(dead),
        is_dead: dead > 0,
        lost: grouped(sum_of("lost_in_client")),
        chart: chart::chart(&columns, &[], Duration::seconds(step), "notices stored"),
        refusals: reasons(&intake.endings, "refused"),
        losses: reasons(&intake.endings, "lost_in_client"),
        counted: reasons(&intake.endings, "not_kept"),
        dead_reasons: intake.dead.iter().map(|dead| dead_view(dead, now)).collect(),
        waiting: grouped(waiting),
        is_waiting: waiting > 0,
        oldest: lanes.iter().filter_map(|lane| lane.oldest_at).min().map(|at| times::span_in_words(now - at)),
        as_of: lanes.iter().filter_map(|lane| lane.as_of).max().map(|at| times::ago(at, now)),
        fold: (intake.fold.chunk_count > 0)
            .then(|| format!("{:.1}", intake.fold.notice_count as f64 / intake.fold.chunk_count as f64)),
        lanes_idle: lanes.len() - busy.len(),
        lanes: busy
            .into_iter()
            .map(|lane| LaneView {
                lane: lane.lane,
                waiting: grouped(lane.waiting),
                oldest: lane.oldest_at.map_or_else(|| "–".to_owned(), |at| times::span_in_words(now - at)),
                committed: lane.committed_through.map_or_else(|| "–".to_owned(), |at| times::ago(at, now)),
                owner: lane.owner.clone().unwrap_or_else(|| "nobody".to_owned()),
            })
            .collect(),
        workers: workers
            .into_iter()
            .map(|worker| WorkerView { id: worker.id, roles: worker.roles.join(", "), version: worker.version })
            .collect(),
        asked,
        answer: if asked.is_empty() { None } else { Some(where_is(reader, project, asked).await?) },
    });
    Ok(Piece { title: format!("Ingest · {}", project.name()), body, ..Piece::default() })
}

/// Where a notice is, in words, and the address of it when it is somewhere.
async fn where_is(reader: &Reader, project: &Opened, asked: &str) -> Result<(String, Option<String>), Rejection> {
    let (id, stage) = reader.located(project, asked).await?;
    if id.is_none() {
        let told = "Unknown: no client has given this id to a notice. Croak's own ids are UUIDs, as in its answer to the client.";
        return Ok((told.to_owned(), None));
    }
    Ok(match stage {
        Stage::Stored(group_id) => {
            let address = id.map(|id| format!("/projects/{}/groups/{group_id}/notices/{id}", project.id()));
            ("Stored".to_owned(), address)
        }
        Stage::Queued => ("Queued: a gateway has it on its disk, the database does not have it yet.".to_owned(), None),
        Stage::Dead => (
            "Dead: it could not be processed and is kept raw. `croak dead show` has it, with the reason.".to_owned(),
            None,
        ),
        Stage::Unknown => ("Unknown: no such notice came into this project.".to_owned(), None),
    })
}

fn reasons(endings: &[Ending], ending: &str) -> Vec<Reason> {
    endings
        .iter()
        .filter(|row| row.ending == ending)
        .map(|row| Reason { reason: row.reason.replace('_', " "), count: grouped(row.count) })
        .collect()
}

fn dead_view(dead: &DeadReason, now: OffsetDateTime) -> Dead {
    Dead {
        reason: dead.reason.replace('_', " "),
        count: counted(dead.count, "notice", "notices"),
        detail: shortened(&dead.detail, 200),
        last: times::ago(dead.last_at, now),
    }
}
