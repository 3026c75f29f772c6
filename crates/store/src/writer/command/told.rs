//! What people do about what they are told: destinations, rules, and what each of them wants to hear.

use serde::Serialize;
use sqlx::{Postgres, Transaction};

use super::{Act, CommandStatus, Order, Outcome, may_act, note};
use crate::StoreError;
use crate::alert::{DestinationKind, Trigger};

/// Most destinations of a project.
const DESTINATIONS_MAX: i64 = 50;

/// Most rules of a project.
const RULES_MAX: i64 = 50;

/// Most characters of a name.
const NAME_CHARS_MAX: usize = 100;

/// Most environments that a rule names.
const ENVIRONMENTS_MAX: usize = 20;

const NOT_YOURS: &str = "You may not change this project.";
const NO_DESTINATION: &str = "There is no such destination.";
const NO_RULE: &str = "There is no such rule.";
const MEANWHILE: &str = "Somebody changed it meanwhile; look again.";

/// Somebody makes a destination, or changes one.
#[derive(Clone, Serialize)]
pub struct SaveDestination {
    /// Which one; 0 makes one.
    pub id: i64,
    /// What it is. Of one that there is it stays what it was.
    #[serde(serialize_with = "word")]
    pub kind: DestinationKind,
    /// What people call it.
    pub name: String,
    /// Where calls go; of a destination that there is, empty leaves it as it was. Whoever knows it may write there.
    #[serde(skip)]
    pub url: String,
    /// What stands for the address in what is kept of the command, so that a repeat can be told from another one.
    pub url_sha256: String,
    /// Key of a webhook's signatures, made before: of a new one, or of one that gets another address. Whoever chose that address must
    /// not get calls that the receiver of before would take for ours.
    #[serde(skip)]
    pub secret: Vec<u8>,
    /// Mail: which members; none: all.
    pub member_ids: Vec<i64>,
    /// The version that the person saw.
    pub expected_version: i32,
}

fn word<S: serde::Serializer>(kind: &DestinationKind, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(kind.as_str())
}

impl Act for SaveDestination {
    fn kind(&self) -> &'static str {
        "destination.save"
    }

    async fn act(&self, transaction: &mut Transaction<'_, Postgres>, order: &Order) -> Result<Outcome, StoreError> {
        if !may_act(transaction, order).await? {
            return Ok(Outcome::ended(CommandStatus::Denied, NOT_YOURS));
        }
        if let Some(told) = name_fault(&self.name) {
            return Ok(Outcome::ended(CommandStatus::Invalid, told));
        }
        let calls = self.kind != DestinationKind::Mail;
        let is_address =
            (self.url.starts_with("https://") || self.url.starts_with("http://")) && !self.url.contains('\0');
        if calls && !is_address && (self.id == 0 || !self.url.is_empty()) {
            return Ok(Outcome::ended(CommandStatus::Invalid, "Its address begins with https:// or http://."));
        }
        let member_ids = (!self.member_ids.is_empty()).then_some(self.member_ids.as_slice());
        let url = (calls && !self.url.is_empty()).then_some(self.url.as_str());
        if self.id == 0 {
            if count(transaction, "destination", order.project_id).await? >= DESTINATIONS_MAX {
                let told = format!("A project has at most {DESTINATIONS_MAX} destinations.");
                return Ok(Outcome::ended(CommandStatus::Invalid, told));
            }
            let secret = (self.kind == DestinationKind::Webhook).then_some(self.secret.as_slice());
            let id = sqlx::query_scalar!(
                "insert into destination (project_id, kind, name, url, secret, member_ids) values ($1, $2, $3, $4, $5, $6) returning id",
                order.project_id,
                self.kind.as_str(),
                self.name,
                url,
                secret,
                member_ids as Option<&[i64]>
            )
            .fetch_one(&mut **transaction)
            .await?;
            changed(transaction, order, "destination.made", &self.name).await?;
            return Ok(Outcome::done("Added.").with_version(1).with_made(id));
        }
        let version = sqlx::query_scalar!(
            "update destination
             set name = $4, url = coalesce($5, url), member_ids = $6,
                 secret = case when kind = 'webhook' and $5 is not null then $8 else secret end, version = version + 1, failure_count = 0, resting_until = null
             where id = $1 and project_id = $2 and version = $3 and (kind = 'mail') = not $7
             returning version",
            self.id,
            order.project_id,
            self.expected_version,
            self.name,
            url,
            member_ids as Option<&[i64]>,
            calls,
            self.secret
        )
        .fetch_optional(&mut **transaction)
        .await?;
        match version {
            Some(version) => {
                changed(transaction, order, "destination.changed", &self.name).await?;
                Ok(Outcome::done("Saved.").with_version(version))
            }
            None => not_changed(transaction, order, Kind::Destination, self.id).await,
        }
    }
}

