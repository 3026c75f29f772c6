//! How answers are printed: for people, or as JSON for scripts.

use std::io::Write as _;

use serde::Serialize;

/// Where an answer goes and in which form.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    json: bool,
}

impl Output {
    /// JSON for scripts, else text for people.
    pub(crate) fn new(json: bool) -> Output {
        Output { json }
    }

    /// Prints one answer: as JSON, or as the text that `text` makes of it.
    pub(crate) fn show<T: Serialize>(self, answer: &T, text: impl FnOnce(&T) -> String) -> anyhow::Result<()> {
        let mut shown = if self.json { serde_json::to_string_pretty(answer)? } else { text(answer) };
        if !shown.is_empty() && !shown.ends_with('\n') {
            shown.push('\n');
        }
        // Not `println!`: a reader that has seen enough (`| head`) is no reason to panic.
        match std::io::stdout().lock().write_all(shown.as_bytes()) {
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
            written => Ok(written?),
        }
    }

    /// Says on the standard error what went wrong, in the same form.
    pub(crate) fn fail(self, error: &anyhow::Error) {
        let told = service::causes(error.as_ref());
        if self.json {
            eprintln!("{}", serde_json::json!({ "error": told }));
        } else {
            eprintln!("croak: {told}");
        }
    }
}

/// A table with aligned columns; numbers to the right.
pub(crate) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    if rows.is_empty() {
        return String::from("none\n");
    }
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([head[column].len()]).max().unwrap_or(0)
    };
    let is_number = |column: usize| rows.iter().all(|row| row[column].bytes().all(|c| c.is_ascii_digit()));
    let columns: Vec<(usize, bool)> = (0..head.len()).map(|column| (width(column), is_number(column))).collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let cells = cells.zip(&columns).map(|(cell, (width, is_number))| match is_number {
            true => format!("{cell:>width$}"),
            false => format!("{cell:<width$}"),
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    let mut text = line(&mut head.iter().copied());
    for row in rows {
        text += &line(&mut row.iter().map(String::as_str));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_numbers_stand_to_the_right() {
        let rows = [vec!["9".into(), "shop".into()], vec!["1000".into(), "a".into()]];
        assert_eq!(table(&["id", "slug"], &rows), "  id  slug\n   9  shop\n1000  a\n");
    }

    #[test]
    fn an_empty_list_says_so() {
        assert_eq!(table(&["id"], &[]), "none\n");
    }
}
