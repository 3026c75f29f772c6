//! Alerts: that a rule was met, and what people are told of it.
//!
//! That a rule was met is written once, in the transaction that saw it. Telling is a second step: one transaction marks alerts as told
//! and puts what is told into the outbox, so that neither happens without the other.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use serde_json::Value;
use time::OffsetDateTime;

use super::{Mail, Writer};
use crate::alert::{DestinationKind, Severity};
use crate::reader::search::Search;
use crate::reader::{GroupFilter, Viewer};
use crate::{Reader, StoreError};

/// A group that came longer ago than this meets no rule that counts, in most evaluations: how far back they look.
const SEEN_WITHIN: Duration = Duration::from_secs(900);

/// The same of those that look for groups that became visible late, as when nobody could write, or evaluate, for a while.
const SEEN_LATE_WITHIN: Duration = Duration::from_secs(86_400);

/// Longest time for one rule, and for a lock that it waits for.
const EVALUATION_LIMITS: &str = "set local statement_timeout = '10s'; set local lock_timeout = '2s'";

/// A group that a rule's search did not find is looked at again after so long.
const PASSED_OVER_FOR: Duration = Duration::from_secs(300);

/// Alerts that were passed over and are forgotten in one go.
const FORGOTTEN_MAX: i64 = 10_000;

/// Most groups that meet one rule in one evaluation; more wait for the next.
const MET_MAX: i64 = 10_000;

/// Alerts of rules with a search that are looked at in one go.
const CHECKED_MAX: i64 = 1_000;

/// Most members who are told by mail through one destination.
const READERS_MAX: i64 = 500;

/// A rule that has something to tell.
#[derive(Debug, Clone)]
pub struct PendingRule {
    /// Number.
    pub id: i64,
    /// The project.
    pub project_id: i64,
    /// What people call the rule.
    pub name: String,
    /// What people call the project.
    pub project_name: String,
    /// Alerts are collected for so long and told together; 0: they are not.
    pub digest_minutes: i32,
    /// Where they go; none: to all of the project.
    pub destination_ids: Option<Vec<i64>>,
    /// How many wait.
    pub alert_count: i64,
    /// The newest of them.
    pub newest_id: i64,
    /// For how long the oldest waits.
    pub oldest_s: f64,
    /// How many were told singly of late.
    pub singly_count: i64,
    /// How long ago the last were told together, if that was of late.
    pub together_s: Option<f64>,
    /// Whether it is a quiet hour.
    pub is_quiet: bool,
}

/// A rule with a search, and alerts of which nobody has looked yet whether it finds their groups.
#[derive(Debug, Clone)]
pub struct UncheckedRule {
    /// Number.
    pub rule_id: i64,
    /// The project.
    pub project_id: i64,
    /// As people typed it.
    pub search: String,
    /// The alerts.
    pub ids: Vec<i64>,
    /// The group of each.
    pub group_ids: Vec<i64>,
}

/// How far an evaluation looks back for groups that meet rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LooksBack {
    /// As far as is needed where one follows on the other.
    Shortly,
    /// As far as a rule can count: what became visible late is found.
    Far,
}

/// An alert that nobody was told of.
#[derive(Debug, Clone)]
pub struct PendingAlert {
    /// Number.
    pub id: i64,
    /// The group that met the rule.
    pub group_id: i64,
    /// `group.new`, `group.reopened`, `group.count`, `group.users`.
    pub kind: String,
    /// When it met it.
    pub at: OffsetDateTime,
    /// What was known then.
    pub body: Value,
    /// Class of the group's error.
    pub class: String,
    /// Its message.
    pub message: String,
    /// Where it happens.
    pub culprit: String,
    /// How often it came by now.
    pub notice_count: i64,
    /// How many users met it by now.
    pub user_count: i32,
    /// What people made of it by now.
    pub state: String,
}

/// Where alerts of a rule go.
#[derive(Debug, Clone)]
pub struct AlertDestination {
    /// Number.
    pub id: i64,
    /// What it is.
    pub kind: DestinationKind,
    /// Mail: which members; none: all.
    pub member_ids: Option<Vec<i64>>,
}