/// Somebody switches a destination on or off.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct EnableDestination {
    /// Which one.
    pub id: i64,
    /// Whether it is sent to.
    pub enabled: bool,
}

impl Act for EnableDestination {
    fn kind(&self) -> &'static str {
        "destination.enable"
    }

    async fn act(&self, transaction: &mut Transaction<'_, Postgres>, order: &Order) -> Result<Outcome, StoreError> {
        if !may_act(transaction, order).await? {
            return Ok(Outcome::ended(CommandStatus::Denied, NOT_YOURS));
        }
        let found = sqlx::query!(
            "update destination set enabled = $3, failure_count = 0, resting_until = null, version = version + 1
             where id = $1 and project_id = $2 returning version, name",
            self.id,
            order.project_id,
            self.enabled
        )
        .fetch_optional(&mut **transaction)
        .await?;
        let Some(destination) = found else {
            return Ok(Outcome::ended(CommandStatus::Missing, NO_DESTINATION));
        };
        let kind = if self.enabled { "destination.enabled" } else { "destination.disabled" };
        changed(transaction, order, kind, &destination.name).await?;
        Ok(Outcome::done("Done.").with_version(destination.version))
    }
}

/// Somebody takes a destination away, with what waits for it.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct DeleteDestination {
    /// Which one.
    pub id: i64,
}

impl Act for DeleteDestination {
    fn kind(&self) -> &'static str {
        "destination.delete"
    }

    async fn act(&self, transaction: &mut Transaction<'_, Postgres>, order: &Order) -> Result<Outcome, StoreError> {
        if !may_act(transaction, order).await? {
            return Ok(Outcome::ended(CommandStatus::Denied, NOT_YOURS));
        }
        let deleted = sqlx::query_scalar!(
            "delete from destination where id = $1 and project_id = $2 returning name",
            self.id,
            order.project_id
        )
        .fetch_optional(&mut **transaction)
        .await?;
        let Some(name) = deleted else {
            return Ok(Outcome::ended(CommandStatus::Missing, NO_DESTINATION));
        };
        // A rule that told there tells where else it told; with nothing left it reaches nobody, and does not begin to tell everywhere.
        sqlx::query!(
            "update alert_rule set destination_ids = array_remove(destination_ids, $1), version = version + 1
             where project_id = $2 and $1 = any(destination_ids)",
            self.id,
            order.project_id
        )
        .execute(&mut **transaction)
        .await?;
        changed(transaction, order, "destination.deleted", &name).await?;
        Ok(Outcome::done("Deleted."))
    }
}

/// Somebody wants to see whether a destination can be reached.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct TestDestination {
    /// Which one.
    pub id: i64,
}

