//! `croak bench`: what an installation bears.
//!
//! The generator is made to be light, because most often it runs on the machine that it measures: bytes are spliced into
//! a prepared request, a connection is one task of one thread, and answers are read no further than their length.

mod api;
mod bare;
mod body;
mod course;
mod figures;
mod find;
mod limits;
mod load;
mod machine;
mod matrix;
mod mix;
mod otlp;
mod pace;
mod pages;
mod pause;
mod peers;
mod plan;
mod progress;
mod report;
mod run;
mod scene;
mod services;
mod sign_in;
mod sign_ups;
mod spent;
mod tally;
mod target;
mod template;
mod visible;
mod visits;
mod wire;

use std::process::ExitCode;

use crate::output::Output;

/// Measures what an installation bears. Without a subcommand: `run`
#[derive(clap::Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Bench {
    #[command(subcommand)]
    what: Option<What>,
    #[command(flatten)]
    run: run::Run,
}

#[derive(clap::Subcommand, Debug)]
enum What {
    Run(Box<run::Run>),
    Limits(limits::Limits),
    Pages(pages::Pages),
    Find(find::Find),
    SignUps(sign_ups::SignUps),
    Matrix(matrix::Matrix),
}

impl Bench {
    pub(crate) async fn run(self, output: Output) -> anyhow::Result<ExitCode> {
        match self.what {
            None => self.run.run(output).await,
            Some(What::Run(run)) => run.run(output).await,
            Some(What::Limits(limits)) => limits.run(output).await,
            Some(What::Pages(pages)) => pages.run(output).await,
            Some(What::Find(find)) => find.run(output).await,
            Some(What::SignUps(sign_ups)) => sign_ups.run(output).await,
            Some(What::Matrix(matrix)) => matrix.run(output).await,
        }
    }
}
