//! What is left of deleted groups, taken away a little at a time.

use notice::Notice;
use notice::prost::Message as _;
use sqlx::Connection as _;

use crate::housekeeper::Housekeeper;
use crate::{StoreError, chunk};

/// Chunks that are taken away by one statement, and opened for the files that came with their notices.
const CHUNKS: i64 = 100;

/// Groups that are looked for at a time.
const GROUPS: i64 = 100;

impl Housekeeper {
    /// Takes away deleted groups: bodies first, then what was counted, the group's own row last; how many groups.
    pub async fn sweep_deleted_groups(&mut self) -> Result<u64, StoreError> {
        let mut swept = 0;
        loop {
            let groups = sqlx::query!(
                "select project_id, id from grp where deleted_at is not null order by project_id, id limit $1",
                GROUPS
            )
            .fetch_all(&mut self.connection)
            .await?;
            if groups.is_empty() {
                return Ok(swept);
            }
            for group in groups {
                self.sweep_deleted_group(group.project_id, group.id).await?;
                swept += 1;
            }
        }
    }

    async fn sweep_deleted_group(&mut self, project_id: i64, group_id: i64) -> Result<(), StoreError> {
        let fingerprints = sqlx::query_scalar!(
            "select id from fingerprint where project_id = $1 and group_id = $2 order by id",
            project_id,
            group_id
        )
        .fetch_all(&mut self.connection)
        .await?;
        loop {
            let mut transaction = self.connection.begin().await?;
            let gone = sqlx::query_file!("queries/deleted_chunks.sql", project_id, &fingerprints, CHUNKS)
                .fetch_all(&mut *transaction)
                .await?;
            let is_over = (gone.len() as i64) < CHUNKS;
            let client_ids: Vec<String> = gone
                .into_iter()
                .filter_map(|row| chunk::decode(row.codec, &row.body).ok())
                .flatten()
                .filter_map(|item| Notice::decode(item.body.as_slice()).ok()?.client_id)
                .collect();
            if !client_ids.is_empty() {
                sqlx::query_file!("queries/deleted_attachments.sql", project_id, &client_ids)
                    .execute(&mut *transaction)
                    .await?;
            }
            transaction.commit().await?;
            if is_over {
                break;
            }
        }
        sqlx::query!(
            "delete from user_met where project_id = $1 and fingerprint_id = any($2::bigint[])",
            project_id,
            &fingerprints
        )
        .execute(&mut self.connection)
        .await?;
        for fingerprint_id in fingerprints {
            sqlx::query_file!("queries/deleted_counts.sql", project_id, fingerprint_id)
                .execute(&mut self.connection)
                .await?;
        }
        for statement in GROUP_ROWS {
            sqlx::query(statement).bind(project_id).bind(group_id).execute(&mut self.connection).await?;
        }
        Ok(())
    }
}

/// What hangs on a group. `$1` is the project, `$2` the group.
const GROUP_ROWS: [&str; 4] = [
    "delete from comment where project_id = $1 and group_id = $2",
    "delete from grp_history where project_id = $1 and group_id = $2",
    "delete from grp_text where project_id = $1 and group_id = $2",
    "delete from grp where project_id = $1 and id = $2",
];
