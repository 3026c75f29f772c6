//! `croak bench find`: how long somebody waits who looks for a group among many.
//!
//! Cold is what nobody asked for lately: it is read from the database, which has nothing in its own memory when it has just been started (the
//! system may have the files in its). Warm is the same asked for again at once: it lies ready. Lists of different lengths are different lists, so that there are enough of the first kind.

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use hdrhistogram::Histogram;
use serde::Serialize;

use super::api::Api;
use super::report::{ReportArgs, Section, number};
use super::sign_in::sign_in;
use super::tally::{Times, histogram, record};
use super::target::{ReachArgs, Target};
use super::visits;
use super::wire::Connection;
use crate::output::Output;

/// Lists of different lengths.
const LENGTHS: std::ops::Range<usize> = 20..60;
/// Every order that a list can have.
const SORTS: [&str; 4] = ["last_seen", "first_seen", "count", "users"];
/// Groups that are looked at themselves.
const GROUPS_MAX: usize = 400;
/// What is looked for: words of `croak generate`, frequent and rare ones.
const SEARCHES: [(&str, &str); 18] = [
    ("all", ""),
    ("state", "is:unresolved"),
    ("word", "timeout"),
    ("rare word", "charge_refund"),
    ("number in a message", "cannot 4711"),
    ("text", "\"the other side went away\""),
    ("class", "class:Stripe"),
    ("class and text", "class:Redis message:\"publish order\""),
    ("file", "file:models/refund"),
    ("function", "function:charge_stock"),
    ("frequent facet", "environment:production"),
    ("release", "release:1.7.2"),
    ("tag", "tag.shop:jp environment:staging"),
    ("left out", "-environment:production -class:Error"),
    ("user", "user:4711"),
    ("nobody's", "is:unassigned count:>100"),
    ("new", "first-seen:<24h"),
    ("quiet", "last-seen:>7d users:>10"),
];

/// Looks for groups in many ways, and times lists that are read and lists that lie ready
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Find {
    /// Address of the web
    #[arg(long, env = "CROAK_WEB_URL", default_value = "http://127.0.0.1:8000")]
    web: String,
    /// Token of the JSON API
    #[arg(long, env = "CROAK_API_TOKEN", hide_env_values = true)]
    token: String,
    /// Number of the project, as `croak generate` filled it
    #[arg(long, default_value_t = 1)]
    project: i64,
    /// Lists of each search and order
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u8).range(1..=40))]
    lists: u8,
    /// Who signs in, for the pages
    #[arg(long, requires = "password")]
    email: Option<String>,
    /// Their password
    #[arg(long, env = "CROAK_USER_PASSWORD", hide_env_values = true)]
    password: Option<String>,
    #[command(flatten)]
    reach: ReachArgs,
    #[command(flatten)]
    report: ReportArgs,
}

/// How long one kind of search took, or one kind of page.
#[derive(Clone, Debug, Serialize)]
struct Found {
    name: &'static str,
    query: &'static str,
    /// Groups of the first page of a search, pages of a kind.
    count: usize,
    cold: Times,
    warm: Times,
}

/// The times of what was read twice.
struct Twice {
    cold: Histogram<u64>,
    warm: Histogram<u64>,
}

impl Find {
    pub(crate) async fn run(self, output: Output) -> anyhow::Result<ExitCode> {
        self.report.check()?;
        let mut api = Api::new(self.reach.find(&self.web).await?, self.token.clone(), self.project);
        let mut all = Twice::new();
        let mut found = Vec::new();
        let mut group_ids = BTreeSet::new();
        for (name, query) in SEARCHES {
            let mut times = Twice::new();
            let mut count = 0;
            for sort in SORTS {
                for limit in LENGTHS.take(self.lists.into()) {
                    let query: String = url_encoded(query);
                    let path = format!("/groups?query={query}&sort={sort}&limit={limit}");
                    let ids = time(&mut api, &path, &mut times.cold)
                        .await
                        .with_context(|| format!("searching for {name}"))?;
                    time(&mut api, &path, &mut times.warm).await?;
                    count = ids.len();
                    group_ids.extend(ids);
                }
            }
            all.add(&times);
            found.push(times.found(name, query, count));
        }
        let together = all.found("together", "", 0);
        let pages = self.pages(&api, &group_ids).await?;
        let mut report = self.report.begin("croak bench find");
        let slowest = |found: &[Found]| found.iter().map(|found| found.cold.p95_ms).fold(0.0, f64::max);
        let figures = serde_json::json!({
            "searches": found, "cold": together.cold, "warm": together.warm, "slowest_cold_p95_ms": slowest(&found),
            "pages": pages, "slowest_page_cold_p95_ms": slowest(&pages),
        });
        report.add("find", &figures, section(&found, &together, &pages))?;
        self.report.finish(report, output)
    }

