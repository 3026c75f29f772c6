//! What is left after a crash, or after damage.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use journal::{Draft, Journal, JournalOptions, Record};
use proptest::prelude::*;
use support::{crashed, draft, edit, find, ids, open, segments, small};
use tempfile::TempDir;
use uuid::Uuid;

/// The id of the record and what its bytes can be found by.
fn id_bytes(id: u64) -> [u8; 16] {
    u128::from(id).to_be_bytes()
}

#[tokio::test]
async fn a_reopened_journal_has_everything_that_was_not_acknowledged() {
    let dir = TempDir::new().unwrap();
    let mut journals = Vec::new();
    for run in 0..3 {
        let journal = Journal::open(dir.path(), small()).unwrap();
        for id in 0..100 {
            journal.append(vec![draft(u16::try_from(id % 2).unwrap(), run * 1000 + id, 1000)]).await.unwrap();
        }
        journals.push(journal.id());
        journal.close().await;
    }
    let journal = Journal::open(dir.path(), small()).unwrap();
    let sources = journal.sources();
    assert_eq!(sources.len(), 4);
    assert_eq!(sources[3].journal(), journal.id());
    for (run, source) in (0..3).zip(&sources) {
        assert_eq!(source.journal(), journals[usize::try_from(run).unwrap()]);
        let expected: Vec<u64> = (0..100).filter(|id| id % 2 == 1).map(|id| run * 1000 + id).collect();
        assert_eq!(ids(source, 1, 0), expected);
        assert_eq!(source.head(1), 50);
    }
    assert_eq!(journal.status().unacked_bytes, 300 * 1071);
    for source in &sources[..3] {
        journal.acknowledge(source.journal(), 0, 50);
        journal.acknowledge(source.journal(), 1, 50);
    }
    assert_eq!(journal.status().unacked_bytes, 0);
}

#[tokio::test]
async fn a_crash_loses_nothing_and_leaves_no_empty_files() {
    let dir = TempDir::new().unwrap();
    let journal = open(dir.path());
    for id in 0..50 {
        journal.append(vec![draft(3, id, 500)]).await.unwrap();
    }
    let crashed = crashed(dir.path());
    let reopened = open(crashed.path());
    assert_eq!(ids(&reopened.sources()[0], 3, 0), (0..50).collect::<Vec<_>>());
    assert_eq!(reopened.status().corrupt_records, 0);
    drop(reopened);

    // A crash before the first append leaves a file that the next start removes.
    let dir = TempDir::new().unwrap();
    let journal = open(dir.path());
    let crashed = support::crashed(dir.path());
    drop(journal);
    assert_eq!(segments(crashed.path()).len(), 1);
    let reopened = open(crashed.path());
    assert_eq!((segments(crashed.path()).len(), reopened.sources().len()), (1, 1));
}

