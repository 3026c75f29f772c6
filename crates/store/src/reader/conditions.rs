//! What a list asks of groups, in the form in which its statement takes it.
//!
//! What few groups can meet is looked up first, by indexes of its own: the statement then reads those groups and no others.

use std::collections::BTreeSet;

use time::Duration;

use super::frequencies::{Frequencies, RARE};
use super::search::{Assignee, Place, Sign};
use super::words::{Lookup, Word};
use super::{GroupFilter, GroupState, Opened, ReadError, Reader};

/// Up to this many groups are looked up before the list is read; more are common enough to be met on the way through it.
const FOUND_MAX: i64 = 5_000;
/// Of a facet's value up to this many groups are listed: an index has them together, in an order that leads to their groups.
const LISTED_MAX: f64 = 30_000.0;
/// And at least up to this many.
const FEW_MIN: i64 = 200;
/// A word that a greater part of all groups has is not looked up.
const NARROWING_MAX: f64 = 0.3;
/// Texts of groups that may have to be read for a look.
const READ_MAX: f64 = 50_000.0;
/// Classes of a project that are looked through.
const CLASSES_MAX: i32 = 1_000;

/// Parameters of the list's statement, without order and place.
#[derive(Debug, Default)]
pub(super) struct Conditions {
    /// One state, if it must be this one: the index by state has it in the order of the list.
    pub(super) state: Option<&'static str>,
    /// States, if it may be one of several.
    pub(super) states: Option<Vec<&'static str>>,
    pub(super) words: Option<String>,
    pub(super) words_not: Option<String>,
    pub(super) places: Vec<&'static str>,
    pub(super) texts: Vec<String>,
    pub(super) text_nots: Vec<bool>,
    /// Facets that each group is asked for.
    pub(super) facet_keys: Vec<String>,
    pub(super) facet_values: Vec<String>,
    pub(super) facet_nots: Vec<bool>,
    pub(super) first_seen_within: Option<f64>,
    pub(super) first_seen_beyond: Option<f64>,
    pub(super) last_seen_within: Option<f64>,
    pub(super) last_seen_beyond: Option<f64>,
    pub(super) notices_least: Option<i64>,
    pub(super) notices_most: Option<i64>,
    pub(super) users_least: Option<i64>,
    pub(super) users_most: Option<i64>,
    pub(super) is_assigned: Option<bool>,
    pub(super) assigned_to: Option<Vec<i64>>,
    pub(super) assigned_not_to: Vec<i64>,
    /// The only groups that can be meant.
    pub(super) ids: Option<Vec<i64>>,
    /// The same where it is many: not to be looked up, but to be compared on the way through the list.
    pub(super) listed: Option<Vec<i64>>,
    /// Groups that are not meant.
    pub(super) ids_not: Vec<i64>,
    /// About the part of those that can be meant which meets texts and facets, as far as it is known.
    pub(super) share: f64,
}

impl Conditions {
    /// Whether texts or facets of a group have to be looked at, or it has to be found among many.
    pub(super) fn ask_more_than_rows(&self) -> bool {
        self.words.is_some()
            || self.words_not.is_some()
            || !self.places.is_empty()
            || !self.facet_keys.is_empty()
            || self.listed.is_some()
    }
}

