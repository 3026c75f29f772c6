//! What a client says that it has lost.

use notice::LedgerLine;
use notice::json_tree::Tree;
use notice::ledger_line::Ending;

use crate::json::{read, text_of};

/// What notices are to the client; other things that it loses (transactions, sessions, …) are not in the ledger.
const CATEGORIES: [&str; 3] = ["error", "default", "security"];

/// The reasons of the protocol. All others are one: what is kept must not grow with what anybody writes.
const REASONS: [&str; 12] = [
    "queue_overflow",
    "cache_overflow",
    "buffer_overflow",
    "ratelimit_backoff",
    "network_error",
    "sample_rate",
    "before_send",
    "event_processor",
    "send_error",
    "internal_sdk_error",
    "insufficient_data",
    "backpressure",
];

/// Most that one report says was lost for one reason. Whoever knows the public key can send one, and the sum of many must stay a number.
const QUANTITY_MAX: u64 = 1_000_000_000;

/// What the client lost of errors, for which reason. A report that is not understood says nothing.
pub fn client_report(payload: &[u8]) -> Vec<LedgerLine> {
    let text = text_of(payload, &mut Vec::new());
    let Ok(Tree::Map(entries)) = read(&text, &mut Vec::new()) else { return Vec::new() };
    let mut lines: Vec<LedgerLine> = Vec::new();
    for (name, list) in &entries {
        let is_known = matches!(
            &**name,
            "discarded_events" | "rate_limited_events" | "filtered_events" | "filtered_sampling_events"
        );
        if let Tree::List(items) = list
            && is_known
        {
            items.iter().filter_map(lost).for_each(|(reason, quantity)| add(&mut lines, reason, quantity));
        }
    }
    lines
}

/// The reason and the number, if it is about errors.
fn lost(item: &Tree<'_>) -> Option<(&'static str, u64)> {
    let Tree::Map(entries) = item else { return None };
    let text = |name: &str| entries.iter().find(|(key, _)| key == name)?.1.scalar();
    let is_error = CATEGORIES.contains(&text("category")?);
    let quantity = text("quantity")?.parse::<u64>().ok()?.min(QUANTITY_MAX);
    let reason = REASONS.into_iter().find(|known| text("reason") == Some(known)).unwrap_or("other");
    (is_error && quantity > 0).then_some((reason, quantity))
}

fn add(lines: &mut Vec<LedgerLine>, reason: &str, quantity: u64) {
    if let Some(line) = lines.iter_mut().find(|line| line.reason == reason) {
        line.count = (line.count + quantity).min(QUANTITY_MAX);
    } else {
        lines.push(LedgerLine { ending: Ending::LostInClient.into(), reason: reason.to_owned(), count: quantity });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(payload: &str) -> Vec<(String, u64)> {
        let lines = client_report(payload.as_bytes());
        assert!(lines.iter().all(|line| line.ending() == Ending::LostInClient));
        lines.into_iter().map(|line| (line.reason, line.count)).collect()
    }

    #[test]
    fn lost_errors_are_counted_by_reason() {
        let lines = told(
            r#"{"timestamp":1795317694.2,"discarded_events":[
            {"reason":"event_processor","category":"error","quantity":1},
            {"reason":"event_processor","category":"default","quantity":"2"},
            {"reason":"sample_rate","category":"transaction","quantity":40},
            {"reason":"before_send","category":"security","quantity":3},
            {"reason":"queue_overflow","category":"error","quantity":0},
            {"reason":"queue_overflow","category":"error","quantity":-1},
            {"category":"error","quantity":4}, {"reason":"their own","category":"error","quantity":5}, null, 5],
            "rate_limited_events":[{"reason":"ratelimit_backoff","category":"error","quantity":7}],
            "filtered_events":null,"filtered_sampling_events":[{"reason":"x","category":"error","quantity":1}]}"#,
        );
        let expected = [("event_processor", 3), ("before_send", 3), ("other", 10), ("ratelimit_backoff", 7)];
        assert_eq!(lines, expected.map(|(reason, count)| (reason.to_owned(), count)));
    }

    #[test]
    fn what_is_no_report_says_nothing() {
        for payload in ["", "[]", "{", "{}", r#"{"discarded_events":{}}"#, r#"{"discarded_events":[[]]}"#] {
            assert!(told(payload).is_empty(), "{payload}");
        }
    }

    #[test]
    fn a_report_is_bounded() {
        let item = |n: usize| format!(r#"{{"reason":"{n}","category":"error","quantity":18446744073709551615}}"#);
        let items: Vec<String> = (0..2_000).map(item).collect();
        let lines = told(&format!(r#"{{"discarded_events":[{}]}}"#, items.join(",")));
        assert_eq!(lines, [("other".to_owned(), QUANTITY_MAX)]);
    }
}
