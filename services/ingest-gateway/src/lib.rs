//! The ingest gateway: the doors that notifiers post to.
//!
//! What this service promises: a 2xx means that what was posted is on this gateway's disk. It takes notices with
//! PostgreSQL down and with Redis down, also from its start, and it bounds its memory whatever is posted.

mod admission;
mod attachments;
mod body;
mod config;
mod doors;
mod encoding;
mod feed;
mod form;
mod gateway;
mod intake;
mod kept;
mod keys;
mod ledger;
mod measures;
mod pieces;
mod projects;
mod rate;
mod rejection;
mod run;
mod shipping;
mod stream;
mod watch;
mod workers;

pub use config::Config;
pub use run::{Listeners, run};

/// The usual port of health, metrics and control.
pub const ADMIN_PORT: u16 = 9180;
