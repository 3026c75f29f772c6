//! The installation, for those who keep it running: who runs, what waits, what takes the disk, and what is dead.
//!
//! To everybody else there is no such page.

use std::collections::HashMap;

use askama::Template;
use axum::extract::{Form, Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use service::proto::command::command::Action;
use service::proto::command::{DeadNoticeId, DropDeadNotice, RetryDeadNotice, RetryDeadNotices};
use store::reader::{DeadLine, JournalLine, LATELY_MINUTES, Lane, TableSize, Worker};
use time::OffsetDateTime;

use super::order::order;
use super::sent::{Sent, hidden};
use super::{Page, Piece, rendered};
use crate::app::App;
use crate::rejection::Rejection;
use crate::view::number::{bytes, counted, grouped};
use crate::view::text::shortened;
use crate::view::times;
use crate::visitor::Visitor;

/// Most rows of each list.
const ROWS_MAX: i64 = 100;
/// Tables that are listed: the others are small.
const TABLES_MAX: i64 = 12;
/// Characters of the words about a dead record.
const DETAIL_CHARS: usize = 200;

#[derive(Template)]
#[template(path = "operator.html")]
struct Operator<'a> {
    stored_per_minute: String,
    waiting: String,
    oldest: String,
    disk: String,
    dead: String,
    is_dead: bool,
    lost: String,
    is_lost: bool,
    outbox_waiting: String,
    workers: Vec<WorkerRow>,
    lanes_without_owner: Option<String>,
    journals: Vec<JournalRow>,
    tables: Vec<TableRow>,
    reasons: Vec<(String, String)>,
    dead_rows: Vec<DeadRow>,
    is_cut: bool,
    form_token: &'a str,
}

struct WorkerRow {
    id: String,
    roles: String,
    version: String,
    lanes: String,
    waiting: String,
    oldest: String,
}

struct JournalRow {
    journal: String,
    waiting: String,
    oldest: String,
    heard: String,
}

struct TableRow {
    name: String,
    size: String,
    rows: String,
    days: String,
}

struct DeadRow {
    line: DeadLine,
    reason: String,
    detail: String,
    at: String,
}

impl Operator<'_> {
    fn hidden(&self) -> String {
        hidden(self.form_token)
    }
}

pub(crate) async fn page(State(app): State<App>, visitor: Visitor) -> Result<Response, Rejection> {
    if !visitor.account.is_operator {
        return Err(Rejection::NotFound);
    }
    let now = OffsetDateTime::now_utc();
    let totals = app.reader.totals().await?;
    let lanes = app.reader.lanes().await?;
    let workers = app.reader.workers().await?;
    let dead = app.reader.dead_records(ROWS_MAX).await?;
    let without_owner =
        lanes.iter().filter(|lane| lane.owner.is_none() && (!lane.is_retired || lane.waiting > 0)).count();
    let oldest = lanes.iter().filter_map(|lane| lane.oldest_at).min();
    let body = rendered(&Operator {
        stored_per_minute: grouped(totals.stored_lately / LATELY_MINUTES),
        waiting: grouped(lanes.iter().map(|lane| lane.waiting).sum()),
        oldest: span(oldest, now),
        disk: bytes(totals.byte_count),
        dead: grouped(totals.dead_count),
        is_dead: totals.dead_count > 0,
        lost: grouped(totals.incident_record_count),
        is_lost: totals.incident_record_count > 0,
        outbox_waiting: grouped(totals.outbox_waiting),
        workers: worker_rows(workers, &lanes, now),
        lanes_without_owner: (without_owner > 0)
            .then(|| counted(i64::try_from(without_owner).unwrap_or(i64::MAX), "lane", "lanes")),
        journals: app.reader.journals(ROWS_MAX).await?.into_iter().map(|line| journal_row(&line, now)).collect(),
        tables: app.reader.tables(TABLES_MAX).await?.into_iter().map(table_row).collect(),
        reasons: app
            .reader
            .dead_by_reason()
            .await?
            .into_iter()
            .map(|(reason, count)| (reason, counted(count, "record", "records")))
            .collect(),
        is_cut: totals.dead_count > ROWS_MAX,
        dead_rows: dead
            .into_iter()
            .map(|line| DeadRow {
                reason: line.reason.replace('_', " "),
                detail: shortened(&line.detail, DETAIL_CHARS),
                at: times::ago(line.at, now),
                line,
            })
            .collect(),
        form_token: &visitor.form_token,
    });
    let piece = Piece { title: "The installation".to_owned(), body, ..Piece::default() };
    Ok(Page { visitor: &visitor, project: None, path: "/operator", piece: &piece, actions: "" }.answer(&app.keys))
}

