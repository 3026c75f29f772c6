//! Reading a body of which only some parts are needed, however long it is.

use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use http::request::Parts;
use service::http::Body;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use crate::admission::Hold;
use crate::body::{BIG_BYTES, gather_some, work_bytes};
use crate::encoding::Encoding;
use crate::gateway::Gateway;
use crate::rejection::{Refusal, Rejection};

/// Bodies that are read while they arrive at the same time, each by a thread of its own; a thread waits for its client most of the time.
/// Each may hold a part of an attachment twice (as it is, and packed) and what is gathered before it: 1.25 MiB, and all of them half of what bodies may.
pub(crate) const STREAMS_MAX: usize = 12;

/// How long a body waits for one of these threads. What was gathered of it is small, and clients of this kind send nothing again.
const STREAM_WITHIN: Duration = Duration::from_secs(5);

/// What is gathered before a body is given a thread.
const GATHERED_BYTES: usize = 256 * 1024;

/// What a small body may unpack to at once. A few bytes can be a hundred megabytes: those take a turn.
const UNPACKED_BYTES: u64 = 1 << 20;

/// Pieces that wait for the thread.
const PIECES_MAX: usize = 4;

/// A body went on beyond what is taken.
#[derive(Debug, thiserror::Error)]
#[error("the body is longer than {bytes_max} bytes")]
pub(crate) struct TooLong {
    pub(crate) bytes_max: u64,
}

/// Why a body could not be read on.
pub(crate) fn broken(error: &io::Error) -> Refusal {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<TooLong>()) {
        Some(TooLong { bytes_max }) => {
            Rejection::TooLarge { bytes_max: usize::try_from(*bytes_max).unwrap_or(usize::MAX) }.into()
        }
        None => Rejection::Unpackable.into(),
    }
}

impl Gateway {
    /// Reads a body from its beginning to its end, at most `bytes_max` of it, before and after it is unpacked. What is kept of it must be
    /// held by the reader; of all the rest only a few pieces are in memory at a time.
    ///
    /// A small body is read at once, a bigger one that is there in a turn of its own, as [`Gateway::understand`] does, and any other by a
    /// thread while it arrives. A thread may wait, and is given what to wait with; whoever reads a small one may not.
    pub(crate) async fn read_through<T, F>(
        &self,
        parts: &Parts,
        body: &mut Body,
        bytes_max: u64,
        read: F,
    ) -> Result<T, Refusal>
    where
        T: Send + 'static,
        F: FnOnce(&mut dyn BufRead, &mut Hold, Option<&Handle>) -> Result<T, Refusal> + Send + 'static,
    {
        let encoding = Encoding::of(&parts.headers)?;
        let too_large = || Rejection::TooLarge { bytes_max: usize::try_from(bytes_max).unwrap_or(usize::MAX) };
        if body.announced().is_some_and(|announced| announced > bytes_max) {
            return Err(too_large().into());
        }
        let mut hold = self.hold(parts);
        let (gathered, is_all) = gather_some(body, GATHERED_BYTES, &mut hold).await?;
        let gathered_bytes = gathered.len();
        let first: Vec<u8> = gathered.first().iter().take(2).copied().collect();
        let work_bytes = work_bytes(gathered_bytes, encoding);
        let is_small = is_all && work_bytes <= BIG_BYTES;
        if is_small && encoding == Encoding::Identity {
            return read_all(encoding, &first, gathered.into_reader(), bytes_max, |reader| {
                read(reader, &mut hold, None)
            });
        }
        let gathered = if is_small {
            let mut packed = Vec::with_capacity(gathered_bytes);
            gathered.into_reader().read_to_end(&mut packed).map_err(|_| Rejection::Broken)?;
            let packed = Bytes::from(packed);
            if let Some(unpacked) = unpack_at_once(encoding, &first, packed.clone()) {
                return read_all(Encoding::Identity, &[], unpacked, bytes_max, |reader| read(reader, &mut hold, None));
            }
            packed.into()
        } else {
            gathered
        };
        let permit = if is_all { self.turn(work_bytes).await } else { self.stream().await? };
        let (pieces, waiting) = mpsc::channel(PIECES_MAX);
        let handle = Handle::current();
        let reading = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let source = gathered.into_reader().chain(Arriving { waiting, piece: Bytes::new() });
            read_all(encoding, &first, source, bytes_max, |reader| read(reader, &mut hold, Some(&handle)))
        });
        let feeding = async move {
            let mut bytes = gathered_bytes as u64;
            if is_all {
                return Ok(());
            }
            loop {
                let piece = match body.next_piece().await {
                    Ok(Some(piece)) => piece,
                    Ok(None) => return Ok(()),
                    Err(error) => {
                        let _ = pieces.send(Err(io::Error::from(io::ErrorKind::UnexpectedEof))).await;
                        return Err(Rejection::from(error));
                    }
                };
                bytes += piece.len() as u64;
                if bytes > bytes_max {
                    let _ = pieces.send(Err(io::Error::other(TooLong { bytes_max }))).await;
                    return Err(too_large());
                }
                // Nobody reads any more: it was understood, or it was not.
                if pieces.send(Ok(piece)).await.is_err() {
                    return Ok(());
                }
            }
        };
        let (fed, taken) = tokio::join!(feeding, reading);
        match (taken.unwrap_or_else(|_| Err(Rejection::Broken.into())), fed) {
            (Ok(taken), _) => Ok(taken),
            (Err(refusal), Ok(())) => Err(refusal),
            // Why there was no more of it says more than what that led to.
            (Err(refusal), Err(rejection)) => Err(Refusal { rejection, ..refusal }),
        }
    }

    /// The right to a thread that reads a body while it arrives.
    async fn stream(&self) -> Result<OwnedSemaphorePermit, Rejection> {
        let permit = tokio::time::timeout(STREAM_WITHIN, Arc::clone(&self.streams).acquire_owned()).await;
        permit.ok().and_then(Result::ok).ok_or(Rejection::Overloaded)
    }
}

