//! What is told of a run: in the terminal, as JSON, and as a page that needs nothing else.

mod goal;
mod html;
mod markdown;
mod plot;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use serde::Serialize;
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::machine::{Machine, without_secrets};
use crate::output::{Output, table};
use goal::{Goal, Reached};

pub(crate) use plot::{Marks, Plot, Series};

/// Where a report goes, and what it has to show.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct ReportArgs {
    /// Writes a report to this file; its name ends in .html, .md or .json. May be given again
    #[arg(long = "report")]
    reports: Vec<PathBuf>,
    /// A figure and its limit, as in `end_to_end.stored_per_s>=20000`, by the names of the JSON report. Exit status 3 where it is not kept. May be given again
    #[arg(long = "goal")]
    goals: Vec<Goal>,
    /// What the report is called
    #[arg(long)]
    title: Option<String>,
}

/// What is told of a run.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    title: String,
    at: OffsetDateTime,
    command: String,
    machine: Machine,
    sections: Vec<Section>,
    figures: Map<String, Value>,
    reached: Vec<Reached>,
    is_sound: bool,
}

/// A part of a report.
#[derive(Clone, Debug, Default)]
pub(crate) struct Section {
    pub(crate) title: String,
    /// Sentences.
    pub(crate) notes: Vec<String>,
    pub(crate) table: Option<Table>,
    pub(crate) plots: Vec<Plot>,
}

#[derive(Clone, Debug)]
pub(crate) struct Table {
    pub(crate) head: Vec<&'static str>,
    pub(crate) rows: Vec<Vec<String>>,
}

impl ReportArgs {
    /// Checked before anything is measured: the time would be lost.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        for file in &self.reports {
            if !matches!(file.extension().and_then(|ending| ending.to_str()), Some("html" | "md" | "json")) {
                bail!("--report {}: the name of a report ends in .html, .md or .json", file.display());
            }
        }
        Ok(())
    }

    /// Begins the report of what was measured on this machine.
    pub(crate) fn begin(&self, title: &str) -> Report {
        Report {
            title: self.title.clone().unwrap_or_else(|| title.to_owned()),
            at: OffsetDateTime::now_utc(),
            command: without_secrets(std::env::args()),
            machine: Machine::here(),
            sections: Vec::new(),
            figures: Map::new(),
            reached: Vec::new(),
            is_sound: true,
        }
    }

    /// Shows the report, writes its files, and says by the exit status whether all is as it should be.
    pub(crate) fn finish(&self, mut report: Report, output: Output) -> anyhow::Result<ExitCode> {
        self.conclude(&mut report)?;
        output.show(&report.to_json(), |_| report.to_text())?;
        let is_good = report.is_sound && report.reached.iter().all(|reached| reached.is_met);
        Ok(if is_good { ExitCode::SUCCESS } else { crate::DIFFERS.into() })
    }

    /// Looks up the goals and writes the files.
    fn conclude(&self, report: &mut Report) -> anyhow::Result<()> {
        let figures = Value::Object(report.figures.clone());
        report.reached = self.goals.iter().map(|goal| goal.look_up(&figures)).collect();
        for file in &self.reports {
            let text = match file.extension().and_then(|ending| ending.to_str()) {
                Some("html") => html::page(report),
                Some("md") => markdown::page(report),
                _ => serde_json::to_string_pretty(&report.to_json())? + "\n",
            };
            std::fs::write(file, text).with_context(|| format!("writing {}", file.display()))?;
        }
        Ok(())
    }
}

impl Report {
    /// Adds figures under a name, and how they are told.
    pub(crate) fn add(&mut self, name: &str, figures: &impl Serialize, section: Section) -> anyhow::Result<()> {
        self.figures.insert(name.to_owned(), serde_json::to_value(figures).context("writing the figures")?);
        self.sections.push(section);
        Ok(())
    }

    /// Names the version of something that took part.
    pub(crate) fn took_part(&mut self, name: &'static str, version: String) {
        self.machine.versions.insert(name, version);
    }

    /// Something is not as it should be, and whoever reads the exit status should know.
    pub(crate) fn is_unsound(&mut self) {
        self.is_sound = false;
    }

    fn to_json(&self) -> Value {
        let mut json = json!({
            "title": self.title,
            "at": self.at(),
            "command": self.command,
            "machine": self.machine,
            "goals": self.reached,
            "is_sound": self.is_sound,
        });
        let all = json.as_object_mut().expect("it is an object");
        all.extend(self.figures.clone());
        json
    }

    fn to_text(&self) -> String {
        let mut text = String::new();
        for section in self.all_sections() {
            text += &format!("{}\n", section.title);
            for note in &section.notes {
                text += &format!("  {note}\n");
            }
            if let Some(Table { head, rows }) = &section.table {
                for line in table(head, rows).lines() {
                    text += &format!("  {line}\n");
                }
            }
            text.push('\n');
        }
        text
    }

