//! Redis: lanes, entries, watermarks, the snapshot of projects, and the shipper that feeds it.
//!
//! What this crate promises:
//! - an entry may arrive twice, late or never, but what a gateway has on its disk is sent until a watermark covers it;
//! - what is un-acknowledged is sent again only when Redis was seen not to have it, or did not say that it took it;
//! - Redis holds no more of one gateway than its window, and a full Redis can always be drained;
//! - no command touches two keys, and nothing depends on the places of entries in a stream.

mod address;
mod args;
pub mod body;
mod cluster;
mod dialer;
mod entry;
mod error;
mod lanes;
mod line;
pub mod measured;
mod queue;
mod servers;
mod shipper;
mod side;
mod stream_id;
mod tls;

pub use args::QueueArgs;
pub use entry::{Entry, Malformed, Shipped};
pub use error::QueueError;
pub use lanes::Lanes;
pub use queue::{Queue, QueueOptions};
pub use shipper::{Shipper, ShipperOptions, ShipperStatus};
pub use side::MemoryPolicy;
pub use tls::TlsFiles;
