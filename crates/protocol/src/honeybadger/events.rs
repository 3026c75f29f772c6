//! Events for Insights: lines of JSON that are no errors.

use notice::json_tree::{self, Tree};

use crate::ParseError;
use crate::json::text_of;

/// How many events the body has: one a line. One line that is none spoils the body, because then it is something else.
pub fn count_events(body: &[u8]) -> Result<u64, ParseError> {
    let text = text_of(body, &mut Vec::new());
    let mut count = 0;
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let read = json_tree::read(line);
        let read = read.map_err(|malformed| ParseError::Malformed(format!("line {}: {malformed}", count + 1)))?;
        if !matches!(read.tree, Tree::Map(_)) {
            return Err(ParseError::Malformed(format!("line {} is JSON, but not an object", count + 1)));
        }
        count += 1;
    }
    if count == 0 { Err(ParseError::Empty) } else { Ok(count) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_is_an_event() {
        assert_eq!(count_events(b"{\"ts\":1}"), Ok(1));
        assert_eq!(count_events(b"{\"ts\":1}\n\n{\"ts\":2}\r\n"), Ok(2));
    }

    #[test]
    fn what_is_no_line_of_json_is_refused() {
        assert_eq!(count_events(b"\n"), Err(ParseError::Empty));
        for (body, reason) in [
            ("{\"ts\":1}\n{\"ts\":", "line 2: the JSON ends too early at byte 6"),
            ("[1]", "line 1 is JSON, but not an object"),
        ] {
            assert_eq!(count_events(body.as_bytes()).expect_err("is refused").to_string(), reason);
        }
    }
}
