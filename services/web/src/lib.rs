//! The web: server-rendered pages and the JSON API.
//!
//! It only reads. Its database role can do nothing else, and what people do (resolve, reopen, mute) travels as a
//! command to a worker. With no worker running every page still shows what there is, and says that changes are paused.
//!
//! What this service promises:
//! - somebody sees a project only while a member of it, whatever lies in a cache;
//! - a notice is visible within two seconds of being stored, and a person's own change at once;
//! - pages work without JavaScript, and run none that is not ours.

mod api;
mod app;
mod assets;
mod attempts;
mod cache;
mod commands;
mod config;
mod cookies;
mod download;
mod export;
mod headers;
mod live;
mod measure;
mod pages;
mod passwords;
mod rejection;
mod router;
mod totp;
mod view;
mod visitor;

use std::time::Duration;

use anyhow::Context;
use service::logs::LogLevel;
use service::{Check, Control, Health, admin};
use store::Reader;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::app::App;
pub use crate::config::{Config, Registration};

/// Usual port of health, metrics and control.
pub const ADMIN_PORT: u16 = 9182;

/// How often the database is asked for a sign of life.
const PING_EVERY: Duration = Duration::from_secs(2);

/// Serves pages and the API on `public`, health and control on `admin`, until `shutdown`.
pub async fn run(
    config: Config,
    public: TcpListener,
    admin: TcpListener,
    log_level: LogLevel,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    service::measure::recorder();
    measure::describe();
    let door = config.door()?;
    let reader = Reader::connect(&config.database_url).context("CROAK_DATABASE_URL")?;
    let health = Health::new();
    let database = health.requires("database");
    let app = App::new(&config, reader.clone(), shutdown.clone())?;

    let control = Control::new("web", env!("CARGO_PKG_VERSION"), shutdown.clone(), log_level, || serde_json::json!({}));
    // The admin port goes last, so that a stop can be watched.
    let admin_stop = CancellationToken::new();
    let admin_door =
        tokio::spawn(admin::serve(admin, health, control, config.service.control_token.clone(), admin_stop.clone()));
    let watch = tokio::spawn(watch_database(reader, database, shutdown.clone()));

    tracing::info!(listen = %public.local_addr()?, "web is serving");
    service::http::serve(public, router::routes(app), door, shutdown).await;

    watch.await.context("watching the database")?;
    admin_stop.cancel();
    admin_door.await.context("the admin port")?
}

/// Keeps the health check of the database up to date.
async fn watch_database(reader: Reader, check: Check, shutdown: CancellationToken) {
    loop {
        match reader.ping().await {
            Ok(()) => check.well(),
            Err(error) => check.troubled(service::causes(&error)),
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(PING_EVERY) => {}
        }
    }
}
