//! The web's flags and variables; `--help` is the manual.

use std::net::SocketAddr;

use clap::Parser;
use service::ServiceArgs;

/// Shows what came in: pages for people, JSON for scripts. Reads only.
#[derive(Debug, Clone, Parser)]
#[command(version, about, max_term_width = 120)]
pub struct Config {
    /// Address of pages and API. Port 0 takes a free one.
    #[arg(long, env = "CROAK_LISTEN", default_value = "0.0.0.0:8000")]
    pub listen: SocketAddr,

    /// PostgreSQL, by a role that can only read (`croak_web`); a replica will do. It may be down at the start.
    #[arg(long, env = "CROAK_DATABASE_URL", hide_env_values = true)]
    pub database_url: String,

    /// Signs cookies. The same on every web server, and kept: changing it signs everybody out.
    #[arg(long, env = "CROAK_SECRET_KEY", hide_env_values = true, value_parser = secret_key)]
    pub secret_key: String,

    /// Address of these pages as people reach them; an https address makes cookies travel over https only.
    /// Default: whatever the browser asked for.
    #[arg(long, env = "CROAK_PUBLIC_URL", value_parser = base_url)]
    pub public_url: Option<String>,

    /// Address of the gateway as notifiers reach it, shown in the lines to paste into a client.
    #[arg(long, env = "CROAK_GATEWAY_URL", default_value = "http://127.0.0.1:8080", value_parser = base_url)]
    pub gateway_url: String,

    /// Worker that executes commands, as in `http://10.0.0.7:9201`. Default: those that registered themselves in
    /// the database.
    #[arg(long, env = "CROAK_COMMAND_URL", value_parser = base_url)]
    pub command_url: Option<String>,

    /// Connections at a time; more wait.
    #[arg(long, env = "CROAK_CONNECTIONS_MAX", default_value_t = 4_096, value_parser = clap::value_parser!(u32).range(1..))]
    pub connections_max: u32,

    /// What all services have.
    #[command(flatten)]
    pub service: ServiceArgs,
}

fn secret_key(text: &str) -> Result<String, String> {
    const CHARS_MIN: usize = 32;
    if text.len() < CHARS_MIN {
        return Err(format!("needs at least {CHARS_MIN} characters, for example from `openssl rand -hex 32`"));
    }
    Ok(text.to_owned())
}

fn base_url(text: &str) -> Result<String, String> {
    let url = url::Url::parse(text).map_err(|error| format!("{error}: write it as in https://croak.example"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err("must begin with http:// or https:// and a host".to_owned());
    }
    Ok(text.trim_end_matches('/').to_owned())
}
