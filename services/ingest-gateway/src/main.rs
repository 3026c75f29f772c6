//! The ingest gateway's process: where notifiers post what went wrong.

use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use ingest_gateway::{ADMIN_PORT, Config, run};
use tokio::net::TcpListener;

/// Small things are made and thrown away by the thousand for each notice; the system's allocator took a tenth of the time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    service::exit_code(start(Config::parse()).await)
}

async fn start(config: Config) -> anyhow::Result<()> {
    let log_level = service::init_tracing(&config.service)?;
    service::raise_open_files();
    service::use_small_pages();
    let shutdown = service::shutdown_token().context("cannot listen for signals")?;

    let admin_address = config.service.admin_address(ADMIN_PORT);
    let public =
        TcpListener::bind(config.listen).await.with_context(|| format!("cannot listen on {}", config.listen))?;
    let admin = TcpListener::bind(admin_address).await.with_context(|| format!("cannot listen on {admin_address}"))?;

    run(config, public, admin, log_level, shutdown).await
}
