//! What has to be done from time to time, by one process of the installation: partitions, roll-ups, retention, mutes that end, and
//! what sweeps take away.
//!
//! The housekeeper is whoever holds an advisory lock, and does its work on the connection that holds it: who loses the
//! connection is no longer housekeeper and can do nothing in that belief.

use std::time::{Duration, Instant};

use futures::TryStreamExt as _;
use sqlx::postgres::PgConnection;
use time::{Date, OffsetDateTime};

use crate::{StoreError, Writer, chunk, dictionary, snapshot};

/// Partitions are made this many days ahead.
const DAYS_AHEAD: i32 = 3;

/// Days without partitions that are made up for: with more, those before are counted on the first that there is.
const DAYS_PASSED_OVER_MAX: i32 = 400;

/// Minutes are kept this many whole days before they are rolled up into hours.
const MINUTE_DAYS: i32 = 2;

/// Rows deleted by one statement of a sweep: short enough that nobody waits for its locks.
const SLICE: i64 = 500;

/// Chunks that are opened to train a dictionary, of as many fingerprints, and notices that are taken of each.
const TRAINING_CHUNKS: i64 = 1_000;
const TRAINING_PER_CHUNK: usize = 4;

/// Most bytes of the bodies that a dictionary is trained on.
const TRAINING_BYTES_MAX: usize = 16 << 20;

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

/// How long a chore goes on before it gives way to others. It ends behind a step that took something away, so that every turn comes further.
#[derive(Debug, Clone, Copy)]
pub struct Turn(Option<Instant>);

impl Turn {
    /// Until all is done.
    pub const WHOLE: Turn = Turn(None);

    /// From now on for so long.
    #[must_use]
    pub fn of(time: Duration) -> Self {
        Self(Some(Instant::now() + time))
    }

    pub(crate) fn is_over(self) -> bool {
        self.0.is_some_and(|until| Instant::now() >= until)
    }
}

/// What a chore did in its turn.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Rows, groups or days, as the chore says.
    pub count: u64,
    /// Whether nothing is left to do for now.
    pub is_done: bool,
}

impl Progress {
    pub(crate) fn done(self) -> Self {
        Self { is_done: true, ..self }
    }
}

/// What a turn of retention took away.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Expired {
    /// Whether nothing is left to do for now.
    pub is_done: bool,
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
        // Who waits for rows that somebody holds does it in the next turn. What changes tables waits for even less.
        sqlx::query!("set lock_timeout = '2s'").execute(&mut connection).await?;
        Ok(Some(Housekeeper { connection }))
    }
}

impl Housekeeper {
    /// The dictionary that gateways pack with, if one was trained yet.
    pub async fn newest_dictionary(&mut self) -> Result<Option<TrainedDictionary>, StoreError> {
        snapshot::newest_dictionary(&mut self.connection).await
    }

    /// Keeps a dictionary under this number for good; false if another one has the number.
    pub async fn add_dictionary(&mut self, codec: u16, bytes: &[u8]) -> Result<bool, StoreError> {
        dictionary::add(&mut self.connection, codec, bytes).await
    }

    /// Bodies to train a dictionary on: a few of each of many fingerprints that were seen in the last day, until they have
    /// 16 MiB together.
    pub async fn bodies_to_train(&mut self) -> Result<Vec<Vec<u8>>, StoreError> {
        let mut rows = sqlx::query!(
            "select distinct on (project_id, fingerprint_id) codec, body
             from (select * from chunk where last_at > now() - interval '1 day' order by last_at desc limit 20 * $1::bigint) newest
             order by project_id, fingerprint_id, last_at desc
             limit $1",
            TRAINING_CHUNKS
        )
        .fetch(&mut self.connection);
        let (mut bodies, mut bytes) = (Vec::new(), 0);
        while let Some(row) = rows.try_next().await? {
            let Ok(items) = chunk::decode(row.codec, &row.body) else { continue };
            // A body that is most of what there is teaches nothing.
            let samples = items.into_iter().map(|item| item.body).filter(|body| body.len() <= TRAINING_BYTES_MAX / 64);
            for body in samples.take(TRAINING_PER_CHUNK) {
                bytes += body.len();
                bodies.push(body);
            }
            if bytes >= TRAINING_BYTES_MAX {
                break;
            }
        }
        Ok(bodies)
    }

    /// Makes the partitions of today and the days ahead, and of those before that were passed over because nobody kept house: gateways
    /// may have taken notices on these days. How many were missing.
    pub async fn ensure_partitions(&mut self) -> Result<i64, StoreError> {
        let first_day = sqlx::query_scalar!(
            r#"select case when max(day) is null then -1 else greatest(max(day) + 1 - (now() at time zone 'utc')::date, -$1::int) end as "first_day!"
               from partition_days('chunk') day where day < (now() at time zone 'utc')::date - 1"#,
            DAYS_PASSED_OVER_MAX
        )
        .fetch_one(&mut self.connection)
        .await?;
        let mut made = 0;
        // Each day for itself: one that cannot be made now keeps no other from being there.
        for day in first_day..=DAYS_AHEAD {
            made += sqlx::query_scalar!(
                r#"select partition_ensure((now() at time zone 'utc')::date + $1::int)::bigint as "made!""#,
                day
            )
            .fetch_one(&mut self.connection)
            .await?;
        }
        Ok(made)
    }

