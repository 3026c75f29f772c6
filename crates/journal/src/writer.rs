//! The one thread that writes: takes what waits, one write, one fdatasync, then wakes those who wait.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::AppendError;
use crate::failpoint;
use crate::footer;
use crate::frame::FRAME_BYTES;
use crate::header::Header;
use crate::index::{MemoryIndex, Place};
use crate::record::set_seq;
use crate::segment::{Index, Segment, file_name, share_bytes_min};
use crate::state::{Append, Shared, Waiting};

/// Largest group: bounds how long the first of it waits for the last.
const GROUP_BYTES_MAX: usize = 16 * 1024 * 1024;

/// How often old segments are looked at.
const TIDY_EVERY: Duration = Duration::from_secs(1);

/// How long to refuse after the disk had no room for a segment.
const NO_ROOM_PAUSE: Duration = Duration::from_secs(1);

/// The state of the thread that writes.
pub(crate) struct Writer {
    shared: Arc<Shared>,
    active: Option<Active>,
    next_segment: u64,
    next_seq: Vec<u64>,
    group: Vec<u8>,
    tidied_at: Instant,
}

/// The segment that is being written.
struct Active {
    segment: u64,
    file: File,
    /// Where the next frame goes.
    at: u64,
    records: usize,
    begun_at: Instant,
}

impl Writer {
    /// A writer with its first segment, unless the disk is full.
    pub(crate) fn begin(shared: Arc<Shared>) -> io::Result<Writer> {
        let next_seq = vec![1; usize::from(shared.options.lane_count)];
        let mut writer =
            Writer { shared, active: None, next_segment: 1, next_seq, group: Vec::new(), tidied_at: Instant::now() };
        match writer.begin_segment() {
            Ok(()) => {}
            Err(error) if is_no_room(&error) => writer.refuse_for_now(&error),
            Err(error) => return Err(error),
        }
        Ok(writer)
    }

    /// Writes until the journal is closed; then seals the segment and says so.
    pub(crate) fn run(mut self, finished: &watch::Sender<bool>) {
        while let Some(appends) = self.next_group() {
            self.write(appends);
            self.tidy();
        }
        self.seal();
        // Whoever waits for this may open the directory again at once: let go of the lock first.
        drop(self);
        finished.send_replace(true);
    }

