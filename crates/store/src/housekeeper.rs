//! What has to be done from time to time, by one process of the installation: partitions, roll-ups, retention, the
//! snapshot of projects.
//!
//! The housekeeper is whoever holds an advisory lock, and does its work on the connection that holds it: who loses the
//! connection is no longer housekeeper and can do nothing in that belief.

use notice::{Snapshot, SnapshotDictionary, SnapshotProject, SnapshotScrubbing};
use sqlx::postgres::PgConnection;
use time::{Date, OffsetDateTime};

use crate::chunk;
use crate::{StoreError, Writer};

/// Partitions are made this many days ahead.
const DAYS_AHEAD: i32 = 3;

/// Minutes are kept this many whole days before they are rolled up into hours.
const MINUTE_DAYS: i32 = 2;

/// Rows deleted by one statement of a sweep: short enough that nobody waits for its locks.
const SLICE: i64 = 500;

/// Finished deliveries and commands, and rows of the ledger, are kept this long.
const OUTBOX_DAYS: i32 = 14;
const COMMAND_DAYS: i32 = 30;
const LEDGER_DAYS: i32 = 400;

/// What nobody could be told of for so long is given up, as where no server takes mails or a destination is off.
const CALL_WAITS_DAYS: i32 = 7;
const MAIL_WAITS_DAYS: i32 = 3;
/// Links in mails, and invitations that nobody accepted, are kept this long after they are over; the audit log of
/// organizations and accounts is kept this long.
const LINK_DAYS: i32 = 7;
const AUDIT_LOG_DAYS: i32 = 730;

/// Chunks that nothing was assembled of, and files that no bundle names, are kept this long.
const UPLOAD_DAYS: i32 = 1;

/// The accounted set of a journal is kept this long: a disk that comes back later is for the operator to decide.
const JOURNAL_CURSOR_DAYS: i32 = 365;

/// Chunks that are opened to train a dictionary, of as many fingerprints, and notices that are taken of each.
const TRAINING_CHUNKS: i64 = 1_000;
const TRAINING_PER_CHUNK: usize = 4;

/// A trained dictionary.
#[derive(Debug, Clone)]
pub struct TrainedDictionary {
    /// Its number.
    pub codec: u16,
    /// What it is.
    pub bytes: Vec<u8>,
    /// When it was trained.
    pub created_at: OffsetDateTime,
}

/// Holder of the lock "croak housekeeper" and of the connection that holds it.
#[derive(Debug)]
pub struct Housekeeper {
    pub(crate) connection: PgConnection,
}

/// What a round of retention took away.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Expired {
    /// Days whose partitions were dropped.
    pub days: u32,
    /// Notices that were in them or were deleted by a project's shorter retention.
    pub notices: i64,
}

impl Writer {
    /// Becomes the housekeeper, unless another process is.
    pub async fn housekeeper(&self) -> Result<Option<Housekeeper>, StoreError> {
        let mut connection = self.pool.acquire().await?.detach();
        let is_mine =
            sqlx::query_scalar!(r#"select pg_try_advisory_lock(hashtext('croak housekeeper')) as "is_mine!""#)
                .fetch_one(&mut connection)
                .await?;
        if !is_mine {
            return Ok(None);
        }
        // DDL must not queue up behind a long reader with everybody else queueing up behind it.
        sqlx::query!("set lock_timeout = '2s'").execute(&mut connection).await?;
        Ok(Some(Housekeeper { connection }))
    }
}

impl Housekeeper {
    /// Grows with every change that gateways have to know of.
    pub async fn snapshot_version(&mut self) -> Result<u64, StoreError> {
        let version =
            sqlx::query_scalar!("select snapshot_version from installation").fetch_one(&mut self.connection).await?;
        Ok(version.unsigned_abs())
    }

