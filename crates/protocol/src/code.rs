//! Lines of code around a frame.

use std::borrow::Cow;

use notice::CodeLine;
use notice::json_tree::Tree;

/// Reads `{"17": "text", …}`, and gives back what is no line of it.
pub(crate) fn read<'a>(
    lines: Vec<(Cow<'a, str>, Tree<'a>)>,
    code: &mut Vec<CodeLine>,
) -> Vec<(Cow<'a, str>, Tree<'a>)> {
    let mut rest = Vec::new();
    for (number, text) in lines {
        match (number.parse(), text.scalar()) {
            // Python's files are read with their ends of lines.
            (Ok(line), Some(text)) => {
                code.push(CodeLine { line, text: text.trim_end_matches(['\r', '\n']).to_owned() });
            }
            (Ok(line), None) if text.is_empty() => code.push(CodeLine { line, text: String::new() }),
            _ => rest.push((number, text)),
        }
    }
    rest
}
