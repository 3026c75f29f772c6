//! What people are told of a project: destinations with what was sent to them, rules, and what each person wants to hear.

use sqlx::types::time::OffsetDateTime;

use super::{Opened, ReadError, Reader};

/// Most members that a page lists.
const MEMBERS_MAX: i64 = 200;

/// Where alerts of a project go.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields are the columns")]
pub struct Destination {
    pub id: i64,
    /// `mail`, `webhook`, `slack`, `discord`, `teams`.
    pub kind: String,
    pub name: String,
    /// The server that it is at; the rest of its address is for the worker that sends.
    pub host: Option<String>,
    /// Mail: which members; none: all.
    pub member_ids: Option<Vec<i64>>,
    pub enabled: bool,
    /// Failures in a row.
    pub failure_count: i32,
    pub resting_until: Option<OffsetDateTime>,
    pub version: i32,
    /// What waits for it.
    pub waiting_count: i64,
    /// When it was last reached.
    pub reached_at: Option<OffsetDateTime>,
}

/// A line of the log of deliveries.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields are the columns")]
pub struct DeliveryLine {
    pub at: OffsetDateTime,
    /// What it told: `group.new`, ….
    pub kind: String,
    pub group_id: Option<i64>,
    /// Whom a mail went to.
    pub recipient: Option<String>,
    pub attempt: i32,
    pub status: Option<i32>,
    pub told: String,
    pub took_ms: i32,
    pub is_done: bool,
    pub is_given_up: bool,
}

/// A rule of a project.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields are the columns")]
pub struct AlertRule {
    pub id: i64,
    pub name: String,
    pub trigger: String,
    pub threshold: i64,
    pub window_minutes: i32,
    pub search: String,
    pub environments: Vec<String>,
    pub severity_min: String,
    /// Where it is told; none: everywhere.
    pub destination_ids: Option<Vec<i64>>,
    /// Quiet hours, as minutes of the day.
    pub quiet_from: Option<i32>,
    pub quiet_until: Option<i32>,
    pub time_zone: String,
    pub digest_minutes: i32,
    pub enabled: bool,
    pub version: i32,
    /// When it was last met.
    pub met_at: Option<OffsetDateTime>,
    /// What it has not told yet, up to [`WAITING_COUNTED_MAX`] and one more.
    pub waiting_count: i64,
}

/// What somebody wants to hear of a project by mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are the columns")]
pub struct NotificationChoice {
    pub alerts: bool,
    pub weekly: bool,
}

/// Somebody who may be told by mail.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields are the columns")]
pub struct AlertMember {
    pub id: i64,
    pub name: String,
}

/// What waits is counted up to here.
pub const WAITING_COUNTED_MAX: i64 = 9_999;
/// Messages of a destination whose attempts are looked at.
const LOGGED_MAX: i64 = 100;

impl Reader {
    /// Where alerts of a project go; `id` narrows to one.
    pub async fn destinations(&self, opened: &Opened, id: Option<i64>) -> Result<Vec<Destination>, ReadError> {
        let destinations = sqlx::query_as!(
            Destination,
            r#"select d.id, d.kind, d.name, d.host, d.member_ids, d.enabled, d.failure_count, d.resting_until, d.version,
                   -- Calls and mails have an index each of what waits.
                   (select count(*) from (
                       (select from outbox o where o.destination_id = d.id and o.recipient is null
                           and o.done_at is null and o.gave_up_at is null limit $3::bigint + 1)
                       union all
                       (select from outbox o where o.destination_id = d.id and o.recipient is not null
                           and o.done_at is null and o.gave_up_at is null limit $3::bigint + 1)
                       limit $3::bigint + 1) few) as "waiting_count!",
                   (select o.done_at from outbox o where o.destination_id = d.id and o.done_at is not null
                       order by o.done_at desc limit 1) as reached_at
               from destination d
               where d.project_id = $1 and ($2::bigint is null or d.id = $2)
               order by d.id"#,
            opened.id(),
            id,
            WAITING_COUNTED_MAX
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(destinations)
    }

    /// The last attempts at a destination, newest first: of its newest 100 messages.
    pub async fn delivery_log(
        &self,
        opened: &Opened,
        destination_id: i64,
        limit: i64,
    ) -> Result<Vec<DeliveryLine>, ReadError> {
        let lines = sqlx::query_as!(
            DeliveryLine,
            r#"select l.at, o.kind, o.group_id, o.recipient, l.attempt, l.status, l.told, l.took_ms,
                   o.done_at is not null as "is_done!", o.gave_up_at is not null as "is_given_up!"
               from destination d
               -- Not their text, which the web may not read.
               cross join lateral (select o.id, o.kind, o.group_id, o.recipient, o.done_at, o.gave_up_at from outbox o
                   where o.destination_id = d.id order by o.created_at desc limit $4) o
               join delivery l on l.outbox_id = o.id
               where d.project_id = $1 and d.id = $2
               order by l.id desc
               limit $3"#,
            opened.id(),
            destination_id,
            limit,
            LOGGED_MAX
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(lines)
    }

    /// The rules of a project; `id` narrows to one.
    pub async fn alert_rules(&self, opened: &Opened, id: Option<i64>) -> Result<Vec<AlertRule>, ReadError> {
        let rules = sqlx::query_as!(
            AlertRule,
            r#"select r.id, r.name, r.trigger, r.threshold, r.window_minutes, r.search, r.environments, r.severity_min,
                   r.destination_ids, r.quiet_from, r.quiet_until, r.time_zone, r.digest_minutes, r.enabled, r.version,
                   (select a.at from alert a where a.rule_id = r.id order by a.id desc limit 1) as met_at,
                   (select count(*) from (
                       (select from alert a where a.rule_id = r.id and a.told_at is null and a.is_meant limit $3::bigint + 1)
                       union all
                       (select from alert a where a.rule_id = r.id and a.told_at is null and not a.is_meant limit $3::bigint + 1)
                       limit $3::bigint + 1) few) as "waiting_count!"
               from alert_rule r
               where r.project_id = $1 and ($2::bigint is null or r.id = $2)
               order by r.id"#,
            opened.id(),
            id,
            WAITING_COUNTED_MAX
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rules)
    }

    /// What somebody wants to hear of a project by mail.
    pub async fn notification_choice(&self, opened: &Opened, user_id: i64) -> Result<NotificationChoice, ReadError> {
        let choice = sqlx::query_as!(
            NotificationChoice,
            "select alerts, weekly from notification_choice where user_id = $1 and project_id = $2",
            user_id,
            opened.id()
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(choice.unwrap_or(NotificationChoice { alerts: true, weekly: false }))
    }

    /// The members of a project, by name.
    pub async fn alert_members(&self, opened: &Opened) -> Result<Vec<AlertMember>, ReadError> {
        let members = sqlx::query_as!(
            AlertMember,
            r#"select u.id, coalesce(nullif(u.name, ''), u.email) as "name!"
               from project_access m join user_account u on u.id = m.user_id
               where m.project_id = $1 order by 2 limit $2"#,
            opened.id(),
            MEMBERS_MAX
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(members)
    }

    /// Whether a worker that is alive has a server to hand mails to.
    pub async fn is_mail_sent(&self) -> Result<bool, ReadError> {
        let is_sent = sqlx::query_scalar!(
            r#"select exists (select from worker where sends_mail and alive_until > now()) as "is_sent!""#
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(is_sent)
    }
}
