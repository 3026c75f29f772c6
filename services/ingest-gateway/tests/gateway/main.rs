//! The gateway through its sockets, with a real journal and a real Redis.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod attachments;
mod doors;
mod harness;
mod keyed;
mod limits;
mod otlp;
mod outages;
mod refusals;
mod sentry;
