//! What build tools upload: chunks, and the bundles that are assembled of them.

use sqlx::{Postgres, Transaction};
use uuid::Uuid;

use super::Writer;
use crate::StoreError;

/// The number in the database of what files are packed with.
const ZSTD: i16 = 1;

/// A bundle that somebody wants, by its content.
#[derive(Debug, Clone)]
pub struct WantedBundle {
    /// The organization whose chunks it is made of.
    pub organization_id: i64,
    /// Of the whole.
    pub sha1: [u8; 20],
    /// The projects that it is for.
    pub project_ids: Vec<i64>,
    /// The release that it is of, if it is of one.
    pub release: Option<String>,
    /// Which build of it.
    pub dist: Option<String>,
}

/// A file of a bundle, packed.
#[derive(Debug)]
pub struct NewArtifact {
    /// `minified_source`, `source_map`, `source` or `other`.
    pub kind: &'static str,
    /// Where it is served, as its manifest has it.
    pub url: Option<String>,
    /// What ties a file to its map.
    pub debug_id: Option<Uuid>,
    /// Where the file says that its map is.
    pub source_map_url: Option<String>,
    /// Of the file, unpacked.
    pub sha256: [u8; 32],
    /// Of the file, unpacked.
    pub byte_count: i64,
    /// The file packed by zstd.
    pub zstd: Vec<u8>,
}

/// A bundle that is being written: all of it becomes visible at once, or nothing.
#[derive(Debug)]
pub struct NewBundle {
    transaction: Transaction<'static, Postgres>,
    wanted: WantedBundle,
    bundle_ids: Vec<i64>,
    debug_ids: std::collections::HashSet<Uuid>,
    file_count: i32,
    byte_count: i64,
}

impl Writer {
    /// Keeps a chunk until its bundle is assembled, or for a day. The caller has compared its sum.
    pub async fn put_chunk(&self, organization_id: i64, sha1: &[u8; 20], body: &[u8]) -> Result<(), StoreError> {
        sqlx::query!(
            "insert into upload_chunk (organization_id, sha1, body) values ($1, $2, $3)
             on conflict (organization_id, sha1) do update set created_at = now()",
            organization_id,
            sha1.as_slice(),
            body
        )
        .execute(&self.pool)
        .await?;
        (self.on_step)("worker.after_chunk");
        Ok(())
    }

