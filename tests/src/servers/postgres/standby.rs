//! A second server that follows a first one, and takes its place.

use std::net::SocketAddr;
use std::time::Duration;

use sqlx::{Connection, PgConnection};

use super::{Postgres, program, server_folder};
use crate::port::Port;
use crate::wait_until;

/// A standby must follow this soon.
const FOLLOW_LIMIT: Duration = Duration::from_secs(60);

impl Postgres {
    /// Makes a copy of this server that follows it, by way of `primary`: the address of the server or of what stands in front of it.
    pub async fn standby(&self, primary: SocketAddr) -> Postgres {
        let mut standby = Postgres { port: Port::free(), folder: server_folder(), process: None };
        self.base_backup(&standby.data(), Some(primary)).await;
        standby.start_again().await;
        wait_until("the standby follows", FOLLOW_LIMIT, async || {
            let following = self.number("select count(*) from pg_stat_replication where state = 'streaming'").await;
            (following == Some(1)).then_some(())
        })
        .await;
        standby
    }

    /// From now on a commit is told to clients only after the standby has it, too.
    pub async fn wait_for_standby(&self) {
        self.run("alter system set synchronous_standby_names = '*'").await;
        self.run("select pg_reload_conf()").await;
        wait_until("commits wait for the standby", FOLLOW_LIMIT, async || {
            let waiting = self.number("select count(*) from pg_stat_replication where sync_state = 'sync'").await;
            (waiting == Some(1)).then_some(())
        })
        .await;
    }

    /// Makes a standby the server that takes writes.
    pub async fn promote(&self) {
        self.run("select pg_promote()").await;
        wait_until("the standby takes writes", FOLLOW_LIMIT, async || {
            (self.number("select pg_is_in_recovery()::int").await == Some(0)).then_some(())
        })
        .await;
    }

    /// Copies the whole server into an empty folder while it runs; as a standby of `primary`, if one is named.
    pub(super) async fn base_backup(&self, folder: &std::path::Path, primary: Option<SocketAddr>) {
        let from = primary.unwrap_or_else(|| self.address());
        let mut command = program("pg_basebackup");
        command.args(["-h", &from.ip().to_string(), "-p", &from.port().to_string(), "-U", "postgres"]);
        command.args(["--checkpoint=fast", "--wal-method=stream", "--no-sync", "-D"]).arg(folder);
        if primary.is_some() {
            command.arg("--write-recovery-conf");
        }
        let made = tokio::process::Command::from(command).output().await.expect("pg_basebackup starts");
        assert!(made.status.success(), "pg_basebackup: {}", String::from_utf8_lossy(&made.stderr));
    }

    /// Runs a statement as its superuser.
    pub async fn run(&self, statement: &'static str) {
        let mut connection = PgConnection::connect(&self.url("postgres")).await.expect("the server answers");
        sqlx::raw_sql(statement).execute(&mut connection).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
    }

    /// One number, if the server answers.
    pub async fn number(&self, statement: &'static str) -> Option<i64> {
        let mut connection = PgConnection::connect(&self.url("postgres")).await.ok()?;
        sqlx::query_scalar(sqlx::AssertSqlSafe(format!("select ({statement})::bigint")))
            .fetch_one(&mut connection)
            .await
            .ok()
    }
}
