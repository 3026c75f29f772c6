//! The handle that appends, and tells what may be forgotten.

use std::path::Path;

use uuid::Uuid;

use crate::{AppendError, Draft, JournalOptions, OpenError, Source, Status};

/// A journal directory, locked for this process.
#[derive(Clone)]
pub struct Journal {}

impl Journal {
    /// Locks the directory, begins a journal of its own in it, and finds those of earlier processes.
    pub fn open(_dir: &Path, _options: JournalOptions) -> Result<Journal, OpenError> {
        unimplemented!()
    }

    /// The id of this process's own journal.
    pub fn id(&self) -> Uuid {
        unimplemented!()
    }

    /// Makes records durable, all or none of them; returns after fdatasync.
    pub async fn append(&self, _drafts: Vec<Draft>) -> Result<(), AppendError> {
        unimplemented!()
    }

    /// Waits until something was appended since the last call.
    pub async fn appended(&self) {
        unimplemented!()
    }

    /// What is in the directory now.
    pub fn status(&self) -> Status {
        unimplemented!()
    }

    /// The journals of the directory, this process's own last.
    pub fn sources(&self) -> Vec<Source> {
        unimplemented!()
    }

    /// Says that the database has committed all records up to a number. It may go down, and is believed.
    pub fn acknowledge(&self, _journal: Uuid, _lane: u16, _watermark: u64) {
        unimplemented!()
    }

    /// Refuses further appends, finishes those that wait, and seals the segment. Reading goes on.
    pub async fn close(&self) {
        unimplemented!()
    }
}