    /// Reads groups that were found by the API and, for who signs in, lists and groups as pages.
    async fn pages(&self, api: &Api, group_ids: &BTreeSet<String>) -> anyhow::Result<Vec<Found>> {
        // Spread over all that were found: neighbours lie together in the database.
        let every = group_ids.len().div_ceil(GROUPS_MAX).max(1);
        let group_ids: Vec<&String> = group_ids.iter().step_by(every).collect();
        let mut kinds =
            vec![("group, JSON", group_ids.iter().map(|id| api.request(&format!("/groups/{id}"))).collect())];
        if let (Some(email), Some(password)) = (&self.email, &self.password) {
            let cookie = sign_in(&api.target, email, password).await?;
            let page = |path: &str| visits::page_request(&api.target, self.project, &cookie, path);
            let lists = SEARCHES
                .into_iter()
                .flat_map(|(_, query)| SORTS.map(|sort| page(&format!("?query={}&sort={sort}", url_encoded(query)))));
            kinds.push(("groups page", lists.collect::<Vec<_>>()));
            kinds.push(("group page", group_ids.iter().map(|id| page(&format!("/{id}"))).collect()));
        }
        let mut found = Vec::new();
        for (name, requests) in kinds {
            let times = read_twice(&api.target, &requests).await.with_context(|| format!("reading a {name}"))?;
            found.push(times.found(name, "", requests.len()));
        }
        Ok(found)
    }
}

impl Twice {
    fn new() -> Twice {
        Twice { cold: histogram(), warm: histogram() }
    }

    fn add(&mut self, other: &Twice) {
        self.cold.add(&other.cold).expect("all histograms have the same bounds");
        self.warm.add(&other.warm).expect("all histograms have the same bounds");
    }

    fn found(&self, name: &'static str, query: &'static str, count: usize) -> Found {
        Found { name, query, count, cold: Times::of(&self.cold), warm: Times::of(&self.warm) }
    }
}

/// Sends each request twice.
async fn read_twice(target: &Target, requests: &[String]) -> anyhow::Result<Twice> {
    let mut times = Twice::new();
    let mut connection: Option<Connection> = None;
    for request in requests {
        for times in [&mut times.cold, &mut times.warm] {
            let began_at = Instant::now();
            let status = visits::read(target, &mut connection, request).await?;
            record(times, began_at.elapsed());
            ensure!(status == 200, "the web answers {status}");
        }
    }
    Ok(times)
}

/// Reads a list; the groups that it has.
async fn time(api: &mut Api, path: &str, times: &mut Histogram<u64>) -> anyhow::Result<Vec<String>> {
    let began_at = Instant::now();
    let (status, list) = api.get(path).await?;
    let took: Duration = began_at.elapsed();
    ensure!(status == 200, "the web answers {status} for {path}");
    record(times, took);
    Ok(visits::group_ids(&list))
}

fn url_encoded(query: &str) -> String {
    query
        .bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

fn section(found: &[Found], together: &Found, pages: &[Found]) -> Section {
    let row = |found: &Found| {
        let query = if found.query.is_empty() { String::new() } else { format!("`{}`", found.query) };
        let count = if found.count == 0 { String::new() } else { found.count.to_string() };
        let Found { cold, warm, .. } = found;
        let times = [cold.p50_ms, cold.p95_ms, cold.p99_ms, cold.max_ms, warm.p50_ms, warm.p95_ms, warm.p99_ms];
        [found.name.to_owned(), query, count].into_iter().chain(times.map(number)).collect()
    };
    let rows = found.iter().chain([together]).chain(pages).map(row).collect();
    let head =
        ["what", "search", "groups", "cold p50 ms", "p95 ms", "p99 ms", "max ms", "warm p50 ms", "p95 ms", "p99 ms"];
    Section::new("Looking for groups").table(&head, rows)
}
