//! What makes two records the same exception.

use xxhash_rust::xxh3::Xxh3;

/// A hash of parts whose borders count, so that "a" + "bc" and "ab" + "c" differ.
pub(super) fn hash(parts: &[&[u8]]) -> u128 {
    let mut hash = Xxh3::new();
    for part in parts {
        hash.update(&(part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.digest128()
}

/// The event and the record of a log that tell of one exception are milliseconds apart. What a worker that goes on for hours in one span logs
/// alike later than this is another, microseconds.
const TWINS_WITHIN_US: i64 = 10_000_000;

/// The id of an exception within a trace: the same for the event and the record of a log that tell of it, and when either is sent again.
/// `at_us` is when it happened, Unix microseconds.
///
/// Python's events have the module before the class and its logs have not, Java's and .NET's differ in what stands before a nested class: so only
/// the last part of the class counts. What the stack says again counts once: Python's logs have the first argument of an exception for its message.
pub(super) fn in_trace(trace_id: &str, span_id: &str, at_us: Option<i64>, [class, message, stack]: [&str; 3]) -> u128 {
    let class = class.rsplit(['.', '$', '+']).next().unwrap_or(class);
    let [class, message] = [class, message].map(|part| if stack.contains(part) { "" } else { part });
    let window = at_us.unwrap_or_default().div_euclid(TWINS_WITHIN_US).to_le_bytes();
    let [trace_id, span_id, class, message, stack] =
        [trace_id, span_id, class, message, stack.trim_end()].map(str::as_bytes);
    hash(&[trace_id, span_id, &window, class, message, stack])
}

/// The id of an exception within a trace that had so many equal ones before it.
pub(super) fn numbered(in_trace: u128, before: usize) -> String {
    match before {
        0 => hex(in_trace),
        _ => hex(hash(&[&in_trace.to_le_bytes(), &(before as u64).to_le_bytes()])),
    }
}

/// The id of an exception that is in no trace: of all that is known of it, times included.
pub(super) fn alone(resource: u128, scope: u128, record: &[u8], at: usize) -> String {
    hex(hash(&[&resource.to_le_bytes(), &scope.to_le_bytes(), record, &at.to_le_bytes()]))
}

fn hex(hash: u128) -> String {
    format!("{hash:032x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Option<i64> = Some(1_795_316_388_564_789);

    #[test]
    fn what_differs_in_anything_is_another() {
        let one = in_trace("t", "s", AT, ["shop.Declined", "m", "stack\n"]);
        assert_eq!(numbered(one, 0).len(), 32);
        assert_ne!(numbered(one, 0), numbered(one, 1));
        assert_ne!(numbered(one, 2), numbered(one, 1));
        assert_eq!(one, in_trace("t", "s", AT, ["Declined", "m", "stack"]));
        let told = "Shop$Cart$Declined: cart 4711: declined\n\tat shop.Cart";
        let twins = [("shop.Shop.Cart.Declined", "cart 4711: declined"), ("shop.Shop$Cart$Declined", "cart 4711")];
        let [one, other] = twins.map(|(class, message)| in_trace("t", "s", AT, [class, message, told]));
        assert_eq!(one, other);
        let one = in_trace("t", "s", AT, ["shop.Declined", "m", "stack\n"]);
        for other in [
            in_trace("u", "s", AT, ["Declined", "m", "stack"]),
            in_trace("t", "", AT, ["Declined", "m", "stack"]),
            in_trace("t", "s", AT, ["Declined2", "m", "stack"]),
            in_trace("t", "s", AT, ["Declined", "ms", "tack"]),
            in_trace("t", "s", AT, ["Declined", "m", ""]),
        ] {
            assert_ne!(one, other);
        }
        let at = |at_us| in_trace("t", "s", Some(at_us), ["shop.Declined", "m", "stack\n"]);
        assert_eq!(at(1_795_316_380_000_000), one);
        assert_eq!(at(1_795_316_389_999_999), one);
        assert_ne!(at(1_795_316_390_000_000), one, "what is logged again later is another");
        assert_ne!(alone(1, 2, b"r", 0), alone(1, 2, b"r", 1));
        assert_ne!(alone(1, 2, b"r", 0), alone(2, 1, b"r", 0));
    }
}
