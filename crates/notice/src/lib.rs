//! What a notice is: its shape, its limits, what is scrubbed from it, and what makes two of them one.
//!
//! Everything here is pure: no input or output, no clock, no async. The gateway and the
//! worker therefore agree on every answer, and a test can ask for it directly.
//!
//! What this crate promises:
//! - the same [`fold_key()`] means the same [`fingerprint()`], whatever the grouping;
//! - [`normalise()`] and [`scrub()`] are idempotent and say in `notes` what they changed;
//! - [`fold()`] does not depend on the order of its input.

pub mod accounted;
mod card;
mod class_name;
mod culprit;
mod facets;
mod fingerprint;
pub mod fold;
mod fold_key;
mod function_name;
pub mod id;
mod in_app;
pub mod json;
pub mod json_tree;
pub mod normalise;
mod place;
mod script_images;
mod scrub;
mod scrub_rules;
mod search_words;
mod secret;
pub mod sketch;
mod source_path;
mod stack;
mod template;

pub use prost;

pub use accounted::Accounted;
pub use culprit::culprit;
pub use facets::{facets, user_hash, user_hashes};
pub use fingerprint::{FINGERPRINT_VERSION, Fingerprint, Grouping, Part, fingerprint};
pub use fold::{Accepted, Folded, Item, fold};
pub use fold_key::{FOLD_KEY_VERSION, FoldKey, fold_key, lane_hash};
pub use id::NoticeId;
pub use in_app::is_library_path;
pub use json::{Stored, to_json};
pub use normalise::normalise;
pub use script_images::script_images;
pub use scrub::scrub;
pub use scrub_rules::{IpRule, SCRUB_RULE_CHARS_MAX, SCRUB_RULES_MAX, ScrubRules, ScrubRulesError};
pub use search_words::{FrameNames, frame_names, search_words};
pub use sketch::UserSketch;
pub use wire::*;

/// The messages of `proto/queue.proto`.
#[allow(missing_docs, clippy::all, reason = "generated; what needs saying is said in the .proto file")]
mod wire {
    include!(concat!(env!("OUT_DIR"), "/croak.queue.rs"));
}
