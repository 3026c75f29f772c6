//! What sweeps take away: what is finished and old, what uploads left, and what is left of deleted projects. All of it in slices that are
//! found by an index, so that nobody waits for a sweep, however much has gathered.

use crate::StoreError;
use crate::housekeeper::{Housekeeper, Progress, Turn};

/// The accounted set of a journal is kept this long: a disk that comes back later is for the operator to decide.
const JOURNAL_CURSOR_DAYS: i32 = 365;

/// Chunks that nothing was assembled of, and files that no bundle names, are kept this long.
const UPLOAD_DAYS: i64 = 1;

impl Housekeeper {
    /// Deletes what is finished and old; how many rows.
    pub async fn sweep(&mut self, turn: Turn) -> Result<Progress, StoreError> {
        let mut progress = Progress::default();
        for statement in FINISHED {
            if !self.delete_slices(statement, &[], turn, &mut progress.count).await? {
                return Ok(progress);
            }
        }
        progress.count += sqlx::query_file!("queries/forget_journals.sql", f64::from(JOURNAL_CURSOR_DAYS))
            .fetch_one(&mut self.connection)
            .await?
            .journal_count
            .unsigned_abs();
        Ok(progress.done())
    }

    /// Takes away bundles that were not uploaded again for so many days, and chunks and files that nothing is made of; how many rows.
    pub async fn expire_artifacts(&mut self, keep_days: u32, turn: Turn) -> Result<Progress, StoreError> {
        let mut progress = Progress::default();
        for (statement, days) in [
            (EXPIRE_CHUNKS, UPLOAD_DAYS),
            (EXPIRE_ARTIFACTS, i64::from(keep_days)),
            (EXPIRE_BUNDLES, i64::from(keep_days)),
            (EXPIRE_BLOBS, UPLOAD_DAYS),
        ] {
            if !self.delete_slices(statement, &[days], turn, &mut progress.count).await? {
                return Ok(progress);
            }
        }
        Ok(progress.done())
    }

    /// Deletes what is left of deleted projects, bodies first and in slices, the project's own row last; how many rows.
    ///
    /// Begins ten minutes after the deletion: batches that were prepared before it are written by then, and nothing comes behind the sweep.
    pub async fn sweep_deleted_projects(&mut self, turn: Turn) -> Result<Progress, StoreError> {
        let projects =
            sqlx::query_scalar!("select id from project where deleted_at < now() - interval '10 minutes' order by id")
                .fetch_all(&mut self.connection)
                .await?;
        let mut progress = Progress::default();
        for project_id in projects {
            for statement in PROJECT_ROWS {
                if !self.delete_slices(statement, &[project_id], turn, &mut progress.count).await? {
                    return Ok(progress);
                }
            }
            // Keys, memberships, tokens and webhooks hang on it.
            sqlx::query!("delete from project_key where project_id = $1", project_id)
                .execute(&mut self.connection)
                .await?;
            progress.count += sqlx::query!("delete from project where id = $1", project_id)
                .execute(&mut self.connection)
                .await?
                .rows_affected();
        }
        Ok(progress.done())
    }
}

