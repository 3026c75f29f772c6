//! Envelopes: a head and any number of items, each with a head of its own, one behind the other.

use std::io::{BufRead, ErrorKind, Read as _};

use notice::json_tree::Tree;
use thiserror::Error;

use super::dsn::public_key;
use super::event_id;
use super::item::{Item, ItemHead};
use crate::json::{read, text_of};
use crate::{ParseError, timestamp};

/// Longest line of a head, in bytes.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// Most items of one envelope.
const ITEMS_MAX: usize = 1_000;

/// Most bytes that are reserved for a payload before any of it has come: its head can say what it likes.
const RESERVED_BYTES_MAX: usize = 64 * 1024;

/// An envelope that is being read, item by item.
#[derive(Debug)]
pub struct Envelope<R> {
    /// The id of the event that is in it, as 32 lower-case hexadecimal digits.
    pub event_id: Option<String>,
    /// The key of the project, from the `dsn`.
    pub public_key: Option<String>,
    /// When the client sent it, in Unix microseconds of its clock.
    pub sent_at_us: Option<i64>,
    reader: R,
    item_count: usize,
    has_ended: bool,
}

/// Why an envelope could not be read on.
#[derive(Debug, Error)]
pub enum EnvelopeError {
    /// It is not understood from here on. What was read before stands.
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// The reader failed.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

impl<R: BufRead> Envelope<R> {
    /// Reads the head.
    pub fn begin(mut reader: R) -> Result<Envelope<R>, EnvelopeError> {
        let line = head_line(&mut reader)?;
        let text = text_of(&line, &mut Vec::new());
        let mut head = read(&text, &mut Vec::new()).map_err(|error| match error {
            ParseError::Empty => error,
            other => ParseError::Malformed(format!("the head of the envelope was not understood: {other}")),
        })?;
        let event_id = match head.take("event_id") {
            None | Some(Tree::Null) => None,
            Some(id) => Some(event_id::required(id.scalar().unwrap_or_default())?),
        };
        let public_key = head.take("dsn").and_then(|dsn| public_key(dsn.scalar()?).map(str::to_owned));
        let sent_at_us = head.take("sent_at").and_then(|at| timestamp::micros_of(&at));
        Ok(Envelope { event_id, public_key, sent_at_us, reader, item_count: 0, has_ended: false })
    }

    /// The next item, with at most as much of its payload as `bytes_max` says for its head. With 0 the payload is gone past.
    ///
    /// After an error there is no next one: nobody can tell where it would begin.
    pub fn next_item(&mut self, bytes_max: impl Fn(&ItemHead) -> usize) -> Result<Option<Item>, EnvelopeError> {
        self.next_item_passing(bytes_max, |_, _| {})
    }

    /// The same; what is gone past is shown to `passed`, piece by piece and in order, with the head of its item. Only when the item is
    /// given back is it sure that this was all of it.
    pub fn next_item_passing(
        &mut self,
        bytes_max: impl Fn(&ItemHead) -> usize,
        passed: impl FnMut(&ItemHead, &[u8]),
    ) -> Result<Option<Item>, EnvelopeError> {
        if self.has_ended {
            return Ok(None);
        }
        let item = self.item(bytes_max, passed);
        self.has_ended = !matches!(item, Ok(Some(_)));
        item
    }