#[tokio::test]
async fn a_torn_tail_is_ignored() {
    let dir = TempDir::new().unwrap();
    let journal = open(dir.path());
    for id in 1..=10 {
        journal.append(vec![draft(0, id, 500)]).await.unwrap();
    }
    for cut in [1, 80, 400] {
        let crashed = crashed(dir.path());
        edit(&segments(crashed.path())[0], |bytes| {
            let end = find(bytes, &id_bytes(10), 0) + 16 + 500;
            bytes[end - cut..end].fill(0);
        });
        let reopened = open(crashed.path());
        assert_eq!(ids(&reopened.sources()[0], 0, 0), (1..=9).collect::<Vec<_>>());
        assert_eq!(reopened.status().corrupt_records, 0);
    }
    // A file system may also have kept less of the file.
    let crashed = crashed(dir.path());
    edit(&segments(crashed.path())[0], |bytes| bytes.truncate(find(bytes, &id_bytes(10), 0)));
    assert_eq!(ids(&open(crashed.path()).sources()[0], 0, 0), (1..=9).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_append_that_is_not_whole_is_not_there() {
    let dir = TempDir::new().unwrap();
    let journal = open(dir.path());
    journal.append(vec![draft(0, 1, 500)]).await.unwrap();
    journal.append((2..=5).map(|id| draft(u16::try_from(id % 2).unwrap(), id, 500)).collect()).await.unwrap();
    let crashed = crashed(dir.path());
    edit(&segments(crashed.path())[0], |bytes| {
        let at = find(bytes, &id_bytes(5), 0);
        bytes[at..].fill(0);
    });
    let reopened = open(crashed.path());
    let source = &reopened.sources()[0];
    assert_eq!((ids(source, 0, 0), ids(source, 1, 0)), (vec![1], vec![]));
    assert_eq!((source.head(0), source.head(1)), (1, 0));
}

#[tokio::test]
async fn damage_in_the_middle_costs_the_damaged_record_only() {
    let dir = TempDir::new().unwrap();
    let journal = open(dir.path());
    for id in 1..=10 {
        journal.append(vec![draft(0, id, 500)]).await.unwrap();
    }
    let crashed = crashed(dir.path());
    edit(&segments(crashed.path())[0], |bytes| {
        let at = find(bytes, &id_bytes(4), 0);
        bytes[at + 100] ^= 0xff;
        let at = find(bytes, &id_bytes(7), 0);
        bytes[at - 55 - 16..at + 300].fill(0);
    });
    let reopened = open(crashed.path());
    let source = &reopened.sources()[0];
    assert_eq!(ids(source, 0, 0), [1, 2, 3, 5, 6, 8, 9, 10]);
    assert_eq!(reopened.status().corrupt_records, 2);

    // What is gone is given up as soon as everything before it is committed, and not earlier.
    for (watermark, gap) in [(0, None), (2, None), (3, Some(4..=4)), (5, None), (6, Some(7..=7)), (9, None)] {
        reopened.acknowledge(source.journal(), 0, watermark);
        // A database that is set back needs what lies below.
        assert_eq!((source.base(0), source.gap(0)), (1, gap), "{watermark}");
    }
    reopened.acknowledge(source.journal(), 0, 10);
    assert_eq!(reopened.status().unacked_bytes, 0);
}

#[tokio::test]
async fn damage_found_while_reading_is_counted_and_passed_over() {
    let dir = TempDir::new().unwrap();
    let journal = Journal::open(dir.path(), small()).unwrap();
    for id in 1..=200 {
        journal.append(vec![draft(0, id, 1000)]).await.unwrap();
    }
    // In a sealed segment, and in the one that is being written.
    let files = segments(dir.path());
    for (file, id) in [(&files[0], 5), (files.last().unwrap(), 200)] {
        edit_in_place(file, |bytes| {
            let at = find(bytes, &id_bytes(id), 0);
            (at + 50, !bytes[at + 50])
        });
    }
    let source = &journal.sources()[0];
    assert_eq!(ids(source, 0, 0), (1..=199).filter(|id| *id != 5).collect::<Vec<_>>());
    assert_eq!(journal.status().corrupt_records, 2);
    let picked = source.read_these(0, &[4, 5, 6, 200], 100_000).unwrap();
    assert_eq!(picked.records.iter().map(|(seq, _)| *seq).collect::<Vec<_>>(), [4, 6]);

    journal.acknowledge(journal.id(), 0, 199);
    assert_eq!((journal.status().unacked_bytes, source.base(0), source.gap(0)), (0, 1, Some(200..=200)));
}

#[tokio::test]
async fn a_damaged_footer_costs_nothing() {
    let dir = TempDir::new().unwrap();
    let journal = Journal::open(dir.path(), small()).unwrap();
    for id in 1..=50 {
        journal.append(vec![draft(0, id, 1000)]).await.unwrap();
    }
    journal.close().await;
    for (from_end, label) in [(3, "trailer"), (20, "sum"), (40, "places"), (28 + 50 * 16 + 4, "tables")] {
        let crashed = crashed(dir.path());
        edit(&segments(crashed.path())[0], |bytes| {
            let at = bytes.len() - from_end;
            bytes[at] ^= 0xff;
        });
        let reopened = Journal::open(crashed.path(), small()).unwrap();
        assert_eq!(ids(&reopened.sources()[0], 0, 0), (1..=50).collect::<Vec<_>>(), "{label}");
    }
}

#[tokio::test]
async fn a_damaged_header_costs_nothing() {
    let dir = TempDir::new().unwrap();
    let journal = open(dir.path());
    journal.append(vec![draft(0, 1, 1000), draft(0, 2, 10)]).await.unwrap();
    let crashed = crashed(dir.path());
    edit(&segments(crashed.path())[0], |bytes| bytes[..100].fill(0x55));
    assert_eq!(ids(&open(crashed.path()).sources()[0], 0, 0), [1, 2]);
}

#[tokio::test]
async fn a_record_inside_the_body_of_another_is_never_found() {
    let dir = TempDir::new().unwrap();
    let journal = open(dir.path());
    journal.append(vec![draft(0, 1, 100)]).await.unwrap();
    let file = std::fs::read(&segments(dir.path())[0]).unwrap();
    let at = find(&file, &id_bytes(1), 0);
    let record = journal.sources()[0].read(0, 0, 1, 1).unwrap().remove(0).1;

    // Made by somebody who sees a whole journal, but another one.
    let evil = TempDir::new().unwrap();
    let journal = open(evil.path());
    let mut body = file[at - 71..at + 200].to_vec();
    body.extend(record);
    journal.append(vec![Draft { body, ..draft(0, 666, 0) }]).await.unwrap();
    journal.append(vec![draft(0, 2, 100)]).await.unwrap();
    let crashed = crashed(evil.path());
    edit(&segments(crashed.path())[0], |bytes| {
        let at = find(bytes, &id_bytes(666), 0);
        bytes[at] ^= 1;
    });
    assert_eq!(ids(&open(crashed.path()).sources()[0], 0, 0), [2]);
}

#[tokio::test]
async fn killed_again_and_again_it_has_every_record_that_was_acknowledged() {
    let dir = TempDir::new().unwrap();
    let mut told = Vec::new();
    for run in 0..5u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "a_process_that_appends", "--nocapture", "--ignored"])
            .env("JOURNAL_DIR", dir.path())
            .env("JOURNAL_RUN", run.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut in_this_run = 0;
        for line in lines {
            let Some(id) = line.strip_prefix("durable ") else { continue };
            told.push(id.parse::<u64>().unwrap());
            in_this_run += 1;
            // What is still in the pipe after the kill was told as well.
            if in_this_run == 200 + 50 * run {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        assert!(in_this_run >= 200);
    }
    let journal = Journal::open(dir.path(), small()).unwrap();
    let mut kept: Vec<u64> =
        journal.sources().iter().flat_map(|source| (0..4).flat_map(|lane| ids(source, lane, 0))).collect();
    kept.sort_unstable();
    told.sort_unstable();
    assert!(kept.windows(2).all(|pair| pair[0] < pair[1]), "no record is there twice");
    assert!(told.iter().all(|id| kept.binary_search(id).is_ok()), "{} of {} are there", kept.len(), told.len());
    assert_eq!(journal.status().corrupt_records, 0);
}

#[tokio::test]
async fn i2_no_number_names_two_records_whatever_copy_is_brought_back() {
    let mut named: BTreeMap<(Uuid, u16, u64), u64> = BTreeMap::new();
    let mut look_at = |journal: &Journal| {
        for source in journal.sources() {
            for lane in 0..3 {
                for (seq, bytes) in source.read(lane, 0, usize::MAX, usize::MAX).unwrap() {
                    let id = u64::try_from(u128::from_be_bytes(Record::decode(&bytes).unwrap().id)).unwrap();
                    let before = named.insert((source.journal(), lane, seq), id);
                    assert!(before.is_none_or(|before| before == id), "{before:?} and {id} have the same number");
                }
            }
        }
        named.len()
    };
    // Each copy goes on from where it was taken, as a restored snapshot of a machine does, and they know nothing of each other.
    let mut copies = vec![TempDir::new().unwrap()];
    let mut next_id = 0;
    for run in 0..12 {
        let journal = Journal::open(copies[run / 2].path(), small()).unwrap();
        for _ in 0..10 {
            let drafts = (next_id..next_id + 4).map(|id| draft(u16::try_from(id % 3).unwrap(), id, 700));
            journal.append(drafts.collect()).await.unwrap();
            next_id += 4;
        }
        assert!(look_at(&journal) as u64 >= next_id);
        copies.push(crashed(copies[run / 2].path()));
        journal.close().await;
    }
    assert_eq!(named.len() as u64, next_id, "every record has a number of its own");
}

/// Not a test: what a test above starts and kills.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "runs until it is killed"]
async fn a_process_that_appends() {
    let Some(dir) = std::env::var_os("JOURNAL_DIR") else { return };
    let run: u64 = std::env::var("JOURNAL_RUN").unwrap().parse().unwrap();
    let journal = Journal::open(dir.as_ref(), small()).unwrap();
    let mut appenders = tokio::task::JoinSet::new();
    for appender in 0..8u64 {
        let journal = journal.clone();
        appenders.spawn(async move {
            for round in 0.. {
                let id = run * 1_000_000_000 + appender * 1_000_000 + round;
                journal.append(vec![draft(u16::try_from(id % 4).unwrap(), id, 300)]).await.unwrap();
                println!("durable {id}");
            }
        });
    }
    while let Some(done) = appenders.join_next().await {
        done.unwrap();
    }
}

/// Changes one byte of a file that is in use.
fn edit_in_place(file: &std::path::Path, change: impl FnOnce(&[u8]) -> (usize, u8)) {
    use std::os::unix::fs::FileExt;
    let (at, byte) = change(&std::fs::read(file).unwrap());
    let file = std::fs::OpenOptions::new().write(true).open(file).unwrap();
    file.write_all_at(&[byte], at as u64).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20, ..ProptestConfig::default() })]

    #[test]
    fn whatever_was_appended_reads_back_after_a_restart(
        appends in proptest::collection::vec(proptest::collection::vec((0u16..5, 0usize..3000), 1..6), 1..60),
        is_clean in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let dir = TempDir::new().unwrap();
            let journal = Journal::open(dir.path(), JournalOptions { lane_count: 5, ..small() }).unwrap();
            let mut expected = vec![Vec::new(); 5];
            let mut id = 0;
            for append in appends {
                let drafts: Vec<Draft> = append
                    .into_iter()
                    .map(|(lane, bytes)| {
                        id += 1;
                        expected[usize::from(lane)].push(id);
                        draft(lane, id, bytes)
                    })
                    .collect();
                journal.append(drafts).await.unwrap();
            }
            if is_clean {
                journal.close().await;
            }
            let left = crashed(dir.path());
            let reopened = Journal::open(left.path(), small()).unwrap();
            for (lane, expected) in (0..5).zip(&expected) {
                assert_eq!(&ids(&reopened.sources()[0], lane, 0), expected);
            }
        });
    }
}
