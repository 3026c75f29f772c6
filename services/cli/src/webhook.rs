//! `croak webhook create`: `croak destination create --kind webhook`, by its older name.

use std::process::ExitCode;

use store::alert::DestinationKind;

use crate::database::Database;
use crate::destination::create;
use crate::output::Output;

/// Receivers of webhooks; `croak destination` is for all kinds
#[derive(clap::Subcommand, Debug)]
pub(crate) enum Webhook {
    /// Adds a receiver; its secret is shown this once
    Create(Create),
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

impl Webhook {
    pub(crate) async fn run(self, output: Output) -> anyhow::Result<ExitCode> {
        let Webhook::Create(asked) = self;
        create(&asked.database, output, &asked.project, DestinationKind::Webhook, None, Some(&asked.url)).await
    }
}
