//! Groups that are merged, and merges that are taken back.
//!
//! A merge moves fingerprints, and nothing that is counted is rewritten: so taking it back moves exactly what came with them,
//! whenever it came. Whoever moves fingerprints holds the locks of the groups that they leave and come to, as batches hold those
//! that they add to; so the sums of a group are those of its fingerprints at every commit.

use std::collections::HashMap;

use notice::UserSketch;
use serde::Serialize;
use sqlx::{Postgres, Transaction};

use super::groups::{Locked, conflict, denied, lock, missing, note};
use super::{Act, CommandStatus, Order, Outcome, may_act};
use crate::StoreError;

/// Most groups that one merge takes in.
pub const MERGED_MAX: usize = 100;

/// A group with the version that a person saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct SeenGroup {
    /// The group, of the order's project.
    pub group_id: i64,
    /// Its version; 0: it is taken as it is.
    pub expected_version: i32,
}

/// Somebody says that groups are one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MergeGroups {
    /// The groups.
    pub groups: Vec<SeenGroup>,
    /// Which of them takes the others in; none: the one that was seen first. One that is not among `groups` is taken as it is.
    pub into: Option<i64>,
}

impl Act for MergeGroups {
    fn kind(&self) -> &'static str {
        "merge"
    }

    async fn act(&self, transaction: &mut Transaction<'_, Postgres>, order: &Order) -> Result<Outcome, StoreError> {
        if !may_act(transaction, order).await? {
            return Ok(denied());
        }
        let mut ids: Vec<i64> = self.groups.iter().map(|seen| seen.group_id).chain(self.into).collect();
        ids.sort_unstable();
        ids.dedup();
        if ids.len() < 2 {
            return Ok(Outcome::ended(CommandStatus::Invalid, "A merge needs two different groups."));
        }
        if ids.len() > MERGED_MAX + 1 {
            let told = format!("At most {MERGED_MAX} groups are merged into one at a time.");
            return Ok(Outcome::ended(CommandStatus::Invalid, told));
        }
        let groups = lock(transaction, order, &ids).await?;
        if groups.len() < ids.len() {
            return Ok(missing());
        }
        for group in &groups {
            let seen = self.groups.iter().find(|seen| seen.group_id == group.id);
            let expected_version = seen.map_or(group.version, |seen| seen.expected_version);
            if let Some(conflict) = conflict(transaction, order, group, expected_version).await? {
                return Ok(conflict);
            }
        }
        let into = match self.into {
            Some(id) => groups.iter().find(|group| group.id == id),
            None => groups.iter().min_by_key(|group| (group.first_seen_at, group.id)),
        };
        let Some(into) = into else { return Ok(missing()) };
        let taken: Vec<&Locked> = groups.iter().filter(|group| group.id != into.id).collect();
        let version = merge(transaction, order, into, &taken).await?;
        Ok(Outcome::done("Merged.").with_version(version).with_made(into.id))
    }
}

/// Moves the fingerprints of all that are taken in; all of them are locked. Answers the new version of the one that takes in.
async fn merge(
    transaction: &mut Transaction<'_, Postgres>,
    order: &Order,
    into: &Locked,
    taken: &[&Locked],
) -> Result<i32, StoreError> {
    let taken_ids: Vec<i64> = taken.iter().map(|group| group.id).collect();
    sqlx::query!(
        "update fingerprint set home_id = coalesce(home_id, group_id), group_id = $2
         where project_id = $1 and group_id = any($3::bigint[])",
        order.project_id,
        into.id,
        &taken_ids
    )
    .execute(&mut **transaction)
    .await?;
    sqlx::query!(
        "update grp set
             merged_into = $2, version = version + 1,
             notice_count = 0, count_bucket = count_bucket(0), user_count = 0, user_bucket = count_bucket(0),
             own_first_seen_at = coalesce(own_first_seen_at, first_seen_at),
             own_last_seen_at = coalesce(own_last_seen_at, last_seen_at)
         where project_id = $1 and id = any($3::bigint[])",
        order.project_id,
        into.id,
        &taken_ids
    )
    .execute(&mut **transaction)
    .await?;
    let notice_count: i64 = into.notice_count + taken.iter().map(|group| group.notice_count).sum::<i64>();
    let first_seen_at = taken.iter().map(|group| group.first_seen_at).fold(into.first_seen_at, Ord::min);
    let last_seen_at = taken.iter().map(|group| group.last_seen_at).fold(into.last_seen_at, Ord::max);
    // What is not mended in one of them is not mended in all of them.
    let reopens = into.state == "resolved" && taken.iter().any(|group| group.state == "unresolved");
    let users = users(transaction, order, &[into.id]).await?;
    let version = sqlx::query_scalar!(
        "update grp set
             notice_count = $3, count_bucket = count_bucket($3), user_count = $4::int, user_bucket = count_bucket($4::int),
             own_first_seen_at = coalesce(own_first_seen_at, first_seen_at),
             own_last_seen_at = coalesce(own_last_seen_at, last_seen_at),
             first_seen_at = $5, last_seen_at = $6, last_seen_bucket = seen_bucket($6),
             state = case when $7 then 'unresolved' else state end,
             resolved_at = case when $7 then null else resolved_at end,
             resolved_after = case when $7 then null else resolved_after end,
             -- What a merge brings did not come since it was muted.
             mute_notice_count = mute_notice_count + $3 - notice_count,
             version = version + 1
         where project_id = $1 and id = $2 returning version",
        order.project_id,
        into.id,
        notice_count,
        users.get(&into.id).copied().unwrap_or(0),
        first_seen_at,
        last_seen_at,
        reopens
    )
    .fetch_one(&mut **transaction)
    .await?;
    for group in taken {
        let name = name(transaction, order, group.id).await?;
        note(transaction, order, into.id, "merged", &format!("took in {name}")).await?;
        note(transaction, order, group.id, "merged", &format!("into group {}", into.id)).await?;
    }
    Ok(version)
}

