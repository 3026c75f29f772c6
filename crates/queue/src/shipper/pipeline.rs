//! One pipeline: from the journal's files to Redis.

use std::io;

use journal::Source;
use uuid::Uuid;

use super::pending::{Pending, Taken};
use super::wire::{Answer, Letterhead};
use crate::stream_id::StreamId;
use crate::{Queue, QueueError};

/// How much a pipeline may carry.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    pub(super) records_max: usize,
    pub(super) bytes_max: usize,
    /// Records that may overtake lower ones.
    pub(super) ahead_max: usize,
    pub(super) watermark: u64,
}

/// A pipeline that came back.
pub(super) struct Returned {
    pub(super) lane: u16,
    pub(super) journal: Uuid,
    pub(super) pending: Pending,
    /// Number, length and place of each entry that Redis took.
    pub(super) accepted: Vec<(u64, usize, StreamId)>,
    pub(super) trouble: Option<Trouble>,
}

/// Why not everything was accepted.
#[derive(Debug)]
pub(super) enum Trouble {
    OutOfMemory,
    Refused(String),
    Connection(QueueError),
    Disk(io::Error),
}

impl Trouble {
    /// Said once, when a lane begins to wait.
    pub(super) fn log(&self, lane: u16) {
        match self {
            Trouble::OutOfMemory => {
                tracing::warn!(lane, "redis has no memory left: the lane waits, the journal goes on");
            }
            Trouble::Refused(reason) => tracing::error!(lane, reason, "redis refuses entries"),
            Trouble::Connection(error) => tracing::warn!(lane, error = %error, "redis cannot be reached"),
            Trouble::Disk(error) => tracing::error!(lane, error = %error, "the journal cannot be read"),
        }
    }
}

/// Reads what comes next and sends it. Whatever has no OK goes back to what is to be sent.
pub(super) async fn send(queue: Queue, source: Source, lane: u16, pending: Pending, load: Load) -> Returned {
    let journal = source.journal();
    let gathered = tokio::task::spawn_blocking(move || gather(&source, lane, pending, load));
    let (mut pending, gathered) = gathered.await.expect("reading the journal does not panic");
    let mut returned =
        |trouble| Returned { lane, journal, pending: std::mem::take(&mut pending), accepted: Vec::new(), trouble };
    let Gathered { taken, records, letterhead } = match gathered {
        Ok(Some(gathered)) => gathered,
        Ok(None) => return returned(None),
        Err(error) => return returned(Some(Trouble::Disk(error))),
    };
    match queue.add(lane, &letterhead, &records).await {
        Err(error) => {
            let mut returned = returned(Some(Trouble::Connection(error)));
            returned.pending.put_back(taken);
            returned
        }
        Ok(answers) => {
            journal::failpoint::hit("ship.after_xadd");
            let mut returned = returned(None);
            let mut answers = answers.into_iter();
            for (taken, (seq, record)) in taken.into_iter().zip(&records) {
                match answers.next() {
                    Some(Answer::Accepted(stream_id)) => returned.accepted.push((*seq, record.len(), stream_id)),
                    refused => {
                        returned.pending.put_back([taken]);
                        returned.trouble = Some(match refused {
                            Some(Answer::OutOfMemory) => Trouble::OutOfMemory,
                            Some(Answer::Refused(reason)) => Trouble::Refused(reason),
                            _ => Trouble::Refused("fewer answers than entries".to_owned()),
                        });
                    }
                }
            }
            returned
        }
    }
}

/// What a pipeline carries.
struct Gathered {
    taken: Vec<Taken>,
    records: Vec<(u64, Vec<u8>)>,
    letterhead: Letterhead,
}

/// Looks for what comes next and reads it. Blocks.
fn gather(source: &Source, lane: u16, mut pending: Pending, load: Load) -> (Pending, io::Result<Option<Gathered>>) {
    pending.forget_upto(load.watermark);
    if let Err(error) = pending.scan(source, lane) {
        return (pending, Err(error));
    }
    let mut taken = pending.take(load.records_max, load.ahead_max);
    let seqs: Vec<u64> = taken.iter().map(|taken| taken.seq).collect();
    let picked = match source.read_these(lane, &seqs, load.bytes_max) {
        Ok(picked) => picked,
        Err(error) => {
            pending.put_back(taken);
            return (pending, Err(error));
        }
    };
    // Those left come last, those gone or damaged are neither read nor left.
    let left = taken.split_off(taken.len() - picked.left.len());
    pending.put_back(left);
    let mut read = picked.records.iter().map(|(seq, _)| *seq).peekable();
    taken.retain(|taken| read.next_if_eq(&taken.seq).is_some());
    if taken.is_empty() {
        return (pending, Ok(None));
    }
    let letterhead = Letterhead {
        journal: source.journal(),
        base: source.base(lane),
        gap: source.gap(lane),
        head_seq: source.head(lane),
        oldest_unacked_at_us: source.oldest_unacked_at_us(lane),
    };
    (pending, Ok(Some(Gathered { taken, records: picked.records, letterhead })))
}
