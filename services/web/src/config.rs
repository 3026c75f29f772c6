//! The web's flags and variables; `--help` is the manual.

use std::net::SocketAddr;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use service::http::{Door, DoorArgs, HttpLimits};
use service::{BadConfig, ServiceArgs};

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

    /// Address of these pages as people reach them; with an https address, as with a certificate, cookies travel over https
    /// only and browsers are told to come by nothing else.
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

    /// Who may make an account on the sign-up page. It travels with each sign-up, and the worker that makes the account
    /// decides by it. Operators make accounts by `croak user create` whatever it says.
    #[arg(long, env = "CROAK_REGISTRATION", value_enum, default_value_t = Registration::Invited)]
    pub registration: Registration,

    /// The door.
    #[command(flatten)]
    pub door: DoorArgs,

    /// What all services have.
    #[command(flatten)]
    pub service: ServiceArgs,
}

/// Who may make an account by these pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Registration {
    /// Everybody.
    Open,
    /// Who was invited to an organization.
    Invited,
    /// Nobody.
    Closed,
}

impl Config {
    /// Whether people reach the pages by https: of ours, or of a proxy's.
    pub(crate) fn is_https(&self) -> bool {
        self.door.tls_certificate.is_some() || self.public_url.as_ref().is_some_and(|url| url.starts_with("https://"))
    }

    /// The door with its limits; reads the certificate.
    pub(crate) fn door(&self) -> Result<Door, BadConfig> {
        if let (Some(url), Some(file)) = (&self.public_url, &self.door.tls_certificate)
            && url.starts_with("http://")
        {
            let file = file.display();
            return Err(BadConfig(format!(
                "CROAK_PUBLIC_URL={url} must begin with https:// when CROAK_TLS_CERTIFICATE={file} is set"
            )));
        }
        self.door.door(HttpLimits {
            body_within: Duration::from_secs(20),
            stop_within: self.service.stop_within(),
            ..HttpLimits::default()
        })
    }
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
