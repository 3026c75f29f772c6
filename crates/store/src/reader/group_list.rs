//! The order of a list of groups, and how it is gone through.
//!
//! What sorts a list changes with every notice, so the database indexes it in buckets (five minutes, steps of a
//! quarter octave) and sorts exactly inside them. Pages go on by (bucket, exact value, id).

use super::conditions::Conditions;
use super::groups::{GroupRow, GroupSort};
use super::{Opened, ReadError, Reader};

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
pub(super) const IN_CROWD: i64 = -1;

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
pub(super) type Place = [i64; 3];

/// Calls a macro with the parts of what both statements begin with, the rows of a list from a place on, between which stand what comes behind
/// the place, what belongs to the part, and the order; and with what it was given itself.
macro_rules! with_rows {
    ($run:ident, $part:literal, $after:literal, $order:literal, $back:literal, $place:literal) => {
        $run!(
            "select g.*
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
                    and ($13::bigint is null or ",
            "
                    and ($17::bigint[] is null or g.assignee_id = any($17))
                    and ($18::bigint[] = '{}' or (g.assignee_id = any($18)) is not true)
                    and ($19::bigint[] is null or g.id = any($19))
                    and ($20::bigint[] = '{}' or g.id <> all($20))
                order by ",
            $part,
            $after,
            $order,
            $back,
            $place
        )
    };
}

/// Calls a macro, by [`with_rows`], with what is different for each order: what belongs to the part, what comes behind a place, the order, the order
/// backwards, and the exact value as a number.
macro_rules! in_order {
    ($sort:expr, $part:expr, $run:ident) => {
        match ($sort, $part) {
            (GroupSort::LastSeen, Part::Crowd) => with_rows!(
                $run,
                "g.last_seen_bucket = $16::bigint",
                "(g.last_seen_bucket < $13 or (g.last_seen_bucket = $13 and g.id < $15::bigint)) and $14::bigint is not null",
                "g.last_seen_bucket desc, g.id desc",
                "g.last_seen_bucket, g.id",
                "g.last_seen_bucket::bigint, -1::bigint"
            ),
            (GroupSort::LastSeen, _) => with_rows!(
                $run,
                "($16::bigint is null or g.last_seen_bucket > $16)",
                "(g.last_seen_bucket <= $13 and (g.last_seen_bucket, g.last_seen_at, g.id)
                    < ($13, 'epoch'::timestamptz + $14::bigint * interval '1 microsecond', $15::bigint))",
                "g.last_seen_bucket desc, g.last_seen_at desc, g.id desc",
                "g.last_seen_bucket, g.last_seen_at, g.id",
                "g.last_seen_bucket::bigint, (extract(epoch from g.last_seen_at) * 1000000)::bigint"
            ),
            (GroupSort::FirstSeen, _) => with_rows!(
                $run,
                "$16::bigint is null",
                "(g.first_seen_at, g.id) < ('epoch'::timestamptz + $14::bigint * interval '1 microsecond', $15::bigint)",
                "g.first_seen_at desc, g.id desc",
                "g.first_seen_at, g.id",
                "0::bigint, (extract(epoch from g.first_seen_at) * 1000000)::bigint"
            ),
            (GroupSort::Count, Part::Small) => with_rows!(
                $run,
                "(g.count_bucket <= 11 and $16::bigint is null)",
                "(g.count_bucket <= $13 and (g.count_bucket, g.id) < ($13, $15::bigint) and $14::bigint is not null)",
                "g.count_bucket desc, g.id desc",
                "g.count_bucket, g.id",
                "g.count_bucket::bigint, g.notice_count"
            ),
            (GroupSort::Count, _) => with_rows!(
                $run,
                "(g.count_bucket > 11 and $16::bigint is null)",
                "(g.count_bucket <= $13 and (g.count_bucket, g.notice_count, g.id) < ($13, $14::bigint, $15::bigint))",
                "g.count_bucket desc, g.notice_count desc, g.id desc",
                "g.count_bucket, g.notice_count, g.id",
                "g.count_bucket::bigint, g.notice_count"
            ),
            (GroupSort::Users, Part::Small) => with_rows!(
                $run,
                "(g.user_bucket <= 11 and $16::bigint is null)",
                "(g.user_bucket <= $13 and (g.user_bucket, g.id) < ($13, $15::bigint) and $14::bigint is not null)",
                "g.user_bucket desc, g.id desc",
                "g.user_bucket, g.id",
                "g.user_bucket::bigint, g.user_count::bigint"
            ),
            (GroupSort::Users, _) => with_rows!(
                $run,
                "(g.user_bucket > 11 and $16::bigint is null)",
                "(g.user_bucket <= $13 and (g.user_bucket, g.user_count, g.id) < ($13, $14::bigint, $15::bigint))",
                "g.user_bucket desc, g.user_count desc, g.id desc",
                "g.user_bucket, g.user_count, g.id",
                "g.user_bucket::bigint, g.user_count::bigint"
            ),
        }
    };
}

/// What was found in a list.
pub(super) struct Searched {
    /// Groups that meet the search, in no order.
    pub(super) met: Vec<i64>,
    /// The last place that was looked at, if that is not the list's end.
    pub(super) cut_at: Option<Place>,
}

struct StepRow {
    /// Groups that were looked at.
    length: i64,
    met: Vec<i64>,
    /// The place of the last of them; empty when there was none.
    last: Vec<i64>,
}

impl Reader {
    /// The first rows of a list behind a place, without looking at what only a search knows of: texts and facets.
    pub(super) async fn list(
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
                ($from:literal, $to:literal, $part:literal, $after:literal, $order:literal, $back:literal, $place:literal) => {
                    sqlx::query_as!(
                        GroupRow,
                        "with page as materialized (" + $from + $after + ") and " + $part + $to + $order + r#" limit $21)
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
    pub(super) async fn crowd(
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
    pub(super) async fn search_list(
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
                    ($from:literal, $to:literal, $part:literal, $after:literal, $order:literal, $back:literal, $place:literal) => {
                        sqlx::query_as!(
                            StepRow,
                            "with step as materialized (" + $from + $after + ") and " + $part + $to + $order + r#" limit $21), met as (
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
}

fn numbers(place: Option<Place>) -> (Option<i64>, Option<i64>, Option<i64>) {
    (place.map(|[bucket, ..]| bucket), place.map(|[_, exact, _]| exact), place.map(|[.., id]| id))
}
