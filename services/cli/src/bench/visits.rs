//! What somebody who looks at pages has to wait meanwhile.
//!
//! They look at so many different pages that each is old when they come back to it: what is timed are pages that are
//! read for them, not those that happen to lie ready. `croak bench pages` times the others.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde::Serialize;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::api::Api;
use super::tally::{Times, histogram, record};
use super::target::Target;
use super::wire::Connection;

/// Groups whose pages are looked at.
const GROUPS_MAX: usize = 200;
/// Lists of different lengths.
const LIST_LENGTHS: std::ops::Range<usize> = 20..60;
/// A read that takes longer counts as failed.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// Pages of one kind, looked at in turn.
#[derive(Clone)]
pub(crate) struct Visits {
    pub(crate) name: &'static str,
    requests: Vec<String>,
}

/// How long they took.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Visited {
    pub(crate) name: &'static str,
    #[serde(flatten)]
    pub(crate) times: Times,
    pub(crate) failed: u64,
}

/// Everything that is looked at: lists by the API, and pages for who is signed in.
pub(crate) async fn all(api: &mut Api, cookie: Option<&str>) -> anyhow::Result<Vec<Visits>> {
    let lists = LIST_LENGTHS.map(|limit| api.request(&format!("/groups?limit={limit}"))).collect();
    let mut all = vec![Visits { name: "list, JSON", requests: lists }];
    let Some(cookie) = cookie else { return Ok(all) };

    let page = |path: String| page_request(&api.target, api.project, cookie, &path);
    let mut lists = Vec::new();
    for sort in ["last_seen", "first_seen", "count", "users"] {
        for state in ["unresolved", "resolved", "muted", "all"] {
            for span in ["24h", "14d"] {
                lists.push(page(format!("?sort={sort}&state={state}&span={span}")));
            }
        }
    }
    let ids = group_ids(&api.clone().get(&format!("/groups?limit={GROUPS_MAX}")).await?.1);
    all.push(Visits { name: "groups page", requests: lists });
    if !ids.is_empty() {
        all.push(Visits { name: "group page", requests: ids.iter().map(|id| page(format!("/{id}"))).collect() });
    }
    Ok(all)
}

/// The request for a page about a project's groups, of whoever has the cookie.
pub(crate) fn page_request(target: &Target, project: i64, cookie: &str, path: &str) -> String {
    format!("GET /projects/{project}/groups{path} HTTP/1.1\r\nHost: {}\r\nCookie: {cookie}\r\n\r\n", target.authority)
}

/// The ids of a list of groups.
pub(crate) fn group_ids(list: &[u8]) -> Vec<String> {
    let list: serde_json::Value = serde_json::from_slice(list).unwrap_or_default();
    let items = list["items"].as_array().map(Vec::as_slice).unwrap_or_default();
    items.iter().filter_map(|group| group["id"].as_str().map(str::to_owned)).collect()
}

/// Looks at all of them, together `per_second`, until told to stop.
pub(crate) async fn visit(target: &Target, all: &[Visits], per_second: f64, stop: CancellationToken) -> Vec<Visited> {
    let mut visiting = JoinSet::new();
    let every = Duration::from_secs_f64(all.len() as f64 / per_second);
    for (place, visits) in all.iter().enumerate() {
        let (target, visits, stop) = (target.clone(), visits.clone(), stop.clone());
        visiting.spawn(async move { (place, visits.go(&target, every, stop).await) });
    }
    let mut visited = visiting.join_all().await;
    visited.sort_by_key(|(place, _)| *place);
    visited.into_iter().map(|(_, visited)| visited).collect()
}

impl Visits {
    async fn go(self, target: &Target, every: Duration, stop: CancellationToken) -> Visited {
        let (mut times, mut failed): (Histogram<u64>, u64) = (histogram(), 0);
        let mut connection = None;
        let mut ticks = tokio::time::interval(every);
        for request in self.requests.iter().cycle() {
            let Some(due) = stop.run_until_cancelled(ticks.tick()).await else { break };
            // The runtime's timer rounds up to milliseconds: that is not the page's time. More is.
            const ROUNDING: Duration = Duration::from_millis(2);
            let now = Instant::now();
            let due = if now.saturating_duration_since(due.into_std()) < ROUNDING { now } else { due.into_std() };
            match tokio::time::timeout(ANSWER_WITHIN, read(target, &mut connection, request)).await {
                Ok(Ok(200)) => record(&mut times, due.elapsed()),
                _ => failed += 1,
            }
        }
        Visited { name: self.name, times: Times::of(&times), failed }
    }
}

/// Sends a request on a connection that is kept, or a new one; the status of the answer.
pub(crate) async fn read(target: &Target, connection: &mut Option<Connection>, request: &str) -> std::io::Result<u16> {
    let mut open = match connection.take() {
        Some(open) => open,
        None => Connection::open(target).await?,
    };
    let answer = open.exchange(request.as_bytes()).await?;
    let (status, is_last) = (answer.status, answer.is_last);
    if !is_last {
        *connection = Some(open);
    }
    Ok(status)
}
