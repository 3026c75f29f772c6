//! The gateway's flags and variables; `--help` is the manual.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use queue::QueueArgs;
use service::http::{Door, DoorArgs, HttpLimits};
use service::{BadConfig, ServiceArgs};

/// Takes in what notifiers post, keeps it on disk before it answers, and ships it to the workers.
#[derive(Debug, Clone, Parser)]
#[command(version, about, max_term_width = 120)]
pub struct Config {
    /// Address that notifiers post to. Port 0 takes a free one.
    #[arg(long, env = "CROAK_LISTEN", default_value = "0.0.0.0:8080")]
    pub listen: SocketAddr,

    /// One more address that is served like the first, for exporters of OpenTelemetry that send to its usual port by HTTP
    /// (`127.0.0.1:4318`). Default: none.
    #[arg(long, env = "CROAK_OTLP_LISTEN")]
    pub otlp_listen: Option<SocketAddr>,

    /// Address for exporters of OpenTelemetry that send by gRPC, usually to port 4317 (`127.0.0.1:4317`). Default: none.
    #[arg(long, env = "CROAK_OTLP_GRPC_LISTEN")]
    pub otlp_grpc_listen: Option<SocketAddr>,

    /// Directory of the journal: what was accepted and is not yet in the database lies here, so it must be on a
    /// disk that outlives the process. One gateway per directory.
    #[arg(long, env = "CROAK_JOURNAL_DIR", default_value = "/var/lib/croak/journal")]
    pub journal_dir: PathBuf,

    /// Bytes of accepted notices that may wait for the database; above it notices are refused. Default: 8 GiB or
    /// a fifth of the free disk, whichever is less.
    #[arg(long, env = "CROAK_JOURNAL_BYTES_MAX")]
    pub journal_bytes_max: Option<u64>,

    /// Where Redis is.
    #[command(flatten)]
    pub queue: QueueArgs,

    /// Bytes of un-acknowledged notices that this gateway may have in Redis.
    #[arg(long, env = "CROAK_SHIP_WINDOW_BYTES", default_value_t = 256 * 1024 * 1024)]
    pub ship_window_bytes: u64,

    /// Address of the web as people reach it; answers to notifiers carry links to it.
    #[arg(long, env = "CROAK_PUBLIC_URL", default_value = "http://127.0.0.1:8000", value_parser = public_url)]
    pub public_url: String,

    /// Where workers of role command take commands, as a list with commas: what build tools ask for (releases, deploys, source maps)
    /// goes to the first of them that is there.
    #[arg(long, env = "CROAK_COMMAND_URL", value_delimiter = ',', default_value = "http://127.0.0.1:9191", value_parser = public_url)]
    pub command_url: Vec<String>,

    /// The door.
    #[command(flatten)]
    pub door: DoorArgs,

    /// How often to ask for changes of projects and keys, in milliseconds.
    #[arg(long, env = "CROAK_SNAPSHOT_POLL_MS", default_value_t = 500, value_parser = clap::value_parser!(u64).range(10..=60_000))]
    pub snapshot_poll_ms: u64,

    /// How often what was refused is written to the journal, in milliseconds.
    #[arg(long, env = "CROAK_LEDGER_EVERY_MS", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(100..=600_000))]
    pub ledger_every_ms: u64,

    /// Bytes of one notice or one batch of statistics, before and after decompression; above it the answer is 413.
    #[arg(long, env = "CROAK_BODY_BYTES_MAX", default_value_t = 4 * 1024 * 1024)]
    pub body_bytes_max: usize,

    /// Bytes of bodies in memory at a time, before and after decompression; above it notices are refused.
    #[arg(long, env = "CROAK_IN_FLIGHT_BYTES_MAX", default_value_t = 32 * 1024 * 1024)]
    pub in_flight_bytes_max: usize,

    /// Bytes of one file that is attached to an event; a longer one is not kept, the event is.
    #[arg(long, env = "CROAK_ATTACHMENT_BYTES_MAX", default_value_t = 20 * 1024 * 1024)]
    pub attachment_bytes_max: u64,

    /// Bytes of all files that come with one event.
    #[arg(long, env = "CROAK_ATTACHMENTS_OF_EVENT_BYTES_MAX", default_value_t = 40 * 1024 * 1024)]
    pub attachments_of_event_bytes_max: u64,

    /// Bytes of files that this gateway takes of one project on one day (UTC); 0: none at all. A restart begins a new count.
    #[arg(long, env = "CROAK_ATTACHMENTS_OF_DAY_BYTES_MAX", default_value_t = 1024 * 1024 * 1024)]
    pub attachments_of_day_bytes_max: u64,

    /// Time for a request's line and headers, in milliseconds.
    #[arg(long, env = "CROAK_HEAD_WITHIN_MS", default_value_t = 5_000)]
    pub head_within_ms: u64,

    /// Longest pause in a request's body, in milliseconds.
    #[arg(long, env = "CROAK_BODY_PAUSE_MAX_MS", default_value_t = 10_000)]
    pub body_pause_max_ms: u64,

    /// Time for a request's whole body, in milliseconds. A long one gets more for what has arrived, a second for 64 KiB, and at most four times this.
    #[arg(long, env = "CROAK_BODY_WITHIN_MS", default_value_t = 30_000)]
    pub body_within_ms: u64,

    /// Time that a connection may stay open between two requests, in milliseconds.
    #[arg(long, env = "CROAK_IDLE_WITHIN_MS", default_value_t = 75_000)]
    pub idle_within_ms: u64,

    /// When stopping, wait until the database has everything that was accepted, however long that takes. For a
    /// gateway whose disk goes away with it.
    #[arg(long, env = "CROAK_DRAIN")]
    pub drain: bool,

    /// What all services have.
    #[command(flatten)]
    pub service: ServiceArgs,
}

impl Config {
    /// Checks what clap cannot: settings that depend on each other.
    pub(crate) fn check(&self) -> Result<(), BadConfig> {
        /// Fewer would let one body be refused because of the next.
        const BODIES_MIN: usize = 4;
        if self.in_flight_bytes_max / BODIES_MIN < self.body_bytes_max {
            return Err(BadConfig(format!(
                "CROAK_IN_FLIGHT_BYTES_MAX={} must hold at least {BODIES_MIN} bodies of CROAK_BODY_BYTES_MAX={}",
                self.in_flight_bytes_max, self.body_bytes_max
            )));
        }
        if self.body_within_ms < self.body_pause_max_ms {
            return Err(BadConfig(format!(
                "CROAK_BODY_WITHIN_MS={} must be at least CROAK_BODY_PAUSE_MAX_MS={}",
                self.body_within_ms, self.body_pause_max_ms
            )));
        }
        Ok(())
    }

    /// The door with its limits; reads the certificate.
    pub(crate) fn door(&self) -> Result<Door, BadConfig> {
        self.door.door(HttpLimits {
            head_within: Duration::from_millis(self.head_within_ms),
            idle_within: Duration::from_millis(self.idle_within_ms),
            body_pause_max: Duration::from_millis(self.body_pause_max_ms),
            body_within: Duration::from_millis(self.body_within_ms),
            stop_within: self.service.stop_within() / 2,
            ..HttpLimits::default()
        })
    }
}

/// An absolute address without a slash at its end, so that a path can be put behind it.
fn public_url(text: &str) -> Result<String, String> {
    let url: http::Uri = text.parse().map_err(|error| format!("{error}"))?;
    if !matches!(url.scheme_str(), Some("http" | "https")) || url.query().is_some() {
        return Err("needs the form https://croak.example.com".to_owned());
    }
    Ok(text.trim_end_matches('/').to_owned())
}
