//! `croak webhook`: who is told about new and reopened groups.

use std::process::ExitCode;

use anyhow::Context as _;

use crate::database::Database;
use crate::output::{Output, table};

/// Receivers of news about groups
#[derive(clap::Subcommand, Debug)]
pub(crate) enum Webhook {
    /// Adds a receiver; its secret is shown this once
    Create(Create),
    /// Lists the receivers of a project
    List(List),
}

#[derive(clap::Args, Debug)]
pub(crate) struct Create {
    #[command(flatten)]
    database: Database,
    /// Number or slug of the project
    #[arg(long)]
    project: String,
    /// Where calls go
    #[arg(long)]
    url: String,
}

#[derive(clap::Args, Debug)]
pub(crate) struct List {
    #[command(flatten)]
    database: Database,
    /// Number or slug of the project
    #[arg(long)]
    project: String,
}

impl Webhook {
    pub(crate) async fn run(self, output: Output) -> anyhow::Result<ExitCode> {
        match self {
            Webhook::Create(create) => {
                let admin = create.database.connect().await?;
                let project = admin.project(&create.project).await.context("looking for the project")?;
                let made = admin.create_webhook(project.id, &create.url).await.context("adding the receiver")?;
                output.show(&made, |made| format!("webhook {}, secret {}", made.id, made.secret))?;
            }
            Webhook::List(list) => {
                let admin = list.database.connect().await?;
                let project = admin.project(&list.project).await.context("looking for the project")?;
                let webhooks = admin.webhooks(project.id).await.context("reading the receivers")?;
                output.show(&webhooks, |webhooks| {
                    let rows: Vec<Vec<String>> = webhooks
                        .iter()
                        .map(|webhook| {
                            let state = if webhook.enabled { "enabled" } else { "disabled" };
                            let failures = webhook.failure_count.to_string();
                            vec![webhook.id.to_string(), webhook.url.clone(), state.to_owned(), failures]
                        })
                        .collect();
                    table(&["id", "url", "state", "failures"], &rows)
                })?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
