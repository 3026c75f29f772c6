//! What a group's page shows besides its notices: when, for whom, where, why, and what happened to it.

use std::collections::HashMap;

use serde_json::Value;
use sqlx::types::time::OffsetDateTime;

use super::{Opened, ReadError, Reader};

/// Values of one facet that are shown; the rest is summed.
const FACET_VALUES_MAX: usize = 6;
/// The newest changes that are shown.
const HISTORY_MAX: i64 = 50;

/// The columns of a bar chart: `count` of `step_seconds` each, the last one holds the present.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Grid {
    /// Width of a column. Whole minutes; from a day on, whole days.
    pub step_seconds: i32,
    /// How many columns.
    pub count: i32,
}

impl Grid {
    /// Sixty minutes.
    pub const HOUR: Grid = Grid { step_seconds: 60, count: 60 };
    /// A day in hours, for the small charts of lists.
    pub const DAY_SMALL: Grid = Grid { step_seconds: 3600, count: 24 };
    /// A fortnight in days, for the small charts of lists.
    pub const FORTNIGHT_SMALL: Grid = Grid { step_seconds: 86_400, count: 14 };
    /// A day in half hours.
    pub const DAY: Grid = Grid { step_seconds: 1800, count: 48 };
    /// A fortnight in steps of six hours.
    pub const FORTNIGHT: Grid = Grid { step_seconds: 21_600, count: 56 };
    /// Ninety days.
    pub const QUARTER: Grid = Grid { step_seconds: 86_400, count: 90 };

    /// When the first column begins.
    #[must_use]
    pub fn start(&self, now: OffsetDateTime) -> OffsetDateTime {
        let step = i64::from(self.step_seconds);
        let present = now.unix_timestamp().div_euclid(step) * step;
        OffsetDateTime::from_unix_timestamp(present - step * i64::from(self.count - 1)).unwrap_or(now)
    }
}

/// One column of a chart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bar {
    /// When it begins.
    pub at: OffsetDateTime,
    /// Notices in it.
    pub count: i64,
}

/// Something that happened, to be marked on a chart.
#[derive(Clone, Debug)]
pub struct Mark {
    /// When.
    pub at: OffsetDateTime,
    /// What: the version or revision that was deployed.
    pub label: String,
    /// Where it was deployed.
    pub environment: String,
}

/// One facet of a group and how its values are distributed.
#[derive(Clone, Debug)]
pub struct Facet {
    /// Which facet.
    pub key: String,
    /// Its most frequent values.
    pub values: Vec<FacetValue>,
    /// Notices of the values that are not shown.
    pub other_count: i64,
    /// Notices that had this facet.
    pub total: i64,
}

/// One value of a facet.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields are the columns")]
pub struct FacetValue {
    pub value: String,
    pub notice_count: i64,
    pub first_seen_at: OffsetDateTime,
    pub last_seen_at: OffsetDateTime,
}

/// Why notices are in a group.
#[derive(Clone, Debug)]
pub struct GroupParts {
    /// The fingerprint in hex.
    pub fingerprint: String,
    /// Version of the rules that made it.
    pub version: i64,
    /// Names and values of what went into it.
    pub parts: Vec<(String, String)>,
}

/// Something that was done to a group.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields are the columns")]
pub struct Change {
    pub at: OffsetDateTime,
    /// Who did it; nobody: Croak itself.
    pub actor: Option<String>,
    pub kind: String,
    pub detail: String,
}