/// Somebody who is told by mail.
#[derive(Clone)]
pub struct MailReader {
    /// Who it is.
    pub id: i64,
    /// Where mail finds them.
    pub email: String,
}

/// Which alerts of a rule are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tells {
    /// This one.
    Single(i64),
    /// All that the rule had to tell when it was read.
    Together,
}

/// One message of the outbox.
#[derive(Debug, Clone)]
pub struct Message {
    /// Where it goes.
    pub destination_id: i64,
    /// The group that it is about, if it is about one.
    pub group_id: Option<i64>,
    /// What it tells.
    pub kind: String,
    /// What is sent.
    pub content: Content,
}

/// What a message is.
#[derive(Debug, Clone)]
pub enum Content {
    /// A mail to somebody.
    Mail(Mail),
    /// The body of a call.
    Call(Value),
}

impl Writer {
    /// Rules that have something to tell; `of_late` is how far back their earlier messages count.
    pub async fn pending_rules(&self, of_late: Duration) -> Result<Vec<PendingRule>, StoreError> {
        let rules = sqlx::query_file_as!(PendingRule, "queries/pending_rules.sql", of_late.as_secs_f64())
            .fetch_all(&self.pool)
            .await?;
        Ok(rules)
    }

    /// Rules with a search that is still to be asked whether it finds the groups that met them.
    pub async fn unchecked_rules(&self) -> Result<Vec<UncheckedRule>, StoreError> {
        let rules = sqlx::query_file_as!(UncheckedRule, "queries/unchecked_alerts.sql", CHECKED_MAX)
            .fetch_all(&self.pool)
            .await?;
        Ok(rules)
    }

