//! `croak bench sign-ups`: whether people can make accounts while many do, and pages stay fast.
//!
//! Everybody asks from an address of their own, as `X-Forwarded-For` says: the web has to trust this machine as a proxy, and to let
//! everybody make an account.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use hdrhistogram::Histogram;
use serde::Serialize;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::api::Api;
use super::report::{ReportArgs, Section, number};
use super::sign_in::{Form, sign_in};
use super::tally::{Times, histogram, record};
use super::target::{ReachArgs, Target};
use super::visits;
use super::wire::Connection;
use crate::output::Output;

/// Answers come after a fifth of a second, however soon it is known: so many wait for theirs at a time for each that is asked a second.
const CONNECTIONS_PER_RATE: f64 = 0.5;
const CONNECTIONS_MAX: usize = 1_000;

/// Asks for accounts, so many a second, while somebody looks at pages
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct SignUps {
    /// Address of the web
    #[arg(long, env = "CROAK_WEB_URL", default_value = "http://127.0.0.1:8000")]
    web: String,
    /// Accounts that are asked for a second
    #[arg(long, default_value_t = 200.0)]
    rate: f64,
    /// Seconds
    #[arg(long, default_value_t = 60.0)]
    duration_s: f64,
    /// Token of the JSON API, for who looks at pages
    #[arg(long, env = "CROAK_API_TOKEN", hide_env_values = true)]
    token: String,
    /// Who looks at pages
    #[arg(long)]
    email: String,
    /// Their password
    #[arg(long, env = "CROAK_USER_PASSWORD", hide_env_values = true)]
    password: String,
    /// Pages that are looked at a second
    #[arg(long, default_value_t = 20.0)]
    pages_per_s: f64,
    /// Number of the project whose pages these are
    #[arg(long, default_value_t = 1)]
    project: i64,
    #[command(flatten)]
    reach: ReachArgs,
    #[command(flatten)]
    report: ReportArgs,
}

/// What became of those who asked.
#[derive(Debug, Default, Serialize)]
struct Asked {
    accepted: u64,
    failed: u64,
}

impl SignUps {
    pub(crate) async fn run(self, output: Output) -> anyhow::Result<ExitCode> {
        self.report.check()?;
        let duration = Duration::try_from_secs_f64(self.duration_s).context("--duration-s is no time")?;
        anyhow::ensure!((0.1..=10_000.0).contains(&self.rate), "--rate {} is none that can be kept", self.rate);
        let target = self.reach.find(&self.web).await?;
        let cookie = sign_in(&target, &self.email, &self.password).await?;
        let mut api = Api::new(target.clone(), self.token.clone(), self.project);
        let pages = visits::all(&mut api, Some(&cookie)).await?;
        let stop = CancellationToken::new();
        let (looked_at, per_second, until) = (target.clone(), self.pages_per_s, stop.clone());
        let looking = tokio::spawn(async move { visits::visit(&looked_at, &pages, per_second, until).await });

        let (asked, times) = self.ask(&target, duration).await?;
        stop.cancel();
        let looked = looking.await.context("looking at pages")?;

        let mut report = self.report.begin("croak bench sign-ups");
        let accepted_per_s = asked.accepted as f64 / duration.as_secs_f64();
        let page_p99_ms_max = looked.iter().map(|page| page.times.p99_ms).fold(0.0, f64::max);
        let figures = serde_json::json!({
            "asked": asked,
            "accepted_per_s": accepted_per_s,
            "answers": times,
            "pages": looked,
            "page_p99_ms_max": page_p99_ms_max,
        });
        let row = |name: &str, count: u64, failed: u64, times: &Times| {
            let times = [times.p50_ms, times.p95_ms, times.p99_ms, times.max_ms].map(number);
            [name.to_owned(), count.to_string(), failed.to_string()].into_iter().chain(times).collect()
        };
        let rows = std::iter::once(row("asking for an account", asked.accepted, asked.failed, &times))
            .chain(looked.iter().map(|page| row(page.name, page.times.count, page.failed, &page.times)));
        let head = ["what", "answered", "failed", "p50 ms", "p95 ms", "p99 ms", "max ms"];
        let section = Section::new("Asking for accounts").table(&head, rows.collect()).note(format!(
            "{} accounts a second were asked for, each after {} ms at the soonest",
            number(accepted_per_s),
            200
        ));
        report.add("sign_ups", &figures, section)?;
        self.report.finish(report, output)
    }

    /// Asks at its time, whatever became of those before.
    async fn ask(&self, target: &Target, duration: Duration) -> anyhow::Result<(Asked, Times)> {
        let form = Arc::new(Form::read(target, "/sign-up").await?);
        let connections = ((self.rate * CONNECTIONS_PER_RATE).ceil() as usize).clamp(1, CONNECTIONS_MAX);
        let every = Duration::from_secs_f64(connections as f64 / self.rate);
        let began_at = Instant::now();
        let mut asking = JoinSet::new();
        for place in 0..connections {
            let (target, form) = (target.clone(), Arc::clone(&form));
            let first = began_at + every.mul_f64(place as f64 / connections as f64);
            asking.spawn(ask_on(target, form, first, every, began_at + duration));
        }
        let (mut asked, mut times) = (Asked::default(), histogram());
        while let Some(ended) = asking.join_next().await {
            let (of_one, took) = ended.context("asking for accounts")?;
            asked.accepted += of_one.accepted;
            asked.failed += of_one.failed;
            times.add(&took).expect("all histograms have the same bounds");
        }
        Ok((asked, Times::of(&times)))
    }
}

/// Asks on one connection, from when each is due.
async fn ask_on(
    target: Target,
    form: Arc<Form>,
    first: Instant,
    every: Duration,
    end: Instant,
) -> (Asked, Histogram<u64>) {
    let (mut asked, mut times) = (Asked::default(), histogram());
    let mut connection = None;
    let mut due = first;
    while due < end {
        tokio::time::sleep_until(due.into()).await;
        let (email, command_id) = (format!("{}@bench.example", Uuid::new_v4().simple()), Uuid::new_v4().to_string());
        // Each of 2^48 networks is somebody else's.
        let somewhere = rand::random::<[u16; 3]>().map(|part| format!("{part:x}")).join(":");
        let from = format!("X-Forwarded-For: 2001:{somewhere}::1\r\n");
        let request = form.filled(&target, &from, &[("email", &email), ("command_id", &command_id)]);
        match exchange(&target, &mut connection, &request).await {
            Ok(200) => {
                asked.accepted += 1;
                record(&mut times, due.elapsed());
            }
            _ => asked.failed += 1,
        }
        due += every;
    }
    (asked, times)
}

async fn exchange(target: &Target, connection: &mut Option<Connection>, request: &str) -> std::io::Result<u16> {
    let mut open = match connection.take() {
        Some(open) => open,
        None => Connection::open(target).await?,
    };
    let answer = open.exchange(request.as_bytes()).await?;
    let (status, is_last) = (answer.status, answer.is_last);
    *connection = Some(open).filter(|_| !is_last);
    Ok(status)
}
