//! What can go wrong with a journal.

use std::io;
use std::path::PathBuf;

/// Why a journal could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has the directory.
    #[error("the journal directory {0} is in use by another process: give each gateway its own")]
    InUse(PathBuf),
    /// The directory or a file in it could not be used.
    #[error("cannot use the journal directory {path}")]
    Io {
        /// The directory or file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The options contradict each other.
    #[error("{0}")]
    Options(String),
}

impl OpenError {
    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> OpenError {
        let path = path.into();
        move |source| OpenError::Io { path, source }
    }
}

/// Why records were not taken. Nothing of a refused append is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The cap of un-acknowledged bytes is reached, or the disk is full.
    #[error("the journal is full")]
    Full,
    /// Too much waits for the disk already.
    #[error("the disk is too slow for what comes in")]
    Overloaded,
    /// The journal is more than half full, and this project has more than its share of it.
    #[error("the project has more than its share of the journal")]
    ProjectShare,
    /// A record is longer than 4 MiB, or the append longer than a segment.
    #[error("the records are too large")]
    TooLarge,
    /// There is no such lane in this journal.
    #[error("lane {0} is not one of this journal")]
    NoSuchLane(u16),
    /// The journal was closed.
    #[error("the journal is closed")]
    Closed,
}
