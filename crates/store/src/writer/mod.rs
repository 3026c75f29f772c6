//! Everything that changes the database while services run.

mod alerts;
mod artifacts;
mod client_ids;
mod command;
mod commit;
mod lanes;
mod live;
mod mail;
mod outbox;
mod registry;
mod releases;
mod reports;
mod retry;
mod scripts;
mod source_maps;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use sqlx::Executor as _;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};

pub use alerts::{
    AlertDestination, Content, LooksBack, MailReader, Message, PendingAlert, PendingRule, Tells, UncheckedRule,
};
pub use artifacts::{NewArtifact, NewBundle, WantedBundle};
pub use client_ids::NamedNotice;
pub use command::{
    AcceptInvitation, Act, AskEmail, AskLink, AssignGroup, ChangeFound, ChangeName, ChangePassword, ChangeProject,
    ChangeTeam, ChangeTicked, Comeback, CommandResult, CommandStatus, ConfirmEmail, CreateKey, CreateProject,
    CreateTeam, CreateToken, DeleteAccount, DeleteComment, DeleteGroup, DeleteProject, DisableTotp, EMAIL_CHARS_MAX,
    EditComment, EnableTotp, ForgetSearch, GroupAct, GroupChange, Invite, LinkWanted, MERGED_MAX, MakeFeed,
    MergeGroups, MuteUntil, NAME_CHARS_MAX, Order, Outcome, RECOVERY_CODES, RETENTION_DAYS_MAX, Registration,
    RenameOrganization, RevokeFeed, RevokeInvitation, RevokeKey, RevokeToken, SaveSearch, SeenGroup,
    SetOrganizationMember, SetPassword, SetProjectMember, SetScrubbing, SignOutEverywhere, TICKED_MAX, TOKEN_DAYS_MAX,
    TeamChange, UndoBulk, UnmergeGroup, UseRecoveryCode, UseTotp, WriteComment,
};
pub use command::{
    ChooseNotifications, DeleteDestination, DeleteRule, EnableDestination, SaveDestination, SaveRule, TestDestination,
    Unsubscribe,
};
pub use command::{DropDeadNotice, RetryDeadNotice, RetryDeadNotices};
pub use commit::Generated;
pub use lanes::{Claimed, Owned};
pub use live::{Installation, ProjectRules};
pub use mail::Mail;
pub use outbox::{AttemptReport, Attempted, Delivery, MailDelivery};
pub use registry::{Alive, WorkerRow};
pub use releases::{Release, ReleaseChange, ReleaseCommit, ReleaseDeploy};
pub use reports::{DueReport, WeekFigures, WeekGroup, WeekReport};
pub use retry::DeadRecord;
pub use scripts::{Organization, ScriptToken, ScriptUser, SeenProject};

use crate::StoreError;

/// Connections of one process that writes.
const CONNECTIONS_MAX: u32 = 16;

/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Writes to the database. A cheap handle on a pool of connections.
#[derive(Debug, Clone)]
pub struct Writer {
    pub(crate) pool: PgPool,
    live: Arc<live::Cached>,
    facets: Arc<commit::facets::Remembered>,
    releases: Arc<commit::releases::Placed>,
    on_step: fn(&'static str),
}

impl Writer {
    /// Connects, and waits until one connection stands.
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        let writer = Self::connect_lazy(url)?;
        writer.ping().await?;
        Ok(writer)
    }

    /// Connects when first asked for something: the database may be down now and come later.
    pub fn connect_lazy(url: &str) -> Result<Self, StoreError> {
        let options: PgConnectOptions = url.parse()?;
        let options = options.application_name("croak-worker").options([
            ("client_min_messages", "error"),
            // A plan made while a table was small would be kept while it grows; planning is cheap beside a batch.
            ("plan_cache_mode", "force_custom_plan"),
            // Compiling a plan takes longer than any of ours runs.
            ("jit", "off"),
            // A machine that is lost closes nothing: its locks, and the house that it kept, are free after some seconds, not hours.
            ("tcp_keepalives_idle", "10"),
            ("tcp_keepalives_interval", "5"),
            ("tcp_keepalives_count", "3"),
            ("tcp_user_timeout", "25s"),
            ("idle_in_transaction_session_timeout", "30s"),
        ]);
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS_MAX)
            .acquire_timeout(CONNECT_TIMEOUT)
            // sqlx cannot tell whether a BEGIN whose future was dropped has reached the server. A connection that
            // still sits in a transaction would swallow the next statement without ever committing it.
            .after_release(|connection, _| {
                Box::pin(async move {
                    // With a beginning, or the server would log that there was nothing to end, every time.
                    connection.execute("begin; rollback").await?;
                    Ok(true)
                })
            })
            .connect_lazy_with(options);
        Ok(Self { pool, live: Arc::default(), facets: Arc::default(), releases: Arc::default(), on_step: |_| {} })
    }

    /// Calls `hook` at named points of a transaction, where failure tests kill the process.
    #[must_use]
    pub fn at_each_step(mut self, hook: fn(&'static str)) -> Self {
        self.on_step = hook;
        self
    }

    /// Forgets the releases and values that it has seen in the database: that was set back, and may lack them.
    pub fn forget(&self) {
        self.releases.forget();
        self.facets.forget();
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query_scalar!("select 1 as one").fetch_one(&self.pool).await?;
        Ok(())
    }
}

/// Runs what holds a transaction in a task of its own, so that nobody can drop it half way.
async fn detached<T: Send + 'static>(
    work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
) -> Result<T, StoreError> {
    tokio::spawn(work).await.map_err(StoreError::TaskDied)?
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

    use super::*;

    #[tokio::test]
    async fn a_machine_that_is_lost_gives_its_locks_back_soon() {
        let server =
            std::env::var("CROAK_TEST_DATABASE_URL").expect("CROAK_TEST_DATABASE_URL is set (script/test does)");
        let writer = Writer::connect(&server).await.unwrap();
        for (setting, value) in [
            ("tcp_keepalives_idle", "10"),
            ("tcp_keepalives_interval", "5"),
            ("tcp_keepalives_count", "3"),
            ("idle_in_transaction_session_timeout", "30s"),
        ] {
            let found: String =
                sqlx::query_scalar("select current_setting($1)").bind(setting).fetch_one(&writer.pool).await.unwrap();
            assert_eq!(found, value, "{setting}");
        }
    }
}
