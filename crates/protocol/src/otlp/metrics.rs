//! Metrics are only counted.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::json;
use super::protobuf::{self, UNREADABLE, malformed, messages};
use super::taken::{Taken, Taking};
use super::wire::{Broken, Fields};
use crate::ParseError;

/// The fields of a metric that have data points: gauge, sum, histogram, exponential histogram, summary.
const KINDS: [u32; 5] = [5, 7, 9, 10, 11];

pub(super) fn count_protobuf(body: &[u8]) -> Result<Taken, ParseError> {
    let mut taking = Taking::new(body.len());
    protobuf::each_record(body, &mut |_, metric| match count(metric) {
        Ok(count) => taking.taken.data_point_count += count,
        Err(Broken) => taking.refuse(UNREADABLE),
    })
    .map_err(|Broken| malformed("ExportMetricsServiceRequest"))?;
    taking.finish()
}

fn count(metric: &[u8]) -> Result<u64, Broken> {
    let mut count = 0;
    for field in Fields::of(metric) {
        let field = field?;
        if let Some(data) = field.value.bytes().filter(|_| KINDS.contains(&field.number)) {
            for point in messages(data, 1) {
                point?;
                count += 1;
            }
        }
    }
    Ok(count)
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Metric {
    gauge: Option<Data>,
    sum: Option<Data>,
    histogram: Option<Data>,
    #[serde(alias = "exponential_histogram")]
    exponential_histogram: Option<Data>,
    summary: Option<Data>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Data {
    #[serde(alias = "data_points")]
    data_points: Option<Vec<IgnoredAny>>,
}

pub(super) fn count_json(body: &[u8]) -> Result<Taken, ParseError> {
    let mut taking = Taking::new(body.len());
    json::each_metric(body, &mut |metric| match serde_json::from_str::<Metric>(metric) {
        Ok(metric) => {
            let Metric { gauge, sum, histogram, exponential_histogram, summary } = metric;
            let all = [gauge, sum, histogram, exponential_histogram, summary];
            let points = all.into_iter().flatten().filter_map(|data| data.data_points);
            taking.taken.data_point_count += points.map(|points| points.len() as u64).sum::<u64>();
        }
        Err(_) => taking.refuse(UNREADABLE),
    })?;
    taking.finish()
}
