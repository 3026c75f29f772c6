//! Numbers that can be compared.

/// A count with its thousands marked.
pub(crate) fn grouped(count: i64) -> String {
    let digits = count.unsigned_abs().to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3 + 1);
    if count < 0 {
        out.push('-');
    }
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Users affected: exact up to 64, an estimate above.
pub(crate) fn users(count: i32) -> String {
    const EXACT_MAX: i32 = 64;
    let about = if count > EXACT_MAX { "~" } else { "" };
    format!("{about}{}", grouped(i64::from(count)))
}

/// A share of a whole, in per cent.
pub(crate) fn percent(part: i64, whole: i64) -> String {
    if whole <= 0 {
        return "–".to_owned();
    }
    let share = part as f64 * 100.0 / whole as f64;
    match share {
        share if part > 0 && share < 1.0 => "<1 %".to_owned(),
        share if part < whole && share > 99.0 => ">99 %".to_owned(),
        share => format!("{share:.0} %"),
    }
}

/// A count that ends at `most`: what is beyond is one more and a plus.
pub(crate) fn up_to(count: i64, most: i64) -> String {
    if count > most { format!("{}+", grouped(most + 1)) } else { grouped(count) }
}

/// A count and its noun.
pub(crate) fn counted(count: i64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(count), if count == 1 { one } else { many })
}

/// A length in bytes, in the unit that makes it short.
pub(crate) fn bytes(count: i64) -> String {
    const UNIT: f64 = 1024.0;
    let count_f = count as f64;
    if count_f < UNIT {
        return counted(count, "byte", "bytes");
    }
    if count_f < UNIT * UNIT {
        return format!("{:.0} KiB", count_f / UNIT);
    }
    if count_f < UNIT * UNIT * UNIT {
        return format!("{:.1} MiB", count_f / UNIT / UNIT);
    }
    format!("{:.1} GiB", count_f / UNIT / UNIT / UNIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_marked() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1000), "1,000");
        assert_eq!(grouped(-1_234_567), "-1,234,567");
    }

    #[test]
    fn lengths_are_short() {
        assert_eq!([bytes(1), bytes(1023), bytes(204_800)], ["1 byte", "1,023 bytes", "200 KiB"]);
        assert_eq!(bytes(15 << 20), "15.0 MiB");
    }

    #[test]
    fn estimates_say_so() {
        assert_eq!(users(64), "64");
        assert_eq!(users(1065), "~1,065");
    }

    #[test]
    fn shares_never_round_to_nothing_or_all() {
        assert_eq!(percent(1, 1000), "<1 %");
        assert_eq!(percent(999, 1000), ">99 %");
        assert_eq!(percent(1000, 1000), "100 %");
        assert_eq!(percent(1, 0), "–");
    }
}
