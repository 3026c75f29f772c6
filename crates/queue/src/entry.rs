//! Entries: what lies in a lane's stream.

use std::ops::RangeInclusive;

use redis::Value;
use uuid::Uuid;

use crate::stream_id::StreamId;

/// One entry of a lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// One that a gateway made.
    Shipped(Shipped),
    /// One that cannot be read; it must never stop the lane.
    Malformed(Malformed),
}

/// A record on its way, with what its gateway says of the lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shipped {
    /// Its place in the stream. Good for reading on and trimming, and for nothing else.
    pub stream_id: String,
    /// The journal that the record lies in.
    pub journal: Uuid,
    /// The record's number in this journal and lane.
    pub seq: u64,
    /// Everything below this number is gone from the gateway's disk.
    pub base: u64,
    /// Numbers that are damaged on the gateway's disk and will never come. What lies below them may have been committed, and be needed again.
    pub gap: Option<RangeInclusive<u64>>,
    /// The highest number of this journal and lane when the entry was sent; 0 if not told.
    pub head_seq: u64,
    /// When the oldest un-acknowledged record of this journal and lane was accepted; 0 if not told.
    pub oldest_unacked_at_us: i64,
    /// The record, as `journal::Record::decode` reads it. Not checked here.
    pub record: Vec<u8>,
}

/// An entry that lacks what every entry has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// Its place in the stream.
    pub stream_id: String,
    /// What is wrong with it.
    pub reason: String,
    /// The journal, if it could be read.
    pub journal: Option<Uuid>,
    /// The number, if it could be read.
    pub seq: Option<u64>,
    /// The record, if there is one, or else all that there is.
    pub raw: Vec<u8>,
}

impl Entry {
    /// Its place in the stream.
    pub fn stream_id(&self) -> &str {
        match self {
            Entry::Shipped(shipped) => &shipped.stream_id,
            Entry::Malformed(malformed) => &malformed.stream_id,
        }
    }

    /// Bytes of its record, or of what there is instead.
    pub fn bytes(&self) -> usize {
        match self {
            Entry::Shipped(shipped) => shipped.record.len(),
            Entry::Malformed(malformed) => malformed.raw.len(),
        }
    }

    /// Reads one element of the answer to XRANGE; `None` if not even its place can be read.
    pub(crate) fn from_value(value: Value) -> Option<Entry> {
        let (stream_id, fields) = stream_id_and_fields(value)?;
        Some(Fields::read(fields).into_entry(stream_id))
    }
}

pub(crate) fn stream_id_and_fields(value: Value) -> Option<(String, Vec<Value>)> {
    let Value::Array(parts) = value else {
        return None;
    };
    let [Value::BulkString(stream_id), Value::Array(fields)] = <[Value; 2]>::try_from(parts).ok()? else {
        return None;
    };
    let stream_id = String::from_utf8(stream_id).ok()?;
    stream_id.parse::<StreamId>().ok()?;
    Some((stream_id, fields))
}

/// The fields of an entry, as far as they can be read.
#[derive(Default)]
struct Fields {
    journal: Option<Uuid>,
    seq: Option<u64>,
    base: Option<u64>,
    gap: Option<RangeInclusive<u64>>,
    head_seq: Option<u64>,
    oldest_unacked_at_us: Option<i64>,
    record: Option<Vec<u8>>,
    others: Vec<u8>,
}

impl Fields {
    fn read(values: Vec<Value>) -> Fields {
        let mut fields = Fields::default();
        let mut values = values.into_iter();
        while let (Some(name), Some(value)) = (values.next(), values.next()) {
            let (Value::BulkString(name), Value::BulkString(value)) = (name, value) else {
                continue;
            };
            match name.as_slice() {
                b"j" => fields.journal = text(&value).and_then(|text| text.parse().ok()),
                b"s" => fields.seq = text(&value).and_then(|text| text.parse().ok()),
                b"b" => fields.base = text(&value).and_then(|text| text.parse().ok()),
                b"g" => fields.gap = text(&value).and_then(read_gap),
                b"h" => fields.head_seq = text(&value).and_then(|text| text.parse().ok()),
                b"o" => fields.oldest_unacked_at_us = text(&value).and_then(|text| text.parse().ok()),
                b"p" => fields.record = Some(value),
                _ => {
                    fields.others.extend_from_slice(&name);
                    fields.others.push(b'=');
                    fields.others.extend_from_slice(&value);
                    fields.others.push(b'\n');
                }
            }
        }
        fields
    }

    fn into_entry(self, stream_id: String) -> Entry {
        let reason = match (&self.journal, self.seq, self.base, &self.record) {
            (None, ..) => "no journal id in field `j`",
            (_, None | Some(0), ..) => "no number of a record in field `s`",
            (_, _, None, _) => "no number in field `b`",
            (.., None) => "no record in field `p`",
            (Some(journal), Some(seq), Some(base), Some(_)) => {
                return Entry::Shipped(Shipped {
                    stream_id,
                    journal: *journal,
                    seq,
                    base,
                    gap: self.gap,
                    head_seq: self.head_seq.unwrap_or(0),
                    oldest_unacked_at_us: self.oldest_unacked_at_us.unwrap_or(0),
                    record: self.record.unwrap_or_default(),
                });
            }
        };
        Entry::Malformed(Malformed {
            stream_id,
            reason: reason.to_owned(),
            journal: self.journal,
            seq: self.seq,
            raw: self.record.unwrap_or(self.others),
        })
    }
}

/// `17-20`
fn read_gap(text: &str) -> Option<RangeInclusive<u64>> {
    let (first, last) = text.split_once('-')?;
    Some(first.parse().ok()?..=last.parse().ok()?)
}

fn text(value: &[u8]) -> Option<&str> {
    std::str::from_utf8(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(fields: &[(&str, &str)]) -> Value {
        let bulk = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        let fields = fields.iter().flat_map(|(name, value)| [bulk(name), bulk(value)]).collect();
        Value::Array(vec![bulk("17-3"), Value::Array(fields)])
    }

    const JOURNAL: &str = "0193e0a0-0000-7000-8000-000000000001";

    #[test]
    fn an_entry_without_head_and_age_is_sound() {
        let entry = Entry::from_value(value(&[("j", JOURNAL), ("s", "5"), ("b", "2"), ("p", "xyz")]));
        let Some(Entry::Shipped(shipped)) = entry else { panic!("{entry:?}") };
        assert_eq!((shipped.seq, shipped.base, &shipped.gap, shipped.head_seq), (5, 2, &None, 0));
        assert_eq!(shipped.record, b"xyz");
        assert_eq!(shipped.stream_id, "17-3");
    }

    #[test]
    fn what_is_readable_of_a_malformed_entry_is_kept() {
        let entry = Entry::from_value(value(&[("j", JOURNAL), ("s", "x"), ("b", "2"), ("p", "xyz")]));
        let Some(Entry::Malformed(malformed)) = entry else { panic!("{entry:?}") };
        assert_eq!(malformed.journal, JOURNAL.parse().ok());
        assert_eq!((malformed.seq, malformed.raw.as_slice()), (None, &b"xyz"[..]));

        let entry = Entry::from_value(value(&[("hello", "world")]));
        let Some(Entry::Malformed(malformed)) = entry else { panic!("{entry:?}") };
        assert_eq!(malformed.raw, b"hello=world\n");
    }
}
