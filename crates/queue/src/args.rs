//! Flags and variables of every program that uses Redis.

use std::path::PathBuf;

use crate::{QueueOptions, TlsFiles};

/// Where Redis is, and what our keys there begin with.
#[derive(Clone, Debug, clap::Args)]
pub struct QueueArgs {
    /// Redis, which carries notices from the gateways to the workers; it may be down, also at the start. One server:
    /// `redis://[user:password@]host[:port][/db]`. The master that sentinels name:
    /// `redis-sentinel://[user:password@]host[:port][,host[:port]…]/master-name[/db]`; the password is the servers',
    /// that of the sentinels follows as `?sentinel_user=…&sentinel_password=…`. A cluster:
    /// `redis-cluster://[user:password@]host[:port][,host[:port]…]`. With `rediss` instead of `redis`: over TLS.
    #[arg(long, env = "CROAK_REDIS_URL", default_value = "redis://127.0.0.1:6379", hide_env_values = true)]
    pub redis_url: String,

    /// File with the certificates (PEM) of the authorities that vouch for Redis. Default: those of the system.
    #[arg(long, env = "CROAK_REDIS_CA_FILE")]
    pub redis_ca_file: Option<PathBuf>,

    /// File with our certificate (PEM), for a Redis that asks for one.
    #[arg(long, env = "CROAK_REDIS_CERT_FILE", requires = "redis_key_file")]
    pub redis_cert_file: Option<PathBuf>,

    /// File with the key (PEM) of that certificate.
    #[arg(long, env = "CROAK_REDIS_KEY_FILE", requires = "redis_cert_file")]
    pub redis_key_file: Option<PathBuf>,

    /// What all keys in Redis begin with: the same for all services of one installation; two installations on one
    /// Redis need two.
    #[arg(long, env = "CROAK_QUEUE_PREFIX", default_value = "croak")]
    pub queue_prefix: String,
}

impl QueueArgs {
    /// The options that they stand for.
    pub fn options(&self, lane_count: u16) -> QueueOptions {
        QueueOptions {
            url: self.redis_url.clone(),
            tls: TlsFiles {
                ca: self.redis_ca_file.clone(),
                identity: self.redis_cert_file.clone().zip(self.redis_key_file.clone()),
            },
            prefix: self.queue_prefix.clone(),
            lane_count,
        }
    }
}
