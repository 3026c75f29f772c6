//! The ingest gateway's process: where notifiers post what went wrong.

use std::net::SocketAddr;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use ingest_gateway::{ADMIN_PORT, Config, Listeners, run};
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

    let listeners = Listeners {
        public: listen(config.listen).await?,
        otlp: listen_if_asked(config.otlp_listen).await?,
        otlp_grpc: listen_if_asked(config.otlp_grpc_listen).await?,
        admin: listen(config.service.admin_address(ADMIN_PORT)).await?,
    };

    run(config, listeners, log_level, shutdown).await
}

async fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))
}

async fn listen_if_asked(address: Option<SocketAddr>) -> anyhow::Result<Option<TcpListener>> {
    match address {
        Some(address) => listen(address).await.map(Some),
        None => Ok(None),
    }
}