impl Act for TestDestination {
    fn kind(&self) -> &'static str {
        "destination.test"
    }

    async fn act(&self, transaction: &mut Transaction<'_, Postgres>, order: &Order) -> Result<Outcome, StoreError> {
        if !may_act(transaction, order).await? {
            return Ok(Outcome::ended(CommandStatus::Denied, NOT_YOURS));
        }
        let found = sqlx::query!(
            "select enabled, kind from destination where id = $1 and project_id = $2",
            self.id,
            order.project_id
        )
        .fetch_optional(&mut **transaction)
        .await?;
        let Some(destination) = found else {
            return Ok(Outcome::ended(CommandStatus::Missing, NO_DESTINATION));
        };
        if !destination.enabled {
            return Ok(Outcome::ended(CommandStatus::Invalid, "It is off: switch it on, then test it."));
        }
        let waits = sqlx::query_scalar!(
            r#"select exists (select from outbox
                   where destination_id = $1 and kind = 'test' and done_at is null and gave_up_at is null
                       and (recipient is null or recipient = (select email from user_account where id = $2))) as "waits!""#,
            self.id,
            order.actor_id
        )
        .fetch_one(&mut **transaction)
        .await?;
        if waits {
            return Ok(Outcome::ended(CommandStatus::Invalid, "The test before this one has not left yet."));
        }
        let queued = sqlx::query_file!("queries/test_destination.sql", self.id, Some(order.actor_id))
            .execute(&mut **transaction)
            .await?;
        if queued.rows_affected() == 0 {
            return Ok(Outcome::ended(CommandStatus::Invalid, "It does not reach you: nobody is sent a test."));
        }
        Ok(Outcome::done("A test is on its way. The log says how it went."))
    }
}

/// Somebody makes a rule, or changes one.
#[derive(Debug, Clone, Serialize)]
pub struct SaveRule {
    /// Which one; 0 makes one.
    pub id: i64,
    /// What people call it.
    pub name: String,
    /// What makes it fire: `new`, `regression`, `count`, `users`.
    pub trigger: String,
    /// So many notices or users.
    pub threshold: i64,
    /// Within so many minutes.
    pub window_minutes: i32,
    /// Only groups that this search finds.
    pub search: String,
    /// Only these environments; none: all.
    pub environments: Vec<String>,
    /// Nothing less severe; empty: everything.
    pub severity_min: String,
    /// Where it is told; none: everywhere.
    pub destination_ids: Vec<i64>,
    /// Quiet hours begin at this minute of the day.
    pub quiet_from: Option<i32>,
    /// And end at this one, before it on the day after.
    pub quiet_until: Option<i32>,
    /// Where these hours are.
    pub time_zone: String,
    /// Alerts are collected for so long; 0: they are not.
    pub digest_minutes: i32,
    /// Whether it is looked at.
    pub enabled: bool,
    /// The version that the person saw.
    pub expected_version: i32,
}

impl SaveRule {
    /// What is wrong with it, for the person.
    fn fault(&self) -> Option<String> {
        if let Some(told) = name_fault(&self.name) {
            return Some(told);
        }
        if Trigger::parse(&self.trigger).is_none() {
            return Some("There is no such trigger.".into());
        }
        if self.threshold < 1 {
            return Some("It counts from 1 on.".into());
        }
        if !(1..=1_440).contains(&self.window_minutes) {
            return Some("It counts over 1 to 1440 minutes.".into());
        }
        if !(0..=1_440).contains(&self.digest_minutes) {
            return Some("Alerts are collected for 0 to 1440 minutes.".into());
        }
        if self.environments.len() > ENVIRONMENTS_MAX {
            return Some(format!("A rule names at most {ENVIRONMENTS_MAX} environments."));
        }
        if [self.quiet_from, self.quiet_until].into_iter().flatten().any(|minute| !(0..1_440).contains(&minute)) {
            return Some("Quiet hours are times of a day.".into());
        }
        if self.quiet_from.is_some() != self.quiet_until.is_some() {
            return Some("Quiet hours have a beginning and an end.".into());
        }
        if self.quiet_from.is_some() && self.quiet_from == self.quiet_until {
            return Some(
                "Quiet hours end at another time than they begin: a rule that is never to tell is switched off.".into(),
            );
        }
        if !self.severity_min.is_empty() && crate::alert::Severity::parse(&self.severity_min).is_none() {
            return Some("There is no such severity.".into());
        }
        match crate::reader::search::Search::parse(&self.search) {
            Ok(search) if search.names_me() => Some("A rule is nobody's own: name the member instead of `me`.".into()),
            Ok(_) => None,
            Err(error) => Some(format!("The search: {error}.")),
        }
    }
}

