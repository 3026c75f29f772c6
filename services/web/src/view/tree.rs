//! Values of any shape, as a client sent them.

use std::fmt::Write as _;

use serde_json::Value;

use super::text::escaped;

/// Values of one tree that are shown; the raw JSON has all of them.
const LEAVES_MAX: usize = 400;
/// Levels of one tree that are shown as such.
const DEPTH_MAX: usize = 8;
/// Characters of one value that are shown.
const CHARS_MAX: usize = 2_000;

/// A value as a table of names and values, tables within.
pub(crate) fn tree(value: &Value) -> String {
    let mut out = String::new();
    let mut left = LEAVES_MAX;
    write_value(&mut out, value, DEPTH_MAX, &mut left);
    if left == 0 {
        out.push_str(r#"<p class="quiet">There is more: the raw JSON has all of it.</p>"#);
    }
    out
}

/// Whether there is anything in a value.
pub(crate) fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(members) => members.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::String(text) => text.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

fn write_value(out: &mut String, value: &Value, depth: usize, left: &mut usize) {
    match value {
        Value::Object(members) if depth > 0 && !members.is_empty() => {
            out.push_str(r#"<dl class="tree">"#);
            for (name, value) in members {
                if *left == 0 {
                    break;
                }
                let _ = write!(out, "<div><dt>{}</dt><dd>", escaped(name));
                write_value(out, value, depth - 1, left);
                out.push_str("</dd></div>");
            }
            out.push_str("</dl>");
        }
        Value::Array(items) if depth > 0 && !items.is_empty() => {
            if items.iter().all(|item| !item.is_object() && !item.is_array()) && items.len() <= 20 {
                let joined: Vec<String> = items.iter().map(scalar).collect();
                *left = left.saturating_sub(items.len());
                out.push_str(&joined.join(", "));
                return;
            }
            out.push_str(r#"<ol class="tree" start="0">"#);
            for item in items {
                if *left == 0 {
                    break;
                }
                out.push_str("<li>");
                write_value(out, item, depth - 1, left);
                out.push_str("</li>");
            }
            out.push_str("</ol>");
        }
        other => {
            *left = left.saturating_sub(1);
            out.push_str(&scalar(other));
        }
    }
}

fn scalar(value: &Value) -> String {
    let (class, text) = match value {
        Value::String(text) => ("text", text.clone()),
        Value::Null => ("none", "null".to_owned()),
        other => ("plain", other.to_string()),
    };
    let chars = text.chars().count();
    if text.is_empty() {
        return r#"<span class="none">empty</span>"#.to_owned();
    }
    let shown: String = text.chars().take(CHARS_MAX).collect();
    let more = if chars > CHARS_MAX {
        format!(
            r#" <span class="none">… {} more characters</span>"#,
            super::number::grouped((chars - CHARS_MAX) as i64)
        )
    } else {
        String::new()
    };
    format!(r#"<span class="{class}">{}</span>{more}"#, escaped(&shown))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_and_values_are_shown_and_escaped() {
        let html = tree(&json!({"user": {"<id>": 7, "tags": ["a", "<b>"]}, "none": null}));
        assert!(html.contains("<dt>&lt;id&gt;</dt><dd><span class=\"plain\">7</span></dd>"), "{html}");
        assert!(html.contains("&lt;b&gt;") && !html.contains("<b>"));
    }

    #[test]
    fn great_trees_are_cut() {
        let many: Vec<_> = (0..5_000).map(|number| json!({"n": number})).collect();
        let html = tree(&json!(many));
        assert!(html.len() < 60_000 && html.contains("There is more"));
        let deep = (0..100).fold(json!(1), |inner, _| json!({"x": inner}));
        assert!(tree(&deep).len() < 2_000);
    }
}
