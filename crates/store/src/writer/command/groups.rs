//! What people do to groups: their state and who deals with them.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use sqlx::types::time::OffsetDateTime;
use sqlx::{Postgres, Transaction};
use time::format_description::well_known::Rfc3339;

use super::{Act, CommandStatus, Order, Outcome, letters, may_act};
use crate::StoreError;
use crate::writer::{Writer, mail};

/// Longest name of an environment that a mute is limited to.
const ENVIRONMENT_CHARS_MAX: usize = 200;

/// Groups that are taken from people who have gone, in one statement.
const UNASSIGNED_AT_ONCE: i64 = 500;

/// Longest mute that ends after a time.
const MUTE_SECONDS_MAX: i64 = 400 * 86_400;

/// What somebody does to a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "change")]
pub enum GroupChange {
    /// It is mended.
    Resolve {
        /// Which notices say that it is not.
        #[serde(default)]
        unless: Comeback,
    },
    /// It is not mended after all, or no longer muted.
    Reopen,
    /// It goes on being counted, but tells nobody.
    Mute {
        /// Until when.
        #[serde(flatten)]
        until: MuteUntil,
    },
    /// Somebody deals with it, or nobody.
    Assign {
        /// A member of the project.
        assignee_id: Option<i64>,
    },
}

/// Which later notices reopen a group that was resolved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Comeback {
    /// The next one.
    #[default]
    Any,
    /// The next one of a release that is later than all that the group was seen in.
    ThisRelease,
    /// The next one of a release that is later than all that the project has now.
    NextRelease,
}

impl Comeback {
    fn as_str(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::ThisRelease => "this_release",
            Self::NextRelease => "next_release",
        }
    }
}

/// What ends a mute: whichever comes first. Without any it lasts until somebody ends it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MuteUntil {
    /// This time, as Unix seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_s: Option<i64>,
    /// So many seconds from when it is done: the same in every repeat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<i64>,
    /// So many notices more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notices: Option<i64>,
    /// So many users in all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub users: Option<i32>,
    /// A notice from another environment, or from none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elsewhere_than: Option<String>,
}

impl MuteUntil {
    fn at(&self) -> Option<OffsetDateTime> {
        self.at_s.and_then(|at| OffsetDateTime::from_unix_timestamp(at).ok())
    }

    fn is_valid(&self) -> bool {
        self.at_s.is_some() == self.at().is_some()
            && self.seconds.is_none_or(|seconds| (1..=MUTE_SECONDS_MAX).contains(&seconds))
            && self.notices.is_none_or(|notices| (1..=1_000_000_000).contains(&notices))
            && self.users.is_none_or(|users| (1..=100_000_000).contains(&users))
            && self
                .elsewhere_than
                .as_ref()
                .is_none_or(|name| !name.is_empty() && name.chars().count() <= ENVIRONMENT_CHARS_MAX)
    }
}

impl std::fmt::Display for MuteUntil {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut said = String::new();
        let mut say = |text: std::fmt::Arguments<'_>| {
            let _ = write!(said, "{}{text}", if said.is_empty() { "" } else { ", or " });
        };
        if let Some(at) = self.at() {
            say(format_args!("until {}", at.format(&Rfc3339).unwrap_or_default()));
        }
        if let Some(notices) = self.notices {
            say(format_args!("until {notices} more notices"));
        }
        if let Some(users) = self.users {
            say(format_args!("until {users} users met it"));
        }
        if let Some(environment) = &self.elsewhere_than {
            say(format_args!("in {environment} alone"));
        }
        f.write_str(&said)
    }
}