impl Reader {
    /// What a filter asks of the groups of a project; `None` when no group can meet it.
    pub(super) async fn conditions(
        &self,
        opened: &Opened,
        filter: &GroupFilter,
    ) -> Result<Option<Conditions>, ReadError> {
        let search = &filter.search;
        let mut states = search.states.clone().unwrap_or_else(|| GroupState::ALL.to_vec());
        states.retain(|state| filter.state.is_none_or(|wanted| wanted == *state));
        let names: Vec<&'static str> = states.into_iter().map(GroupState::as_str).collect();
        let seconds = |span: Option<Duration>| span.map(Duration::as_seconds_f64);
        let is_not = |sign: Sign| sign == Sign::IsNot;
        let mut conditions = Conditions {
            words: search.text_query(),
            words_not: search.text_query_not(),
            places: search.texts.iter().map(|(place, ..)| place.as_str()).collect(),
            texts: search.texts.iter().map(|(_, text, _)| text.clone()).collect(),
            text_nots: search.texts.iter().map(|(.., sign)| is_not(*sign)).collect(),
            first_seen_within: seconds(search.first_seen.within),
            first_seen_beyond: seconds(search.first_seen.beyond),
            last_seen_within: seconds(search.last_seen.within),
            last_seen_beyond: seconds(search.last_seen.beyond),
            notices_least: search.notice_count.least,
            notices_most: search.notice_count.most,
            users_least: search.user_count.least,
            users_most: search.user_count.most,
            ids: filter.among.clone(),
            share: 1.0,
            ..Conditions::default()
        };
        // Nothing was first seen after it was last seen: an order by either then begins where there may be something.
        conditions.first_seen_beyond = greater(conditions.first_seen_beyond, conditions.last_seen_beyond);
        conditions.last_seen_within = smaller(conditions.last_seen_within, conditions.first_seen_within);
        match names.as_slice() {
            [] => return Ok(None),
            [state] => conditions.state = Some(*state),
            names if names.len() == GroupState::ALL.len() => {}
            _ => conditions.states = Some(names),
        }
        self.add_assignees(opened, filter, &mut conditions).await?;
        self.add_users(opened, filter, &mut conditions).await?;
        if !filter.search.is_about_rows_alone() {
            let known = self.frequencies().await?;
            let few = few_of(known.group_count);
            let classes = self.add_rare_classes(opened, filter, &known, few, &mut conditions).await?;
            self.add_rare_words(opened, filter, &known, classes, &mut conditions).await?;
            self.add_rare_facets(opened, filter, &known, few, &mut conditions).await?;
        }
        let nobody = conditions.assigned_to.as_ref().is_some_and(Vec::is_empty);
        if conditions.ids.is_some()
            && let Some(listed) = conditions.listed.take()
        {
            narrow(&mut conditions.ids, listed);
        }
        let nothing = [&conditions.ids, &conditions.listed].into_iter().flatten().any(Vec::is_empty);
        Ok((!nobody && !nothing).then_some(conditions))
    }

    async fn add_assignees(
        &self,
        opened: &Opened,
        filter: &GroupFilter,
        conditions: &mut Conditions,
    ) -> Result<(), ReadError> {
        for (who, sign) in &filter.search.assigned {
            let people = match who {
                Assignee::Anybody => {
                    let wanted = *sign == Sign::Is;
                    if conditions.is_assigned.is_some_and(|earlier| earlier != wanted) {
                        conditions.assigned_to = Some(Vec::new());
                    }
                    conditions.is_assigned = Some(wanted);
                    continue;
                }
                Assignee::Me => filter.me.into_iter().collect(),
                Assignee::Named(name) => {
                    // Among the project's people alone: how long it takes must not tell who else has an account.
                    sqlx::query_scalar!(
                        "select u.id from project_access a join user_account u on u.id = a.user_id
                         where a.project_id = $2 and (u.email = lower($1) or lower(u.name) = lower($1)) limit $3",
                        name,
                        opened.id(),
                        FOUND_MAX
                    )
                    .fetch_all(&self.pool)
                    .await?
                }
            };
            match sign {
                Sign::Is => narrow(&mut conditions.assigned_to, people),
                Sign::IsNot => conditions.assigned_not_to.extend(people),
            }
        }
        Ok(())
    }

