//! The flags that every service has.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use clap::ValueEnum;

/// Flags and variables that mean the same in every service.
#[derive(Debug, Clone, clap::Args)]
pub struct ServiceArgs {
    /// What to log: a level, or levels by part, as in `info` or `queue=debug,info`.
    #[arg(long, env = "CROAK_LOG", default_value = "info")]
    pub log: String,

    /// Form of the log lines, on standard error.
    #[arg(long, env = "CROAK_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,

    /// Address of health, metrics and control (plain HTTP and gRPC on one port). Port 0 takes a free one.
    /// Default: loopback, port 9180 (gateway), 9181 (worker), 9182 (web).
    #[arg(long, env = "CROAK_ADMIN_LISTEN")]
    pub admin_listen: Option<SocketAddr>,

    /// Secret by which services and the command line prove themselves to each other. Without it, control
    /// answers nothing but a status request from this machine, and commands are refused.
    #[arg(
        long,
        env = "CROAK_CONTROL_TOKEN",
        hide_env_values = true,
        value_parser = secret
    )]
    pub control_token: Option<String>,

    /// After SIGTERM, milliseconds until what is still in hand is dropped.
    #[arg(long, env = "CROAK_STOP_WITHIN_MS", default_value_t = 10_000)]
    pub stop_within_ms: u64,
}

/// Form of the log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl ServiceArgs {
    /// Where health, metrics and control listen: as set, else loopback on the service's usual port.
    pub fn admin_address(&self, usual_port: u16) -> SocketAddr {
        self.admin_listen.unwrap_or_else(|| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), usual_port))
    }

    /// How long an orderly stop may take.
    pub fn stop_within(&self) -> Duration {
        Duration::from_millis(self.stop_within_ms)
    }
}

/// An empty variable is what a deployment with a missing secret looks like: better stopped than open.
fn secret(text: &str) -> Result<String, String> {
    const CHARS_MIN: usize = 16;
    if text.len() < CHARS_MIN {
        return Err(format!("needs at least {CHARS_MIN} characters, for example from `openssl rand -hex 32`"));
    }
    Ok(text.to_owned())
}
