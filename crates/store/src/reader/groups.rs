//! Groups of a project: the list that people on call live in.
//!
//! What sorts a list changes with every notice, so the database indexes it in buckets (five minutes, steps of a
//! quarter octave) and sorts exactly inside them. Pages go on by (bucket, exact value, id).

use std::collections::HashMap;

use sqlx::types::time::OffsetDateTime;
use time::Duration;

use super::cursor::{self, CursorError};
use super::search::Search;
use super::{Opened, ReadError, Reader};

/// The longest list of environments that a group's row names.
const ENVIRONMENTS_MAX: usize = 10;

/// What people made of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GroupState {
    /// Nobody has dealt with it, or it came back.
    Unresolved,
    /// Said to be mended; the next notice reopens it.
    Resolved,
    /// Counted, and nobody is told.
    Muted,
}

impl GroupState {
    /// All states, in the order of their urgency.
    pub const ALL: [GroupState; 3] = [GroupState::Unresolved, GroupState::Resolved, GroupState::Muted];

    /// The state's name everywhere.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            GroupState::Unresolved => "unresolved",
            GroupState::Resolved => "resolved",
            GroupState::Muted => "muted",
        }
    }

    /// The state of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<GroupState> {
        GroupState::ALL.into_iter().find(|state| state.as_str() == name)
    }
}

/// What a list of groups is sorted by, greatest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum GroupSort {
    /// When the newest notice came.
    #[default]
    LastSeen,
    /// When the first notice came.
    FirstSeen,
    /// How many notices there are.
    Count,
    /// How many users met it.
    Users,
}

impl GroupSort {
    /// All orders.
    pub const ALL: [GroupSort; 4] = [GroupSort::LastSeen, GroupSort::FirstSeen, GroupSort::Count, GroupSort::Users];

    /// The order's name in addresses.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            GroupSort::LastSeen => "last_seen",
            GroupSort::FirstSeen => "first_seen",
            GroupSort::Count => "count",
            GroupSort::Users => "users",
        }
    }

    /// The order of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<GroupSort> {
        GroupSort::ALL.into_iter().find(|sort| sort.as_str() == name)
    }

    /// The list that a cursor belongs to.
    fn list(self) -> char {
        match self {
            GroupSort::LastSeen => 'l',
            GroupSort::FirstSeen => 'f',
            GroupSort::Count => 'c',
            GroupSort::Users => 'u',
        }
    }
}

/// Which groups, in which order.
#[derive(Clone, Debug, Default)]
pub struct GroupFilter {
    /// What was typed.
    pub search: Search,
    /// Only groups of this state.
    pub state: Option<GroupState>,
    /// The order.
    pub sort: GroupSort,
}

/// A group as lists show it.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields are the columns")]
pub struct Group {
    pub id: i64,
    pub project_id: i64,
    pub class: String,
    pub message: String,
    pub culprit: String,
    pub state: GroupState,
    pub version: i32,
    pub notice_count: i64,
    /// An estimate above 64.
    pub user_count: i32,
    pub first_seen_at: OffsetDateTime,
    pub last_seen_at: OffsetDateTime,
    pub resolved_at: Option<OffsetDateTime>,
    /// Whether it was resolved and the error came back; until somebody deals with it again.
    pub came_back: bool,
    pub assignee: Option<(i64, String)>,
    pub environments: Vec<String>,
    /// The release of the first notice that named one.
    pub first_release: Option<String>,
    /// The release that was seen last.
    pub last_release: Option<String>,
    count_bucket: i16,
    user_bucket: i16,
    last_seen_bucket: i32,
}

/// One page of a list of groups.
#[derive(Clone, Debug)]
pub struct GroupPage {
    /// The groups.
    pub groups: Vec<Group>,
    /// Where the list goes on.
    pub next: Option<String>,
}

struct GroupRow {
    id: i64,
    state: String,
    version: i32,
    notice_count: i64,
    user_count: i32,
    count_bucket: i16,
    user_bucket: i16,
    first_seen_at: OffsetDateTime,
    last_seen_at: OffsetDateTime,
    last_seen_bucket: i32,
    resolved_at: Option<OffsetDateTime>,
    came_back: bool,
    assignee_id: Option<i64>,
    assignee_name: Option<String>,
    class: String,
    message: String,
    culprit: String,
}