impl Act for SaveRule {
    fn kind(&self) -> &'static str {
        "rule.save"
    }

    async fn act(&self, transaction: &mut Transaction<'_, Postgres>, order: &Order) -> Result<Outcome, StoreError> {
        if !may_act(transaction, order).await? {
            return Ok(Outcome::ended(CommandStatus::Denied, NOT_YOURS));
        }
        if let Some(told) = self.fault() {
            return Ok(Outcome::ended(CommandStatus::Invalid, told));
        }
        let is_zone = sqlx::query_scalar!(
            r#"select exists (select from pg_timezone_names where name = $1) as "is_zone!""#,
            self.time_zone
        )
        .fetch_one(&mut **transaction)
        .await?;
        if !is_zone {
            let told = "There is no such time zone: they are called like Europe/Berlin.";
            return Ok(Outcome::ended(CommandStatus::Invalid, told));
        }
        if self.id == 0 && count(transaction, "alert_rule", order.project_id).await? >= RULES_MAX {
            let told = format!("A project has at most {RULES_MAX} rules.");
            return Ok(Outcome::ended(CommandStatus::Invalid, told));
        }
        let destination_ids = (!self.destination_ids.is_empty()).then_some(self.destination_ids.as_slice());
        let saved = sqlx::query_file!(
            "queries/save_rule.sql",
            self.id,
            order.project_id,
            self.expected_version,
            self.name,
            self.trigger,
            self.threshold,
            self.window_minutes,
            self.search,
            &self.environments,
            self.severity_min,
            destination_ids as Option<&[i64]>,
            self.quiet_from,
            self.quiet_until,
            self.time_zone,
            self.digest_minutes,
            self.enabled,
        )
        .fetch_optional(&mut **transaction)
        .await?;
        match saved {
            Some(saved) => {
                if !self.enabled {
                    pass_over(transaction, saved.id).await?;
                }
                let kind = if self.id == 0 { "rule.made" } else { "rule.changed" };
                changed(transaction, order, kind, &self.name).await?;
                Ok(Outcome::done("Saved.").with_version(saved.version).with_made(saved.id))
            }
            None => not_changed(transaction, order, Kind::Rule, self.id).await,
        }
    }
}

/// Somebody takes a rule away, with what it has not told yet.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct DeleteRule {
    /// Which one.
    pub id: i64,
}

impl Act for DeleteRule {
    fn kind(&self) -> &'static str {
        "rule.delete"
    }

    async fn act(&self, transaction: &mut Transaction<'_, Postgres>, order: &Order) -> Result<Outcome, StoreError> {
        if !may_act(transaction, order).await? {
            return Ok(Outcome::ended(CommandStatus::Denied, NOT_YOURS));
        }
        let deleted = sqlx::query_scalar!(
            "delete from alert_rule where id = $1 and project_id = $2 returning name",
            self.id,
            order.project_id
        )
        .fetch_optional(&mut **transaction)
        .await?;
        let Some(name) = deleted else {
            return Ok(Outcome::ended(CommandStatus::Missing, NO_RULE));
        };
        changed(transaction, order, "rule.deleted", &name).await?;
        Ok(Outcome::done("Deleted."))
    }
}

/// Somebody says what they want to hear of a project by mail.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct ChooseNotifications {
    /// Alerts.
    pub alerts: bool,
    /// Weekly reports.
    pub weekly: bool,
}

impl Act for ChooseNotifications {
    fn kind(&self) -> &'static str {
        "notifications.choose"
    }

    async fn act(&self, transaction: &mut Transaction<'_, Postgres>, order: &Order) -> Result<Outcome, StoreError> {
        // Who only reads may hear of it as well.
        let chosen = sqlx::query!(
            "insert into notification_choice (user_id, project_id, alerts, weekly)
             select user_id, project_id, $3, $4 from project_access where user_id = $1 and project_id = $2
             on conflict (user_id, project_id) do update set alerts = excluded.alerts, weekly = excluded.weekly",
            order.actor_id,
            order.project_id,
            self.alerts,
            self.weekly
        )
        .execute(&mut **transaction)
        .await?;
        if chosen.rows_affected() == 0 {
            return Ok(Outcome::ended(CommandStatus::Denied, "You are no member of this project."));
        }
        Ok(Outcome::done("Saved."))
    }
}

