//! `croak journal`: what lies in a gateway's folder.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use journal::{Journal, JournalOptions, LANES_MAX};
use queue::{Lanes, Queue, QueueArgs, QueueOptions, Shipper, ShipperOptions};
use serde::Serialize;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::output::{Output, table};

/// What lies in a gateway's folder
#[derive(clap::Subcommand, Debug)]
pub(crate) enum Journals {
    /// Lists the files of a folder, also while a gateway writes to it
    List(Folder),
    /// Reads every record of a folder and checks it. Exit status 0: all are sound; 3: some are not
    Verify(Folder),
    /// Sends everything in the folder of a gateway that does not run any more, until the database has all of it
    Ship(Ship),
}

#[derive(clap::Args, Debug)]
pub(crate) struct Folder {
    /// The folder
    folder: PathBuf,
}

/// One file of a journal.
#[derive(Serialize)]
struct Listed {
    journal: Uuid,
    file: PathBuf,
    disk_bytes: u64,
    is_sealed: bool,
    lane_count: usize,
    record_count: u64,
    record_bytes: u64,
}

/// What reading one file has shown.
#[derive(Serialize)]
struct Verified {
    journal: Uuid,
    file: PathBuf,
    is_sound: bool,
    record_count: u64,
    corrupt_count: u64,
    missing_count: u64,
    unfinished_count: u64,
}

#[derive(clap::Args, Debug)]
pub(crate) struct Ship {
    #[command(flatten)]
    queue: QueueArgs,
    /// The folder
    folder: PathBuf,
}

impl Journals {
    pub(crate) async fn run(self, output: Output) -> anyhow::Result<ExitCode> {
        match self {
            Journals::List(folder) => folder.list(output),
            Journals::Verify(folder) => folder.verify(output),
            Journals::Ship(ship) => ship.run(output).await,
        }
    }
}

impl Folder {
    fn list(&self, output: Output) -> anyhow::Result<ExitCode> {
        let segments = journal::list(&self.folder).with_context(|| format!("reading {}", self.folder.display()))?;
        let listed: Vec<Listed> = segments
            .into_iter()
            .map(|segment| Listed {
                journal: segment.journal,
                file: segment.path,
                disk_bytes: segment.disk_bytes,
                is_sealed: segment.is_sealed,
                lane_count: segment.lanes.len(),
                record_count: segment.lanes.iter().map(|lane| lane.last_seq - lane.first_seq + 1).sum(),
                record_bytes: segment.lanes.iter().map(|lane| lane.bytes).sum(),
            })
            .collect();
        output.show(&listed, |listed| {
            let rows: Vec<Vec<String>> = listed
                .iter()
                .map(|file| {
                    let numbers = [file.record_count, file.record_bytes, file.disk_bytes].map(|n| n.to_string());
                    let [records, bytes, disk] = numbers;
                    let state = if file.is_sealed { "closed" } else { "open" };
                    vec![name_of(&file.file), state.to_owned(), file.lane_count.to_string(), records, bytes, disk]
                })
                .collect();
            table(&["file", "state", "lanes", "records", "bytes", "on disk"], &rows)
        })?;
        Ok(ExitCode::SUCCESS)
    }

    fn verify(&self, output: Output) -> anyhow::Result<ExitCode> {
        let verdicts = journal::verify(&self.folder).with_context(|| format!("reading {}", self.folder.display()))?;
        anyhow::ensure!(!verdicts.is_empty(), "there is no journal in {}", self.folder.display());
        let verified: Vec<Verified> = verdicts
            .into_iter()
            .map(|verdict| Verified {
                is_sound: verdict.is_sound(),
                journal: verdict.journal,
                file: verdict.path,
                record_count: verdict.records,
                corrupt_count: verdict.corrupt,
                missing_count: verdict.missing,
                unfinished_count: verdict.unfinished,
            })
            .collect();
        output.show(&verified, |verified| {
            let rows: Vec<Vec<String>> = verified
                .iter()
                .map(|file| {
                    let counts = [file.record_count, file.corrupt_count, file.missing_count, file.unfinished_count];
                    let [records, corrupt, missing, unfinished] = counts.map(|n| n.to_string());
                    let state = if file.is_sound { "sound" } else { "damaged" };
                    vec![name_of(&file.file), state.to_owned(), records, corrupt, missing, unfinished]
                })
                .collect();
            table(&["file", "state", "records", "damaged", "missing", "never finished"], &rows)
        })?;
        let all_sound = verified.iter().all(|file| file.is_sound);
        Ok(if all_sound { ExitCode::SUCCESS } else { crate::DIFFERS.into() })
    }
}

fn name_of(file: &Path) -> String {
    file.file_name().unwrap_or(file.as_os_str()).to_string_lossy().into_owned()
}

impl Ship {
    /// Harmless to interrupt and to repeat: what is sent twice is recognised by its number.
    async fn run(self, output: Output) -> anyhow::Result<ExitCode> {
        let queue = self.connect().await?;
        let options = JournalOptions { lane_count: LANES_MAX, ..JournalOptions::default() };
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
        })?;
        Ok(ExitCode::SUCCESS)
    }

    /// Connects, and learns from the installation which lanes it has.
    async fn connect(&self) -> anyhow::Result<Queue> {
        let options = self.queue.options(QueueOptions::new("").lane_count);
        let queue = Queue::connect_lazy(options).context("reading the address of Redis")?;
        let snapshot = queue.get_snapshot().await.context("asking Redis for the installation")?;
        let snapshot =
            snapshot.context("no worker of role housekeep was ever here: check --redis-url and --queue-prefix")?;
        queue.learn_lanes(&Lanes::epochs_of(&snapshot)).context("reading the installation's lanes")?;
        Ok(queue)
    }
}
