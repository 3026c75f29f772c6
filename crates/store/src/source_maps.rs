//! Source maps that were uploaded: found for the scripts of a notice, read, kept a while, and put into its frames.
//!
//! Whoever folds and whoever shows use the same: what a group is called and what stands on the page of a notice come from one place.
//! A map is looked for by the debug id that the client says of the script, else by release (and build) and address.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lru::LruCache;
use notice::Notice;
use source_map::{BYTES_MAX, Resolver, SourceMap, address};
pub use source_map::{Fate, Minified, Resolution, Script, is_javascript};
use sqlx::PgPool;
use tokio::sync::Semaphore;
use uuid::Uuid;

/// Most memory for maps that are kept, in bytes; a single one may take more, as far as its own limits let it.
const KEPT_BYTES_MAX: usize = 64 << 20;

/// How many answers to the question where a script's map lies are kept; each is some hundred bytes.
const PLACES_MAX: NonZeroUsize = NonZeroUsize::new(4_000).expect("not zero");

/// How long it is believed which projects have artifacts, and whether there are new ones.
const FRESH: Duration = Duration::from_millis(500);

/// Maps that are read at once. Reading takes several times the room of what is kept.
const READS_MAX: usize = 1;

/// The newest bundle of each project that has any.
pub type NewestBundles = HashMap<i64, i64>;

/// The maps of all projects, as far as they are needed.
#[derive(Debug)]
pub struct SourceMaps {
    newest: Mutex<Option<(Arc<NewestBundles>, Instant)>>,
    places: Mutex<LruCache<Wanted, Arc<Place>>>,
    kept: Mutex<Kept>,
    reads: Semaphore,
}

impl Default for SourceMaps {
    fn default() -> Self {
        SourceMaps {
            newest: Mutex::default(),
            places: Mutex::new(LruCache::new(PLACES_MAX)),
            kept: Mutex::new(Kept::new(KEPT_BYTES_MAX)),
            reads: Semaphore::new(READS_MAX),
        }
    }
}

/// A script of a notice. `bundle` is the newest of the project: what was not found is looked for again when there is a newer one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Wanted {
    project_id: i64,
    bundle: i64,
    release: Option<String>,
    dist: Option<String>,
    script: Script,
}

/// Where the map of a script lies.
#[derive(Debug)]
enum Place {
    Found {
        files: Files,
        name: String,
        by: &'static str,
    },
    /// Nowhere; why.
    Nowhere(String),
}

/// A map, and the script that it belongs to, by their SHA-256.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Files {
    map: Vec<u8>,
    script: Option<Vec<u8>>,
}

/// Maps that were read, or why they cannot be.
#[derive(Debug)]
struct Kept {
    maps: LruCache<Files, (Readable, usize)>,
    bytes: usize,
    bytes_max: usize,
}

type Readable = Result<Arc<SourceMap>, Arc<str>>;

impl Kept {
    fn new(bytes_max: usize) -> Kept {
        Kept { maps: LruCache::unbounded(), bytes: 0, bytes_max }
    }

    /// Keeps a map, and lets those go that were not asked for longest. The newest stays, whatever it takes: without that each
    /// notice of a great script would have its map read anew.
    fn put(&mut self, files: Files, map: &Readable) {
        let bytes = map.as_ref().map_or(200, |map| map.bytes());
        self.bytes += bytes;
        if let Some((_, (_, old_bytes))) = self.maps.push(files, (map.clone(), bytes)) {
            self.bytes -= old_bytes;
        }
        while self.bytes > self.bytes_max
            && self.maps.len() > 1
            && let Some((_, (_, bytes))) = self.maps.pop_lru()
        {
            self.bytes -= bytes;
        }
    }
}

