//! The projects that the visitor is a member of.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use store::reader::{GROUPS_COUNTED_MAX, ProjectCard};
use time::OffsetDateTime;

use super::{Page, Piece, rendered};
use crate::app::App;
use crate::rejection::Rejection;
use crate::view::number::{grouped, up_to};
use crate::view::{chart, times};
use crate::visitor::Visitor;

/// Projects that are listed.
const PROJECTS_MAX: i64 = 200;

#[derive(Template)]
#[template(path = "projects.html")]
struct Projects {
    rows: Vec<Row>,
}

struct Row {
    id: i64,
    name: String,
    slug: String,
    unresolved: String,
    is_broken: bool,
    spark: String,
    day_count: String,
    last_seen: Option<String>,
    deploy: Option<String>,
    deployed: Option<String>,
}

impl Row {
    fn of(card: ProjectCard, now: OffsetDateTime) -> Row {
        Row {
            id: card.project.id,
            unresolved: up_to(card.project.unresolved_group_count, GROUPS_COUNTED_MAX),
            is_broken: card.project.unresolved_group_count > 0,
            name: card.project.name,
            slug: card.project.slug,
            spark: chart::sparkline(&card.hours, "notices in 24 hours"),
            day_count: grouped(card.hours.iter().sum()),
            last_seen: card.last_seen_at.map(|at| times::ago(at, now)),
            deploy: card.last_deploy,
            deployed: card.last_deploy_at.map(|at| times::ago(at, now)),
        }
    }
}

pub(crate) async fn home(_: Visitor) -> Response {
    Redirect::to("/projects").into_response()
}

pub(crate) async fn page(State(app): State<App>, visitor: Visitor) -> Result<Response, Rejection> {
    let viewer = visitor.viewer();
    let key = format!("projects of {}", visitor.account.id);
    let piece = app
        .piece(key, visitor.seen.as_ref(), move |reader| async move {
            let cards = reader.project_cards(viewer, PROJECTS_MAX).await?;
            let now = OffsetDateTime::now_utc();
            let rows = cards.into_iter().map(|card| Row::of(card, now)).collect();
            Ok(Some(Piece { title: "Projects".into(), body: rendered(&Projects { rows }), ..Piece::default() }))
        })
        .await?;
    Ok(Page { visitor: &visitor, project: None, path: "/projects", piece: &piece, actions: "" }.answer(&app.keys))
}
