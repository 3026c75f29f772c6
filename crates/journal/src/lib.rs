//! The gateway's durable log: what an accepted notice means.
//!
//! What this crate promises:
//! - when [`Journal::append`] returns `Ok`, all its records lie on the disk (fdatasync returned), and none of them
//!   is forgotten before a watermark covers it;
//! - an append is kept whole or not at all;
//! - a file is only ever written by the process that created it, so a number never names two contents;
//! - memory does not grow with the backlog, and a full journal is an answer, not a longer queue.
//!
//! It knows bytes: neither what a notice is nor where records are sent.

mod error;
pub mod failpoint;
mod footer;
mod frame;
mod header;
mod index;
mod inspect;
mod journal;
mod keep;
mod options;
mod record;
mod scan;
mod segment;
mod source;
mod state;
mod status;
mod sum;
mod volume;
mod writer;

pub use error::{AppendError, OpenError};
pub use inspect::{LaneListing, SegmentListing, Verdict, list, verify};
pub use journal::Journal;
pub use options::{JournalOptions, LANES_MAX};
pub use record::{BODY_BYTES_MAX, Draft, Kind, RECORD_BYTES_MAX, RECORD_HEAD_BYTES, Record, RecordError};
pub use source::{Picked, Source};
pub use status::Status;