impl GroupChange {
    /// The name of its kind, as commands and bulks have it.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Resolve { .. } => "resolve",
            Self::Reopen => "reopen",
            Self::Mute { .. } => "mute",
            Self::Assign { .. } => "assign",
        }
    }

    /// What was done, of several groups.
    pub(super) fn done(&self) -> &'static str {
        match self {
            Self::Resolve { .. } => "resolved",
            Self::Reopen => "opened again",
            Self::Mute { .. } => "muted",
            Self::Assign { assignee_id: Some(_) } => "assigned",
            Self::Assign { assignee_id: None } => "assigned to nobody",
        }
    }

    /// The state it leads to, unless it leaves the state as it is.
    pub(super) fn state(&self) -> Option<&'static str> {
        match self {
            Self::Resolve { .. } => Some("resolved"),
            Self::Reopen => Some("unresolved"),
            Self::Mute { .. } => Some("muted"),
            Self::Assign { .. } => None,
        }
    }

    /// The same, done now: what is said from now on is said as a time.
    pub(super) fn settled(&self) -> Self {
        let now_s = OffsetDateTime::now_utc().unix_timestamp();
        match self {
            Self::Mute { until: until @ MuteUntil { seconds: Some(seconds), .. } } => Self::Mute {
                until: MuteUntil { at_s: Some(now_s.saturating_add(*seconds)), seconds: None, ..until.clone() },
            },
            other => other.clone(),
        }
    }

    /// Whether the group is so already, with nothing that would be different.
    pub(super) fn is_so(&self, group: &Locked) -> bool {
        match self {
            Self::Resolve { unless } => group.state == "resolved" && *unless == Comeback::Any && !group.has_rule,
            Self::Reopen => group.state == "unresolved",
            Self::Mute { until } => group.state == "muted" && *until == MuteUntil::default() && !group.has_rule,
            Self::Assign { assignee_id } => group.assignee_id == *assignee_id,
        }
    }

    /// Why it cannot be done to a group, or to any when there is none yet.
    pub(super) async fn refused(
        &self,
        transaction: &mut Transaction<'_, Postgres>,
        order: &Order,
        group_id: Option<i64>,
    ) -> Result<Option<Outcome>, StoreError> {
        let told = match self {
            Self::Mute { until } if !until.is_valid() => "A mute ends at a time, or after some notices or users.",
            Self::Resolve { unless } if !has_release(transaction, order, group_id, *unless).await? => {
                "No release is known, so none can be later: resolve it at once instead."
            }
            Self::Assign { assignee_id: Some(id) } if !is_member(transaction, order, *id).await? => {
                "Only a member of the project can be assigned."
            }
            _ => return Ok(None),
        };
        Ok(Some(Outcome::ended(CommandStatus::Invalid, told)))
    }
}

/// Somebody changes a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GroupAct {
    /// The group, of the order's project.
    pub group_id: i64,
    /// What is done.
    #[serde(flatten)]
    pub change: GroupChange,
    /// The version of the group that the person saw; 0: it is changed as it is.
    pub expected_version: i32,
}

impl Act for GroupAct {
    fn kind(&self) -> &'static str {
        self.change.kind()
    }

    async fn act(&self, transaction: &mut Transaction<'_, Postgres>, order: &Order) -> Result<Outcome, StoreError> {
        Ok(self.apply(transaction, order).await?.0)
    }
}

impl GroupAct {
    /// What it led to, and whether the group is another than before.
    async fn apply(
        &self,
        transaction: &mut Transaction<'_, Postgres>,
        order: &Order,
    ) -> Result<(Outcome, bool), StoreError> {
        if !may_act(transaction, order).await? {
            return Ok((denied(), false));
        }
        let Some(group) = lock(transaction, order, &[self.group_id]).await?.pop() else {
            return Ok((missing(), false));
        };
        if group.merged_into.is_none() && self.change.is_so(&group) {
            return Ok((Outcome::done("It was so already.").with_version(group.version), false));
        }
        if let Some(conflict) = conflict(transaction, order, &group, self.expected_version).await? {
            return Ok((conflict, false));
        }
        if let Some(refused) = self.change.refused(transaction, order, Some(group.id)).await? {
            return Ok((refused, false));
        }
        let changed = change(transaction, order, &[group.id], &self.change.settled()).await?;
        let version = changed.first().map_or(group.version, |(_, version)| *version);
        Ok((Outcome::done("Done.").with_version(version), true))
    }
}

/// Mails of groups that somebody was given within an hour; of more they hear on the pages.
const MAILS_PER_HOUR_MAX: i64 = 20;

/// Somebody gives a group to somebody, who hears of it by mail: unless they took it themselves, want no mail of the project, or had
/// twenty within the hour.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AssignGroup {
    /// The change, to an assignee or to nobody.
    #[serde(flatten)]
    pub act: GroupAct,
    /// Where people reach the pages; without it nobody is told.
    #[serde(skip)]
    pub public_url: Option<String>,
}

impl Act for AssignGroup {
    fn kind(&self) -> &'static str {
        self.act.kind()
    }

    async fn act(&self, transaction: &mut Transaction<'_, Postgres>, order: &Order) -> Result<Outcome, StoreError> {
        let (outcome, is_changed) = self.act.apply(transaction, order).await?;
        if let (true, Some(public_url), GroupChange::Assign { assignee_id: Some(assignee_id) }) =
            (is_changed, &self.public_url, &self.act.change)
            && *assignee_id != order.actor_id
        {
            self.tell(transaction, order, *assignee_id, public_url).await?;
        }
        Ok(outcome)
    }
}

