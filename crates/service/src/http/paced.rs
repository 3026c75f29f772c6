//! A socket that does not wait for ever for a request's head.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::rt::{Read, ReadBufCursor, Write};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

use super::Overrun;

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

/// A socket whose reads fail when a head takes longer than it may.
///
/// The clock starts when the connection does and, for later requests, with the first byte of the head; the pause
/// before that byte is hyper's to limit. What hyper has read ahead of a pipelined head is not seen here: such a
/// head is bounded by hyper's limit, too.
pub(super) struct Paced {
    socket: Arc<TcpStream>,
    stage: Stage,
    overrun: Overrun,
    head_within: Duration,
    /// When the head that has begun must be complete.
    head_by: Option<Instant>,
    /// How many answers there were when `head_by` was set: after another one it is of the past.
    answered_count: u32,
    /// Made only when a head does not come in one piece.
    alarm: Option<Pin<Box<Sleep>>>,
}

impl Paced {
    pub(super) fn new(socket: Arc<TcpStream>, stage: Stage, overrun: Overrun, head_within: Duration) -> Paced {
        let head_by = Some(Instant::now() + head_within);
        Paced { socket, stage, overrun, head_within, head_by, answered_count: 0, alarm: None }
    }

    /// Reads, and shows what was read to the overrun: hyper's own buffer cannot be looked into.
    fn poll_socket(&self, context: &mut Context<'_>, buffer: &mut ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        let mut piece = [0; READ_BYTES_MAX];
        let room = buffer.remaining().min(READ_BYTES_MAX);
        loop {
            ready!(self.socket.poll_read_ready(context))?;
            match self.socket.try_read(&mut piece[..room]) {
                Ok(count) => {
                    self.overrun.saw(&piece[..count]);
                    buffer.put_slice(&piece[..count]);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    fn poll_alarm(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(head_by) = self.head_by else {
            return Poll::Pending;
        };
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(head_by)));
        if alarm.deadline() != head_by {
            alarm.as_mut().reset(head_by);
        }
        ready!(alarm.as_mut().poll(context));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the head of the request took too long")))
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
            return this.poll_socket(context, &mut buffer);
        }
        let answered_count = this.stage.answered_count();
        if answered_count != this.answered_count {
            this.answered_count = answered_count;
            this.head_by = None;
        }
        match this.poll_socket(context, &mut buffer) {
            Poll::Ready(result) => {
                this.head_by.get_or_insert_with(|| Instant::now() + this.head_within);
                Poll::Ready(result)
            }
            Poll::Pending => this.poll_alarm(context),
        }
    }
}

impl Write for Paced {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_written(context, |socket| socket.try_write(bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(rustix::net::shutdown(&self.socket, rustix::net::Shutdown::Write).map_err(io::Error::from))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_written(context, |socket| socket.try_write_vectored(pieces))
    }
}

impl Paced {
    fn poll_written(
        &self,
        context: &mut Context<'_>,
        write: impl Fn(&TcpStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.socket.poll_write_ready(context))?;
            match write(&self.socket) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => return Poll::Ready(written),
            }
        }
    }
}
