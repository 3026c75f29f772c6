//! `croak dead`: records that could not become what they were sent as.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use journal::Record;
use serde::Serialize;
use store::admin::DeadNotice;
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

use crate::database::Database;
use crate::output::{Output, table};

/// How often it is looked whether a worker has tried a record again.
const POLL_EVERY: Duration = Duration::from_millis(100);

/// A record that is no longer waiting and not stored for so long is dead again.
const SETTLED_AFTER: Duration = Duration::from_secs(2);

/// Records that could not become what they were sent as
#[derive(clap::Subcommand, Debug)]
pub(crate) enum Dead {
    /// Lists them, newest first
    List(List),
    /// Shows one, with what was sent
    Show(One),
    /// Has a worker try one again, for after an upgrade or a repair. Exit status 0: it is stored; 3: it is not
    Retry(Retry),
    /// Drops one for good; an incident says that it was
    Drop(One),
}

#[derive(clap::Args, Debug)]
pub(crate) struct List {
    #[command(flatten)]
    database: Database,
    /// Number or slug of one project; all of them when absent
    #[arg(long)]
    project: Option<String>,
    /// Most that are listed
    #[arg(long, default_value_t = 100)]
    limit: u32,
}

#[derive(clap::Args, Debug)]
pub(crate) struct One {
    #[command(flatten)]
    database: Database,
    /// Id of the notice, as its client was told
    notice_id: Uuid,
}

#[derive(clap::Args, Debug)]
pub(crate) struct Retry {
    #[command(flatten)]
    one: One,
    /// Longest wait for a worker to try it, in seconds
    #[arg(long, default_value_t = 30)]
    wait_s: u64,
}

/// A dead record, with what of it can be read.
#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    dead: DeadNotice,
    record: Option<Read>,
    raw_hex: String,
}

/// What the record says of itself.
#[derive(Serialize)]
struct Read {
    codec: u16,
    fold_key_version: u8,
    accepted_at_us: i64,
    body_bytes: usize,
}

impl Dead {
    pub(crate) async fn run(self, output: Output) -> anyhow::Result<ExitCode> {
        match self {
            Dead::List(list) => list.run(output).await?,
            Dead::Show(one) => one.show(output).await?,
            Dead::Retry(retry) => return retry.run(output).await,
            Dead::Drop(one) => one.drop(output).await?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl List {
    async fn run(self, output: Output) -> anyhow::Result<()> {
        let admin = self.database.connect().await?;
        let project = match &self.project {
            Some(project) => Some(admin.project(project).await.context("looking for the project")?.id),
            None => None,
        };
        let dead = admin.dead_notices(project, self.limit.into()).await.context("reading the dead records")?;
        output.show(&dead, |dead| {
            let rows: Vec<Vec<String>> = dead
                .iter()
                .map(|dead| {
                    vec![
                        dead.notice_id.to_string(),
                        dead.project_id.to_string(),
                        dead.at.format(&Rfc3339).unwrap_or_default(),
                        dead.raw_bytes.to_string(),
                        dead.reason.clone(),
                        dead.detail.clone(),
                    ]
                })
                .collect();
            table(&["notice", "project", "since", "bytes", "reason", "detail"], &rows)
        })
    }
}

impl Retry {
    async fn run(self, output: Output) -> anyhow::Result<ExitCode> {
        let notice_id = self.one.notice_id;
        let admin = self.one.database.connect().await?;
        let (dead, _) = admin.dead_notice(notice_id).await.context("looking for the dead record")?;
        admin.retry_dead_notice(dead.id).await.context("asking for another try")?;
        let wait = Duration::from_secs(self.wait_s);
        let tried = async {
            let mut dead_since = None;
            loop {
                match admin.is_retry_pending(dead.id).await.context("asking what became of it")? {
                    Some(true) => dead_since = None,
                    // One that has killed a worker is called dead while it is tried.
                    Some(false) if dead_since.get_or_insert_with(Instant::now).elapsed() >= SETTLED_AFTER => {
                        return anyhow::Ok("dead");
                    }
                    Some(false) => {}
                    None => return Ok("stored"),
                }
                tokio::time::sleep(POLL_EVERY).await;
            }
        };
        let state = match tokio::time::timeout(wait, tried).await {
            Ok(tried) => tried?,
            Err(_) => "waiting",
        };
        output.show(&serde_json::json!({ "notice_id": notice_id, "state": state }), |_| match state {
            "stored" => format!("{notice_id} is stored"),
            "dead" => format!("{notice_id} was tried again and is dead again"),
            _ => format!("{notice_id} waits for a worker to try it"),
        })?;
        Ok(if state == "stored" { ExitCode::SUCCESS } else { crate::DIFFERS.into() })
    }
}

impl One {
    async fn show(&self, output: Output) -> anyhow::Result<()> {
        let admin = self.database.connect().await?;
        let (dead, raw) = admin.dead_notice(self.notice_id).await.context("reading the dead record")?;
        let record = Record::decode(&raw).ok().map(|record| Read {
            codec: record.codec,
            fold_key_version: record.fold_key_version,
            accepted_at_us: record.accepted_at_us,
            body_bytes: record.body.len(),
        });
        let raw_hex = raw.iter().map(|byte| format!("{byte:02x}")).collect();
        output.show(&Shown { dead, record, raw_hex }, |shown| {
            let DeadNotice { id, project_id, notice_id, kind, reason, detail, raw_bytes, .. } = &shown.dead;
            let readable = match &shown.record {
                Some(_) => "the record itself can be read",
                None => "the record itself is damaged",
            };
            format!(
                "notice   {notice_id}\nproject  {project_id}\nrecord   journal {} lane {} number {}\nkind     {kind}\n\
                 reason   {reason}: {detail}\nsize     {raw_bytes} bytes; {readable}\n",
                id.journal, id.lane, id.seq
            )
        })
    }

    async fn drop(&self, output: Output) -> anyhow::Result<()> {
        let admin = self.database.connect().await?;
        let (dead, _) = admin.dead_notice(self.notice_id).await.context("looking for the dead record")?;
        let dropped = admin.drop_dead_notice(dead.id).await.context("dropping the dead record")?;
        output.show(&serde_json::json!({ "notice_id": self.notice_id, "dropped": dropped }), |_| {
            format!("{} is dropped", self.notice_id)
        })
    }
}
