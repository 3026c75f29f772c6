//! A body as it came in, in pieces of one size.

use std::io::{self, Read};

use bytes::{Bytes, BytesMut};

/// Size of a piece. Bodies are kept in pieces of one size until their turn comes, because memory that big ones of
/// every size leave behind is not found again: after a few floods of them the process held 300 MB and used 30.
const PIECE_BYTES: usize = 64 * 1024;

/// A body in pieces.
#[derive(Default)]
pub(crate) struct Pieces {
    full: Vec<Bytes>,
    last: BytesMut,
    len: usize,
}

impl Pieces {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Adds a copy: what comes from a socket holds on to the socket's whole buffer.
    pub(crate) fn add(&mut self, mut bytes: &[u8]) {
        self.len += bytes.len();
        while !bytes.is_empty() {
            if self.last.len() == PIECE_BYTES {
                self.full.push(std::mem::take(&mut self.last).freeze());
            }
            if self.last.capacity() == 0 && !self.full.is_empty() {
                self.last.reserve(PIECE_BYTES);
            }
            let (now, later) = bytes.split_at(bytes.len().min(PIECE_BYTES - self.last.len()));
            self.last.extend_from_slice(now);
            bytes = later;
        }
    }

    /// The body in one piece. One that came so is not copied.
    pub(crate) fn into_whole(self) -> Bytes {
        let Pieces { mut full, last, len } = self;
        if full.is_empty() {
            return last.freeze();
        }
        if last.is_empty() && full.len() == 1 {
            return full.swap_remove(0);
        }
        let mut whole = Vec::with_capacity(len);
        for piece in full {
            whole.extend_from_slice(&piece);
        }
        whole.extend_from_slice(&last);
        whole.into()
    }

    /// The first bytes, as far as they are in the first piece.
    pub(crate) fn first(&self) -> &[u8] {
        self.full.first().map_or(&self.last, |first| first)
    }

    /// The last bytes, at most `count`.
    pub(crate) fn end(&self, count: usize) -> Vec<u8> {
        let pieces = std::iter::once(self.last.as_ref()).chain(self.full.iter().rev().map(AsRef::as_ref));
        let mut end: Vec<u8> = pieces.flat_map(|piece: &[u8]| piece.iter().rev()).take(count).copied().collect();
        end.reverse();
        end
    }

    /// Reads it from the beginning, and lets go of what was read.
    pub(crate) fn into_reader(self) -> impl Read {
        let mut rest = self.full;
        rest.push(self.last.freeze());
        rest.reverse();
        Reader { rest }
    }
}

impl From<Bytes> for Pieces {
    fn from(whole: Bytes) -> Pieces {
        Pieces { len: whole.len(), full: vec![whole], last: BytesMut::new() }
    }
}

/// What is left to read, the next piece last.
struct Reader {
    rest: Vec<Bytes>,
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(piece) = self.rest.last_mut() {
            if piece.is_empty() {
                self.rest.pop();
                continue;
            }
            let count = buffer.len().min(piece.len());
            buffer[..count].copy_from_slice(&piece.split_to(count));
            return Ok(count);
        }
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_the_same_in_pieces() {
        let body: Vec<u8> = (0..300_000_u32).map(|number| number as u8).collect();
        for step in [1_000, 65_536, 70_000, 300_000] {
            let in_pieces = || {
                let mut pieces = Pieces::default();
                body.chunks(step).for_each(|chunk| pieces.add(chunk));
                pieces
            };
            assert_eq!(in_pieces().len(), body.len());
            assert!(in_pieces().into_whole() == body, "{step}");
            let mut read = Vec::new();
            assert!(in_pieces().into_reader().read_to_end(&mut read).is_ok());
            assert!(read == body, "{step}");
        }
    }
}
