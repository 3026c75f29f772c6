//! Flags and variables of the worker.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use queue::QueueArgs;
use service::{BadConfig, ServiceArgs};

use crate::deliver::Mailer;

/// Seconds for which a stretch of time must have been over before its chunks are merged: gateways keep what is committed for ten
/// minutes and send it again when the database was set back.
const COMPACT_AFTER_S: u32 = 30 * 60;

/// Folds notices into groups, executes what people do, delivers what they are told, keeps house.
#[derive(Debug, Clone, Parser)]
#[command(name = "batch-worker", version)]
pub struct Config {
    /// Flags that every service has.
    #[command(flatten)]
    pub service: ServiceArgs,

    /// PostgreSQL, as a user with the rights of role `croak_worker`.
    #[arg(long, env = "CROAK_DATABASE_URL", hide_env_values = true)]
    pub database_url: String,

    /// Where Redis is.
    #[command(flatten)]
    pub queue: QueueArgs,

    /// What this worker does, as a list with commas.
    #[arg(
        long,
        env = "CROAK_ROLES",
        value_enum,
        value_delimiter = ',',
        default_values_t = [Role::Fold, Role::Command, Role::Deliver, Role::Housekeep, Role::Report]
    )]
    pub roles: Vec<Role>,

    /// Name of this worker in lists and logs. Default: the machine's name.
    #[arg(long, env = "CROAK_WORKER_ID")]
    pub worker_id: Option<String>,

    /// Role command: address where commands of the web, and of build tools through gateways, are taken (gRPC). Port 0 takes a free one.
    #[arg(long, env = "CROAK_COMMAND_LISTEN", default_value = "127.0.0.1:9191")]
    command_listen: SocketAddr,

    /// Role command: how the web reaches that address, as in `http://10.0.0.7:9191`. Default: the address that is
    /// listened on, or the machine's name when that is all of them.
    #[arg(long, env = "CROAK_COMMAND_ADVERTISE")]
    pub command_advertise: Option<String>,

    /// How people reach the pages, for the links in what they are told.
    #[arg(long, env = "CROAK_PUBLIC_URL")]
    pub public_url: Option<String>,

    /// Role deliver: allow calls to addresses inside this network.
    #[arg(long, env = "CROAK_DELIVER_ALLOW_PRIVATE", action = clap::ArgAction::Set, default_value_t = false)]
    pub deliver_allow_private: bool,

    /// Role deliver: compose and log everything, and send nothing.
    #[arg(long, env = "CROAK_DELIVER_REHEARSAL", action = clap::ArgAction::Set, default_value_t = false)]
    pub deliver_rehearsal: bool,

    /// Role deliver: the server that takes mails, as `smtp://user:password@host:587?tls=required`, or `smtps://…` for TLS from the
    /// first byte; or the folder they are written to instead, as `file:///var/lib/croak/mail`. Without it they wait.
    #[arg(long, env = "CROAK_SMTP_URL", hide_env_values = true)]
    pub smtp_url: Option<String>,

    /// Role deliver: whom mails are from, as `Croak <croak@example.org>`.
    #[arg(long, env = "CROAK_MAIL_FROM")]
    pub mail_from: Option<String>,

    /// Role housekeep: seconds without a word of the lanes of an older epoch after which they have no owner any more. More
    /// than the ten minutes that gateways keep what is committed and the ten in which a file of a journal ends: until then they need a word of it.
    #[arg(long, env = "CROAK_LANES_QUIET_S", default_value_t = 1_800, value_parser = clap::value_parser!(u32).range(1..))]
    pub lanes_quiet_s: u32,

    /// Role housekeep: seconds after the end of a stretch of ten minutes in which notices of it may still come in. Then its small
    /// chunks are merged, once; what comes later stays as it came.
    #[arg(long, env = "CROAK_COMPACT_AFTER_S", default_value_t = COMPACT_AFTER_S, value_parser = clap::value_parser!(u32).range(1..))]
    pub compact_after_s: u32,

    /// Role housekeep: days that uploaded source maps are kept; each upload of the same begins them anew.
    #[arg(long, env = "CROAK_ARTIFACT_DAYS", default_value_t = 90, value_parser = clap::value_parser!(u32).range(1..=36_500))]
    pub artifact_days: u32,

    /// Role fold: most records of one batch.
    #[arg(long, env = "CROAK_BATCH_RECORDS_MAX", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub batch_records_max: u32,

    /// Role fold: a batch is closed when its records, compressed, reach this many bytes; while it is worked on they are in memory
    /// several times.
    #[arg(long, env = "CROAK_BATCH_BYTES_MAX", default_value_t = 2 << 20, value_parser = clap::value_parser!(u32).range(1 << 16..=1 << 28))]
    pub batch_bytes_max: u32,

    /// Role fold: a batch is closed when it holds this many different errors.
    #[arg(long, env = "CROAK_BATCH_GROUPS_MAX", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub batch_groups_max: u32,

    /// Role fold: milliseconds that a small batch waits for more, and five times that where more comes. What comes alone does not wait.
    #[arg(long, env = "CROAK_BATCH_WAIT_MS", default_value_t = 100, value_parser = clap::value_parser!(u64).range(0..=2_000))]
    pub batch_wait_ms: u64,

    /// Role fold: batches that are worked on at the same time; each takes tens of megabytes.
    #[arg(long, env = "CROAK_BATCHES_AT_ONCE", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=12))]
    pub batches_at_once: u16,
}

