//! How projects group, as this process last read it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use store::writer::ProjectRules;
use store::{StoreError, Writer};

/// How long rules are used before they are read again.
const FRESH: Duration = Duration::from_secs(2);

/// The rules of all projects, read again when they are old or when somebody asks for a project that they lack.
#[derive(Debug)]
pub(crate) struct Projects {
    writer: Writer,
    kept: Mutex<Option<(Arc<ProjectRules>, Instant)>>,
}

impl Projects {
    pub(crate) fn new(writer: Writer) -> Self {
        Self { writer, kept: Mutex::new(None) }
    }

    /// The rules, at most two seconds old.
    pub(crate) async fn rules(&self) -> Result<Arc<ProjectRules>, StoreError> {
        match self.fresh() {
            Some(rules) => Ok(rules),
            None => self.read_again().await,
        }
    }

    /// The rules of this moment: a project that they lack does not exist.
    pub(crate) async fn read_again(&self) -> Result<Arc<ProjectRules>, StoreError> {
        let rules = Arc::new(self.writer.project_rules().await?);
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some((Arc::clone(&rules), Instant::now()));
        Ok(rules)
    }

    fn fresh(&self) -> Option<Arc<ProjectRules>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.as_ref().filter(|(_, at)| at.elapsed() < FRESH).map(|(rules, _)| Arc::clone(rules))
    }
}
