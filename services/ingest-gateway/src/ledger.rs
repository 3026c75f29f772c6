//! What was refused or only counted, by project and reason, until it is written to the journal.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use journal::Kind;
use notice::{Ledger, LedgerLine, ledger_line::Ending};
use tokio_util::sync::CancellationToken;

use crate::intake::Intake;
use crate::projects::Known;

/// What of each project came to an end at this door without being stored. Cheap to clone.
///
/// Bounded by the number of projects and of reasons: refusals of unknown projects are only counted in the metrics.
#[derive(Clone, Default)]
pub(crate) struct Unkept(Arc<Mutex<Lines>>);

type Lines = HashMap<u64, BTreeMap<(Ending, &'static str), u64>>;

impl Unkept {
    /// So many more of this project came to this end.
    pub(crate) fn add(&self, project_id: u64, ending: Ending, reason: &'static str, count: u64) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *lines.entry(project_id).or_default().entry((ending, reason)).or_default() += count;
    }

    /// Writes one record for each project. What the journal does not take now is kept for the next time.
    pub(crate) async fn write(&self, intake: &Intake, known: &Known) {
        let Some(projects) = known.now() else { return };
        let lines = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        for (project_id, lines) in lines {
            // A project that was deleted meanwhile has nobody left to tell.
            let Some(project) = projects.by_id(project_id) else { continue };
            let (_, draft) = intake.draft(Kind::Ledger, project, &ledger(&lines));
            if let Err(error) = intake.keep(draft).await {
                tracing::warn!(project_id, %error, "cannot write the ledger now");
                self.put_back(project_id, lines);
            }
        }
    }

    /// Writes now and then until stopped. The last time is the caller's, when no request is left that could add to it.
    pub(crate) async fn write_every(&self, every: Duration, intake: &Intake, known: &Known, stop: CancellationToken) {
        while stop.run_until_cancelled(tokio::time::sleep(every)).await.is_some() {
            self.write(intake, known).await;
        }
    }

    fn put_back(&self, project_id: u64, lines: BTreeMap<(Ending, &'static str), u64>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let project = all.entry(project_id).or_default();
        for (line, count) in lines {
            *project.entry(line).or_default() += count;
        }
    }
}

fn ledger(lines: &BTreeMap<(Ending, &'static str), u64>) -> Ledger {
    let line = |((ending, reason), count): (&(Ending, &'static str), &u64)| LedgerLine {
        ending: (*ending).into(),
        reason: (*reason).to_owned(),
        count: *count,
    };
    Ledger { lines: lines.iter().map(line).collect() }
}
