//! `mappings`: numbers in base 64, each told as its difference to the one before.

use crate::map::BadMap;

/// Most places of a map, and most lines of a script.
pub const TOKENS_MAX: usize = 2_000_000;

/// Stands for "no such thing" in a [`Token`].
pub(crate) const NONE: u32 = u32::MAX;

/// A place of the script from which on a place of the source holds. All numbers begin at 0, columns count UTF-16 units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) column: u32,
    /// Which source, or [`NONE`].
    pub(crate) source: u32,
    pub(crate) source_line: u32,
    pub(crate) source_column: u32,
    /// Which name, or [`NONE`].
    pub(crate) name: u32,
}

/// Tokens in the order of the script.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    pub(crate) tokens: Vec<Token>,
    /// Where the tokens of each line begin.
    pub(crate) lines: Vec<u32>,
}

/// Where a section of an indexed map begins, in the script and in the lists of sources and names.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Offset {
    pub(crate) line: u32,
    pub(crate) column: u32,
    pub(crate) source: u32,
    pub(crate) name: u32,
}

impl Tokens {
    /// The tokens of a line.
    pub(crate) fn of_line(&self, line: usize) -> &[Token] {
        let Some(from) = self.lines.get(line) else { return &[] };
        let until = self.lines.get(line + 1).map_or(self.tokens.len(), |until| *until as usize);
        self.tokens.get(*from as usize..until).unwrap_or_default()
    }

    /// Adds what a map, or a section of one, says. Sections come in the order of the script.
    pub(crate) fn add(&mut self, mappings: &str, offset: Offset) -> Result<(), BadMap> {
        self.begin_line(offset.line as usize)?;
        let mut is_first_line = true;
        let (mut source, mut source_line, mut source_column, mut name) = (0, 0, 0, 0);
        for line in mappings.split(';') {
            if !is_first_line {
                self.begin_line(self.lines.len())?;
            }
            let before = if is_first_line { offset.column } else { 0 };
            is_first_line = false;
            let first = *self.lines.last().unwrap_or(&0) as usize;
            let mut column = 0;
            for segment in line.split(',').filter(|segment| !segment.is_empty()) {
                let mut numbers = Numbers(segment.as_bytes());
                let mut token = Token { column: 0, source: NONE, source_line: 0, source_column: 0, name: NONE };
                column += numbers.next()?.ok_or(BadMap::Mappings)?;
                token.column = position(column)?.checked_add(before).ok_or(BadMap::Mappings)?;
                if let Some(step) = numbers.next()? {
                    source += step;
                    source_line += numbers.next()?.ok_or(BadMap::Mappings)?;
                    source_column += numbers.next()?.ok_or(BadMap::Mappings)?;
                    token.source = index(source, offset.source)?;
                    token.source_line = position(source_line)?;
                    token.source_column = position(source_column)?;
                }
                if token.source != NONE
                    && let Some(step) = numbers.next()?
                {
                    name += step;
                    token.name = index(name, offset.name)?;
                }
                if self.tokens.len() >= TOKENS_MAX {
                    return Err(BadMap::TooManyTokens);
                }
                self.tokens.push(token);
            }
            // Nobody promises an order within a line.
            let line = &mut self.tokens[first..];
            if !line.is_sorted_by_key(|token| token.column) {
                line.sort_by_key(|token| token.column);
            }
        }
        Ok(())
    }

    /// Makes this the last line; those before it that nobody spoke of are empty.
    fn begin_line(&mut self, line: usize) -> Result<(), BadMap> {
        if line >= TOKENS_MAX {
            return Err(BadMap::TooManyTokens);
        }
        if line + 1 < self.lines.len() {
            return Err(BadMap::Sections);
        }
        self.lines.resize(line + 1, self.tokens.len() as u32);
        Ok(())
    }
}

fn position(number: i64) -> Result<u32, BadMap> {
    u32::try_from(number).ok().filter(|position| *position < NONE).ok_or(BadMap::Mappings)
}

fn index(number: i64, offset: u32) -> Result<u32, BadMap> {
    position(number)?.checked_add(offset).filter(|index| *index < NONE).ok_or(BadMap::Mappings)
}

/// The numbers of a segment: base 64, five bits each from the lowest on, the sign in the lowest of all.
struct Numbers<'a>(&'a [u8]);

impl Numbers<'_> {
    fn next(&mut self) -> Result<Option<i64>, BadMap> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let mut value = 0_i64;
        for shift in (0..35).step_by(5) {
            let (digit, rest) = self.0.split_first().ok_or(BadMap::Mappings)?;
            self.0 = rest;
            let digit = i64::from(digit_of(*digit).ok_or(BadMap::Mappings)?);
            value |= (digit & 31) << shift;
            if digit & 32 == 0 {
                let size = value >> 1;
                return Ok(Some(if value & 1 == 1 { -size } else { size }));
            }
        }
        Err(BadMap::Mappings)
    }
}

fn digit_of(letter: u8) -> Option<u8> {
    match letter {
        b'A'..=b'Z' => Some(letter - b'A'),
        b'a'..=b'z' => Some(letter - b'a' + 26),
        b'0'..=b'9' => Some(letter - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(mappings: &str) -> Result<Vec<(usize, u32)>, BadMap> {
        let mut tokens = Tokens::default();
        tokens.add(mappings, Offset::default())?;
        let lines = 0..tokens.lines.len();
        Ok(lines.flat_map(|line| tokens.of_line(line).iter().map(move |token| (line, token.column))).collect())
    }

    #[test]
    fn columns_begin_anew_in_each_line() {
        assert_eq!(columns("AAAA,IAAM;;CAAC").unwrap_or_default(), [(0, 0), (0, 4), (2, 1)]);
    }

    #[test]
    fn what_is_out_of_order_is_sorted() {
        assert_eq!(columns("IAAA,FAAA").unwrap_or_default(), [(0, 2), (0, 4)]);
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for bad in ["!", "g", "gggggggA", "A!", "AA", "AAA", "D", "ADAA"] {
            assert!(columns(bad).is_err(), "{bad}");
        }
    }
}
