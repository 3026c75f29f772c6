//! `croak bench pages`: how fast what lies ready is read.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde::Serialize;

use super::api::Api;
use super::body::KeepAlive;
use super::load::Load;
use super::plan::{Pace, Plan, Until};
use super::report::{ReportArgs, Section, number};
use super::sign_in::sign_in;
use super::tally::Times;
use super::target::{ReachArgs, Target};
use super::template::Template;
use crate::output::Output;

const WARM_UP: Duration = Duration::from_secs(1);

/// Reads the same list and the same pages again and again, as many viewers of one project do
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Pages {
    /// Address of the web; to be given again for the same by https
    #[arg(long = "web", env = "CROAK_WEB_URL", default_value = "http://127.0.0.1:8000")]
    webs: Vec<String>,
    /// Token of the JSON API, for the list
    #[arg(long, env = "CROAK_API_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Who signs in, for the pages
    #[arg(long, requires = "password")]
    email: Option<String>,
    /// Their password
    #[arg(long, env = "CROAK_USER_PASSWORD", hide_env_values = true)]
    password: Option<String>,
    /// Number of the project
    #[arg(long, default_value_t = 1)]
    project: i64,
    /// Connections
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..))]
    connections: u16,
    /// Seconds for each kind of page
    #[arg(long, default_value_t = 10.0)]
    duration_s: f64,
    #[command(flatten)]
    reach: ReachArgs,
    #[command(flatten)]
    report: ReportArgs,
}

/// How fast one kind of page was read.
#[derive(Clone, Debug, Serialize)]
struct Read {
    name: &'static str,
    scheme: String,
    bytes: usize,
    reads_per_s: f64,
    failed: u64,
    #[serde(flatten)]
    times: Times,
}

impl Pages {
    pub(crate) async fn run(self, output: Output) -> anyhow::Result<ExitCode> {
        self.report.check()?;
        let mut reads = Vec::new();
        for web in &self.webs {
            let target = self.reach.find(web).await?;
            for (name, request) in self.requests(&target).await? {
                reads.push(self.read(&target, name, request).await?);
            }
        }
        if reads.is_empty() {
            bail!("nothing is read: give --token for the list, --email and --password for the pages");
        }
        let mut report = self.report.begin("croak bench pages");
        let slowest = |scheme: &str| {
            reads.iter().filter(|read| read.scheme == scheme).map(|read| read.reads_per_s).reduce(f64::min)
        };
        let p99_ms_max = reads.iter().map(|read| read.times.p99_ms).fold(0.0, f64::max);
        let figures = serde_json::json!({
            "reads": reads,
            "slowest_http_per_s": slowest("http"),
            "slowest_https_per_s": slowest("https"),
            "p99_ms_max": p99_ms_max,
            "https_to_http": https_to_http(&reads),
        });
        report.add("pages", &figures, section(&reads))?;
        self.report.finish(report, output)
    }

    /// What is read, as ready requests.
    async fn requests(&self, target: &Target) -> anyhow::Result<Vec<(&'static str, String)>> {
        let mut requests = Vec::new();
        let project = self.project;
        let mut group = None;
        if let Some(token) = &self.token {
            let mut api = Api::new(target.clone(), token.clone(), project);
            let (status, list) = api.get("/groups").await?;
            anyhow::ensure!(status == 200, "the web answers {status} for the list of groups");
            group = super::visits::group_ids(&list).into_iter().next();
            requests.push(("list, JSON", api.request("/groups")));
        }
        if let (Some(email), Some(password)) = (&self.email, &self.password) {
            let cookie = sign_in(target, email, password).await?;
            let page = |path: &str| super::visits::page_request(target, project, &cookie, path);
            requests.push(("groups page", page("")));
            if let Some(group) = group {
                requests.push(("group page", page(&format!("/{group}"))));
            }
        }
        Ok(requests)
    }

    async fn read(&self, target: &Target, name: &'static str, request: String) -> anyhow::Result<Read> {
        let duration = Duration::try_from_secs_f64(self.duration_s).context("--duration-s is no time")?;
        let mut connection = super::wire::Connection::open(target).await?;
        let first = connection.exchange(request.as_bytes()).await.with_context(|| format!("reading the {name}"))?;
        anyhow::ensure!(first.status == 200, "the web answers {} for the {name}", first.status);
        let bytes = first.body.len();
        let plan = Plan {
            target: target.clone(),
            request: Template::parse(&request),
            mix: None,
            pace: Pace::Closed,
            connections: self.connections.into(),
            threads: 1,
            keep_alive: KeepAlive::On,
            warm_up: WARM_UP,
            until: Until::Duration(duration),
            samples: None,
        };
        let tally = Load::start(&plan).finish().await?;
        Ok(Read {
            name,
            scheme: target.scheme().to_owned(),
            bytes,
            reads_per_s: tally.accepted_measured as f64 / duration.as_secs_f64(),
            failed: tally.failed(),
            times: Times::of(&tally.latency),
        })
    }
}

/// The least that https keeps of http's rate, where both were read.
fn https_to_http(reads: &[Read]) -> Option<f64> {
    let of = |scheme: &'static str| reads.iter().filter(move |read| read.scheme == scheme);
    let ratios = of("https").filter_map(|secure| {
        let plain = of("http").find(|plain| plain.name == secure.name)?;
        Some(secure.reads_per_s / plain.reads_per_s)
    });
    ratios.reduce(f64::min)
}

fn section(reads: &[Read]) -> Section {
    let rows = reads.iter().map(|read| {
        let Read { name, scheme, bytes, reads_per_s, failed, times } = read;
        let times = [times.p50_ms, times.p95_ms, times.p99_ms, times.max_ms].map(number);
        let told = [(*name).to_owned(), scheme.clone(), bytes.to_string(), number(*reads_per_s), failed.to_string()];
        told.into_iter().chain(times).collect()
    });
    let head = ["what", "by", "bytes", "reads/s", "failed", "p50 ms", "p95 ms", "p99 ms", "max ms"];
    let section = Section::new("Reads of what lies ready").table(&head, rows.collect());
    match https_to_http(reads) {
        Some(ratio) => section.note(format!("https reads {} of what http does", number(ratio))),
        None => section,
    }
}
