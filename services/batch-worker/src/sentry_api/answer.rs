//! What goes back: a status and JSON, or a refusal in the form that build tools show.

use serde_json::Value;
use store::{ErrorClass, StoreError};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A status of HTTP and a body.
pub(super) type Answered = Result<(u16, Value), Refusal>;

/// Why something was not done.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The caller's fault, with a status of HTTP and what would be right.
    Told(u16, String),
    /// Ours, or nobody's: the same may be sent again. For the log.
    Unavailable(String),
}

impl Refusal {
    pub(super) fn bad(told: impl Into<String>) -> Refusal {
        Refusal::Told(400, told.into())
    }

    pub(super) fn missing(told: impl Into<String>) -> Refusal {
        Refusal::Told(404, told.into())
    }

    pub(super) fn no_such_path() -> Refusal {
        Refusal::missing("there is nothing at this address, or not by this method")
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Refusal {
        match error.class() {
            ErrorClass::Refused => {
                tracing::warn!(causes = service::causes(&error), "the database refused what a build tool sent");
                Refusal::bad("a value cannot be stored")
            }
            _ => Refusal::Unavailable(service::causes(&error)),
        }
    }
}

/// A moment as JSON.
pub(super) fn rfc3339(at: Option<OffsetDateTime>) -> Option<String> {
    at.and_then(|at| at.format(&Rfc3339).ok())
}
