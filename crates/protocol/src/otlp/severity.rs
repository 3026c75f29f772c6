//! How bad a record of a log is.

/// The word for it. The number counts; texts are as many as there are libraries for logs.
pub(super) fn severity(number: u64, text: Option<&str>) -> Option<String> {
    let word = match number {
        1..=8 => "debug",
        9..=12 => "info",
        13..=16 => "warning",
        17..=20 => "error",
        21..=24 => "fatal",
        _ => match text?.trim().to_ascii_lowercase().as_str() {
            "" => return None,
            "trace" | "debug" | "verbose" => "debug",
            "info" | "information" | "notice" => "info",
            "warn" | "warning" => "warning",
            "err" | "error" | "severe" => "error",
            "fatal" | "critical" | "crit" | "alert" | "emerg" | "emergency" | "panic" => "fatal",
            other => return Some(other.to_owned()),
        },
    };
    Some(word.to_owned())
}

#[cfg(test)]
mod tests {
    use super::severity;

    #[test]
    fn numbers_count_before_texts() {
        for (number, text, word) in [
            (17, Some("INFO"), Some("error")),
            (13, None, Some("warning")),
            (24, None, Some("fatal")),
            (1, None, Some("debug")),
            (0, Some("Critical"), Some("fatal")),
            (99, Some("odd"), Some("odd")),
            (0, None, None),
            (0, Some(" "), None),
        ] {
            assert_eq!(severity(number, text).as_deref(), word, "{number} {text:?}");
        }
    }
}
