//! The batch worker: moves notices from Redis to PostgreSQL, and does what nobody should have to wait for.
//!
//! Which of its roles a worker has is a flag:
//! - `fold` reads lanes, folds notices and writes them, exactly once;
//! - `command` executes what people do on the web, at most once, and what build tools ask for;
//! - `deliver` sends what people are told, at least once;
//! - `report` makes weekly reports, each once;
//! - `housekeep` makes and drops partitions, merges small chunks and publishes the projects to the gateways.

mod absent;
mod bulk;
mod command;
mod compaction;
mod config;
mod deliver;
mod fold;
mod housekeep;
mod html;
mod installation;
mod lanes;
mod presence;
mod projects;
mod report;
mod sentry_api;
mod training;
mod unsubscribe;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use queue::{Queue, QueueOptions};
use service::auth::Guard;
use service::logs::LogLevel;
use service::proto::command::commands_server::CommandsServer;
use service::proto::sentry_api::sentry_api_server::SentryApiServer;
use service::{BadConfig, Control, Health};
use store::{Reader, Writer};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

pub use config::{Config, Role};

/// Usual port of health, metrics and control.
pub const ADMIN_PORT: u16 = 9181;

/// What the admin port takes of the time for an orderly stop: it ends last.
const ADMIN_STOPS_WITHIN: Duration = Duration::from_millis(1_500);

/// Works until `shutdown`, then finishes what is in hand and gives the rest back.
///
/// `commands` is the listener of role command. The database and Redis may both be down at the start.
pub async fn run(
    config: Config,
    admin: TcpListener,
    commands: Option<TcpListener>,
    log_level: LogLevel,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    config.check()?;
    fold::describe();
    compaction::describe();
    housekeep::describe();
    let health = Health::new();
    let worker_id = config.worker_id();
    let about = serde_json::json!({ "worker_id": worker_id, "roles": config.role_names() });
    let control =
        Control::new("batch-worker", env!("CARGO_PKG_VERSION"), shutdown.clone(), log_level, move || about.clone());
    let control_address = format!("http://{}", admin.local_addr().context("the admin port has no address")?);
    let stop_admin = CancellationToken::new();
    let token = config.service.control_token.clone();
    let admin = tokio::spawn(service::admin::serve(admin, health.clone(), control.clone(), token, stop_admin.clone()));

    let worked = work(&config, commands, &health, &control, worker_id, control_address, &shutdown).await;
    stop_admin.cancel();
    admin.await.context("the admin port died")??;
    worked
}

async fn work(
    config: &Config,
    commands: Option<TcpListener>,
    health: &Health,
    control: &Control,
    worker_id: String,
    control_address: String,
    shutdown: &CancellationToken,
) -> anyhow::Result<()> {
    let database = health.requires("postgres");
    let redis = health.prefers("redis");
    // The points at which failure tests kill the process; without the feature `failpoints` they do nothing.
    let writer = Writer::connect_lazy(&config.database_url)
        .context("reading CROAK_DATABASE_URL")?
        .at_each_step(journal::failpoint::hit);
    let Some(installation) = installation::wait_for(&writer, &database, shutdown).await else { return Ok(()) };
    // Which lanes there are is read with every claim.
    let queue = Queue::connect_lazy(config.queue.options(QueueOptions::new("").lane_count))
        .map_err(|error| BadConfig(service::causes(&error)))?;

    // One that must stop because Redis belongs to another installation stops the others with it.
    let stop = shutdown.child_token();
    let guard = tokio::spawn(installation::guard(queue.clone(), installation, redis, stop.clone()));
    let (share, shares) = watch::channel(0);
    let mut roles = JoinSet::new();
    let mut command_address = None;
    if config.has(Role::Fold) {
        let fold = Arc::new(fold::Fold::new(
            writer.clone(),
            queue.clone(),
            config.batch_limits(),
            config.batches_at_once,
            worker_id.clone(),
        ));
        roles.spawn(fold::run(fold, shares, control.paused(), stop.clone()));
    }
    if let Some(commands) = commands {
        let listening_on = commands.local_addr().context("the command port has no address")?;
        command_address = Some(config.command_address(listening_on));
        tracing::info!(%listening_on, "taking commands");
        let executor = command::Executor::new(writer.clone(), config.public_url.as_deref());
        let token = config.service.control_token.clone();
        roles.spawn(serve_commands(commands, executor, writer.clone(), token, stop.clone()));
        let reader = Reader::connect(&config.database_url).context("reading CROAK_DATABASE_URL")?;
        roles.spawn(bulk::run(writer.clone(), reader, stop.clone()));
        roles.spawn(absent::run(writer.clone(), stop.clone()));
    }
    if config.has(Role::Deliver) {
        let told = deliver::Delivering {
            reader: Reader::connect(&config.database_url).context("reading CROAK_DATABASE_URL")?,
            reach: if config.deliver_allow_private { deliver::Reach::Any } else { deliver::Reach::Public },
            reality: if config.deliver_rehearsal { deliver::Reality::Rehearsal } else { deliver::Reality::Sent },
            mail: config.mailer()?.map(|mailer| (mailer, health.prefers("mail"))),
            public_url: config.public_url.clone(),
        };
        let (writer, stop) = (writer.clone(), stop.clone());
        roles.spawn(async move {
            if let Err(error) = deliver::run(writer, told, stop).await {
                tracing::error!(error = format!("{error:#}"), "nothing is delivered");
            }
        });
    }
    if config.has(Role::Report) {
        roles.spawn(report::run(writer.clone(), config.public_url.clone(), stop.clone()));
    }
    if config.has(Role::Housekeep) {
        roles.spawn(housekeep::run(writer.clone(), queue.clone(), config.house_times(), stop.clone()));
    }
    let me = store::writer::WorkerRow {
        id: worker_id,
        roles: config.role_names(),
        command_address,
        control_address: Some(control_address),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        sends_mail: config.sends_mail(),
    };
    roles.spawn(presence::keep(writer, me, share, database, stop.clone()));

    stop.cancelled().await;
    let limit = config.service.stop_within().saturating_sub(ADMIN_STOPS_WITHIN);
    if tokio::time::timeout(limit, roles.join_all()).await.is_err() {
        tracing::warn!("what is still in hand is left to other workers");
    }
    guard.await.context("the guard of the installation died")?
}

/// Takes commands until told to stop, then answers those that it has.
async fn serve_commands(
    listener: TcpListener,
    executor: command::Executor,
    writer: Writer,
    token: Option<String>,
    stop: CancellationToken,
) {
    let guard = Guard::new(token);
    let commands = CommandsServer::with_interceptor(executor, guard.clone());
    let build_tools = SentryApiServer::with_interceptor(sentry_api::SentryApi::new(writer, stop.clone()), guard);
    let served = Server::builder()
        .add_service(commands)
        .add_service(build_tools)
        .serve_with_incoming_shutdown(TcpIncoming::from(listener), stop.cancelled());
    // Connections that are open but idle would hold an orderly end for ever.
    tokio::select! {
        served = served => if let Err(error) = served {
            tracing::error!(error = service::causes(&error), "no commands are taken");
        },
        () = async { stop.cancelled().await; tokio::time::sleep(Duration::from_secs(2)).await } => {}
    }
}
