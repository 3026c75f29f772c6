//! What the tests of the journal have in common.
#![allow(dead_code, unreachable_pub, reason = "each test program uses a part of it")]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use journal::{Draft, Journal, JournalOptions, Kind, Record, Source};
use tempfile::TempDir;

/// A record for a lane, recognised by its id.
pub fn draft(lane: u16, id: u64, body_bytes: usize) -> Draft {
    Draft {
        kind: Kind::Notice,
        codec: 0,
        lane,
        project_id: 1,
        fold_key_version: 1,
        fold_key: [7; 16],
        accepted_at_us: 1_000_000 + i64::try_from(id).unwrap(),
        id: u128::from(id).to_be_bytes(),
        body: vec![u8::try_from(id % 251).unwrap(); body_bytes],
    }
}

/// Segments small enough to have many of them.
pub fn small() -> JournalOptions {
    JournalOptions { segment_bytes: 64 * 1024, ..JournalOptions::default() }
}

pub fn open(dir: &Path) -> Journal {
    Journal::open(dir, JournalOptions::default()).unwrap()
}

/// The ids of all records of a lane after a number, in order.
pub fn ids(source: &Source, lane: u16, after: u64) -> Vec<u64> {
    let mut ids = Vec::new();
    let mut after = after;
    loop {
        let records = source.read(lane, after, 10_000, 7).unwrap();
        let Some((last, _)) = records.last() else { return ids };
        after = *last;
        for (seq, bytes) in records {
            let record = Record::decode(&bytes).unwrap();
            assert_eq!((record.seq, record.lane), (seq, lane));
            ids.push(u64::try_from(u128::from_be_bytes(record.id)).unwrap());
        }
    }
}

/// What the disk would look like if the process died now.
pub fn crashed(dir: &Path) -> TempDir {
    let copy = TempDir::new().unwrap();
    for file in segments(dir) {
        fs::copy(&file, copy.path().join(file.file_name().unwrap())).unwrap();
    }
    copy
}

/// The segment files, oldest first.
pub fn segments(dir: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// Changes the file's bytes.
pub fn edit(file: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(file).unwrap();
    change(&mut bytes);
    fs::write(file, bytes).unwrap();
}

/// Where these bytes stand for the `nth` time (from 0).
pub fn find(bytes: &[u8], wanted: &[u8], nth: usize) -> usize {
    bytes.windows(wanted.len()).enumerate().filter(|(_, window)| *window == wanted).nth(nth).unwrap().0
}

/// Waits until something holds.
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < Duration::from_secs(20), "waited too long until {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
