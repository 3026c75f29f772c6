//! Forms of several parts, read while they arrive.

use std::io::BufRead;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use futures::Stream;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use multer::Multipart;
use protocol::ParseError;

use crate::rejection::{Refusal, Rejection};
use crate::stream::broken;

/// Most fields of a form that are no files.
const FIELDS_MAX: usize = 200;

/// Most fields and files of a form that are looked at. What comes behind them is not read.
const PARTS_MAX: usize = 5_000;

/// What a field is.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct FieldHead {
    pub(crate) name: String,
    /// A field with the name of a file is one.
    pub(crate) file_name: Option<String>,
    pub(crate) content_type: Option<String>,
}

/// What was read of a form.
pub(crate) enum Piece<'a> {
    /// The next bytes of this field.
    Content(&'a FieldHead, &'a [u8]),
    /// There are no more of it.
    End(&'a FieldHead),
}

/// What divides the fields of a form, as its head says; `None` for what is no such form.
pub(crate) fn boundary(headers: &HeaderMap) -> Option<String> {
    multer::parse_boundary(headers.get(CONTENT_TYPE)?.to_str().ok()?).ok()
}

/// Reads the fields of a form, piece by piece: no field is in memory whole. Says how many were left out because there are too many.
pub(crate) fn read(
    reader: &mut dyn BufRead,
    boundary: String,
    mut take: impl FnMut(Piece<'_>) -> Result<(), Refusal>,
) -> Result<usize, Refusal> {
    let arriving = Arriving::default();
    let mut form = Multipart::new(arriving.clone(), boundary);
    let mut text_count = 0_usize;
    for _ in 0..PARTS_MAX {
        let Some(mut field) = arriving.while_reading(reader, form.next_field())? else {
            return Ok(text_count.saturating_sub(FIELDS_MAX));
        };
        let head = FieldHead {
            name: field.name().unwrap_or_default().to_owned(),
            file_name: field.file_name().map(str::to_owned),
            content_type: field.content_type().map(ToString::to_string),
        };
        text_count += usize::from(head.file_name.is_none());
        if head.file_name.is_none() && text_count > FIELDS_MAX {
            continue;
        }
        while let Some(bytes) = arriving.while_reading(reader, field.chunk())? {
            take(Piece::Content(&head, &bytes))?;
        }
        take(Piece::End(&head))?;
    }
    Ok(text_count.saturating_sub(FIELDS_MAX).max(1))
}

/// What the parser is given: it asks for more in the manner of something that waits, and here nobody waits but the reader.
#[derive(Clone, Default)]
struct Arriving(Arc<Mutex<Ready>>);

#[derive(Default)]
struct Ready {
    piece: Option<Bytes>,
    has_ended: bool,
}

impl Arriving {
    /// Reads on whenever the parser has nothing left.
    fn while_reading<T>(
        &self,
        reader: &mut dyn BufRead,
        work: impl Future<Output = multer::Result<T>>,
    ) -> Result<T, Refusal> {
        let mut work = pin!(work);
        let mut context = Context::from_waker(Waker::noop());
        loop {
            if let Poll::Ready(done) = work.as_mut().poll(&mut context) {
                return done.map_err(|error| malformed(format_args!("{error}")));
            }
            let there = loop {
                match reader.fill_buf() {
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(broken(&error)),
                    Ok(there) => break Bytes::copy_from_slice(there),
                }
            };
            reader.consume(there.len());
            let mut ready = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if there.is_empty() && ready.has_ended {
                return Err(malformed(format_args!("it is not understood")));
            }
            ready.has_ended = there.is_empty();
            ready.piece = Some(there).filter(|there| !there.is_empty());
        }
    }
}

impl Stream for Arriving {
    type Item = Result<Bytes, std::convert::Infallible>;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut ready = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match ready.piece.take() {
            Some(piece) => Poll::Ready(Some(Ok(piece))),
            None if ready.has_ended => Poll::Ready(None),
            None => Poll::Pending,
        }
    }
}

fn malformed(why: std::fmt::Arguments<'_>) -> Refusal {
    Rejection::from(ParseError::Malformed(format!("the form of several parts was not understood: {why}"))).into()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use std::io::BufReader;

    use super::*;

    /// Fields by name, with what is in them, and how many were left out.
    fn read_all(form: &str, piece_bytes: usize) -> Result<(Vec<(FieldHead, String)>, usize), String> {
        let mut fields: Vec<(FieldHead, String)> = Vec::new();
        let mut content = Vec::new();
        let taken = read(&mut BufReader::with_capacity(piece_bytes, form.as_bytes()), "b".to_owned(), |piece| {
            match piece {
                Piece::Content(_, bytes) => content.extend_from_slice(bytes),
                Piece::End(head) => {
                    fields.push((head.clone(), String::from_utf8(std::mem::take(&mut content)).unwrap()));
                }
            }
            Ok(())
        });
        taken.map(|left_out| (fields, left_out)).map_err(|refusal| refusal.rejection.told())
    }

    #[test]
    fn a_form_is_the_same_in_pieces() {
        let form = "--b\r\nContent-Disposition: form-data; name=\"sentry[release]\"\r\n\r\n1.0\r\n--b\r\n\
             Content-Disposition: form-data; name=\"x\"; filename=\"a.txt\"\r\nContent-Type: text/plain\r\n\r\na\r\n--\r\nb\r\n--b--\r\n";
        for piece_bytes in [1, 2, 3, 7, 64, 4_096] {
            let (fields, left_out) = read_all(form, piece_bytes).unwrap();
            assert_eq!(left_out, 0);
            let [(release, first), (file, second)] = fields.as_slice() else { panic!("{fields:?}") };
            assert_eq!((release.name.as_str(), &release.file_name, first.as_str()), ("sentry[release]", &None, "1.0"));
            assert_eq!((file.file_name.as_deref(), second.as_str()), (Some("a.txt"), "a\r\n--\r\nb"));
            assert_eq!(file.content_type.as_deref(), Some("text/plain"));
        }
    }

    #[test]
    fn what_is_no_form_or_breaks_off_is_refused() {
        let begun = "--b\r\nContent-Disposition: form-data; name=\"x\"\r\n\r\n";
        for form in ["", "nothing of the kind", begun, &format!("{begun}abc"), &format!("{begun}abc\r\n--b")] {
            assert!(read_all(form, 16).is_err(), "{form:?}");
        }
    }

    #[test]
    fn of_too_many_fields_the_first_are_read_and_every_file() {
        let field = "--b\r\nContent-Disposition: form-data; name=\"x\"\r\n\r\na\r\n";
        let file = "--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"f\"\r\n\r\na\r\n";
        let (fields, left_out) = read_all(&format!("{}{file}--b--", field.repeat(FIELDS_MAX + 7)), 4_096).unwrap();
        assert_eq!((fields.len(), left_out), (FIELDS_MAX + 1, 7));
        assert_eq!(fields[FIELDS_MAX].0.file_name.as_deref(), Some("f"));
        let (fields, left_out) = read_all(&format!("{}--b--", file.repeat(PARTS_MAX + 1)), 4_096).unwrap();
        assert_eq!((fields.len(), left_out), (PARTS_MAX, 1));
    }
}
