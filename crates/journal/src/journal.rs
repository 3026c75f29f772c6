//! The handle that appends, and tells what may be forgotten.

use std::collections::BTreeMap;
use std::fs::{DirBuilder, File, Permissions};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use rustix::fs::FlockOperation;
use tokio::sync::{oneshot, watch};
use uuid::Uuid;

use crate::frame::Mark;
use crate::segment::{Segment, parse_file_name};
use crate::state::{Append, AppendedRecord, Shared, State, Waiting};
use crate::volume::Volume;
use crate::writer::{Writer, append_bytes_max, framed_bytes};
use crate::{AppendError, Draft, JournalOptions, LANES_MAX, OpenError, RECORD_BYTES_MAX, Source, Status};

/// The cap where none was set.
const BYTES_MAX: u64 = 8 * 1024 * 1024 * 1024;

/// The part of the free disk that the cap takes where none was set.
const DISK_PART: u64 = 5;

/// A project may have this part of the cap once the journal is half full.
const PROJECT_PART: u64 = 4;

/// A journal directory, locked for this process.
///
/// Handles are cheap to clone. When the last one is gone the journal is closed.
#[derive(Clone)]
pub struct Journal {
    shared: Arc<Shared>,
    finished: watch::Receiver<bool>,
    _closer: Arc<Closer>,
}

/// Closes the journal when it is dropped.
struct Closer(Arc<Shared>);

impl Drop for Closer {
    fn drop(&mut self) {
        self.0.waiting().is_closed = true;
        self.0.wake_writer.notify_one();
    }
}

