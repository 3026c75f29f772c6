//! One change of many groups, and taking back exactly what it changed.
//!
//! Groups that are ticked are changed by the command itself. All that a search finds is changed in slices after it: each is a
//! transaction that says how far it came, so that any worker goes on where another died. A slice looks at a bounded number of
//! groups, whatever the search; changes take turns, and one that fails again and again ends with a word on its page.

use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use sqlx::types::Json;
use sqlx::{Postgres, Transaction};
use uuid::Uuid;

use super::groups::{GroupChange, Locked, change, conflict, denied, lock};
use super::{Act, CommandStatus, Order, Outcome, SeenGroup, may_act};
use crate::reader::search::Search;
use crate::reader::{GroupFilter, GroupSort, GroupState, Opened, Viewer};
use crate::writer::{Writer, detached};
use crate::{Reader, StoreError};

/// Most groups that are ticked at a time.
pub const TICKED_MAX: usize = 200;

/// Groups that are changed by one transaction.
const SLICE: usize = 200;

/// Groups that are looked at for one slice.
const LOOKED_AT: i64 = 1_000;

/// Failures in a row after which a change of many groups ends.
const FAILURES_MAX: i32 = 8;

/// Pause of a change after its first failure, doubled with each further one: some minutes in all.
const PAUSE: Duration = Duration::from_secs(2);

/// Longest search that a bulk goes by.
const SEARCH_CHARS_MAX: usize = 500;

/// Somebody changes the groups that are ticked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChangeTicked {
    /// The groups, as they were seen.
    pub groups: Vec<SeenGroup>,
    /// What is done to each.
    #[serde(flatten)]
    pub change: GroupChange,
}

impl Act for ChangeTicked {
    fn kind(&self) -> &'static str {
        "bulk"
    }

    async fn act(&self, transaction: &mut Transaction<'_, Postgres>, order: &Order) -> Result<Outcome, StoreError> {
        if !may_act(transaction, order).await? {
            return Ok(denied());
        }
        if self.groups.is_empty() || self.groups.len() > TICKED_MAX {
            let told = format!("Tick between one group and {TICKED_MAX}.");
            return Ok(Outcome::ended(CommandStatus::Invalid, told));
        }
        if let Some(refused) = self.change.refused(transaction, order, None).await? {
            return Ok(refused);
        }
        let change = self.change.settled();
        sqlx::query!(
            "insert into bulk (id, project_id, actor_id, change) values ($1, $2, $3, $4)",
            order.id,
            order.project_id,
            order.actor_id,
            Json(&change) as _
        )
        .execute(&mut **transaction)
        .await?;
        let ids: Vec<i64> = self.groups.iter().map(|seen| seen.group_id).collect();
        let mut changed: Vec<Locked> = Vec::new();
        let mut conflicts: Vec<Outcome> = Vec::new();
        for group in lock(transaction, order, &ids).await? {
            let Some(seen) = self.groups.iter().find(|seen| seen.group_id == group.id) else { continue };
            match conflict(transaction, order, &group, seen.expected_version).await? {
                Some(conflict) => conflicts.push(conflict),
                None => changed.push(group),
            }
        }
        let count = change_some(transaction, order, order.id, &changed, &change).await?;
        sqlx::query!(
            "update bulk set changed_count = $2, passed_count = $3, done_at = now() where id = $1",
            order.id,
            count,
            i64::try_from(conflicts.len()).unwrap_or(i64::MAX)
        )
        .execute(&mut **transaction)
        .await?;
        let done = format!("{} {}.", counted(count), self.change.done());
        Ok(match conflicts.as_slice() {
            [] => Outcome::done(done),
            // With one it can be said who did what; with several their histories say it.
            [one] if count == 0 => one.clone(),
            [one] => Outcome::done(format!("{done} Another was passed over. {}", one.told)),
            more => Outcome::done(format!(
                "{done} {} were passed over: somebody changed them meanwhile, and their histories say what.",
                more.len()
            )),
        })
    }
}

/// Somebody changes all groups that a search finds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChangeFound {
    /// The search, as it was typed.
    pub search: String,
    /// Only groups of this state.
    pub state: Option<String>,
    /// What is done to each.
    #[serde(flatten)]
    pub change: GroupChange,
}