/// Somebody who need not be signed in follows a link of ours that ends mails: what it says was signed, and is true.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Unsubscribe {
    /// Who got the link.
    pub user_id: i64,
    /// The project that it is about.
    pub project_id: i64,
    /// Whether it ends weekly reports; else alerts.
    pub weekly: bool,
}

impl Act for Unsubscribe {
    fn kind(&self) -> &'static str {
        "notifications.unsubscribe"
    }

    async fn act(&self, transaction: &mut Transaction<'_, Postgres>, _: &Order) -> Result<Outcome, StoreError> {
        // Whoever has gone meanwhile gets no mail either.
        sqlx::query!(
            "insert into notification_choice (user_id, project_id, alerts, weekly)
             select u.id, p.id, $3, false from user_account u, project p where u.id = $1 and p.id = $2
             on conflict (user_id, project_id) do update
                 set alerts = notification_choice.alerts and $3, weekly = notification_choice.weekly and not $3",
            self.user_id,
            self.project_id,
            self.weekly
        )
        .execute(&mut **transaction)
        .await?;
        Ok(Outcome::done("You get no more of these mails."))
    }
}

fn name_fault(name: &str) -> Option<String> {
    let chars = name.chars().count();
    let is_fine = (1..=NAME_CHARS_MAX).contains(&chars) && !name.chars().any(char::is_control);
    (!is_fine).then(|| format!("It needs a name of 1 to {NAME_CHARS_MAX} characters."))
}

/// Writes down what was changed of the project.
async fn changed(
    transaction: &mut Transaction<'_, Postgres>,
    order: &Order,
    kind: &str,
    name: &str,
) -> Result<(), StoreError> {
    let organization_id = sqlx::query_scalar!("select organization_id from project where id = $1", order.project_id)
        .fetch_one(&mut **transaction)
        .await?;
    note(transaction, order, Some(organization_id), kind, name).await
}

/// What a rule that is switched off has not told it never tells.
async fn pass_over(transaction: &mut Transaction<'_, Postgres>, rule_id: i64) -> Result<(), StoreError> {
    sqlx::query!(
        "update alert set told_at = now(), told_as = 'passed_over' where rule_id = $1 and told_at is null",
        rule_id
    )
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

async fn count(transaction: &mut Transaction<'_, Postgres>, of: &str, project_id: i64) -> Result<i64, StoreError> {
    // Whoever adds one waits for whoever adds another, and counts after that.
    sqlx::query!("select id from project where id = $1 for no key update", project_id)
        .fetch_optional(&mut **transaction)
        .await?;
    let count = sqlx::query_scalar!(
        r#"select case $2 when 'destination' then (select count(*) from destination where project_id = $1)
               else (select count(*) from alert_rule where project_id = $1) end as "count!""#,
        project_id,
        of
    )
    .fetch_one(&mut **transaction)
    .await?;
    Ok(count)
}

/// What was to be changed and is not there in the version that was seen.
enum Kind {
    Destination,
    Rule,
}

async fn not_changed(
    transaction: &mut Transaction<'_, Postgres>,
    order: &Order,
    kind: Kind,
    id: i64,
) -> Result<Outcome, StoreError> {
    let (version, missing) = match kind {
        Kind::Destination => (
            sqlx::query_scalar!(
                "select version from destination where id = $1 and project_id = $2",
                id,
                order.project_id
            )
            .fetch_optional(&mut **transaction)
            .await?,
            NO_DESTINATION,
        ),
        Kind::Rule => (
            sqlx::query_scalar!(
                "select version from alert_rule where id = $1 and project_id = $2",
                id,
                order.project_id
            )
            .fetch_optional(&mut **transaction)
            .await?,
            NO_RULE,
        ),
    };
    Ok(version.map_or_else(
        || Outcome::ended(CommandStatus::Missing, missing),
        |version| Outcome::ended(CommandStatus::Conflict, MEANWHILE).with_version(version),
    ))
}
