//! Who is to be told about new and reopened groups: history and outbox.

use std::collections::BTreeMap;

use serde_json::json;
use sqlx::PgConnection;
use time::format_description::well_known::Rfc3339;

use super::groups::{Back, Placed};
use crate::batch::{Batch, FingerprintBatch};
use crate::error::StoreError;
use crate::live_days::LiveDays;

pub(super) async fn write(
    tx: &mut PgConnection,
    batch: &Batch,
    placed: &[Placed],
    live: LiveDays,
) -> Result<(), StoreError> {
    let reopened = reopened(placed);
    if !reopened.is_empty() {
        let (projects, ids): (Vec<i64>, Vec<i64>) = reopened.keys().copied().unzip();
        let (kinds, details): (Vec<String>, Vec<String>) = reopened
            .values()
            .map(|back| back.happened())
            .map(|(kind, detail)| (kind.to_owned(), detail.to_owned()))
            .unzip();
        sqlx::query_file!("queries/batch/history.sql", &projects, &ids, &kinds, &details).execute(&mut *tx).await?;
    }
    let news = news(batch, placed, live);
    if news.is_empty() {
        return Ok(());
    }
    let projects: Vec<i64> = news.keys().map(|(project, _)| *project).collect();
    let ids: Vec<i64> = news.keys().map(|(_, group)| *group).collect();
    let kinds: Vec<String> = news.values().map(|(kind, _)| (*kind).to_owned()).collect();
    let bodies: Vec<String> = news.into_values().map(|(_, body)| body).collect();
    sqlx::query_file!("queries/batch/outbox.sql", &projects, &ids, &kinds, &bodies).execute(tx).await?;
    Ok(())
}

/// The groups that were reopened, each once though several of its fingerprints may have come back.
pub(super) fn reopened(placed: &[Placed]) -> BTreeMap<(i64, i64), Back> {
    placed.iter().filter_map(|place| Some(((place.project_id, place.group_id), place.back?))).collect()
}

fn news(batch: &Batch, placed: &[Placed], live: LiveDays) -> BTreeMap<(i64, i64), (&'static str, String)> {
    let mut news = BTreeMap::new();
    for (group, place) in batch.groups.iter().zip(placed).filter(|(_, place)| place.is_fresh || place.back.is_some()) {
        let kind = if place.is_fresh { "group.new" } else { "group.reopened" };
        news.entry((place.project_id, place.group_id)).or_insert_with(|| {
            let url = batch.public_url.as_ref().map(|base| {
                format!("{}/projects/{}/groups/{}", base.trim_end_matches('/'), place.project_id, place.group_id)
            });
            (kind, body(kind, group, place, url.as_deref(), live).to_string())
        });
    }
    news
}

/// As the Standard Webhooks specification has it: type, timestamp, data.
fn body(kind: &str, group: &FingerprintBatch, place: &Placed, url: Option<&str>, live: LiveDays) -> serde_json::Value {
    json!({
        "type": kind,
        "timestamp": live.clamp(group.last_at_us).format(&Rfc3339).unwrap_or_default(),
        "data": {
            "project_id": place.project_id,
            "group_id": place.group_id.to_string(),
            "class": group.identity.class,
            "message": group.identity.message,
            "culprit": group.identity.culprit,
            "notice_id": group.newest_id.to_string(),
            "url": url,
        },
    })
}