/// What a small body unpacks to, and behind that why it ends, if it is broken; nothing if it is more than [`UNPACKED_BYTES`], or cannot be begun.
fn unpack_at_once(encoding: Encoding, first: &[u8], packed: Bytes) -> Option<impl Read + 'static> {
    let unpack = || {
        let mut unpacked = Vec::new();
        let decoder = encoding.decoder(packed.reader(), first).ok()?;
        let end = decoder.take(UNPACKED_BYTES + 1).read_to_end(&mut unpacked).err();
        (unpacked.len() as u64 <= UNPACKED_BYTES).then(|| Read::chain(Cursor::new(unpacked), Broken(end)))
    };
    catch_unwind(AssertUnwindSafe(unpack)).ok().flatten()
}

/// Fails once, if there is why.
struct Broken(Option<io::Error>);

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        self.0.take().map_or(Ok(0), Err)
    }
}

/// A panic while it is read is our mistake and costs this one request only.
fn read_all<T>(
    encoding: Encoding,
    first: &[u8],
    packed: impl Read + 'static,
    bytes_max: u64,
    read: impl FnOnce(&mut dyn BufRead) -> Result<T, Refusal>,
) -> Result<T, Refusal> {
    let reading = || {
        let unpacked = encoding.decoder(packed, first)?;
        read(&mut BufReader::new(Limited { source: unpacked, left: bytes_max, bytes_max }))
    };
    catch_unwind(AssertUnwindSafe(reading)).unwrap_or_else(|_| Err(Rejection::Broken.into()))
}

/// What arrives while it is read.
struct Arriving {
    waiting: mpsc::Receiver<io::Result<Bytes>>,
    piece: Bytes,
}

impl Read for Arriving {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.waiting.blocking_recv() {
                Some(piece) => self.piece = piece?,
                None => return Ok(0),
            }
        }
        let count = buffer.len().min(self.piece.len());
        self.piece.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}

/// Fails where a body goes on beyond its limit, instead of ending there.
struct Limited<R> {
    source: R,
    left: u64,
    bytes_max: u64,
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        match self.left.checked_sub(count as u64) {
            Some(left) => self.left = left,
            None => return Err(io::Error::other(TooLong { bytes_max: self.bytes_max })),
        }
        Ok(count)
    }
}
