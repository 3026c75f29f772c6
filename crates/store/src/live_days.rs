//! Which days have partitions, and moving times into them.
//!
//! A gateway's clock may be wrong, or a record may be weeks late. Its id and accepted_at stay what they are; only
//! the time that counters and partitions use is moved to the nearest day that there is.

use time::{Date, OffsetDateTime};

const DAY_US: i64 = 24 * 60 * 60 * 1_000_000;

/// The days that have partitions, in Unix microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LiveDays {
    /// Start of the first day with a partition for bodies.
    pub(crate) from_us: i64,
    /// End of the last one, exclusive.
    pub(crate) to_us: i64,
    /// Start of the first day that still has minutes.
    pub(crate) minutes_from_us: i64,
}

impl LiveDays {
    pub(crate) fn new(first: Date, last: Date, first_minutes: Date) -> Self {
        Self { from_us: start_of(first), to_us: start_of(last) + DAY_US, minutes_from_us: start_of(first_minutes) }
    }

    /// The time by which something is counted.
    pub(crate) fn clamp_us(&self, at_us: i64) -> i64 {
        at_us.clamp(self.from_us, self.to_us - 1)
    }

    /// The same as a time.
    pub(crate) fn clamp(&self, at_us: i64) -> OffsetDateTime {
        time_of(self.clamp_us(at_us))
    }
}

fn start_of(day: Date) -> i64 {
    day.midnight().assume_utc().unix_timestamp() * 1_000_000
}

/// A time from Unix microseconds; what no calendar holds becomes its end.
pub(crate) fn time_of(at_us: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(at_us) * 1_000).unwrap_or(if at_us < 0 {
        OffsetDateTime::UNIX_EPOCH
    } else {
        time::macros::datetime!(9999-12-31 00:00 UTC)
    })
}

#[cfg(test)]
mod tests {
    use time::macros::{date, datetime};

    use super::*;

    #[test]
    fn times_beyond_the_partitions_move_to_the_nearest_day() {
        let live = LiveDays::new(date!(2026 - 01 - 10), date!(2026 - 01 - 12), date!(2026 - 01 - 11));
        let at = |time: OffsetDateTime| live.clamp(time.unix_timestamp() * 1_000_000);
        assert_eq!(at(datetime!(2026-01-11 05:06:07 UTC)), datetime!(2026-01-11 05:06:07 UTC));
        assert_eq!(at(datetime!(1999-01-11 05:06:07 UTC)), datetime!(2026-01-10 00:00 UTC));
        assert_eq!(at(datetime!(2099-01-11 05:06:07 UTC)).date(), date!(2026 - 01 - 12));
        assert_eq!(live.clamp(i64::MAX).date(), date!(2026 - 01 - 12));
        assert_eq!(live.clamp(i64::MIN).date(), date!(2026 - 01 - 10));
    }
}
