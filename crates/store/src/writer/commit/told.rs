//! Who is to be told about new and reopened groups: history, and the alerts of the rules that they meet.

use std::collections::BTreeMap;

use serde_json::json;
use sqlx::PgConnection;
use time::format_description::well_known::Rfc3339;

use super::groups::{Back, Placed};
use crate::alert::Severity;
use crate::batch::{Batch, FingerprintBatch};
use crate::error::StoreError;
use crate::live_days::LiveDays;

pub(super) async fn write(
    tx: &mut PgConnection,
    batch: &Batch,
    placed: &[Placed],
    live: LiveDays,
) -> Result<(), StoreError> {
    let happened: Vec<_> =
        reopened(placed).into_iter().filter_map(|(group, back)| Some((group, back.happened()?))).collect();
    if !happened.is_empty() {
        let (projects, ids): (Vec<i64>, Vec<i64>) = happened.iter().map(|(group, _)| *group).unzip();
        let (kinds, details): (Vec<String>, Vec<String>) =
            happened.iter().map(|(_, (kind, detail))| ((*kind).to_owned(), (*detail).to_owned())).unzip();
        sqlx::query_file!("queries/batch/history.sql", &projects, &ids, &kinds, &details).execute(&mut *tx).await?;
    }
    let news = news(batch, placed);
    if news.is_empty() {
        return Ok(());
    }
    let projects: Vec<i64> = news.keys().map(|(project, _)| *project).collect();
    let rules = sqlx::query_file_as!(Rule, "queries/batch/alert_rules.sql", &projects).fetch_all(&mut *tx).await?;
    let met: Vec<(&Rule, &New<'_>)> = news
        .values()
        .flat_map(|new| rules.iter().filter(|rule| rule.is_met_by(new)).map(move |rule| (rule, new)))
        .collect();
    if met.is_empty() {
        return Ok(());
    }
    let projects: Vec<i64> = met.iter().map(|(rule, _)| rule.project_id).collect();
    let rule_ids: Vec<i64> = met.iter().map(|(rule, _)| rule.id).collect();
    let groups: Vec<i64> = met.iter().map(|(_, new)| new.place.group_id).collect();
    let kinds: Vec<String> = met.iter().map(|(_, new)| new.kind().to_owned()).collect();
    let bodies: Vec<String> = met.iter().map(|(_, new)| new.body(live).to_string()).collect();
    sqlx::query_file!("queries/batch/alerts.sql", &projects, &rule_ids, &groups, &kinds, &bodies).execute(tx).await?;
    Ok(())
}

/// The groups that were reopened, each once though several of its fingerprints may have come back.
pub(super) fn reopened(placed: &[Placed]) -> BTreeMap<(i64, i64), Back> {
    placed.iter().filter_map(|place| Some(((place.project_id, place.group_id), place.back?))).collect()
}

/// A group that is new or came back.
struct New<'a> {
    group: &'a FingerprintBatch,
    place: &'a Placed,
}

fn news<'a>(batch: &'a Batch, placed: &'a [Placed]) -> BTreeMap<(i64, i64), New<'a>> {
    let mut news = BTreeMap::new();
    for (group, place) in batch.groups.iter().zip(placed).filter(|(_, place)| place.is_fresh || place.back.is_some()) {
        news.entry((place.project_id, place.group_id)).or_insert(New { group, place });
    }
    news
}

impl New<'_> {
    fn kind(&self) -> &'static str {
        if self.place.is_fresh { "group.new" } else { "group.reopened" }
    }

    /// What the facets of its notices say.
    fn values<'b>(&'b self, key: &'b str) -> impl Iterator<Item = &'b str> {
        self.group.facets.keys().filter(move |(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// What is known of it, for whoever is told.
    fn body(&self, live: LiveDays) -> serde_json::Value {
        json!({
            "at": live.clamp(self.group.last_at_us).format(&Rfc3339).unwrap_or_default(),
            "class": self.group.identity.class,
            "message": self.group.identity.message,
            "culprit": self.group.identity.culprit,
            "notice_id": self.group.newest_id.to_string(),
        })
    }
}

/// A rule that looks at new or reopened groups.
struct Rule {
    id: i64,
    project_id: i64,
    trigger: String,
    environments: Vec<String>,
    severity_min: String,
}

impl Rule {
    fn is_met_by(&self, new: &New<'_>) -> bool {
        let trigger = if new.place.is_fresh { "new" } else { "regression" };
        self.project_id == new.place.project_id
            && self.trigger == trigger
            && (self.environments.is_empty()
                || new.values("environment").any(|environment| self.environments.iter().any(|one| one == environment)))
            && Severity::parse(&self.severity_min).is_none_or(|min| {
                let worst = new.values("severity").map(|severity| Severity::parse(severity).unwrap_or_default()).max();
                worst.unwrap_or_default() >= min
            })
    }
}