    /// Rolls minutes up into hours and drops their partitions, oldest day first; how many days.
    pub async fn roll_up_minutes(&mut self, turn: Turn) -> Result<Progress, StoreError> {
        let mut progress = Progress::default();
        for day in self.days_older_than("fingerprint_minute", MINUTE_DAYS).await? {
            sqlx::query_scalar!("select minutes_roll_up($1)", day).fetch_one(&mut self.connection).await?;
            progress.count += 1;
            if turn.is_over() {
                return Ok(progress);
            }
        }
        Ok(progress.done())
    }

    /// Retention: drops the days that no project needs any more, then deletes what projects with a shorter one do not need.
    pub async fn expire(&mut self, turn: Turn) -> Result<Expired, StoreError> {
        let longest = sqlx::query_scalar!(
            r#"select coalesce(max(kept_days(project)), 90) as "longest!" from project where deleted_at is null"#
        )
        .fetch_one(&mut self.connection)
        .await?;
        let mut expired = Expired::default();
        // What attachments are goes before their parts: a file that is shown has all of them.
        if !self.delete_slices(EXPIRE_ATTACHMENTS, &[], turn, &mut 0).await? {
            return Ok(expired);
        }
        for table in ["attachment_part", "stats_record", "project_minute"] {
            for day in self.days_older_than(table, longest).await? {
                sqlx::query_scalar!("select day_drop($1, $2)", table, day).fetch_one(&mut self.connection).await?;
            }
        }
        for day in self.days_older_than("chunk", longest).await? {
            let gone =
                sqlx::query_scalar!(r#"select day_expire($1) as "gone!""#, day).fetch_one(&mut self.connection).await?;
            expired.days += 1;
            expired.notices += gone;
            if turn.is_over() {
                return Ok(expired);
            }
        }
        loop {
            let gone = sqlx::query_file!("queries/expire_slice.sql", SLICE).fetch_one(&mut self.connection).await?;
            expired.notices += gone.notice_count;
            if gone.chunk_count < SLICE {
                break;
            }
            if turn.is_over() {
                return Ok(expired);
            }
        }
        if !self.delete_slices(EXPIRE_ATTACHMENT_PARTS, &[], turn, &mut 0).await? {
            return Ok(expired);
        }
        expired.is_done = true;
        Ok(expired)
    }

    /// Ends mutes whose time is over, of groups that no notice comes for; how many.
    pub async fn end_mutes(&mut self, turn: Turn) -> Result<Progress, StoreError> {
        let mut progress = Progress::default();
        loop {
            let slice = sqlx::query_file!("queries/end_mutes.sql", SLICE).execute(&mut self.connection).await?;
            progress.count += slice.rows_affected();
            if slice.rows_affected() < SLICE.unsigned_abs() {
                return Ok(progress.done());
            }
            if turn.is_over() {
                return Ok(progress);
            }
        }
    }

    /// Runs a statement that deletes a slice of rows, again and again; whether nothing is left for it. `$1` and so on are `keys`, the last
    /// parameter is the most rows.
    pub(crate) async fn delete_slices(
        &mut self,
        statement: &'static str,
        keys: &[i64],
        turn: Turn,
        gone: &mut u64,
    ) -> Result<bool, StoreError> {
        loop {
            let mut slice = sqlx::query(statement);
            for key in keys {
                slice = slice.bind(key);
            }
            let rows = slice.bind(SLICE).execute(&mut self.connection).await?.rows_affected();
            *gone += rows;
            if rows < SLICE.unsigned_abs() {
                return Ok(true);
            }
            if turn.is_over() {
                return Ok(false);
            }
        }
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

/// One slice of the attachments that their projects no longer need, and of their parts. `$1` is the most rows.
const EXPIRE_ATTACHMENTS: &str = "delete from attachment where (project_id, id) in (select a.project_id, a.id from project p
    cross join lateral (select a.project_id, a.id from attachment a where a.project_id = p.id
        and a.at < ((now() at time zone 'utc')::date - kept_days(p))::timestamp at time zone 'utc' order by a.at limit $1) a
    where p.deleted_at is null limit $1)";
const EXPIRE_ATTACHMENT_PARTS: &str = "delete from attachment_part d using (select a.* from project p
    cross join lateral (select a.project_id, a.upload, a.part, a.at from attachment_part a where a.project_id = p.id
        and a.at < ((now() at time zone 'utc')::date - kept_days(p))::timestamp at time zone 'utc' order by a.upload, a.part limit $1) a
    where p.deleted_at is null limit $1) old
    where d.project_id = old.project_id and d.upload = old.upload and d.part = old.part and d.at = old.at";
