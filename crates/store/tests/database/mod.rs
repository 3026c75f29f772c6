//! A database of its own for each test, copied from one that was migrated once.

#![expect(clippy::expect_used, reason = "a test that cannot have its database has failed")]

use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use uuid::Uuid;

/// A migrated database.
pub(crate) struct Database {
    /// Its address, as a superuser.
    pub(crate) url: String,
    /// Connections for what a test looks at itself.
    pub(crate) pool: PgPool,
}

impl Database {
    /// A fresh database of the server at `CROAK_TEST_DATABASE_URL`.
    pub(crate) async fn fresh() -> Self {
        let server =
            std::env::var("CROAK_TEST_DATABASE_URL").expect("CROAK_TEST_DATABASE_URL is set (script/test does)");
        let name = format!("croak_test_{}", Uuid::new_v4().simple());
        let mut connection = PgConnection::connect(&server).await.expect("the test server answers");
        let template = template(&mut connection, &server).await;
        // Copying needs the template for itself: tests take turns.
        connection.execute("select pg_advisory_lock(4711)").await.expect("a lock");
        let statement = format!("create database {name} template {template}");
        connection.execute(AssertSqlSafe(statement)).await.expect("the template can be copied");
        connection.close().await.expect("an orderly end");
        let url = with_database(&server, &name);
        let pool = PgPoolOptions::new().max_connections(4).connect(&url).await.expect("the copy answers");
        Self { url, pool }
    }

    /// The first column of the first row.
    #[allow(dead_code, reason = "not every test looks for itself")]
    pub(crate) async fn number(&self, statement: &'static str) -> i64 {
        sqlx::query_scalar(statement).fetch_one(&self.pool).await.expect("a number")
    }
}

/// The migrated template, made by whichever test comes first; its name has the migrations' hash, so an old one is not met.
async fn template(connection: &mut PgConnection, server: &str) -> String {
    connection.execute("select pg_advisory_lock(4710)").await.expect("a lock");
    let name = format!("croak_template_{:016x}", migrations_hash());
    let is_there: bool = sqlx::query_scalar("select exists (select from pg_database where datname = $1)")
        .bind(&name)
        .fetch_one(&mut *connection)
        .await
        .expect("an answer");
    if !is_there {
        let unfinished = format!("{name}_unfinished");
        connection.execute(AssertSqlSafe(format!("drop database if exists {unfinished}"))).await.expect("no rest");
        connection.execute(AssertSqlSafe(format!("create database {unfinished}"))).await.expect("a new database");
        store::migrate(&with_database(server, &unfinished)).await.expect("the migrations hold");
        connection
            .execute(AssertSqlSafe(format!("alter database {unfinished} rename to {name}")))
            .await
            .expect("a name");
    }
    connection.execute("select pg_advisory_unlock(4710)").await.expect("a lock");
    name
}

fn migrations_hash() -> u64 {
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};
    let mut files: Vec<_> = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../../crates/store/migrations"))
        .expect("the migrations")
        .map(|file| file.expect("a file").path())
        .collect();
    files.sort();
    let mut hasher = DefaultHasher::new();
    for file in files {
        std::fs::read(file).expect("a migration").hash(&mut hasher);
    }
    hasher.finish()
}

fn with_database(server: &str, name: &str) -> String {
    let options: PgConnectOptions = server.parse().expect("an address");
    let user = options.get_username();
    let (host, port) = (options.get_host(), options.get_port());
    let password = server.split_once("://").and_then(|(_, rest)| rest.split_once('@')).map_or("", |(auth, _)| auth);
    if password.contains(':') {
        format!("postgres://{password}@{host}:{port}/{name}")
    } else {
        format!("postgres://{user}@{host}:{port}/{name}")
    }
}
