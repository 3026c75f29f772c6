//! Card numbers in text.

use std::borrow::Cow;

/// What stands in the place of a card number.
pub(crate) const MASK: &str = "[card number]";

/// Fewest digits of a card number.
const DIGITS_MIN: usize = 13;

/// Most digits of a card number.
const DIGITS_MAX: usize = 19;

/// The text with `[card number]` in the place of each; borrowed if there is none.
pub(crate) fn mask(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    // Most texts are shorter, or have fewer digits in all: counting is quicker than looking at each.
    if bytes.len() < DIGITS_MIN || bytes.iter().filter(|byte| byte.is_ascii_digit()).count() < DIGITS_MIN {
        return Cow::Borrowed(text);
    }
    let mut out = String::new();
    let mut copied = 0;
    let mut at = 0;
    while at < bytes.len() {
        if !bytes[at].is_ascii_digit() {
            at += 1;
            continue;
        }
        let run = Run::at(bytes, at);
        if run.is_card()
            && !(at > 0 && joins(bytes[at - 1]))
            && !bytes.get(run.end).is_some_and(|next| joins_after(*next, bytes, run.end))
        {
            out.push_str(&text[copied..at]);
            out.push_str(MASK);
            copied = run.end;
        }
        at = run.end;
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(&text[copied..]);
    Cow::Owned(out)
}

/// Whether the character before makes the digits part of something longer: a word, an id, a decimal number.
fn joins(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'%') || byte >= 0x80
}

fn joins_after(byte: u8, bytes: &[u8], at: usize) -> bool {
    byte.is_ascii_alphabetic()
        || matches!(byte, b'_' | b'-')
        || (byte == b'.' && bytes.get(at + 1).is_some_and(u8::is_ascii_digit))
}

/// Digits with at most one space or dash between them.
struct Run {
    end: usize,
    count: usize,
    digits: [u8; DIGITS_MAX],
    /// How many digits stand before the first, second, … separator.
    groups: [usize; 5],
    group_count: usize,
}

impl Run {
    fn at(bytes: &[u8], start: usize) -> Run {
        let mut run = Run { end: start, count: 0, digits: [0; DIGITS_MAX], groups: [0; 5], group_count: 0 };
        let mut at = start;
        let mut separator = None;
        while let Some(byte) = bytes.get(at) {
            if byte.is_ascii_digit() {
                if run.count < DIGITS_MAX {
                    run.digits[run.count] = byte - b'0';
                }
                run.count += 1;
                at += 1;
                run.end = at;
                continue;
            }
            let is_separator = matches!(byte, b' ' | b'-') && separator.is_none_or(|separator| separator == *byte);
            let goes_on = run.end == at && bytes.get(at + 1).is_some_and(u8::is_ascii_digit);
            // Beyond what can be a card only the unbroken digits are gone past, so that a text of digits and spaces is still read once.
            if !is_separator || !goes_on || run.count >= DIGITS_MAX {
                break;
            }
            separator = Some(*byte);
            if run.group_count < run.groups.len() {
                run.groups[run.group_count] = run.count;
            }
            run.group_count += 1;
            at += 1;
        }
        run
    }

    fn is_card(&self) -> bool {
        (DIGITS_MIN..=DIGITS_MAX).contains(&self.count) && self.is_grouped() && self.has_issuer() && self.passes_luhn()
    }

    /// Whether separators stand where people write them: after every four digits, or 4-6-4 and 4-6-5.
    fn is_grouped(&self) -> bool {
        match self.groups.get(..self.group_count) {
            None => false,
            Some([]) => true,
            Some([4, 10]) => matches!(self.count, 14 | 15),
            Some(groups) => {
                groups.iter().enumerate().all(|(index, at)| *at == 4 * (index + 1))
                    && self.count - 4 * groups.len() <= 4
            }
        }
    }

    /// Whether an issuer gives out numbers that begin so and are that long.
    fn has_issuer(&self) -> bool {
        let first =
            |count: usize| self.digits[..count].iter().fold(0_u32, |number, digit| number * 10 + u32::from(*digit));
        match self.count {
            13 => first(1) == 4,
            14 => matches!(first(3), 300..=305) || matches!(first(2), 36 | 38),
            15 => matches!(first(2), 34 | 37),
            16 => {
                first(1) == 4
                    || matches!(first(2), 51..=55 | 62 | 65)
                    || matches!(first(3), 644..=649)
                    || matches!(first(4), 2221..=2720 | 3528..=3589 | 6011)
            }
            _ => matches!(first(2), 62) || (self.count == 19 && first(1) == 4),
        }
    }

    fn passes_luhn(&self) -> bool {
        let sum: u32 = self.digits[..self.count]
            .iter()
            .rev()
            .enumerate()
            .map(|(index, digit)| match (index % 2, u32::from(*digit)) {
                (0, digit) => digit,
                (_, digit @ 0..=4) => digit * 2,
                (_, digit) => digit * 2 - 9,
            })
            .sum();
        sum.is_multiple_of(10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn card_numbers_are_masked() {
        for (text, expected) in [
            (
                "card 4000-0000-0000-0002 declined by issuer (code 51)",
                "card [card number] declined by issuer (code 51)",
            ),
            ("card 4111111111111111 declined", "card [card number] declined"),
            ("4111 1111 1111 1111", "[card number]"),
            ("n=378282246310005&x", "n=[card number]&x"),
            ("3782-822463-10005.", "[card number]."),
            ("5555555555554444,6011111111111117", "[card number],[card number]"),
            ("/cards/30569309025904/pay", "/cards/[card number]/pay"),
        ] {
            assert_eq!(mask(text), expected);
        }
    }

    #[test]
    fn other_numbers_are_left_alone() {
        for text in [
            "1795316388.564",
            "1795316388564789",
            "4111111111111112",
            "0.4111111111111111",
            "4111111111111111.5",
            "64155648 17993728 13161784",
            "9f4111111111111111",
            "a-4111111111111111",
            "4111111111111111-a",
            "41 11111111111111",
            "41111111111111110000",
            "10 20 30 40 50 60 70 80 90 10 20 30 40 50",
            "3f2504e0-4f89-4111-1111-111111111111",
        ] {
            assert_eq!(mask(text), text);
        }
    }
}