    async fn add_users(
        &self,
        opened: &Opened,
        filter: &GroupFilter,
        conditions: &mut Conditions,
    ) -> Result<(), ReadError> {
        for (who, sign) in &filter.search.met_by {
            let hashes: Vec<i64> = notice::user_hashes(who).map(u64::cast_signed).to_vec();
            let groups = sqlx::query_scalar!(
                "select distinct f.group_id from user_met m
                 join fingerprint f on f.project_id = m.project_id and f.id = m.fingerprint_id
                 where m.project_id = $1 and m.user_hash = any($2) limit $3",
                opened.id(),
                &hashes,
                FOUND_MAX
            )
            .fetch_all(&self.pool)
            .await?;
            match sign {
                Sign::Is => narrow(&mut conditions.ids, groups),
                Sign::IsNot => conditions.ids_not.extend(groups),
            }
        }
        Ok(())
    }

    /// Words that few groups have together, or together with these classes.
    async fn add_rare_words(
        &self,
        opened: &Opened,
        filter: &GroupFilter,
        known: &Frequencies,
        classes: Option<Vec<String>>,
        conditions: &mut Conditions,
    ) -> Result<(), ReadError> {
        let words = filter.search.narrowing_words().into_iter().map(|word| (known.of(&word), word));
        // What most groups have narrows little, and its place in the index is long.
        let words: Vec<(f64, Word)> = words.filter(|(part, _)| *part <= NARROWING_MAX).collect();
        let part: f64 = words.iter().map(|(part, _)| part).product();
        let classes = classes.as_deref().map(|classes| (known.part_of(classes), classes));
        let expected = known.group_count * part * classes.map_or(1.0, |(part, _)| part);
        let lookup = Lookup::of(&words, classes, known.group_count)
            .filter(|lookup| lookup.rows <= READ_MAX && expected <= FOUND_MAX as f64);
        let Some(lookup) = lookup else {
            conditions.share *= part;
            return Ok(());
        };
        let classes = classes.map(|(_, classes)| classes);
        let groups = sqlx::query_file_scalar!(
            "queries/read_groups_with_words.sql",
            opened.id(),
            lookup.query,
            classes.filter(|_| !lookup.has_classes),
            classes,
            filter.search.text_query().filter(|_| !lookup.is_exact),
            FOUND_MAX
        )
        .fetch_all(&self.pool)
        .await?;
        if are_few(groups.len(), FOUND_MAX) {
            narrow(&mut conditions.ids, groups);
        } else {
            conditions.share *= part;
        }
        Ok(())
    }

    /// Classes that few groups have. Answers which classes are meant, of projects that do not have too many to look through.
    async fn add_rare_classes(
        &self,
        opened: &Opened,
        filter: &GroupFilter,
        known: &Frequencies,
        few: i64,
        conditions: &mut Conditions,
    ) -> Result<Option<Vec<String>>, ReadError> {
        let mut meant: Option<Vec<String>> = None;
        for (_, part, _) in
            filter.search.texts.iter().filter(|(place, _, sign)| *place == Place::Class && *sign == Sign::Is)
        {
            let found = sqlx::query_file!("queries/read_classes_with.sql", opened.id(), CLASSES_MAX, part)
                .fetch_one(&self.pool)
                .await?;
            if found.are_all {
                narrow(&mut meant, found.classes);
            }
        }
        let Some(classes) = &meant else { return Ok(None) };
        if known.are_many_of(classes, few) {
            conditions.share *= known.part_of(classes);
        } else {
            let groups = sqlx::query_scalar!(
                "select group_id from grp_text where project_id = $1 and class = any($2) limit $3::bigint + 1",
                opened.id(),
                classes,
                few
            )
            .fetch_all(&self.pool)
            .await?;
            if are_few(groups.len(), few) {
                narrow(&mut conditions.ids, groups);
            }
        }
        Ok(meant)
    }

