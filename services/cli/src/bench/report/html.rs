//! A report as one page of HTML.

use super::plot::escape;
use super::{Report, Table};

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1c1e21;background:#fff}\
table{border-collapse:collapse;margin:.5rem 0 1.5rem}th,td{text-align:left;padding:.25rem .9rem .25rem 0;border-bottom:1px solid #8884;vertical-align:top}\
td{font-variant-numeric:tabular-nums}svg{max-width:100%;height:auto}code{overflow-wrap:anywhere}\
@media(prefers-color-scheme:dark){body{color:#e6e6e6;background:#16181b}}";

/// The page.
pub(crate) fn page(report: &Report) -> String {
    let title = escape(&report.title);
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n<h1>{title}</h1>\n<table>\n"
    );
    for (name, fact) in report.facts() {
        page += &format!("<tr><th>{}</th><td>{}</td></tr>\n", escape(&name), escape(&fact));
    }
    page += "</table>\n";
    for section in report.all_sections() {
        page += &format!("<h2>{}</h2>\n", escape(&section.title));
        for note in &section.notes {
            page += &format!("<p>{}</p>\n", escape(note));
        }
        if let Some(Table { head, rows }) = &section.table {
            let heads: String = head.iter().map(|cell| format!("<th>{}</th>", escape(cell))).collect();
            page += &format!("<table>\n<tr>{heads}</tr>\n");
            for row in rows {
                let cells: String = row.iter().map(|cell| format!("<td>{}</td>", escape(cell))).collect();
                page += &format!("<tr>{cells}</tr>\n");
            }
            page += "</table>\n";
        }
        for plot in &section.plots {
            page += &format!("<h3>{}</h3>\n{}\n", escape(&plot.title), plot.svg());
        }
    }
    page + "</html>\n"
}
