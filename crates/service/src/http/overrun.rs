//! What a connection brings after the end that a request's body announced.
//!
//! A client that counts characters where it should count bytes announces a `Content-Length` that is too small: HTTP then
//! sees a body that is cut, followed by bytes that are no request. They are the rest of the body, and this keeps them for
//! whoever recognises that.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::stream::Stream;

/// Most bytes that are remembered: what a client's miscount may amount to.
const OVERRUN_BYTES_MAX: usize = 16 * 1024;

/// The bytes of the request in hand that came after its body; an extension of every request.
#[derive(Debug, Clone)]
pub struct Overrun {
    stream: Stream,
    seen: Arc<Mutex<Seen>>,
}

/// What was read from the stream since the last answer.
#[derive(Debug, Default)]
struct Seen {
    /// How much of the empty line that ends a head was met so far; 4 is all of it.
    head_end: usize,
    /// Bytes after the head, body and all.
    after_head: u64,
    /// The last of them.
    tail: Vec<u8>,
}

impl Overrun {
    pub(super) fn new(stream: Stream) -> Overrun {
        Overrun { stream, seen: Arc::default() }
    }

    /// The bytes after a body of `announced` bytes, as soon as `is_whole` says that nothing more is wanted; empty when that does
    /// not happen within `within`.
    ///
    /// To be called when the body was read to its end: until the answer nobody else reads the stream. Whoever gets bytes
    /// must close the connection after the answer, because what comes next may begin in the middle of anything.
    pub async fn after(&self, announced: u64, within: Duration, is_whole: impl Fn(&[u8]) -> bool) -> Vec<u8> {
        let reading = async {
            let mut piece = [0; 4096];
            loop {
                let rest = self.rest(announced);
                if is_whole(&rest) {
                    return rest;
                }
                match poll_fn(|context| self.stream.poll_read(context, &mut piece)).await {
                    Ok(0) | Err(_) => return Vec::new(),
                    Ok(count) => self.saw(&piece[..count]),
                }
            }
        };
        tokio::time::timeout(within, reading).await.unwrap_or_default()
    }

    fn rest(&self, announced: u64) -> Vec<u8> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let over = usize::try_from(seen.after_head.saturating_sub(announced)).unwrap_or(usize::MAX);
        seen.tail.len().checked_sub(over).map(|from| seen.tail[from..].to_vec()).unwrap_or_default()
    }

    /// The stream was read.
    pub(super) fn saw(&self, mut bytes: &[u8]) {
        const HEAD_END: &[u8; 4] = b"\r\n\r\n";
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        while seen.head_end < HEAD_END.len() {
            let Some((first, rest)) = bytes.split_first() else { return };
            bytes = rest;
            seen.head_end =
                if *first == HEAD_END[seen.head_end] { seen.head_end + 1 } else { usize::from(*first == b'\r') };
        }
        seen.after_head += bytes.len() as u64;
        let last = &bytes[bytes.len().saturating_sub(OVERRUN_BYTES_MAX)..];
        let surplus = (seen.tail.len() + last.len()).saturating_sub(OVERRUN_BYTES_MAX);
        seen.tail.drain(..surplus);
        seen.tail.extend_from_slice(last);
    }

    /// The request was answered: what comes next is another head.
    pub(super) fn request_ends(&self) {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Seen::default();
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    const SOON: Duration = Duration::from_millis(500);
    const NOW: Duration = Duration::from_millis(1);

    /// The overrun of a connection, and its other end.
    async fn connection() -> (Overrun, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (there, here) = tokio::join!(TcpStream::connect(address), listener.accept());
        (Overrun::new(Stream::plain(here.expect("a connection").0)), there.expect("a connection"))
    }

    #[tokio::test]
    async fn the_bytes_after_the_announced_end_are_kept_however_they_were_cut() {
        let sent = b"POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\nabcdef";
        let (overrun, _there) = connection().await;
        for cut in 0..sent.len() {
            overrun.saw(&sent[..cut]);
            overrun.saw(&sent[cut..]);
            assert_eq!(overrun.after(4, NOW, |rest| rest.len() == 2).await, b"ef", "cut at {cut}");
            overrun.request_ends();
        }
    }

    #[tokio::test]
    async fn what_nobody_has_read_yet_is_read() {
        let (overrun, mut there) = connection().await;
        overrun.saw(b"POST / HTTP/1.1\r\n\r\nabcde");
        there.write_all(b"fg").await.expect("the socket takes it");
        assert_eq!(overrun.after(4, SOON, |rest| rest.ends_with(b"g")).await, b"efg");
    }

    #[tokio::test]
    async fn a_body_that_is_as_long_as_announced_has_nothing_after_it() {
        let (overrun, there) = connection().await;
        overrun.saw(b"POST / HTTP/1.1\r\n\r\nabcd");
        assert!(overrun.after(4, NOW, |rest| !rest.is_empty()).await.is_empty());
        drop(there);
        assert!(overrun.after(4, SOON, |rest| !rest.is_empty()).await.is_empty());
    }

    #[tokio::test]
    async fn memory_is_bounded_and_what_was_forgotten_is_not_made_up() {
        let (overrun, _there) = connection().await;
        overrun.saw(b"POST / HTTP/1.1\r\n\r\n");
        for _ in 0..100 {
            overrun.saw(&[b'x'; 1000]);
        }
        assert!(overrun.after(1, NOW, |rest| !rest.is_empty()).await.is_empty());
        assert_eq!(overrun.after(100_000 - 3, NOW, |rest| !rest.is_empty()).await, b"xxx");
    }
}