    fn item(
        &mut self,
        bytes_max: impl Fn(&ItemHead) -> usize,
        mut passed: impl FnMut(&ItemHead, &[u8]),
    ) -> Result<Option<Item>, EnvelopeError> {
        if !skip_empty_lines(&mut self.reader)? {
            return Ok(None);
        }
        if self.item_count == ITEMS_MAX {
            return Err(ParseError::Malformed(format!("the envelope has more than {ITEMS_MAX} items")).into());
        }
        self.item_count += 1;
        let head = ItemHead::read(&head_line(&mut self.reader)?)?;
        let kept_max = bytes_max(&head);
        let passed = |bytes: &[u8]| passed(&head, bytes);
        let (payload, payload_bytes) = match head.length {
            Some(length) => (counted(&mut self.reader, length, kept_max, passed)?, length),
            None => line(&mut self.reader, kept_max, passed)?,
        };
        Ok(Some(Item { head, payload, payload_bytes }))
    }
}

/// The line of a head, without its end.
fn head_line(reader: &mut impl BufRead) -> Result<Vec<u8>, EnvelopeError> {
    let mut line = Vec::new();
    reader.take(HEAD_BYTES_MAX as u64 + 1).read_until(b'\n', &mut line)?;
    match line.pop() {
        None | Some(b'\n') => {}
        Some(_) if line.len() >= HEAD_BYTES_MAX => {
            return Err(
                ParseError::Malformed(format!("a head of the envelope is longer than {HEAD_BYTES_MAX} bytes")).into()
            );
        }
        Some(last) => line.push(last),
    }
    Ok(line)
}

/// Says whether anything follows.
fn skip_empty_lines(reader: &mut impl BufRead) -> std::io::Result<bool> {
    while let Some(byte) = peek(reader)? {
        if byte != b'\n' && byte != b'\r' {
            return Ok(true);
        }
        reader.consume(1);
    }
    Ok(false)
}

/// A payload of this length, and the end of its line.
fn counted(
    reader: &mut impl BufRead,
    length: u64,
    kept_max: usize,
    passed: impl FnMut(&[u8]),
) -> Result<Vec<u8>, EnvelopeError> {
    let kept = usize::try_from(length).unwrap_or(usize::MAX).min(kept_max);
    let mut payload = Vec::with_capacity(kept.min(RESERVED_BYTES_MAX));
    reader.by_ref().take(kept as u64).read_to_end(&mut payload)?;
    let there = payload.len() as u64 + skip(reader, length - payload.len() as u64, passed)?;
    if there < length {
        let what = format!("the envelope ends after {there} of the {length} bytes of an item's payload");
        return Err(ParseError::Malformed(what).into());
    }
    match peek(reader)? {
        Some(b'\n') => reader.consume(1),
        None => {}
        Some(_) => {
            let what = format!("an item's payload does not end after the {length} bytes that its head announces");
            return Err(ParseError::Malformed(what).into());
        }
    }
    Ok(payload)
}

/// A payload up to the end of the line, and how long it really is.
fn line(reader: &mut impl BufRead, kept_max: usize, passed: impl FnMut(&[u8])) -> std::io::Result<(Vec<u8>, u64)> {
    let mut payload = Vec::new();
    reader.by_ref().take(kept_max as u64).read_until(b'\n', &mut payload)?;
    if payload.last() == Some(&b'\n') {
        payload.pop();
        let length = payload.len() as u64;
        return Ok((payload, length));
    }
    // What is left of the line, with its end if it has one; nothing, when the payload is at the end of everything.
    let (rest, has_end) = skip_line(reader, passed)?;
    let length = payload.len() as u64 + rest - u64::from(has_end);
    Ok((payload, length))
}

/// Goes past this many bytes, or to the end; says how many there were.
fn skip(reader: &mut impl BufRead, length: u64, mut passed: impl FnMut(&[u8])) -> std::io::Result<u64> {
    let mut count = 0;
    while count < length {
        let there = fill(reader)?;
        if there.is_empty() {
            break;
        }
        let step = usize::try_from(length - count).unwrap_or(usize::MAX).min(there.len());
        passed(&there[..step]);
        reader.consume(step);
        count += step as u64;
    }
    Ok(count)
}

/// Goes past the rest of the line; says how many bytes that were, and whether the last one was the end of the line.
fn skip_line(reader: &mut impl BufRead, mut passed: impl FnMut(&[u8])) -> std::io::Result<(u64, bool)> {
    let mut count = 0;
    loop {
        let there = fill(reader)?;
        let end = there.iter().position(|byte| *byte == b'\n');
        let step = end.map_or(there.len(), |end| end + 1);
        passed(&there[..end.unwrap_or(step)]);
        reader.consume(step);
        count += step as u64;
        if step == 0 || end.is_some() {
            return Ok((count, end.is_some()));
        }
    }
}

fn peek(reader: &mut impl BufRead) -> std::io::Result<Option<u8>> {
    Ok(fill(reader)?.first().copied())
}

/// What lies ready; nothing at the end. An interruption is no reason to stop.
fn fill(reader: &mut impl BufRead) -> std::io::Result<&[u8]> {
    loop {
        match reader.fill_buf() {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
            Ok(_) => return reader.fill_buf(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Error, Read};

    use super::*;

    /// Kinds and payloads, and the error that ended them.
    type Items = (Vec<(String, String)>, Option<String>);

    fn items(envelope: &[u8]) -> Items {
        let in_one = read_all(envelope);
        let in_pieces = read_all(BufReader::with_capacity(1, envelope));
        assert_eq!(in_one, in_pieces, "it does not matter in which pieces it comes");
        in_one
    }

    fn read_all(reader: impl BufRead) -> Items {
        let mut items = Vec::new();
        let mut envelope = match Envelope::begin(reader) {
            Ok(envelope) => envelope,
            Err(error) => return (items, Some(error.to_string())),
        };
        loop {
            match envelope.next_item(|_| usize::MAX) {
                Ok(Some(item)) => {
                    assert!(item.is_whole());
                    items.push((item.head.kind, String::from_utf8(item.payload).expect("is text")));
                }
                Ok(None) => return (items, None),
                Err(error) => {
                    assert!(matches!(envelope.next_item(|_| 0), Ok(None)), "nothing comes after an error");
                    return (items, Some(error.to_string()));
                }
            }
        }
    }

    fn pairs(items: &[(&str, &str)]) -> Vec<(String, String)> {
        items.iter().map(|(kind, payload)| ((*kind).to_owned(), (*payload).to_owned())).collect()
    }

    #[test]
    fn the_head_says_what_it_is_about() {
        let head = br#"{"event_id":"8D1C2CBC-5E4E-4FAC-8992-4A67464CEB58","dsn":"https://a1b2@errors.example/1","sent_at":"2026-11-22T02:59:48.564Z","sdk":{"name":"x"}}"#;
        let envelope = Envelope::begin(&head[..]).expect("is read");
        assert_eq!(envelope.event_id.as_deref(), Some("8d1c2cbc5e4e4fac89924a67464ceb58"));
        assert_eq!(envelope.public_key.as_deref(), Some("a1b2"));
        assert_eq!(envelope.sent_at_us, Some(1_795_316_388_564_000));
        let bare = Envelope::begin(&b"{\"event_id\":null,\"dsn\":7,\"sent_at\":[]}\n"[..]).expect("is read");
        assert_eq!((bare.event_id, bare.public_key, bare.sent_at_us), (None, None, None));
    }

    #[test]
    fn items_end_by_their_length_or_with_their_line() {
        let expected = pairs(&[("event", "{\"a\":1}"), ("attachment", "a\nb\r\n"), ("session", "{}")]);
        for envelope in [
            "{}\n{\"type\":\"event\"}\n{\"a\":1}\n{\"type\":\"attachment\",\"length\":5}\na\nb\r\n\n{\"type\":\"session\",\"length\":2}\n{}",
            "{}\n\n{\"type\":\"event\",\"length\":7}\n{\"a\":1}\n\n\n{\"type\":\"attachment\",\"length\":\"5\"}\na\nb\r\n\n{\"type\":\"session\"}\n{}\n\n",
            "{}\r\n{\"type\":\"event\",\"length\":null}\n{\"a\":1}\n{\"type\":\"attachment\",\"length\":5}\na\nb\r\n\n{\"type\":\"session\"}\n{}",
        ] {
            assert_eq!(items(envelope.as_bytes()), (expected.clone(), None), "{envelope}");
        }
    }

    #[test]
    fn there_may_be_nothing_in_it() {
        for envelope in ["{}", "{}\n", "{}\n\n\r\n"] {
            assert_eq!(items(envelope.as_bytes()), (Vec::new(), None), "{envelope:?}");
        }
        let empty = "{}\n{\"type\":\"a\",\"length\":0}\n\n{\"type\":\"c\"}\n\n{\"type\":\"d\"}";
        assert_eq!(items(empty.as_bytes()), (pairs(&[("a", ""), ("c", ""), ("d", "")]), None));
    }

    #[test]
    fn what_came_before_something_broken_is_kept() {
        let before = "{}\n{\"type\":\"event\"}\n{}\n";
        for (rest, reason) in [
            (
                "x",
                "the head of an item of the envelope was not understood: the body is not JSON: expected a value at byte 0",
            ),
            ("{}\n{}", "the head of an item of the envelope has no `type`"),
            (
                "{\"type\":\"a\",\"length\":-1}\n{}",
                "the head of an item of the envelope has a `length` that is no number of bytes",
            ),
            (
                "{\"type\":\"a\",\"length\":{}}\n{}",
                "the head of an item of the envelope has a `length` that is no number of bytes",
            ),
            ("{\"type\":\"a\",\"length\":9}\n{}", "the envelope ends after 2 of the 9 bytes of an item's payload"),
            (
                "{\"type\":\"a\",\"length\":18446744073709551615}\n{}\n",
                "the envelope ends after 3 of the 18446744073709551615 bytes of an item's payload",
            ),
            (
                "{\"type\":\"a\",\"length\":1}\n{}\n",
                "an item's payload does not end after the 1 bytes that its head announces",
            ),
        ] {
            let (kept, error) = items(format!("{before}{rest}").as_bytes());
            assert_eq!(kept, pairs(&[("event", "{}")]), "{rest}");
            assert_eq!(error.as_deref(), Some(reason));
        }
    }

    #[test]
    fn an_envelope_without_a_head_is_refused() {
        for (envelope, reason) in [
            ("", "the body is empty"),
            ("\n{}", "the body is empty"),
            ("[]\n", "the head of the envelope was not understood: the body is JSON, but not an object"),
            (
                "{",
                "the head of the envelope was not understood: the body is not JSON: expected a key in quotes at byte 1",
            ),
            ("{\"event_id\":\"7\"}", "`event_id` of the envelope is not 32 hexadecimal digits"),
            ("{\"event_id\":{}}", "`event_id` of the envelope is not 32 hexadecimal digits"),
        ] {
            assert_eq!(items(envelope.as_bytes()), (Vec::new(), Some(reason.to_owned())), "{envelope}");
        }
        let long = format!("{{\"x\":\"{}\"}}\n", "x".repeat(HEAD_BYTES_MAX));
        assert_eq!(items(long.as_bytes()).1.as_deref(), Some("a head of the envelope is longer than 65536 bytes"));
        let exact = format!("{{\"x\":\"{}\"}}\n", "x".repeat(HEAD_BYTES_MAX - 8));
        assert_eq!(items(exact.as_bytes()), (Vec::new(), None));
    }

    #[test]
    fn items_are_bounded_in_number() {
        let envelope = format!("{{}}\n{}", "{\"type\":\"a\"}\nx\n".repeat(ITEMS_MAX + 1));
        let (kept, error) = items(envelope.as_bytes());
        assert_eq!((kept.len(), error.as_deref()), (ITEMS_MAX, Some("the envelope has more than 1000 items")));
    }

    #[test]
    fn heads_say_what_a_file_is() {
        let envelope = b"{}\n{\"type\":\"attachment\",\"length\":2,\"content_type\":\"text/plain\",\"filename\":\"a.txt\",\"attachment_type\":\"event.attachment\",\"item_count\":3,\"new\":1}\nab";
        let item =
            Envelope::begin(&envelope[..]).expect("is read").next_item(|_| 2).expect("is read").expect("is there");
        let head = ItemHead {
            kind: "attachment".to_owned(),
            length: Some(2),
            content_type: Some("text/plain".to_owned()),
            filename: Some("a.txt".to_owned()),
            attachment_type: Some("event.attachment".to_owned()),
            item_count: Some(3),
        };
        assert_eq!(item, Item { head, payload: b"ab".to_vec(), payload_bytes: 2 });
    }

    #[test]
    fn only_what_is_asked_for_is_kept() {
        for length in ["", ",\"length\":6"] {
            for (bytes_max, kept) in [(0, ""), (1, "a"), (5, "abcde"), (6, "abcdef"), (7, "abcdef")] {
                let envelope = format!("{{}}\n{{\"type\":\"a\"{length}}}\nabcdef\n{{\"type\":\"b\"}}\nx");
                let mut envelope = Envelope::begin(BufReader::with_capacity(3, envelope.as_bytes())).expect("is read");
                let item = envelope.next_item(|_| bytes_max).expect("is read").expect("is there");
                assert_eq!((item.payload.as_slice(), item.payload_bytes), (kept.as_bytes(), 6), "{length} {bytes_max}");
                assert_eq!(item.is_whole(), kept.len() == 6);
                let next = envelope.next_item(|head| head.kind.len()).expect("is read").expect("is there");
                assert_eq!((next.payload.as_slice(), next.payload_bytes), (&b"x"[..], 1));
                assert!(matches!(envelope.next_item(|_| 0), Ok(None)));
            }
        }
    }

    #[test]
    fn what_is_gone_past_is_shown_in_order() {
        for length in ["", ",\"length\":6"] {
            for (bytes_max, rest) in [(0, "abcdef"), (2, "cdef"), (6, ""), (7, "")] {
                for end in ["\n", ""] {
                    let envelope = format!("{{}}\n{{\"type\":\"a\"{length}}}\nabcdef{end}");
                    let reader = BufReader::with_capacity(4, envelope.as_bytes());
                    let mut envelope = Envelope::begin(reader).expect("is read");
                    let mut passed = Vec::new();
                    let pass = |head: &ItemHead, bytes: &[u8]| {
                        assert_eq!(head.kind, "a");
                        passed.extend_from_slice(bytes);
                    };
                    let item = envelope.next_item_passing(|_| bytes_max, pass).expect("is read").expect("is there");
                    assert_eq!(passed, rest.as_bytes(), "{length} {bytes_max}");
                    assert_eq!(item.payload.len() + passed.len(), 6);
                }
            }
        }
    }

    #[test]
    fn a_hundred_megabytes_stream_through() {
        const PAYLOAD_BYTES: u64 = 100 << 20;
        for length in [String::new(), format!(",\"length\":{PAYLOAD_BYTES}")] {
            let head = format!("{{}}\n{{\"type\":\"attachment\"{length}}}\n");
            let body = std::io::repeat(b'x').take(PAYLOAD_BYTES);
            let reader = head.as_bytes().chain(body).chain(&b"\n{\"type\":\"event\"}\n{}"[..]);
            let mut envelope = Envelope::begin(BufReader::with_capacity(1 << 16, reader)).expect("is read");
            let bytes_max = |head: &ItemHead| if head.kind == "event" { 100 } else { 0 };
            let item = envelope.next_item(bytes_max).expect("is read").expect("is there");
            assert_eq!((item.payload.capacity(), item.payload_bytes), (0, PAYLOAD_BYTES));
            assert_eq!(envelope.next_item(bytes_max).expect("is read").expect("is there").payload, b"{}");
        }
    }

    /// Gives what it has, is interrupted before each piece, and fails at the end.
    struct Failing(&'static [u8], bool);

    impl Read for Failing {
        fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
            self.1 = !self.1;
            if self.1 {
                return Err(ErrorKind::Interrupted.into());
            }
            match self.0.read(out) {
                Ok(0) => Err(Error::new(ErrorKind::ConnectionReset, "gone")),
                read => read,
            }
        }
    }

    #[test]
    fn faults_of_the_reader_are_told_apart_from_those_of_the_envelope() {
        let begin = |body| Envelope::begin(BufReader::with_capacity(1, Failing(body, false)));
        assert!(matches!(begin(b"{}"), Err(EnvelopeError::Io(error)) if error.kind() == ErrorKind::ConnectionReset));
        for body in [
            &b"{}\n"[..],
            b"{}\n{\"type\":\"a\"",
            b"{}\n{\"type\":\"a\"}\nab",
            b"{}\n{\"type\":\"a\",\"length\":3}\nab",
            b"{}\n{\"type\":\"a\",\"length\":2}\nab",
        ] {
            for bytes_max in [0, 1, 9] {
                let mut envelope = begin(body).expect("the head is whole");
                let next = envelope.next_item(|_| bytes_max);
                assert!(matches!(next, Err(EnvelopeError::Io(_))), "{next:?}");
            }
        }
        let mut whole = begin(b"{}\n{\"type\":\"a\",\"length\":2}\nab\n").expect("the head is whole");
        assert_eq!(whole.next_item(|_| 9).expect("is whole").expect("is there").payload, b"ab");
    }
}
