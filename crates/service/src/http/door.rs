//! A public door as its operator sets it up.

use std::path::PathBuf;
use std::sync::Arc;

use super::{HttpLimits, Network, Tls};
use crate::BadConfig;

/// The flags and variables that every public door has.
#[derive(Debug, Clone, clap::Args)]
pub struct DoorArgs {
    /// Certificates (PEM), the server's own first, then those between it and the authority: with them the door speaks
    /// TLS 1.2 and 1.3 and nothing else. Renewed files hold for new connections within seconds, without a restart.
    #[arg(long, env = "CROAK_TLS_CERTIFICATE", value_name = "FILE", requires = "tls_key")]
    pub tls_certificate: Option<PathBuf>,

    /// Private key of the certificate (PEM, not encrypted).
    #[arg(long, env = "CROAK_TLS_KEY", value_name = "FILE", requires = "tls_certificate")]
    pub tls_key: Option<PathBuf>,

    /// Connections at a time, of each listener; more wait.
    #[arg(long, env = "CROAK_CONNECTIONS_MAX", default_value_t = 4_096, value_parser = clap::value_parser!(u32).range(1..))]
    pub connections_max: u32,

    /// Connections at a time, of each listener, of one address or of one IPv6 network of 64 bits; more are closed at once.
    /// Trusted proxies may have any number.
    #[arg(long, env = "CROAK_CONNECTIONS_PER_ADDRESS_MAX", default_value_t = 1_024, value_parser = clap::value_parser!(u32).range(1..))]
    pub connections_per_address_max: u32,

    /// Proxies whose X-Forwarded-For is believed: addresses or networks, with commas between
    /// (`10.0.0.0/8,127.0.0.1`).
    #[arg(long, env = "CROAK_TRUSTED_PROXIES", value_delimiter = ',')]
    pub trusted_proxies: Vec<Network>,
}

/// What a listener bears, whom it believes and how it proves who it is.
#[derive(Debug, Clone, Default)]
pub struct Door {
    /// What it bears.
    pub limits: HttpLimits,
    /// Proxies whose X-Forwarded-For is believed.
    pub trusted_proxies: Arc<[Network]>,
    /// Certificate and key; without them it speaks plain HTTP.
    pub tls: Option<Tls>,
}

impl DoorArgs {
    /// The door with these limits besides; reads the certificate and its key.
    pub fn door(&self, limits: HttpLimits) -> Result<Door, BadConfig> {
        let tls = match (&self.tls_certificate, &self.tls_key) {
            (Some(certificate), Some(key)) => Some(Tls::read(certificate, key).map_err(|error| {
                BadConfig(format!("CROAK_TLS_CERTIFICATE and CROAK_TLS_KEY: {}", crate::causes(&error)))
            })?),
            // One without the other does not get through the flags.
            _ => None,
        };
        let limits = HttpLimits {
            connections_max: self.connections_max as usize,
            connections_per_address_max: self.connections_per_address_max as usize,
            ..limits
        };
        Ok(Door { limits, trusted_proxies: self.trusted_proxies.clone().into(), tls })
    }
}
