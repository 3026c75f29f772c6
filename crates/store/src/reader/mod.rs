//! What pages and the JSON API read.
//!
//! Every connection is opened with `default_transaction_read_only`, so that what only shows things cannot change them,
//! whatever role it logs in with. Whether somebody may see a project is decided once, by [`Reader::open`]: everything
//! that belongs to a project asks for the [`Opened`] project that it answers with.

mod alerts;
mod attachments;
mod bulk;
mod chunks;
mod client_ids;
mod comments;
pub mod completion;
mod conditions;
mod cursor;
mod deploys;
mod frequencies;
mod group;
mod group_list;
mod groups;
mod ingest;
mod installation;
mod merges;
mod notices;
mod organizations;
mod people;
mod projects;
mod saved;
mod scrubbing;
pub mod search;
mod settings;
mod since;
mod stats;
mod words;

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{PgPool, Postgres, Transaction};

use crate::source_maps::SourceMaps;

pub use alerts::{AlertMember, AlertRule, DeliveryLine, Destination, NotificationChoice, WAITING_COUNTED_MAX};
pub use attachments::Attachment;
pub use bulk::Bulk;
pub(crate) use chunks::first_id_at;
pub use comments::{COMMENT_CHARS_MAX, Comment, Member};
pub use cursor::CursorError;
pub use deploys::Deploy;
pub use group::{Bar, Change, Facet, FacetValue, Grid, GroupParts, Mark};
pub use group_list::GROUPS_LOOKED_AT_MAX;
pub use groups::{GROUPS_COUNTED_MAX, Group, GroupFilter, GroupPage, GroupSort, GroupState};
pub use ingest::{DeadReason, Ending, Fold, Intake, Lane, Worker};
pub use installation::{DeadLine, JournalLine, LATELY_MINUTES, TableSize, Totals};
pub use merges::MergedGroup;
pub use notices::{Around, NoticePage, StoredNotice};
pub use organizations::{Invitation, LogLine, MemberLine, OwnInvitation, OwnOrganization, Team};
pub use people::{Account, AccountLink, LinkPurpose, SecondFactor, Token, TokenLine};
pub use projects::{Opened, Project, ProjectCard, Viewer};
pub use saved::{Feed, OpenedFeed, SavedSearch};
pub use scrubbing::Scrubbing;
pub use settings::ProjectSettings;
pub(crate) use settings::seen_settings;
pub use since::SincePage;
pub use stats::{Bucket, BucketSize, Stage};

/// Connections of one web process: its pages come from caches, so that few are enough.
const CONNECTIONS_MAX: u32 = 8;
/// Longest wait for a free connection, or for the database to answer at all.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);
/// Longest time one statement may take: nobody waits longer for a page.
const STATEMENT_TIMEOUT_MS: &str = "8000";

/// What went wrong with a read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The database did not answer, or not as expected.
    #[error("reading the database")]
    Database(#[from] sqlx::Error),
    /// A chunk of bodies is not what was written.
    #[error("chunk {chunk_id} cannot be decoded")]
    Chunk {
        /// Which chunk.
        chunk_id: i64,
        /// What is wrong with it.
        source: crate::chunk::ChunkError,
    },
    /// A part of an attachment is not what was written.
    #[error("a part of attachment {id} cannot be unpacked")]
    Attachment {
        /// Which attachment.
        id: uuid::Uuid,
        /// What is wrong with it.
        source: std::io::Error,
    },
}

/// A handle on the database that can only look.
#[derive(Clone, Debug)]
pub struct Reader {
    pool: PgPool,
    source_maps: Arc<SourceMaps>,
    frequencies: frequencies::Cached,
}

impl Reader {
    /// Makes a reader of the database at `url`. No connection is opened before the first read, so that a service
    /// starts, and says what is missing, while the database is away.
    pub fn connect(url: &str) -> Result<Reader, ReadError> {
        let options = PgConnectOptions::from_str(url)?.application_name("croak-web").options([
            ("default_transaction_read_only", "on"),
            ("statement_timeout", STATEMENT_TIMEOUT_MS),
            // The lists' optional filters are parameters: a plan made for all of their values serves none of them.
            ("plan_cache_mode", "force_custom_plan"),
            // Of two words that many groups have, what both have is found in bitmaps: one that does not fit names pages instead of rows,
            // and all that stands on them is read.
            ("work_mem", "32MB"),
            // Reads are short; compiling them takes longer than they do.
            ("jit", "off"),
        ]);
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS_MAX)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_lazy_with(options);
        Ok(Reader { pool, source_maps: Arc::default(), frequencies: Arc::default() })
    }

    /// Begins to read one state of the database with several statements. Dropped when it has served.
    pub(crate) async fn snapshot(&self) -> Result<Transaction<'static, Postgres>, ReadError> {
        let pool = self.pool.clone();
        // In a task of its own: sqlx cannot tell whether a BEGIN whose future was dropped has reached the server, and a
        // connection that still sits in a transaction would go on to show that state for ever.
        let begun =
            tokio::spawn(async move { pool.begin_with("begin isolation level repeatable read, read only").await });
        Ok(begun.await.map_err(|_| sqlx::Error::WorkerCrashed)??)
    }

    /// Asks the database for a sign of life.
    pub async fn ping(&self) -> Result<(), ReadError> {
        sqlx::query_scalar!("select 1 as \"one!\"").fetch_one(&self.pool).await?;
        Ok(())
    }

    /// Waits until what was committed at `lsn` can be read here, at most for `longest`; whether it can.
    ///
    /// A primary shows it at once. On a replica it takes until the log has been replayed up to there.
    pub async fn wait_for(&self, lsn: &str, longest: Duration) -> Result<bool, ReadError> {
        let until = tokio::time::Instant::now() + longest;
        loop {
            let seen = sqlx::query_scalar!(
                "select not pg_is_in_recovery() or pg_last_wal_replay_lsn() >= $1::text::pg_lsn as \"seen!\"",
                lsn
            )
            .fetch_one(&self.pool)
            .await?;
            if seen || tokio::time::Instant::now() >= until {
                return Ok(seen);
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }
}
