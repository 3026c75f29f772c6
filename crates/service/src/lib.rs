//! What all services do alike: flags, logs, metrics, health, control, the hardened listener, the stop.
//!
//! Nothing here knows what a service is for. Everything takes its listener, its connections and its stop
//! signal as arguments, so that a test starts several services in one process, each on port 0, and stops
//! each alone.

pub mod admin;
pub mod args;
pub mod auth;
pub mod control;
pub mod exit;
pub mod health;
pub mod http;
pub mod logs;
pub mod measure;
pub mod process;
pub mod proto;
pub mod start;
pub mod stop;

pub use args::ServiceArgs;
pub use control::Control;
pub use exit::{BadConfig, exit_code};
pub use health::{Check, Health};
pub use logs::{causes, init_tracing};
pub use start::{raise_open_files, use_small_pages};
pub use stop::shutdown_token;
