//! What was read a moment ago.
//!
//! An entry is served as it is while fresh. A little older it is still served, and one request refreshes it behind the
//! others' backs. Older than that it is read anew, once, however many ask. So a thousand viewers of one project cost
//! the database two reads a second, and nobody sees anything that is older than [`STALE_MAX`].
//!
//! Nothing here knows who is looking: whoever asks has checked that the viewer may see what the key names.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use moka::future::Cache;
use moka::ops::compute::{CompResult, Op};

/// Served without a second thought up to this age.
pub(crate) const FRESH_MAX: Duration = Duration::from_millis(400);
/// Served while somebody refreshes it up to this age.
pub(crate) const STALE_MAX: Duration = Duration::from_millis(1_200);
/// Entries that nobody asks for go after this time.
const IDLE_MAX: Duration = Duration::from_secs(30);

/// A cache of one kind of thing, by key. Cheap to clone.
#[derive(Clone)]
pub(crate) struct ReadCache<V: Send + Sync + 'static> {
    entries: Cache<String, Arc<Entry<V>>>,
    name: &'static str,
}

struct Entry<V> {
    value: Arc<V>,
    read_at: Instant,
    is_refreshing: AtomicBool,
}

impl<V: Send + Sync + 'static> ReadCache<V> {
    /// A cache that holds at most `bytes_max`, by what `bytes` says of each value.
    pub(crate) fn new(name: &'static str, bytes_max: u64, bytes: fn(&V) -> usize) -> ReadCache<V> {
        let entries = Cache::builder()
            .max_capacity(bytes_max)
            .weigher(move |key: &String, entry: &Arc<Entry<V>>| {
                u32::try_from(key.len() + 200 + bytes(&entry.value)).unwrap_or(u32::MAX)
            })
            .time_to_idle(IDLE_MAX)
            .build();
        ReadCache { entries, name }
    }

    /// The value of a key, read by `read` when what is there is too old or was read before `not_before`. What `read`
    /// does not find is not kept.
    pub(crate) async fn get<E, F>(
        &self,
        key: impl Into<String>,
        not_before: Option<Instant>,
        read: impl FnOnce() -> F,
    ) -> Result<Option<Arc<V>>, E>
    where
        E: Send + Sync + 'static,
        F: Future<Output = Result<Option<V>, E>> + Send + 'static,
    {
        let key = key.into();
        if let Some(entry) = self.entries.get(&key).await {
            let age = entry.read_at.elapsed();
            if not_before.is_none_or(|at| entry.read_at >= at) && age < STALE_MAX {
                if age >= FRESH_MAX && !entry.is_refreshing.swap(true, Ordering::Relaxed) {
                    self.refresh(key, Arc::clone(&entry), read());
                }
                metrics::counter!("web_cache_reads_total", "cache" => self.name, "found" => "yes").increment(1);
                return Ok(Some(Arc::clone(&entry.value)));
            }
        }
        metrics::counter!("web_cache_reads_total", "cache" => self.name, "found" => "no").increment(1);
        let asked_at = Instant::now();
        let read = read();
        let outcome = self
            .entries
            .entry(key)
            .and_try_compute_with(|present| async move {
                // Whoever waited for another's read takes its result, if that read began late enough: not before one's own
                // change, and neither long before one asked.
                let fresh = asked_at.checked_sub(FRESH_MAX).unwrap_or(asked_at);
                let needed = not_before.map_or(fresh, |at| at.max(fresh));
                if present.is_some_and(|present| present.value().read_at >= needed) {
                    return Ok(Op::Nop);
                }
                let read_at = Instant::now();
                Ok(match read.await? {
                    Some(value) => Op::Put(Arc::new(Entry {
                        value: Arc::new(value),
                        read_at,
                        is_refreshing: AtomicBool::new(false),
                    })),
                    None => Op::Remove,
                })
            })
            .await?;
        Ok(match outcome {
            CompResult::Inserted(entry) | CompResult::ReplacedWith(entry) | CompResult::Unchanged(entry) => {
                Some(Arc::clone(&entry.value().value))
            }
            CompResult::StillNone(_) | CompResult::Removed(_) => None,
        })
    }

    fn refresh<E, F>(&self, key: String, old: Arc<Entry<V>>, read: F)
    where
        E: Send + Sync + 'static,
        F: Future<Output = Result<Option<V>, E>> + Send + 'static,
    {
        let entries = self.entries.clone();
        tokio::spawn(async move {
            let read_at = Instant::now();
            match read.await {
                Ok(Some(value)) => {
                    let value = Arc::new(value);
                    entries
                        .insert(key, Arc::new(Entry { value, read_at, is_refreshing: AtomicBool::new(false) }))
                        .await;
                }
                Ok(None) => entries.invalidate(&key).await,
                // The next request after its time reads for itself, and meets the error.
                Err(_) => old.is_refreshing.store(false, Ordering::Relaxed),
            }
        });
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]
    use std::sync::atomic::AtomicUsize;

    use super::*;

    fn cache() -> ReadCache<usize> {
        ReadCache::new("test", 1 << 20, |_| 8)
    }

    async fn get(cache: &ReadCache<usize>, reads: &Arc<AtomicUsize>, not_before: Option<Instant>) -> usize {
        let reads = Arc::clone(reads);
        let value = cache.get::<(), _>("key", not_before, || async move {
            tokio::time::sleep(Duration::from_millis(20)).await;
            Ok(Some(reads.fetch_add(1, Ordering::SeqCst) + 1))
        });
        *value.await.unwrap().unwrap()
    }

    #[tokio::test]
    async fn many_who_ask_at_once_cost_one_read() {
        let (cache, reads) = (cache(), Arc::new(AtomicUsize::new(0)));
        let mut asking = tokio::task::JoinSet::new();
        for _ in 0..50 {
            let (cache, reads) = (cache.clone(), Arc::clone(&reads));
            asking.spawn(async move { get(&cache, &reads, None).await });
        }
        assert_eq!(asking.join_all().await, [1; 50]);
    }

    #[tokio::test]
    async fn a_stale_value_is_served_while_one_refreshes_it() {
        let (cache, reads) = (cache(), Arc::new(AtomicUsize::new(0)));
        assert_eq!(get(&cache, &reads, None).await, 1);
        tokio::time::sleep(FRESH_MAX + Duration::from_millis(20)).await;
        assert_eq!(get(&cache, &reads, None).await, 1);
        assert_eq!(get(&cache, &reads, None).await, 1);
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(get(&cache, &reads, None).await, 2);
        assert_eq!(reads.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn what_is_older_than_a_viewers_own_change_is_passed_over() {
        let (cache, reads) = (cache(), Arc::new(AtomicUsize::new(0)));
        assert_eq!(get(&cache, &reads, None).await, 1);
        let changed_at = Instant::now();
        assert_eq!(get(&cache, &reads, Some(changed_at)).await, 2);
        assert_eq!(get(&cache, &reads, Some(changed_at)).await, 2);
    }

    #[tokio::test]
    async fn what_was_read_after_a_viewers_own_change_grows_old_as_well() {
        let (cache, reads) = (cache(), Arc::new(AtomicUsize::new(0)));
        let changed_at = Instant::now();
        assert_eq!(get(&cache, &reads, Some(changed_at)).await, 1);
        tokio::time::sleep(STALE_MAX + Duration::from_millis(20)).await;
        assert_eq!(get(&cache, &reads, Some(changed_at)).await, 2);
    }

    #[tokio::test]
    async fn what_is_not_found_is_asked_again() {
        let cache = cache();
        let missing = cache.get::<(), _>("key", None, || async { Ok(None) }).await.unwrap();
        assert!(missing.is_none());
        assert_eq!(*cache.get::<(), _>("key", None, || async { Ok(Some(7)) }).await.unwrap().unwrap(), 7);
    }

    #[tokio::test]
    async fn an_error_is_told_and_not_kept() {
        let cache = cache();
        assert!(cache.get::<&str, _>("key", None, || async { Err("gone") }).await.is_err());
        assert!(cache.get::<&str, _>("key", None, || async { Ok(Some(1)) }).await.is_ok());
    }
}
