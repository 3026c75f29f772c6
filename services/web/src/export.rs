//! A search as NDJSON: a line for each group, or for each notice of them.
//!
//! Read page by page while it is sent, so that memory does not grow with it. The order is that of the groups' first sight, newest
//! first: nothing that happens meanwhile moves a group from one page to another.

use std::collections::VecDeque;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures::stream;
use notice::NoticeId;
use store::Reader;
use store::reader::{Group, GroupFilter, GroupSort, Opened, StoredNotice};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::api::shapes;
use crate::app::App;
use crate::rejection::Rejection;

/// Exports at a time: each keeps a connection to the database busy.
const EXPORTS_MAX: usize = 2;
/// Groups that are read at once.
const GROUPS_AT_ONCE: usize = 200;
/// Notices that are read at once: a body can have a megabyte.
const NOTICES_AT_ONCE: usize = 16;

/// The places of exports.
pub(crate) fn places() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(EXPORTS_MAX))
}

/// What a line is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lines {
    Groups,
    Notices,
}

impl Lines {
    /// What the parameter `notices` asks for.
    pub(crate) fn asked(notices: Option<&str>) -> Lines {
        if notices == Some("1") { Lines::Notices } else { Lines::Groups }
    }
}

/// The answer that streams what a filter finds in a project.
pub(crate) fn export(app: &App, opened: Arc<Opened>, filter: GroupFilter, lines: Lines) -> Result<Response, Rejection> {
    let place = Arc::clone(&app.exports).try_acquire_owned().map_err(|_| Rejection::TooManyExports)?;
    let name = format!(
        "attachment; filename=\"{}-{}.ndjson\"",
        opened.slug(),
        if lines == Lines::Notices { "notices" } else { "groups" }
    );
    let export = Export {
        reader: app.reader.clone(),
        opened,
        filter: GroupFilter { sort: GroupSort::FirstSeen, ..filter },
        lines,
        public_url: app.public_url.clone(),
        cursor: None,
        groups: VecDeque::new(),
        is_at_end: false,
        before: None,
        _place: place,
    };
    let body = Body::from_stream(stream::try_unfold(export, |mut export| async move {
        let piece = export.next().await.inspect_err(|error| {
            tracing::warn!(causes = service::causes(error), "an export breaks off");
        })?;
        Ok::<_, axum::BoxError>(piece.map(|piece| (piece, export)))
    }));
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson")),
        (header::CACHE_CONTROL, HeaderValue::from_static("private, no-store")),
        (
            header::CONTENT_DISPOSITION,
            HeaderValue::from_str(&name).unwrap_or_else(|_| HeaderValue::from_static("attachment")),
        ),
    ];
    Ok((headers, body).into_response())
}

struct Export {
    reader: Reader,
    opened: Arc<Opened>,
    filter: GroupFilter,
    lines: Lines,
    public_url: Option<String>,
    /// Where the list of groups goes on.
    cursor: Option<String>,
    /// Groups that were read and not sent.
    groups: VecDeque<Group>,
    is_at_end: bool,
    /// Where the notices of the first of them go on.
    before: Option<NoticeId>,
    _place: OwnedSemaphorePermit,
}

impl Export {
    /// The next lines; nothing at the end.
    async fn next(&mut self) -> Result<Option<Bytes>, store::reader::ReadError> {
        loop {
            if self.groups.is_empty() {
                if self.is_at_end {
                    return Ok(None);
                }
                self.read_groups().await?;
                continue;
            }
            if self.lines == Lines::Groups {
                let shape = |group: Group| shapes::group(&group, self.public_url.as_deref()).to_string();
                return Ok(Some(lines(self.groups.drain(..).map(shape))));
            }
            let Some(group) = self.groups.front() else { continue };
            let page = self.reader.notices(&self.opened, group.id, self.before, NOTICES_AT_ONCE).await?;
            self.before = page.next;
            if page.next.is_none() {
                self.groups.pop_front();
            }
            if !page.notices.is_empty() {
                return Ok(Some(lines(
                    page.notices.iter().map(StoredNotice::to_json).map(|notice| notice.to_string()),
                )));
            }
        }
    }

    async fn read_groups(&mut self) -> Result<(), store::reader::ReadError> {
        let cursor = self.cursor.take();
        match self.reader.groups(&self.opened, &self.filter, cursor.as_deref(), GROUPS_AT_ONCE).await? {
            Ok(page) => {
                self.is_at_end = page.next.is_none();
                self.cursor = page.next;
                self.groups = page.groups.into();
            }
            // The cursor is our own, of this same list.
            Err(_) => self.is_at_end = true,
        }
        Ok(())
    }
}

fn lines(shapes: impl Iterator<Item = String>) -> Bytes {
    let mut text = String::new();
    for shape in shapes {
        text.push_str(&shape);
        text.push('\n');
    }
    text.into()
}