impl Act for ChangeFound {
    fn kind(&self) -> &'static str {
        "bulk_found"
    }

    async fn act(&self, transaction: &mut Transaction<'_, Postgres>, order: &Order) -> Result<Outcome, StoreError> {
        if !may_act(transaction, order).await? {
            return Ok(denied());
        }
        let is_known = self.state.as_deref().is_none_or(|state| GroupState::parse(state).is_some());
        let is_short = self.search.chars().count() <= SEARCH_CHARS_MAX;
        if !is_known || !is_short || Search::parse(&self.search).is_err() {
            return Ok(Outcome::ended(CommandStatus::Invalid, "The search is not understood."));
        }
        if let Some(refused) = self.change.refused(transaction, order, None).await? {
            return Ok(refused);
        }
        sqlx::query!(
            "insert into bulk (id, project_id, actor_id, change, search, state) values ($1, $2, $3, $4, $5, $6)",
            order.id,
            order.project_id,
            order.actor_id,
            Json(&self.change.settled()) as _,
            self.search,
            self.state
        )
        .execute(&mut **transaction)
        .await?;
        Ok(Outcome::done("All that was found is being changed."))
    }
}

/// A bulk that is not at its end.
struct Unfinished {
    id: Uuid,
    project_id: i64,
    actor_id: i64,
    /// A newer worker may have written what this one does not know.
    change: Json<Value>,
    search: String,
    state: Option<String>,
    below_id: Option<i64>,
    undo_id: Option<Uuid>,
    undone_by: Option<i64>,
}

/// What a slice changes, and where the next one goes on.
#[derive(Default)]
struct Slice {
    group_ids: Vec<i64>,
    /// Groups below this number are left; none: it was the last slice.
    below_id: Option<i64>,
}

impl Writer {
    /// Does a slice of the bulk whose turn it is; whether there was one.
    ///
    /// Any number of workers may do so: who comes second to a slice finds it done. One that fails is put off, and holds up no other.
    pub async fn next_bulk_slice(&self, reader: &Reader) -> Result<bool, StoreError> {
        let next = sqlx::query_as!(
            Unfinished,
            r#"select id, project_id, actor_id, change as "change: _", coalesce(search, '') as "search!", state, below_id, undo_id,
                   undone_by
               from bulk where (done_at is null or (undo_id is not null and undone_at is null)) and next_at <= now()
               order by next_at limit 1"#
        )
        .fetch_optional(&self.pool)
        .await?;
        let Some(bulk) = next else { return Ok(false) };
        let id = bulk.id;
        let done =
            if bulk.undo_id.is_some() { self.undo_next(bulk).await } else { self.change_next(bulk, reader).await };
        if let Err(error) = done {
            tracing::warn!(bulk = %id, error = %causes(&error), "a change of many groups is put off");
            self.put_off(id).await?;
        }
        Ok(true)
    }