    /// Bytes of the chunks that an organization has not had assembled yet.
    pub async fn chunk_bytes(&self, organization_id: i64) -> Result<u64, StoreError> {
        let bytes = sqlx::query_scalar!(
            r#"select coalesce(sum(octet_length(body)), 0)::bigint as "bytes!" from upload_chunk where organization_id = $1"#,
            organization_id
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(bytes.unsigned_abs())
    }

    /// The lengths of those of these chunks that are there, by their sums.
    pub async fn chunk_lengths(
        &self,
        organization_id: i64,
        sha1s: &[[u8; 20]],
    ) -> Result<std::collections::HashMap<[u8; 20], u64>, StoreError> {
        let wanted: Vec<Vec<u8>> = sha1s.iter().map(|sha1| sha1.to_vec()).collect();
        let rows = sqlx::query!(
            r#"select sha1, octet_length(body) as "bytes!" from upload_chunk where organization_id = $1 and sha1 = any($2)"#,
            organization_id,
            &wanted
        )
        .fetch_all(&self.pool)
        .await?;
        let known =
            rows.into_iter().filter_map(|row| Some((row.sha1.try_into().ok()?, u64::from(row.bytes.unsigned_abs()))));
        Ok(known.collect())
    }

    /// A chunk, if it is there.
    pub async fn chunk(&self, organization_id: i64, sha1: &[u8; 20]) -> Result<Option<Vec<u8>>, StoreError> {
        let body = sqlx::query_scalar!(
            "select body from upload_chunk where organization_id = $1 and sha1 = $2",
            organization_id,
            sha1.as_slice()
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(body)
    }

    /// Whether a bundle of this content is there for all its projects, release and build; one that one of the projects `seen` has for
    /// another of them is taken over. One that housekeep has begun to take away does not count.
    pub async fn bundle_again(&self, wanted: &WantedBundle, seen: &[i64]) -> Result<bool, StoreError> {
        let mut transaction = self.pool.begin().await?;
        for project_id in &wanted.project_ids {
            let is_there = sqlx::query!(
                "update artifact_bundle b set uploaded_at = now()
                 where b.sha1 = $1 and b.project_id = $2 and b.release is not distinct from $3 and b.dist is not distinct from $4
                     and b.file_count = (select count(*) from artifact a where a.bundle_id = b.id)",
                wanted.sha1.as_slice(),
                project_id,
                wanted.release,
                wanted.dist
            )
            .execute(&mut *transaction)
            .await?
            .rows_affected()
                > 0;
            if is_there {
                continue;
            }
            let copied = sqlx::query_file!(
                "queries/copy_bundle.sql",
                wanted.sha1.as_slice(),
                *project_id,
                wanted.release,
                wanted.dist,
                seen
            )
            .fetch_one(&mut *transaction)
            .await?;
            if copied.bundle_count == 0 {
                return Ok(false);
            }
        }
        transaction.commit().await?;
        Ok(true)
    }

    /// Begins to write a bundle; none while another one is being written. Bundles share their files' bytes, and two of them at a time would
    /// wait for each other.
    pub async fn begin_bundle(&self, wanted: WantedBundle) -> Result<Option<NewBundle>, StoreError> {
        let mut transaction = self.pool.begin().await?;
        let is_mine =
            sqlx::query_scalar!(r#"select pg_try_advisory_xact_lock(hashtext('croak bundle')) as "is_mine!""#)
                .fetch_one(&mut *transaction)
                .await?;
        if !is_mine {
            return Ok(None);
        }
        let bundle_ids = sqlx::query_scalar!(
            "insert into artifact_bundle (sha1, project_id, release, dist, debug_id_count, file_count, byte_count)
             select $1, project_id, $3, $4, 0, 0, 0 from unnest($2::bigint[]) as of (project_id) order by project_id returning id",
            wanted.sha1.as_slice(),
            &wanted.project_ids,
            wanted.release,
            wanted.dist
        )
        .fetch_all(&mut *transaction)
        .await?;
        let debug_ids = std::collections::HashSet::new();
        Ok(Some(NewBundle { transaction, wanted, bundle_ids, debug_ids, file_count: 0, byte_count: 0 }))
    }
}

impl NewBundle {
    /// Adds a file.
    pub async fn put_file(&mut self, file: &NewArtifact) -> Result<(), StoreError> {
        // The date keeps housekeep from taking away what a bundle is about to name.
        let is_there =
            sqlx::query!("update artifact_blob set created_at = now() where sha256 = $1", file.sha256.as_slice())
                .execute(&mut *self.transaction)
                .await?
                .rows_affected()
                > 0;
        if !is_there {
            sqlx::query!(
                "insert into artifact_blob (sha256, byte_count, codec, body) values ($1, $2, $3, $4)
                 on conflict (sha256) do update set created_at = now()",
                file.sha256.as_slice(),
                file.byte_count,
                ZSTD,
                file.zstd
            )
            .execute(&mut *self.transaction)
            .await?;
        }
        sqlx::query!(
            "insert into artifact (bundle_id, project_id, kind, url, debug_id, source_map_url, sha256, byte_count)
             select b.id, b.project_id, $2, $3, $4, $5, $6, $7 from artifact_bundle b where b.id = any($1) order by b.id",
            &self.bundle_ids,
            file.kind,
            file.url,
            file.debug_id,
            file.source_map_url,
            file.sha256.as_slice(),
            file.byte_count
        )
        .execute(&mut *self.transaction)
        .await?;
        self.debug_ids.extend(file.debug_id);
        self.file_count += 1;
        self.byte_count += file.byte_count;
        Ok(())
    }

    /// Makes it visible, and lets its chunks go.
    pub async fn commit(mut self, chunks: &[[u8; 20]]) -> Result<(), StoreError> {
        let debug_id_count = i32::try_from(self.debug_ids.len()).unwrap_or(i32::MAX);
        sqlx::query!(
            "update artifact_bundle set debug_id_count = $2, file_count = $3, byte_count = $4 where id = any($1)",
            &self.bundle_ids,
            debug_id_count,
            self.file_count,
            self.byte_count
        )
        .execute(&mut *self.transaction)
        .await?;
        let chunks: Vec<Vec<u8>> = chunks.iter().map(|sha1| sha1.to_vec()).collect();
        sqlx::query!(
            "delete from upload_chunk where organization_id = $1 and sha1 = any($2)",
            self.wanted.organization_id,
            &chunks
        )
        .execute(&mut *self.transaction)
        .await?;
        self.transaction.commit().await.map_err(StoreError::CommitUnknown)
    }
}
