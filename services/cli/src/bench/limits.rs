//! `croak bench limits`: what the machine and the servers beneath can bear, measured the way Croak uses them.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use queue::measured::Server as Redis;
use rand::SeedableRng as _;
use rand::rngs::SmallRng;
use serde::Serialize;

use super::bare::Bare;
use super::body::{BodyArgs, KeepAlive};
use super::load::{Load, fresh};
use super::mix::MixArgs;
use super::plan::{Pace, Plan, Until};
use super::report::{Report, ReportArgs, Section, number};
use super::target::ReachArgs;
use crate::database::Database;
use crate::output::Output;

/// Level and size of the dictionary as for notices: fast rather than small.
const ZSTD_LEVEL: i32 = 1;
const DICTIONARY_BYTES: usize = 16 * 1024;
/// Notices that a dictionary is made of, and others that it is tried on.
const SAMPLES: usize = 1_000;
/// Records that one fdatasync makes durable.
const GROUPS: [usize; 3] = [1, 32, 256];
/// What a record in the journal has beside its body.
const RECORD_HEAD_BYTES: usize = 128;
/// Keys of the upsert, as of a great batch.
const UPSERT_KEYS: i64 = 1_000;
const WARM_UP: Duration = Duration::from_millis(500);

/// Measures what the machine and the servers beneath can bear, the way Croak uses them
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Limits {
    #[command(flatten)]
    body: BodyArgs,
    #[command(flatten)]
    limit: LimitArgs,
    #[command(flatten)]
    database: Database,
    #[command(flatten)]
    report: ReportArgs,
}

/// What is measured for how long, and where.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct LimitArgs {
    /// Redis, with the right to append to and delete `<prefix>:bench`; not measured without it
    #[arg(long, env = "CROAK_REDIS_URL", hide_env_values = true)]
    pub(crate) redis_url: Option<String>,
    /// What keys in Redis begin with
    #[arg(long, env = "CROAK_QUEUE_PREFIX", default_value = "croak")]
    queue_prefix: String,
    /// Folder on the disk that is measured, as that of the gateway's journal
    #[arg(long, default_value = ".")]
    disk: PathBuf,
    /// Seconds for each limit
    #[arg(long, default_value_t = 3.0)]
    limit_s: f64,
    /// Connections to the server that does nothing
    #[arg(long, default_value_t = 64)]
    bare_connections: u16,
}

/// What was found.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Found {
    /// Requests a second that a server takes which only reads them.
    pub(crate) bare_http_per_s: f64,
    /// The bytes of a notice that is compressed for itself, as a record carries it.
    record_bytes: usize,
    disk: Vec<Synced>,
    /// Records a second into one stream.
    pub(crate) redis_per_s: Option<f64>,
    /// One statement for so many keys, the middle one of many.
    upsert: Option<Upsert>,
    zstd: Zstd,
}