    /// Looks whether a rule's search finds the groups that met it: those are told, and the others passed over. A group that was merged
    /// meanwhile is found if the one is that shows it.
    pub async fn check_alerts(&self, reader: &Reader, rule: &UncheckedRule) -> Result<(), StoreError> {
        let found: HashSet<i64> = match Search::parse(&rule.search) {
            Ok(search) => {
                let roots = self.roots(rule.project_id, &rule.group_ids).await?;
                let among: Vec<i64> = roots.values().copied().collect::<HashSet<i64>>().into_iter().collect();
                let found = found(reader, rule.project_id, search, among).await?;
                roots.into_iter().filter(|(_, root)| found.contains(root)).map(|(group_id, _)| group_id).collect()
            }
            // It was understood when it was saved; to tell too much is better than to be silent.
            Err(_) => rule.group_ids.iter().copied().collect(),
        };
        let (meant, passed): (Vec<_>, Vec<_>) =
            rule.ids.iter().zip(&rule.group_ids).partition(|(_, group_id)| found.contains(group_id));
        let ids = |of: Vec<(&i64, &i64)>| of.into_iter().map(|(id, _)| *id).collect::<Vec<i64>>();
        sqlx::query!(
            "update alert set is_meant = id = any($2), told_at = case when id = any($3) then now() end,
                 told_as = case when id = any($3) then 'passed_over' end
             where rule_id = $1 and (id = any($2) or id = any($3)) and told_at is null",
            rule.rule_id,
            &ids(meant),
            &ids(passed)
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    async fn roots(&self, project_id: i64, group_ids: &[i64]) -> Result<HashMap<i64, i64>, StoreError> {
        let rows = sqlx::query_file!("queries/group_roots.sql", project_id, group_ids).fetch_all(&self.pool).await?;
        Ok(rows.into_iter().map(|row| (row.asked_id, row.id)).collect())
    }

    /// Passes over what a rule has to tell of groups that people have dealt with, or muted, or deleted meanwhile; how many.
    pub async fn pass_over_dealt_with(&self, rule: &PendingRule) -> Result<u64, StoreError> {
        let passed = sqlx::query!(
            "update alert a set told_at = now(), told_as = 'passed_over'
             where a.rule_id = $1 and a.told_at is null and a.is_meant and not exists (
                 select from grp g
                 where g.project_id = a.project_id and g.id = a.group_id and g.state = 'unresolved' and g.deleted_at is null)",
            rule.id
        )
        .execute(&self.pool)
        .await?;
        Ok(passed.rows_affected())
    }

    /// What a rule has to tell, oldest first.
    pub async fn pending_alerts(&self, rule_id: i64, limit: i64) -> Result<Vec<PendingAlert>, StoreError> {
        let alerts = sqlx::query_file_as!(PendingAlert, "queries/pending_alerts.sql", rule_id, limit)
            .fetch_all(&self.pool)
            .await?;
        Ok(alerts)
    }

    /// Where a rule's alerts go.
    pub async fn destinations_of(&self, rule: &PendingRule) -> Result<Vec<AlertDestination>, StoreError> {
        let ids = rule.destination_ids.as_deref();
        let rows = sqlx::query_file!("queries/destinations_of_rule.sql", rule.project_id, ids as Option<&[i64]>)
            .fetch_all(&self.pool)
            .await?;
        Ok(rows
            .into_iter()
            .filter_map(|row| {
                let kind = DestinationKind::parse(&row.kind)?;
                Some(AlertDestination { id: row.id, kind, member_ids: row.member_ids })
            })
            .collect())
    }

    /// The members of a project who are told by mail; `member_ids` narrows them.
    pub async fn mail_readers(
        &self,
        project_id: i64,
        member_ids: Option<&[i64]>,
    ) -> Result<Vec<MailReader>, StoreError> {
        let readers = sqlx::query_file_as!(
            MailReader,
            "queries/mail_readers.sql",
            project_id,
            member_ids as Option<&[i64]>,
            READERS_MAX
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(readers)
    }

    /// Marks alerts as told and puts what is told into the outbox: all of it, or nothing when somebody else told of them meanwhile.
    /// Answers which.
    pub async fn tell(&self, rule: &PendingRule, tells: Tells, messages: &[Message]) -> Result<bool, StoreError> {
        let (told_as, from_id, to_id, at_least) = match tells {
            Tells::Single(id) => ("single", id, id, 1),
            Tells::Together => ("together", 0, rule.newest_id, rule.alert_count.unsigned_abs()),
        };
        let mut transaction = self.begin().await?;
        let marked = sqlx::query!(
            "update alert set told_at = now(), told_as = $4 where rule_id = $1 and id between $2 and $3 and told_at is null and is_meant",
            rule.id,
            from_id,
            to_id,
            told_as
        )
        .execute(&mut *transaction)
        .await?
        .rows_affected();
        // An older one may have become visible since they were counted; whoever is late finds none.
        if marked < at_least {
            return Ok(false);
        }
        for message in messages {
            let (recipient, body) = match &message.content {
                Content::Mail(mail) => {
                    (Some(mail.to.as_str()), serde_json::to_value(mail).map_err(StoreError::NotJson)?)
                }
                Content::Call(body) => (None, body.clone()),
            };
            sqlx::query!(
                "insert into outbox (destination_id, recipient, project_id, group_id, kind, body) values ($1, $2, $3, $4, $5, $6)",
                message.destination_id,
                recipient,
                rule.project_id,
                message.group_id,
                message.kind,
                body
            )
            .execute(&mut *transaction)
            .await?;
        }
        transaction.commit().await.map_err(StoreError::CommitUnknown)?;
        Ok(true)
    }

    /// Looks for groups that meet rules which count over time, and writes down which do. One worker at a time; how many were met.
    /// A rule that fails, or takes too long, is passed over until the next time.
    pub async fn evaluate_alert_rules(&self, looks: LooksBack) -> Result<u64, StoreError> {
        // This transaction has the lock and nothing else while they are evaluated, each in a transaction of its own; a worker that was stopped
        // in the middle does not keep it for ever.
        let mut turn = self.begin().await?;
        sqlx::query!("set local idle_in_transaction_session_timeout = '10min'").execute(&mut *turn).await?;
        let is_mine = sqlx::query_scalar!(
            r#"select pg_try_advisory_xact_lock(hashtextextended('croak alert rules', 0)) as "is_mine!""#
        )
        .fetch_one(&mut *turn)
        .await?;
        if !is_mine {
            return Ok(0);
        }
        let rules = sqlx::query_scalar!(
            "select id from alert_rule where enabled and trigger in ('count', 'users') order by id"
        )
        .fetch_all(&self.pool)
        .await?;
        let mut met = 0;
        for rule_id in rules {
            match self.evaluate(rule_id, looks).await {
                Ok(by_this) => met += by_this,
                Err(error) => tracing::warn!(rule = rule_id, error = %error, "a rule that counts is passed over"),
            }
        }
        turn.rollback().await?;
        Ok(met)
    }

    async fn evaluate(&self, rule_id: i64, looks: LooksBack) -> Result<u64, StoreError> {
        let seen_within_s = match looks {
            LooksBack::Shortly => SEEN_WITHIN.as_secs_f64(),
            LooksBack::Far => SEEN_LATE_WITHIN.as_secs_f64(),
        };
        let mut transaction = self.begin().await?;
        // The turn's connection may have died: then somebody else has it.
        let is_mine = sqlx::query_scalar!(
            r#"select pg_try_advisory_xact_lock(hashtextextended('croak alert rule', $1)) as "is_mine!""#,
            rule_id
        )
        .fetch_one(&mut *transaction)
        .await?;
        if !is_mine {
            return Ok(0);
        }
        sqlx::raw_sql(EVALUATION_LIMITS).execute(&mut *transaction).await?;
        // What was passed over says nothing of what the search finds by now.
        sqlx::query!(
            "delete from alert where (rule_id, id) in (
                 select rule_id, id from alert
                 where rule_id = $1 and told_as = 'passed_over' and told_at < now() - $2 * interval '1 second'
                     and kind in ('group.count', 'group.users') limit $3)",
            rule_id,
            PASSED_OVER_FOR.as_secs_f64(),
            FORGOTTEN_MAX
        )
        .execute(&mut *transaction)
        .await?;
        let words: Vec<String> = Severity::WORDS.iter().map(|(word, _)| (*word).to_owned()).collect();
        let ranks: Vec<i32> = Severity::WORDS.iter().map(|(_, severity)| *severity as i32).collect();
        let unsaid = Severity::default() as i32;
        let by_count =
            sqlx::query_file!("queries/alerts_by_count.sql", seen_within_s, rule_id, MET_MAX, &words, &ranks, unsaid)
                .execute(&mut *transaction)
                .await?;
        let by_users =
            sqlx::query_file!("queries/alerts_by_users.sql", seen_within_s, rule_id, MET_MAX, &words, &ranks, unsaid)
                .execute(&mut *transaction)
                .await?;
        transaction.commit().await.map_err(StoreError::CommitUnknown)?;
        Ok(by_count.rows_affected() + by_users.rows_affected())
    }

    /// What links that end mails are signed with.
    pub async fn unsubscribe_key(&self) -> Result<Vec<u8>, StoreError> {
        Ok(sqlx::query_scalar!("select key from unsubscribe_key").fetch_one(&self.pool).await?)
    }
}

/// Which of these groups a search finds.
async fn found(reader: &Reader, project_id: i64, search: Search, among: Vec<i64>) -> Result<Vec<i64>, StoreError> {
    let opened = reader.open(Viewer::Project(project_id), project_id).await.map_err(StoreError::from)?;
    let Some(opened) = opened else { return Ok(Vec::new()) };
    let count = among.len();
    let filter = GroupFilter { search, among: Some(among), ..GroupFilter::default() };
    let page = reader.groups(&opened, &filter, None, count).await.map_err(StoreError::from)?;
    Ok(page.map_or_else(|_| Vec::new(), |page| page.groups.iter().map(|group| group.id).collect()))
}
