//! `croak bench run`: sends notices and measures what becomes of them.

use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, ensure};
use store::Admin;
use tokio_util::sync::CancellationToken;

use super::api::{Api, WebArgs};
use super::body::{BodyArgs, KeepAlive};
use super::course::{Course, LOOK_EVERY};
use super::figures::{Answers, EndToEnd, Meanwhile, Memory, Ratios, processes, processes_section, visible_section};
use super::limits::LimitArgs;
use super::load::{Load, Pace, Plan, Until};
use super::mix::MixArgs;
use super::pause::PauseArgs;
use super::peers::Peer;
use super::progress::Progress;
use super::report::{Report, ReportArgs};
use super::services::{AdminArgs, Services};
use super::spent::Ledger;
use super::tally::{Tally, Times};
use super::target::{ReachArgs, Target};
use super::visible::Watch;
use super::visits::{self, Visited, Visits};
use crate::database::Database;
use crate::output::Output;

/// How long what was sent before this run may take to be stored.
const QUIET_WITHIN: Duration = Duration::from_secs(30);
/// How often it is asked whether all is stored.
const DRAIN_POLL: Duration = Duration::from_millis(50);

/// Sends notices like those of real clients to a gateway and measures: answers, refusals, and with --token what is stored and when it can be seen. Exit status 3: a goal was missed, or not all that was accepted was stored
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Run {
    /// Address of the gateway
    #[arg(long, env = "CROAK_GATEWAY_URL", default_value = "http://127.0.0.1:8080")]
    gateway: String,
    #[command(flatten)]
    reach: ReachArgs,
    #[command(flatten)]
    body: BodyArgs,
    #[command(flatten)]
    mix: MixArgs,
    #[command(flatten)]
    load: LoadArgs,
    #[command(flatten)]
    web: WebArgs,
    /// Notices a second that are asked for on the API until they can be seen; 0 for none
    #[arg(long, default_value_t = 5.0)]
    visible_per_s: f64,
    /// Pages a second that are looked at meanwhile, lists by --token, pages by --email and --password; 0 for none
    #[arg(long, default_value_t = 0.0)]
    pages_per_s: f64,
    /// Seconds that they are looked at before anything is sent
    #[arg(long, default_value_t = 10.0)]
    pages_idle_s: f64,
    /// Longest wait for what was accepted to be stored, in seconds
    #[arg(long, default_value_t = 120)]
    drain_s: u64,
    #[command(flatten)]
    admin: AdminArgs,
    #[command(flatten)]
    pause: PauseArgs,
    /// Measures first what the machine bears, and tells the ratios to it
    #[arg(long)]
    limits: bool,
    #[command(flatten)]
    limit: LimitArgs,
    #[command(flatten)]
    database: Database,
    #[command(flatten)]
    report: ReportArgs,
}

/// How the load is made.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct LoadArgs {
    /// Notices a second, each at its time, whatever became of those before it; its time counts from when it was due. Without it every connection sends as soon as it has an answer
    #[arg(long)]
    pub(crate) rate: Option<f64>,
    /// Connections
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) connections: u16,
    /// Threads that send
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) threads: u16,
    /// Opens a connection for each notice, as most of the old clients do
    #[arg(long)]
    no_keep_alive: bool,
    /// Seconds that are not measured
    #[arg(long, default_value_t = 5.0)]
    warm_up_s: f64,
    /// Seconds that are measured
    #[arg(long, default_value_t = 30.0)]
    duration_s: f64,
    /// Sends so many, and measures all of them
    #[arg(long, conflicts_with_all = ["warm_up_s", "duration_s"])]
    count: Option<u64>,
    /// Holds the load while more than so many notices are accepted and not stored: so the rate is that of the slowest part, for as long as one likes
    #[arg(long, conflicts_with_all = ["rate", "pause_workers"])]
    backlog_max: Option<u64>,
}

