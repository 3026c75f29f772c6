//! What operators do: projects, people, tokens, logins, and looking into what went wrong.
//!
//! Connects as the owner of the schema; services never do.

mod audit;
mod dead;
mod destination;
mod lanes;
mod measured;
mod organization;
mod people;
mod project;
mod status;

use sqlx::Connection as _;
use sqlx::postgres::{PgConnection, PgPool, PgPoolOptions};

pub use crate::token::SCOPES;
pub use crate::writer::Organization;
pub use audit::{Audit, Finding};
pub use dead::DeadNotice;
pub use destination::{DeliveryRow, DestinationRow, NewDestination};
pub use lanes::{EPOCH_LANES_MAX, EpochState, LANE_NUMBERS, LaneEpochStatus};
pub use measured::{Server, Statement, StatementCounts};
pub use people::{NewToken, TokenOwner, TokenRow};
pub use project::{NewProject, ProjectRow};
pub use status::{JournalStatus, LaneStatus, Status, WorkerStatus};

use crate::StoreError;

/// The two roles that services log in as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServiceRole {
    /// Writes rows, has no DDL.
    Worker,
    /// Only reads.
    Web,
}

impl ServiceRole {
    /// Its name in PostgreSQL.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Worker => "croak_worker",
            Self::Web => "croak_web",
        }
    }
}

/// The operators' access to the database.
#[derive(Debug, Clone)]
pub struct Admin {
    pool: PgPool,
}

impl Admin {
    /// Connects, and waits until one connection stands.
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        // The pool tries for half a minute and then only says that it did; one connection says at once what is wrong.
        PgConnection::connect(url).await?.close().await?;
        let pool = PgPoolOptions::new().max_connections(2).connect(url).await?;
        Ok(Self { pool })
    }

    /// Lets one of the services' roles log in with this password.
    pub async fn set_login(&self, role: ServiceRole, password: &str) -> Result<(), StoreError> {
        // ALTER ROLE takes no parameters, so PostgreSQL itself quotes what goes into it.
        let statement: String = sqlx::query_scalar!(
            r#"select format('alter role %I login password %L', $1::text, $2::text) as "statement!""#,
            role.as_str(),
            password
        )
        .fetch_one(&self.pool)
        .await?;
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&self.pool).await?;
        Ok(())
    }
}
