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
}

impl Field {
    const ALL: [Field; 5] = [Field::Group, Field::RequestId, Field::User, Field::Parameter, Field::Time];

    /// How a template's text names it.
    fn mark(self) -> &'static str {
        match self {
            Field::Group => "{group}",
            Field::RequestId => "{request_id}",
            Field::User => "{user}",
            Field::Parameter => "{parameter}",
            Field::Time => "{time}",
        }
    }

    fn width(self) -> usize {
        match self {
            Field::Group => 16,
            Field::RequestId => 32,
            Field::User => 7,
            Field::Parameter => 8,
            Field::Time => 13,
        }
    }

    fn write(self, fresh: &Fresh, into: &mut [u8]) {
        match self {
            Field::Group => hexadecimal(fresh.group.into(), into),
            Field::RequestId => hexadecimal(fresh.request_id, into),
            Field::User => decimal(fresh.user, into),
            Field::Parameter => decimal(fresh.parameter, into),
            Field::Time => decimal(fresh.time_ms, into),
        }
    }
}

/// A text with places for what changes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Template {
    bytes: Vec<u8>,
    slots: Vec<(usize, Field)>,
}

impl Template {
    /// Reads a text in which `{group}`, `{request_id}`, `{user}`, `{parameter}` and `{time}` stand for what changes.
    pub(crate) fn parse(text: &str) -> Template {
        let mut template = Template::default();
        let mut rest = text;
        while let Some(at) = rest.find('{') {
            let (before, after) = rest.split_at(at);
            template.bytes.extend_from_slice(before.as_bytes());
            let named = Field::ALL.into_iter().find(|field| after.starts_with(field.mark()));
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
        template.bytes.extend_from_slice(rest.as_bytes());
        template
    }

    /// The same text behind another one in which nothing changes.
    pub(crate) fn behind(self, head: &str) -> Template {
        let slots = self.slots.into_iter().map(|(at, field)| (at + head.len(), field)).collect();
        Template { bytes: [head.as_bytes(), &self.bytes].concat(), slots }
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
    }
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
    fn filling_again_leaves_nothing_of_what_was_there() {
        let template = Template::parse("{user} {user} {group}");
        let (mut once, mut twice) = (template.to_bytes(), template.to_bytes());
        template.fill(&mut twice, &Fresh { group: u64::MAX, user: 9_999_999, ..FRESH });
        template.fill(&mut twice, &FRESH);
        template.fill(&mut once, &FRESH);
        assert_eq!(once, twice);
    }
}