/// What was measured of a load, before it is told.
struct Sent {
    tally: Tally,
    course: Course,
    began: Instant,
    /// When the last answer was there.
    ended: Instant,
    visited: Vec<Visited>,
}

impl Run {
    pub(crate) async fn run(self, output: Output) -> anyhow::Result<ExitCode> {
        self.report.check()?;
        let target = self.reach.find(&self.gateway).await?;
        let mut plan = self.load.plan(&target, &self.body, &self.mix)?;
        let mut services = self.admin.services()?;
        let mut api = self.web.api(&self.reach, self.body.project).await?;
        let visits = self.visits(api.as_mut()).await?;
        let mut report = self.report.begin("croak bench run");
        let admin = match self.database.named() {
            Some(_) => Some(self.database.connect().await?),
            None => None,
        };
        services.beside(self.peers(admin.as_ref(), &mut report).await?);
        let limits = match self.limits {
            true => Some(self.limit.measure(&self.body, &self.database, &mut report).await?),
            false => None,
        };

        wait_until_quiet(&services).await;
        let idle = self.visit_idle(&visits, api.as_ref()).await?;
        let count_before = match &mut api {
            Some(api) => Some(api.notice_count().await?),
            None => None,
        };
        let watch = match &api {
            Some(api) if self.visible_per_s > 0.0 && !self.pause.pause_workers => {
                let (watch, samples) = Watch::start(api, self.visible_per_s);
                plan.samples = Some(samples);
                Some(watch)
            }
            _ => None,
        };
        let mut ledger = read(admin.as_ref()).await?;
        if self.pause.pause_workers {
            self.pause.tell(self.admin.workers(), true).await?;
        }
        let sent = self.send(&plan, &services, api.as_ref(), &visits).await;
        // The samples end when the last sender is gone, and this one sends none.
        plan.samples = None;
        if self.pause.pause_workers {
            // What a backlog costs is what is spent from here on. Whatever went wrong: nobody stays paused.
            let read = read(admin.as_ref()).await;
            self.pause.tell(self.admin.workers(), false).await?;
            ledger = read?;
        }
        let resumed = Instant::now();
        let Sent { tally, course, began, ended, visited } = sent?;
        let from = if self.pause.pause_workers { resumed } else { ended };

        let measured_s = match plan.until {
            Until::Duration(duration) => duration.as_secs_f64(),
            Until::Count(_) => (ended - began).as_secs_f64(),
        };
        let from_s = plan.warm_up.as_secs_f64();
        let points = course.measured(from_s, from_s + measured_s);
        let answers = self.answers(&target, &plan, &tally, measured_s);
        report.add("answers", &answers, answers.section(&tally, &course))?;
        let mut stored = None;
        if let (Some(api), Some(count_before)) = (&mut api, count_before) {
            let wait = Duration::from_secs(self.drain_s);
            let (count_after, drained_at) = drain(api, count_before + tally.accepted, wait).await?;
            let count = count_after.saturating_sub(count_before);
            let drained_s = drained_at.map(|at| (at - from).as_secs_f64());
            let end_to_end = EndToEnd {
                count_before,
                count_after,
                stored: count,
                is_exact: tally.could_be(count),
                drained_s,
                drained_per_s: drained_s.filter(|_| self.pause.pause_workers).map(|drained_s| count as f64 / drained_s),
                queue: if self.pause.pause_workers { None } else { Course::queue(points) },
            };
            if !end_to_end.is_exact {
                report.is_unsound();
            }
            report.add("end_to_end", &end_to_end, end_to_end.section(&course))?;
            if let (Some(before), Some(after)) = (&ledger, &read(admin.as_ref()).await?) {
                let spent = before.until(after, count);
                report.add("database", &spent, spent.section())?;
            }
            stored = Some(end_to_end);
        }
        if let Some(limits) = &limits {
            let ratios = Ratios::of(&answers, stored.as_ref(), limits);
            report.add("ratios", &ratios, ratios.section())?;
            report.add("limits", limits, limits.section())?;
        }
        if let Some(watch) = watch {
            let visible = watch.finish().await?;
            report.add("visible", &visible, visible_section(&visible))?;
        }
        if !visited.is_empty() {
            let meanwhile = Meanwhile::of(idle, visited);
            report.add("visits", &meanwhile, meanwhile.section())?;
        }
        if let Some(memory) = Memory::of(&services, &course) {
            report.add("memory", &memory, memory.section())?;
        }
        let processes = processes(&services, &course, points);
        report.add("processes", &processes, processes_section(&processes))?;
        self.report.finish(report, output)
    }

