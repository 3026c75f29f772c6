//! `croak bench matrix`: the same load through every layer in turn, so that a guilty one shows.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use serde::Serialize;

use super::body::{BodyArgs, KeepAlive};
use super::load::Load;
use super::mix::MixArgs;
use super::plan::new_groups_from;
use super::plan::{Pace, Plan, Until};
use super::report::{ReportArgs, Section, number};
use super::tally::Times;
use super::target::{ReachArgs, Target};
use super::template::Template;
use crate::output::Output;

const CONNECTIONS: [usize; 3] = [1, 32, 256];
const WARM_UP: Duration = Duration::from_millis(500);

/// Sends to the gateway's `/up`, which does nothing, and to the door for notices: by http and https, on kept and on new connections, over 1, 32 and 256 of them
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Matrix {
    /// Address of the gateway; to be given again for the same by https
    #[arg(long = "gateway", env = "CROAK_GATEWAY_URL", default_value = "http://127.0.0.1:8080")]
    gateways: Vec<String>,
    /// Seconds for each cell
    #[arg(long, default_value_t = 3.0)]
    cell_s: f64,
    #[command(flatten)]
    body: BodyArgs,
    #[command(flatten)]
    mix: MixArgs,
    #[command(flatten)]
    reach: ReachArgs,
    #[command(flatten)]
    report: ReportArgs,
}

/// One combination.
#[derive(Clone, Debug, Serialize)]
struct Cell {
    what: &'static str,
    scheme: String,
    is_kept_alive: bool,
    connections: usize,
    hits: u64,
    errors: u64,
    timeouts: u64,
    hits_per_s: f64,
    #[serde(flatten)]
    times: Times,
}

impl Matrix {
    pub(crate) async fn run(self, output: Output) -> anyhow::Result<ExitCode> {
        self.report.check()?;
        let mut cells = Vec::new();
        for gateway in &self.gateways {
            let target = self.reach.find(gateway).await?;
            for keep_alive in [KeepAlive::On, KeepAlive::Off] {
                let hello = format!("GET /up HTTP/1.1\r\nHost: {}\r\n{}\r\n", target.authority, keep_alive.header());
                let notice = self.body.request(&target.authority, keep_alive)?;
                for (what, request) in [("hello", Template::parse(&hello)), ("notice", notice)] {
                    for connections in CONNECTIONS {
                        cells.push(self.cell(&target, what, request.clone(), keep_alive, connections).await?);
                    }
                }
            }
        }
        let mut report = self.report.begin("croak bench matrix");
        report.add("matrix", &cells, section(&cells))?;
        self.report.finish(report, output)
    }

    async fn cell(
        &self,
        target: &Target,
        what: &'static str,
        request: Template,
        keep_alive: KeepAlive,
        connections: usize,
    ) -> anyhow::Result<Cell> {
        let time = Duration::try_from_secs_f64(self.cell_s).context("--cell-s is no time")?;
        let plan = Plan {
            target: target.clone(),
            request,
            mix: Some(self.mix.mix(new_groups_from())?),
            pace: Pace::Closed,
            connections,
            threads: 1,
            keep_alive,
            warm_up: WARM_UP,
            until: Until::Duration(time),
            samples: None,
        };
        let tally = Load::start(&plan).finish().await?;
        Ok(Cell {
            what,
            scheme: target.scheme().to_owned(),
            is_kept_alive: keep_alive == KeepAlive::On,
            connections,
            hits: tally.accepted,
            errors: tally.failed() - tally.timed_out,
            timeouts: tally.timed_out,
            hits_per_s: tally.accepted_measured as f64 / time.as_secs_f64(),
            times: Times::of(&tally.latency),
        })
    }
}

fn section(cells: &[Cell]) -> Section {
    let rows = cells.iter().map(|cell| {
        let keep_alive = if cell.is_kept_alive { "kept" } else { "new" };
        vec![
            cell.what.to_owned(),
            cell.scheme.clone(),
            keep_alive.to_owned(),
            cell.connections.to_string(),
            cell.hits.to_string(),
            cell.errors.to_string(),
            cell.timeouts.to_string(),
            number(cell.hits_per_s),
            number(cell.times.mean_ms),
            number(cell.times.p99_ms),
        ]
    });
    let head = ["what", "by", "connection", "at once", "hits", "errors", "timeouts", "hits/s", "mean ms", "p99 ms"];
    Section::new("Every layer").table(&head, rows.collect())
}