impl AssignGroup {
    async fn tell(
        &self,
        transaction: &mut Transaction<'_, Postgres>,
        order: &Order,
        assignee_id: i64,
        public_url: &str,
    ) -> Result<(), StoreError> {
        let told = sqlx::query!(
            "select u.email, p.name as project, t.class, t.message, t.culprit
             from user_account u
             join project p on p.id = $2
             join grp_text t on t.project_id = p.id and t.group_id = $3
             left join notification_choice c on c.user_id = u.id and c.project_id = p.id
             where u.id = $1 and coalesce(c.alerts, true)
                 and (select count(*) from outbox o where o.recipient = u.email and o.kind = 'group.assigned'
                     and o.created_at > now() - interval '1 hour') < $4",
            assignee_id,
            order.project_id,
            self.act.group_id,
            MAILS_PER_HOUR_MAX
        )
        .fetch_optional(&mut **transaction)
        .await?;
        let Some(told) = told else { return Ok(()) };
        let group = letters::AssignedGroup {
            project_id: order.project_id,
            group_id: self.act.group_id,
            project: &told.project,
            class: &told.class,
            message: &told.message,
            culprit: &told.culprit,
        };
        let by = person(transaction, order.actor_id).await?;
        let mail = letters::assigned(&told.email, public_url, &group, &by);
        mail::queue(transaction, "group.assigned", Some((order.project_id, self.act.group_id)), &mail).await?;
        Ok(())
    }
}

/// Changes groups that are locked, and writes that into their histories. Answers each with its new version.
pub(super) async fn change(
    transaction: &mut Transaction<'_, Postgres>,
    order: &Order,
    group_ids: &[i64],
    change: &GroupChange,
) -> Result<Vec<(i64, i32)>, StoreError> {
    let (unless, until, assigns) = match change {
        GroupChange::Resolve { unless } => (*unless, MuteUntil::default(), None),
        GroupChange::Reopen => (Comeback::Any, MuteUntil::default(), None),
        GroupChange::Mute { until } => (Comeback::Any, until.clone(), None),
        GroupChange::Assign { assignee_id } => (Comeback::Any, MuteUntil::default(), Some(*assignee_id)),
    };
    let rows = sqlx::query_file!(
        "queries/change_groups.sql",
        order.project_id,
        group_ids,
        change.state(),
        unless.as_str(),
        until.at(),
        until.notices,
        until.users,
        until.elsewhere_than,
        assigns.is_some(),
        assigns.flatten()
    )
    .fetch_all(&mut **transaction)
    .await?;
    let (happened, detail) = match change {
        GroupChange::Resolve { .. } => ("resolved", String::new()), // which release it is may be different for each
        GroupChange::Reopen => ("reopened", String::new()),
        GroupChange::Mute { until } => ("muted", until.to_string()),
        GroupChange::Assign { assignee_id: None } => ("unassigned", String::new()),
        GroupChange::Assign { assignee_id: Some(id) } => {
            ("assigned", format!("to {}", person(transaction, *id).await?))
        }
    };
    let ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
    let places: Vec<Option<i64>> =
        rows.iter().map(|row| row.resolved_after.filter(|_| happened == "resolved")).collect();
    sqlx::query!(
        "insert into grp_history (project_id, group_id, actor_id, kind, detail)
         select $1, given.id, $2, $3, coalesce('until a release later than ' || r.version, $4)
         from unnest($5::bigint[], $6::bigint[]) as given (id, place)
         left join project_release r on r.project_id = $1 and r.place = given.place
         order by given.id",
        order.project_id,
        order.actor_id,
        happened,
        detail,
        &ids,
        &places as &[Option<i64>]
    )
    .execute(&mut **transaction)
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.version)).collect())
}

impl Writer {
    /// Takes groups from assignees who see the project no longer; how many.
    pub async fn unassign_absent(&self) -> Result<u64, StoreError> {
        let mut unassigned = 0;
        loop {
            let slice =
                sqlx::query_file!("queries/unassign_absent.sql", UNASSIGNED_AT_ONCE).execute(&self.pool).await?;
            unassigned += slice.rows_affected();
            if slice.rows_affected() < UNASSIGNED_AT_ONCE.unsigned_abs() {
                return Ok(unassigned);
            }
        }
    }
}

/// A group that is locked until the transaction's end.
#[derive(Debug, Clone)]
pub(super) struct Locked {
    pub(super) id: i64,
    pub(super) state: String,
    pub(super) version: i32,
    pub(super) merged_into: Option<i64>,
    pub(super) notice_count: i64,
    pub(super) first_seen_at: OffsetDateTime,
    pub(super) last_seen_at: OffsetDateTime,
    pub(super) assignee_id: Option<i64>,
    /// Whether something is said of its state beside its name.
    pub(super) has_rule: bool,
}