    /// What is looked at meanwhile.
    async fn visits(&self, api: Option<&mut Api>) -> anyhow::Result<Vec<Visits>> {
        if self.pages_per_s <= 0.0 {
            return Ok(Vec::new());
        }
        let api = api.context("--pages-per-s needs --token")?;
        let cookie = self.web.sign_in(&api.target).await?;
        visits::all(api, cookie.as_deref()).await
    }

    async fn visit_idle(&self, visits: &[Visits], api: Option<&Api>) -> anyhow::Result<Vec<Visited>> {
        let Some(api) = api.filter(|_| !visits.is_empty()) else { return Ok(Vec::new()) };
        let stop = CancellationToken::new();
        let idle = Duration::try_from_secs_f64(self.pages_idle_s).context("--pages-idle-s is no time")?;
        let stopping = stop.clone();
        tokio::spawn(async move {
            tokio::time::sleep(idle).await;
            stopping.cancel();
        });
        Ok(visits::visit(&api.target, visits, self.pages_per_s, stop).await)
    }

    /// Redis and PostgreSQL, as far as they run here.
    async fn peers(&self, admin: Option<&Admin>, report: &mut Report) -> anyhow::Result<Vec<Peer>> {
        let mut peers = Vec::new();
        if let Some(url) = &self.limit.redis_url {
            let mut redis = queue::measured::Server::connect(url).await.context("connecting to Redis")?;
            let facts = redis.facts().await?;
            report.took_part("Redis", facts.version);
            peers.extend(Peer::redis(facts.process_id));
        }
        if let Some(admin) = admin {
            let server = admin.server().await.context("asking the database for its version")?;
            let durable = if server.is_durable { "" } else { " (its commits do not wait for the disk)" };
            report.took_part("PostgreSQL", format!("{}{durable}", server.version));
            peers.extend(Peer::postgres(server.backend_pid));
        }
        Ok(peers)
    }

    /// Sends everything and looks at everything until the last answer is there.
    async fn send(
        &self,
        plan: &Plan,
        services: &Services,
        api: Option<&Api>,
        visits: &[Visits],
    ) -> anyhow::Result<Sent> {
        let mut course = Course::begin(services).await;
        let stop = CancellationToken::new();
        let visiting = api.filter(|_| !visits.is_empty()).map(|api| {
            let (target, visits, per_second, stop) =
                (api.target.clone(), visits.to_vec(), self.pages_per_s, stop.clone());
            tokio::spawn(async move { visits::visit(&target, &visits, per_second, stop).await })
        });
        let began = Instant::now();
        let load = Load::start(plan);
        let followed = self.follow(&load, services, &mut course, began).await;
        load.stop();
        let tally = load.finish().await?;
        let ended = Instant::now();
        stop.cancel();
        let visited = match visiting {
            Some(visiting) => visiting.await.context("looking at pages")?,
            None => Vec::new(),
        };
        followed?;
        Ok(Sent { tally, course, began, ended, visited })
    }

