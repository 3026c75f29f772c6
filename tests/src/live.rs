//! Real clients: each reports an error to a running Croak, and it is looked for where people and scripts would look.
//!
//! `tests/live/clients.toml` lists them; `script/live` installs them, unmodified and each at the version that is written there, into a folder of
//! their own ([`Home`]). A client's program raises one error whose class, place and cause are known, and tells what else it can.

mod client;
mod expected;
mod look;
mod run;

pub use client::{Client, Home, Part};
pub use expected::Expected;
pub use run::{Report, Stage};
