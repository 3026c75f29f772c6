//! The order of a project's releases: a release gets its place when its first notice is written, or when a build tool creates it.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};

use lru::LruCache;
use sqlx::PgConnection;

use crate::batch::FingerprintBatch;
use crate::error::StoreError;

/// Releases that are remembered to have a place: a few megabytes.
const REMEMBERED_MAX: usize = 20_000;

/// The facet that says of which release a notice is.
const RELEASE: &str = "release";

/// The releases that have a place, as far as this process knows. A batch whose releases are all known costs the database nothing.
#[derive(Debug)]
pub(in crate::writer) struct Placed(Mutex<LruCache<(i64, String), ()>>);

impl Default for Placed {
    fn default() -> Self {
        Self(Mutex::new(LruCache::unbounded()))
    }
}

impl Placed {
    /// Takes over what a committed batch has made sure of.
    pub(in crate::writer) fn keep(&self, releases: New) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for release in releases.0 {
            known.put(release, ());
        }
        while known.len() > REMEMBERED_MAX {
            known.pop_lru();
        }
    }

    /// Forgets all: the database was set back and lacks some of them.
    pub(in crate::writer) fn forget(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn unknown(&self, releases: BTreeSet<(i64, String)>) -> BTreeSet<(i64, String)> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        releases.into_iter().filter(|release| known.get(release).is_none()).collect()
    }
}

/// Releases that have a place once the batch is committed.
#[derive(Debug, Default)]
pub(in crate::writer) struct New(BTreeSet<(i64, String)>);

/// Makes sure that all releases of a batch have a place. Before any group is locked: who waits here for another batch with the same
/// new release holds nothing that it could wait for.
pub(super) async fn write(
    tx: &mut PgConnection,
    groups: &[FingerprintBatch],
    placed: &Placed,
) -> Result<New, StoreError> {
    let releases = groups.iter().flat_map(|group| of(group).map(|version| (group.project_id, version.to_owned())));
    let new = placed.unknown(releases.collect());
    if !new.is_empty() {
        let (projects, versions): (Vec<i64>, Vec<String>) = new.iter().cloned().unzip();
        sqlx::query_file!("queries/batch/releases.sql", &projects, &versions).execute(tx).await?;
    }
    Ok(New(new))
}

/// The places of the releases of some fingerprints of a batch. All have one since [`write`], unless the database was set back since this
/// process saw that: then the batch is written again, and gives them new ones.
pub(super) async fn places(
    tx: &mut PgConnection,
    groups: &[&FingerprintBatch],
) -> Result<HashMap<(i64, String), i64>, StoreError> {
    let releases = groups.iter().flat_map(|group| of(group).map(|version| (group.project_id, version.to_owned())));
    let wanted: BTreeSet<(i64, String)> = releases.collect();
    let (projects, versions): (Vec<i64>, Vec<String>) = wanted.iter().cloned().unzip();
    let rows = sqlx::query!(
        "select r.project_id, r.version, r.place
         from unnest($1::bigint[], $2::text[]) as given (project_id, version)
         join project_release r on r.project_id = given.project_id and r.version = given.version",
        &projects,
        &versions
    )
    .fetch_all(tx)
    .await?;
    if rows.len() < wanted.len() {
        return Err(StoreError::PlacesLost);
    }
    Ok(rows.into_iter().map(|row| ((row.project_id, row.version), row.place)).collect())
}

/// The releases of the notices of a fingerprint.
pub(super) fn of(group: &FingerprintBatch) -> impl Iterator<Item = &str> {
    group.facets.keys().filter(|(key, _)| key == RELEASE).map(|(_, version)| version.as_str())
}
