//! The snapshot of projects, as gateways are to know it.

use notice::{Snapshot, SnapshotDictionary, SnapshotProject, SnapshotScrubbing};
use sqlx::postgres::PgConnection;

use crate::housekeeper::{Housekeeper, TrainedDictionary};
use crate::{StoreError, Writer, lane_epochs};

impl Writer {
    /// Grows with every change that gateways have to know of.
    pub async fn snapshot_version(&self) -> Result<u64, StoreError> {
        let version = sqlx::query_scalar!("select snapshot_version from installation").fetch_one(&self.pool).await?;
        Ok(version.unsigned_abs())
    }

    /// What gateways know of projects. The version is read first: a change while this is read raises it again.
    pub async fn snapshot(&self) -> Result<Snapshot, StoreError> {
        read(&mut *self.pool.acquire().await?).await
    }
}

impl Housekeeper {
    /// What gateways know of projects.
    pub async fn snapshot(&mut self) -> Result<Snapshot, StoreError> {
        read(&mut self.connection).await
    }
}

async fn read(connection: &mut PgConnection) -> Result<Snapshot, StoreError> {
    let installation =
        sqlx::query!("select id, lane_count, snapshot_version from installation").fetch_one(&mut *connection).await?;
    let projects = sqlx::query!(
        r#"select p.id, p.lane_subset, p.rate_per_minute_max, p.disabled,
               coalesce(array_agg(k.key) filter (where k.key is not null), '{}') as "keys!",
               s.fields as "fields?", s.patterns as "patterns?", s.ip as "ip?"
           from project p left join project_key k on k.project_id = p.id and k.revoked_at is null
           left join project_scrubbing s on s.project_id = p.id
           where p.deleted_at is null group by p.id, s.project_id order by p.id"#
    )
    .fetch_all(&mut *connection)
    .await?;
    let dictionary = newest_dictionary(&mut *connection).await?;
    let epochs = lane_epochs::read(&mut *connection).await?;
    Ok(Snapshot {
        dictionary: dictionary.map(|newest| SnapshotDictionary { codec: u32::from(newest.codec), bytes: newest.bytes }),
        install_id: installation.id.to_string(),
        version: installation.snapshot_version.unsigned_abs(),
        lane_count: installation.lane_count.unsigned_abs(),
        lane_epochs: epochs.into_iter().map(|epoch| epoch.lanes).collect(),
        projects: projects
            .into_iter()
            .map(|project| SnapshotProject {
                id: project.id.unsigned_abs(),
                key_sha256: project.keys.iter().map(|key| crate::token::sha256(key).to_vec()).collect(),
                lane_subset: u32::from(project.lane_subset.unsigned_abs()),
                rate_per_minute_max: project.rate_per_minute_max.map(i32::unsigned_abs),
                disabled: project.disabled,
                scrubbing: project.ip.map(|ip| SnapshotScrubbing {
                    fields: project.fields.unwrap_or_default(),
                    patterns: project.patterns.unwrap_or_default(),
                    ip,
                }),
            })
            .collect(),
    })
}

/// The dictionary that gateways pack with, if one was trained yet.
pub(crate) async fn newest_dictionary(connection: &mut PgConnection) -> Result<Option<TrainedDictionary>, StoreError> {
    let row = sqlx::query!("select codec, bytes, created_at from dictionary order by created_at desc, codec limit 1")
        .fetch_optional(connection)
        .await?;
    Ok(row.map(|row| TrainedDictionary {
        codec: row.codec.unsigned_abs(),
        bytes: row.bytes,
        created_at: row.created_at,
    }))
}
