//! The gateway's life: open, take in, stop.

use std::convert::Infallible;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use anyhow::Context;
use journal::{Journal, JournalOptions, LANES_MAX};
use queue::body::Dictionaries;
use queue::{Queue, QueueOptions, Shipper, ShipperOptions};
use service::http::Door;
use service::logs::LogLevel;
use service::{BadConfig, Control, Health, admin, http, measure};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::feed::{Feed, FeedChecks, Owner};
use crate::gateway::Gateway;
use crate::intake::Intake;
use crate::kept::Kept;
use crate::projects::Known;
use crate::shipping::ship;
use crate::watch::{check_volume, figures, look_around};
use crate::{Config, doors, measures};

/// How often to look whether the first snapshot has come.
const FIRST_SNAPSHOT_POLL: Duration = Duration::from_millis(20);

/// Where a gateway listens.
#[derive(Debug)]
pub struct Listeners {
    /// For every client.
    pub public: TcpListener,
    /// For the same, where OpenTelemetry's exporters send by HTTP.
    pub otlp: Option<TcpListener>,
    /// Where they send by gRPC.
    pub otlp_grpc: Option<TcpListener>,
    /// For health, metrics and control.
    pub admin: TcpListener,
}

/// Runs a gateway on these listeners until `shutdown`, then stops in order.
pub async fn run(
    config: Config,
    listeners: Listeners,
    log_level: LogLevel,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    config.check()?;
    let door = config.door()?;
    measure::recorder();
    measures::describe();

    let health = Health::new();
    let known = Known::default();
    let gateway = Arc::new(Gateway::new(&config, known.clone(), health.clone())?);
    let shipping: Arc<OnceLock<Shipper>> = Arc::default();
    let control = control(&gateway, &shipping, shutdown.clone(), log_level);
    let (owner, owned_by) = watch::channel(Owner::Unknown);
    // Which lanes there are is learned from the snapshot, whose own key is no lane's.
    let queue = Queue::connect_lazy(config.queue.options(QueueOptions::new("").lane_count))
        .map_err(|error| BadConfig(service::causes(&error)))?;
    let mut feed = feed(&config, &queue, &known, &health, owner);
    let journal_check = health.requires("journal");
    let volume_check = health.prefers("journal_volume");
    feed.begin();

    // What runs beside the doors outlives them: requests in hand still need it.
    let background = CancellationToken::new();
    let mut tasks = JoinSet::new();
    let token = config.service.control_token.clone();
    tasks.spawn(admin::serve(listeners.admin, health, control.clone(), token, background.clone()));
    let opening = Opening { config: &config, queue: &queue, gateway: &gateway, shipping: &shipping };
    let opened = known.now().map(|_| opening.open()).transpose()?;
    tasks.spawn(follow(feed, Duration::from_millis(config.snapshot_poll_ms), background.clone()));
    let mut doors = JoinSet::new();
    doors.spawn(serve_doors(Arc::clone(&gateway), listeners.public, door.clone(), shutdown.clone()));
    if let Some(otlp) = listeners.otlp {
        doors.spawn(serve_doors(Arc::clone(&gateway), otlp, door.clone(), shutdown.clone()));
    }
    if let Some(otlp_grpc) = listeners.otlp_grpc {
        doors.spawn(serve_calls(Arc::clone(&gateway), otlp_grpc, door, shutdown.clone()));
    }

    let opened = match opened {
        Some(opened) => Some(opened),
        None => tokio::select! {
            opened = opening.open_when_known(&known) => Some(opened?),
            stopped = until_stopped(&mut tasks, &shutdown) => stopped.map(|()| None)?,
        },
    };
    let Some(Opened { intake, shipper }) = opened else {
        doors.join_all().await;
        return finish(tasks, &background).await;
    };
    check_volume(&config.journal_dir, &volume_check);
    tasks.spawn(done(ship(shipper.clone(), owned_by, control.paused(), background.clone())));
    tasks.spawn(done(look_around(Arc::clone(&gateway), intake.journal.clone(), journal_check, background.clone())));
    tasks.spawn(keep_ledger(Arc::clone(&gateway), intake.clone(), config.ledger_every_ms, background.clone()));
    until_stopped(&mut tasks, &shutdown).await?;

    let stopping = Instant::now();
    doors.join_all().await;
    gateway.unkept.write(&intake, &known).await;
    let left = config.service.stop_within().saturating_sub(stopping.elapsed());
    hand_over(&shipper, config.drain || control.is_draining(), left).await;
    intake.journal.close().await;
    finish(tasks, &background).await
}

/// What runs beside the doors. The first that ends early takes the process with it: a gateway that does not ship, or
/// does not learn of new keys, is worse than one that is started again.
type Tasks = JoinSet<anyhow::Result<()>>;

async fn until_stopped(tasks: &mut Tasks, shutdown: &CancellationToken) -> anyhow::Result<()> {
    tokio::select! {
        () = shutdown.cancelled() => Ok(()),
        Some(ended) = tasks.join_next() => {
            ended??;
            anyhow::bail!("a part of the gateway ended before it was told to")
        }
    }
}