/// Locks groups as batches do, in the order of their ids. Those that there are not are left out.
pub(super) async fn lock(
    transaction: &mut Transaction<'_, Postgres>,
    order: &Order,
    group_ids: &[i64],
) -> Result<Vec<Locked>, StoreError> {
    let groups = sqlx::query_as!(
        Locked,
        r#"select id, state, version, merged_into, notice_count, first_seen_at, last_seen_at, assignee_id,
             num_nonnulls(resolved_after, mute_until, mute_notice_count, mute_user_count, mute_environment) > 0 as "has_rule!"
         from grp where project_id = $1 and id = any($2::bigint[]) and deleted_at is null order by id for no key update"#,
        order.project_id,
        group_ids
    )
    .fetch_all(&mut **transaction)
    .await?;
    Ok(groups)
}

/// Why a group is not changed, if somebody has changed it since the person saw it, or merged it: who did what is told. Version 0 is
/// that of whoever did not look.
pub(super) async fn conflict(
    transaction: &mut Transaction<'_, Postgres>,
    order: &Order,
    group: &Locked,
    expected_version: i32,
) -> Result<Option<Outcome>, StoreError> {
    if (expected_version == 0 || group.version == expected_version) && group.merged_into.is_none() {
        return Ok(None);
    }
    let newest = sqlx::query!(
        r#"select h.kind, h.detail, coalesce(nullif(u.name, ''), u.email) as actor
           from grp_history h left join user_account u on u.id = h.actor_id
           where h.project_id = $1 and h.group_id = $2 order by h.at desc, h.id desc limit 1"#,
        order.project_id,
        group.id
    )
    .fetch_optional(&mut **transaction)
    .await?;
    let happened = newest.map_or_else(
        || "Somebody changed this group meanwhile".to_owned(),
        |change| {
            let actor = change.actor.unwrap_or_else(|| "Croak".to_owned());
            let detail = if change.detail.is_empty() { String::new() } else { format!(" ({})", change.detail) };
            format!("Meanwhile {actor} {} this group{detail}", change.kind)
        },
    );
    let told = format!("{happened}. Nothing was changed; look again.");
    Ok(Some(Outcome::ended(CommandStatus::Conflict, told).with_version(group.version)))
}

/// Writes down what was done to a group.
pub(super) async fn note(
    transaction: &mut Transaction<'_, Postgres>,
    order: &Order,
    group_id: i64,
    happened: &str,
    detail: &str,
) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into grp_history (project_id, group_id, actor_id, kind, detail) values ($1, $2, $3, $4, $5)",
        order.project_id,
        group_id,
        order.actor_id,
        happened,
        detail
    )
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

async fn is_member(
    transaction: &mut Transaction<'_, Postgres>,
    order: &Order,
    user_id: i64,
) -> Result<bool, StoreError> {
    let is_member = sqlx::query_scalar!(
        r#"select exists (select from project_access where user_id = $1 and project_id = $2) as "is_member!""#,
        user_id,
        order.project_id
    )
    .fetch_one(&mut **transaction)
    .await?;
    Ok(is_member)
}

/// Whether there is a release that a later one could follow on.
async fn has_release(
    transaction: &mut Transaction<'_, Postgres>,
    order: &Order,
    group_id: Option<i64>,
    unless: Comeback,
) -> Result<bool, StoreError> {
    let of_group = match unless {
        Comeback::Any => return Ok(true),
        Comeback::ThisRelease => group_id,
        Comeback::NextRelease => None,
    };
    let has_release = sqlx::query_scalar!(
        r#"select exists (select from project_release r where r.project_id = $1 and ($2::bigint is null or exists (
               select from fingerprint f join facet x on x.project_id = f.project_id and x.fingerprint_id = f.id
               where f.project_id = $1 and f.group_id = $2 and x.key = 'release' and x.value = r.version))) as "has_release!""#,
        order.project_id,
        of_group
    )
    .fetch_one(&mut **transaction)
    .await?;
    Ok(has_release)
}

/// How a history calls a person.
async fn person(transaction: &mut Transaction<'_, Postgres>, user_id: i64) -> Result<String, StoreError> {
    let name = sqlx::query_scalar!(
        r#"select coalesce(nullif(name, ''), email) as "name!" from user_account where id = $1"#,
        user_id
    )
    .fetch_optional(&mut **transaction)
    .await?;
    Ok(name.unwrap_or_default())
}

pub(super) fn denied() -> Outcome {
    Outcome::ended(CommandStatus::Denied, "You may not change this project.")
}

pub(super) fn missing() -> Outcome {
    Outcome::ended(CommandStatus::Missing, "There is no such group.")
}
