//! What each kind of client sends and expects: bytes to [`Notice`], and the answers.
//!
//! Pure: bytes in, values out. What this crate promises:
//! - every scalar of a body that is taken ends in a field of the notice, in its `unmapped_json`, or is named in its `notes`;
//! - no body, however broken, makes it panic, recurse without bound or need more than a small multiple of its size;
//! - a parsed notice is neither normalised nor scrubbed: callers do both, in this order.

pub mod airbrake;
mod breadcrumbs;
pub mod bugsnag;
mod code;
mod deploy;
mod frame_address;
mod frame_order;
pub mod honeybadger;
pub mod hoptoad;
mod json;
mod message;
pub mod otlp;
mod place;
mod query;
mod raw_stack;
pub mod rollbar;
pub mod sentry;
pub mod stack_text;
mod timestamp;
mod unmapped;

use notice::Notice;
use thiserror::Error;

/// A body that was understood.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parsed {
    /// What it says.
    pub notice: Notice,
    /// The project's key, where the body has one.
    pub api_key: Option<String>,
    /// The project's id, where the body has one.
    pub project_id: Option<String>,
    /// Whether the document was cut and only its beginning is here.
    ///
    /// A client that counts characters instead of bytes sends the rest right behind it: what
    /// comes next on the connection is no request, but appended to this body it makes the document
    /// whole. Read on for it, parse again, answer, and close the connection.
    pub salvaged: bool,
}

/// Why a body was not understood. The text is meant for the client.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ParseError {
    /// There is no body.
    #[error("the body is empty")]
    Empty,
    /// It is not the format that was expected here.
    #[error("{0}")]
    Malformed(String),
    /// An XML notice of a version before or after 2.x.
    #[error("version `{0}` of the notice is not supported: 2.0 to 2.4 are")]
    UnsupportedVersion(String),
    /// There is no error in the notice.
    #[error("{0}")]
    MissingErrors(&'static str),
    /// It says how long something took, which is no notice.
    #[error("this is a transaction, not an error")]
    Transaction,
    /// XML with a document type: it could define entities.
    #[error("a document type (`<!DOCTYPE`) is not allowed")]
    Doctype,
    /// XML nested as no client nests it.
    #[error("the document is nested too deeply")]
    TooDeep,
    /// Something that must be there is not.
    #[error("`{0}` is missing")]
    MissingKey(String),
}