impl Reader {
    /// Charts of several groups of a project, each with all columns of the grid.
    pub async fn group_bars(
        &self,
        opened: &Opened,
        group_ids: &[i64],
        grid: Grid,
        now: OffsetDateTime,
    ) -> Result<HashMap<i64, Vec<Bar>>, ReadError> {
        let start = grid.start(now);
        let blank: Vec<Bar> = (0..grid.count)
            .map(|column| Bar {
                at: start + time::Duration::seconds(i64::from(grid.step_seconds) * i64::from(column)),
                count: 0,
            })
            .collect();
        let mut charts: HashMap<i64, Vec<Bar>> = group_ids.iter().map(|id| (*id, blank.clone())).collect();
        let mut put = |group_id: i64, column: i64, count: i64| {
            let bars = charts.get_mut(&group_id);
            if let (Some(bars), Ok(column)) = (bars, usize::try_from(column)) {
                // What is ahead of our clock belongs to the present.
                let column = column.min(bars.len() - 1);
                bars[column].count += count;
            }
        };
        if grid.step_seconds >= 86_400 {
            let rows = sqlx::query_file!(
                "queries/read_group_days.sql",
                opened.id(),
                group_ids,
                start,
                i64::from(grid.step_seconds)
            )
            .fetch_all(&self.pool)
            .await?;
            rows.into_iter().for_each(|row| put(row.group_id, row.bar, row.count));
        } else {
            let rows = sqlx::query_file!(
                "queries/read_group_minutes.sql",
                opened.id(),
                group_ids,
                start,
                i64::from(grid.step_seconds)
            )
            .fetch_all(&self.pool)
            .await?;
            rows.into_iter().for_each(|row| put(row.group_id, row.bar, row.count));
        }
        Ok(charts)
    }

    /// Deploys since a time, oldest first, for the marks of a chart.
    pub async fn deploy_marks(&self, opened: &Opened, since: OffsetDateTime) -> Result<Vec<Mark>, ReadError> {
        let marks = sqlx::query_as!(
            Mark,
            r#"select at, environment,
                coalesce(nullif(version, ''), nullif(left(revision, 10), ''), 'deploy') as "label!"
            from deploy where project_id = $1 and at >= $2 order by at limit 200"#,
            opened.id(),
            since
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(marks)
    }

    /// How the values of each facet of a group are distributed.
    pub async fn facets(&self, opened: &Opened, group_id: i64) -> Result<Vec<Facet>, ReadError> {
        let rows =
            sqlx::query_file!("queries/read_group_facets.sql", opened.id(), group_id).fetch_all(&self.pool).await?;
        let mut facets: Vec<Facet> = Vec::new();
        for row in rows {
            if facets.last().is_none_or(|facet| facet.key != row.key) {
                facets.push(Facet { key: row.key, values: Vec::new(), other_count: 0, total: 0 });
            }
            let Some(facet) = facets.last_mut() else { continue };
            facet.total += row.notice_count;
            if row.is_other || facet.values.len() == FACET_VALUES_MAX {
                facet.other_count += row.notice_count;
            } else {
                facet.values.push(FacetValue {
                    value: row.value,
                    notice_count: row.notice_count,
                    first_seen_at: row.first_seen_at,
                    last_seen_at: row.last_seen_at,
                });
            }
        }
        Ok(facets)
    }

    /// Why the notices of a group are one group: one entry, or several when groups were merged.
    pub async fn group_parts(&self, opened: &Opened, group_id: i64) -> Result<Vec<GroupParts>, ReadError> {
        let identities = self.identities_of_group(opened, group_id).await?;
        let text = |value: &Value, key: &str| match &value[key] {
            Value::String(text) => text.clone(),
            Value::Null => String::new(),
            other => other.to_string(),
        };
        Ok(identities
            .into_iter()
            .map(|identity| GroupParts {
                fingerprint: text(&identity.why, "fingerprint"),
                version: identity.why["version"].as_i64().unwrap_or(0),
                parts: identity.why["parts"]
                    .as_array()
                    .map(|parts| parts.iter().map(|part| (text(part, "name"), text(part, "value"))).collect())
                    .unwrap_or_default(),
            })
            .collect())
    }

    /// What was done to a group, newest first.
    pub async fn history(&self, opened: &Opened, group_id: i64) -> Result<Vec<Change>, ReadError> {
        let changes = sqlx::query_as!(
            Change,
            r#"select h.at, h.kind, h.detail, coalesce(nullif(u.name, ''), u.email) as actor
            from grp_history h left join user_account u on u.id = h.actor_id
            where h.project_id = $1 and h.group_id = $2
            order by h.at desc, h.id desc limit $3"#,
            opened.id(),
            group_id,
            HISTORY_MAX
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(changes)
    }
}