/// What the forms about dead records ask for; the last part of the address says what.
pub(crate) async fn act(
    State(app): State<App>,
    visitor: Visitor,
    Path(action): Path<String>,
    headers: HeaderMap,
    Form(sent): Form<Sent>,
) -> Result<Response, Rejection> {
    if !visitor.account.is_operator {
        return Err(Rejection::NotFound);
    }
    let dead = Some(DeadNoticeId {
        journal: sent.text("journal").to_owned(),
        epoch: sent.number("epoch"),
        lane: sent.number("lane"),
        seq: sent.number("seq"),
    });
    let (action, done) = match action.as_str() {
        "retry" => (
            Action::RetryDeadNotice(RetryDeadNotice { dead }),
            "A worker tries it again: if it is good now it is in its group in a moment.",
        ),
        "retry-all" => (
            Action::RetryDeadNotices(RetryDeadNotices { reason: sent.text("reason").to_owned() }),
            "Workers try them again: what is good now is in its group in a moment.",
        ),
        "drop" => (Action::DropDeadNotice(DropDeadNotice { dead }), "Dropped. An incident says that it was."),
        _ => return Err(Rejection::NotFound),
    };
    let ordered = order(&app, &visitor, &sent.asked(0), action).await?;
    Ok(ordered.lead_to(&app, &headers, "/operator", done))
}

/// Workers with what waits in the lanes that they hold.
fn worker_rows(workers: Vec<Worker>, lanes: &[Lane], now: OffsetDateTime) -> Vec<WorkerRow> {
    let mut held: HashMap<&str, Vec<&Lane>> = HashMap::new();
    for lane in lanes {
        if let Some(owner) = &lane.owner {
            held.entry(owner).or_default().push(lane);
        }
    }
    let rows = workers.into_iter().map(|worker| {
        let own = held.get(worker.id.as_str()).map(Vec::as_slice).unwrap_or_default();
        let roles = worker.roles.iter().map(|role| match role.as_str() {
            "deliver" if !worker.sends_mail => "deliver (no mail)",
            role => role,
        });
        WorkerRow {
            roles: roles.collect::<Vec<_>>().join(", "),
            lanes: grouped(i64::try_from(own.len()).unwrap_or(i64::MAX)),
            waiting: grouped(own.iter().map(|lane| lane.waiting).sum()),
            oldest: span(own.iter().filter_map(|lane| lane.oldest_at).min(), now),
            id: worker.id,
            version: worker.version,
        }
    });
    rows.collect()
}

fn journal_row(line: &JournalLine, now: OffsetDateTime) -> JournalRow {
    JournalRow {
        journal: line.journal.to_string(),
        waiting: grouped(line.waiting),
        oldest: span(line.oldest_at, now),
        heard: times::ago(line.as_of, now),
    }
}

fn table_row(table: TableSize) -> TableRow {
    let days = match (table.first_day, table.last_day) {
        (Some(first), Some(last)) => format!("{first} to {last}"),
        _ => "–".to_owned(),
    };
    TableRow { name: table.name, size: bytes(table.byte_count), rows: grouped(table.row_count), days }
}

/// How long ago something was, in words; a dash where there is nothing.
fn span(at: Option<OffsetDateTime>, now: OffsetDateTime) -> String {
    at.map_or_else(|| "–".to_owned(), |at| times::span_in_words(now - at))
}
