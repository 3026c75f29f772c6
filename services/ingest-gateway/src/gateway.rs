//! What all doors share.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use http::request::Parts;
use journal::{Draft, Kind};
use notice::ledger_line::Ending;
use service::http::{Body, ClientAddress};
use service::{BadConfig, Health};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::Config;
use crate::admission::{Admission, Hold};
use crate::attachments::AttachmentLimits;
use crate::body::{BIG_BYTES, Posted};
use crate::intake::{Drafted, Intake};
use crate::ledger::Unkept;
use crate::measures;
use crate::projects::{Known, Project, Projects};
use crate::rate::Rates;
use crate::rejection::{Client, Refusal, Rejection};
use crate::stream::STREAMS_MAX;
use crate::workers::Workers;

/// What all doors share.
pub(crate) struct Gateway {
    pub(crate) known: Known,
    /// Set once, when the lanes are known.
    pub(crate) intake: OnceLock<Intake>,
    pub(crate) admission: Admission,
    pub(crate) unkept: Unkept,
    pub(crate) health: Health,
    pub(crate) public_url: String,
    pub(crate) attachments: AttachmentLimits,
    rates: Rates,
    body_bytes_max: usize,
    /// Turns for work on big bodies, in bytes: more at a time would only share the same processors, and the memory that
    /// the work needs would not be bounded.
    turns: Arc<Semaphore>,
    /// Bytes that a turn takes at least, so that there are no more at a time than processors. Each is done by a thread of
    /// its own, whose compressor and whose part of the heap keep megabytes long after a big body.
    turn_bytes_min: usize,
    /// Bodies that are read while they arrive.
    pub(crate) streams: Arc<Semaphore>,
    /// Who does what needs a database.
    pub(crate) workers: Workers,
}

/// What is needed to take anything in: who may send, and where to put it. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Taking {
    pub(crate) projects: Arc<Projects>,
    pub(crate) intake: Intake,
}

impl Gateway {
    pub(crate) fn new(config: &Config, known: Known, health: Health) -> Result<Gateway, BadConfig> {
        Ok(Gateway {
            workers: Workers::new(&config.command_url, config.service.control_token.as_deref())?,
            known,
            intake: OnceLock::new(),
            admission: Admission::new(config.in_flight_bytes_max),
            unkept: Unkept::default(),
            health,
            public_url: config.public_url.clone(),
            attachments: AttachmentLimits::new(config),
            rates: Rates::default(),
            body_bytes_max: config.body_bytes_max,
            turns: Arc::new(Semaphore::new(config.body_bytes_max)),
            turn_bytes_min: config.body_bytes_max / std::thread::available_parallelism().map_or(1, usize::from),
            streams: Arc::new(Semaphore::new(STREAMS_MAX)),
        })
    }

    /// The projects and the journal, or the refusal of everybody while there are none.
    pub(crate) fn taking(&self) -> Result<Taking, Rejection> {
        let projects = self.known.now().ok_or(Rejection::NoSnapshot)?;
        let intake = self.intake.get().ok_or(Rejection::NoSnapshot)?.clone();
        Ok(Taking { projects, intake })
    }

    /// Reads what was posted, within every limit.
    pub(crate) async fn read(&self, parts: &Parts, body: &mut Body) -> Result<Posted, Rejection> {
        Posted::read(parts, body, self.body_bytes_max, self.hold(parts)).await
    }

    /// The same for what may be longer than a notice.
    pub(crate) async fn read_up_to(
        &self,
        parts: &Parts,
        body: &mut Body,
        bytes_max: usize,
    ) -> Result<Posted, Rejection> {
        Posted::read(parts, body, bytes_max.max(self.body_bytes_max), self.hold(parts)).await
    }

    /// The same for the one message of a gRPC call.
    pub(crate) async fn read_message(
        &self,
        parts: &Parts,
        body: &mut Body,
        bytes_max: usize,
    ) -> Result<Posted, Rejection> {
        Posted::read_message(parts, body, bytes_max.max(self.body_bytes_max), self.hold(parts)).await
    }

    /// What came in a query instead of a body.
    pub(crate) fn read_query(&self, parts: &Parts, data: String) -> Result<Posted, Rejection> {
        Posted::of_query(data, self.body_bytes_max, self.hold(parts))
    }

