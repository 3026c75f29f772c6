//! The database: every SQL statement of the project lives in this crate.
//!
//! [`Writer`] and [`Reader`] are separate types so that a service that only shows
//! things cannot be made to change them by accident; [`Admin`] is for the command line.
//!
//! What this crate promises:
//! - the numbers of a batch's records, their counts and their bodies are committed in one transaction or not at all;
//! - only the holder of a lane's current token commits for it;
//! - every body that was committed can be read back until its retention ends, and `audit` can prove it.

pub mod admin;
pub mod alert;
pub mod attachment;
pub mod batch;
pub mod chunk;
mod client_id_index;
pub mod client_ids;
pub mod compaction;
mod dead;
mod deleted_groups;
mod dictionary;
mod error;
pub mod housekeeper;
mod lane_epochs;
mod live_days;
mod migrate;
pub mod reader;
mod role;
mod slug;
mod snapshot;
pub mod source_maps;
mod sweeps;
pub mod token;
pub mod writer;

pub use admin::Admin;
pub use dead::DeadNoticeId;
pub use error::{ErrorClass, StoreError};
pub use lane_epochs::EpochRow;
pub use migrate::migrate;
pub use reader::Reader;
pub use role::Role;
pub use writer::Writer;
