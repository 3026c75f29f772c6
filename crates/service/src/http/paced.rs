//! A stream that does not wait for ever for a request's head, nor for whoever reads the answer.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::rt::{Read, ReadBufCursor, Write};
use tokio::time::{Instant, Sleep};

use super::stream::Stream;
use super::{HttpLimits, Overrun};

/// Most bytes of one read.
const READ_BYTES_MAX: usize = 16 * 1024;

/// Where a connection stands between requests. Shared by the socket and the service.
#[derive(Clone, Default)]
pub(super) struct Stage(Arc<Inner>);

#[derive(Default)]
struct Inner {
    /// Between a head's end and its answer.
    is_in_request: AtomicBool,
    answered_count: AtomicU32,
}

impl Stage {
    /// That of a connection whose heads and bodies come mixed: none of its heads is timed.
    pub(super) fn untimed() -> Stage {
        let stage = Stage::default();
        stage.request_begins();
        stage
    }

    pub(super) fn request_begins(&self) {
        self.0.is_in_request.store(true, Ordering::Relaxed);
    }

    pub(super) fn request_ends(&self) {
        self.0.answered_count.fetch_add(1, Ordering::Relaxed);
        self.0.is_in_request.store(false, Ordering::Relaxed);
    }

    fn is_in_request(&self) -> bool {
        self.0.is_in_request.load(Ordering::Relaxed)
    }

    fn answered_count(&self) -> u32 {
        self.0.answered_count.load(Ordering::Relaxed)
    }
}

/// A stream whose reads fail when a head takes longer than it may, and whose writes fail when nobody reads them.
///
/// The clock starts when the connection does and, for later requests, with the first byte of the head; the pause
/// before that byte is hyper's to limit. What hyper has read ahead of a pipelined head is not seen here: such a
/// head is bounded by hyper's limit, too.
pub(super) struct Paced {
    stream: Stream,
    stage: Stage,
    overrun: Option<Overrun>,
    head_within: Duration,
    answer_pause_max: Duration,
    /// When the head that has begun must be complete.
    head_by: Option<Instant>,
    /// How many answers there were when `head_by` was set: after another one it is of the past.
    answered_count: u32,
    /// Made only when a head does not come in one piece.
    head_alarm: Option<Pin<Box<Sleep>>>,
    /// Made only when an answer does not go in one piece.
    answer_alarm: Option<Pin<Box<Sleep>>>,
}

impl Paced {
    pub(super) fn new(stream: Stream, stage: Stage, overrun: Option<Overrun>, limits: &HttpLimits) -> Paced {
        Paced {
            stream,
            stage,
            overrun,
            head_within: limits.head_within,
            answer_pause_max: limits.answer_pause_max,
            head_by: Some(Instant::now() + limits.head_within),
            answered_count: 0,
            head_alarm: None,
            answer_alarm: None,
        }
    }

    /// Reads, and shows what was read to the overrun: hyper's own buffer cannot be looked into.
    fn poll_stream(&self, context: &mut Context<'_>, buffer: &mut ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        let mut piece = [0; READ_BYTES_MAX];
        let room = buffer.remaining().min(READ_BYTES_MAX);
        let count = ready!(self.stream.poll_read(context, &mut piece[..room]))?;
        if let Some(overrun) = &self.overrun {
            overrun.saw(&piece[..count]);
        }
        buffer.put_slice(&piece[..count]);
        Poll::Ready(Ok(()))
    }

    fn poll_head_alarm(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(head_by) = self.head_by else {
            return Poll::Pending;
        };
        let alarm = self.head_alarm.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(head_by)));
        if alarm.deadline() != head_by {
            alarm.as_mut().reset(head_by);
        }
        ready!(alarm.as_mut().poll(context));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the head of the request took too long")))
    }

    /// Passes on what became of writing; fails when nothing did for too long.
    fn in_time<T>(&mut self, context: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.answer_alarm = None;
            return written;
        }
        let pause_max = self.answer_pause_max;
        let alarm = self.answer_alarm.get_or_insert_with(|| Box::pin(tokio::time::sleep(pause_max)));
        ready!(alarm.as_mut().poll(context));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "nobody read the answer")))
    }
}

impl Read for Paced {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.stage.is_in_request() {
            return this.poll_stream(context, &mut buffer);
        }
        let answered_count = this.stage.answered_count();
        if answered_count != this.answered_count {
            this.answered_count = answered_count;
            this.head_by = None;
        }
        match this.poll_stream(context, &mut buffer) {
            Poll::Ready(result) => {
                this.head_by.get_or_insert_with(|| Instant::now() + this.head_within);
                Poll::Ready(result)
            }
            Poll::Pending => this.poll_head_alarm(context),
        }
    }
}

impl Write for Paced {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[io::IoSlice::new(bytes)])
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = self.stream.poll_flush(context);
        self.in_time(context, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = self.stream.poll_shutdown(context);
        self.in_time(context, shut)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = self.stream.poll_write(context, pieces);
        self.in_time(context, written)
    }
}