impl SourceMaps {
    /// Which projects have artifacts, at most five seconds old.
    pub(crate) async fn newest(&self, pool: &PgPool) -> Result<Arc<NewestBundles>, sqlx::Error> {
        if let Some((newest, at)) = &*locked(&self.newest)
            && at.elapsed() < FRESH
        {
            return Ok(Arc::clone(newest));
        }
        let rows = sqlx::query!(r#"select project_id, max(id) as "id!" from artifact_bundle group by project_id"#)
            .fetch_all(pool)
            .await?;
        let newest: Arc<NewestBundles> = Arc::new(rows.into_iter().map(|row| (row.project_id, row.id)).collect());
        *locked(&self.newest) = Some((Arc::clone(&newest), Instant::now()));
        Ok(newest)
    }

    /// The notice with its frames resolved, as far as there are maps. `None` beside it if there is nothing to say: it has no
    /// frames of scripts, or the project has no artifacts.
    pub(crate) async fn resolve(
        &self,
        pool: &PgPool,
        project_id: i64,
        notice: Notice,
    ) -> Result<(Notice, Option<Resolution>), sqlx::Error> {
        if !is_javascript(&notice) {
            return Ok((notice, None));
        }
        let Some(bundle) = self.newest(pool).await?.get(&project_id).copied() else { return Ok((notice, None)) };
        let (release, dist) = (sendable(notice.release.as_deref()), sendable(notice.dist.as_deref()));
        let mut resolver = Resolver::new(notice);
        for script in resolver.scripts() {
            let wanted =
                Wanted { project_id, bundle, release: release.clone(), dist: dist.clone(), script: script.clone() };
            match &*self.place(pool, wanted).await? {
                Place::Nowhere(problem) => resolver.lacks(script, problem.clone()),
                Place::Found { files, name, by } => match self.read(pool, files).await? {
                    Ok(map) => resolver.apply(script, &map, name, by),
                    Err(reason) => resolver.cannot_read(script, name, by, &reason),
                },
            }
        }
        let (notice, resolution) = resolver.finish();
        Ok((notice, Some(resolution)))
    }

    async fn place(&self, pool: &PgPool, wanted: Wanted) -> Result<Arc<Place>, sqlx::Error> {
        if let Some(place) = locked(&self.places).get(&wanted) {
            return Ok(Arc::clone(place));
        }
        let place = Arc::new(find(pool, &wanted).await?);
        locked(&self.places).put(wanted, Arc::clone(&place));
        Ok(place)
    }

    /// The map, read now or before. The inner error is what is wrong with it.
    async fn read(&self, pool: &PgPool, files: &Files) -> Result<Readable, sqlx::Error> {
        if let Some((map, _)) = locked(&self.kept).maps.get(files) {
            return Ok(map.clone());
        }
        let _permit = self.reads.acquire().await.expect("it is never closed");
        // Whoever waited may find what the one before has read.
        if let Some((map, _)) = locked(&self.kept).maps.get(files) {
            return Ok(map.clone());
        }
        let map = match blob(pool, &files.map).await? {
            Err(reason) => Err(Arc::from(reason)),
            Ok(map) => {
                let script = match &files.script {
                    Some(script) => blob(pool, script).await?.ok(),
                    None => None,
                };
                // It takes up to a second of one core: not among the tasks that wait.
                let reading = move || catch_unwind(AssertUnwindSafe(|| SourceMap::read(&map, script.as_deref())));
                match tokio::task::spawn_blocking(reading).await {
                    Ok(Ok(Ok(map))) => Ok(Arc::new(map)),
                    Ok(Ok(Err(bad))) => Err(Arc::from(bad.to_string())),
                    Ok(Err(_)) | Err(_) => Err(Arc::from("reading it failed")),
                }
            }
        };
        locked(&self.kept).put(files.clone(), &map);
        Ok(map)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The text, unless it is empty or nothing that the database can hold.
fn sendable(text: Option<&str>) -> Option<String> {
    text.filter(|text| !text.is_empty() && !text.contains('\0')).map(str::to_owned)
}

async fn find(pool: &PgPool, wanted: &Wanted) -> Result<Place, sqlx::Error> {
    let script = &wanted.script;
    if let Some(debug_id) = script.debug_id
        && let Some(place) = find_by_debug_id(pool, wanted.project_id, debug_id).await?
    {
        return Ok(place);
    }
    let no_debug_id = match script.debug_id {
        Some(debug_id) => format!("no source map with debug id {debug_id} was uploaded"),
        None => "the client says no debug id".to_owned(),
    };
    let Some(release) = &wanted.release else {
        return Ok(Place::Nowhere(format!("{no_debug_id}, and the notice has no release")));
    };
    let names: Vec<String> = address::names(&script.file).into_iter().filter(|name| !name.contains('\0')).collect();
    let minified = find_by_name(pool, wanted, release, "minified_source", &names).await?;
    let (map_name, is_told) = match &minified {
        Some(minified) => {
            let url = minified.url.as_deref().unwrap_or(&script.file);
            match minified.source_map_url.as_deref().filter(|reference| !reference.is_empty()) {
                Some(reference) => match address::of_map(url, reference) {
                    Some(name) => (name, true),
                    None => {
                        return Ok(Place::Nowhere(format!(
                            "{url} of release {release} has its map inside, not beside it"
                        )));
                    }
                },
                None => (format!("{url}.map"), false),
            }
        }
        None => match names.last() {
            Some(name) => (format!("{name}.map"), false),
            None => return Ok(Place::Nowhere(no_debug_id)),
        },
    };
    if let Some(map) = find_by_name(pool, wanted, release, "source_map", &address::names(&map_name)).await? {
        let name = map.url.unwrap_or(map_name);
        let files = Files { map: map.sha256, script: minified.map(|minified| minified.sha256) };
        return Ok(Place::Found { files, name, by: "release" });
    }
    let dist = wanted.dist.as_deref().map(|dist| format!(" (build {dist})")).unwrap_or_default();
    let problem = match minified {
        None => format!("{no_debug_id}, and release {release}{dist} has no artifact {}", names.join(" or ")),
        Some(_) if is_told => {
            format!("{no_debug_id}, and release {release}{dist} has the script, but not its source map {map_name}")
        }
        Some(_) => format!(
            "{no_debug_id}, and in release {release}{dist} the script names no source map, nor is there {map_name}"
        ),
    };
    Ok(Place::Nowhere(problem))
}

async fn find_by_debug_id(pool: &PgPool, project_id: i64, debug_id: Uuid) -> Result<Option<Place>, sqlx::Error> {
    let newest = async |kind: &str| {
        sqlx::query!(
            "select url, sha256 from artifact where project_id = $1 and debug_id = $2 and kind = $3 order by id desc limit 1",
            project_id,
            debug_id,
            kind
        )
        .fetch_optional(pool)
        .await
    };
    let Some(map) = newest("source_map").await? else { return Ok(None) };
    let script = newest("minified_source").await?.map(|script| script.sha256);
    let name = map.url.unwrap_or_else(|| format!("with debug id {debug_id}"));
    Ok(Some(Place::Found { files: Files { map: map.sha256, script }, name, by: "debug id" }))
}

struct Artifact {
    url: Option<String>,
    source_map_url: Option<String>,
    sha256: Vec<u8>,
}

async fn find_by_name(
    pool: &PgPool,
    wanted: &Wanted,
    release: &str,
    kind: &str,
    names: &[String],
) -> Result<Option<Artifact>, sqlx::Error> {
    sqlx::query_file_as!(
        Artifact,
        "queries/find_artifact.sql",
        wanted.project_id,
        release,
        wanted.dist.as_deref(),
        kind,
        names
    )
    .fetch_optional(pool)
    .await
}

/// The bytes of a file. The inner error is why it cannot be used.
async fn blob(pool: &PgPool, sha256: &[u8]) -> Result<Result<Vec<u8>, String>, sqlx::Error> {
    let bytes_max = BYTES_MAX as i64;
    let row = sqlx::query!(
        r#"select byte_count, codec, case when byte_count <= $2 then body end as body from artifact_blob where sha256 = $1"#,
        sha256,
        bytes_max
    )
    .fetch_optional(pool)
    .await?;
    let Some(row) = row else { return Ok(Err("its bytes are gone".to_owned())) };
    let Some(body) = row.body else { return Ok(Err(source_map::BadMap::TooLong.to_string())) };
    let byte_count = usize::try_from(row.byte_count).unwrap_or_default();
    Ok(match row.codec {
        0 => Ok(body),
        1 => zstd::bulk::decompress(&body, byte_count).map_err(|error| format!("it cannot be unpacked: {error}")),
        codec => Err(format!("it is packed in a way that is not known ({codec})")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_that_were_not_asked_for_longest_go_and_the_newest_stays() {
        let map = |source: &str| -> Readable {
            let json = format!(r#"{{"version":3,"sources":["a"],"sourcesContent":["{source}"],"mappings":"AAAA"}}"#);
            Ok(Arc::new(SourceMap::read(json.as_bytes(), None).expect("it is a map")))
        };
        let files = |n: u8| Files { map: vec![n; 32], script: None };
        let numbers = |kept: &Kept| kept.maps.iter().map(|(files, _)| files.map[0]).collect::<Vec<_>>();
        let small = map("a");
        let size = small.as_ref().map_or(0, |map| map.bytes());
        let mut kept = Kept::new(2 * size);
        for n in [1, 2, 2, 1, 3] {
            kept.put(files(n), &small);
        }
        assert_eq!((numbers(&kept), kept.bytes), (vec![3, 1], 2 * size));
        let great = map(&"a".repeat(3 * size));
        kept.put(files(4), &great);
        assert_eq!(numbers(&kept), [4]);
        kept.put(files(5), &Err(Arc::from("damaged")));
        assert_eq!((numbers(&kept), kept.bytes), (vec![5], 200));
    }
}