    /// Everything that waits, or nothing after a while; `None` once the journal is closed and nothing waits.
    fn next_group(&self) -> Option<Vec<Append>> {
        let mut waiting = self.shared.waiting();
        if waiting.appends.is_empty() && !waiting.is_closed {
            waiting = match self.shared.wake_writer.wait_timeout(waiting, TIDY_EVERY) {
                Ok((waiting, _)) => waiting,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
        if waiting.appends.is_empty() && waiting.is_closed {
            return None;
        }
        waiting.writing_since = waiting.appends.front().map(|append| append.since);
        Some(waiting.appends.drain(..).collect())
    }

    fn write(&mut self, appends: Vec<Append>) {
        let mut appends = appends.into_iter().peekable();
        while let Some(first) = appends.peek() {
            if !self.fits(first, 0, 0) {
                self.seal();
                if let Err(error) = self.begin_segment() {
                    self.refuse_for_now(&error);
                    appends.for_each(|append| self.answer(vec![append], Err(AppendError::Full)));
                    return;
                }
            }
            let mut group = Vec::new();
            let (mut bytes, mut records) = (0, 0);
            while let Some(append) =
                appends.next_if(|append| bytes == 0 || self.fits(append, bytes, records) && bytes < GROUP_BYTES_MAX)
            {
                bytes += append.bytes.len();
                records += append.records.len();
                group.push(append);
            }
            self.commit(group);
        }
    }

    /// Whether an append fits into the active segment, behind so many other bytes and records, with room for the footer.
    fn fits(&self, append: &Append, bytes: usize, records: usize) -> bool {
        let Some(active) = &self.active else { return false };
        let records = active.records + records + append.records.len();
        let end = active.at + (bytes + append.bytes.len() + footer_room(records, self.next_seq.len())) as u64;
        end <= self.shared.options.segment_bytes
    }

    /// Makes a group durable. If that fails nothing is known about the file any more: calling fdatasync again could
    /// succeed without the data being there. Nobody has got an answer, so the process ends.
    fn commit(&mut self, group: Vec<Append>) {
        let Some(active) = &mut self.active else { return };
        self.group.clear();
        let mut places = Vec::new();
        for append in &group {
            let start = self.group.len();
            self.group.extend_from_slice(&append.bytes);
            for record in &append.records {
                let seq = &mut self.next_seq[usize::from(record.lane)];
                set_seq(&mut self.group[start + record.at..start + record.at + record.bytes], *seq);
                let offset =
                    u32::try_from(active.at + (start + record.at) as u64).expect("a segment is smaller than 4 GiB");
                let bytes = u32::try_from(record.bytes).expect("a record is at most 4 MiB");
                places.push((record.lane, Place { seq: *seq, offset, bytes, project_id: record.project_id }));
                *seq += 1;
            }
        }
        or_abort("writing", active.file.write_all_at(&self.group, active.at));
        failpoint::hit("journal.after_write");
        or_abort("fdatasync", active.file.sync_data());
        failpoint::hit("journal.after_sync");
        active.at += self.group.len() as u64;
        active.records += places.len();
        let segment = active.segment;
        if self.group.capacity() > GROUP_BYTES_MAX {
            self.group = Vec::new();
        }

        let mut state = self.shared.state();
        state.appended_records += places.len() as u64;
        state.synced_groups += 1;
        if let Some(volume) = state.volumes.get_mut(&self.shared.own) {
            for (lane, place) in places {
                volume.push(segment, lane, place);
            }
        }
        self.shared.publish_unacked(&state);
        drop(state);
        self.answer(group, Ok(()));
        self.shared.appended.notify_one();
    }

    fn answer(&self, group: Vec<Append>, answer: Result<(), AppendError>) {
        let bytes: u64 = group.iter().map(|append| append.bytes.len() as u64).sum();
        let mut waiting = self.shared.waiting();
        waiting.bytes = waiting.bytes.saturating_sub(bytes);
        waiting.writing_since = None;
        drop(waiting);
        for append in group {
            // Whoever has gone away in the meantime got no answer, and that is what it gets.
            let _ = append.answer.send(answer);
        }
    }

    fn refuse_for_now(&self, error: &io::Error) {
        tracing::error!(error = %error, "no room for a journal segment");
        self.shared.waiting().no_room_until = Some(Instant::now() + NO_ROOM_PAUSE);
    }

    /// Begins a segment: its room on the disk is taken now, so that a record never meets a full disk.
    fn begin_segment(&mut self) -> io::Result<()> {
        self.shared.make_room()?;
        let shared = &self.shared;
        let path = shared.dir.join(file_name(shared.own, self.next_segment));
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
        let header =
            Header { journal: shared.own, epoch: 0, segment: self.next_segment, next_seq: self.next_seq.clone() };
        let header = header.encode();
        let begun = allocate(&file, shared.options.segment_bytes)
            .and_then(|()| file.write_all_at(&header, 0))
            .and_then(|()| file.sync_all())
            .and_then(|()| shared.dir_lock.file().sync_all());
        if let Err(error) = begun {
            let _ = std::fs::remove_file(&path);
            return Err(error);
        }
        let segment = Segment {
            path,
            disk_bytes: shared.options.segment_bytes,
            extents: Vec::new(),
            index: Index::Memory(MemoryIndex::default()),
            shares: Vec::new(),
            is_sealed: false,
            acked_since: None,
        };
        shared.state().volumes.entry(shared.own).or_default().segments.insert(self.next_segment, segment);
        self.active = Some(Active {
            segment: self.next_segment,
            file,
            at: header.len() as u64,
            records: 0,
            begun_at: Instant::now(),
        });
        self.next_segment += 1;
        shared.waiting().no_room_until = None;
        Ok(())
    }

    /// Writes the footer, and gives back what was allocated and not used.
    fn seal(&mut self) {
        let Some(active) = self.active.take() else { return };
        let mut state = self.shared.state();
        let Some(volume) = state.volumes.get_mut(&self.shared.own) else { return };
        if active.records == 0 {
            if let Some(segment) = volume.segments.remove(&active.segment) {
                segment.delete_file();
            }
            return;
        }
        let Some(segment) = volume.segments.get_mut(&active.segment) else { return };
        let Index::Memory(index) = &segment.index else { return };
        // A record that was found damaged meanwhile leaves a gap, which a footer cannot describe.
        let is_whole = index.records() == active.records;
        let shares = top_shares(index, segment.disk_bytes);
        let (bytes, extents) = footer::encode(index, &shares, active.at);
        drop(state);

        let mut end = active.at;
        if is_whole {
            or_abort("writing", active.file.write_all_at(&bytes, active.at));
            end += bytes.len() as u64;
        }
        or_abort("fdatasync", active.file.sync_data());
        or_abort("shortening", active.file.set_len(end));
        or_abort("fdatasync", active.file.sync_data());

        let mut state = self.shared.state();
        let Some(segment) =
            state.volumes.get_mut(&self.shared.own).and_then(|volume| volume.segments.get_mut(&active.segment))
        else {
            return;
        };
        segment.is_sealed = true;
        segment.disk_bytes = end;
        segment.shares = shares;
        if is_whole && matches!(&segment.index, Index::Memory(index) if index.records() == active.records) {
            segment.extents = extents;
            segment.index = Index::Footer;
        }
    }

    /// Once a second: seals a segment that has grown old, and deletes what was acknowledged long enough ago.
    fn tidy(&mut self) {
        if self.tidied_at.elapsed() < TIDY_EVERY {
            return;
        }
        self.tidied_at = Instant::now();
        if self.active.as_ref().is_some_and(|active| {
            active.records > 0 && active.begun_at.elapsed() >= self.shared.options.segment_age_max
        }) {
            self.seal();
        }
        self.shared.let_go();
    }
}

impl Waiting {
    /// Since when the oldest append has waited.
    pub(crate) fn oldest(&self) -> Option<Instant> {
        self.writing_since.or_else(|| self.appends.front().map(|append| append.since))
    }
}

/// Bytes that a footer may take.
pub(crate) fn footer_room(records: usize, lane_count: usize) -> usize {
    footer::bytes_max(records, lane_count, records.min(SHARES_MAX))
}

/// The most shares that a footer lists.
const SHARES_MAX: usize = 1024;

/// The projects with a large part of a segment; the largest of them, should there be too many.
fn top_shares(index: &MemoryIndex, segment_bytes: u64) -> Vec<crate::index::Share> {
    let mut shares = index.shares(share_bytes_min(segment_bytes));
    shares.sort_by_key(|share| std::cmp::Reverse(share.bytes));
    shares.truncate(SHARES_MAX);
    shares
}

/// Takes the room of a segment on the disk.
fn allocate(file: &File, bytes: u64) -> io::Result<()> {
    match rustix::fs::fallocate(file, rustix::fs::FallocateFlags::empty(), 0, bytes) {
        Err(rustix::io::Errno::OPNOTSUPP) => {
            tracing::warn!(
                "the file system cannot allocate ahead: a full disk would end the process instead of refusing"
            );
            file.set_len(bytes)
        }
        other => Ok(other?),
    }
}

fn is_no_room(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}

fn or_abort(doing: &str, result: io::Result<()>) {
    if let Err(error) = result {
        tracing::error!(error = %error, doing, "the journal cannot be written: ending the process");
        // The log may be on its way through a buffer that dies with us.
        eprintln!("croak: the journal cannot be written ({doing}): {error}");
        std::process::abort();
    }
}

/// Bytes that one append can have at most in a segment of this size.
pub(crate) fn append_bytes_max(segment_bytes: u64, records: usize, lane_count: usize) -> u64 {
    segment_bytes.saturating_sub((Header::bytes(lane_count) + footer_room(records, lane_count)) as u64)
}

/// Bytes that a record takes with its frame.
pub(crate) fn framed_bytes(record_bytes: usize) -> usize {
    FRAME_BYTES + record_bytes
}
