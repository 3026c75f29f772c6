//! The body of a call, as it arrives.

use bytes::{Bytes, BytesMut};
use futures::Stream;
use serde::de::DeserializeOwned;
use service::proto::sentry_api::CallPart;
use service::proto::sentry_api::call_part::Part;
use tonic::{Status, Streaming};

use super::answer::Refusal;

/// Most bytes of a body that is JSON.
const JSON_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What follows the head of a call.
pub(super) struct CallBody(Streaming<CallPart>);

impl CallBody {
    pub(super) fn new(parts: Streaming<CallPart>) -> CallBody {
        CallBody(parts)
    }

    /// Its pieces. Ends with an error when the caller breaks off.
    pub(super) fn pieces(self) -> impl Stream<Item = Result<Bytes, Status>> + Send {
        futures::stream::try_unfold(self.0, |mut parts| async move {
            match parts.message().await? {
                Some(CallPart { part: Some(Part::Body(piece)) }) => Ok(Some((Bytes::from(piece), parts))),
                Some(_) => Err(Status::invalid_argument("a body follows the head, and nothing else")),
                None => Ok(None),
            }
        })
    }

    /// The whole of it.
    pub(super) async fn whole(self) -> Result<Bytes, Refusal> {
        let mut pieces = std::pin::pin!(self.pieces());
        let mut whole = BytesMut::new();
        while let Some(piece) = futures::StreamExt::next(&mut pieces).await {
            let piece = piece.map_err(|status| Refusal::Unavailable(status.to_string()))?;
            if whole.len() + piece.len() > JSON_BYTES_MAX {
                return Err(Refusal::Told(413, format!("the body is longer than {JSON_BYTES_MAX} bytes")));
            }
            whole.extend_from_slice(&piece);
        }
        Ok(whole.freeze())
    }
}

/// Reads a body that is JSON.
pub(super) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| Refusal::bad(format!("the body is not what it should be: {error}")))
}

/// A text that fits: without NUL, which PostgreSQL does not take, and at most so many characters of it.
pub(super) fn fitting(text: &str, chars_max: usize) -> String {
    text.chars().filter(|c| *c != '\0').take(chars_max).collect()
}