/// What a worker can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Role {
    /// Reads notices from Redis, folds them and writes them.
    Fold,
    /// Executes what people do on the web.
    Command,
    /// Decides what people are told of alerts, sends mails, calls webhooks and chats.
    Deliver,
    /// Makes and drops partitions, merges small chunks, publishes projects to the gateways.
    Housekeep,
    /// Makes weekly reports.
    Report,
}

impl Role {
    fn name(self) -> &'static str {
        match self {
            Role::Fold => "fold",
            Role::Command => "command",
            Role::Deliver => "deliver",
            Role::Housekeep => "housekeep",
            Role::Report => "report",
        }
    }
}

/// How big a batch may get, and how long it waits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BatchLimits {
    pub(crate) records_max: usize,
    pub(crate) bytes_max: usize,
    pub(crate) groups_max: usize,
    pub(crate) wait: Duration,
}

/// How long role housekeep waits before it touches something.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HouseTimes {
    /// Without a word of the lanes of an older epoch.
    pub(crate) lanes_quiet: Duration,
    /// From the end of a stretch of time until its chunks are merged.
    pub(crate) compact_after: Duration,
    /// Days that uploads are kept.
    pub(crate) artifact_days: u32,
}

impl Config {
    pub(crate) fn has(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }

    pub(crate) fn role_names(&self) -> Vec<String> {
        let roles: BTreeSet<Role> = self.roles.iter().copied().collect();
        roles.into_iter().map(|role| role.name().to_owned()).collect()
    }

    pub(crate) fn batch_limits(&self) -> BatchLimits {
        BatchLimits {
            records_max: self.batch_records_max as usize,
            bytes_max: self.batch_bytes_max as usize,
            groups_max: self.batch_groups_max as usize,
            wait: Duration::from_millis(self.batch_wait_ms),
        }
    }

    pub(crate) fn house_times(&self) -> HouseTimes {
        HouseTimes {
            lanes_quiet: Duration::from_secs(self.lanes_quiet_s.into()),
            compact_after: Duration::from_secs(self.compact_after_s.into()),
            artifact_days: self.artifact_days,
        }
    }

    /// What one flag cannot say alone.
    pub(crate) fn check(&self) -> Result<(), BadConfig> {
        if self.roles.is_empty() {
            return Err(BadConfig(
                "--roles is empty: a worker needs one of fold, command, deliver, housekeep, report".into(),
            ));
        }
        if self.has(Role::Command) && self.service.control_token.is_none() {
            return Err(BadConfig(
                "role command needs CROAK_CONTROL_TOKEN, the same as the web's: or leave the role out of CROAK_ROLES"
                    .into(),
            ));
        }
        self.mailer()?;
        Ok(())
    }

    /// Whether this worker hands mails on.
    pub(crate) fn sends_mail(&self) -> bool {
        self.has(Role::Deliver) && self.smtp_url().is_some()
    }

    /// A compose file names the variable and leaves it empty.
    fn smtp_url(&self) -> Option<&str> {
        self.smtp_url.as_deref().filter(|url| !url.is_empty())
    }

    /// What mails leave by.
    pub(crate) fn mailer(&self) -> Result<Option<Mailer>, BadConfig> {
        let Some(url) = self.smtp_url() else { return Ok(None) };
        let Some(from) = self.mail_from.as_deref().filter(|from| !from.is_empty()) else {
            return Err(BadConfig("CROAK_SMTP_URL needs CROAK_MAIL_FROM: whom mails are from".into()));
        };
        Mailer::new(url, from, &machine_name()).map(Some)
    }

    /// Different for every start: one that was killed must not be taken for the one that came after it.
    pub(crate) fn worker_id(&self) -> String {
        let name = self.worker_id.clone().unwrap_or_else(machine_name);
        format!("{name}/{:08x}", rand::random::<u32>())
    }

    /// Where commands are taken, if they are.
    pub fn command_listen(&self) -> Option<SocketAddr> {
        self.has(Role::Command).then_some(self.command_listen)
    }

    /// How the web reaches the commands that are taken at this address.
    pub(crate) fn command_address(&self, listening_on: SocketAddr) -> String {
        match &self.command_advertise {
            Some(address) => address.clone(),
            None if listening_on.ip().is_unspecified() => format!("http://{}:{}", machine_name(), listening_on.port()),
            None => format!("http://{listening_on}"),
        }
    }
}

fn machine_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
