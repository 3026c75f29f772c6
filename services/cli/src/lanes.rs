//! `croak lanes`: how many lanes there are, and changing that while everything runs.

use std::process::ExitCode;

use anyhow::Context as _;
use store::admin::{EPOCH_LANES_MAX, LaneEpochStatus};
use time::format_description::well_known::Rfc3339;

use crate::database::Database;
use crate::output::{Output, table};

/// The lanes between gateways and workers, and the epochs of their map
#[derive(clap::Subcommand, Debug)]
pub(crate) enum Lanes {
    /// Lists the epochs: where new notices go, where old ones may still come from, and where nothing does
    List(Database),
    /// Begins an epoch with another number of lanes; nothing needs to be stopped. Gateways and workers that are older than this
    /// command do not hear of it, and go on with the lanes of epoch 0
    Reshard(Reshard),
}

#[derive(clap::Args, Debug)]
pub(crate) struct Reshard {
    #[command(flatten)]
    database: Database,
    /// How many lanes: at most so many workers fold at a time, and so many batches
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=i64::from(EPOCH_LANES_MAX)))]
    lanes: u16,
}

impl Lanes {
    pub(crate) async fn run(self, output: Output) -> anyhow::Result<ExitCode> {
        let admin = match &self {
            Lanes::List(database) => database.connect().await?,
            Lanes::Reshard(reshard) => {
                let admin = reshard.database.connect().await?;
                admin.reshard(reshard.lanes).await.context("beginning an epoch")?;
                admin
            }
        };
        let epochs = admin.lane_epochs().await.context("reading the epochs")?;
        output.show(&epochs, |epochs| describe(epochs))?;
        Ok(ExitCode::SUCCESS)
    }
}

fn describe(epochs: &[LaneEpochStatus]) -> String {
    let rows: Vec<Vec<String>> = epochs
        .iter()
        .map(|epoch| {
            vec![
                epoch.epoch.to_string(),
                epoch.state.as_str().to_owned(),
                epoch.lane_count.to_string(),
                format!("{}-{}", epoch.first_lane, epoch.first_lane + epoch.lane_count - 1),
                epoch.waiting.to_string(),
                epoch.created_at.format(&Rfc3339).unwrap_or_default(),
            ]
        })
        .collect();
    table(&["epoch", "state", "lanes", "numbers", "waiting", "since"], &rows)
}
