//! Facets: which values get a row of their own, and which are counted as other.
//!
//! A fingerprint has at most [`KEYS_MAX`] keys (environment and release always have a place) and a key at most
//! [`VALUES_MAX`] values; what comes later is counted in the row with `is_other`. Which values there are is read once for a
//! fingerprint and then remembered: asking the database with every batch took longer than all else that a batch does.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, MutexGuard, PoisonError};

use lru::LruCache;
use sqlx::PgConnection;
use time::OffsetDateTime;

use super::groups::Placed;
use super::signed;
use crate::batch::{FacetCount, FingerprintBatch};
use crate::error::StoreError;
use crate::live_days::LiveDays;

/// Most keys of facets that a fingerprint has.
const KEYS_MAX: usize = 50;

/// Most values that a key of a fingerprint has.
const VALUES_MAX: usize = 100;

/// Values that are remembered, over all fingerprints: about ten megabytes.
const REMEMBERED_MAX: usize = 200_000;

/// The values that fingerprints have, as far as this process knows.
///
/// Another process may add some. Then a fingerprint gets a few more than its limit, and every sum is still right.
#[derive(Debug)]
pub(in crate::writer) struct Remembered(Mutex<Memory>);

#[derive(Debug)]
struct Memory {
    fingerprints: LruCache<(i64, i64), Values>,
    value_count: usize,
}

/// The keys of one fingerprint, and the values of each, as hashes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Values(HashMap<u64, HashSet<u64>>);

impl Default for Remembered {
    fn default() -> Self {
        Self(Mutex::new(Memory { fingerprints: LruCache::unbounded(), value_count: 0 }))
    }
}

impl Remembered {
    fn lock(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets all: the database was set back and lacks some of them.
    pub(in crate::writer) fn forget(&self) {
        let mut memory = self.lock();
        memory.fingerprints.clear();
        memory.value_count = 0;
    }

    /// Takes over what a committed batch knows.
    pub(in crate::writer) fn keep(&self, learned: Learned) {
        let mut memory = self.lock();
        for (fingerprint, values) in learned.0 {
            memory.value_count += values.count();
            if let Some(before) = memory.fingerprints.put(fingerprint, values) {
                memory.value_count -= before.count();
            }
        }
        while memory.value_count > REMEMBERED_MAX
            && let Some((_, values)) = memory.fingerprints.pop_lru()
        {
            memory.value_count -= values.count();
        }
    }
}

/// What a batch found out about the values of its fingerprints; true once the batch is committed.
#[derive(Debug, Default)]
pub(in crate::writer) struct Learned(HashMap<(i64, i64), Values>);

impl Values {
    /// What it takes to remember it, in values.
    fn count(&self) -> usize {
        1 + self.0.values().map(|values| values.len() + 1).sum::<usize>()
    }

    fn insert(&mut self, key: &str, value: &str) {
        self.0.entry(hash(key)).or_default().insert(hash(value));
    }

    /// Where a value is counted. One that is new and has a place is known from now on.
    fn place(&mut self, key: &str, value: &str) -> Place {
        let key_count = self.0.len();
        let always = matches!(key, "environment" | "release");
        let values = match self.0.entry(hash(key)) {
            std::collections::hash_map::Entry::Occupied(values) => values.into_mut(),
            std::collections::hash_map::Entry::Vacant(place) if always || key_count < KEYS_MAX => {
                place.insert(HashSet::new())
            }
            std::collections::hash_map::Entry::Vacant(_) => return Place::Nowhere,
        };
        if values.len() < VALUES_MAX {
            values.insert(hash(value));
            return Place::Own;
        }
        if values.contains(&hash(value)) { Place::Own } else { Place::Other }
    }
}

/// Where a value is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// In its own row.
    Own,
    /// In the row of the key for all that came too late.
    Other,
    /// Not at all: its key came too late.
    Nowhere,
}

fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

/// Counts the facets of a batch.
pub(super) async fn write(
    tx: &mut PgConnection,
    groups: &[FingerprintBatch],
    placed: &[Placed],
    live: LiveDays,
    remembered: &Remembered,
) -> Result<Learned, StoreError> {
    let mut learned = learn(tx, groups, placed, remembered).await?;
    let mut rows: BTreeMap<Row<'_>, FacetCount> = BTreeMap::new();
    for (group, place) in groups.iter().zip(placed) {
        let values = learned.0.entry((place.project_id, place.fingerprint_id)).or_default();
        for ((key, value), facet) in in_order(group) {
            let (is_other, value) = match values.place(key, value) {
                Place::Own => (false, value),
                Place::Other => (true, ""),
                Place::Nowhere => continue,
            };
            rows.entry((place.project_id, place.fingerprint_id, key, is_other, value))
                .and_modify(|counted| counted.add(facet))
                .or_insert(*facet);
        }
    }
    if !rows.is_empty() {
        upsert(tx, &rows, live).await?;
    }
    Ok(learned)
}

