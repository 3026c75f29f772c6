//! Sentry: envelopes, events, the older store, reports of browsers, feedback of people, and the answers.
//!
//! An [`Envelope`] is read item by item, so that a body of any length takes no more memory than what is kept of it. What
//! its items are is told by their heads: [`parse_event`] is for `event`, [`client_report`] for `client_report`,
//! [`security_report`] and [`nel_report`] for `raw_security` and `nel`, [`user_report`] and [`feedback`] for the items of
//! these names.

mod answer;
mod client_report;
mod envelope;
mod event;
mod event_id;
mod feedback;
mod item;
mod nel;
mod security;
mod store;

pub use answer::{accepted, refused};
pub use client_report::client_report;
pub use envelope::{Envelope, EnvelopeError};
pub use event::{EventContext, parse_event};
pub use feedback::{Feedback, error_page_form, feedback, user_report};
pub use item::{Item, ItemHead};
pub use nel::nel_report;
pub use security::{ReportContext, security_report};
pub use store::decode_store_body;
