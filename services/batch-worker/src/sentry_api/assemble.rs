//! Putting chunks together.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lru::LruCache;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use store::Writer;
use store::writer::WantedBundle;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::answer::{Answered, Refusal};
use super::body::{fitting, read};
use super::bundle::{self, Assembled, CHUNKS_MAX};
use super::caller::Scope;
use super::uploads::{hex, sha1_of};

/// How long a call waits for the end of what it began; after that the build tool asks again, every second or so.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// Failures that are remembered until somebody asks again.
const FAILURES_MAX: NonZeroUsize = NonZeroUsize::new(64).expect("is not zero");
/// Most characters of a release and a build.
const NAME_CHARS_MAX: usize = 250;
/// Most projects of one bundle.
const PROJECTS_MAX: usize = 50;

/// What was wrong with bundles that took longer than their callers waited, by organization and sum.
type Failures = LruCache<(i64, [u8; 20]), String>;

/// Puts one bundle together at a time: each takes memory for its greatest file.
pub(super) struct Assembling {
    writer: Writer,
    stop: CancellationToken,
    turn: Arc<Semaphore>,
    failures: Arc<Mutex<Failures>>,
}

#[derive(Deserialize)]
struct AssembleBody {
    checksum: String,
    chunks: Vec<String>,
    projects: Option<Vec<Value>>,
    version: Option<String>,
    dist: Option<String>,
}

impl Assembling {
    pub(super) fn new(writer: Writer, stop: CancellationToken) -> Self {
        Self {
            writer,
            stop,
            turn: Arc::new(Semaphore::new(1)),
            failures: Arc::new(Mutex::new(LruCache::new(FAILURES_MAX))),
        }
    }

    /// A bundle for the projects that its request names.
    pub(super) async fn bundle(&self, scope: &Scope<'_>, body: &[u8]) -> Answered {
        let body: AssembleBody = read(body)?;
        let named = body.projects.as_deref().unwrap_or_default();
        if named.is_empty() || named.len() > PROJECTS_MAX {
            return Err(Refusal::bad(format!("`projects` has 1 to {PROJECTS_MAX} projects")));
        }
        let project_ids = scope.named(named)?;
        let release = body.version.clone();
        self.assemble(scope, body, project_ids, release).await
    }

    /// The files of a release, as build tools uploaded them before there were bundles of their own: in the same form, for all its projects.
    pub(super) async fn release_files(
        &self,
        scope: &Scope<'_>,
        version: &str,
        project_ids: Vec<i64>,
        body: &[u8],
    ) -> Answered {
        self.assemble(scope, read(body)?, project_ids, Some(version.to_owned())).await
    }

    async fn assemble(
        &self,
        scope: &Scope<'_>,
        body: AssembleBody,
        project_ids: Vec<i64>,
        release: Option<String>,
    ) -> Answered {
        let sum = |text: &String| sha1_of(text).ok_or_else(|| Refusal::bad("a checksum is a SHA-1 of 40 digits"));
        let sha1 = sum(&body.checksum)?;
        if body.chunks.len() > CHUNKS_MAX {
            return Ok(failed(&format!("the bundle has {} chunks: at most {CHUNKS_MAX} are taken", body.chunks.len())));
        }
        let chunks = body.chunks.iter().map(sum).collect::<Result<Vec<_>, _>>()?;
        let name =
            |text: Option<String>| text.map(|text| fitting(&text, NAME_CHARS_MAX)).filter(|text| !text.is_empty());
        let organization_id = scope.organization_id;
        let wanted = WantedBundle { organization_id, sha1, project_ids, release: name(release), dist: name(body.dist) };

        if let Some(told) = self.failures().pop(&(organization_id, sha1)) {
            return Ok(failed(&told));
        }
        if self.writer.bundle_again(&wanted, &scope.project_ids()).await? {
            return Ok(state("ok", &[]));
        }
        let there = self.writer.chunk_lengths(organization_id, &chunks).await?;
        let missing: Vec<String> =
            chunks.iter().filter(|sha1| !there.contains_key(*sha1)).map(|sha1| hex(sha1)).collect();
        if !missing.is_empty() || chunks.is_empty() {
            return Ok(state("not_found", &missing));
        }
        let Ok(turn) = Arc::clone(&self.turn).try_acquire_owned() else {
            return Ok(state("assembling", &[]));
        };
        let (writer, stop, failures) = (self.writer.clone(), self.stop.clone(), Arc::clone(&self.failures));
        // Whoever waits for the answer may go away in the middle of it.
        let mut under_way = tokio::spawn(async move {
            let assembled = bundle::assemble(writer, wanted, chunks, there, stop).await;
            drop(turn);
            if let Ok(Assembled::Refused(told)) = &assembled {
                lock(&failures).put((organization_id, sha1), told.clone());
            }
            assembled
        });
        let Ok(assembled) = tokio::time::timeout(ANSWER_WITHIN, &mut under_way).await else {
            return Ok(state("assembling", &[]));
        };
        match assembled.map_err(|error| Refusal::Unavailable(error.to_string()))?? {
            Assembled::Done => Ok(state("ok", &[])),
            Assembled::NotNow => Ok(state("assembling", &[])),
            Assembled::Refused(told) => {
                self.failures().pop(&(organization_id, sha1));
                Ok(failed(&told))
            }
        }
    }

    fn failures(&self) -> std::sync::MutexGuard<'_, LruCache<(i64, [u8; 20]), String>> {
        lock(&self.failures)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Says of each debug file that it is not taken. Build tools that see what is accepted do not send any.
pub(super) fn no_debug_files(body: &[u8]) -> Answered {
    let asked: Map<String, Value> = read(body)?;
    let told = json!({ "state": "error", "detail": "debug files are not kept here", "missingChunks": [] });
    Ok((200, asked.into_iter().map(|(checksum, _)| (checksum, told.clone())).collect::<Map<_, _>>().into()))
}

fn state(state: &str, missing: &[String]) -> (u16, Value) {
    (200, json!({ "state": state, "missingChunks": missing, "detail": null }))
}

fn failed(told: &str) -> (u16, Value) {
    (200, json!({ "state": "error", "missingChunks": [], "detail": told }))
}