impl GroupRow {
    fn into_group(self, project_id: i64) -> Group {
        Group {
            id: self.id,
            project_id,
            class: self.class,
            message: self.message,
            culprit: self.culprit,
            state: GroupState::parse(&self.state).unwrap_or(GroupState::Unresolved),
            version: self.version,
            notice_count: self.notice_count,
            user_count: self.user_count,
            first_seen_at: self.first_seen_at,
            last_seen_at: self.last_seen_at,
            resolved_at: self.resolved_at,
            came_back: self.came_back,
            assignee: self.assignee_id.map(|id| (id, self.assignee_name.unwrap_or_default())),
            environments: Vec::new(),
            first_release: None,
            last_release: None,
            count_bucket: self.count_bucket,
            user_bucket: self.user_bucket,
            last_seen_bucket: self.last_seen_bucket,
        }
    }
}

/// The one statement of the list; only the order, and with it where a page goes on, is different for each sort.
///
/// The page is found first, without anything that nobody searches: with its filters absent the text's join falls away. What
/// its rows show is looked up after that, row by row, however little the database knows of tables that grow by the minute.
macro_rules! groups_query {
    ($after:literal, $order:literal, $($argument:expr),*) => {
        sqlx::query_as!(
            GroupRow,
            r#"with page as materialized (
                select g.*
                from grp g
                left join grp_text t on t.project_id = g.project_id and t.group_id = g.id
                where g.project_id = $1
                    and ($2::text is null or g.state = $2)
                    and ($3::text is null or t.words @@ to_tsquery('simple', $3))
                    and ($4::text[] = '{}' or not exists (select from unnest($4) as c(part)
                        where position(lower(c.part) in lower(t.class)) = 0))
                    and ($5::text[] = '{}' or not exists (select from unnest($5) as p(part)
                        where position(lower(p.part) in lower(t.class || ': ' || t.message || ' ' || t.culprit)) = 0))
                    and ($6::text[] = '{}' or not exists (select from unnest($6, $7::text[]) as w(key, value)
                        where not exists (select from fingerprint p
                            join facet f on f.project_id = p.project_id and f.fingerprint_id = p.id
                            where p.project_id = $1 and p.group_id = g.id
                                and f.key = w.key and f.value = w.value and not f.is_other)))
                    and ($8::float8 is null or g.first_seen_at > now() - $8 * interval '1 second')
                    and ($9::float8 is null or g.last_seen_at > now() - $9 * interval '1 second')
                    and ($10::float8 is null or g.last_seen_at <= now() - $10 * interval '1 second')
                    and ($11::bigint is null or "# + $after + ") order by " + $order + r#" limit $14
            )
            select g.id, g.state, g.version, g.notice_count, g.user_count, g.count_bucket, g.user_bucket,
                g.first_seen_at, g.last_seen_at, g.last_seen_bucket, g.resolved_at, g.assignee_id,
                (select coalesce(nullif(u.name, ''), u.email) from user_account u where u.id = g.assignee_id) as assignee_name,
                t.class, t.message, t.culprit,
                coalesce(g.state = 'unresolved' and (select h.kind = 'reopened' and h.actor_id is null from grp_history h
                    where h.project_id = g.project_id and h.group_id = g.id order by h.at desc, h.id desc limit 1), false) as "came_back!"
            from page g
            cross join lateral (select t.class, t.message, t.culprit from grp_text t
                where t.project_id = g.project_id and t.group_id = g.id offset 0) t
            order by "# + $order,
            $($argument),*
        )
    };
}

