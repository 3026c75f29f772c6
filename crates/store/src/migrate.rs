//! Bringing the schema up to date.

use sqlx::Connection as _;
use sqlx::postgres::PgConnection;

use crate::StoreError;

/// The migrations, as they were when this was built.
static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("./migrations");

/// Applies the migrations that are missing; how many there were.
///
/// The url must belong to the owner of the schema, who may create roles. Several may run at
/// once: they wait for each other.
pub async fn migrate(url: &str) -> Result<usize, StoreError> {
    let mut connection = PgConnection::connect(url).await?;
    let before = applied(&mut connection).await?;
    MIGRATIONS.run(&mut connection).await?;
    let after = applied(&mut connection).await?;
    connection.close().await?;
    Ok(after.saturating_sub(before))
}

async fn applied(connection: &mut PgConnection) -> Result<usize, StoreError> {
    // The table is sqlx's own and is not there before the first run, so this cannot be checked at compile time.
    let is_there: bool =
        sqlx::query_scalar("select to_regclass('_sqlx_migrations') is not null").fetch_one(&mut *connection).await?;
    if !is_there {
        return Ok(0);
    }
    let count: i64 =
        sqlx::query_scalar("select count(*) from _sqlx_migrations where success").fetch_one(connection).await?;
    Ok(usize::try_from(count).unwrap_or(0))
}
