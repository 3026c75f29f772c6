//! A request's body that does not keep its reader waiting for ever.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep};

/// Bytes a second that a body may take the time for which it has: a slow line is not a client that drips.
const BYTES_PER_S_MIN: f64 = 64.0 * 1024.0;

/// How many times the time for a body a long one may take on a slow line.
const LONGER_MAX: u32 = 4;

/// A request's body. Reading it fails when a pause in it, or the whole of it, takes too long. What has arrived earns it time, so that
/// megabytes get through a slow line.
pub struct Body {
    incoming: Incoming,
    /// Whether somebody has begun to read it: then a client that waits to be told to go on was told.
    is_begun: bool,
    pause_max: Duration,
    /// When the body must be complete, as far as it has come.
    by: Instant,
    /// When it must be complete, however long it is.
    by_at_last: Instant,
    /// Made only when the body does not come in one piece with its head.
    alarm: Option<Pin<Box<Sleep>>>,
}

/// Why a body could not be read.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// It is, or says that it is, longer than the reader takes.
    #[error("the body is longer than {bytes_max} bytes")]
    TooLarge {
        /// What the reader takes.
        bytes_max: usize,
    },
    /// The client paused for too long, or took too long in all.
    #[error("the body did not arrive in time")]
    TimedOut,
    /// The client went away, or its framing is broken.
    #[error("the body broke off")]
    BrokenOff(#[source] hyper::Error),
}

impl Body {
    pub(super) fn new(incoming: Incoming, pause_max: Duration, within: Duration) -> Body {
        let now = Instant::now();
        Body {
            incoming,
            is_begun: false,
            pause_max,
            by: now + within,
            by_at_last: now + within * LONGER_MAX,
            alarm: None,
        }
    }

    /// The length that the client announced.
    pub fn announced(&self) -> Option<u64> {
        self.incoming.size_hint().exact()
    }

    /// Whether somebody has begun to read it.
    pub fn is_begun(&self) -> bool {
        self.is_begun
    }

    /// The next piece; `None` at the end. Trailers are passed over.
    pub async fn next_piece(&mut self) -> Result<Option<Bytes>, BodyError> {
        while let Some(frame) = self.frame().await {
            if let Ok(piece) = frame?.into_data() {
                return Ok(Some(piece));
            }
        }
        Ok(None)
    }

    /// The whole body, at most `bytes_max` of it. A body that came in one piece is not copied.
    pub async fn whole(mut self, bytes_max: usize) -> Result<Bytes, BodyError> {
        let too_large = BodyError::TooLarge { bytes_max };
        if self.announced().is_some_and(|announced| announced > bytes_max as u64) {
            return Err(too_large);
        }
        let first = self.next_piece().await?.unwrap_or_default();
        let Some(second) = self.next_piece().await? else {
            return if first.len() > bytes_max { Err(too_large) } else { Ok(first) };
        };
        let mut whole = BytesMut::with_capacity(
            self.announced().map_or(first.len() * 2, |rest| first.len() + second.len() + rest as usize),
        );
        whole.extend_from_slice(&first);
        let mut next = Some(second);
        while let Some(piece) = next {
            if whole.len() + piece.len() > bytes_max {
                return Err(too_large);
            }
            whole.extend_from_slice(&piece);
            next = self.next_piece().await?;
        }
        Ok(whole.freeze())
    }

    fn poll_alarm(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let pause_ends = (Instant::now() + self.pause_max).min(self.by);
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(pause_ends)));
        alarm.as_mut().poll(context)
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.is_begun = true;
        match Pin::new(&mut self.incoming).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => {
                // The next pause is a new one.
                self.alarm = None;
                // A client that drips never pauses for long: the whole has its own limit.
                if Instant::now() > self.by {
                    return Poll::Ready(Some(Err(BodyError::TimedOut)));
                }
                let bytes = frame.data_ref().map_or(0, Bytes::len);
                self.by = (self.by + Duration::from_secs_f64(bytes as f64 / BYTES_PER_S_MIN)).min(self.by_at_last);
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(BodyError::BrokenOff(error)))),
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => match self.poll_alarm(context) {
                Poll::Ready(()) => Poll::Ready(Some(Err(BodyError::TimedOut))),
                Poll::Pending => Poll::Pending,
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
