//! Bringing the schema up to date.

use std::time::{Duration, Instant};

use sqlx::migrate::MigrateError;
use sqlx::postgres::PgConnection;
use sqlx::{Connection as _, Executor as _};

use crate::StoreError;

/// The migrations, as they were when this was built.
static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("./migrations");

/// How long others may hold what is to be changed, and the pause between two attempts.
const LOCKED_MAX: Duration = Duration::from_secs(600);
const LOCKED_PAUSE: Duration = Duration::from_secs(1);

/// Chunks become visible to whoever follows a project by the number of their transaction. A dump brings those of another server, which may
/// be greater than any here for weeks: what was restored is older than all that comes.
const VISIBLE_AFTER_RESTORE: &str = "do $$ begin
    if exists (select from project p where exists (
        select from chunk c where c.project_id = p.id and c.xid >= pg_snapshot_xmax(pg_current_snapshot())
    )) then
        update chunk set xid = '3' where xid >= pg_snapshot_xmax(pg_current_snapshot());
    end if;
end $$";

/// Applies the migrations that are missing; how many there were.
///
/// The url must belong to the owner of the schema, who may create roles. Several may run at
/// once: they wait for each other.
pub async fn migrate(url: &str) -> Result<usize, StoreError> {
    let mut connection = PgConnection::connect(url).await?;
    let before = applied(&mut connection).await?;
    // Who waits for a table holds up everybody behind it: somebody who reads for hours, as pg_dump does, would stop all.
    connection.execute("set lock_timeout = '2s'").await?;
    let since = Instant::now();
    while let Err(error) = MIGRATIONS.run(&mut connection).await {
        if !is_lock_timeout(&error) || since.elapsed() > LOCKED_MAX {
            return Err(error.into());
        }
        tracing::warn!("somebody reads what is to be changed: waiting for them");
        tokio::time::sleep(LOCKED_PAUSE).await;
    }
    connection.execute(VISIBLE_AFTER_RESTORE).await?;
    let after = applied(&mut connection).await?;
    connection.close().await?;
    Ok(after.saturating_sub(before))
}

/// Whether somebody else had a lock for too long.
fn is_lock_timeout(error: &MigrateError) -> bool {
    let (MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)) = error else { return false };
    matches!(error, sqlx::Error::Database(answer) if answer.code().as_deref() == Some("55P03"))
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
