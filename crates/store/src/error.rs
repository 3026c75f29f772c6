//! What can go wrong with the database, and what each kind of error asks for.

/// An error of the database or of what lies in it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database answered with an error, or could not be asked.
    #[error("the database refused or could not be reached")]
    Database(#[from] sqlx::Error),
    /// The outcome of a COMMIT is not known: it may have happened.
    #[error("it is not known whether the transaction was committed")]
    CommitUnknown(#[source] sqlx::Error),
    /// Another worker has taken the lane over, or the database lacks what was committed before.
    #[error("lane {lane} belongs to another worker now, or the database was set back")]
    Fenced {
        /// The lane that was lost.
        lane: u16,
    },
    /// Others have stored what a batch brings since it was prepared, or may have.
    #[error("other notices are stored than were when the batch was prepared")]
    StoredMeanwhile,
    /// Somebody merged groups, or took a merge back, while a batch waited for their locks.
    #[error("groups were merged while a batch waited for them")]
    MergedMeanwhile,
    /// Releases have lost their places since this process saw them, as after the database was set back.
    #[error("releases that were known have no place any more")]
    PlacesLost,
    /// The migrations could not be applied.
    #[error("the schema could not be brought up to date")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// A chunk does not decode.
    #[error("a chunk of bodies is damaged")]
    Chunk(#[from] crate::chunk::ChunkError),
    /// What was asked for breaks a rule; the text says which and what would be right.
    #[error("{0}")]
    Invalid(String),
    /// A command or a mail could not be written down, or read again.
    #[error("a command or a mail does not fit its JSON")]
    NotJson(#[source] serde_json::Error),
    /// What is shown could not be read.
    #[error("what people see could not be read")]
    Read(#[from] crate::reader::ReadError),
    /// The task that held the transaction died.
    #[error("the task of a transaction died")]
    TaskDied(#[source] tokio::task::JoinError),
}

/// What an error asks its finder to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorClass {
    /// Forget what is held in memory, claim again and read again: it is not known what was committed.
    Unknown,
    /// A deadlock, a serialization failure or groups that have moved: the same once more.
    Retry,
    /// The database refuses these values: find the one that it refuses.
    Refused,
    /// The database gave a statement up because it took too long, and nothing was kept: the same in smaller parts.
    TooSlow,
    /// A partition is missing: read again which there are, then the same once more.
    NoPartition,
    /// What is known of clients' ids is out of date: find out what is stored, prepare the batch again.
    OutOfDate,
    /// The lane is not as it was left: let go of it.
    Fenced,
}

impl StoreError {
    /// What to do about it.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Fenced { .. } => ErrorClass::Fenced,
            Self::StoredMeanwhile => ErrorClass::OutOfDate,
            Self::MergedMeanwhile | Self::PlacesLost => ErrorClass::Retry,
            Self::Database(error) => class_of(error),
            Self::Invalid(_) | Self::Chunk(_) | Self::NotJson(_) => ErrorClass::Refused,
            Self::CommitUnknown(_) | Self::Migrate(_) | Self::Read(_) | Self::TaskDied(_) => ErrorClass::Unknown,
        }
    }

    /// Whether there was no answer of the database at all: the connection is of no use any more.
    pub fn is_connection_lost(&self) -> bool {
        let (Self::Database(error) | Self::CommitUnknown(error)) = self else { return false };
        !matches!(error, sqlx::Error::Database(_) | sqlx::Error::Encode(_) | sqlx::Error::Decode(_))
    }
}

impl StoreError {
    /// Whether the transaction and another held each other up: it was rolled back, and may be tried again at once.
    pub(crate) fn is_deadlock(&self) -> bool {
        let code = match self {
            Self::Database(sqlx::Error::Database(answer)) => answer.code(),
            _ => None,
        };
        matches!(code.as_deref(), Some("40001" | "40P01"))
    }

    /// Whether it is certain that nothing of a command was kept.
    pub fn is_rolled_back(&self) -> bool {
        !matches!(self, Self::CommitUnknown(_) | Self::TaskDied(_))
    }
}

fn class_of(error: &sqlx::Error) -> ErrorClass {
    match error {
        sqlx::Error::Database(answer) => {
            let code = answer.code().unwrap_or_default();
            match (code.get(..2).unwrap_or_default(), code.as_ref()) {
                (_, "40001" | "40P01" | "55P03") => ErrorClass::Retry,
                // A value that a check refuses names the check; what finds no partition names none. The text is in the server's language.
                (_, "23514") if answer.constraint().is_none() => ErrorClass::NoPartition,
                (_, "57014") => ErrorClass::TooSlow,
                ("22" | "23" | "54", _) => ErrorClass::Refused,
                _ => ErrorClass::Unknown,
            }
        }
        // A value that cannot be sent at all.
        sqlx::Error::Encode(_) => ErrorClass::Refused,
        _ => ErrorClass::Unknown,
    }
}
