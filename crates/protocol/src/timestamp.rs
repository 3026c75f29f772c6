//! Points in time as clients write them.

use std::borrow::Cow;

use notice::json_tree::Tree;
use time::format_description::well_known::Rfc2822;
use time::{Date, Month, OffsetDateTime};

/// Digits of a number of seconds from 2001 to 2286, and how many more there are where it is of milliseconds or microseconds. As seconds these
/// would be tens of thousands of years ahead.
const SECONDS_DIGITS: usize = 10;
const FINER_DIGITS: [usize; 2] = [3, 6];

/// Unix microseconds of RFC 3339 (without a zone it is UTC), of a date as HTTP writes it, or of seconds, milliseconds or microseconds since 1970, whether they are a number or a string.
pub(crate) fn micros_of(value: &Tree<'_>) -> Option<i64> {
    match value {
        Tree::Number(number) => epoch_micros(number),
        Tree::Text(text) => {
            let text = text.trim();
            rfc_3339_micros(text).or_else(|| epoch_micros(text)).or_else(|| http_date_micros(text))
        }
        _ => None,
    }
}

/// Seconds or milliseconds since 1970 as people read them, RFC 3339 in UTC; anything else as it is.
pub(crate) fn legible(value: Tree<'_>) -> Tree<'_> {
    let Tree::Number(number) = &value else { return value };
    let text = epoch_micros(number).and_then(rfc_3339);
    text.map_or(value, |text| Tree::Text(Cow::Owned(text)))
}

/// A notice has a hundred of these, so nothing that formats anything is used for it.
fn rfc_3339(at_us: i64) -> Option<String> {
    let at = OffsetDateTime::from_unix_timestamp(at_us.div_euclid(1_000_000)).ok()?;
    let mut text = *b"0000-00-00T00:00:00.000000Z";
    for (place, mut number) in [
        (0..4, u32::try_from(at.year()).ok()?),
        (5..7, u8::from(at.month()).into()),
        (8..10, at.day().into()),
        (11..13, at.hour().into()),
        (14..16, at.minute().into()),
        (17..19, at.second().into()),
        (20..26, at_us.rem_euclid(1_000_000) as u32),
    ] {
        for digit in text[place].iter_mut().rev() {
            *digit = b'0' + (number % 10) as u8;
            number /= 10;
        }
    }
    String::from_utf8(text.to_vec()).ok()
}

/// Seconds with a fraction, as they are written: a double would not hold every microsecond.
fn epoch_micros(number: &str) -> Option<i64> {
    if number.contains(['e', 'E']) {
        let micros = number.parse::<f64>().ok()? * 1e6;
        return (micros.abs() < 9e15).then_some(micros as i64);
    }
    let (sign, digits) = number.strip_prefix('-').map_or((1, number), |digits| (-1, digits));
    let (seconds, fraction) = match digits.split_once('.') {
        Some(parts) => parts,
        None if FINER_DIGITS.iter().any(|finer| digits.len() == SECONDS_DIGITS + finer) => {
            digits.split_at_checked(SECONDS_DIGITS)?
        }
        None => (digits, ""),
    };
    let seconds: i64 = seconds.parse::<u32>().ok()?.into();
    Some(sign * (seconds * 1_000_000 + fraction_micros(fraction)?))
}

/// Microseconds of the digits behind the point; further ones are cut off.
fn fraction_micros(digits: &str) -> Option<i64> {
    if !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    Some(
        (0..6).fold(0, |micros, at| micros * 10 + digits.as_bytes().get(at).map_or(0, |digit| i64::from(digit - b'0'))),
    )
}

fn rfc_3339_micros(text: &str) -> Option<i64> {
    let (date, rest) = text.split_at_checked(10)?;
    let date = date_of(date)?;
    let clock = rest.strip_prefix(['T', 't', ' '])?;
    let (clock, rest) = clock.split_at_checked(8)?;
    let [hours, minutes, seconds] = three(clock, ":")?;
    if hours > 23 || minutes > 59 || seconds > 60 {
        return None;
    }
    let (fraction, zone) = match rest.strip_prefix('.') {
        Some(rest) => rest.split_at(rest.find(|other: char| !other.is_ascii_digit()).unwrap_or(rest.len())),
        None => ("", rest),
    };
    let days = i64::from(date.to_julian_day()) - i64::from(Date::from_ordinal_date(1970, 1).ok()?.to_julian_day());
    let seconds = days * 86_400 + i64::from(hours * 3_600 + minutes * 60 + seconds) - zone_seconds(zone)?;
    Some(seconds * 1_000_000 + fraction_micros(fraction)?)
}

/// `Sun, 22 Nov 2026 02:59:48 GMT`
fn http_date_micros(text: &str) -> Option<i64> {
    OffsetDateTime::parse(text, &Rfc2822).ok()?.unix_timestamp().checked_mul(1_000_000)
}

fn date_of(text: &str) -> Option<Date> {
    let (year, rest) = text.split_at_checked(4)?;
    let rest = rest.strip_prefix('-')?;
    let (month, day) = rest.split_once('-')?;
    let month = Month::try_from(u8::try_from(digits(month, 2)?).ok()?).ok()?;
    Date::from_calendar_date(digits(year, 4)? as i32, month, u8::try_from(digits(day, 2)?).ok()?).ok()
}

/// How far east the zone is. None at all is UTC: Python's `utcnow().isoformat()` has none.
fn zone_seconds(zone: &str) -> Option<i64> {
    let zone = zone.trim();
    if matches!(zone, "" | "Z" | "z" | "UTC") {
        return Some(0);
    }
    let (sign, zone) = match zone.strip_prefix('+') {
        Some(zone) => (1, zone),
        None => (-1, zone.strip_prefix('-')?),
    };
    let (hours, minutes) = zone.split_at_checked(2)?;
    let minutes = minutes.strip_prefix(':').unwrap_or(minutes);
    let minutes = if minutes.is_empty() { 0 } else { digits(minutes, 2)? };
    Some(sign * i64::from(digits(hours, 2)? * 3_600 + minutes * 60))
}

fn three(text: &str, mark: &str) -> Option<[u32; 3]> {
    let mut parts = text.split(mark);
    let three = [digits(parts.next()?, 2)?, digits(parts.next()?, 2)?, digits(parts.next()?, 2)?];
    parts.next().is_none().then_some(three)
}

fn digits(text: &str, count: usize) -> Option<u32> {
    let is_number = text.len() == count && text.bytes().all(|digit| digit.is_ascii_digit());
    is_number.then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Option<i64> {
        micros_of(&Tree::Text(Cow::Borrowed(text)))
    }

    #[test]
    fn all_forms_are_the_same_moment() {
        for same in [
            "2026-11-22T02:59:48.564007Z",
            "2026-11-22t02:59:48.564007z",
            "2026-11-22 02:59:48.564007",
            "2026-11-22T02:59:48.564007123",
            "2026-11-22T03:59:48.564007+01:00",
            "2026-11-22T03:59:48.564007+0100",
            "2026-11-21T22:29:48.564007-04:30",
            "1795316388.564007",
        ] {
            assert_eq!(text(same), Some(1_795_316_388_564_007), "{same}");
        }
        for same in [
            "Sun, 22 Nov 2026 02:59:48 GMT",
            "22 Nov 2026 03:59:48 +0100",
            "2026-11-22 02:59:48 UTC",
            "1795316388000",
            "1795316388",
        ] {
            assert_eq!(text(same), Some(1_795_316_388_000_000), "{same}");
        }
        assert_eq!(text("1970-01-01T00:00:00"), Some(0));
        assert_eq!(text("1969-12-31T23:59:59.5Z"), Some(-500_000));
        assert_eq!(micros_of(&Tree::Number(Cow::Borrowed("1795316388.5640071"))), Some(1_795_316_388_564_007));
        assert_eq!(micros_of(&Tree::Number(Cow::Borrowed("1.795316388e9"))), Some(1_795_316_388_000_000));
        assert_eq!(micros_of(&Tree::Number(Cow::Borrowed("-1"))), Some(-1_000_000));
    }

    #[test]
    fn seconds_are_made_legible() {
        let legible = |number| legible(Tree::Number(Cow::Borrowed(number)));
        assert_eq!(legible("1795316388.564"), Tree::Text(Cow::Borrowed("2026-11-22T02:59:48.564000Z")));
        assert_eq!(legible("-0.5"), Tree::Text(Cow::Borrowed("1969-12-31T23:59:59.500000Z")));
        assert_eq!(legible("1795316388564"), Tree::Text(Cow::Borrowed("2026-11-22T02:59:48.564000Z")));
        assert_eq!(legible("1795316388564789"), Tree::Text(Cow::Borrowed("2026-11-22T02:59:48.564789Z")));
        assert_eq!(legible("1e300"), Tree::Number(Cow::Borrowed("1e300")));
    }

    #[test]
    fn what_is_no_time_is_none() {
        for other in [
            "",
            "now",
            "2026-13-01T00:00:00Z",
            "2026-02-30T00:00:00Z",
            "2026-11-22",
            "2026-11-22T25:00:00Z",
            "2026-11-22T02:59Z",
            "2026-11-22T02:59:48.564x",
            "2026-11-22T02:59:48+1",
            "99999999999999999999",
            "+026-11-22T02:59:48Z",
            "ä026-11-22T02:59:48Z",
            "1.-5",
            "1e400",
        ] {
            assert_eq!(text(other), None, "{other}");
        }
        assert_eq!(micros_of(&Tree::Bool(true)), None);
    }
}
