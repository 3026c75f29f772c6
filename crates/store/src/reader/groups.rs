//! Groups of a project: the list that people on call live in.
//!
//! What sorts a list changes with every notice, so the database indexes it in buckets (five minutes, steps of a
//! quarter octave) and sorts exactly inside them. Pages go on by (bucket, exact value, id).

use std::collections::HashMap;

use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _, stream};
use sqlx::types::time::OffsetDateTime;

use super::conditions::Conditions;
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
#[derive(Clone, Debug, Default)]
pub struct GroupPage {
    /// The groups.
    pub groups: Vec<Group>,
    /// Where the list goes on.
    pub next: Option<String>,
    cut_at: Option<Place>,
}

impl GroupPage {
    /// Whether the search ended before the page was full, because it had looked at [`GROUPS_LOOKED_AT_MAX`] groups: the next page goes on
    /// from there, and may have none as well.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.cut_at.is_some()
    }
}

/// What was found in a list.
struct Searched {
    /// Groups that meet the search, in no order.
    met: Vec<i64>,
    /// The last place that was looked at, if that is not the list's end.
    cut_at: Option<Place>,
}

struct StepRow {
    /// Groups that were looked at.
    length: i64,
    met: Vec<i64>,
    /// The place of the last of them; empty when there was none.
    last: Vec<i64>,
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

/// Steps of a search through a list: the bounds of the first, which is as long as it probably takes to fill the page, and how much longer
/// each is than the one before.
const STEP_MIN: f64 = 64.0;
const STEP_MAX: f64 = 5_000.0;
const STEP_GROWS: i64 = 3;
/// A first step looks at so many times what should be enough.
const STEP_SPARE: f64 = 1.4;

/// Groups that one page of a search looks at. Where those that it finds lie far apart, it ends there and the next page goes on.
pub const GROUPS_LOOKED_AT_MAX: i64 = 20_000;

/// Buckets of counts up to this one have one count each (seven and less), so that an index has the order inside them, too. Very many
/// groups may be in one of them: those that came once, and those that no user is known of.
const ONE_COUNT_BUCKET_MAX: i64 = 11;

/// Groups that were last seen in the same five minutes are sorted by the moment, unless they are more than this.
const CROWD_MIN: i64 = 2_000;

/// Instead of the exact value in a place: inside its bucket the list goes by number alone. Less than any moment.
const IN_CROWD: i64 = -1;

/// A part of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// All of it.
    Whole,
    /// Counts whose buckets have several, to be sorted inside each.
    Great,
    /// Counts of [`ONE_COUNT_BUCKET_MAX`].
    Small,
    /// Groups that were last seen in five minutes with very many others: the newest group first.
    Crowd,
}

impl Part {
    /// The parts of a list in their order, from a place on.
    fn of(sort: GroupSort, after: Option<Place>) -> &'static [Part] {
        match sort {
            GroupSort::LastSeen | GroupSort::FirstSeen => &[Part::Whole],
            GroupSort::Count | GroupSort::Users if after.is_some_and(|[bucket, ..]| bucket <= ONE_COUNT_BUCKET_MAX) => {
                &[Part::Small]
            }
            GroupSort::Count | GroupSort::Users => &[Part::Great, Part::Small],
        }
    }
}

/// Where a group stands in a list: its bucket, the exact value, its number.
type Place = [i64; 3];

