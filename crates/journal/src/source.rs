//! Reading a journal back, lane by lane.

use std::io;

use uuid::Uuid;

use crate::Journal;

/// One journal of the directory: this process's own, or one of an earlier process.
///
/// Reading goes to the files, so memory does not grow with what lies in them. The methods
/// that return `io::Result` block; call them where blocking is allowed.
#[derive(Clone)]
pub struct Source {
    /// The journal's id.
    pub journal: Uuid,
    pub(crate) _home: Journal,
}

impl Source {
    /// The lanes in which there are records on the disk.
    pub fn lanes(&self) -> Vec<u16> {
        unimplemented!()
    }

    /// The highest number in this lane; 0 when there never was a record.
    pub fn head(&self, _lane: u16) -> u64 {
        unimplemented!()
    }

    /// The oldest number that is still on the disk and not given up: everything below it is gone.
    pub fn base(&self, _lane: u16) -> u64 {
        unimplemented!()
    }

    /// The watermark that was last given to [`Journal::acknowledge`].
    pub fn acknowledged(&self, _lane: u16) -> Option<u64> {
        unimplemented!()
    }

    /// When the oldest un-acknowledged record of this lane was accepted.
    pub fn oldest_unacked_at_us(&self, _lane: u16) -> Option<i64> {
        unimplemented!()
    }

    /// The records after a number, in order: as many as fit into both limits, at least one if there is one.
    pub fn read(
        &self,
        _lane: u16,
        _after_seq: u64,
        _bytes_max: usize,
        _records_max: usize,
    ) -> io::Result<Vec<(u64, Vec<u8>)>> {
        unimplemented!()
    }

    /// Numbers and projects of the records after a number, without reading them.
    pub fn projects(
        &self,
        _lane: u16,
        _after_seq: u64,
        _records_max: usize,
    ) -> io::Result<Vec<(u64, u64)>> {
        unimplemented!()
    }

    /// The records with these numbers, up to a limit of bytes; those that are damaged or gone are left out.
    pub fn read_these(
        &self,
        _lane: u16,
        _seqs: &[u64],
        _bytes_max: usize,
    ) -> io::Result<Vec<(u64, Vec<u8>)>> {
        unimplemented!()
    }
}