impl Journal {
    /// Locks the directory, begins a journal of its own in it, and finds those of earlier processes.
    ///
    /// Blocks while it reads: of each older segment its footer, and whole segments that a crash left without one.
    pub fn open(dir: &Path, options: JournalOptions) -> Result<Journal, OpenError> {
        check(&options)?;
        let dir_lock = lock(dir)?;
        let mut state = State::default();
        let disk_bytes = load(dir, &mut state)?;
        let own = Uuid::now_v7();
        state.volumes.insert(own, Volume::default());

        let mut shared = Shared {
            dir: dir.to_owned(),
            dir_lock,
            bytes_max: BYTES_MAX,
            own,
            unacked_bytes: AtomicU64::new(state.unacked_bytes()),
            state: state.into(),
            waiting: Waiting::default().into(),
            wake_writer: Default::default(),
            appended: Default::default(),
            options,
        };
        shared.bytes_max = match shared.options.bytes_max {
            Some(bytes_max) => bytes_max,
            None => {
                let free = shared.free_disk_bytes().map_err(OpenError::io(dir))?;
                BYTES_MAX.min((free + disk_bytes) / DISK_PART)
            }
        };
        let shared = Arc::new(shared);
        let writer = Writer::begin(shared.clone()).map_err(OpenError::io(dir))?;
        let (finish, finished) = watch::channel(false);
        std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || writer.run(&finish))
            .map_err(OpenError::io(dir))?;
        Ok(Journal { _closer: Arc::new(Closer(shared.clone())), shared, finished })
    }

    /// The id of this process's own journal.
    pub fn id(&self) -> Uuid {
        self.shared.own
    }

    /// Makes records durable, all or none of them; returns after fdatasync.
    ///
    /// Dropping the future does not take the records back: they are written and sent, and only nobody is told.
    pub async fn append(&self, drafts: Vec<Draft>) -> Result<(), AppendError> {
        if drafts.is_empty() {
            return Ok(());
        }
        let append = self.prepare(&drafts)?;
        let (answer, answered) = oneshot::channel();
        self.admit(append.0, append.1, answer, &drafts)?;
        answered.await.unwrap_or(Err(AppendError::Closed))
    }

    /// Encodes drafts, and refuses those that could never be kept.
    fn prepare(&self, drafts: &[Draft]) -> Result<(Vec<u8>, Vec<AppendedRecord>), AppendError> {
        let options = &self.shared.options;
        if let Some(draft) = drafts.iter().find(|draft| draft.lane >= options.lane_count) {
            return Err(AppendError::NoSuchLane(draft.lane));
        }
        let bytes: usize = drafts.iter().map(|draft| framed_bytes(draft.record_bytes())).sum();
        let bytes_max = append_bytes_max(options.segment_bytes, drafts.len(), usize::from(options.lane_count));
        if bytes as u64 > bytes_max || drafts.iter().any(|draft| draft.record_bytes() > RECORD_BYTES_MAX) {
            return Err(AppendError::TooLarge);
        }
        let mark = Mark::of(self.shared.own);
        let mut out = Vec::with_capacity(bytes);
        let mut records = Vec::with_capacity(drafts.len());
        for (draft, following) in drafts.iter().zip((0..drafts.len()).rev()) {
            mark.encode_frame(u32::try_from(following).unwrap_or(u32::MAX), &mut out);
            let record = AppendedRecord {
                lane: draft.lane,
                project_id: draft.project_id,
                at: out.len(),
                bytes: draft.record_bytes(),
            };
            draft.encode_unnumbered(&mut out);
            records.push(record);
        }
        Ok((out, records))
    }

    /// Lets an append wait for the disk, or says why it may not.
    fn admit(
        &self,
        bytes: Vec<u8>,
        records: Vec<AppendedRecord>,
        answer: oneshot::Sender<Result<(), AppendError>>,
        drafts: &[Draft],
    ) -> Result<(), AppendError> {
        let shared = &self.shared;
        let unacked = shared.unacked_bytes.load(Ordering::Acquire);
        if unacked > shared.bytes_max / 2 {
            let mut state = shared.state();
            let share = shared.bytes_max / PROJECT_PART;
            if drafts.iter().any(|draft| state.project_unacked_bytes(draft.project_id) > share) {
                return Err(AppendError::ProjectShare);
            }
        }
        let mut waiting = shared.waiting();
        if waiting.is_closed {
            return Err(AppendError::Closed);
        }
        let now = Instant::now();
        let added = bytes.len() as u64;
        if waiting.no_room_until.is_some_and(|until| now < until) || unacked + waiting.bytes + added > shared.bytes_max
        {
            return Err(AppendError::Full);
        }
        let is_slow = waiting.oldest().is_some_and(|since| now.duration_since(since) > shared.options.waiting_max);
        if is_slow || waiting.bytes + added > shared.options.waiting_bytes_max {
            return Err(AppendError::Overloaded);
        }
        waiting.bytes += added;
        waiting.appends.push_back(Append { bytes, records, since: now, answer });
        drop(waiting);
        shared.wake_writer.notify_one();
        Ok(())
    }

    /// Waits until something was appended since the last call. For one reader.
    pub async fn appended(&self) {
        self.shared.appended.notified().await;
    }

    /// What is in the directory now. Reads the age of the oldest records from the disk when it is not known yet.
    pub fn status(&self) -> Status {
        let oldest_unacked_at_us = self
            .sources()
            .iter()
            .flat_map(|source| source.lanes().into_iter().filter_map(|lane| source.oldest_unacked_at_us(lane)))
            .min();
        let (waiting_bytes, is_refusing) = {
            let waiting = self.shared.waiting();
            (waiting.bytes, waiting.no_room_until.is_some_and(|until| Instant::now() < until))
        };
        let state = self.shared.state();
        let segments = || state.volumes.values().flat_map(|volume| volume.segments.values());
        let unacked_bytes = state.unacked_bytes();
        Status {
            journal: self.shared.own,
            journal_count: state.volumes.len(),
            segment_count: segments().count(),
            disk_bytes: segments().map(|segment| segment.disk_bytes).sum(),
            unacked_bytes,
            bytes_max: self.shared.bytes_max,
            oldest_unacked_at_us,
            waiting_bytes,
            corrupt_records: state.corrupt_records,
            appended_records: state.appended_records,
            synced_groups: state.synced_groups,
            is_full: is_refusing || unacked_bytes + waiting_bytes >= self.shared.bytes_max,
        }
    }

    /// Bytes of records that no watermark covers yet; cheaper than the whole [`Journal::status`].
    pub fn unacked_bytes(&self) -> u64 {
        self.shared.unacked_bytes.load(Ordering::Acquire)
    }

    /// The journals of the directory, this process's own last.
    pub fn sources(&self) -> Vec<Source> {
        let own = self.shared.own;
        let mut journals: Vec<Uuid> =
            self.shared.state().volumes.keys().copied().filter(|journal| *journal != own).collect();
        journals.push(own);
        journals.into_iter().map(|journal| Source::new(journal, self.shared.clone())).collect()
    }

    /// Says that the database has committed all records up to a number. It may go down, and is believed.
    pub fn acknowledge(&self, journal: Uuid, lane: u16, watermark: u64) {
        let mut state = self.shared.state();
        if let Some(volume) = state.volumes.get_mut(&journal) {
            volume.acknowledge(lane, watermark);
            state.forget_shares();
            self.shared.publish_unacked(&state);
        }
    }

    /// Refuses further appends, finishes those that wait, and seals the segment. Reading goes on, and so does the lock.
    pub async fn close(&self) {
        self.shared.waiting().is_closed = true;
        self.shared.wake_writer.notify_one();
        // An error means that the writer is gone, which is what we wait for.
        let _ = self.finished.clone().wait_for(|finished| *finished).await;
    }
}

