//! What is left of deleted groups, taken away a little at a time.

use notice::Notice;
use notice::prost::Message as _;
use sqlx::Connection as _;

use crate::housekeeper::{Housekeeper, Progress, Turn};
use crate::{StoreError, chunk};

/// Chunks that are taken away by one statement, and opened for the files that came with their notices.
const CHUNKS: i64 = 50;

/// Groups that are looked for at a time.
const GROUPS: i64 = 100;

impl Housekeeper {
    /// Takes away deleted groups: bodies first, then what was counted, the group's own row last; how many groups.
    pub async fn sweep_deleted_groups(&mut self, turn: Turn) -> Result<Progress, StoreError> {
        let mut progress = Progress::default();
        loop {
            let groups = sqlx::query!(
                "select project_id, id from grp where deleted_at is not null order by project_id, id limit $1",
                GROUPS
            )
            .fetch_all(&mut self.connection)
            .await?;
            if groups.is_empty() {
                return Ok(progress.done());
            }
            for group in groups {
                if !self.sweep_deleted_group(group.project_id, group.id, turn).await? {
                    return Ok(progress);
                }
                progress.count += 1;
            }
        }
    }

    /// Whether nothing of it is left.
    async fn sweep_deleted_group(&mut self, project_id: i64, group_id: i64, turn: Turn) -> Result<bool, StoreError> {
        let fingerprints = sqlx::query_scalar!(
            "select id from fingerprint where project_id = $1 and group_id = $2 order by id",
            project_id,
            group_id
        )
        .fetch_all(&mut self.connection)
        .await?;
        let has_files = sqlx::query_scalar!(
            r#"select exists (select from attachment where project_id = $1) as "has_files!""#,
            project_id
        )
        .fetch_one(&mut self.connection)
        .await?;
        loop {
            let mut transaction = self.connection.begin().await?;
            let gone = sqlx::query_file!("queries/deleted_chunks.sql", project_id, &fingerprints, CHUNKS)
                .fetch_all(&mut *transaction)
                .await?;
            let is_over = (gone.len() as i64) < CHUNKS;
            let client_ids: Vec<String> = gone
                .into_iter()
                .filter(|_| has_files)
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
            if turn.is_over() {
                return Ok(false);
            }
        }
        for fingerprint_id in fingerprints {
            if !self.delete_slices(USERS, &[project_id, fingerprint_id], turn, &mut 0).await? {
                return Ok(false);
            }
            sqlx::query_file!("queries/deleted_counts.sql", project_id, fingerprint_id)
                .execute(&mut self.connection)
                .await?;
            if turn.is_over() {
                return Ok(false);
            }
        }
        for statement in GROUP_ROWS {
            if !self.delete_slices(statement, &[project_id, group_id], turn, &mut 0).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// One slice of who met a fingerprint. `$1` is the project, `$2` the fingerprint, `$3` the most rows.
const USERS: &str = "delete from user_met where ctid in
    (select ctid from user_met where project_id = $1 and fingerprint_id = $2 limit $3)";

/// One slice of what hangs on a group. `$1` is the project, `$2` the group, `$3` the most rows.
const GROUP_ROWS: [&str; 5] = [
    "delete from alert where (rule_id, id) in (select a.rule_id, a.id from alert_rule r join alert a on a.rule_id = r.id
     where r.project_id = $1 and a.group_id = $2 and a.kind in ('group.count', 'group.users') limit $3)",
    "delete from comment where ctid in (select ctid from comment where project_id = $1 and group_id = $2 limit $3)",
    "delete from grp_history where ctid in (select ctid from grp_history where project_id = $1 and group_id = $2 limit $3)",
    "delete from grp_text where ctid in (select ctid from grp_text where project_id = $1 and group_id = $2 limit $3)",
    "delete from grp where ctid in (select ctid from grp where project_id = $1 and id = $2 limit $3)",
];