/// Calls a macro with what is different for each order: what belongs to the part, what comes behind a place, the order, the order
/// backwards, and the exact value as a number.
macro_rules! in_order {
    ($sort:expr, $part:expr, $run:ident) => {
        match ($sort, $part) {
            (GroupSort::LastSeen, Part::Crowd) => $run!(
                "g.last_seen_bucket = $16::bigint",
                "(g.last_seen_bucket < $13 or (g.last_seen_bucket = $13 and g.id < $15::bigint)) and $14::bigint is not null",
                "g.last_seen_bucket desc, g.id desc",
                "g.last_seen_bucket, g.id",
                "g.last_seen_bucket::bigint, -1::bigint"
            ),
            (GroupSort::LastSeen, _) => $run!(
                "($16::bigint is null or g.last_seen_bucket > $16)",
                "(g.last_seen_bucket <= $13 and (g.last_seen_bucket, g.last_seen_at, g.id)
                    < ($13, 'epoch'::timestamptz + $14::bigint * interval '1 microsecond', $15::bigint))",
                "g.last_seen_bucket desc, g.last_seen_at desc, g.id desc",
                "g.last_seen_bucket, g.last_seen_at, g.id",
                "g.last_seen_bucket::bigint, (extract(epoch from g.last_seen_at) * 1000000)::bigint"
            ),
            (GroupSort::FirstSeen, _) => $run!(
                "$16::bigint is null",
                "(g.first_seen_at, g.id) < ('epoch'::timestamptz + $14::bigint * interval '1 microsecond', $15::bigint)",
                "g.first_seen_at desc, g.id desc",
                "g.first_seen_at, g.id",
                "0::bigint, (extract(epoch from g.first_seen_at) * 1000000)::bigint"
            ),
            (GroupSort::Count, Part::Small) => $run!(
                "(g.count_bucket <= 11 and $16::bigint is null)",
                "(g.count_bucket <= $13 and (g.count_bucket, g.id) < ($13, $15::bigint) and $14::bigint is not null)",
                "g.count_bucket desc, g.id desc",
                "g.count_bucket, g.id",
                "g.count_bucket::bigint, g.notice_count"
            ),
            (GroupSort::Count, _) => $run!(
                "(g.count_bucket > 11 and $16::bigint is null)",
                "(g.count_bucket <= $13 and (g.count_bucket, g.notice_count, g.id) < ($13, $14::bigint, $15::bigint))",
                "g.count_bucket desc, g.notice_count desc, g.id desc",
                "g.count_bucket, g.notice_count, g.id",
                "g.count_bucket::bigint, g.notice_count"
            ),
            (GroupSort::Users, Part::Small) => $run!(
                "(g.user_bucket <= 11 and $16::bigint is null)",
                "(g.user_bucket <= $13 and (g.user_bucket, g.id) < ($13, $15::bigint) and $14::bigint is not null)",
                "g.user_bucket desc, g.id desc",
                "g.user_bucket, g.id",
                "g.user_bucket::bigint, g.user_count::bigint"
            ),
            (GroupSort::Users, _) => $run!(
                "(g.user_bucket > 11 and $16::bigint is null)",
                "(g.user_bucket <= $13 and (g.user_bucket, g.user_count, g.id) < ($13, $14::bigint, $15::bigint))",
                "g.user_bucket desc, g.user_count desc, g.id desc",
                "g.user_bucket, g.user_count, g.id",
                "g.user_bucket::bigint, g.user_count::bigint"
            ),
        }
    };
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

    /// The first rows of a list behind a place, without looking at what only a search knows of: texts and facets.
    async fn list(
        &self,
        opened: &Opened,
        sort: GroupSort,
        asked: &Conditions,
        after: Option<Place>,
        crowd: Option<i64>,
        most: usize,
    ) -> Result<Vec<GroupRow>, ReadError> {
        let mut rows = Vec::new();
        // Before the crowd, the crowd, and behind it.
        let parts: Vec<(Part, Option<Place>, Option<i64>)> = match crowd {
            Some(crowd) => {
                let is_before = after.is_none_or(|[bucket, ..]| bucket > crowd);
                let before = is_before.then_some((Part::Whole, after, Some(crowd)));
                let behind = (Part::Whole, Some([crowd, IN_CROWD, 0]), None);
                before.into_iter().chain([(Part::Crowd, after, Some(crowd)), behind]).collect()
            }
            None => Part::of(sort, after).iter().map(|part| (*part, after, None)).collect(),
        };
        for (part, after, crowd) in parts {
            let (bucket, exact, id) = numbers(after);
            let rows_max = i64::try_from(most - rows.len()).unwrap_or(i64::MAX);
            if rows_max == 0 {
                break;
            }
            // The page is found first, without anything that nobody searches. What its rows show is looked up after that, row by row,
            // however little the database knows of tables that grow by the minute.
            macro_rules! run {
                ($part:literal, $after:literal, $order:literal, $back:literal, $place:literal) => {
                    sqlx::query_as!(
                        GroupRow,
                        r#"with page as materialized (
                            select g.*
                            from grp g
                            where g.project_id = $1 and g.merged_into is null and g.deleted_at is null
                                and ($2::text is null or g.state = $2)
                                and ($3::text[] is null or g.state = any($3))
                                and ($4::float8 is null or g.first_seen_at > now() - $4 * interval '1 second')
                                and ($5::float8 is null or g.first_seen_at <= now() - $5 * interval '1 second')
                                and ($6::float8 is null or (g.last_seen_at > now() - $6 * interval '1 second'
                                    and g.last_seen_bucket >= seen_bucket(now() - $6 * interval '1 second')))
                                and ($7::float8 is null or (g.last_seen_at <= now() - $7 * interval '1 second'
                                    and g.last_seen_bucket <= seen_bucket(now() - $7 * interval '1 second')))
                                and ($8::bigint is null or (g.notice_count >= $8 and g.count_bucket >= count_bucket($8)))
                                and ($9::bigint is null or (g.notice_count <= $9 and g.count_bucket <= count_bucket($9)))
                                and ($10::bigint is null or (g.user_count >= $10 and g.user_bucket >= count_bucket($10)))
                                and ($11::bigint is null or (g.user_count <= $11 and g.user_bucket <= count_bucket($11)))
                                and ($12::bool is null or (g.assignee_id is not null) = $12)
                                and ($13::bigint is null or "# + $after + ") and " + $part + r#"
                                and ($17::bigint[] is null or g.assignee_id = any($17))
                                and ($18::bigint[] = '{}' or (g.assignee_id = any($18)) is not true)
                                and ($19::bigint[] is null or g.id = any($19))
                                and ($20::bigint[] = '{}' or g.id <> all($20))
                            order by "# + $order + r#" limit $21
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
                        opened.id(),
                        asked.state,
                        asked.states.as_deref() as Option<&[&str]>,
                        asked.first_seen_within,
                        asked.first_seen_beyond,
                        asked.last_seen_within,
                        asked.last_seen_beyond,
                        asked.notices_least,
                        asked.notices_most,
                        asked.users_least,
                        asked.users_most,
                        asked.is_assigned,
                        bucket,
                        exact,
                        id,
                        crowd,
                        asked.assigned_to.as_deref(),
                        &asked.assigned_not_to,
                        asked.ids.as_deref(),
                        &asked.ids_not,
                        rows_max
                    )
                    .fetch_all(&self.pool)
                    .await?
                };
            }
            rows.append(&mut in_order!(sort, part, run));
        }
        Ok(rows)
    }

    /// The bucket in which a page of the list by last sight ends, if so many groups were last seen in those five minutes that sorting them
    /// would take longer than anybody looks at the list: in a flood of new groups.
    async fn crowd(
        &self,
        opened: &Opened,
        asked: &Conditions,
        after: Option<Place>,
        limit: usize,
    ) -> Result<Option<i64>, ReadError> {
        if let Some([bucket, IN_CROWD, _]) = after {
            return Ok(Some(bucket));
        }
        if self.frequencies().await?.group_count < CROWD_MIN as f64 {
            return Ok(None);
        }
        let crowd = sqlx::query_scalar!(
            r#"select ends.bucket::bigint as "bucket!"
               from (select g.last_seen_bucket as bucket from grp g
                   where g.project_id = $1 and ($2::text is null or g.state = $2) and ($3::bigint is null or g.last_seen_bucket <= $3)
                   order by g.last_seen_bucket desc, g.id desc offset $4 limit 1) ends
               where exists (select from grp g
                   where g.project_id = $1 and ($2::text is null or g.state = $2) and g.last_seen_bucket = ends.bucket offset $5)"#,
            opened.id(),
            asked.state,
            after.map(|[bucket, ..]| bucket),
            i64::try_from(limit).unwrap_or(i64::MAX),
            CROWD_MIN
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(crowd)
    }

    /// Goes through a list from a place on, and looks at texts and facets of its groups, until `wanted` meet the search, the list is at its end
    /// or [`GROUPS_LOOKED_AT_MAX`] were looked at.
    async fn search_list(
        &self,
        opened: &Opened,
        sort: GroupSort,
        asked: &Conditions,
        mut after: Option<Place>,
        wanted: usize,
    ) -> Result<Searched, ReadError> {
        let mut met = Vec::new();
        let mut looked_at = 0;
        let mut step = (wanted as f64 * STEP_SPARE / asked.share).clamp(STEP_MIN, STEP_MAX) as i64;
        let mut grows = STEP_GROWS;
        if asked.ids.is_some() {
            // Each step looks all of them up: the second one takes the rest.
            (step, grows) = (step * STEP_GROWS, GROUPS_LOOKED_AT_MAX);
        }
        for part in Part::of(sort, after) {
            loop {
                let (bucket, exact, id) = numbers(after);
                // The step is a part of the list and has nothing of the search in it, so that it is never longer than it says.
                macro_rules! run {
                    ($part:literal, $after:literal, $order:literal, $back:literal, $place:literal) => {
                        sqlx::query_as!(
                            StepRow,
                            r#"with step as materialized (
                                select g.*
                                from grp g
                                where g.project_id = $1 and g.merged_into is null and g.deleted_at is null
                                    and ($2::text is null or g.state = $2)
                                    and ($3::text[] is null or g.state = any($3))
                                    and ($4::float8 is null or g.first_seen_at > now() - $4 * interval '1 second')
                                    and ($5::float8 is null or g.first_seen_at <= now() - $5 * interval '1 second')
                                    and ($6::float8 is null or (g.last_seen_at > now() - $6 * interval '1 second'
                                        and g.last_seen_bucket >= seen_bucket(now() - $6 * interval '1 second')))
                                    and ($7::float8 is null or (g.last_seen_at <= now() - $7 * interval '1 second'
                                        and g.last_seen_bucket <= seen_bucket(now() - $7 * interval '1 second')))
                                    and ($8::bigint is null or (g.notice_count >= $8 and g.count_bucket >= count_bucket($8)))
                                    and ($9::bigint is null or (g.notice_count <= $9 and g.count_bucket <= count_bucket($9)))
                                    and ($10::bigint is null or (g.user_count >= $10 and g.user_bucket >= count_bucket($10)))
                                    and ($11::bigint is null or (g.user_count <= $11 and g.user_bucket <= count_bucket($11)))
                                    and ($12::bool is null or (g.assignee_id is not null) = $12)
                                    and ($13::bigint is null or "# + $after + ") and " + $part + r#"
                                    and ($17::bigint[] is null or g.assignee_id = any($17))
                                    and ($18::bigint[] = '{}' or (g.assignee_id = any($18)) is not true)
                                    and ($19::bigint[] is null or g.id = any($19))
                                    and ($20::bigint[] = '{}' or g.id <> all($20))
                                order by "# + $order + r#" limit $21
                            ), met as (
                                select g.id
                                from step g
                                left join lateral (
                                    select t.class, t.message, t.culprit, t.files, t.functions, t.words from grp_text t
                                    where t.project_id = g.project_id and t.group_id = g.id
                                        and ($22::text is not null or $23::text is not null or $24::text[] <> '{}') offset 0
                                ) t on true
                                where ($30::bigint[] is null or g.id = any($30))
                                    and ($22::text is null or t.words @@ to_tsquery('simple', $22))
                                    and ($23::text is null or (t.words @@ to_tsquery('simple', $23)) is not true)
                                    and ($24::text[] = '{}' or not exists (
                                        select from unnest($24, $25::text[], $26::bool[]) as w(place, part, is_not)
                                        where w.is_not = case w.place
                                            when 'class' then position(lower(w.part) in lower(t.class)) > 0
                                            when 'message' then position(lower(w.part) in lower(t.message)) > 0
                                            when 'culprit' then position(lower(w.part) in lower(t.culprit)) > 0
                                            when 'file' then t.files is not null and position(lower(w.part) in lower(t.files)) > 0
                                            when 'function' then t.functions is not null and position(lower(w.part) in lower(t.functions)) > 0
                                            else position(lower(w.part) in lower(t.class || ': ' || t.message || ' ' || t.culprit)) > 0
                                        end))
                                    and ($27::text[] = '{}' or not exists (
                                        select from unnest($27, $28::text[], $29::bool[]) as w(key, value, is_not)
                                        where w.is_not = exists (select from fingerprint p
                                            join facet f on f.project_id = p.project_id and f.fingerprint_id = p.id
                                            where p.project_id = $1 and p.group_id = g.id
                                                and f.key = w.key and f.value = w.value and not f.is_other)))
                            )
                            select (select count(*) from step) as "length!", array(select id from met) as "met!",
                                array(select unnest(array["# + $place + ", g.id]) from (select * from step g order by " + $back + r#" limit 1) g) as "last!""#,
                            opened.id(),
                            asked.state,
                            asked.states.as_deref() as Option<&[&str]>,
                            asked.first_seen_within,
                            asked.first_seen_beyond,
                            asked.last_seen_within,
                            asked.last_seen_beyond,
                            asked.notices_least,
                            asked.notices_most,
                            asked.users_least,
                            asked.users_most,
                            asked.is_assigned,
                            bucket,
                            exact,
                            id,
                            None::<i64>,
                            asked.assigned_to.as_deref(),
                            &asked.assigned_not_to,
                            asked.ids.as_deref(),
                            &asked.ids_not,
                            step,
                            asked.words,
                            asked.words_not,
                            &asked.places as &[&str],
                            &asked.texts,
                            &asked.text_nots,
                            &asked.facet_keys,
                            &asked.facet_values,
                            &asked.facet_nots,
                            asked.listed.as_deref(),
                        )
                        .fetch_one(&self.pool)
                        .await?
                    };
                }
                let stepped = in_order!(sort, *part, run);
                met.extend(stepped.met);
                looked_at += stepped.length;
                after = Place::try_from(stepped.last).ok().or(after);
                if met.len() >= wanted || (stepped.length == step && looked_at >= GROUPS_LOOKED_AT_MAX) {
                    return Ok(Searched { met, cut_at: after });
                }
                if stepped.length < step {
                    break;
                }
                step = (step * grows).min(GROUPS_LOOKED_AT_MAX - looked_at).max(1);
            }
        }
        Ok(Searched { met, cut_at: None })
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

fn numbers(place: Option<Place>) -> (Option<i64>, Option<i64>, Option<i64>) {
    (place.map(|[bucket, ..]| bucket), place.map(|[_, exact, _]| exact), place.map(|[.., id]| id))
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