/// Project, fingerprint, key, whether it is the row for what came too late, value.
type Row<'a> = (i64, i64, &'a str, bool, &'a str);

/// The facets in the order in which they get their places: environment and release first, of each key the most frequent.
fn in_order(group: &FingerprintBatch) -> Vec<((&str, &str), &FacetCount)> {
    let mut facets: Vec<_> =
        group.facets.iter().map(|((key, value), facet)| ((key.as_str(), value.as_str()), facet)).collect();
    let is_late = |key: &str| !matches!(key, "environment" | "release");
    facets.sort_by_key(|((key, value), facet)| (is_late(key), *key, std::cmp::Reverse(facet.notice_count), *value));
    facets
}

/// What the fingerprints of a batch have: of new ones nothing, of others what is remembered or else in the database. Their
/// groups are locked, so that it stays so until the commit.
async fn learn(
    tx: &mut PgConnection,
    groups: &[FingerprintBatch],
    placed: &[Placed],
    remembered: &Remembered,
) -> Result<Learned, StoreError> {
    let mut learned = Learned::default();
    let (mut projects, mut fingerprints) = (Vec::new(), Vec::new());
    {
        let mut memory = remembered.lock();
        for (_, place) in groups.iter().zip(placed).filter(|(group, _)| !group.facets.is_empty()) {
            let fingerprint = (place.project_id, place.fingerprint_id);
            let known =
                if place.is_fresh { Some(Values::default()) } else { memory.fingerprints.get(&fingerprint).cloned() };
            if known.is_none() {
                projects.push(place.project_id);
                fingerprints.push(place.fingerprint_id);
            }
            learned.0.insert(fingerprint, known.unwrap_or_default());
        }
    }
    if !projects.is_empty() {
        let rows = sqlx::query_file!("queries/batch/facets_there.sql", &projects, &fingerprints).fetch_all(tx).await?;
        for row in rows {
            learned.0.entry((row.project_id, row.fingerprint_id)).or_default().insert(&row.key, &row.value);
        }
    }
    Ok(learned)
}

async fn upsert(tx: &mut PgConnection, rows: &BTreeMap<Row<'_>, FacetCount>, live: LiveDays) -> Result<(), StoreError> {
    let projects: Vec<i64> = rows.keys().map(|row| row.0).collect();
    let fingerprints: Vec<i64> = rows.keys().map(|row| row.1).collect();
    let keys: Vec<&str> = rows.keys().map(|row| row.2).collect();
    let others: Vec<bool> = rows.keys().map(|row| row.3).collect();
    let values: Vec<&str> = rows.keys().map(|row| row.4).collect();
    let counts: Vec<i64> = rows.values().map(|facet| signed(facet.notice_count)).collect();
    let first: Vec<OffsetDateTime> = rows.values().map(|facet| live.clamp(facet.first_at_us)).collect();
    let last: Vec<OffsetDateTime> = rows.values().map(|facet| live.clamp(facet.last_at_us)).collect();
    sqlx::query_file!(
        "queries/batch/facets.sql",
        &projects,
        &fingerprints,
        &keys as &[&str],
        &others,
        &values as &[&str],
        &counts,
        &first,
        &last,
    )
    .execute(tx)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_a_hundred_values_and_the_known_ones_stay() {
        let mut values = Values::default();
        values.insert("host", "web-1");
        let places: Vec<Place> = (0..120).map(|n| values.place("host", &format!("other-{n}"))).collect();
        assert!(places[..99].iter().all(|place| *place == Place::Own));
        assert!(places[99..].iter().all(|place| *place == Place::Other));
        assert_eq!(values.place("host", "web-1"), Place::Own);
        assert_eq!(values.place("host", "other-3"), Place::Own);
    }

    #[test]
    fn a_fingerprint_has_fifty_keys_and_room_for_environment_and_release() {
        let mut values = Values::default();
        let places: Vec<Place> = (0..60).map(|n| values.place(&format!("tag-{n}"), "x")).collect();
        assert!(places[..50].iter().all(|place| *place == Place::Own));
        assert!(places[50..].iter().all(|place| *place == Place::Nowhere));
        assert_eq!(values.place("release", "1.4.2"), Place::Own);
        assert_eq!(values.place("tag-3", "y"), Place::Own);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let remembered = Remembered::default();
        for fingerprint in 0..1_000 {
            let mut values = Values::default();
            (0..500).for_each(|n| values.insert(&format!("key-{}", n / 100), &n.to_string()));
            remembered.keep(Learned(HashMap::from([((1, fingerprint), values)])));
        }
        let memory = remembered.lock();
        assert!(memory.value_count <= REMEMBERED_MAX);
        let counted: usize = memory.fingerprints.iter().map(|(_, values)| values.count()).sum();
        assert_eq!(memory.value_count, counted);
        assert!(memory.fingerprints.contains(&(1, 999)) && !memory.fingerprints.contains(&(1, 0)));
    }
}
