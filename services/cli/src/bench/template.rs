//! A request whose changing parts stand at known places: the next one is made by a few short copies.
//!
//! The generator shares the machine with what it measures, so a notice must cost it next to nothing. Every part that
//! changes has a width of its own, so that nothing moves and the announced length stays true.

/// What differs from one notice to the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fresh {
    pub(crate) group: u64,
    pub(crate) request_id: u128,
    pub(crate) user: u64,
    pub(crate) parameter: u64,
    pub(crate) time_ms: u64,
}

/// One of the parts of [`Fresh`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Group,
    RequestId,
    User,
    Parameter,
    Time,
    /// The id of the request in bytes, whole and the second half of it.
    TraceId,
    SpanId,
    /// In nanoseconds, as protobuf writes a number of 64 bits.
    TimeNs,
}

impl Field {
    const ALL: [Field; 8] = [
        Field::Group,
        Field::RequestId,
        Field::User,
        Field::Parameter,
        Field::Time,
        Field::TraceId,
        Field::SpanId,
        Field::TimeNs,
    ];

    /// How a template's text names it.
    fn mark(self) -> &'static str {
        match self {
            Field::Group => "{group}",
            Field::RequestId => "{request_id}",
            Field::User => "{user}",
            Field::Parameter => "{parameter}",
            Field::Time => "{time}",
            Field::TraceId => "{trace_id}",
            Field::SpanId => "{span_id}",
            Field::TimeNs => "{time_ns}",
        }
    }

    fn width(self) -> usize {
        match self {
            Field::Group => 16,
            Field::RequestId => 32,
            Field::User => 7,
            Field::Parameter => 8,
            Field::Time => 13,
            Field::TraceId => 16,
            Field::SpanId | Field::TimeNs => 8,
        }
    }

    fn write(self, fresh: &Fresh, into: &mut [u8]) {
        match self {
            Field::Group => hexadecimal(fresh.group.into(), into),
            Field::RequestId => hexadecimal(fresh.request_id, into),
            Field::User => decimal(fresh.user, into),
            Field::Parameter => decimal(fresh.parameter, into),
            Field::Time => decimal(fresh.time_ms, into),
            Field::TraceId => into.copy_from_slice(&fresh.request_id.to_be_bytes()),
            Field::SpanId => into.copy_from_slice(&(fresh.request_id as u64).to_be_bytes()),
            Field::TimeNs => into.copy_from_slice(&(fresh.time_ms * 1_000_000).to_le_bytes()),
        }
    }
}

/// A text with places for what changes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Template {
    bytes: Vec<u8>,
    slots: Vec<(usize, Field)>,
    packed: Option<Packed>,
}

/// What a packed text has at its end: a sum over the text as it was.
#[derive(Clone, Debug)]
struct Packed {
    text: Box<Template>,
    sum_at: usize,
}

impl Template {
    /// Reads a text in which `{group}`, `{request_id}`, `{user}`, `{parameter}` and `{time}` stand for what changes, and in protobuf
    /// `{trace_id}`, `{span_id}` and `{time_ns}`.
    pub(crate) fn parse(text: impl AsRef<[u8]>) -> Template {
        let mut template = Template::default();
        let mut rest = text.as_ref();
        while let Some(at) = rest.iter().position(|byte| *byte == b'{') {
            let (before, after) = rest.split_at(at);
            template.bytes.extend_from_slice(before);
            let named = Field::ALL.into_iter().find(|field| after.starts_with(field.mark().as_bytes()));
            rest = match named {
                Some(field) => {
                    template.slots.push((template.bytes.len(), field));
                    template.bytes.resize(template.bytes.len() + field.width(), b'0');
                    &after[field.mark().len()..]
                }
                // A bracket of the text's own.
                None => {
                    template.bytes.push(b'{');
                    &after[1..]
                }
            };
        }
        template.bytes.extend_from_slice(rest);
        template
    }

    /// The same text behind another one in which nothing changes.
    pub(crate) fn behind(self, head: &str) -> Template {
        let slots = self.slots.into_iter().map(|(at, field)| (at + head.len(), field)).collect();
        let packed = self.packed.map(|packed| Packed { sum_at: packed.sum_at + head.len(), ..packed });
        Template { bytes: [head.as_bytes(), &self.bytes].concat(), slots, packed }
    }

