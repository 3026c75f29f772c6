//! Performance statistics of version 5: checked and kept as they came.

use notice::Stats;
use notice::json_tree::Tree;

use crate::ParseError;
use crate::json::{read, text_of};

/// Checks statistics of this kind (`routes-stats`, `routes-breakdowns`, `queries-stats`, `queues-stats`); what is missing is named.
pub fn check_stats(kind: &str, body: &[u8]) -> Result<Stats, ParseError> {
    let rows = match kind {
        "routes-stats" | "routes-breakdowns" => "routes",
        "queries-stats" => "queries",
        "queues-stats" => "queues",
        _ => return Err(ParseError::Malformed(format!("`{kind}` is not a kind of statistics"))),
    };
    let text = text_of(body, &mut Vec::new());
    let tree = read(&text, &mut Vec::new())?;
    let Tree::Map(entries) = &tree else { return Err(ParseError::Empty) };
    match entries.iter().find(|(key, _)| key == rows) {
        Some((_, Tree::List(_))) => Ok(Stats { kind: kind.to_owned(), json: tree.to_text() }),
        Some(_) => Err(ParseError::Malformed(format!("`{rows}` is not a list"))),
        None => Err(ParseError::MissingKey(rows.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_missing_key_is_named() {
        assert_eq!(
            check_stats("queries-stats", br#"{"routes":[]}"#).expect_err("is refused").to_string(),
            "`queries` is missing"
        );
        assert_eq!(
            check_stats("routes-stats", br#"{"routes":1}"#).expect_err("is refused").to_string(),
            "`routes` is not a list"
        );
        assert!(check_stats("routes-stats", br#"{"routes":[{"method":"GET"}]}"#).is_ok());
        assert!(check_stats("other", b"{}").is_err());
    }
}
