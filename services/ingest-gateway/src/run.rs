//! The gateway's life: open, take in, stop.

use std::convert::Infallible;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use anyhow::Context;
use journal::{Journal, JournalOptions};
use queue::{Queue, QueueOptions, Shipper, ShipperOptions};
use service::logs::LogLevel;
use service::{BadConfig, Control, Health, admin, http, measure};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::feed::{Feed, FeedChecks};
use crate::gateway::Gateway;
use crate::intake::Intake;
use crate::kept::Kept;
use crate::projects::{Known, Projects};
use crate::shipping::ship;
use crate::watch::{check_volume, figures, watch as watch_journal};
use crate::{Config, doors, measures};

/// How often to look whether the first snapshot has come.
const FIRST_SNAPSHOT_POLL: Duration = Duration::from_millis(20);

/// Runs a gateway on these listeners until `shutdown`, then stops in order.
pub async fn run(
    config: Config,
    public: TcpListener,
    admin: TcpListener,
    log_level: LogLevel,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    config.check()?;
    measure::recorder();
    measures::describe();

    let health = Health::new();
    let known = Known::default();
    let gateway = Arc::new(Gateway::new(&config, known.clone(), health.clone()));
    let shipping: Arc<OnceLock<Shipper>> = Arc::default();
    let journal_check = health.requires("journal");
    let volume_check = health.prefers("journal_volume");

    let control = {
        let (gateway, shipping) = (Arc::clone(&gateway), Arc::clone(&shipping));
        let detail = move || figures(&gateway, shipping.get());
        Control::new("ingest-gateway", env!("CARGO_PKG_VERSION"), shutdown.clone(), log_level, detail)
    };
    let (is_ours, ours) = watch::channel(false);
    let feed = Feed {
        queue: queue(&config, QueueOptions::new("").lane_count)?,
        kept: Kept::in_dir(config.journal_dir.clone()),
        known: known.clone(),
        checks: FeedChecks {
            snapshot: health.requires("snapshot"),
            redis: health.prefers("redis"),
            installation: health.prefers("installation"),
        },
        is_ours,
    };
    feed.begin();

    // What runs beside the doors outlives them: requests in hand still need it.
    let background = CancellationToken::new();
    let admin_server = tokio::spawn(admin::serve(
        admin,
        health,
        control.clone(),
        config.service.control_token.clone(),
        background.clone(),
    ));
    let opening = Opening { config: &config, gateway: &gateway, shipping: &shipping };
    let mut opened = known.now().map(|projects| opening.open(&projects)).transpose()?;
    let poll = Duration::from_millis(config.snapshot_poll_ms);
    let feeding = tokio::spawn({
        let stop = background.clone();
        async move { feed.follow(poll, stop).await }
    });
    let doors = tokio::spawn(serve_doors(Arc::clone(&gateway), public, &config, shutdown.clone()));

    if opened.is_none() {
        tracing::warn!("no snapshot of projects yet: nobody can be let in before one is published");
        let first = async {
            loop {
                if let Some(projects) = known.now() {
                    return projects;
                }
                tokio::time::sleep(FIRST_SNAPSHOT_POLL).await;
            }
        };
        if let Some(projects) = shutdown.run_until_cancelled(first).await {
            opened = Some(opening.open(&projects)?);
        }
    }
    let Some(Opened { intake, shipper }) = opened else {
        doors.await?;
        background.cancel();
        return Ok(());
    };
    check_volume(&config.journal_dir, &volume_check);

    let ledger_every = Duration::from_millis(config.ledger_every_ms);
    let tasks = [
        tokio::spawn(ship(shipper.clone(), ours, control.paused(), background.clone())),
        tokio::spawn(watch_journal(Arc::clone(&gateway), intake.journal.clone(), journal_check, background.clone())),
        tokio::spawn({
            let (gateway, intake, stop) = (Arc::clone(&gateway), intake.clone(), background.clone());
            async move { gateway.refused.write_every(ledger_every, &intake, &gateway.known, stop).await }
        }),
        feeding,
    ];

    shutdown.cancelled().await;
    let stopping = Instant::now();
    doors.await?;
    gateway.refused.write(&intake, &known).await;
    let left = config.service.stop_within().saturating_sub(stopping.elapsed());
    hand_over(&shipper, config.drain || control.is_draining(), left).await;
    background.cancel();
    intake.journal.close().await;
    for task in tasks {
        task.await?;
    }
    admin_server.await?
}

/// What can be opened once the number of lanes is known.
struct Opened {
    intake: Intake,
    shipper: Shipper,
}

struct Opening<'a> {
    config: &'a Config,
    gateway: &'a Gateway,
    shipping: &'a OnceLock<Shipper>,
}

impl Opening<'_> {
    fn open(&self, projects: &Projects) -> anyhow::Result<Opened> {
        let Opening { config, gateway, shipping } = self;
        let options = JournalOptions {
            bytes_max: config.journal_bytes_max,
            lane_count: projects.lane_count,
            ..JournalOptions::default()
        };
        let journal = Journal::open(&config.journal_dir, options).context("cannot open the journal")?;
        let window = ShipperOptions { window_bytes: config.ship_window_bytes, ..ShipperOptions::default() };
        let shipper = Shipper::new(journal.clone(), queue(config, projects.lane_count)?, window);
        let intake = Intake::new(journal, projects.lane_count);
        let _ = gateway.intake.set(intake.clone());
        let _ = shipping.set(shipper.clone());
        tracing::info!(lanes = projects.lane_count, dir = %config.journal_dir.display(), "the journal is open");
        Ok(Opened { intake, shipper })
    }
}

fn queue(config: &Config, lane_count: u16) -> anyhow::Result<Queue> {
    let options = QueueOptions { url: config.redis_url.clone(), prefix: config.queue_prefix.clone(), lane_count };
    Ok(Queue::connect_lazy(options).map_err(|error| BadConfig(service::causes(&error)))?)
}

fn serve_doors(
    gateway: Arc<Gateway>,
    public: TcpListener,
    config: &Config,
    shutdown: CancellationToken,
) -> impl Future<Output = ()> + Send + 'static {
    let answer = tower::service_fn(move |request| {
        let gateway = Arc::clone(&gateway);
        async move { Ok::<_, Infallible>(doors::answer(&gateway, request).await) }
    });
    http::serve(public, answer, config.http_limits(), shutdown)
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
