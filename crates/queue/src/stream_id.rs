//! The place of an entry in a stream: `<milliseconds>-<counter>`.

use std::fmt;
use std::str::FromStr;

/// The place of an entry, in the order of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct StreamId {
    ms: u64,
    counter: u64,
}

impl StreamId {
    /// The place just behind this one.
    pub(crate) fn next(self) -> StreamId {
        match self.counter.checked_add(1) {
            Some(counter) => StreamId { counter, ..self },
            None => StreamId { ms: self.ms.saturating_add(1), counter: 0 },
        }
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}-{}", self.ms, self.counter)
    }
}

/// The text is not a place in a stream.
#[derive(Debug)]
pub(crate) struct NoStreamId;

impl FromStr for StreamId {
    type Err = NoStreamId;

    fn from_str(text: &str) -> Result<StreamId, NoStreamId> {
        let (ms, counter) = text.split_once('-').ok_or(NoStreamId)?;
        Ok(StreamId { ms: ms.parse().map_err(|_| NoStreamId)?, counter: counter.parse().map_err(|_| NoStreamId)? })
    }
}
