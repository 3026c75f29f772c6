//! What else a batch brings: deploys, the ledger, statistics, dead records, and the numbers of all of them.

use std::collections::BTreeMap;

use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::signed;
use crate::batch::{Batch, Claim};
use crate::error::StoreError;
use crate::live_days::{LiveDays, time_of};

const MINUTE_US: i64 = 60 * 1_000_000;

pub(super) async fn write(
    tx: &mut PgConnection,
    claim: Claim,
    batch: &Batch,
    live: LiveDays,
) -> Result<(), StoreError> {
    if !batch.deploys.is_empty() {
        write_deploys(tx, batch).await?;
    }
    if !batch.ledger.is_empty() {
        write_ledger(tx, claim.lane, batch).await?;
    }
    if !batch.stats.is_empty() {
        write_stats(tx, batch, live).await?;
    }
    if !batch.dead.is_empty() {
        write_dead(tx, claim, batch).await?;
    }
    if !batch.revived.is_empty() {
        remove_revived(tx, claim, batch).await?;
    }
    if batch.gone.iter().any(|gone| gone.record_count > 0) {
        write_incidents(tx, claim, batch).await?;
    }
    if !batch.cursors.is_empty() {
        write_cursors(tx, claim, batch).await?;
    }
    Ok(())
}

async fn write_deploys(tx: &mut PgConnection, batch: &Batch) -> Result<(), StoreError> {
    let column = |of: fn(&notice::Deploy) -> &Option<String>| -> Vec<String> {
        batch.deploys.iter().map(|row| of(&row.deploy).clone().unwrap_or_default()).collect()
    };
    let projects: Vec<i64> = batch.deploys.iter().map(|row| row.project_id).collect();
    let ids: Vec<Uuid> = batch.deploys.iter().map(|row| row.id).collect();
    let at: Vec<OffsetDateTime> = batch.deploys.iter().map(|row| time_of(row.at_us)).collect();
    sqlx::query_file!(
        "queries/batch/deploys.sql",
        &projects,
        &ids,
        &column(|deploy| &deploy.environment),
        &column(|deploy| &deploy.revision),
        &column(|deploy| &deploy.repository),
        // Who deployed: Airbrake's clients send a name, an address, or both.
        &batch
            .deploys
            .iter()
            .map(|row| row.deploy.username.clone().or_else(|| row.deploy.email.clone()).unwrap_or_default())
            .collect::<Vec<String>>(),
        &column(|deploy| &deploy.version),
        &column(|deploy| &deploy.message),
        &at,
    )
    .execute(tx)
    .await?;
    Ok(())
}

async fn write_ledger(tx: &mut PgConnection, lane: u16, batch: &Batch) -> Result<(), StoreError> {
    let mut lines: BTreeMap<(i64, i64, &str, &str), i64> = BTreeMap::new();
    for row in &batch.ledger {
        let minute_us = row.at_us - row.at_us.rem_euclid(MINUTE_US);
        let line = lines.entry((row.project_id, minute_us, row.ending, &row.reason)).or_default();
        *line = line.saturating_add(signed(row.count));
    }
    let projects: Vec<i64> = lines.keys().map(|line| line.0).collect();
    let minutes: Vec<OffsetDateTime> = lines.keys().map(|line| time_of(line.1)).collect();
    let endings: Vec<String> = lines.keys().map(|line| line.2.to_owned()).collect();
    let reasons: Vec<String> = lines.keys().map(|line| line.3.to_owned()).collect();
    let counts: Vec<i64> = lines.values().copied().collect();
    sqlx::query_file!("queries/batch/ledger.sql", i32::from(lane), &projects, &minutes, &endings, &reasons, &counts)
        .execute(tx)
        .await?;
    Ok(())
}

async fn write_stats(tx: &mut PgConnection, batch: &Batch, live: LiveDays) -> Result<(), StoreError> {
    let projects: Vec<i64> = batch.stats.iter().map(|row| row.project_id).collect();
    let ids: Vec<Uuid> = batch.stats.iter().map(|row| row.id).collect();
    let kinds: Vec<String> = batch.stats.iter().map(|row| row.kind.clone()).collect();
    let at: Vec<OffsetDateTime> = batch.stats.iter().map(|row| live.clamp(row.at_us)).collect();
    let bodies: Vec<&[u8]> = batch.stats.iter().map(|row| row.body.as_slice()).collect();
    sqlx::query_file!("queries/batch/stats.sql", &projects, &ids, &kinds, &at, &bodies as &[&[u8]]).execute(tx).await?;
    Ok(())
}