/// One slice each of what is finished and old. `$1` is the most rows.
const FINISHED: [&str; 16] = [
    // Deliveries, two weeks after they ended.
    "delete from outbox where id in (select id from outbox
     where coalesce(done_at, gave_up_at) < now() - interval '14 days' order by coalesce(done_at, gave_up_at) limit $1)",
    // What nobody could be told of for so long is given up, as where no server takes mails or a destination is off.
    "update outbox set gave_up_at = now(), body = case when recipient is null then body else '{}' end
     where id in (select id from outbox
         where done_at is null and gave_up_at is null and (claimed_until is null or claimed_until < now())
             and created_at < now() - interval '3 days'
             and created_at < now() - case when recipient is null then interval '7 days' else interval '3 days' end
         order by created_at limit $1)",
    // By how many users met a group a rule is met once for ever.
    "delete from alert where (rule_id, id) in (select rule_id, id from alert
     where told_at < now() - interval '14 days' and kind <> 'group.users' order by told_at limit $1)",
    // News that nobody was told for three days, as while no worker delivers, is news no more.
    "update alert set told_at = now(), told_as = 'passed_over' where (rule_id, id) in (select rule_id, id from alert
     where told_at is null and at < now() - interval '3 days' order by at limit $1)",
    "delete from command where id in (select id from command where at < now() - interval '30 days' order by at limit $1)",
    // A change of many groups can be taken back for a month.
    "delete from bulk_group where (bulk_id, group_id) in (select g.bulk_id, g.group_id from bulk b join bulk_group g on g.bulk_id = b.id
     where b.created_at < now() - interval '30 days' and b.done_at is not null and (b.undo_id is null or b.undone_at is not null) limit $1)",
    "delete from bulk where id in (select b.id from bulk b
     where b.created_at < now() - interval '30 days' and b.done_at is not null and (b.undo_id is null or b.undone_at is not null)
         and not exists (select from bulk_group g where g.bulk_id = b.id) limit $1)",
    // The ledger of each project for 400 days: its key begins with the project.
    "with recursive known (project_id) as (
         (select project_id from ledger order by project_id limit 1)
         union all
         select (select l.project_id from ledger l where l.project_id > known.project_id order by l.project_id limit 1)
         from known where known.project_id is not null)
     delete from ledger where ctid in (select l.ctid from known
         cross join lateral (select l.ctid from ledger l
             where l.project_id = known.project_id and l.minute < now() - interval '400 days' order by l.minute limit $1) l limit $1)",
    // No chart goes back further by the hour than a fortnight, in whatever zone its days are.
    "delete from fingerprint_hour where ctid in (select ctid from fingerprint_hour
     where hour < ((now() at time zone 'utc')::date - 15)::timestamp at time zone 'utc' order by hour limit $1)",
    "delete from worker where id in (select id from worker where alive_until < now() - interval '1 day' limit $1)",
    // Links in mails, and invitations that nobody accepted, a week after they are over.
    "delete from account_link where token_sha256 in (select token_sha256 from account_link
     where expires_at < now() - interval '7 days' order by expires_at limit $1)",
    "delete from invitation where id in (select id from invitation where expires_at < now() - interval '7 days' limit $1)",
    "delete from audit_log where id in (select id from audit_log where at < now() - interval '730 days' order by at limit $1)",
    // Releases that no project has any more.
    "delete from release where id in (select r.id from release r where r.created_at < now() - interval '1 day'
     and not exists (select from release_project p where p.release_id = r.id) limit $1)",
    // What batches brought of clients' ids, once it is in the index and no repeat of it is recognised any more.
    "delete from client_id_run where (project_id, id) in (select project_id, id from client_id_run
     where indexed and at < now() - interval '49 hours' order by at limit $1)",
    // What the index has of days whose notices are gone.
    "delete from client_id_index where ctid in (select i.ctid from project p cross join generate_series(0, 255) b
     cross join lateral (select i.ctid from client_id_index i where i.project_id = p.id and i.bucket = b::smallint
         and i.day < (now() at time zone 'utc')::date - kept_days(p) limit $1) i limit $1)",
];

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