    /// The sections with the goals in front.
    fn all_sections(&self) -> Vec<Section> {
        let mut sections = Vec::new();
        if !self.reached.is_empty() {
            let rows = self.reached.iter().map(|reached| {
                let measured = reached.measured.map_or_else(|| "–".to_owned(), number);
                let verdict = if reached.is_met { "met" } else { "missed" };
                vec![reached.figure.clone(), reached.goal.clone(), measured, verdict.to_owned()]
            });
            sections.push(Section {
                title: "Goals".to_owned(),
                table: Some(Table { head: vec!["figure", "goal", "measured", ""], rows: rows.collect() }),
                ..Section::default()
            });
        }
        sections.extend(self.sections.iter().cloned());
        sections
    }

    fn at(&self) -> String {
        self.at.replace_nanosecond(0).unwrap_or(self.at).format(&Rfc3339).unwrap_or_default()
    }

    /// What a page says first.
    fn facts(&self) -> Vec<(String, String)> {
        let mut facts = vec![("Measured".to_owned(), self.at()), ("Command".to_owned(), self.command.clone())];
        facts.extend(self.machine.facts());
        facts
    }
}

impl Section {
    pub(crate) fn new(title: &str) -> Section {
        Section { title: title.to_owned(), ..Section::default() }
    }

    /// With a table.
    #[must_use]
    pub(crate) fn table(mut self, head: &[&'static str], rows: Vec<Vec<String>>) -> Section {
        self.table = Some(Table { head: head.to_vec(), rows });
        self
    }

    /// With one more sentence.
    #[must_use]
    pub(crate) fn note(mut self, note: impl Into<String>) -> Section {
        self.notes.push(note.into());
        self
    }

    /// With one more picture.
    #[must_use]
    pub(crate) fn plot(mut self, plot: Plot) -> Section {
        self.plots.push(plot);
        self
    }
}

/// A number as people read it: three digits that count, thousands apart.
pub(crate) fn number(value: f64) -> String {
    let digits = match value.abs() {
        value if value >= 100.0 || value == 0.0 => 0,
        value if value >= 10.0 => 1,
        value if value >= 1.0 => 2,
        _ => 3,
    };
    let text = format!("{value:.digits$}");
    let (whole, fraction) = text.split_once('.').map_or((text.as_str(), ""), |(whole, fraction)| (whole, fraction));
    let (sign, whole) = whole.strip_prefix('-').map_or(("", whole), |rest| ("-", rest));
    let mut grouped = String::new();
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (whole.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    if fraction.is_empty() { format!("{sign}{grouped}") } else { format!("{sign}{grouped}.{fraction}") }
}

/// Bytes in MiB.
pub(crate) fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", number(bytes as f64 / f64::from(1 << 20)))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::*;

    fn args(goals: &[&str]) -> ReportArgs {
        ReportArgs { reports: Vec::new(), goals: goals.iter().map(|goal| goal.parse().unwrap()).collect(), title: None }
    }

    fn report(args: &ReportArgs) -> Report {
        let mut report = args.begin("A run & its report");
        let series = vec![Series { name: "accepted".to_owned(), points: vec![(0.0, 1.0), (1.0, 2.0)] }];
        let plot = Plot { title: "Rate".to_owned(), series, marks: Marks::Seconds };
        let section = Section::new("Load")
            .note("went <well>")
            .table(&["a", "b|c"], vec![vec!["1".into(), "x|y".into()]])
            .plot(plot);
        report.add("load", &json!({"per_s": 12.5}), section).unwrap();
        report
    }

    #[test]
    fn a_page_needs_nothing_else_and_says_what_was_measured() {
        let report = report(&args(&[]));
        for page in [html::page(&report), markdown::page(&report)] {
            assert!(page.contains("<svg") && page.contains("Load") && page.contains("CPU"), "{page}");
            assert!(page.contains("went &lt;well&gt;"), "{page}");
            for elsewhere in ["src=", "<link", "@import", "<script"] {
                assert!(!page.contains(elsewhere), "{elsewhere} in {page}");
            }
        }
        assert!(markdown::page(&report).contains("| 1 | x\\|y |"), "{}", markdown::page(&report));
        assert!(html::page(&report).contains("A run &amp; its report"));
        assert_eq!(report.to_json()["load"]["per_s"], 12.5);
        assert!(report.to_text().contains("went <well>"), "{}", report.to_text());
    }

    #[test]
    fn goals_are_looked_up_and_written_down() {
        let folder = std::env::temp_dir();
        let file = folder.join(format!("croak-report-{}.json", std::process::id()));
        let mut args = args(&["load.per_s>=12", "load.per_s<=1"]);
        args.reports.push(file.clone());
        let mut made = report(&args);
        args.conclude(&mut made).unwrap();
        assert!(made.to_text().starts_with("Goals"), "{}", made.to_text());
        let written: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        std::fs::remove_file(&file).unwrap();
        assert_eq!(written["goals"][0]["is_met"], true);
        assert_eq!(written["goals"][1]["is_met"], false);
    }

    #[test]
    fn a_report_of_an_unknown_kind_is_refused_before_anything_is_measured() {
        let args = ReportArgs { reports: vec!["report.pdf".into()], ..args(&[]) };
        assert!(args.check().is_err());
    }

    #[test]
    fn numbers_have_three_digits_that_count() {
        let told = [0.0, 0.0123, 1.239, 56.78, 999.6, 20_000.0, 1_234_567.0, -1_500.0].map(number);
        assert_eq!(told, ["0", "0.012", "1.24", "56.8", "1,000", "20,000", "1,234,567", "-1,500"]);
    }
}
