//! Sessions: how many the application had, so that Bugsnag can tell how many were without a fault.

use notice::json_tree::Tree;

use crate::ParseError;
use crate::json::{read, text_of};

/// How many sessions the body tells of: a list of them, or their numbers for each minute.
pub fn count_sessions(body: &[u8]) -> Result<u64, ParseError> {
    let text = text_of(body, &mut Vec::new());
    let mut tree = read(&text, &mut Vec::new())?;
    let listed = tree.take("sessions");
    let counted = tree.take("sessionCounts");
    match (listed, counted) {
        (Some(Tree::List(sessions)), counts) => Ok(sessions.len() as u64 + counts.map_or(0, |counts| sum(&counts))),
        (_, Some(counts @ (Tree::List(_) | Tree::Map(_)))) => Ok(sum(&counts)),
        _ => Err(ParseError::MissingKey("sessions".to_owned())),
    }
}

/// Of one minute, or of a list of them.
fn sum(counts: &Tree<'_>) -> u64 {
    let of_minute = |minute: &Tree<'_>| match minute {
        Tree::Map(entries) => {
            let started = entries.iter().find(|(key, _)| key == "sessionsStarted");
            started.and_then(|(_, count)| count.scalar()?.parse().ok()).unwrap_or_default()
        }
        _ => 0,
    };
    match counts {
        Tree::List(minutes) => minutes.iter().map(of_minute).fold(0, u64::saturating_add),
        minute => of_minute(minute),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_are_counted_in_every_form() {
        for (body, count) in [
            (r#"{"notifier":{},"sessions":[{"id":"a","startedAt":"2026-11-22T03:34:25Z"},{"id":"b"}]}"#, 2),
            (r#"{"sessions":[]}"#, 0),
            (
                r#"{"sessionCounts":[{"startedAt":"2026-11-22T03:34:00Z","sessionsStarted":3},{"sessionsStarted":"4"}]}"#,
                7,
            ),
            (r#"{"sessionCounts":{"sessionsStarted":5}}"#, 5),
            (
                r#"{"sessionCounts":[{"sessionsStarted":18446744073709551615},{"sessionsStarted":2},{"sessionsStarted":-1},7]}"#,
                u64::MAX,
            ),
        ] {
            assert_eq!(count_sessions(body.as_bytes()), Ok(count), "{body}");
        }
    }

    #[test]
    fn what_has_no_sessions_is_refused() {
        assert_eq!(count_sessions(b"{}").expect_err("is refused").to_string(), "`sessions` is missing");
        assert_eq!(count_sessions(b"").expect_err("is refused").to_string(), "the body is empty");
        assert!(count_sessions(br#"{"sessions":5}"#).is_err());
    }
}
