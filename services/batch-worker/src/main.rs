//! The batch worker's process: folds, executes, delivers and keeps house, as its roles say.

use std::process::ExitCode;

use anyhow::Context as _;
use batch_worker::{ADMIN_PORT, Config, run};
use clap::Parser as _;
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
    service::use_small_pages();
    let shutdown = service::shutdown_token().context("cannot listen for signals")?;

    let admin_address = config.service.admin_address(ADMIN_PORT);
    let admin = TcpListener::bind(admin_address).await.with_context(|| format!("cannot listen on {admin_address}"))?;
    let commands = match config.command_listen() {
        Some(address) => Some(TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?),
        None => None,
    };

    run(config, admin, commands, log_level, shutdown).await
}
