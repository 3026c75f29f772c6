//! Times: how long ago in lists, exact on demand and in detail.
//!
//! Pages are written in UTC and say so; where JavaScript runs, it rewrites every `<time>` in the viewer's zone.

use time::{Duration, OffsetDateTime, UtcOffset};

use crate::api::rfc_3339;

/// "3 min ago", with the exact time as its title.
pub(crate) fn ago(at: OffsetDateTime, now: OffsetDateTime) -> String {
    format!(
        r#"<time datetime="{}" data-form="ago" title="{}">{}</time>"#,
        rfc_3339(at),
        written(at),
        ago_in_words(at, now)
    )
}

/// The exact time to the second.
pub(crate) fn exact(at: OffsetDateTime) -> String {
    format!(r#"<time datetime="{}" data-form="exact">{}</time>"#, rfc_3339(at), written(at))
}

/// The exact time, as text.
pub(crate) fn written(at: OffsetDateTime) -> String {
    let at = at.to_offset(UtcOffset::UTC);
    format!(
        "{:04}-{:02}-{:02} {:02}:{:02}:{:02} UTC",
        at.year(),
        u8::from(at.month()),
        at.day(),
        at.hour(),
        at.minute(),
        at.second()
    )
}

/// Day and minute, for the ends of a chart.
pub(crate) fn brief(at: OffsetDateTime, shows_time: bool) -> String {
    let utc = at.to_offset(UtcOffset::UTC);
    let day = format!("{:02} {}", utc.day(), &utc.month().to_string()[..3]);
    let text = if shows_time { format!("{day} {:02}:{:02}", utc.hour(), utc.minute()) } else { day };
    let form = if shows_time { "brief" } else { "day" };
    format!(r#"<time datetime="{}" data-form="{form}">{text}</time>"#, rfc_3339(at))
}

/// How long ago, in words that have one width of thought.
pub(crate) fn ago_in_words(at: OffsetDateTime, now: OffsetDateTime) -> String {
    let seconds = (now - at).whole_seconds();
    if seconds < 5 {
        return "now".to_owned();
    }
    format!("{} ago", span_in_words(Duration::seconds(seconds)))
}

/// A span of time in its greatest unit.
pub(crate) fn span_in_words(span: Duration) -> String {
    let seconds = span.whole_seconds().max(0);
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..172_800 => format!("{} h", seconds / 3_600),
        172_800..5_184_000 => format!("{} days", seconds / 86_400),
        5_184_000..63_072_000 => format!("{} months", seconds / 2_592_000),
        _ => format!("{} years", seconds / 31_536_000),
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn the_past_is_told_in_its_greatest_unit() {
        let now = datetime!(2026-11-23 12:00 UTC);
        for (seconds, words) in [
            (-3, "now"),
            (4, "now"),
            (59, "59 s ago"),
            (61, "1 min ago"),
            (7_199, "1 h ago"),
            (172_799, "47 h ago"),
            (172_800, "2 days ago"),
            (5_184_000, "2 months ago"),
            (63_072_000, "2 years ago"),
        ] {
            assert_eq!(ago_in_words(now - Duration::seconds(seconds), now), words);
        }
    }

    #[test]
    fn exact_times_say_their_zone() {
        assert_eq!(written(datetime!(2026-11-23 03:04:05 +02:00)), "2026-11-23 01:04:05 UTC");
        assert!(brief(datetime!(2026-11-23 03:04:05 UTC), true).contains("23 Nov 03:04"));
    }
}
