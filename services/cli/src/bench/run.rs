//! `croak bench run`: sends notices and measures what becomes of them.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use store::Admin;
use tokio_util::sync::CancellationToken;

use super::api::{Api, WebArgs};
use super::body::{BodyArgs, KeepAlive};
use super::course::{Course, LOOK_EVERY};
use super::figures::{Answers, EndToEnd, Meanwhile, Memory, Ratios, processes, processes_section, visible_section};
use super::limits::LimitArgs;
use super::load::Load;
use super::mix::MixArgs;
use super::pause::PauseArgs;
use super::peers::Peer;
use super::plan::{LoadArgs, Plan, Until};
use super::progress::Progress;
use super::report::{Report, ReportArgs};
use super::scene::Scene;
use super::services::{AdminArgs, Services};
use super::tally::{Tally, Times};
use super::target::{ReachArgs, Target};
use super::visible::Watch;
use super::visits::{self, Visited, Visits};
use crate::database::Database;
use crate::output::Output;

/// Sends notices like those of real clients to a gateway and measures: answers, refusals, and with --token what is stored and when it can be seen. Exit status 3: a goal was missed, nothing was accepted, or not all that was accepted was stored
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
        let mut report = self.report.begin("croak bench run");
        let mut scene = self.scene(&mut report).await?;
        let mut plan = self.load.plan(&scene.target, &self.body, &self.mix)?;
        let is_paused = self.pause.pause_workers;

        scene.wait_until_quiet().await;
        let idle = self.visit_idle(&scene).await?;
        let count_before = scene.notice_count().await?;
        let watch = match &scene.api {
            Some(api) if self.visible_per_s > 0.0 && !is_paused => {
                let (watch, samples) = Watch::start(api, self.visible_per_s);
                plan.samples = Some(samples);
                Some(watch)
            }
            _ => None,
        };
        let mut ledger = scene.ledger().await?;
        let sent = if is_paused {
            let paused = self.pause.while_paused(self.admin.workers(), async {
                let sent = self.send(&plan, &scene).await?;
                // What a backlog costs is what is spent from here on.
                Ok((sent, scene.ledger().await?))
            });
            let (sent, read) = paused.await?;
            ledger = read;
            sent
        } else {
            self.send(&plan, &scene).await?
        };
        let resumed = Instant::now();
        // The samples end when the last sender is gone, and this one sends none.
        plan.samples = None;

        let Sent { tally, mut course, began, ended, visited } = sent;
        let measured_s = match plan.until {
            Until::Duration(duration) => duration.as_secs_f64(),
            Until::Count(_) => (ended - began).as_secs_f64(),
        };
        let from_s = plan.warm_up.as_secs_f64();
        let mut span = (from_s, from_s + measured_s);
        let answers = self.answers(&scene.target, &plan, &tally, measured_s);
        report.add("answers", &answers, answers.section(&tally, &course))?;
        if tally.accepted == 0 {
            report.is_unsound();
        }
        let mut stored = None;
        if let Some(count_before) = count_before {
            let wait = Duration::from_secs(self.drain_s);
            let (count_after, drained_at) =
                scene.drain(&mut course, began, tally.accepted, count_before + tally.accepted, wait).await?;
            let count = count_after.saturating_sub(count_before);
            let from = if is_paused { resumed } else { ended };
            let drained_s = drained_at.map(|at| (at - from).as_secs_f64());
            let mut end_to_end = EndToEnd {
                count_before,
                count_after,
                stored: count,
                is_exact: tally.could_be(count),
                drained_s,
                drained_per_s: None,
                queue: Course::queue(course.measured(span.0, span.1)),
            };
            if is_paused {
                end_to_end.queue = None;
                end_to_end.drained_per_s = drained_s.map(|drained_s| count as f64 / drained_s);
                // What the processes used is told of what they did then.
                let resumed_s = (resumed - began).as_secs_f64();
                span = (resumed_s, resumed_s + drained_s.unwrap_or(f64::MAX));
            }
            if !end_to_end.is_exact {
                report.is_unsound();
            }
            report.add("end_to_end", &end_to_end, end_to_end.section(&course))?;
            if let (Some(before), Some(after)) = (&ledger, &scene.ledger().await?) {
                let spent = before.until(after, count);
                report.add("database", &spent, spent.section())?;
            }
            stored = Some(end_to_end);
        }
        if let Some(limits) = &scene.limits {
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
        if let Some(memory) = Memory::of(&scene.services, &course) {
            report.add("memory", &memory, memory.section())?;
        }
        let processes = processes(&scene.services, &course, span);
        report.add("processes", &processes, processes_section(&processes))?;
        self.report.finish(report, output)
    }

    /// Finds everything that takes part, and measures the limits where that is asked for.
    async fn scene(&self, report: &mut Report) -> anyhow::Result<Scene> {
        let target = self.reach.find(&self.gateway).await?;
        let mut services = self.admin.services()?;
        let mut api = self.web.api(&self.reach, self.body.project).await?;
        let visits = self.visits(api.as_mut()).await?;
        let admin = match self.database.named() {
            Some(_) => Some(self.database.connect().await?),
            None => None,
        };
        services.beside(self.peers(admin.as_ref(), report).await?);
        let limits = match self.limits {
            true => Some(self.limit.measure(&self.body, &self.database, report).await?),
            false => None,
        };
        Ok(Scene { target, services, api, admin, visits, limits })
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

    async fn visit_idle(&self, Scene { visits, api, .. }: &Scene) -> anyhow::Result<Vec<Visited>> {
        let Some(api) = api.as_ref().filter(|_| !visits.is_empty()) else { return Ok(Vec::new()) };
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
    async fn send(&self, plan: &Plan, scene: &Scene) -> anyhow::Result<Sent> {
        let Scene { services, api, visits, .. } = scene;
        let mut course = Course::begin(services).await;
        let stop = CancellationToken::new();
        let visiting = api.as_ref().filter(|_| !visits.is_empty()).map(|api| {
            let (target, visits, per_second, stop) =
                (api.target.clone(), visits.clone(), self.pages_per_s, stop.clone());
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
            // Counted first: what is stored meanwhile shortens the queue, it does not make it longer than it is.
            let accepted = load.counts().accepted;
            let waiting = course.look(services, accepted, began).await.waiting();
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