async fn write_dead(tx: &mut PgConnection, claim: Claim, batch: &Batch) -> Result<(), StoreError> {
    let journals: Vec<Uuid> = batch.dead.iter().map(|row| row.journal).collect();
    let seqs: Vec<i64> = batch.dead.iter().map(|row| signed(row.seq)).collect();
    let projects: Vec<i64> = batch.dead.iter().map(|row| row.project_id).collect();
    let ids: Vec<Uuid> = batch.dead.iter().map(|row| row.id).collect();
    let kinds: Vec<i16> = batch.dead.iter().map(|row| i16::from(row.kind)).collect();
    let reasons: Vec<String> = batch.dead.iter().map(|row| row.reason.to_owned()).collect();
    // The text of an error may quote what the database has just refused.
    let details: Vec<String> = batch.dead.iter().map(|row| row.detail.replace('\0', "\u{fffd}")).collect();
    let raw: Vec<&[u8]> = batch.dead.iter().map(|row| row.raw.as_slice()).collect();
    sqlx::query_file!(
        "queries/batch/dead.sql",
        claim.epoch,
        i32::from(claim.lane),
        &journals,
        &seqs,
        &projects,
        &ids,
        &kinds,
        &reasons,
        &details,
        &raw as &[&[u8]],
    )
    .execute(tx)
    .await?;
    Ok(())
}

async fn remove_revived(tx: &mut PgConnection, claim: Claim, batch: &Batch) -> Result<(), StoreError> {
    let journals: Vec<Uuid> = batch.revived.iter().map(|(journal, _)| *journal).collect();
    let seqs: Vec<i64> = batch.revived.iter().map(|(_, seq)| signed(*seq)).collect();
    let removed = sqlx::query!(
        "delete from dead_notice d using unnest($3::uuid[], $4::bigint[]) as given (journal, seq)
         where d.epoch = $1 and d.lane = $2 and d.journal = given.journal and d.seq = given.seq",
        claim.epoch,
        i32::from(claim.lane),
        &journals,
        &seqs,
    )
    .execute(tx)
    .await?;
    if removed.rows_affected() == batch.revived.len() as u64 {
        Ok(())
    } else {
        // Somebody dropped one meanwhile: it must not be counted now.
        Err(StoreError::Invalid("a dead record that was tried again is no longer there".into()))
    }
}

async fn write_incidents(tx: &mut PgConnection, claim: Claim, batch: &Batch) -> Result<(), StoreError> {
    let gone = || batch.gone.iter().filter(|gone| gone.record_count > 0);
    let kinds: Vec<String> = gone().map(|_| "declared_gone".to_owned()).collect();
    let journals: Vec<Uuid> = gone().map(|row| row.journal).collect();
    let counts: Vec<i64> = gone().map(|row| signed(row.record_count)).collect();
    let details: Vec<String> = gone()
        .map(|row| format!("the gateway cannot read what is missing below record {} any more", row.base))
        .collect();
    sqlx::query_file!(
        "queries/batch/incidents.sql",
        claim.epoch,
        i32::from(claim.lane),
        &kinds,
        &journals,
        &counts,
        &details
    )
    .execute(tx)
    .await?;
    Ok(())
}

async fn write_cursors(tx: &mut PgConnection, claim: Claim, batch: &Batch) -> Result<(), StoreError> {
    let mut journals = Vec::with_capacity(batch.cursors.len());
    let mut watermarks = Vec::with_capacity(batch.cursors.len());
    let mut runs = Vec::with_capacity(batch.cursors.len());
    let mut heads = Vec::with_capacity(batch.cursors.len());
    let mut oldest: Vec<Option<OffsetDateTime>> = Vec::with_capacity(batch.cursors.len());
    for cursor in &batch.cursors {
        let (watermark, flat) = cursor.accounted.to_stored();
        journals.push(cursor.journal);
        watermarks.push(watermark);
        // An array of arrays of different lengths does not exist in PostgreSQL: each goes as text.
        runs.push(format!("{{{}}}", flat.iter().map(i64::to_string).collect::<Vec<_>>().join(",")));
        heads.push(signed(cursor.head_seq));
        oldest.push(cursor.oldest_unacked_at_us.map(time_of));
    }
    sqlx::query_file!(
        "queries/batch/cursors.sql",
        claim.epoch,
        i32::from(claim.lane),
        &journals,
        &watermarks,
        &runs,
        &heads,
        &oldest as &[Option<OffsetDateTime>],
    )
    .execute(tx)
    .await?;
    Ok(())
}
