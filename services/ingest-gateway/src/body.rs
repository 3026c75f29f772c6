//! Reading a request's body within every limit.

use std::time::Duration;

use bytes::Bytes;
use http::header::EXPECT;
use http::request::Parts;
use http_body::Body as _;
use protocol::ParseError;
use service::http::Body;

use crate::admission::Hold;
use crate::encoding::Encoding;
use crate::pieces::Pieces;
use crate::rejection::Rejection;

/// What is read and thrown away of a body that is refused. A client that is still sending when the connection
/// closes sees a reset and never the answer.
const DISCARD_BYTES_MAX: usize = 16 * 1024 * 1024;
/// How long a pause ends the throwing away, and how long it takes at most.
const DISCARD_PAUSE_MAX: Duration = Duration::from_millis(250);
const DISCARD_WITHIN: Duration = Duration::from_secs(5);

/// What stands before a message of gRPC: whether it is packed, and its length in four bytes, the highest first.
const MESSAGE_PREFIX_BYTES: usize = 5;
/// What a call of gRPC takes besides its headers and its message.
const CALL_BYTES: usize = 4 * 1024;

/// A body as it came, with its encoding and its place in memory.
pub(crate) struct Posted {
    packed: Pieces,
    encoding: Encoding,
    bytes_max: usize,
    hold: Hold,
}

impl Posted {
    /// Reads the body of a request, at most `bytes_max` bytes of it.
    pub(crate) async fn read(
        parts: &Parts,
        body: &mut Body,
        bytes_max: usize,
        mut hold: Hold,
    ) -> Result<Posted, Rejection> {
        let encoding = Encoding::of(&parts.headers)?;
        let packed = gather(body, bytes_max, &mut hold).await?;
        Ok(Posted { packed, encoding, bytes_max, hold })
    }

    /// Reads the one message of a gRPC call, at most `bytes_max` bytes of it.
    pub(crate) async fn read_message(
        parts: &Parts,
        body: &mut Body,
        bytes_max: usize,
        mut hold: Hold,
    ) -> Result<Posted, Rejection> {
        // A connection brings many calls at a time, which wait with their heads.
        hold.grow(
            CALL_BYTES + parts.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum::<usize>(),
        )?;
        let mut prefix = [0; MESSAGE_PREFIX_BYTES];
        let mut prefix_len = 0;
        let mut packed = Pieces::default();
        while let Some(mut piece) = body.next_piece().await? {
            hold.grow(piece.len())?;
            let of_prefix = piece.split_to(piece.len().min(MESSAGE_PREFIX_BYTES - prefix_len));
            prefix[prefix_len..prefix_len + of_prefix.len()].copy_from_slice(&of_prefix);
            prefix_len += of_prefix.len();
            packed.add(&piece);
            if prefix_len == MESSAGE_PREFIX_BYTES {
                let announced = message_bytes(prefix);
                if announced > bytes_max {
                    return Err(Rejection::TooLarge { bytes_max });
                }
                if packed.len() > announced {
                    return Err(not_one_message());
                }
            }
        }
        if prefix_len < MESSAGE_PREFIX_BYTES || packed.len() != message_bytes(prefix) {
            return Err(not_one_message());
        }
        let encoding = match prefix[0] {
            0 => Encoding::Identity,
            1 => Encoding::of_message(&parts.headers)?,
            _ => return Err(not_one_message()),
        };
        Ok(Posted { packed, encoding, bytes_max, hold })
    }

    /// What came in a query instead.
    pub(crate) fn of_query(data: String, bytes_max: usize, mut hold: Hold) -> Result<Posted, Rejection> {
        hold.grow(data.len())?;
        Ok(Posted { packed: Bytes::from(data).into(), encoding: Encoding::Identity, bytes_max, hold })
    }

