//! Runs real clients against a Croak of its own; says which ran, and what of their errors was found again.
//!
//! Exit status 0: everything of all of them; 1: something is missing; 2: the call was wrong. `script/live` installs them and calls this.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use tests::live::{Client, Home, Stage};

/// Runs real clients against a Croak of its own, and looks for what they report.
#[derive(Debug, Parser)]
struct Arguments {
    /// Runs the clients of these names alone; may be given again.
    #[arg(long)]
    only: Vec<String>,
    /// Writes a picture of each group's page, and what the API says of it, into this folder.
    #[arg(long)]
    screenshots: Option<PathBuf>,
    /// Lists the clients and runs none.
    #[arg(long)]
    list: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut clients = Client::all();
    if arguments.list {
        clients.iter().for_each(|client| println!("{}", client.name));
        return ExitCode::SUCCESS;
    }
    if let Some(unknown) = arguments.only.iter().find(|name| clients.iter().all(|client| client.name != **name)) {
        eprintln!("there is no `{unknown}`; `--list` says which there are");
        return ExitCode::from(2);
    }
    let all = clients.len();
    if !arguments.only.is_empty() {
        clients.retain(|client| arguments.only.contains(&client.name));
    }
    if let Some(folder) = &arguments.screenshots {
        std::fs::create_dir_all(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    }
    let stage = Stage::prepare(Home::from_environment(), clients).await;
    let reports = stage.run(arguments.screenshots.as_deref()).await;
    stage.end().await;
    let good = reports.iter().filter(|report| report.faults.is_empty()).count();
    println!("\n{good} of {} clients that ran are well; there are {all}", reports.len());
    if good == reports.len() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
