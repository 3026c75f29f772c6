//! Messages without their variables, so that `Order 17 not found` and `Order 18 not found` are one.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::{Captures, Regex};

/// Longest part of a message that takes part in grouping.
const MESSAGE_BYTES_MAX: usize = 500;

/// What counts as a variable, most special first. The name of the group is what stands in its place.
///
/// Quotation marks need a look at the character before them, or the apostrophe of "couldn't" would open one:
/// `lead` holds that character and is put back.
static VARIABLES: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(concat!(
        r#"(?P<url>\b[a-zA-Z][a-zA-Z0-9+.-]{1,15}://[^\s"'<>`)\]]+)"#,
        r"|(?P<email>\b[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+)",
        r"|(?P<uuid>\b[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\b)",
        r"|(?P<date>\b\d{4}[-/]\d{1,2}[-/]\d{1,2}(?:[T ]\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?(?: ?(?:Z|UTC|[+-]\d{2}:?\d{2}))?)?",
        r"|\b\d{1,2}:\d{2}:\d{2}(?:[.,]\d+)?\b",
        r"|\b(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),? )?(?:\d{1,2} )?(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]* \d{1,2}(?:,? \d{4})?)",
        r"|(?P<object>#<[A-Za-z_:]+(?::| )0x[0-9a-fA-F]+[^<>]*>)",
        r"|(?P<ip>\b\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}(?::\d+)?\b|\b(?:[0-9a-fA-F]{1,4}:){3,7}:?[0-9a-fA-F]{1,4}\b)",
        r#"|(?P<lead>^|[^\p{L}\p{N}])(?:"[^"]{0,500}"|'[^']{0,500}'|`[^`']{0,500}[`']|“[^”]{0,500}”|«[^»]{0,500}»)"#,
        r"|(?P<hex>\b0x[0-9a-fA-F]+\b|\b[0-9a-fA-F]*[0-9][0-9a-fA-F]*[a-fA-F][0-9a-fA-F]{6,}\b|\b[0-9a-fA-F]*[a-fA-F][0-9a-fA-F]*[0-9][0-9a-fA-F]{6,}\b)",
        r"|(?P<number>[+-]?\d+(?:[.,]\d+)*(?:[eE][+-]?\d+\b)?)",
    ))
    .expect("the pattern is a constant and tests use it")
});

const NAMES: [&str; 8] = ["url", "email", "uuid", "date", "object", "ip", "hex", "number"];

/// The message with every variable replaced by its kind in braces.
pub(crate) fn template(message: &str) -> Cow<'_, str> {
    let mut end = message.len().min(MESSAGE_BYTES_MAX);
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    VARIABLES.replace_all(message[..end].trim(), |found: &Captures<'_>| {
        if let Some(lead) = found.name("lead") {
            return format!("{}{{text}}", lead.as_str());
        }
        let name = NAMES.iter().find(|name| found.name(name).is_some()).copied().unwrap_or("text");
        match name {
            "object" => {
                let class = found[0].trim_start_matches("#<").split([':', ' ']).next().unwrap_or_default().to_owned();
                format!("#<{class}>")
            }
            name => format!("{{{name}}}"),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_replaced_by_their_kind() {
        for (message, expected) in [
            ("Couldn't find Order with id=1000", "Couldn't find Order with id={number}"),
            ("Couldn't find Order with 'id'=1000", "Couldn't find Order with {text}={number}"),
            ("user ann@example.org is gone", "user {email} is gone"),
            ("GET https://a.example/x?y=1 failed", "GET {url} failed"),
            ("at 2024-01-31T12:30:00.123Z", "at {date}"),
            ("no 3f2504e0-4f89-41d3-9a0c-0305e82c3301 here", "no {uuid} here"),
            ("10.0.0.17:5432 refused", "{ip} refused"),
            ("commit 8f2c1de9a7 is bad", "commit {hex} is bad"),
            ("undefined method `map' for nil", "undefined method {text} for nil"),
            ("took 12.5 ms of -3", "took {number} ms of {number}"),
            ("at 0x00007f8b1c", "at {hex}"),
            ("don't and won't", "don't and won't"),
            ("added a decade of facades", "added a decade of facades"),
        ] {
            assert_eq!(template(message), expected);
        }
    }

    #[test]
    fn objects_keep_their_class() {
        assert_eq!(template("bad #<Order:0x00007f8b1c12 @id=4>"), "bad #<Order>");
    }
}