    /// The length of a body that begins as an XML document and does not end as one; `None` for every other.
    pub(crate) fn cut_document_bytes(&self) -> Option<u64> {
        const END: &[u8] = b"</notice>";
        const SPACE_MAX: usize = 16;
        let is_document =
            self.encoding == Encoding::Identity && self.packed.first().trim_ascii_start().starts_with(b"<");
        let is_cut = || !self.packed.end(END.len() + SPACE_MAX).trim_ascii_end().ends_with(END);
        (is_document && is_cut()).then_some(self.packed.len() as u64)
    }

    /// The body with what came after it on the connection.
    pub(crate) fn followed_by(mut self, rest: &[u8]) -> Posted {
        if !rest.is_empty() {
            let mut whole = Pieces::default();
            whole.add(&self.packed.into_whole());
            whole.add(rest);
            self.packed = whole;
        }
        self
    }

    /// The body unpacked, with what holds its place in memory.
    pub(crate) fn unpack(mut self) -> Result<(Bytes, Hold), Rejection> {
        let body = self.encoding.unpack(self.packed, self.bytes_max, &mut self.hold)?;
        Ok((body, self.hold))
    }

    /// How much work it is, in bytes.
    pub(crate) fn work_bytes(&self) -> usize {
        work_bytes(self.packed.len(), self.encoding)
    }
}

/// The length of the message that follows.
fn message_bytes([_, length @ ..]: [u8; MESSAGE_PREFIX_BYTES]) -> usize {
    usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX)
}

fn not_one_message() -> Rejection {
    ParseError::Malformed("the call does not have one whole message".to_owned()).into()
}

/// About a millisecond of work.
pub(crate) const BIG_BYTES: usize = 64 * 1024;

/// How much work a body is, in bytes; of a packed one an estimate, on the high side for what clients send.
pub(crate) fn work_bytes(packed_bytes: usize, encoding: Encoding) -> usize {
    /// Notices shrink to a tenth at best; what shrinks more is a bomb, and stopped at the limit.
    const PACKED_RATIO: usize = 16;
    let ratio = if encoding == Encoding::Identity { 1 } else { PACKED_RATIO };
    packed_bytes * ratio
}

async fn gather(body: &mut Body, bytes_max: usize, hold: &mut Hold) -> Result<Pieces, Rejection> {
    let announced = body.announced();
    if announced.is_some_and(|announced| announced > bytes_max as u64) {
        return Err(Rejection::TooLarge { bytes_max });
    }
    match gather_some(body, bytes_max, hold).await? {
        (pieces, true) => Ok(pieces),
        (_, false) => Err(Rejection::TooLarge { bytes_max }),
    }
}

/// The body, or its beginning if it is longer than `bytes_max`; and whether that is all of it.
pub(crate) async fn gather_some(
    body: &mut Body,
    bytes_max: usize,
    hold: &mut Hold,
) -> Result<(Pieces, bool), Rejection> {
    let announced = body.announced();
    let mut pieces = Pieces::default();
    while let Some(piece) = body.next_piece().await? {
        hold.grow(piece.len())?;
        // What came in one piece is not copied.
        if announced == Some(piece.len() as u64) {
            return Ok((piece.into(), true));
        }
        pieces.add(&piece);
        if pieces.len() > bytes_max {
            return Ok((pieces, false));
        }
    }
    Ok((pieces, true))
}

/// Reads what a refusal left of a body, for a while, without keeping it. Not when the client waits to be told to go
/// on: then it has sent nothing yet, and reading would tell it to.
pub(crate) async fn discard(mut body: Body, parts: &Parts) {
    if body.is_end_stream() || (parts.headers.contains_key(EXPECT) && !body.is_begun()) {
        return;
    }
    let mut discarded = 0;
    let reading = async {
        while discarded < DISCARD_BYTES_MAX {
            match tokio::time::timeout(DISCARD_PAUSE_MAX, body.next_piece()).await {
                Ok(Ok(Some(piece))) => discarded += piece.len(),
                _ => return,
            }
        }
    };
    let _ = tokio::time::timeout(DISCARD_WITHIN, reading).await;
}
