//! `croak destination` and `croak alerts`: where a project's alerts go.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::builder::PossibleValuesParser;
use clap::builder::TypedValueParser as _;
use store::admin::DestinationRow;
use store::alert::DestinationKind;

use crate::database::Database;
use crate::output::{Output, table};

/// Where a project's alerts go: mail, webhooks, chats
#[derive(clap::Subcommand, Debug)]
pub(crate) enum Destination {
    /// Adds a destination; the secret of a webhook is shown this once
    Create(Create),
    /// Lists the destinations of a project
    List(OfProject),
    /// Sends to a destination again, and at once
    Enable(One),
    /// Sends no more; what happens meanwhile waits, a week at most
    Disable(One),
    /// Takes a destination away, with what waits for it
    Delete(One),
    /// Sends a test
    Test(One),
    /// Shows the last attempts, newest first
    Log(One),
}

/// What people are told of groups
#[derive(clap::Subcommand, Debug)]
pub(crate) enum Alerts {
    /// Sends a test to every destination of a project that is enabled
    Test(OfProject),
}

#[derive(clap::Args, Debug)]
pub(crate) struct Create {
    #[command(flatten)]
    database: Database,
    /// Number or slug of the project
    #[arg(long)]
    project: String,
    /// What it is; slack is also for Mattermost
    #[arg(long, value_parser = PossibleValuesParser::new(DestinationKind::ALL.map(DestinationKind::as_str)).map(|word| kind(&word)))]
    kind: DestinationKind,
    /// What people call it; the server's name when absent
    #[arg(long)]
    name: Option<String>,
    /// Where calls go; mails go to the members
    #[arg(long, env = "CROAK_DESTINATION_URL", hide_env_values = true)]
    url: Option<String>,
}

#[derive(clap::Args, Debug)]
pub(crate) struct OfProject {
    #[command(flatten)]
    database: Database,
    /// Number or slug of the project
    #[arg(long)]
    project: String,
}

#[derive(clap::Args, Debug)]
pub(crate) struct One {
    #[command(flatten)]
    database: Database,
    /// Number of the destination, as the list says
    id: i64,
}

fn kind(word: &str) -> DestinationKind {
    DestinationKind::parse(word).expect("clap takes these words only")
}

impl Destination {
    pub(crate) async fn run(self, output: Output) -> anyhow::Result<ExitCode> {
        match self {
            Destination::Create(asked) => {
                let (name, url) = (asked.name.as_deref(), asked.url.as_deref());
                return create(&asked.database, output, &asked.project, asked.kind, name, url).await;
            }
            Destination::List(asked) => {
                let destinations = destinations(&asked).await?;
                output.show(&destinations, |destinations| describe(destinations))?;
            }
            Destination::Enable(asked) => {
                let admin = asked.database.connect().await?;
                admin.enable_destination(asked.id, true).await.context("enabling the destination")?;
                output.show(&asked.id, |id| format!("destination {id} is sent to"))?;
            }
            Destination::Disable(asked) => {
                let admin = asked.database.connect().await?;
                admin.enable_destination(asked.id, false).await.context("disabling the destination")?;
                output.show(&asked.id, |id| format!("destination {id} is not sent to"))?;
            }
            Destination::Delete(asked) => {
                let admin = asked.database.connect().await?;
                admin.delete_destination(asked.id).await.context("deleting the destination")?;
                output.show(&asked.id, |id| format!("destination {id} is gone"))?;
            }
            Destination::Test(asked) => {
                let admin = asked.database.connect().await?;
                let queued = admin.test_destination(asked.id).await.context("testing the destination")?;
                output.show(&queued, |queued| tested(asked.id, *queued))?;
            }
            Destination::Log(asked) => {
                let admin = asked.database.connect().await?;
                let log = admin.deliveries(asked.id).await.context("reading the log")?;
                output.show(&log, |log| {
                    let rows: Vec<Vec<String>> = log
                        .iter()
                        .map(|line| {
                            let status = line.status.map_or_else(|| "-".to_owned(), |status| status.to_string());
                            let took = format!("{} ms", line.took_ms);
                            let at = crate::status::at(Some(line.at));
                            vec![at, line.kind.clone(), line.attempt.to_string(), status, took, line.told.clone()]
                        })
                        .collect();
                    table(&["at", "kind", "attempt", "status", "took", "told"], &rows)
                })?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Alerts {
    pub(crate) async fn run(self, output: Output) -> anyhow::Result<ExitCode> {
        let Alerts::Test(asked) = self;
        let admin = asked.database.connect().await?;
        let mut queued = Vec::new();
        for destination in destinations(&asked).await?.iter().filter(|destination| destination.enabled) {
            let count = admin.test_destination(destination.id).await.context("testing a destination")?;
            queued.push((destination.id, count));
        }
        output.show(&queued, |queued| {
            let lines: Vec<String> = queued.iter().map(|(id, count)| tested(*id, *count)).collect();
            if lines.is_empty() {
                "this project has no destination that is enabled".to_owned()
            } else {
                lines.join("\n")
            }
        })?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Adds a destination and shows what nobody is shown again.
pub(crate) async fn create(
    database: &Database,
    output: Output,
    project: &str,
    kind: DestinationKind,
    name: Option<&str>,
    url: Option<&str>,
) -> anyhow::Result<ExitCode> {
    let admin = database.connect().await?;
    let project = admin.project(project).await.context("looking for the project")?;
    let made = admin.create_destination(project.id, kind, name, url).await.context("adding the destination")?;
    output.show(&made, |made| match &made.secret {
        Some(secret) => format!("{} {}, secret {secret}", kind.as_str(), made.id),
        None => format!("{} {}", kind.as_str(), made.id),
    })?;
    Ok(ExitCode::SUCCESS)
}

async fn destinations(asked: &OfProject) -> anyhow::Result<Vec<DestinationRow>> {
    let admin = asked.database.connect().await?;
    let project = admin.project(&asked.project).await.context("looking for the project")?;
    admin.destinations(project.id).await.context("reading the destinations")
}

fn describe(destinations: &[DestinationRow]) -> String {
    let rows: Vec<Vec<String>> = destinations
        .iter()
        .map(|destination| {
            let state = if destination.enabled { "enabled" } else { "disabled" };
            vec![
                destination.id.to_string(),
                destination.kind.clone(),
                destination.name.clone(),
                destination.host.clone().unwrap_or_default(),
                state.to_owned(),
                destination.failure_count.to_string(),
                destination.waiting_count.to_string(),
            ]
        })
        .collect();
    table(&["id", "kind", "name", "host", "state", "failures", "waiting"], &rows)
}

fn tested(id: i64, queued: u64) -> String {
    format!("destination {id}: {queued} tests on their way; `croak destination log {id}` says how they went")
}