    /// What gateways know of projects. The version is read first: a change while this is read raises it again.
    pub async fn snapshot(&mut self) -> Result<Snapshot, StoreError> {
        let installation = sqlx::query!("select id, lane_count, snapshot_version from installation")
            .fetch_one(&mut self.connection)
            .await?;
        let projects = sqlx::query!(
            r#"select p.id, p.lane_subset, p.rate_per_minute_max, p.disabled,
                   coalesce(array_agg(k.key) filter (where k.key is not null), '{}') as "keys!",
                   s.fields as "fields?", s.patterns as "patterns?", s.ip as "ip?"
               from project p left join project_key k on k.project_id = p.id and k.revoked_at is null
               left join project_scrubbing s on s.project_id = p.id
               where p.deleted_at is null group by p.id, s.project_id order by p.id"#
        )
        .fetch_all(&mut self.connection)
        .await?;
        let dictionary = self.newest_dictionary().await?;
        let lane_epochs = self.lane_epochs().await?;
        Ok(Snapshot {
            dictionary: dictionary
                .map(|newest| SnapshotDictionary { codec: u32::from(newest.codec), bytes: newest.bytes }),
            install_id: installation.id.to_string(),
            version: installation.snapshot_version.unsigned_abs(),
            lane_count: installation.lane_count.unsigned_abs(),
            lane_epochs: lane_epochs.into_iter().map(|epoch| epoch.lanes).collect(),
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
    pub async fn newest_dictionary(&mut self) -> Result<Option<TrainedDictionary>, StoreError> {
        let row =
            sqlx::query!("select codec, bytes, created_at from dictionary order by created_at desc, codec limit 1")
                .fetch_optional(&mut self.connection)
                .await?;
        Ok(row.map(|row| TrainedDictionary {
            codec: row.codec.unsigned_abs(),
            bytes: row.bytes,
            created_at: row.created_at,
        }))
    }

    /// Keeps a dictionary under this number for good; false if another one has the number.
    pub async fn add_dictionary(&mut self, codec: u16, bytes: &[u8]) -> Result<bool, StoreError> {
        let codec = i16::try_from(codec).map_err(|_| StoreError::Invalid("no dictionary has this number".into()))?;
        let added = sqlx::query!(
            "insert into dictionary (codec, bytes) values ($1, $2) on conflict (codec) do nothing",
            codec,
            bytes
        )
        .execute(&mut self.connection)
        .await?;
        Ok(added.rows_affected() == 1)
    }

    /// Bodies to train a dictionary on: a few of each of many fingerprints that were seen in the last day.
    pub async fn bodies_to_train(&mut self) -> Result<Vec<Vec<u8>>, StoreError> {
        let rows = sqlx::query!(
            "select distinct on (project_id, fingerprint_id) codec, body
             from (select * from chunk where last_at > now() - interval '1 day' order by last_at desc limit 20 * $1::bigint) newest
             order by project_id, fingerprint_id, last_at desc
             limit $1",
            TRAINING_CHUNKS
        )
        .fetch_all(&mut self.connection)
        .await?;
        let opened = rows.into_iter().filter_map(|row| chunk::decode(row.codec, &row.body).ok());
        Ok(opened.flat_map(|items| items.into_iter().take(TRAINING_PER_CHUNK)).map(|item| item.body).collect())
    }

    /// Makes the partitions of today and the days ahead; how many were missing.
    pub async fn ensure_partitions(&mut self) -> Result<i64, StoreError> {
        let made = sqlx::query_scalar!(
            r#"select sum(partition_ensure((now() at time zone 'utc')::date + d))::bigint as "made!" from generate_series(-1, $1::int) d"#,
            DAYS_AHEAD
        )
        .fetch_one(&mut self.connection)
        .await?;
        Ok(made)
    }

    /// Rolls minutes up into hours and drops their partitions, oldest day first; how many days.
    pub async fn roll_up_minutes(&mut self) -> Result<u32, StoreError> {
        let days = self.days_older_than("fingerprint_minute", MINUTE_DAYS).await?;
        let mut rolled_up = 0;
        for day in days {
            sqlx::query_scalar!("select minutes_roll_up($1)", day).fetch_one(&mut self.connection).await?;
            rolled_up += 1;
        }
        Ok(rolled_up)
    }

    /// Retention: drops the days that no project needs any more, then deletes what projects with a shorter one do not need.
    pub async fn expire(&mut self) -> Result<Expired, StoreError> {
        let longest = sqlx::query_scalar!(
            r#"select coalesce(max(retention_days), 90) as "longest!" from project where deleted_at is null"#
        )
        .fetch_one(&mut self.connection)
        .await?;
        let mut expired = Expired::default();
        for day in self.days_older_than("chunk", longest).await? {
            let gone =
                sqlx::query_scalar!(r#"select day_expire($1) as "gone!""#, day).fetch_one(&mut self.connection).await?;
            expired.days += 1;
            expired.notices += gone;
        }
        let shorter = sqlx::query!(
            "select id, retention_days from project where deleted_at is null and retention_days < $1 order by id",
            longest
        )
        .fetch_all(&mut self.connection)
        .await?;
        for project in shorter {
            loop {
                let gone = sqlx::query_file!("queries/expire_slice.sql", project.id, project.retention_days, SLICE)
                    .fetch_one(&mut self.connection)
                    .await?;
                expired.notices += gone.notice_count;
                if gone.chunk_count < SLICE {
                    break;
                }
            }
            loop {
                let gone =
                    sqlx::query_file!("queries/expire_attachments.sql", project.id, project.retention_days, SLICE)
                        .execute(&mut self.connection)
                        .await?;
                if gone.rows_affected() < SLICE.unsigned_abs() {
                    break;
                }
            }
        }
        Ok(expired)
    }

    /// Ends mutes whose time is over, of groups that no notice comes for; how many.
    pub async fn end_mutes(&mut self) -> Result<u64, StoreError> {
        let mut ended = 0;
        loop {
            let slice = sqlx::query_file!("queries/end_mutes.sql", SLICE).execute(&mut self.connection).await?;
            ended += slice.rows_affected();
            if slice.rows_affected() < SLICE.unsigned_abs() {
                return Ok(ended);
            }
        }
    }

    /// Deletes what is finished and old; how many rows.
    pub async fn sweep(&mut self) -> Result<u64, StoreError> {
        let mut swept = 0;
        swept += sqlx::query!(
            "delete from outbox where coalesce(done_at, gave_up_at) < now() - $1 * interval '1 day'",
            f64::from(OUTBOX_DAYS)
        )
        .execute(&mut self.connection)
        .await?
        .rows_affected();
        swept += sqlx::query!(
            "update outbox set gave_up_at = now(), body = case when recipient is null then body else '{}' end
             where done_at is null and gave_up_at is null and (claimed_until is null or claimed_until < now())
               and created_at < now() - case when recipient is null then $1::float8 else $2::float8 end * interval '1 day'",
            f64::from(CALL_WAITS_DAYS),
            f64::from(MAIL_WAITS_DAYS)
        )
        .execute(&mut self.connection)
        .await?
        .rows_affected();
        swept += sqlx::query!(
            // By how many users met a group a rule is met once for ever.
            "delete from alert where told_at < now() - $1 * interval '1 day' and kind <> 'group.users'",
            f64::from(OUTBOX_DAYS)
        )
        .execute(&mut self.connection)
        .await?
        .rows_affected();
        swept += sqlx::query!("delete from command where at < now() - $1 * interval '1 day'", f64::from(COMMAND_DAYS))
            .execute(&mut self.connection)
            .await?
            .rows_affected();
        swept +=
            sqlx::query!("delete from ledger where minute < now() - $1 * interval '1 day'", f64::from(LEDGER_DAYS))
                .execute(&mut self.connection)
                .await?
                .rows_affected();
        swept += sqlx::query_file!("queries/forget_journals.sql", f64::from(JOURNAL_CURSOR_DAYS))
            .fetch_one(&mut self.connection)
            .await?
            .journal_count
            .unsigned_abs();
        swept += sqlx::query!("delete from worker where alive_until < now() - interval '1 day'")
            .execute(&mut self.connection)
            .await?
            .rows_affected();
        swept += sqlx::query!(
            "delete from account_link where expires_at < now() - $1 * interval '1 day'",
            f64::from(LINK_DAYS)
        )
        .execute(&mut self.connection)
        .await?
        .rows_affected();
        swept += sqlx::query!(
            "delete from invitation where expires_at < now() - $1 * interval '1 day'",
            f64::from(LINK_DAYS)
        )
        .execute(&mut self.connection)
        .await?
        .rows_affected();
        swept +=
            sqlx::query!("delete from audit_log where at < now() - $1 * interval '1 day'", f64::from(AUDIT_LOG_DAYS))
                .execute(&mut self.connection)
                .await?
                .rows_affected();
        swept += self.sweep_client_ids().await?;
        Ok(swept)
    }

    /// Takes away bundles that were not uploaded again for so many days, and chunks and files that nothing is made of; how many rows.
    pub async fn expire_artifacts(&mut self, keep_days: u32) -> Result<u64, StoreError> {
        let mut swept = 0;
        for (statement, days) in [
            (EXPIRE_CHUNKS, UPLOAD_DAYS),
            (EXPIRE_ARTIFACTS, keep_days.cast_signed()),
            (EXPIRE_BUNDLES, keep_days.cast_signed()),
            (EXPIRE_BLOBS, UPLOAD_DAYS),
        ] {
            loop {
                let gone = sqlx::query(statement)
                    .bind(f64::from(days))
                    .bind(SLICE)
                    .execute(&mut self.connection)
                    .await?
                    .rows_affected();
                swept += gone;
                if gone < SLICE.unsigned_abs() {
                    break;
                }
            }
        }
        Ok(swept)
    }

    /// Deletes what is left of deleted projects, bodies first and in slices, the project's own row last; how many rows.
    pub async fn sweep_deleted_projects(&mut self) -> Result<u64, StoreError> {
        let projects = sqlx::query_scalar!("select id from project where deleted_at is not null order by id")
            .fetch_all(&mut self.connection)
            .await?;
        let mut swept = 0;
        for project_id in projects {
            for delete in PROJECT_ROWS {
                loop {
                    let gone = sqlx::query(delete)
                        .bind(project_id)
                        .bind(SLICE)
                        .execute(&mut self.connection)
                        .await?
                        .rows_affected();
                    swept += gone;
                    if gone < SLICE.unsigned_abs() {
                        break;
                    }
                }
            }
            // Keys, memberships, tokens and webhooks hang on it.
            sqlx::query!("delete from project_key where project_id = $1", project_id)
                .execute(&mut self.connection)
                .await?;
            swept += sqlx::query!("delete from project where id = $1", project_id)
                .execute(&mut self.connection)
                .await?
                .rows_affected();
        }
        Ok(swept)
    }

    async fn days_older_than(&mut self, table: &str, days: i32) -> Result<Vec<Date>, StoreError> {
        let found = sqlx::query_scalar!(
            r#"select day as "day!" from partition_days($1) day where day < (now() at time zone 'utc')::date - $2::int order by 1"#,
            table,
            days
        )
        .fetch_all(&mut self.connection)
        .await?;
        Ok(found)
    }
}

/// One slice of what uploads leave. `$1` is how many days it is kept, `$2` the most rows. A bundle goes after its files, so that no slice is
/// greater than it says.
const EXPIRE_CHUNKS: &str =
    "delete from upload_chunk where (organization_id, sha1) in (select organization_id, sha1 from upload_chunk
    where created_at < now() - $1 * interval '1 day' limit $2)";
const EXPIRE_ARTIFACTS: &str =
    "delete from artifact where id in (select a.id from artifact_bundle b join artifact a on a.bundle_id = b.id
    where b.uploaded_at < now() - $1 * interval '1 day' limit $2)";
const EXPIRE_BUNDLES: &str =
    "delete from artifact_bundle b where b.uploaded_at < now() - $1 * interval '1 day' and b.id in
    (select o.id from artifact_bundle o where o.uploaded_at < now() - $1 * interval '1 day'
     and not exists (select from artifact a where a.bundle_id = o.id) limit $2)";
/// A file that a bundle in the making is about to name is younger, or locked.
const EXPIRE_BLOBS: &str = "delete from artifact_blob where sha256 in (select b.sha256 from artifact_blob b
    where b.created_at < now() - $1 * interval '1 day' and not exists (select from artifact a where a.sha256 = b.sha256)
    limit $2 for update skip locked)";

/// One slice of a project's rows, table by table. `$1` is the project, `$2` the most rows.
const PROJECT_ROWS: [&str; 26] = [
    "delete from artifact where ctid in (select ctid from artifact where project_id = $1 limit $2)",
    "delete from artifact_bundle where ctid in (select ctid from artifact_bundle where project_id = $1 limit $2)",
    "delete from attachment_part where (tableoid, ctid) in (select tableoid, ctid from attachment_part where project_id = $1 limit $2)",
    "delete from attachment where ctid in (select ctid from attachment where project_id = $1 limit $2)",
    "delete from client_id_run where ctid in (select ctid from client_id_run where project_id = $1 limit $2)",
    "delete from client_id_index where ctid in (select ctid from client_id_index where project_id = $1 limit $2)",
    "delete from chunk where (tableoid, ctid) in (select tableoid, ctid from chunk where project_id = $1 limit $2)",
    "delete from stats_record where (tableoid, ctid) in (select tableoid, ctid from stats_record where project_id = $1 limit $2)",
    "delete from fingerprint_minute where (tableoid, ctid) in (select tableoid, ctid from fingerprint_minute where project_id = $1 limit $2)",
    "delete from project_minute where (tableoid, ctid) in (select tableoid, ctid from project_minute where project_id = $1 limit $2)",
    "delete from fingerprint_hour where ctid in (select ctid from fingerprint_hour where project_id = $1 limit $2)",
    "delete from fingerprint_day where ctid in (select ctid from fingerprint_day where project_id = $1 limit $2)",
    "delete from expired where ctid in (select ctid from expired where project_id = $1 limit $2)",
    "delete from facet where ctid in (select ctid from facet where project_id = $1 limit $2)",
    "delete from user_met where ctid in (select ctid from user_met where project_id = $1 limit $2)",
    "delete from user_sketch where ctid in (select ctid from user_sketch where project_id = $1 limit $2)",
    "delete from grp_history where ctid in (select ctid from grp_history where project_id = $1 limit $2)",
    "delete from comment where ctid in (select ctid from comment where project_id = $1 limit $2)",
    "delete from bulk where ctid in (select ctid from bulk where project_id = $1 limit $2)",
    "delete from project_release where ctid in (select ctid from project_release where project_id = $1 limit $2)",
    "delete from grp_text where ctid in (select ctid from grp_text where project_id = $1 limit $2)",
    "delete from grp where ctid in (select ctid from grp where project_id = $1 limit $2)",
    "delete from fingerprint where ctid in (select ctid from fingerprint where project_id = $1 limit $2)",
    "delete from project_tally where ctid in (select ctid from project_tally where project_id = $1 limit $2)",
    "delete from ledger where ctid in (select ctid from ledger where project_id = $1 limit $2)",
    "delete from deploy where ctid in (select ctid from deploy where project_id = $1 limit $2)",
];
