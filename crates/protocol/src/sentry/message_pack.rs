//! MessagePack, as much of it as sentry-native writes, read as JSON: the event of a crashed process and its breadcrumbs lie beside the dump in it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Number, Value};

/// Deepest nesting that is read.
const DEPTH_MAX: usize = 64;

/// Most values of one document.
const VALUES_MAX: usize = 50_000;

/// The values that stand one behind the other, up to where they cannot be read on.
pub(super) fn read_all(bytes: &[u8]) -> Vec<Value> {
    let mut reader = Reader { rest: bytes, values_left: VALUES_MAX };
    let mut values = Vec::new();
    while !reader.rest.is_empty() {
        let Some(value) = reader.value(0) else { break };
        values.push(value);
    }
    values
}

struct Reader<'b> {
    rest: &'b [u8],
    values_left: usize,
}

impl<'b> Reader<'b> {
    /// The next value; none if the bytes end in it, are none of the format's, or are too much.
    fn value(&mut self, depth: usize) -> Option<Value> {
        if depth > DEPTH_MAX {
            return None;
        }
        self.values_left = self.values_left.checked_sub(1)?;
        let [kind] = self.take()?;
        Some(match kind {
            0x00..=0x7f => kind.into(),
            0xe0..=0xff => (kind as i8).into(),
            0x80..=0x8f => self.map(usize::from(kind & 0x0f), depth)?,
            0x90..=0x9f => self.list(usize::from(kind & 0x0f), depth)?,
            0xa0..=0xbf => self.text(usize::from(kind & 0x1f))?,
            0xc0 => Value::Null,
            0xc2 => false.into(),
            0xc3 => true.into(),
            0xc4..=0xc6 => {
                let length = self.length(kind - 0xc4)?;
                STANDARD.encode(self.bytes(length)?).into()
            }
            0xca => float(f32::from_be_bytes(self.take()?).into()),
            0xcb => float(f64::from_be_bytes(self.take()?)),
            0xcc => u8::from_be_bytes(self.take()?).into(),
            0xcd => u16::from_be_bytes(self.take()?).into(),
            0xce => u32::from_be_bytes(self.take()?).into(),
            0xcf => u64::from_be_bytes(self.take()?).into(),
            0xd0 => i8::from_be_bytes(self.take()?).into(),
            0xd1 => i16::from_be_bytes(self.take()?).into(),
            0xd2 => i32::from_be_bytes(self.take()?).into(),
            0xd3 => i64::from_be_bytes(self.take()?).into(),
            0xd9..=0xdb => {
                let length = self.length(kind - 0xd9)?;
                self.text(length)?
            }
            0xdc | 0xdd => {
                let count = self.length(kind - 0xdb)?;
                self.list(count, depth)?
            }
            0xde | 0xdf => {
                let count = self.length(kind - 0xdd)?;
                self.map(count, depth)?
            }
            // Types of somebody's own, and one that never was.
            0xc1 | 0xc7..=0xc9 | 0xd4..=0xd8 => return None,
        })
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(*taken)
    }

    fn bytes(&mut self, count: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(taken)
    }

    /// A length of one, two or four bytes.
    fn length(&mut self, width: u8) -> Option<usize> {
        match width {
            0 => Some(usize::from(u8::from_be_bytes(self.take()?))),
            1 => Some(usize::from(u16::from_be_bytes(self.take()?))),
            _ => usize::try_from(u32::from_be_bytes(self.take()?)).ok(),
        }
    }

    fn text(&mut self, length: usize) -> Option<Value> {
        Some(String::from_utf8_lossy(self.bytes(length)?).into())
    }

    /// Nothing is reserved for entries that are only announced.
    fn list(&mut self, count: usize, depth: usize) -> Option<Value> {
        let mut items = Vec::new();
        for _ in 0..count {
            items.push(self.value(depth + 1)?);
        }
        Some(items.into())
    }

    fn map(&mut self, count: usize, depth: usize) -> Option<Value> {
        let mut entries = Map::new();
        for _ in 0..count {
            let key = match self.value(depth + 1)? {
                Value::String(key) => key,
                other => other.to_string(),
            };
            let value = self.value(depth + 1)?;
            entries.insert(key, value);
        }
        Some(entries.into())
    }
}

/// JSON has no name for what is no number.
fn float(number: f64) -> Value {
    Number::from_f64(number).map_or_else(|| number.to_string().into(), Value::Number)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_kind_of_value_is_read() {
        for (bytes, value) in [
            (&b"\x07"[..], json!(7)),
            (b"\xff", json!(-1)),
            (b"\xcc\xc8", json!(200)),
            (b"\xcd\x01\x00", json!(256)),
            (b"\xce\x00\x01\x00\x00", json!(65_536)),
            (b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff", json!(u64::MAX)),
            (b"\xd0\x80", json!(-128)),
            (b"\xd1\xff\x00", json!(-256)),
            (b"\xd2\xff\xff\x00\x00", json!(-65_536)),
            (b"\xd3\x80\x00\x00\x00\x00\x00\x00\x00", json!(i64::MIN)),
            (b"\xca\x3f\x80\x00\x00", json!(1.0)),
            (b"\xcb\x3f\xe0\x00\x00\x00\x00\x00\x00", json!(0.5)),
            (b"\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00", json!("NaN")),
            (b"\xc0", json!(null)),
            (b"\xc2", json!(false)),
            (b"\xc3", json!(true)),
            (b"\xa2ab", json!("ab")),
            (b"\xd9\x02ab", json!("ab")),
            (b"\xda\x00\x02ab", json!("ab")),
            (b"\xdb\x00\x00\x00\x02ab", json!("ab")),
            (b"\xa1\xff", json!("\u{fffd}")),
            (b"\xc4\x02ab", json!("YWI=")),
            (b"\x92\x01\x02", json!([1, 2])),
            (b"\xdc\x00\x01\xc0", json!([null])),
            (b"\xdd\x00\x00\x00\x01\xc0", json!([null])),
            (b"\x81\xa1a\x01", json!({"a": 1})),
            (b"\x81\x05\x01", json!({"5": 1})),
            (b"\xde\x00\x01\xa1a\x80", json!({"a": {}})),
            (b"\xdf\x00\x00\x00\x01\xa1a\x90", json!({"a": []})),
        ] {
            assert_eq!(read_all(bytes), [value], "{bytes:x?}");
        }
    }

    #[test]
    fn what_stands_before_the_break_is_kept() {
        assert_eq!(read_all(b"\x81\xa1a\x01\x81\xa1b\x02\x81\xa1"), [json!({"a": 1}), json!({"b": 2})]);
        for broken in [&b""[..], b"\xc1", b"\xd4\x01\x02", b"\xa5ab", b"\xdf\xff\xff\xff\xff", b"\xdb\xff\xff\xff\xff"]
        {
            assert!(read_all(broken).is_empty(), "{broken:x?}");
        }
        assert!(read_all(&[0x91; 100_000]).is_empty(), "too deep");
        assert_eq!(read_all(&[0xc0; 60_000]).len(), 50_000);
    }
}