/// Groups of records made durable one after the other.
#[derive(Clone, Copy, Debug, Serialize)]
struct Synced {
    records: usize,
    syncs_per_s: f64,
    records_per_s: f64,
    p50_us: u64,
    p99_us: u64,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct Upsert {
    keys: i64,
    p50_ms: f64,
    keys_per_s: f64,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct Zstd {
    us: f64,
    bytes: usize,
    dictionary_us: f64,
    dictionary_bytes: usize,
}

impl Limits {
    pub(crate) async fn run(self, output: Output) -> anyhow::Result<ExitCode> {
        self.report.check()?;
        let mut report = self.report.begin("croak bench limits");
        let found = self.limit.measure(&self.body, &self.database, &mut report).await?;
        report.add("limits", &found, found.section())?;
        self.report.finish(report, output)
    }
}

impl LimitArgs {
    /// Measures all of them, one after the other.
    pub(crate) async fn measure(
        &self,
        body: &BodyArgs,
        database: &Database,
        report: &mut Report,
    ) -> anyhow::Result<Found> {
        let time = Duration::try_from_secs_f64(self.limit_s).context("--limit-s is no time")?;
        let notices = notices(body)?;
        let zstd = zstd_limit(&notices).context("compressing")?;
        let record_bytes = zstd.bytes + RECORD_HEAD_BYTES;
        let folder = self.disk.clone();
        let syncing = move || -> std::io::Result<Vec<Synced>> {
            GROUPS.iter().map(|records| sync(&folder, *records, record_bytes, time)).collect()
        };
        let disk = tokio::task::spawn_blocking(syncing).await?;
        let disk = disk.with_context(|| format!("writing to {}", self.disk.display()))?;
        let redis_per_s = match &self.redis_url {
            Some(url) => {
                let mut redis = Redis::connect(url).await.context("connecting to Redis")?;
                report.took_part("Redis", redis.facts().await?.version);
                Some(redis.appends_per_s(&self.queue_prefix, record_bytes, time).await.context("appending to Redis")?)
            }
            None => None,
        };
        let upsert = match database.named() {
            Some(_) => {
                let admin = database.connect().await?;
                let server = admin.server().await.context("asking the database for its version")?;
                report.took_part("PostgreSQL", server.version);
                let mut times = admin.upsert_times(UPSERT_KEYS, time).await.context("writing to the database")?;
                times.sort_unstable();
                let middle = times[times.len() / 2].as_secs_f64();
                Some(Upsert { keys: UPSERT_KEYS, p50_ms: middle * 1e3, keys_per_s: UPSERT_KEYS as f64 / middle })
            }
            None => None,
        };
        let bare_http_per_s = self.bare(body, time).await?;
        Ok(Found { bare_http_per_s, record_bytes, disk, redis_per_s, upsert, zstd })
    }

    /// The same requests to a server that does nothing with them. It answers so fast that one thread of the generator would be
    /// the limit: each core has one.
    async fn bare(&self, body: &BodyArgs, time: Duration) -> anyhow::Result<f64> {
        let bare = Bare::start()?;
        let target = ReachArgs::default().find(&format!("http://{}", bare.address)).await?;
        let plan = Plan {
            request: body.request(&target.authority, KeepAlive::On)?,
            target,
            mix: Some(MixArgs::default().mix(u64::MAX / 2)?),
            pace: Pace::Closed,
            connections: self.bare_connections.into(),
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            keep_alive: KeepAlive::On,
            warm_up: WARM_UP,
            until: Until::Duration(time),
            samples: None,
        };
        let tally = Load::start(&plan).finish().await?;
        anyhow::ensure!(tally.failed() == 0, "the bare server did not take {} requests", tally.failed());
        Ok(tally.accepted_measured as f64 / time.as_secs_f64())
    }
}

/// Notices of many groups, as a gateway would get them.
fn notices(body: &BodyArgs) -> anyhow::Result<Vec<Vec<u8>>> {
    let template = body.body()?;
    let mix = MixArgs::default().mix(u64::MAX / 2)?;
    let mut random = SmallRng::seed_from_u64(1);
    let notice = |_| {
        let mut text = template.to_bytes();
        template.fill(&mut text, &fresh(&mix, &mut random));
        text
    };
    Ok((0..2 * SAMPLES).map(notice).collect())
}

fn zstd_limit(notices: &[Vec<u8>]) -> anyhow::Result<Zstd> {
    let (samples, others) = notices.split_at(SAMPLES);
    let dictionary = zstd::dict::from_samples(samples, DICTIONARY_BYTES).context("making a dictionary")?;
    let (us, bytes) = compress(zstd::bulk::Compressor::new(ZSTD_LEVEL)?, others)?;
    let with_dictionary = zstd::bulk::Compressor::with_dictionary(ZSTD_LEVEL, &dictionary)?;
    let (dictionary_us, dictionary_bytes) = compress(with_dictionary, others)?;
    Ok(Zstd { us, bytes, dictionary_us, dictionary_bytes })
}

/// Microseconds and bytes of one notice, in the mean.
fn compress(mut compressor: zstd::bulk::Compressor<'_>, notices: &[Vec<u8>]) -> anyhow::Result<(f64, usize)> {
    let (mut bytes, began) = (0, Instant::now());
    for notice in notices {
        bytes += compressor.compress(notice)?.len();
    }
    Ok((began.elapsed().as_secs_f64() * 1e6 / notices.len() as f64, bytes / notices.len()))
}

/// Appends groups of records to a file and makes each durable, for a time.
fn sync(folder: &Path, records: usize, record_bytes: usize, time: Duration) -> std::io::Result<Synced> {
    let path = folder.join(format!("croak-bench-{}", std::process::id()));
    let mut file = File::create(&path)?;
    let measured = (|| {
        let group = vec![0x5a; records * record_bytes];
        let (mut times, began) = (super::tally::histogram(), Instant::now());
        while began.elapsed() < time {
            let started_at = Instant::now();
            file.write_all(&group)?;
            file.sync_data()?;
            super::tally::record(&mut times, started_at.elapsed());
        }
        let syncs_per_s = times.len() as f64 / began.elapsed().as_secs_f64();
        Ok(Synced {
            records,
            syncs_per_s,
            records_per_s: syncs_per_s * records as f64,
            p50_us: times.value_at_quantile(0.5),
            p99_us: times.value_at_quantile(0.99),
        })
    })();
    std::fs::remove_file(&path)?;
    measured
}

impl Found {
    pub(crate) fn section(&self) -> Section {
        let mut rows = vec![vec![
            "bare hyper, the same requests".to_owned(),
            format!("{} /s", number(self.bare_http_per_s)),
            String::new(),
        ]];
        for Synced { records, syncs_per_s, records_per_s, p50_us, p99_us } in &self.disk {
            rows.push(vec![
                format!("fdatasync after each {records} records of {} bytes", self.record_bytes),
                format!("{} records/s", number(*records_per_s)),
                format!("{} syncs/s, p50 {p50_us} µs, p99 {p99_us} µs", number(*syncs_per_s)),
            ]);
        }
        let unmeasured = || "not measured: no address was given".to_owned();
        rows.push(vec![
            format!("Redis, XADD of {} bytes in pipelines", self.record_bytes),
            self.redis_per_s.map_or_else(unmeasured, |per_s| format!("{} /s", number(per_s))),
            String::new(),
        ]);
        let upsert = self.upsert.map(|upsert| (format!("{} keys/s", number(upsert.keys_per_s)), upsert));
        rows.push(vec![
            format!("PostgreSQL, one upsert of {UPSERT_KEYS} keys"),
            upsert.as_ref().map_or_else(unmeasured, |(told, _)| told.clone()),
            upsert.map(|(_, upsert)| format!("p50 {} ms", number(upsert.p50_ms))).unwrap_or_default(),
        ]);
        let Zstd { us, bytes, dictionary_us, dictionary_bytes } = self.zstd;
        for (name, us, bytes) in
            [("without a dictionary", us, bytes), ("with one of 16 KiB", dictionary_us, dictionary_bytes)]
        {
            rows.push(vec![
                format!("zstd level {ZSTD_LEVEL} of a notice, {name}"),
                format!("{} µs", number(us)),
                format!("{bytes} bytes"),
            ]);
        }
        Section::new("Limits of this machine").table(&["what", "bears", ""], rows)
    }
}
