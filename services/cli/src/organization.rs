//! `croak organization`: who projects belong to.

use std::process::ExitCode;

use anyhow::Context as _;

use crate::database::Database;
use crate::output::{Output, table};

/// Organizations: build tools name the one of a project
#[derive(clap::Subcommand, Debug)]
pub(crate) enum Organization {
    /// Makes an organization
    Create(Create),
    /// Lists the organizations
    List(List),
}

#[derive(clap::Args, Debug)]
pub(crate) struct Create {
    #[command(flatten)]
    database: Database,
    /// What people call it
    #[arg(long)]
    name: String,
    /// Its name in addresses, of a–z, 0–9 and -; made from the name when absent
    #[arg(long)]
    slug: Option<String>,
}

#[derive(clap::Args, Debug)]
pub(crate) struct List {
    #[command(flatten)]
    database: Database,
}

impl Organization {
    pub(crate) async fn run(self, output: Output) -> anyhow::Result<ExitCode> {
        match self {
            Organization::Create(create) => {
                let admin = create.database.connect().await?;
                let made = admin.create_organization(&create.name, create.slug).await;
                output.show(&made.context("making the organization")?, |made| {
                    format!("organization {}: {}", made.id, made.slug)
                })?;
            }
            Organization::List(list) => {
                let admin = list.database.connect().await?;
                let organizations = admin.organizations().await.context("listing the organizations")?;
                output.show(&organizations, |organizations| {
                    let cells =
                        organizations.iter().map(|row| vec![row.id.to_string(), row.slug.clone(), row.name.clone()]);
                    table(&["id", "slug", "name"], &cells.collect::<Vec<_>>())
                })?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
