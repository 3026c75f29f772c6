//! Groups of a project: the list that people on call live in.
//!
//! What sorts a list changes with every notice, so the database indexes it in buckets (five minutes, steps of a
//! quarter octave) and sorts exactly inside them. Pages go on by (bucket, exact value, id).

use std::collections::HashMap;

use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _, stream};
use sqlx::types::time::OffsetDateTime;

use super::cursor::{self, CursorError};
use super::search::Search;
use super::{Opened, ReadError, Reader};

/// Projects that are read at the same time for a list over several: a part of the connections that a web process has.
const PROJECTS_AT_ONCE: usize = 4;

/// The longest list of environments that a group's row names.
const ENVIRONMENTS_MAX: usize = 10;

/// Groups of one state are counted up to here: more are many, and counting them would take longer than showing them.
pub const GROUPS_COUNTED_MAX: i64 = 9_999;

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
    /// Who looks: the `me` of `assigned:me`.
    pub me: Option<i64>,
    /// Only these groups; none: all.
    pub among: Option<Vec<i64>>,
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
                where g.project_id = $1 and g.merged_into is null and g.deleted_at is null
                    and ($2::text is null or g.state = $2)
                    and ($3::text[] is null or g.state = any($3))
                    and ($4::text is null or t.words @@ to_tsquery('simple', $4))
                    and ($5::text is null or (t.words @@ to_tsquery('simple', $5)) is not true)
                    and ($6::text[] = '{}' or not exists (
                        select from unnest($6, $7::text[], $8::bool[]) as w(place, part, is_not)
                        where w.is_not = case w.place
                            when 'class' then position(lower(w.part) in lower(t.class)) > 0
                            when 'message' then position(lower(w.part) in lower(t.message)) > 0
                            when 'culprit' then position(lower(w.part) in lower(t.culprit)) > 0
                            when 'file' then t.files is not null and position(lower(w.part) in lower(t.files)) > 0
                            when 'function' then t.functions is not null and position(lower(w.part) in lower(t.functions)) > 0
                            else position(lower(w.part) in lower(t.class || ': ' || t.message || ' ' || t.culprit)) > 0
                        end))
                    and ($9::text[] = '{}' or not exists (
                        select from unnest($9, $10::text[], $11::bool[]) as w(key, value, is_not)
                        where w.is_not = exists (select from fingerprint p
                            join facet f on f.project_id = p.project_id and f.fingerprint_id = p.id
                            where p.project_id = $1 and p.group_id = g.id
                                and f.key = w.key and f.value = w.value and not f.is_other)))
                    and ($12::float8 is null or g.first_seen_at > now() - $12 * interval '1 second')
                    and ($13::float8 is null or g.first_seen_at <= now() - $13 * interval '1 second')
                    and ($14::float8 is null or (g.last_seen_at > now() - $14 * interval '1 second'
                        and g.last_seen_bucket >= seen_bucket(now() - $14 * interval '1 second')))
                    and ($15::float8 is null or (g.last_seen_at <= now() - $15 * interval '1 second'
                        and g.last_seen_bucket <= seen_bucket(now() - $15 * interval '1 second')))
                    and ($16::bigint is null or (g.notice_count >= $16 and g.count_bucket >= count_bucket($16)))
                    and ($17::bigint is null or (g.notice_count <= $17 and g.count_bucket <= count_bucket($17)))
                    and ($18::bigint is null or (g.user_count >= $18 and g.user_bucket >= count_bucket($18)))
                    and ($19::bigint is null or (g.user_count <= $19 and g.user_bucket <= count_bucket($19)))
                    and ($20::bool is null or (g.assignee_id is not null) = $20)
                    and ($21::bigint[] is null or g.assignee_id = any($21))
                    and ($22::bigint[] = '{}' or (g.assignee_id = any($22)) is not true)
                    and ($23::bigint[] is null or g.id = any($23))
                    and ($24::bigint[] = '{}' or g.id <> all($24))
                    and ($25::bigint is null or "# + $after + ") order by " + $order + r#" limit $28
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
        let Some(asked) = self.conditions(opened, filter).await? else {
            return Ok(Ok(GroupPage { groups: Vec::new(), next: None }));
        };
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
                    asked.state,
                    asked.states.as_deref() as Option<&[&str]>,
                    asked.words,
                    asked.words_not,
                    &asked.places as &[&str],
                    &asked.texts,
                    &asked.text_nots,
                    &asked.facet_keys,
                    &asked.facet_values,
                    &asked.facet_nots,
                    asked.first_seen_within,
                    asked.first_seen_beyond,
                    asked.last_seen_within,
                    asked.last_seen_beyond,
                    asked.notices_least,
                    asked.notices_most,
                    asked.users_least,
                    asked.users_most,
                    asked.is_assigned,
                    asked.assigned_to.as_deref(),
                    &asked.assigned_not_to,
                    asked.ids.as_deref(),
                    &asked.ids_not,
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
                "(g.last_seen_bucket <= $25 and (g.last_seen_bucket, g.last_seen_at, g.id)
                    < ($25, 'epoch'::timestamptz + $26::bigint * interval '1 microsecond', $27::bigint))",
                "g.last_seen_bucket desc, g.last_seen_at desc, g.id desc"
            ),
            GroupSort::FirstSeen => run!(
                "(g.first_seen_at, g.id) < ('epoch'::timestamptz + $26::bigint * interval '1 microsecond', $27::bigint)",
                "g.first_seen_at desc, g.id desc"
            ),
            GroupSort::Count => run!(
                "(g.count_bucket <= $25 and (g.count_bucket, g.notice_count, g.id) < ($25, $26::bigint, $27::bigint))",
                "g.count_bucket desc, g.notice_count desc, g.id desc"
            ),
            GroupSort::Users => run!(
                "(g.user_bucket <= $25 and (g.user_bucket, g.user_count, g.id) < ($25, $26::bigint, $27::bigint))",
                "g.user_bucket desc, g.user_count desc, g.id desc"
            ),
        };
        let is_more = rows.len() > limit;
        let mut groups: Vec<Group> = rows.into_iter().take(limit).map(|row| row.into_group(opened.id())).collect();
        self.add_where(opened, &mut groups).await?;
        let next = groups.last().filter(|_| is_more).map(|group| cursor_after(filter.sort, group));
        Ok(Ok(GroupPage { groups, next }))
    }

    /// The same list over several projects at once: a page of each is read, and what comes first of all of them is kept.
    pub async fn groups_of(
        &self,
        projects: &[Opened],
        filter: &GroupFilter,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Result<GroupPage, CursorError>, ReadError> {
        let reads: Vec<_> =
            projects.iter().map(|project| self.groups(project, filter, cursor, limit).boxed()).collect();
        let pages: Vec<_> = stream::iter(reads).buffer_unordered(PROJECTS_AT_ONCE).try_collect().await?;
        let mut groups = Vec::new();
        let mut is_more = false;
        for page in pages {
            let page = match page {
                Ok(page) => page,
                Err(error) => return Ok(Err(error)),
            };
            is_more |= page.next.is_some();
            groups.extend(page.groups);
        }
        groups.sort_by_cached_key(|group| std::cmp::Reverse(place(filter.sort, group)));
        is_more |= groups.len() > limit;
        groups.truncate(limit);
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

    /// How many groups of a project are in each state, up to [`GROUPS_COUNTED_MAX`] and one more; states without any are left out.
    pub async fn group_counts(&self, opened: &Opened) -> Result<HashMap<GroupState, i64>, ReadError> {
        let states = GroupState::ALL.map(|state| state.as_str().to_owned());
        let rows = sqlx::query!(
            r#"select s.state as "state!", counted.count as "count!"
               from unnest($2::text[]) as s(state)
               cross join lateral (select count(*) as count from (
                   select from grp g where g.project_id = $1 and g.state = s.state
                       and g.merged_into is null and g.deleted_at is null limit $3::bigint + 1) few) counted
               where counted.count > 0"#,
            opened.id(),
            &states,
            GROUPS_COUNTED_MAX
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.into_iter().filter_map(|row| Some((GroupState::parse(&row.state)?, row.count))).collect())
    }

    /// The greatest numbers of a project's groups, the greatest first.
    pub async fn newest_groups(&self, opened: &Opened, limit: i64) -> Result<Vec<i64>, ReadError> {
        let ids = sqlx::query_scalar!(
            "select id from grp where project_id = $1 order by id desc limit $2",
            opened.id(),
            limit
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(ids)
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
    cursor::write(sort.list(), &place(sort, group))
}

/// Where a group stands in a list; the greatest comes first.
fn place(sort: GroupSort, group: &Group) -> [i64; 3] {
    let micros = |at: OffsetDateTime| i64::try_from(at.unix_timestamp_nanos() / 1000).unwrap_or(i64::MAX);
    let (bucket, exact) = match sort {
        GroupSort::LastSeen => (i64::from(group.last_seen_bucket), micros(group.last_seen_at)),
        GroupSort::FirstSeen => (0, micros(group.first_seen_at)),
        GroupSort::Count => (i64::from(group.count_bucket), group.notice_count),
        GroupSort::Users => (i64::from(group.user_bucket), i64::from(group.user_count)),
    };
    [bucket, exact, group.id]
}
