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
        if self.has_ended {
            return Ok(None);
        }
        let item = self.item(bytes_max);
        self.has_ended = !matches!(item, Ok(Some(_)));
        item
    }

    fn item(&mut self, bytes_max: impl Fn(&ItemHead) -> usize) -> Result<Option<Item>, EnvelopeError> {
        if !skip_empty_lines(&mut self.reader)? {
            return Ok(None);
        }
        if self.item_count == ITEMS_MAX {
            return Err(ParseError::Malformed(format!("the envelope has more than {ITEMS_MAX} items")).into());
        }
        self.item_count += 1;
        let head = ItemHead::read(&head_line(&mut self.reader)?)?;
        let kept_max = bytes_max(&head);
        let (payload, payload_bytes) = match head.length {
            Some(length) => (counted(&mut self.reader, length, kept_max)?, length),
            None => line(&mut self.reader, kept_max)?,
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
fn counted(reader: &mut impl BufRead, length: u64, kept_max: usize) -> Result<Vec<u8>, EnvelopeError> {
    let kept = usize::try_from(length).unwrap_or(usize::MAX).min(kept_max);
    let mut payload = Vec::with_capacity(kept.min(RESERVED_BYTES_MAX));
    reader.by_ref().take(kept as u64).read_to_end(&mut payload)?;
    let passed = payload.len() as u64 + skip(reader, length - payload.len() as u64)?;
    if passed < length {
        let what = format!("the envelope ends after {passed} of the {length} bytes of an item's payload");
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
fn line(reader: &mut impl BufRead, kept_max: usize) -> std::io::Result<(Vec<u8>, u64)> {
    let mut payload = Vec::new();
    reader.by_ref().take(kept_max as u64).read_until(b'\n', &mut payload)?;
    if payload.last() == Some(&b'\n') {
        payload.pop();
        let length = payload.len() as u64;
        return Ok((payload, length));
    }
    // What is left of the line, with its end if it has one; nothing, when the payload is at the end of everything.
    let (rest, has_end) = skip_line(reader)?;
    let length = payload.len() as u64 + rest - u64::from(has_end);
    Ok((payload, length))
}

/// Goes past this many bytes, or to the end; says how many there were.
fn skip(reader: &mut impl BufRead, length: u64) -> std::io::Result<u64> {
    let mut passed = 0;
    while passed < length {
        let there = fill(reader)?.len();
        if there == 0 {
            break;
        }
        let step = usize::try_from(length - passed).unwrap_or(usize::MAX).min(there);
        reader.consume(step);
        passed += step as u64;
    }
    Ok(passed)
}

/// Goes past the rest of the line; says how many bytes that were, and whether the last one was the end of the line.
fn skip_line(reader: &mut impl BufRead) -> std::io::Result<(u64, bool)> {
    let mut passed = 0;
    loop {
        let there = fill(reader)?;
        let end = there.iter().position(|byte| *byte == b'\n');
        let step = end.map_or(there.len(), |end| end + 1);
        reader.consume(step);
        passed += step as u64;
        if step == 0 || end.is_some() {
            return Ok((passed, end.is_some()));
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