async fn finish(mut tasks: Tasks, background: &CancellationToken) -> anyhow::Result<()> {
    background.cancel();
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    Ok(())
}

async fn done(task: impl Future<Output = ()>) -> anyhow::Result<()> {
    task.await;
    Ok(())
}

async fn follow(feed: Feed, every: Duration, stop: CancellationToken) -> anyhow::Result<()> {
    feed.follow(every, stop).await;
    Ok(())
}

async fn keep_ledger(
    gateway: Arc<Gateway>,
    intake: Intake,
    every_ms: u64,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    gateway.unkept.write_every(Duration::from_millis(every_ms), &intake, &gateway.known, stop).await;
    Ok(())
}

fn control(
    gateway: &Arc<Gateway>,
    shipping: &Arc<OnceLock<Shipper>>,
    shutdown: CancellationToken,
    log_level: LogLevel,
) -> Control {
    let (gateway, shipping) = (Arc::clone(gateway), Arc::clone(shipping));
    let detail = move || figures(&gateway, shipping.get());
    Control::new("ingest-gateway", env!("CARGO_PKG_VERSION"), shutdown, log_level, detail)
}

fn feed(config: &Config, queue: &Queue, known: &Known, health: &Health, owner: watch::Sender<Owner>) -> Feed {
    let checks = FeedChecks {
        snapshot: health.requires("snapshot"),
        redis: health.prefers("redis"),
        installation: health.prefers("installation"),
    };
    Feed {
        queue: queue.clone(),
        kept: Kept::in_dir(config.journal_dir.clone()),
        known: known.clone(),
        dictionaries: Dictionaries::default(),
        checks,
        owner,
        refused: None,
    }
}

/// What can be opened once the lanes are known.
struct Opened {
    intake: Intake,
    shipper: Shipper,
}

struct Opening<'a> {
    config: &'a Config,
    queue: &'a Queue,
    gateway: &'a Gateway,
    shipping: &'a OnceLock<Shipper>,
}

impl Opening<'_> {
    async fn open_when_known(&self, known: &Known) -> anyhow::Result<Opened> {
        tracing::warn!("no snapshot of projects yet: nobody can be let in before one is published");
        loop {
            if known.now().is_some() {
                return self.open();
            }
            tokio::time::sleep(FIRST_SNAPSHOT_POLL).await;
        }
    }

    fn open(&self) -> anyhow::Result<Opened> {
        let Opening { config, queue, gateway, shipping } = *self;
        let options = JournalOptions {
            bytes_max: config.journal_bytes_max,
            // Those of epochs to come, too.
            lane_count: LANES_MAX,
            ..JournalOptions::default()
        };
        let journal = Journal::open(&config.journal_dir, options).context("cannot open the journal")?;
        let window = ShipperOptions { window_bytes: config.ship_window_bytes, ..ShipperOptions::default() };
        let shipper = Shipper::new(journal.clone(), queue.clone(), window);
        let intake = Intake::new(journal, queue.clone());
        let _ = gateway.intake.set(intake.clone());
        let _ = shipping.set(shipper.clone());
        tracing::info!(lanes = intake.lane_count(), dir = %config.journal_dir.display(), "the journal is open");
        Ok(Opened { intake, shipper })
    }
}

fn serve_doors(
    gateway: Arc<Gateway>,
    public: TcpListener,
    door: Door,
    shutdown: CancellationToken,
) -> impl Future<Output = ()> + Send + 'static {
    let answer = tower::service_fn(move |request| {
        let gateway = Arc::clone(&gateway);
        async move { Ok::<_, Infallible>(doors::answer(&gateway, request).await) }
    });
    http::serve(public, answer, door, shutdown)
}

/// The same for calls of gRPC.
fn serve_calls(
    gateway: Arc<Gateway>,
    otlp_grpc: TcpListener,
    door: Door,
    shutdown: CancellationToken,
) -> impl Future<Output = ()> + Send + 'static {
    let answer = tower::service_fn(move |request| {
        let gateway = Arc::clone(&gateway);
        async move { Ok::<_, Infallible>(doors::grpc::answer(&gateway, request).await) }
    });
    http::serve_http2(otlp_grpc, answer, door, shutdown)
}

/// Waits until the database has everything: as long as it takes when draining, else only while there is time. What is
/// not handed over stays on the disk and is shipped after the next start.
async fn hand_over(shipper: &Shipper, is_draining: bool, left: Duration) {
    /// A stop should be quick when the database is not.
    const HAND_OVER_MAX: Duration = Duration::from_secs(2);
    if is_draining {
        tracing::info!("draining: waiting until the database has everything");
        shipper.drain().await;
    } else if shipper.status().is_connected
        && tokio::time::timeout(left.min(HAND_OVER_MAX), shipper.drain()).await.is_err()
    {
        tracing::info!("some notices are shipped after the next start");
    }
}
