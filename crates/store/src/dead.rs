//! Dead records: what operators may do about one, from the command line and from a page.

use sqlx::PgConnection;
use uuid::Uuid;

use crate::StoreError;

/// Which record: its journal, lane and number there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct DeadNoticeId {
    /// The journal that it came from.
    pub journal: Uuid,
    /// Generation of the lanes.
    pub epoch: i32,
    /// The lane.
    pub lane: i32,
    /// Its number in the journal's lane.
    pub seq: i64,
}

/// Of whom a dead record was.
pub(crate) struct Whose {
    pub(crate) project_id: i64,
    pub(crate) notice_id: Uuid,
}

/// Asks the owner of the record's lane to try it again; nothing when the record is no longer there.
pub(crate) async fn retry(connection: &mut PgConnection, id: DeadNoticeId) -> Result<Option<Whose>, StoreError> {
    let asked = sqlx::query_as!(
        Whose,
        "update dead_notice set retry_at = now() where journal = $1 and epoch = $2 and lane = $3 and seq = $4
         returning project_id, notice_id",
        id.journal,
        id.epoch,
        id.lane,
        id.seq
    )
    .fetch_optional(connection)
    .await?;
    Ok(asked)
}

/// Drops a dead record for good, and writes an incident, so that the sums still tell where it went; nothing when it is no longer there.
pub(crate) async fn drop_for_good(
    connection: &mut PgConnection,
    id: DeadNoticeId,
) -> Result<Option<Whose>, StoreError> {
    let dropped = sqlx::query_as!(
        Whose,
        "with dropped as (
             delete from dead_notice where journal = $1 and epoch = $2 and lane = $3 and seq = $4
             returning project_id, notice_id, reason
         ), told as (
             insert into incident (kind, epoch, lane, journal, record_count, detail)
             select 'dead_dropped', $2, $3, $1, 1, notice_id || ': ' || reason from dropped
         )
         select project_id, notice_id from dropped",
        id.journal,
        id.epoch,
        id.lane,
        id.seq
    )
    .fetch_optional(connection)
    .await?;
    Ok(dropped)
}
