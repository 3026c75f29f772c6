//! Counters and bodies of the batch's fingerprints.

use std::collections::BTreeMap;

use sqlx::PgConnection;
use time::{Date, OffsetDateTime};
use uuid::Uuid;

use super::groups::Placed;
use super::signed;
use crate::batch::FingerprintBatch;
use crate::chunk::CODEC_ZSTD;
use crate::error::StoreError;
use crate::live_days::{LiveDays, time_of};

const MINUTE_US: i64 = 60 * 1_000_000;
const HOUR_US: i64 = 60 * MINUTE_US;

pub(super) async fn write(
    tx: &mut PgConnection,
    lane: u16,
    groups: &[FingerprintBatch],
    placed: &[Placed],
    live: LiveDays,
) -> Result<(), StoreError> {
    write_times(tx, lane, groups, placed, live).await?;
    write_chunks(tx, lane, groups, placed, live).await
}

async fn write_times(
    tx: &mut PgConnection,
    lane: u16,
    groups: &[FingerprintBatch],
    placed: &[Placed],
    live: LiveDays,
) -> Result<(), StoreError> {
    let mut minutes: BTreeMap<(i64, i64, OffsetDateTime), i64> = BTreeMap::new();
    let mut hours: BTreeMap<(i64, i64, OffsetDateTime), i64> = BTreeMap::new();
    let mut days: BTreeMap<(i64, i64, Date), i64> = BTreeMap::new();
    let mut tallies: BTreeMap<(i64, OffsetDateTime), i64> = BTreeMap::new();
    for (group, place) in groups.iter().zip(placed) {
        for (minute_s, count) in &group.minutes {
            let at_us = live.clamp_us(minute_s.saturating_mul(1_000_000));
            let minute = time_of(at_us - at_us.rem_euclid(MINUTE_US));
            let count = signed(*count);
            let (project, fingerprint) = (place.project_id, place.fingerprint_id);
            if at_us < live.minutes_from_us {
                *hours.entry((project, fingerprint, time_of(at_us - at_us.rem_euclid(HOUR_US)))).or_default() += count;
            } else {
                *minutes.entry((project, fingerprint, minute)).or_default() += count;
            }
            *days.entry((project, fingerprint, minute.date())).or_default() += count;
            *tallies.entry((project, minute)).or_default() += count;
        }
    }
    if !minutes.is_empty() {
        let (projects, fingerprints, at, counts) = columns(&minutes);
        let counts: Vec<i32> = counts.iter().map(|count| i32::try_from(*count).unwrap_or(i32::MAX)).collect();
        sqlx::query_file!("queries/batch/minutes.sql", &projects, &fingerprints, &at, &counts)
            .execute(&mut *tx)
            .await?;
    }
    if !hours.is_empty() {
        let (projects, fingerprints, at, counts) = columns(&hours);
        let counts: Vec<i32> = counts.iter().map(|count| i32::try_from(*count).unwrap_or(i32::MAX)).collect();
        sqlx::query_file!("queries/batch/hours.sql", &projects, &fingerprints, &at, &counts).execute(&mut *tx).await?;
    }
    let (projects, fingerprints, at, counts) = columns(&days);
    sqlx::query_file!("queries/batch/days.sql", &projects, &fingerprints, &at, &counts).execute(&mut *tx).await?;

    let projects: Vec<i64> = tallies.keys().map(|(project, _)| *project).collect();
    let at: Vec<OffsetDateTime> = tallies.keys().map(|(_, minute)| *minute).collect();
    let counts: Vec<i64> = tallies.values().copied().collect();
    sqlx::query_file!("queries/batch/tallies.sql", i32::from(lane), &projects, &at, &counts).execute(tx).await?;
    Ok(())
}

type Columns<T> = (Vec<i64>, Vec<i64>, Vec<T>, Vec<i64>);

fn columns<T: Copy>(counts: &BTreeMap<(i64, i64, T), i64>) -> Columns<T> {
    let mut columns: Columns<T> = Default::default();
    for ((project, fingerprint, at), count) in counts {
        columns.0.push(*project);
        columns.1.push(*fingerprint);
        columns.2.push(*at);
        columns.3.push(*count);
    }
    columns
}

async fn write_chunks(
    tx: &mut PgConnection,
    lane: u16,
    groups: &[FingerprintBatch],
    placed: &[Placed],
    live: LiveDays,
) -> Result<(), StoreError> {
    let chunks =
        || groups.iter().zip(placed).flat_map(|(group, place)| group.chunks.iter().map(move |chunk| (place, chunk)));
    let small = |n: usize| i32::try_from(n).expect("a chunk is bounded");
    let projects: Vec<i64> = chunks().map(|(place, _)| place.project_id).collect();
    let fingerprints: Vec<i64> = chunks().map(|(place, _)| place.fingerprint_id).collect();
    let first_ids: Vec<Uuid> = chunks().map(|(_, chunk)| chunk.first_id.into()).collect();
    let last_ids: Vec<Uuid> = chunks().map(|(_, chunk)| chunk.last_id.into()).collect();
    let last_at: Vec<OffsetDateTime> = chunks().map(|(_, chunk)| live.clamp(chunk.last_at_us)).collect();
    let counts: Vec<i32> = chunks().map(|(_, chunk)| small(chunk.notice_count)).collect();
    let raw_bytes: Vec<i32> = chunks().map(|(_, chunk)| small(chunk.raw_bytes)).collect();
    let bodies: Vec<&[u8]> = chunks().map(|(_, chunk)| chunk.body.as_slice()).collect();
    sqlx::query_file!(
        "queries/batch/chunks.sql",
        i32::from(lane),
        CODEC_ZSTD,
        &projects,
        &fingerprints,
        &first_ids,
        &last_ids,
        &last_at,
        &counts,
        &raw_bytes,
        &bodies as &[&[u8]],
    )
    .execute(tx)
    .await?;
    Ok(())
}
