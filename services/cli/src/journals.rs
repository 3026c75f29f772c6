//! `croak journal`: what lies in a gateway's folder.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use journal::{Journal, JournalOptions};
use queue::{Queue, QueueOptions, Shipper, ShipperOptions};
use tokio_util::sync::CancellationToken;

use crate::output::Output;

/// What lies in a gateway's folder
#[derive(clap::Subcommand, Debug)]
pub(crate) enum Journals {
    /// Sends everything in the folder of a gateway that does not run any more, until the database has all of it
    Ship(Ship),
}

#[derive(clap::Args, Debug)]
pub(crate) struct Ship {
    /// Address of Redis, with the rights of a gateway
    #[arg(long, env = "CROAK_REDIS_URL", default_value = "redis://127.0.0.1:6379", hide_env_values = true)]
    redis_url: String,
    /// What keys in Redis begin with
    #[arg(long, env = "CROAK_QUEUE_PREFIX", default_value = "croak")]
    queue_prefix: String,
    /// The folder
    folder: PathBuf,
}

impl Journals {
    pub(crate) async fn run(self, output: Output) -> anyhow::Result<ExitCode> {
        match self {
            Journals::Ship(ship) => ship.run(output).await,
        }?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Ship {
    /// Harmless to interrupt and to repeat: what is sent twice is recognised by its number.
    async fn run(self, output: Output) -> anyhow::Result<()> {
        let queue = self.connect().await?;
        let options = JournalOptions { lane_count: queue.lanes().count(), ..JournalOptions::default() };
        let journal =
            Journal::open(&self.folder, options).with_context(|| format!("opening {}", self.folder.display()))?;
        let unacked_bytes = journal.unacked_bytes();

        let shipper = Shipper::new(journal.clone(), queue, ShipperOptions::default());
        let stop = CancellationToken::new();
        let running = tokio::spawn({
            let (shipper, stop) = (shipper.clone(), stop.clone());
            async move { shipper.run(stop).await }
        });
        shipper.drain().await;
        stop.cancel();
        running.await.context("the shipper died")?;
        journal.close().await;

        output.show(&serde_json::json!({ "shipped_bytes": unacked_bytes }), |_| match unacked_bytes {
            0 => "nothing was waiting".to_owned(),
            bytes => format!("{bytes} bytes were waiting; the database has them now"),
        })
    }

    /// Connects, and learns from the installation how many lanes it has.
    async fn connect(&self) -> anyhow::Result<Queue> {
        let mut options = QueueOptions::new(&self.redis_url);
        options.prefix.clone_from(&self.queue_prefix);
        let queue = Queue::connect_lazy(options.clone()).context("reading the address of Redis")?;
        let snapshot = queue.get_snapshot().await.context("asking Redis for the installation")?;
        let snapshot =
            snapshot.context("no worker of role housekeep was ever here: check --redis-url and --queue-prefix")?;
        let lane_count = u16::try_from(snapshot.lane_count).context("the installation has too many lanes")?;
        if lane_count == options.lane_count {
            return Ok(queue);
        }
        Queue::connect_lazy(QueueOptions { lane_count, ..options }).context("connecting to Redis")
    }
}
