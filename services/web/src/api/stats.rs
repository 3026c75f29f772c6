//! Numbers of a project over time.

use axum::extract::{Path, State};
use axum::response::Response;
use serde_json::{Value, json as object};
use store::reader::{Bucket, BucketSize};
use time::{Duration, OffsetDateTime};

use super::caller::Caller;
use super::params::{Params, number};
use super::{Problem, json, rfc_3339};
use crate::app::App;
use crate::rejection::Rejection;

/// Most buckets of one answer.
const BUCKETS_MAX: i64 = 2_000;
/// How many buckets there are when nobody says since when.
const BUCKETS_USUAL: i64 = 60;

pub(super) async fn stats(
    State(app): State<App>,
    caller: Caller,
    Path(project_id): Path<String>,
    params: Params,
) -> Result<Response, Problem> {
    let opened = app.open(caller.viewer, number(&project_id)?).await?;
    let size = params.word("bucket", BucketSize::parse, "minute, hour or day")?.unwrap_or(BucketSize::Hour);
    let step = size.seconds();
    let until = params.time("until")?.unwrap_or_else(OffsetDateTime::now_utc);
    let since = match params.time("since")? {
        Some(since) => since,
        None => until.checked_sub(Duration::seconds(step * BUCKETS_USUAL)).unwrap_or(until),
    };
    if since > until {
        return Err(Rejection::BadRequest("`since` is after `until`".to_owned()).into());
    }
    let first = since.unix_timestamp().div_euclid(step);
    let last = until.unix_timestamp().div_euclid(step);
    if last - first >= BUCKETS_MAX {
        let told = format!("that is more than {BUCKETS_MAX} buckets: ask for less time or a greater `bucket`");
        return Err(Rejection::BadRequest(told).into());
    }
    let start = OffsetDateTime::from_unix_timestamp(first * step).unwrap_or(since);
    let found = app.reader.stats(&opened, start, until, size).await?;
    let buckets: Vec<Value> = (first..=last)
        .filter_map(|number| OffsetDateTime::from_unix_timestamp(number * step).ok())
        .map(|at| bucket(at, found.get(&at).unwrap_or(&Bucket::default())))
        .collect();
    Ok(json(object!({"buckets": buckets}).to_string().into()))
}

fn bucket(at: OffsetDateTime, bucket: &Bucket) -> Value {
    object!({
        "at": rfc_3339(at),
        "received": bucket.received(),
        "stored": bucket.stored,
        "dead": bucket.dead,
        "refused": bucket.refused,
        "lost_in_client": bucket.lost_in_client,
        "not_kept": bucket.not_kept,
    })
}