/// One slice of a project's rows, table by table, in the order of an index that begins with the project: a slice then goes on behind what
/// the slices before it took away. Rows of partitions are named by their keys, so that each is looked for in its own day alone. `$1` is the
/// project, `$2` the most rows.
const PROJECT_ROWS: [&str; 30] = [
    "delete from artifact where ctid in (select ctid from artifact where project_id = $1 order by url limit $2)",
    "delete from artifact_bundle where ctid in (select ctid from artifact_bundle where project_id = $1 order by release, uploaded_at desc limit $2)",
    "delete from attachment where ctid in (select ctid from attachment where project_id = $1 order by id limit $2)",
    "delete from attachment_part d using (select project_id, upload, part, at from attachment_part where project_id = $1 order by upload, part limit $2) old
     where d.project_id = old.project_id and d.upload = old.upload and d.part = old.part and d.at = old.at",
    "delete from client_id_run where ctid in (select ctid from client_id_run where project_id = $1 order by id limit $2)",
    "delete from client_id_index where ctid in (select ctid from client_id_index where project_id = $1 order by bucket, day limit $2)",
    "delete from chunk d using (select project_id, lane, last_id, id, last_at from chunk where project_id = $1 order by lane, last_id limit $2) old
     where d.project_id = old.project_id and d.lane = old.lane and d.last_id = old.last_id and d.id = old.id and d.last_at = old.last_at",
    "delete from stats_record d using (select project_id, id, accepted_at from stats_record where project_id = $1 order by id limit $2) old
     where d.project_id = old.project_id and d.id = old.id and d.accepted_at = old.accepted_at",
    "delete from fingerprint_minute d using (select project_id, fingerprint_id, minute from fingerprint_minute where project_id = $1 order by fingerprint_id, minute limit $2) old
     where d.project_id = old.project_id and d.fingerprint_id = old.fingerprint_id and d.minute = old.minute",
    "delete from project_minute d using (select project_id, minute, lane from project_minute where project_id = $1 order by minute, lane limit $2) old
     where d.project_id = old.project_id and d.minute = old.minute and d.lane = old.lane",
    "delete from fingerprint_hour where ctid in (select ctid from fingerprint_hour where project_id = $1 order by fingerprint_id, hour limit $2)",
    "delete from fingerprint_day where ctid in (select ctid from fingerprint_day where project_id = $1 order by fingerprint_id, day limit $2)",
    "delete from expired where ctid in (select ctid from expired where project_id = $1 order by fingerprint_id, day limit $2)",
    "delete from facet where ctid in (select ctid from facet where project_id = $1 order by fingerprint_id, key, is_other, value limit $2)",
    "delete from user_met where ctid in (select ctid from user_met where project_id = $1 order by user_hash, fingerprint_id limit $2)",
    "delete from user_sketch where ctid in (select ctid from user_sketch where project_id = $1 order by fingerprint_id limit $2)",
    "delete from grp_history where ctid in (select ctid from grp_history where project_id = $1 order by group_id, at limit $2)",
    "delete from comment where ctid in (select ctid from comment where project_id = $1 order by group_id, at limit $2)",
    "delete from bulk_group where (bulk_id, group_id) in (select g.bulk_id, g.group_id from bulk b join bulk_group g on g.bulk_id = b.id where b.project_id = $1 limit $2)",
    "delete from bulk where ctid in (select ctid from bulk where project_id = $1 order by created_at desc limit $2)",
    "delete from project_release where ctid in (select ctid from project_release where project_id = $1 order by version limit $2)",
    "delete from grp_text where ctid in (select ctid from grp_text where project_id = $1 order by group_id limit $2)",
    "delete from grp where ctid in (select ctid from grp where project_id = $1 order by id limit $2)",
    "delete from fingerprint where ctid in (select ctid from fingerprint where project_id = $1 order by id limit $2)",
    "delete from project_tally where ctid in (select ctid from project_tally where project_id = $1 order by lane limit $2)",
    "delete from ledger where ctid in (select ctid from ledger where project_id = $1 order by minute limit $2)",
    "delete from deploy where ctid in (select ctid from deploy where project_id = $1 order by id limit $2)",
    "delete from dead_notice where ctid in (select ctid from dead_notice where project_id = $1 order by at limit $2)",
    "delete from alert where (rule_id, id) in (select a.rule_id, a.id from alert_rule r join alert a on a.rule_id = r.id where r.project_id = $1 limit $2)",
    "delete from outbox where id in (select o.id from destination d join outbox o on o.destination_id = d.id where d.project_id = $1 limit $2)",
];
