//! How long acknowledged segments stay: the database may still forget what it said to have committed.

use std::io::{self, ErrorKind};
use std::time::Instant;

use uuid::Uuid;

use crate::segment::Segment;
use crate::state::Shared;

/// Segments that must fit on the disk before another one is begun.
const FREE_SEGMENTS_MIN: u64 = 2;

/// A segment that could go.
struct Kept {
    journal: Uuid,
    segment: u64,
    acked_since: Instant,
    is_confirmed: bool,
    disk_bytes: u64,
}

impl Shared {
    /// Deletes what was acknowledged long enough ago, and the oldest of what is too much to keep.
    pub(crate) fn let_go(&self) {
        let keep_bytes_max = self.options.keep_bytes_max.min(self.bytes_max / 2);
        let mut kept = self.acknowledged_segments();
        kept.retain(|kept| {
            if kept.is_confirmed {
                self.delete(kept.journal, kept.segment);
            }
            !kept.is_confirmed
        });
        let mut kept_bytes: u64 = kept.iter().map(|kept| kept.disk_bytes).sum();
        for kept in kept {
            if kept_bytes <= keep_bytes_max {
                break;
            }
            kept_bytes -= kept.disk_bytes;
            self.delete(kept.journal, kept.segment);
        }
    }

    /// Makes sure that a segment fits on the disk and one more; acknowledged ones give way.
    pub(crate) fn make_room(&self) -> io::Result<()> {
        let needed = FREE_SEGMENTS_MIN * self.options.segment_bytes;
        let mut kept = self.acknowledged_segments().into_iter();
        while self.free_disk_bytes()? < needed {
            let Some(oldest) = kept.next() else { return Err(ErrorKind::StorageFull.into()) };
            self.delete(oldest.journal, oldest.segment);
        }
        Ok(())
    }

    /// Segments of which everything was acknowledged, the longest ago first.
    fn acknowledged_segments(&self) -> Vec<Kept> {
        let state = self.state();
        let mut kept = Vec::new();
        for (journal, volume) in &state.volumes {
            for (number, segment) in volume.segments.iter().filter(|(_, segment)| segment.is_sealed) {
                if let Some(acked_since) = segment.acked_since {
                    kept.push(Kept {
                        journal: *journal,
                        segment: *number,
                        acked_since,
                        is_confirmed: volume.is_confirmed(segment, self.options.keep),
                        disk_bytes: segment.disk_bytes,
                    });
                }
            }
        }
        kept.sort_by_key(|kept| (kept.acked_since, kept.segment));
        kept
    }

    /// Deletes a segment, unless a watermark has gone down in this moment.
    fn delete(&self, journal: Uuid, number: u64) {
        let mut state = self.state();
        let Some(volume) = state.volumes.get_mut(&journal) else { return };
        if volume.segments.get(&number).is_none_or(|segment| segment.acked_since.is_none()) {
            return;
        }
        if let Some(segment) = volume.segments.remove(&number) {
            segment.delete_file();
        }
        if volume.segments.is_empty() && journal != self.own {
            state.volumes.remove(&journal);
        }
    }

    pub(crate) fn free_disk_bytes(&self) -> io::Result<u64> {
        let disk = rustix::fs::fstatvfs(self.dir_lock.file())?;
        Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
    }
}

impl Segment {
    /// If the file comes back after a crash it is sent again, which is harmless.
    pub(crate) fn delete_file(&self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::warn!(error = %error, path = %self.path.display(), "a journal segment cannot be deleted");
        }
    }
}