    async fn follow(
        &self,
        load: &Load,
        services: &Services,
        course: &mut Course,
        began: Instant,
    ) -> anyhow::Result<()> {
        let mut progress = Progress::new();
        let mut ticks = tokio::time::interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while !load.is_done() {
            tokio::select! {
                _ = ticks.tick() => {}
                stopped = tokio::signal::ctrl_c() => {
                    stopped.context("waiting for Ctrl-C")?;
                    load.stop();
                }
            }
            let waiting = course.look(services, load, began).await.waiting();
            if let Some(backlog_max) = self.load.backlog_max {
                ensure!(waiting.is_some(), "--backlog-max needs the workers' metrics: name each by --worker-admin");
                load.hold(waiting > Some(backlog_max));
            }
            progress.show(&course.points, load);
        }
        progress.clear();
        Ok(())
    }

    fn answers(&self, target: &Target, plan: &Plan, tally: &Tally, measured_s: f64) -> Answers {
        Answers {
            target: target.url.clone(),
            body_bytes: self.body.bytes(),
            connections: self.load.connections,
            threads: self.load.threads,
            is_kept_alive: plan.keep_alive == KeepAlive::On,
            rate_per_s: self.load.rate,
            measured_s,
            sent: tally.sent,
            accepted: tally.accepted,
            refused: tally.refused.clone(),
            broken: tally.broken,
            timed_out: tally.timed_out,
            unreachable: tally.unreachable,
            unsent: tally.unsent,
            accepted_per_s: tally.accepted_measured as f64 / measured_s,
            latency: Times::of(&tally.latency),
        }
    }
}

impl LoadArgs {
    fn plan(&self, target: &Target, body: &BodyArgs, mix: &MixArgs) -> anyhow::Result<Plan> {
        let seconds = |value: f64, flag: &str| {
            Duration::try_from_secs_f64(value).with_context(|| format!("{flag} {value} is no time"))
        };
        if let Some(rate) = self.rate {
            ensure!((0.001..=10_000_000.0).contains(&rate), "--rate {rate} is none that can be kept");
        }
        let keep_alive = if self.no_keep_alive { KeepAlive::Off } else { KeepAlive::On };
        Ok(Plan {
            target: target.clone(),
            request: body.request(&target.authority, keep_alive)?,
            mix: Some(mix.mix(new_groups_from())?),
            pace: self.rate.map_or(Pace::Closed, |per_second| Pace::Open { per_second }),
            connections: self.connections.into(),
            threads: self.threads.into(),
            keep_alive,
            warm_up: if self.count.is_some() { Duration::ZERO } else { seconds(self.warm_up_s, "--warm-up-s")? },
            until: match self.count {
                Some(count) => Until::Count(count),
                None => Until::Duration(seconds(self.duration_s, "--duration-s")?),
            },
            samples: None,
        })
    }
}

/// Where the numbers of new groups begin: later runs come to others than earlier ones, because the clock has gone on.
pub(crate) fn new_groups_from() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    (now.as_millis() as u64) << 20
}

async fn read(admin: Option<&Admin>) -> anyhow::Result<Option<Ledger>> {
    match admin {
        Some(admin) => Ledger::read(admin).await.map(Some),
        None => Ok(None),
    }
}

/// Waits until what earlier runs left in the journal is stored, so that it is not counted as this one's.
async fn wait_until_quiet(services: &Services) {
    let started_at = Instant::now();
    while services.look().await.unacked_bytes.is_some_and(|bytes| bytes > 0) && started_at.elapsed() < QUIET_WITHIN {
        tokio::time::sleep(DRAIN_POLL).await;
    }
}

/// Waits until the project has this many notices; how many it has then, and when that was.
async fn drain(api: &mut Api, wanted: u64, wait: Duration) -> anyhow::Result<(u64, Option<Instant>)> {
    let started_at = Instant::now();
    loop {
        let count = api.notice_count().await?;
        if count >= wanted {
            return Ok((count, Some(Instant::now())));
        }
        if started_at.elapsed() >= wait {
            return Ok((count, None));
        }
        tokio::time::sleep(DRAIN_POLL).await;
    }
}
