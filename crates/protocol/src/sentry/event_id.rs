//! The id that a client gives its event.

use notice::Notice;
use notice::json_tree::Tree;

use crate::ParseError;

/// The id as 32 lower-case hexadecimal digits, if it is one; dashes may be in it.
pub fn event_id(text: &str) -> Option<String> {
    let mut id = String::with_capacity(32);
    for byte in text.trim().bytes() {
        match byte {
            b'-' => continue,
            digit if digit.is_ascii_hexdigit() && id.len() < 32 => id.push(digit.to_ascii_lowercase().into()),
            _ => return None,
        }
    }
    (id.len() == 32).then_some(id)
}

/// Sets the id of a notice that has none yet. Gives back what is no id, or another one.
pub(super) fn read<'a>(value: Tree<'a>, notice: &mut Notice) -> Option<Tree<'a>> {
    let Some(id) = value.scalar().and_then(event_id) else { return Some(value) };
    let there = notice.client_id.get_or_insert_with(|| id.clone());
    (*there != id).then_some(value)
}

/// The id that an envelope's head has.
pub(super) fn required(text: &str) -> Result<String, ParseError> {
    event_id(text)
        .ok_or_else(|| ParseError::Malformed("`event_id` of the envelope is not 32 hexadecimal digits".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dashes_and_upper_case_are_taken() {
        for text in ["8d1c2cbc5e4e4fac89924a67464ceb58", "8D1C2CBC-5E4E-4FAC-8992-4A67464CEB58"] {
            assert_eq!(event_id(text).as_deref(), Some("8d1c2cbc5e4e4fac89924a67464ceb58"));
        }
        for text in [
            "",
            "-",
            "8d1c",
            "8d1c2cbc5e4e4fac89924a67464ceb5",
            "8d1c2cbc5e4e4fac89924a67464ceb580",
            "zd1c2cbc5e4e4fac89924a67464ceb58",
        ] {
            assert_eq!(event_id(text), None, "{text}");
        }
    }
}
