//! What a connection is read from and written to: a socket, or TLS on one.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// One connection's stream. Cheap to clone: hyper reads it and, in turn with hyper, the overrun does.
#[derive(Debug, Clone)]
pub(super) enum Stream {
    Plain(Arc<TcpStream>),
    /// All of a connection happens in one task: nobody ever waits for this lock.
    Tls(Arc<Mutex<TlsStream<TcpStream>>>),
}

impl Stream {
    pub(super) fn plain(socket: TcpStream) -> Stream {
        Stream::Plain(Arc::new(socket))
    }

    pub(super) fn tls(stream: TlsStream<TcpStream>) -> Stream {
        Stream::Tls(Arc::new(Mutex::new(stream)))
    }

    /// Reads into `piece`; tells how many bytes, 0 at the end.
    pub(super) fn poll_read(&self, context: &mut Context<'_>, piece: &mut [u8]) -> Poll<io::Result<usize>> {
        match self {
            Stream::Plain(socket) => loop {
                ready!(socket.poll_read_ready(context))?;
                if let Some(read) = unless_blocked(socket.try_read(piece)) {
                    return Poll::Ready(read);
                }
            },
            Stream::Tls(stream) => {
                let mut buffer = ReadBuf::new(piece);
                ready!(Pin::new(&mut *lock(stream)).poll_read(context, &mut buffer))?;
                Poll::Ready(Ok(buffer.filled().len()))
            }
        }
    }

    /// Writes some of the pieces; tells how many bytes.
    pub(super) fn poll_write(&self, context: &mut Context<'_>, pieces: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        match self {
            Stream::Plain(socket) => loop {
                ready!(socket.poll_write_ready(context))?;
                if let Some(written) = unless_blocked(socket.try_write_vectored(pieces)) {
                    return Poll::Ready(written);
                }
            },
            Stream::Tls(stream) => Pin::new(&mut *lock(stream)).poll_write_vectored(context, pieces),
        }
    }

    /// Sends what TLS has not sent yet.
    pub(super) fn poll_flush(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Stream::Plain(_) => Poll::Ready(Ok(())),
            Stream::Tls(stream) => Pin::new(&mut *lock(stream)).poll_flush(context),
        }
    }

    /// Says that nothing more will be written.
    pub(super) fn poll_shutdown(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Stream::Plain(socket) => {
                Poll::Ready(rustix::net::shutdown(socket, rustix::net::Shutdown::Write).map_err(io::Error::from))
            }
            Stream::Tls(stream) => Pin::new(&mut *lock(stream)).poll_shutdown(context),
        }
    }
}

fn lock(stream: &Mutex<TlsStream<TcpStream>>) -> MutexGuard<'_, TlsStream<TcpStream>> {
    stream.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `None` when a socket that was said to be ready is not.
fn unless_blocked<T>(done: io::Result<T>) -> Option<io::Result<T>> {
    match done {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
        done => Some(done),
    }
}
