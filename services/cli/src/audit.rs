//! `croak audit`: recomputes every counter from the bodies.

use std::process::ExitCode;

use anyhow::Context as _;

use crate::database::Database;
use crate::output::{Output, table};

/// Decodes every body, recomputes every counter and says where they differ. Exit status 0: nowhere; 3: somewhere.
#[derive(clap::Args, Debug)]
pub(crate) struct Audit {
    #[command(flatten)]
    database: Database,
    /// Number or slug of one project; all of them when absent
    #[arg(long)]
    project: Option<String>,
}

impl Audit {
    pub(crate) async fn run(self, output: Output) -> anyhow::Result<ExitCode> {
        let admin = self.database.connect().await?;
        let project = match &self.project {
            Some(project) => Some(admin.project(project).await.context("looking for the project")?.id),
            None => None,
        };
        let audit = admin.audit(project).await.context("recomputing the counters")?;
        output.show(&audit, |audit| {
            let counted = format!(
                "{} notices in {} chunks, {} groups, {} attachments",
                audit.notice_count, audit.chunk_count, audit.group_count, audit.attachment_count
            );
            if audit.findings.is_empty() {
                return format!("{counted}: every counter is right\n");
            }
            let rows: Vec<Vec<String>> = audit
                .findings
                .iter()
                .map(|finding| {
                    let numbers = [finding.project_id, finding.expected, finding.found].map(|n| n.to_string());
                    let [project, expected, found] = numbers;
                    vec![project, expected, found, finding.what.clone()]
                })
                .collect();
            let differences = table(&["project", "bodies say", "found", "what"], &rows);
            format!("{counted}, {} counters differ\n{differences}", rows.len())
        })?;
        Ok(if audit.findings.is_empty() { ExitCode::SUCCESS } else { crate::DIFFERS.into() })
    }
}
