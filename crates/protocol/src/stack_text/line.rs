//! What lines of several forms have in common.

use notice::Frame;

/// A place in a file, as it stands at the end of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place<'a> {
    pub(super) file: &'a str,
    pub(super) line: u32,
    pub(super) column: Option<u32>,
}

impl<'a> Place<'a> {
    /// `file:line` or `file:line:column`
    pub(super) fn read(text: &'a str) -> Option<Place<'a>> {
        let (rest, last) = text.rsplit_once(':')?;
        let last = number(last)?;
        if let Some((file, line)) = rest.rsplit_once(':')
            && let Some(line) = number(line)
            && !file.is_empty()
        {
            return Some(Place { file, line, column: Some(last) });
        }
        (!rest.is_empty()).then_some(Place { file: rest, line: last, column: None })
    }

    /// A frame there.
    pub(super) fn frame(self, function: Option<&str>) -> Frame {
        Frame {
            file: Some(self.file.to_owned()),
            line: Some(self.line),
            column: self.column,
            function: function.map(str::to_owned),
            ..Frame::default()
        }
    }
}

/// A number of digits only.
pub(super) fn number(text: &str) -> Option<u32> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

/// How many characters of space the line begins with.
pub(super) fn indent(line: &str) -> usize {
    line.len() - line.trim_start_matches([' ', '\t']).len()
}

/// `Class: message` in its parts, when the beginning can be the name of a class; else all of it is message.
pub(super) fn class_and_message(text: &str, is_class: fn(&str) -> bool) -> (Option<&str>, &str) {
    let text = text.trim_end();
    match text.split_once(": ").or_else(|| Some((text.strip_suffix(':')?, ""))) {
        Some((class, message)) if is_class(class) => (Some(class), message),
        _ if is_class(text) => (Some(text), ""),
        _ => (None, text),
    }
}

/// Whether this is a name whose parts are joined by these marks: `shop.Cart`, `Shop::Cart`, `Shop\Cart`.
pub(super) fn is_name(text: &str, marks: &[char]) -> bool {
    const NAME_BYTES_MAX: usize = 512;
    text.len() <= NAME_BYTES_MAX
        && text.starts_with(|first: char| first.is_alphabetic() || first == '_' || first == '$')
        && text.chars().all(|part| part.is_alphanumeric() || part == '_' || marks.contains(&part))
        && !text.ends_with(['.', ':', '\\'])
}

/// The arguments of a call, as a frame keeps them.
pub(super) fn arguments(text: &str) -> Option<String> {
    if text.is_empty() {
        return None;
    }
    Some(labelled("arguments", text))
}

/// `{"name":"text"}`
pub(super) fn labelled(name: &str, text: &str) -> String {
    let mut json = format!("{{\"{name}\":");
    notice::json_tree::write_text(text, &mut json);
    json.push('}');
    json
}