/// Somebody takes a merge back: the group is itself again, with all that came since by its own fingerprints, and by those of
/// the groups that had been merged into it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct UnmergeGroup {
    /// The group that was taken in.
    pub group_id: i64,
    /// The version that the person saw of the group that shows it now; 0: as it is.
    pub expected_version: i32,
}

impl Act for UnmergeGroup {
    fn kind(&self) -> &'static str {
        "unmerge"
    }

    async fn act(&self, transaction: &mut Transaction<'_, Postgres>, order: &Order) -> Result<Outcome, StoreError> {
        if !may_act(transaction, order).await? {
            return Ok(denied());
        }
        let Some(root_id) = root(transaction, order, self.group_id).await? else { return Ok(missing()) };
        if root_id == self.group_id {
            let told = "This group is not merged into another.";
            return Ok(Outcome::ended(CommandStatus::Invalid, told));
        }
        let locked = lock(transaction, order, &[self.group_id, root_id]).await?;
        // Every change of what belongs to it needs the lock of its root; so what is read now stays.
        let is_still_there = root(transaction, order, self.group_id).await? == Some(root_id);
        let Some(root) = locked.iter().find(|group| group.id == root_id).filter(|_| is_still_there) else {
            let told = "Somebody merged these groups otherwise meanwhile; look again.";
            return Ok(Outcome::ended(CommandStatus::Conflict, told));
        };
        if let Some(conflict) = conflict(transaction, order, root, self.expected_version).await? {
            return Ok(conflict);
        }
        let version = unmerge(transaction, order, root_id, self.group_id).await?;
        Ok(Outcome::done("Taken back.").with_version(version).with_made(self.group_id))
    }
}

/// Moves the fingerprints of a group back to it; it and its root are locked. Answers the root's new version.
async fn unmerge(
    transaction: &mut Transaction<'_, Postgres>,
    order: &Order,
    root_id: i64,
    group_id: i64,
) -> Result<i32, StoreError> {
    sqlx::query_file!("queries/unmerge_fingerprints.sql", order.project_id, root_id, group_id)
        .execute(&mut **transaction)
        .await?;
    sqlx::query!("update grp set merged_into = null where project_id = $1 and id = $2", order.project_id, group_id)
        .execute(&mut **transaction)
        .await?;
    let both = [root_id, group_id];
    let users = users(transaction, order, &both).await?;
    let user_counts: Vec<i32> = both.iter().map(|id| users.get(id).copied().unwrap_or(0)).collect();
    let rows = sqlx::query_file!("queries/unmerge_sums.sql", order.project_id, &both, &user_counts, group_id)
        .fetch_all(&mut **transaction)
        .await?;
    let name = name(transaction, order, group_id).await?;
    note(transaction, order, root_id, "unmerged", &format!("gave back {name}")).await?;
    note(transaction, order, group_id, "unmerged", &format!("out of group {root_id}")).await?;
    let version = rows.iter().find(|row| row.id == root_id).map_or(0, |row| row.version);
    Ok(version)
}

/// The group that shows the notices of a group: itself, unless it was merged.
async fn root(
    transaction: &mut Transaction<'_, Postgres>,
    order: &Order,
    group_id: i64,
) -> Result<Option<i64>, StoreError> {
    let root = sqlx::query_file_scalar!("queries/group_root.sql", order.project_id, group_id)
        .fetch_optional(&mut **transaction)
        .await?;
    Ok(root)
}

/// How many users groups have: the union over their fingerprints, as they are now.
async fn users(
    transaction: &mut Transaction<'_, Postgres>,
    order: &Order,
    group_ids: &[i64],
) -> Result<HashMap<i64, i32>, StoreError> {
    let projects = vec![order.project_id; group_ids.len()];
    let rows =
        sqlx::query_file!("queries/batch/sketches.sql", &projects, group_ids).fetch_all(&mut **transaction).await?;
    let mut unions: HashMap<i64, UserSketch> = HashMap::new();
    for row in rows {
        unions.entry(row.group_id).or_default().merge(&UserSketch::from_bytes(&row.sketch));
    }
    Ok(unions.into_iter().map(|(id, users)| (id, i32::try_from(users.estimate()).unwrap_or(i32::MAX))).collect())
}

/// What a history calls a group: its number and its class.
async fn name(transaction: &mut Transaction<'_, Postgres>, order: &Order, group_id: i64) -> Result<String, StoreError> {
    let class = sqlx::query_scalar!(
        "select class from grp_text where project_id = $1 and group_id = $2",
        order.project_id,
        group_id
    )
    .fetch_optional(&mut **transaction)
    .await?
    .unwrap_or_default();
    Ok(format!("group {group_id} {class}").trim_end().to_owned())
}
