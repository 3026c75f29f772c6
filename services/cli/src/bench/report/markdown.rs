//! A report as Markdown, with its pictures in it.

use super::plot::escape;
use super::{Report, Table};

/// The page.
pub(crate) fn page(report: &Report) -> String {
    let mut page = format!("# {}\n\n", text(&report.title));
    let facts: Vec<Vec<String>> = report.facts().into_iter().map(|(name, fact)| vec![name, fact]).collect();
    page += &table(&["", ""], &facts);
    for section in report.all_sections() {
        page += &format!("\n## {}\n\n", text(&section.title));
        for note in &section.notes {
            page += &format!("{}\n\n", text(note));
        }
        if let Some(Table { head, rows }) = &section.table {
            page += &table(head, rows);
        }
        for plot in &section.plots {
            page += &format!("\n{}:\n\n{}\n", text(&plot.title), plot.svg());
        }
    }
    page
}

fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let line = |cells: &mut dyn Iterator<Item = String>| {
        format!("|{}\n", cells.map(|cell| format!(" {cell} |")).collect::<String>())
    };
    let mut lines = line(&mut head.iter().map(|cell| self::cell(cell)));
    lines += &line(&mut head.iter().map(|_| "---".to_owned()));
    for row in rows {
        lines += &line(&mut row.iter().map(|cell| self::cell(cell)));
    }
    lines
}

fn cell(value: &str) -> String {
    text(value).replace('|', "\\|")
}

/// Text that is no markup.
fn text(value: &str) -> String {
    escape(value).replace('\n', " ")
}
