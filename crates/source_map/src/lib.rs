//! From a place in minified JavaScript to the place in its source.
//!
//! [`SourceMap`] reads a source map (ECMA-426, version 3); [`Resolver`] puts what maps say into the frames of a notice;
//! [`address`] says under which names a script and its map can have been uploaded. All of it is pure: where the bytes of
//! maps come from is somebody else's business.
//!
//! What this crate promises:
//! - no bytes make it panic, and a map takes no more memory than [`BYTES_MAX`] and [`TOKENS_MAX`] allow;
//! - a frame that no map knows stays as it came.

pub mod address;
mod functions;
mod map;
mod mappings;
mod resolve;

pub use map::{BYTES_MAX, BadMap, Original, SourceMap};
pub use mappings::TOKENS_MAX;
pub use resolve::{Fate, Minified, Resolution, Resolver, Script, is_javascript};
