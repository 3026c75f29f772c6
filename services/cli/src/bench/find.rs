//! `croak bench find`: how long somebody waits who looks for a group among many.
//!
//! Cold is a list that nobody asked for lately: it is read from the database. Warm is the same list asked for again at once: it
//! lies ready. Lists of different lengths are different lists, so that there are enough of the first kind.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use hdrhistogram::Histogram;
use serde::Serialize;

use super::api::Api;
use super::report::{ReportArgs, Section, number};
use super::tally::{Times, histogram, record};
use super::target::ReachArgs;
use crate::output::Output;

/// Lists of different lengths.
const LENGTHS: std::ops::Range<usize> = 20..60;
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
    #[command(flatten)]
    reach: ReachArgs,
    #[command(flatten)]
    report: ReportArgs,
}

/// How long one kind of search took.
#[derive(Clone, Debug, Serialize)]
struct Found {
    name: &'static str,
    query: &'static str,
    /// Groups of the first page.
    groups: usize,
    cold: Times,
    warm: Times,
}

impl Find {
    pub(crate) async fn run(self, output: Output) -> anyhow::Result<ExitCode> {
        self.report.check()?;
        let mut api = Api::new(self.reach.find(&self.web).await?, self.token.clone(), self.project);
        let (mut all_cold, mut all_warm) = (histogram(), histogram());
        let mut found = Vec::new();
        for (name, query) in SEARCHES {
            let (mut cold, mut warm) = (histogram(), histogram());
            let mut groups = 0;
            for sort in ["last_seen", "first_seen", "count", "users"] {
                for limit in LENGTHS.take(self.lists.into()) {
                    let query: String = url_encoded(query);
                    let path = format!("/groups?query={query}&sort={sort}&limit={limit}");
                    groups = time(&mut api, &path, &mut cold).await.with_context(|| format!("searching for {name}"))?;
                    time(&mut api, &path, &mut warm).await?;
                }
            }
            add(&mut all_cold, &cold);
            add(&mut all_warm, &warm);
            found.push(Found { name, query, groups, cold: Times::of(&cold), warm: Times::of(&warm) });
        }
        let mut report = self.report.begin("croak bench find");
        let (cold, warm) = (Times::of(&all_cold), Times::of(&all_warm));
        let slowest = found.iter().map(|found| found.cold.p95_ms).fold(0.0, f64::max);
        let figures =
            serde_json::json!({"searches": found, "cold": cold, "warm": warm, "slowest_cold_p95_ms": slowest});
        report.add("find", &figures, section(&found, cold, warm))?;
        self.report.finish(report, output)
    }
}

/// Reads a list; how many groups it has.
async fn time(api: &mut Api, path: &str, times: &mut Histogram<u64>) -> anyhow::Result<usize> {
    let began_at = Instant::now();
    let (status, list) = api.get(path).await?;
    let took: Duration = began_at.elapsed();
    ensure!(status == 200, "the web answers {status} for {path}");
    record(times, took);
    Ok(super::visits::group_ids(&list).len())
}

fn add(all: &mut Histogram<u64>, times: &Histogram<u64>) {
    all.add(times).expect("all histograms have the same bounds");
}

fn url_encoded(query: &str) -> String {
    query
        .bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

fn section(found: &[Found], cold: Times, warm: Times) -> Section {
    let row = |name: String, query: String, groups: String, cold: &Times, warm: &Times| {
        let times = [cold.p50_ms, cold.p95_ms, cold.p99_ms, cold.max_ms, warm.p50_ms, warm.p95_ms, warm.p99_ms];
        [name, query, groups].into_iter().chain(times.map(number)).collect()
    };
    let mut rows: Vec<Vec<String>> = found
        .iter()
        .map(|found| {
            let query = if found.query.is_empty() { String::new() } else { format!("`{}`", found.query) };
            row(found.name.into(), query, found.groups.to_string(), &found.cold, &found.warm)
        })
        .collect();
    rows.push(row("together".into(), String::new(), String::new(), &cold, &warm));
    let head =
        ["what", "search", "groups", "cold p50 ms", "p95 ms", "p99 ms", "max ms", "warm p50 ms", "p95 ms", "p99 ms"];
    Section::new("Looking for groups").table(&head, rows)
}