fn check(options: &JournalOptions) -> Result<(), OpenError> {
    if options.lane_count == 0 || options.lane_count > LANES_MAX {
        return Err(OpenError::Options(format!("a journal has 1 to {LANES_MAX} lanes, not {}", options.lane_count)));
    }
    if options.segment_bytes > u64::from(u32::MAX) {
        return Err(OpenError::Options(format!(
            "a segment is smaller than 4 GiB, not {} bytes",
            options.segment_bytes
        )));
    }
    if append_bytes_max(options.segment_bytes, 1, usize::from(options.lane_count)) == 0 {
        return Err(OpenError::Options(format!(
            "a segment of {} bytes has no room for a record",
            options.segment_bytes
        )));
    }
    Ok(())
}

/// A directory that no other process may use as long as this is held.
pub(crate) struct DirLock(File);

impl DirLock {
    /// The directory itself, for `fsync` and `fstatvfs`.
    pub(crate) fn file(&self) -> &File {
        &self.0
    }
}

impl Drop for DirLock {
    fn drop(&mut self) {
        // Closing the file would not do: a process that is being started has a copy of it until its program begins, and a lock lasts as
        // long as any copy of the file is open.
        let _ = rustix::fs::flock(&self.0, FlockOperation::Unlock);
    }
}

/// Makes the directory if it is not there, and locks it.
fn lock(dir: &Path) -> Result<DirLock, OpenError> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(OpenError::io(dir))?;
    if let Err(error) = std::fs::set_permissions(dir, Permissions::from_mode(0o700)) {
        // A mounted volume may belong to somebody else and still be ours to use.
        tracing::warn!(error = %error, path = %dir.display(), "the journal directory cannot be closed to others");
    }
    let dir_file = File::open(dir).map_err(OpenError::io(dir))?;
    match rustix::fs::flock(&dir_file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(DirLock(dir_file)),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(OpenError::InUse(dir.to_owned())),
        Err(error) => Err(OpenError::io(dir)(error.into())),
    }
}

/// Finds the segments of earlier processes; returns the bytes that they take.
fn load(dir: &Path, state: &mut State) -> Result<u64, OpenError> {
    let mut journals: BTreeMap<Uuid, BTreeMap<u64, Segment>> = BTreeMap::new();
    let mut disk_bytes = 0;
    for entry in std::fs::read_dir(dir).map_err(OpenError::io(dir))? {
        let entry = entry.map_err(OpenError::io(dir))?;
        let Some((journal, number)) = entry.file_name().to_str().and_then(parse_file_name) else { continue };
        let path = entry.path();
        let (segment, found) = Segment::load(&path, journal).map_err(OpenError::io(&path))?;
        if let Some(found) = found {
            if found.is_blank {
                // Begun, and never written to.
                std::fs::remove_file(&path).map_err(OpenError::io(&path))?;
                continue;
            }
            tracing::info!(path = %path.display(), corrupt = found.corrupt, unfinished = found.unfinished, "journal segment read without a footer");
            if found.corrupt > 0 {
                tracing::error!(path = %path.display(), corrupt = found.corrupt, "journal segment is damaged");
            }
            state.corrupt_records += found.corrupt;
        }
        disk_bytes += segment.disk_bytes;
        journals.entry(journal).or_default().insert(number, segment);
    }
    state.volumes =
        journals.into_iter().map(|(journal, segments)| (journal, Volume::from_segments(segments))).collect();
    Ok(disk_bytes)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may")]

    use super::*;

    #[test]
    fn a_lock_ends_with_the_journal_even_if_a_process_just_started_has_the_file() {
        let dir = tempfile::TempDir::new().unwrap();
        let held = lock(dir.path()).unwrap();
        let copy_of_a_child = held.file().try_clone().unwrap();
        assert!(matches!(lock(dir.path()), Err(OpenError::InUse(_))));
        drop(held);
        assert!(lock(dir.path()).is_ok());
        drop(copy_of_a_child);
    }
}
