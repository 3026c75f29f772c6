//! `croak`: what operators do from the command line.
//!
//! Every command answers text for people, or with `--json` an object for scripts. Exit status 0: done; 1: it could not be done, and
//! the standard error says why; 2: the call was wrong; 3: it was done, and what was looked at is not as it should be.

mod audit;
mod bench;
mod captured;
mod database;
mod dead;
mod destination;
mod generate;
mod groups;
mod health;
mod journals;
mod lanes;
mod migrate;
mod organization;
mod output;
mod project;
mod send;
mod status;
mod token;
mod user;
mod webhook;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::output::Output;

/// Exit status of a command that looked and found something that is not as it should be.
pub(crate) const DIFFERS: u8 = 3;

/// The operators' command of Croak.
#[derive(Parser, Debug)]
#[command(name = "croak", version, propagate_version = true, after_help = EXIT_STATUS)]
struct Croak {
    /// Answer JSON instead of text
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

const EXIT_STATUS: &str = "Exit status: 0 done, 1 could not be done, 2 wrong call, 3 done and found something wrong.";

#[derive(Subcommand, Debug)]
enum Command {
    Migrate(migrate::Migrate),
    #[command(subcommand)]
    Project(project::Project),
    #[command(subcommand)]
    Organization(organization::Organization),
    #[command(subcommand)]
    User(user::User),
    #[command(subcommand)]
    Groups(groups::Groups),
    #[command(subcommand)]
    Token(token::Token),
    #[command(subcommand)]
    Destination(destination::Destination),
    #[command(subcommand)]
    Alerts(destination::Alerts),
    #[command(subcommand)]
    Webhook(webhook::Webhook),
    Status(status::Status),
    Audit(audit::Audit),
    #[command(subcommand)]
    Dead(dead::Dead),
    #[command(subcommand)]
    Journal(journals::Journals),
    #[command(subcommand)]
    Lanes(lanes::Lanes),
    Send(send::Send),
    Generate(generate::Generate),
    Health(health::Health),
    Bench(Box<bench::Bench>),
}

#[tokio::main]
async fn main() -> ExitCode {
    let croak = Croak::parse();
    let output = Output::new(croak.json);
    croak.command.run(output).await.unwrap_or_else(|error| {
        output.fail(&error);
        ExitCode::FAILURE
    })
}

impl Command {
    async fn run(self, output: Output) -> anyhow::Result<ExitCode> {
        match self {
            Command::Migrate(migrate) => migrate.run(output).await,
            Command::Project(project) => project.run(output).await,
            Command::Organization(organization) => organization.run(output).await,
            Command::User(user) => user.run(output).await,
            Command::Groups(groups) => groups.run(output).await,
            Command::Token(token) => token.run(output).await,
            Command::Destination(destination) => destination.run(output).await,
            Command::Alerts(alerts) => alerts.run(output).await,
            Command::Webhook(webhook) => webhook.run(output).await,
            Command::Status(status) => status.run(output).await,
            Command::Audit(audit) => audit.run(output).await,
            Command::Dead(dead) => dead.run(output).await,
            Command::Journal(journals) => journals.run(output).await,
            Command::Lanes(lanes) => lanes.run(output).await,
            Command::Send(send) => send.run(output).await,
            Command::Generate(generate) => generate.run(output).await,
            Command::Health(health) => health.run(output).await,
            Command::Bench(bench) => bench.run(output).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn no_two_flags_are_the_same() {
        Croak::command().debug_assert();
    }

    #[test]
    fn a_load_is_measured_with_and_without_its_name() {
        for line in
            ["croak bench", "croak bench --rate 5", "croak bench run --rate 5", "croak bench limits --limit-s 1"]
        {
            assert!(Croak::try_parse_from(line.split(' ')).is_ok(), "{line}");
        }
    }
}
