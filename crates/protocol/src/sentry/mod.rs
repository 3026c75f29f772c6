//! Sentry: envelopes, events, the older store, reports of browsers, feedback of people, and the answers.
//!
//! An [`Envelope`] is read item by item, so that a body of any length takes no more memory than what is kept of it. What
//! its items are is told by their heads: [`parse_event`] is for `event`, [`client_report`] for `client_report`,
//! [`security_report`] and [`nel_report`] for `raw_security` and `nel`, [`user_report`] and [`feedback`] for the items of
//! these names. A dump of a crashed process has its event made by [`minidump_event`].

mod answer;
pub mod artifact_bundle;
mod browser_report;
mod certificate;
mod chain;
mod client_report;
mod csp;
mod debug_meta;
mod dsn;
mod envelope;
mod event;
mod event_id;
mod exception;
mod feedback;
mod fingerprint;
mod hosts;
mod images;
mod item;
mod level;
mod message;
mod message_pack;
mod minidump;
mod nel;
mod pairs;
mod params;
mod report;
mod request;
mod sdk;
mod security;
mod stacktrace;
mod store;
mod threads;
mod user;

pub use answer::{accepted, refused};
pub use client_report::client_report;
pub use dsn::public_key;
pub use envelope::{Envelope, EnvelopeError};
pub use event::{EventContext, parse_event};
pub use event_id::event_id;
pub use feedback::{Feedback, error_page_form, feedback, user_report};
pub use item::{Item, ItemHead};
pub use minidump::{is_part_of_event, minidump_event};
pub use nel::nel_report;
pub use report::ReportContext;
pub use security::security_report;
pub use store::decode_store_body;