impl Reader {
    /// Groups of a project, as the filter says; `cursor` is a [`GroupPage::next`] of the same order.
    pub async fn groups(
        &self,
        opened: &Opened,
        filter: &GroupFilter,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Result<GroupPage, CursorError>, ReadError> {
        let after = match cursor.map(|word| cursor::read::<3>(filter.sort.list(), word)).transpose() {
            Ok(after) => after,
            Err(error) => return Ok(Err(error)),
        };
        // Two states at once are no group's.
        let state = match (filter.state, filter.search.state) {
            (Some(one), Some(other)) if one != other => return Ok(Ok(GroupPage { groups: Vec::new(), next: None })),
            (one, other) => one.or(other).map(GroupState::as_str),
        };
        let search = &filter.search;
        let text_query = search.text_query();
        let (keys, values): (Vec<String>, Vec<String>) = search.facets.iter().cloned().unzip();
        let first_seen_within = search.first_seen_within.map(Duration::as_seconds_f64);
        let last_seen_within = search.last_seen_within.map(Duration::as_seconds_f64);
        let not_seen_for = search.not_seen_for.map(Duration::as_seconds_f64);
        let bucket = after.map(|[bucket, ..]| bucket);
        let exact = after.map(|[_, exact, _]| exact);
        let id = after.map(|[.., id]| id);
        let rows_max = i64::try_from(limit + 1).unwrap_or(i64::MAX);

        macro_rules! run {
            ($after:literal, $order:literal) => {
                groups_query!(
                    $after,
                    $order,
                    opened.id(),
                    state,
                    text_query,
                    &search.classes,
                    &search.phrases,
                    &keys,
                    &values,
                    first_seen_within,
                    last_seen_within,
                    not_seen_for,
                    bucket,
                    exact,
                    id,
                    rows_max
                )
                .fetch_all(&self.pool)
                .await?
            };
        }
        let rows = match filter.sort {
            GroupSort::LastSeen => run!(
                "(g.last_seen_bucket <= $11 and (g.last_seen_bucket, g.last_seen_at, g.id)
                    < ($11, 'epoch'::timestamptz + $12::bigint * interval '1 microsecond', $13::bigint))",
                "g.last_seen_bucket desc, g.last_seen_at desc, g.id desc"
            ),
            GroupSort::FirstSeen => run!(
                "(g.first_seen_at, g.id) < ('epoch'::timestamptz + $12::bigint * interval '1 microsecond', $13::bigint)",
                "g.first_seen_at desc, g.id desc"
            ),
            GroupSort::Count => run!(
                "(g.count_bucket <= $11 and (g.count_bucket, g.notice_count, g.id) < ($11, $12::bigint, $13::bigint))",
                "g.count_bucket desc, g.notice_count desc, g.id desc"
            ),
            GroupSort::Users => run!(
                "(g.user_bucket <= $11 and (g.user_bucket, g.user_count, g.id) < ($11, $12::bigint, $13::bigint))",
                "g.user_bucket desc, g.user_count desc, g.id desc"
            ),
        };
        let is_more = rows.len() > limit;
        let mut groups: Vec<Group> = rows.into_iter().take(limit).map(|row| row.into_group(opened.id())).collect();
        self.add_where(opened, &mut groups).await?;
        let next = groups.last().filter(|_| is_more).map(|group| cursor_after(filter.sort, group));
        Ok(Ok(GroupPage { groups, next }))
    }

    /// One group of a project.
    pub async fn group(&self, opened: &Opened, id: i64) -> Result<Option<Group>, ReadError> {
        let row = sqlx::query_file_as!(GroupRow, "queries/read_group.sql", opened.id(), id)
            .fetch_optional(&self.pool)
            .await?;
        let Some(row) = row else { return Ok(None) };
        let mut groups = [row.into_group(opened.id())];
        self.add_where(opened, &mut groups).await?;
        let [group] = groups;
        Ok(Some(group))
    }

    /// How many groups of a project are in each state.
    pub async fn group_counts(&self, opened: &Opened) -> Result<HashMap<GroupState, i64>, ReadError> {
        let rows = sqlx::query!(
            r#"select state, count(*) as "count!" from grp where project_id = $1 group by state"#,
            opened.id()
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.into_iter().filter_map(|row| Some((GroupState::parse(&row.state)?, row.count))).collect())
    }

    /// Adds environments and releases.
    async fn add_where(&self, opened: &Opened, groups: &mut [Group]) -> Result<(), ReadError> {
        let ids: Vec<i64> = groups.iter().map(|group| group.id).collect();
        let rows = sqlx::query_file!("queries/read_group_where.sql", opened.id(), &ids).fetch_all(&self.pool).await?;
        let index: HashMap<i64, usize> = ids.iter().enumerate().map(|(index, id)| (*id, index)).collect();
        let mut first: HashMap<i64, OffsetDateTime> = HashMap::new();
        let mut last: HashMap<i64, OffsetDateTime> = HashMap::new();
        for row in rows {
            let Some(group) = index.get(&row.group_id).and_then(|index| groups.get_mut(*index)) else { continue };
            if row.key == "environment" {
                if group.environments.len() < ENVIRONMENTS_MAX {
                    group.environments.push(row.value);
                }
                continue;
            }
            if first.get(&group.id).is_none_or(|at| row.first_seen_at < *at) {
                first.insert(group.id, row.first_seen_at);
                group.first_release = Some(row.value.clone());
            }
            if last.get(&group.id).is_none_or(|at| row.last_seen_at > *at) {
                last.insert(group.id, row.last_seen_at);
                group.last_release = Some(row.value);
            }
        }
        Ok(())
    }
}

fn cursor_after(sort: GroupSort, group: &Group) -> String {
    let micros = |at: OffsetDateTime| i64::try_from(at.unix_timestamp_nanos() / 1000).unwrap_or(i64::MAX);
    let (bucket, exact) = match sort {
        GroupSort::LastSeen => (i64::from(group.last_seen_bucket), micros(group.last_seen_at)),
        GroupSort::FirstSeen => (0, micros(group.first_seen_at)),
        GroupSort::Count => (i64::from(group.count_bucket), group.notice_count),
        GroupSort::Users => (i64::from(group.user_bucket), i64::from(group.user_count)),
    };
    cursor::write(sort.list(), &[bucket, exact, group.id])
}
