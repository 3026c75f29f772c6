//! Where a list goes on. Opaque to whoever carries it: what is in it may change with any release.

use std::fmt::Write as _;

/// A cursor that this list did not give out.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`cursor` is not one that this list gave out: leave it out to start again")]
pub struct CursorError;

/// Writes numbers as one opaque word: a letter for the list that it belongs to, then each number in base 36.
pub(super) fn write(list: char, numbers: &[i64]) -> String {
    let mut word = String::from(list);
    for (index, number) in numbers.iter().enumerate() {
        if index > 0 {
            word.push('.');
        }
        if *number < 0 {
            word.push('-');
        }
        let mut digits = Vec::new();
        let mut rest = number.unsigned_abs();
        loop {
            digits.push(char::from_digit((rest % 36) as u32, 36).expect("a remainder of 36 is a digit of base 36"));
            rest /= 36;
            if rest == 0 {
                break;
            }
        }
        let _ = write!(word, "{}", digits.iter().rev().collect::<String>());
    }
    word
}

/// Reads what [`write`] wrote for the same list.
pub(super) fn read<const N: usize>(list: char, word: &str) -> Result<[i64; N], CursorError> {
    let mut numbers = [0; N];
    let mut parts = word.strip_prefix(list).ok_or(CursorError)?.split('.');
    for number in &mut numbers {
        *number = parts.next().and_then(|part| i64::from_str_radix(part, 36).ok()).ok_or(CursorError)?;
    }
    if parts.next().is_some() { Err(CursorError) } else { Ok(numbers) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_back() {
        for numbers in [[0, 1, -1], [i64::MAX, i64::MIN, 36]] {
            assert_eq!(read::<3>('g', &write('g', &numbers)), Ok(numbers));
        }
    }

    #[test]
    fn another_lists_cursor_is_refused() {
        assert_eq!(read::<1>('s', &write('g', &[7])), Err(CursorError));
        assert_eq!(read::<2>('g', &write('g', &[7])), Err(CursorError));
        assert_eq!(read::<1>('g', "g7.8"), Err(CursorError));
        assert_eq!(read::<1>('g', "g;drop"), Err(CursorError));
        assert_eq!(read::<1>('g', ""), Err(CursorError));
    }
}