    /// Values that few groups have: the list would have to be read far down until a page of them is found. Of those that more have it is
    /// at least known which groups these are, and on the way down no group has to be asked for its facets.
    async fn add_rare_facets(
        &self,
        opened: &Opened,
        filter: &GroupFilter,
        known: &Frequencies,
        few: i64,
        conditions: &mut Conditions,
    ) -> Result<(), ReadError> {
        let listed = listed_of(known.group_count);
        for (key, value, sign) in &filter.search.facets {
            let is_asked_for = *sign == Sign::Is;
            if is_asked_for && !known.has_many(opened.id(), key, value, listed) {
                // The row of all other values has an empty one, which nobody can ask for. Too many are only counted.
                let found = sqlx::query!(
                    r#"with f as materialized (
                        select f.fingerprint_id from facet f
                        where f.project_id = $1 and f.key = $2 and f.value = $3
                        order by f.fingerprint_id limit $4::bigint + 1
                    )
                    select (select count(*) from f) as "count!", array(
                        select p.group_id from f join fingerprint p on p.project_id = $1 and p.id = f.fingerprint_id
                        where (select count(*) from f) <= $4
                    ) as "groups!""#,
                    opened.id(),
                    key,
                    value,
                    listed
                )
                .fetch_one(&self.pool)
                .await?;
                if found.count <= listed {
                    conditions.share *= (found.count as f64 / known.group_count.max(1.0)).clamp(RARE, 1.0);
                    let is_short = found.count <= few;
                    narrow(if is_short { &mut conditions.ids } else { &mut conditions.listed }, found.groups);
                    continue;
                }
                known.remember_many(opened.id(), key, value);
            }
            if is_asked_for {
                // Of what is many, and not among the most frequent, at least so many have it.
                let least = if known.has_many(opened.id(), key, value, listed) {
                    listed as f64 / known.group_count
                } else {
                    0.0
                };
                conditions.share *= known.part_with(value).max(least.min(1.0));
            }
            conditions.facet_keys.push(key.clone());
            conditions.facet_values.push(value.clone());
            conditions.facet_nots.push(!is_asked_for);
        }
        Ok(())
    }
}

/// How many groups are looked up one by one sooner than they are met on the way through the list. Of so many groups a page of
/// forty that have something which `few` have is met after `40 * groups / few` others, and a step on that way takes a quarter of a
/// look: at `few * few = 10 * groups` both ways are equally long.
fn few_of(group_count: f64) -> i64 {
    (group_count * 10.0).sqrt().clamp(FEW_MIN as f64, FOUND_MAX as f64) as i64
}

/// Of how many fingerprints with a value the groups are listed: a page of forty that `listed` have is met after `40 * groups / listed`
/// others, each of which would be asked for its facets, and listing takes half of that for each at most.
fn listed_of(group_count: f64) -> i64 {
    (group_count * 300.0).sqrt().clamp(FOUND_MAX as f64, LISTED_MAX) as i64
}

fn greater(one: Option<f64>, other: Option<f64>) -> Option<f64> {
    one.into_iter().chain(other).reduce(f64::max)
}

fn smaller(one: Option<f64>, other: Option<f64>) -> Option<f64> {
    one.into_iter().chain(other).reduce(f64::min)
}

fn are_few(found: usize, most: i64) -> bool {
    i64::try_from(found).is_ok_and(|found| found <= most)
}

/// Keeps of what could be meant only what is among `others`, each once and in order.
fn narrow<T: Ord>(meant: &mut Option<Vec<T>>, others: Vec<T>) {
    let others: BTreeSet<T> = others.into_iter().collect();
    let earlier = meant.take();
    *meant = Some(match earlier {
        None => others.into_iter().collect(),
        Some(earlier) => earlier.into_iter().filter(|id| others.contains(id)).collect(),
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_meant_only_becomes_less() {
        let mut meant = None;
        narrow(&mut meant, vec![3, 1, 2, 3]);
        assert_eq!(meant, Some(vec![1, 2, 3]));
        narrow(&mut meant, vec![9, 3]);
        assert_eq!(meant, Some(vec![3]));
    }
}