    /// Gives a bulk that failed a pause, or ends it.
    async fn put_off(&self, id: Uuid) -> Result<(), StoreError> {
        sqlx::query!(
            "update bulk set
                 failure_count = failure_count + 1,
                 next_at = now() + $2 * power(2, failure_count) * interval '1 second',
                 gave_up = failure_count + 1 >= $3,
                 done_at = case when failure_count + 1 >= $3 then coalesce(done_at, now()) else done_at end,
                 undone_at = case when failure_count + 1 >= $3 and undo_id is not null then now() else undone_at end
             where id = $1 and (done_at is null or (undo_id is not null and undone_at is null))",
            id,
            PAUSE.as_secs_f64(),
            FAILURES_MAX
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    async fn undo_next(&self, bulk: Unfinished) -> Result<(), StoreError> {
        let writer = self.clone();
        detached(async move {
            let mut transaction = writer.begin_command().await?;
            let is_left = sqlx::query_scalar!(
                r#"select undone_at is null as "is_left!" from bulk where id = $1 for update"#,
                bulk.id
            )
            .fetch_optional(&mut *transaction)
            .await?;
            if is_left == Some(true) {
                let order = Order { actor_id: bulk.undone_by.unwrap_or(bulk.actor_id), ..bulk.order() };
                undo_slice(&mut transaction, &order, bulk.id).await?;
            }
            transaction.commit().await.map_err(StoreError::CommitUnknown)
        })
        .await
    }

    async fn change_next(&self, bulk: Unfinished, reader: &Reader) -> Result<(), StoreError> {
        let change: GroupChange = serde_json::from_value(bulk.change.0.clone()).map_err(StoreError::NotJson)?;
        // Who may not see the project any more changes nothing more of it.
        let slice = self.slice(&bulk, reader).await?.unwrap_or_default();
        let writer = self.clone();
        detached(async move {
            let mut transaction = writer.begin_command().await?;
            let is_mine = sqlx::query_scalar!(
                r#"select done_at is null and below_id is not distinct from $2 as "is_mine!" from bulk where id = $1 for update"#,
                bulk.id,
                bulk.below_id
            )
            .fetch_optional(&mut *transaction)
            .await?;
            if is_mine != Some(true) {
                return Ok(());
            }
            let order = bulk.order();
            let mut groups = lock(&mut transaction, &order, &slice.group_ids).await?;
            // What has become of them since they were found is asked under their locks.
            groups.retain(|group| {
                group.merged_into.is_none() && bulk.state.as_ref().is_none_or(|state| *state == group.state)
            });
            let count = change_some(&mut transaction, &order, bulk.id, &groups, &change).await?;
            sqlx::query!(
                "update bulk set below_id = $2, changed_count = changed_count + $3, failure_count = 0, next_at = now(),
                     done_at = case when $2::bigint is null then now() end
                 where id = $1",
                bulk.id,
                slice.below_id,
                count
            )
            .execute(&mut *transaction)
            .await?;
            transaction.commit().await.map_err(StoreError::CommitUnknown)
        })
        .await
    }

    /// The groups of the next slice; nothing when the project is not the actor's to change.
    ///
    /// By number, which no group changes, from the newest down: what comes meanwhile has a greater one. So many are looked at, however
    /// few of them the search finds.
    async fn slice(&self, bulk: &Unfinished, reader: &Reader) -> Result<Option<Slice>, StoreError> {
        let opened = reader.open(Viewer::User(bulk.actor_id), bulk.project_id).await.map_err(StoreError::from)?;
        let Some(opened) = opened.filter(Opened::may_act) else { return Ok(None) };
        let Ok(search) = Search::parse(&bulk.search) else { return Ok(None) };
        let looked_at = sqlx::query_scalar!(
            "select id from grp where project_id = $1 and ($2::bigint is null or id < $2) order by id desc limit $3",
            bulk.project_id,
            bulk.below_id,
            LOOKED_AT
        )
        .fetch_all(&self.pool)
        .await?;
        let is_last = i64::try_from(looked_at.len()).unwrap_or(i64::MAX) < LOOKED_AT;
        let below_id = looked_at.last().copied().filter(|_| !is_last);
        let count = looked_at.len();
        let filter = GroupFilter {
            search,
            state: bulk.state.as_deref().and_then(GroupState::parse),
            sort: GroupSort::FirstSeen,
            me: Some(bulk.actor_id),
            among: Some(looked_at),
        };
        let page = reader.groups(&opened, &filter, None, count).await.map_err(StoreError::from)?;
        let Ok(page) = page else { return Ok(None) };
        let mut group_ids: Vec<i64> = page.groups.iter().map(|group| group.id).collect();
        group_ids.sort_unstable_by(|one, other| other.cmp(one));
        let is_more = group_ids.len() > SLICE;
        group_ids.truncate(SLICE);
        let below_id = if is_more { group_ids.last().copied() } else { below_id };
        Ok(Some(Slice { group_ids, below_id }))
    }
}

impl Unfinished {
    fn order(&self) -> Order {
        Order { id: self.id, actor_id: self.actor_id, project_id: self.project_id }
    }
}

/// An error with what caused it, in one line.
fn causes(error: &StoreError) -> String {
    let causes = std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// Changes groups that are locked and not so already, and keeps what they were.
async fn change_some(
    transaction: &mut Transaction<'_, Postgres>,
    order: &Order,
    bulk_id: Uuid,
    groups: &[Locked],
    what: &GroupChange,
) -> Result<i64, StoreError> {
    let ids: Vec<i64> = groups.iter().filter(|group| !what.is_so(group)).map(|group| group.id).collect();
    if ids.is_empty() {
        return Ok(0);
    }
    // Each once: one that was changed by this bulk and is otherwise by now was made so by somebody, or by a notice.
    let ids = sqlx::query_scalar!(
        "insert into bulk_group (bulk_id, group_id, version, state, resolved_at, resolved_after, mute_until, mute_notice_count,
             mute_user_count, mute_environment, assignee_id)
         select $1, id, version + 1, state, resolved_at, resolved_after, mute_until, mute_notice_count,
             mute_user_count, mute_environment, assignee_id
         from grp where project_id = $2 and id = any($3::bigint[]) order by id
         on conflict (bulk_id, group_id) do nothing
         returning group_id",
        bulk_id,
        order.project_id,
        &ids
    )
    .fetch_all(&mut **transaction)
    .await?;
    let changed = change(transaction, order, &ids, what).await?;
    Ok(i64::try_from(changed.len()).unwrap_or(i64::MAX))
}

/// Somebody takes a bulk back: groups that have been changed since stay as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct UndoBulk {
    /// Its id, which is that of its command.
    pub bulk_id: Uuid,
}

impl Act for UndoBulk {
    fn kind(&self) -> &'static str {
        "undo_bulk"
    }

