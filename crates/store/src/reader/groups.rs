//! Groups of a project: the list that people on call live in.

use std::collections::HashMap;

use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _, stream};
use sqlx::types::time::OffsetDateTime;

use super::cursor::{self, CursorError};
use super::group_list::{IN_CROWD, Place};
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
#[derive(Clone, Debug, Default)]
pub struct GroupPage {
    /// The groups.
    pub groups: Vec<Group>,
    /// Where the list goes on.
    pub next: Option<String>,
    cut_at: Option<Place>,
}

impl GroupPage {
    /// Whether the search ended before the page was full, because it had looked at [`GROUPS_LOOKED_AT_MAX`](super::GROUPS_LOOKED_AT_MAX) groups: the next page goes on
    /// from there, and may have none as well.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.cut_at.is_some()
    }
}

pub(super) struct GroupRow {
    pub(super) id: i64,
    pub(super) state: String,
    pub(super) version: i32,
    pub(super) notice_count: i64,
    pub(super) user_count: i32,
    pub(super) count_bucket: i16,
    pub(super) user_bucket: i16,
    pub(super) first_seen_at: OffsetDateTime,
    pub(super) last_seen_at: OffsetDateTime,
    pub(super) last_seen_bucket: i32,
    pub(super) resolved_at: Option<OffsetDateTime>,
    pub(super) came_back: bool,
    pub(super) assignee_id: Option<i64>,
    pub(super) assignee_name: Option<String>,
    pub(super) class: String,
    pub(super) message: String,
    pub(super) culprit: String,
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

impl Reader {
    /// Groups of a project, as the filter says; `cursor` is a [`GroupPage::next`] of the same order.
    ///
    /// A page may have fewer groups than `limit`, or none, and still a next one: see [`GroupPage::is_cut`].
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
        let Some(mut asked) = self.conditions(opened, filter).await? else {
            return Ok(Ok(GroupPage::default()));
        };
        let is_searched = asked.ask_more_than_rows();
        let (after, cut_at) = if is_searched {
            let searched = self.search_list(opened, filter.sort, &asked, after, limit + 1).await?;
            asked.ids = Some(searched.met);
            (None, searched.cut_at)
        } else {
            (after, None)
        };
        let crowd = match filter.sort {
            GroupSort::LastSeen if !is_searched && asked.ids.is_none() => {
                self.crowd(opened, &asked, after, limit).await?
            }
            _ => None,
        };
        let rows = self.list(opened, filter.sort, &asked, after, crowd, limit + 1).await?;
        let is_more = rows.len() > limit;
        let mut groups: Vec<Group> = rows.into_iter().take(limit).map(|row| row.into_group(opened.id())).collect();
        self.add_where(opened, &mut groups).await?;
        let cut_at = cut_at.filter(|_| !is_more);
        let shown = groups.last().filter(|_| is_more).map(|group| match place(filter.sort, group) {
            [bucket, _, id] if Some(bucket) == crowd => [bucket, IN_CROWD, id],
            place => place,
        });
        let next = shown.or(cut_at).map(|place| cursor::write(filter.sort.list(), &place));
        Ok(Ok(GroupPage { groups, next, cut_at }))
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
        let mut cut_at: Option<Place> = None;
        for page in pages {
            let page = match page {
                Ok(page) => page,
                Err(error) => return Ok(Err(error)),
            };
            is_more |= page.next.is_some();
            cut_at = cut_at.max(page.cut_at);
            groups.extend(page.groups);
        }
        groups.sort_by_cached_key(|group| std::cmp::Reverse(place(filter.sort, group)));
        // Behind the place where the search of a project ended there may be more of its groups.
        groups.retain(|group| cut_at.is_none_or(|cut_at| place(filter.sort, group) >= cut_at));
        is_more |= groups.len() > limit;
        let cut_at = cut_at.filter(|_| groups.len() <= limit);
        groups.truncate(limit);
        let shown = groups.last().filter(|_| is_more).map(|group| place(filter.sort, group));
        let next = cut_at.or(shown).map(|place| cursor::write(filter.sort.list(), &place));
        Ok(Ok(GroupPage { groups, next, cut_at }))
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
        let rows = sqlx::query_file!("queries/read_group_counts.sql", opened.id(), GROUPS_COUNTED_MAX)
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

    /// The greatest number of a group in any of these projects; 0 where there is none.
    pub async fn newest_group_of(&self, projects: &[Opened]) -> Result<i64, ReadError> {
        let ids: Vec<i64> = projects.iter().map(Opened::id).collect();
        let newest = sqlx::query_scalar!(
            r#"select coalesce(max(newest.id), 0) as "id!" from unnest($1::bigint[]) as p(id)
               cross join lateral (select g.id from grp g where g.project_id = p.id order by g.id desc limit 1) newest"#,
            &ids
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(newest)
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

/// Where a group stands in a list; the greatest comes first.
fn place(sort: GroupSort, group: &Group) -> Place {
    let micros = |at: OffsetDateTime| i64::try_from(at.unix_timestamp_nanos() / 1000).unwrap_or(i64::MAX);
    let (bucket, exact) = match sort {
        GroupSort::LastSeen => (i64::from(group.last_seen_bucket), micros(group.last_seen_at)),
        GroupSort::FirstSeen => (0, micros(group.first_seen_at)),
        GroupSort::Count => (i64::from(group.count_bucket), group.notice_count),
        GroupSort::Users => (i64::from(group.user_bucket), i64::from(group.user_count)),
    };
    [bucket, exact, group.id]
}
