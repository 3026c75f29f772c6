//! Compaction: merging the small chunks of stretches of time that are over, a little at a time.
//!
//! The housekeeper has other things to do several times a second, so that each look works for a moment and goes on with the next.

use std::time::Duration;

use store::compaction::{Compaction, Merged, Step};
use store::housekeeper::Housekeeper;
use store::{ErrorClass, StoreError};
use tokio::time::Instant;

/// Pause between looks at whether a stretch is over, and after the database refused something.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// What one look may take, give or take a merge.
const SLICE: Duration = Duration::from_millis(50);

/// Says what each metric tells.
pub(crate) fn describe() {
    use metrics::describe_counter;
    describe_counter!("worker_chunks_merged_total", "Chunks that are no more because others took their notices in.");
    describe_counter!("worker_chunk_bytes_saved_total", "Bytes that bodies take less since their chunks were merged.");
}

/// When to look next, and what is in hand.
pub(crate) struct Compacting {
    after: Duration,
    next_look: Instant,
    at_work: Option<AtWork>,
}

/// One stretch, and what was done for it so far.
struct AtWork {
    compaction: Compaction,
    began_at: Instant,
    merged: Merged,
}

impl Compacting {
    /// Begins with a look. A stretch is left alone until it has been over for `after`.
    pub(crate) fn new(after: Duration) -> Self {
        Self { after, next_look: Instant::now(), at_work: None }
    }

    /// Works for a moment when there is something to do.
    pub(crate) async fn look(&mut self, housekeeper: &mut Housekeeper) -> Result<(), StoreError> {
        if Instant::now() < self.next_look {
            return Ok(());
        }
        match self.work(housekeeper).await {
            // The same again would meet the same: the rest of the house is kept meanwhile.
            Err(error) if matches!(error.class(), ErrorClass::Retry | ErrorClass::Refused) => {
                tracing::warn!(error = service::causes(&error), "chunks are not merged");
                *self = Self { next_look: Instant::now() + LOOK_EVERY, ..Self::new(self.after) };
                Ok(())
            }
            worked => worked,
        }
    }

    async fn work(&mut self, housekeeper: &mut Housekeeper) -> Result<(), StoreError> {
        let began_at = Instant::now();
        let at_work = match &mut self.at_work {
            Some(at_work) => at_work,
            None => match housekeeper.compaction(self.after).await? {
                Some(compaction) => self.at_work.insert(AtWork { compaction, began_at, merged: Merged::default() }),
                None => {
                    self.next_look = began_at + LOOK_EVERY;
                    return Ok(());
                }
            },
        };
        while began_at.elapsed() < SLICE {
            match at_work.compaction.step(housekeeper).await? {
                Step::Looked => {}
                Step::Merged(merged) => at_work.add(merged),
                Step::Done => {
                    at_work.tell();
                    self.at_work = None;
                    break;
                }
            }
        }
        Ok(())
    }
}

impl AtWork {
    fn add(&mut self, merged: Merged) {
        metrics::counter!("worker_chunks_merged_total").increment(merged.chunk_count);
        metrics::counter!("worker_chunk_bytes_saved_total").increment(merged.bytes);
        self.merged.chunk_count += merged.chunk_count;
        self.merged.bytes += merged.bytes;
    }

    fn tell(&self) {
        if self.merged.chunk_count > 0 {
            tracing::info!(
                from = %self.compaction.from(),
                chunks = self.merged.chunk_count,
                bytes = self.merged.bytes,
                took_ms = u64::try_from(self.began_at.elapsed().as_millis()).unwrap_or(u64::MAX),
                "chunks merged"
            );
        }
    }
}