    async fn act(&self, transaction: &mut Transaction<'_, Postgres>, order: &Order) -> Result<Outcome, StoreError> {
        if !may_act(transaction, order).await? {
            return Ok(denied());
        }
        let found = sqlx::query!(
            "select undo_id, changed_count, gave_up from bulk where project_id = $1 and id = $2 for update",
            order.project_id,
            self.bulk_id
        )
        .fetch_optional(&mut **transaction)
        .await?;
        let Some(bulk) = found else {
            return Ok(Outcome::ended(CommandStatus::Missing, "There is no such change of many groups."));
        };
        if bulk.undo_id.is_some() && !bulk.gave_up {
            return Ok(Outcome::ended(CommandStatus::Conflict, "It has been taken back already."));
        }
        // What it has not come to yet it never will.
        sqlx::query!(
            "update bulk set undo_id = $2, undone_by = $3, done_at = coalesce(done_at, now()), undone_at = null,
                 gave_up = false, failure_count = 0, next_at = now()
             where id = $1",
            self.bulk_id,
            order.id,
            order.actor_id
        )
        .execute(&mut **transaction)
        .await?;
        let restored = undo_slice(transaction, order, self.bulk_id).await?;
        Ok(match restored {
            Restored::All { count } => {
                let kept = bulk.changed_count - count;
                let rest = if kept > 0 {
                    format!(" {} changed since, and stays as it is.", counted(kept))
                } else {
                    String::new()
                };
                Outcome::done(format!("Taken back for {}.{rest}", counted(count).to_lowercase()))
            }
            Restored::Some => Outcome::done("It is being taken back."),
        })
    }
}

/// How far a bulk has been taken back.
enum Restored {
    /// All that there was; so many in all were as it had left them.
    All { count: i64 },
    /// There is more.
    Some,
}

/// Takes back the next slice of a bulk, whose row is locked.
async fn undo_slice(
    transaction: &mut Transaction<'_, Postgres>,
    order: &Order,
    bulk_id: Uuid,
) -> Result<Restored, StoreError> {
    let ids = sqlx::query_scalar!(
        "select g.group_id from bulk b join bulk_group g on g.bulk_id = b.id and g.group_id > b.undone_id
         where b.id = $1 order by g.group_id limit $2",
        bulk_id,
        SLICE as i64
    )
    .fetch_all(&mut **transaction)
    .await?;
    lock(transaction, order, &ids).await?;
    let restored = sqlx::query_scalar!(
        // What was resolved, and came while it was not, is not resolved by that.
        "update grp g set
             state = case when came.since then 'unresolved' else b.state end,
             resolved_at = case when not came.since then b.resolved_at end,
             resolved_after = case when not came.since then b.resolved_after end,
             mute_until = b.mute_until,
             mute_notice_count = b.mute_notice_count, mute_user_count = b.mute_user_count,
             mute_environment = b.mute_environment, assignee_id = b.assignee_id, version = g.version + 1
         from bulk_group b
         join bulk on bulk.id = b.bulk_id
         join grp was on was.project_id = $2 and was.id = b.group_id
         cross join lateral (
             select b.state = 'resolved' and was.state <> 'resolved' and was.last_seen_at > bulk.created_at as since
         ) came
         where b.bulk_id = $1 and b.group_id = any($3::bigint[]) and g.project_id = $2 and g.id = b.group_id
             and g.version = b.version and g.merged_into is null
         returning g.id",
        bulk_id,
        order.project_id,
        &ids
    )
    .fetch_all(&mut **transaction)
    .await?;
    sqlx::query!(
        "insert into grp_history (project_id, group_id, actor_id, kind)
         select $1, id, $2, 'restored' from unnest($3::bigint[]) as given (id) order by id",
        order.project_id,
        order.actor_id,
        &restored
    )
    .execute(&mut **transaction)
    .await?;
    let is_over = ids.len() < SLICE;
    let count = sqlx::query_scalar!(
        "update bulk set undone_id = coalesce($2, undone_id), undone_count = undone_count + $3,
             failure_count = 0, next_at = now(), undone_at = case when $4::bool then now() end
         where id = $1 returning undone_count",
        bulk_id,
        ids.last().copied(),
        i64::try_from(restored.len()).unwrap_or(i64::MAX),
        is_over
    )
    .fetch_one(&mut **transaction)
    .await?;
    Ok(if is_over { Restored::All { count } } else { Restored::Some })
}

fn counted(count: i64) -> String {
    if count == 1 { "1 group".to_owned() } else { format!("{count} groups") }
}