    /// The text packed by gzip. What changes stands in it as it is, in blocks that are not compressed (RFC 1951, 3.2.4), so that the
    /// next text costs a few copies and a sum.
    pub(crate) fn gzipped(self) -> Template {
        const HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
        const END: [u8; 5] = [1, 0, 0, 0xff, 0xff];
        let mut bytes = HEAD.to_vec();
        let mut slots = Vec::with_capacity(self.slots.len());
        let mut done = 0;
        for (at, field) in &self.slots {
            deflate(&self.bytes[done..*at], &mut bytes);
            let width = field.width() as u16;
            bytes.push(0);
            bytes.extend(width.to_le_bytes());
            bytes.extend((!width).to_le_bytes());
            slots.push((bytes.len(), *field));
            done = at + field.width();
            bytes.extend(&self.bytes[*at..done]);
        }
        deflate(&self.bytes[done..], &mut bytes);
        bytes.extend(END);
        let sum_at = bytes.len();
        bytes.extend([0; 4]);
        bytes.extend((self.bytes.len() as u32).to_le_bytes());
        Template { bytes, slots, packed: Some(Packed { text: Box::new(self), sum_at }) }
    }

    /// Its length, which is that of everything made of it.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// A first text, to be [filled](Template::fill) again and again.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        self.bytes.clone()
    }

    /// Writes what is fresh into a text that was made of this template.
    pub(crate) fn fill(&self, text: &mut [u8], fresh: &Fresh) {
        for (at, field) in &self.slots {
            field.write(fresh, &mut text[*at..at + field.width()]);
        }
        if let Some(Packed { text: unpacked, sum_at }) = &self.packed {
            let mut whole = unpacked.to_bytes();
            unpacked.fill(&mut whole, fresh);
            let mut sum = flate2::Crc::new();
            sum.update(&whole);
            text[*sum_at..sum_at + 4].copy_from_slice(&sum.sum().to_le_bytes());
        }
    }
}

/// Compresses for itself, up to the border of a byte and without an end.
fn deflate(text: &[u8], into: &mut Vec<u8>) {
    let mut compress = flate2::Compress::new(flate2::Compression::default(), false);
    let mut packed = Vec::with_capacity(text.len() + 64);
    compress
        .compress_vec(text, &mut packed, flate2::FlushCompress::Sync)
        .expect("there is room for more than the text");
    into.extend(packed);
}

/// Writes a number in decimal, with leading zeros; of one that is too long the last digits.
fn decimal(mut number: u64, into: &mut [u8]) {
    for place in into.iter_mut().rev() {
        *place = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

fn hexadecimal(mut number: u128, into: &mut [u8]) {
    for place in into.iter_mut().rev() {
        *place = b"0123456789abcdef"[(number & 0xf) as usize];
        number >>= 4;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRESH: Fresh =
        Fresh { group: 0xbeef, request_id: 1 << 124, user: 42, parameter: 123, time_ms: 1_700_000_000_123 };

    #[test]
    fn what_is_fresh_stands_in_its_places_and_nothing_else_moves() {
        let template = Template::parse("<{group}|{user}>{\"a\": {}} {time}; {request_id} {parameter}").behind("HEAD ");
        let mut text = template.to_bytes();
        template.fill(&mut text, &FRESH);
        let expected =
            "HEAD <000000000000beef|0000042>{\"a\": {}} 1700000000123; 10000000000000000000000000000000 00000123";
        assert_eq!(std::str::from_utf8(&text), Ok(expected));
        assert_eq!(text.len(), template.len());
    }

    #[test]
    fn a_packed_text_is_the_text() {
        use std::io::Read as _;
        let text = Template::parse("{group} some words, some words, some words {user}{user} and {time}");
        let packed = text.clone().gzipped().behind("HEAD ");
        let (mut plain, mut sent) = (text.to_bytes(), packed.to_bytes());
        for user in [1, 2, 3] {
            let fresh = Fresh { user, ..FRESH };
            text.fill(&mut plain, &fresh);
            packed.fill(&mut sent, &fresh);
            let mut unpacked = Vec::new();
            flate2::read::GzDecoder::new(&sent[5..]).read_to_end(&mut unpacked).expect("it is gzip");
            assert_eq!(unpacked, plain);
        }
        let long = Template::parse("words and words ".repeat(1_000));
        assert!(long.clone().gzipped().len() < long.len() / 10);
    }

    #[test]
    fn filling_again_leaves_nothing_of_what_was_there() {
        let template = Template::parse("{user} {user} {group}");
        let (mut once, mut twice) = (template.to_bytes(), template.to_bytes());
        template.fill(&mut twice, &Fresh { group: u64::MAX, user: 9_999_999, ..FRESH });
        template.fill(&mut twice, &FRESH);
        template.fill(&mut once, &FRESH);
        assert_eq!(once, twice);
    }
}