    /// Unpacks what was posted and makes something of it: at once if it is small, in a turn of its own if it is big.
    ///
    /// A panic there is our mistake and costs this one request only.
    pub(crate) async fn understand<T, F>(&self, posted: Posted, read: F) -> Result<T, Refusal>
    where
        T: Send + 'static,
        F: FnOnce(&[u8]) -> Result<T, Refusal> + Send + 'static,
    {
        let work_bytes = posted.work_bytes();
        let work = move || {
            let unpacked_and_read = || {
                let (body, hold) = posted.unpack()?;
                let understood = read(&body);
                drop(hold);
                understood
            };
            catch_unwind(AssertUnwindSafe(unpacked_and_read)).unwrap_or_else(|_| Err(Rejection::Broken.into()))
        };
        if work_bytes <= BIG_BYTES {
            return work();
        }
        let turn = self.turn(work_bytes).await;
        let in_turn = move || {
            let _turn = turn;
            work()
        };
        tokio::task::spawn_blocking(in_turn).await.unwrap_or_else(|_| Err(Rejection::Broken.into()))
    }

    /// The turn of a body that is this much work, in bytes; whoever comes first has the first.
    pub(crate) async fn turn(&self, work_bytes: usize) -> OwnedSemaphorePermit {
        let share = work_bytes.clamp(self.turn_bytes_min, self.body_bytes_max);
        let share = u32::try_from(share).unwrap_or(u32::MAX);
        Arc::clone(&self.turns).acquire_many_owned(share).await.expect("the semaphore is never closed")
    }

    /// Keeps to the rate that the project's operator set, with so many notices of one request.
    pub(crate) fn pace(&self, project: &Project, count: usize) -> Result<(), Refusal> {
        let paced = self.rates.take(project, count, Instant::now());
        paced.map_err(|delay_s| Rejection::RateLimited { delay_s }.of_project(project.id))
    }

    /// The record of what a request brought.
    pub(crate) async fn ready(&self, parts: &Parts, drafted: Drafted) -> Result<Draft, Rejection> {
        drafted.ready(|| self.hold(parts)).await
    }

    /// The records of all that a request brought.
    pub(crate) async fn all_ready(&self, parts: &Parts, drafted: Vec<Drafted>) -> Result<Vec<Draft>, Rejection> {
        let mut ready = Vec::with_capacity(drafted.len());
        for drafted in drafted {
            ready.push(self.ready(parts, drafted).await?);
        }
        Ok(ready)
    }

    /// Puts it on the disk and counts it as accepted.
    pub(crate) async fn keep(&self, intake: &Intake, draft: Draft, kind: &'static str) -> Result<(), Refusal> {
        let project_id = draft.project_id;
        intake.keep(draft).await.map_err(|error| Rejection::from(error).of_project(project_id))?;
        // A crash here leaves a notice that nobody was told of: it may still be counted.
        journal::failpoint::hit("gateway.before_answer");
        measures::accepted(kind);
        Ok(())
    }

    /// The same for all that one request brought: all of it or nothing.
    pub(crate) async fn keep_all(&self, intake: &Intake, drafts: Vec<Draft>) -> Result<(), Refusal> {
        let Some(project_id) = drafts.first().map(|draft| draft.project_id) else { return Ok(()) };
        let kinds: Vec<u8> = drafts.iter().map(|draft| draft.kind as u8).collect();
        intake.keep_all(drafts).await.map_err(|error| Rejection::from(error).of_project(project_id))?;
        journal::failpoint::hit("gateway.before_answer");
        kinds.into_iter().for_each(|kind| measures::accepted(kind_name(kind)));
        Ok(())
    }

    /// Counts so many of something of which nothing is kept.
    pub(crate) fn count_only(&self, project: &Project, what: &'static str, count: u64) {
        measures::counted(what, count);
        self.unkept.add(project.id, Ending::NotKept, what, count);
    }

    /// Counts and logs a refusal.
    pub(crate) fn account(&self, refusal: &Refusal, client: Client) {
        let Refusal { rejection, project_id } = refusal;
        rejection.log(client, *project_id);
        measures::refused(client, rejection.reason());
        if let Some(project_id) = project_id {
            self.unkept.add(*project_id, Ending::Refused, rejection.reason(), 1);
        }
    }

    /// Where people find a notice.
    pub(crate) fn locate_url(&self, id: impl std::fmt::Display) -> String {
        format!("{}/locate/{id}", self.public_url)
    }

    pub(crate) fn hold(&self, parts: &Parts) -> Hold {
        let client = parts.extensions.get::<ClientAddress>();
        self.admission.begin(client.expect("the listener sets the address of every request").0)
    }
}

/// The label of a record's kind in metrics.
fn kind_name(kind: u8) -> &'static str {
    match kind {
        kind if kind == Kind::Notice as u8 => "notice",
        kind if kind == Kind::Ledger as u8 => "ledger",
        kind if kind == Kind::Deploy as u8 => "deploy",
        kind if kind == Kind::Stats as u8 => "stats",
        kind if kind == Kind::AttachmentPart as u8 => "attachment_part",
        _ => "other",
    }
}
