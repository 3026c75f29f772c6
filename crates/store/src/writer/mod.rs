//! Everything that changes the database while services run.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::Executor as _;

use crate::StoreError;

/// Connections of one process that writes.
const CONNECTIONS_MAX: u32 = 16;

/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Writes to the database. A cheap handle on a pool of connections.
#[derive(Debug, Clone)]
pub struct Writer {
    pool: PgPool,
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
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS_MAX)
            .acquire_timeout(CONNECT_TIMEOUT)
            // sqlx cannot tell whether a BEGIN whose future was dropped has reached the server. A connection that
            // still sits in a transaction would swallow the next statement without ever committing it.
            .after_release(|connection, _| {
                Box::pin(async move {
                    connection.execute("rollback").await?;
                    Ok(true)
                })
            })
            .connect_lazy_with(options.application_name("croak-worker").options([("client_min_messages", "error")]));
        Ok(Self { pool })
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query_scalar!("select 1 as one").fetch_one(&self.pool).await?;
        Ok(())
    }
}
