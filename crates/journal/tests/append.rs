//! Appending, refusing, acknowledging, forgetting.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use journal::{AppendError, Draft, Journal, JournalOptions, OpenError, Record};
use support::{draft, ids, open, segments, small, until};
use tempfile::TempDir;

#[tokio::test]
async fn what_was_appended_can_be_read_lane_by_lane() {
    let dir = TempDir::new().unwrap();
    let journal = open(dir.path());
    for id in 0..20 {
        journal.append(vec![draft(u16::try_from(id % 3).unwrap(), id, 100)]).await.unwrap();
    }
    let [source] = &journal.sources()[..] else { panic!("one journal") };
    assert_eq!(source.lanes(), [0, 1, 2]);
    assert_eq!(ids(source, 0, 0), [0, 3, 6, 9, 12, 15, 18]);
    assert_eq!(ids(source, 1, 4), [13, 16, 19]);
    assert_eq!((source.head(2), source.base(2)), (6, 1));
    assert_eq!(source.oldest_unacked_at_us(1), Some(1_000_001));
    assert_eq!(source.projects(1, 5, 10).unwrap(), [(6, 1), (7, 1)]);

    let picked = source.read_these(0, &[5, 1, 99, 2], 10_000).unwrap();
    assert_eq!(picked.records.iter().map(|(seq, _)| *seq).collect::<Vec<_>>(), [5, 1, 2]);
    let picked = source.read_these(0, &[5, 1, 2], 250).unwrap();
    assert_eq!((picked.records.len(), picked.left), (1, vec![1, 2]));
}

#[tokio::test]
async fn every_field_of_a_record_comes_back() {
    let dir = TempDir::new().unwrap();
    let journal = open(dir.path());
    let sent = Draft { codec: 9, project_id: u64::MAX, fold_key_version: 3, accepted_at_us: -5, ..draft(63, 1, 10) };
    journal.append(vec![sent.clone()]).await.unwrap();
    let (seq, bytes) = journal.sources()[0].read(63, 0, 1, 1).unwrap().remove(0);
    let record = Record::decode(&bytes).unwrap();
    assert_eq!((seq, record.seq, record.kind, record.codec, record.lane), (1, 1, 1, 9, 63));
    assert_eq!((record.project_id, record.fold_key_version, record.accepted_at_us), (u64::MAX, 3, -5));
    assert_eq!((record.fold_key, record.id, record.body), (sent.fold_key, sent.id, sent.body));
}

#[tokio::test]
async fn a_directory_has_one_process_and_is_closed_to_others() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("a/journal");
    let journal = open(&path);
    let Err(OpenError::InUse(refused)) = Journal::open(&path, JournalOptions::default()) else {
        panic!("opened twice")
    };
    assert_eq!(refused, path);
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o700);
    assert_eq!(mode(&segments(&path)[0]), 0o600);

    drop(journal);
    until("the lock is free", || Journal::open(&path, JournalOptions::default()).is_ok()).await;
}

#[tokio::test]
async fn many_appends_share_one_fdatasync() {
    let dir = TempDir::new().unwrap();
    let journal = open(dir.path());
    let mut appends = tokio::task::JoinSet::new();
    for id in 0..500 {
        let journal = journal.clone();
        appends.spawn(async move { journal.append(vec![draft(0, id, 1000)]).await });
    }
    while let Some(done) = appends.join_next().await {
        done.unwrap().unwrap();
    }
    let status = journal.status();
    assert_eq!(status.appended_records, 500);
    assert!(status.synced_groups < 250, "{status:?}");
    let mut all = ids(&journal.sources()[0], 0, 0);
    all.sort_unstable();
    assert_eq!(all, (0..500).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_full_journal_refuses_and_takes_again_after_an_acknowledgement() {
    let dir = TempDir::new().unwrap();
    let journal = Journal::open(dir.path(), JournalOptions { bytes_max: Some(100_000), ..small() }).unwrap();
    let mut taken = 0;
    let refusal = loop {
        // Of many projects, so that none has too large a share.
        match journal.append(vec![Draft { project_id: taken, ..draft(0, taken, 1000) }]).await {
            Ok(()) => taken += 1,
            Err(refusal) => break refusal,
        }
    };
    assert_eq!(refusal, AppendError::Full);
    assert!((85..100).contains(&taken), "{taken}");
    assert_eq!(journal.status().unacked_bytes, taken * 1071);

    journal.acknowledge(journal.id(), 0, taken - 10);
    journal.append(vec![draft(0, taken, 1000)]).await.unwrap();
    journal.acknowledge(journal.id(), 0, taken + 1);
    let status = journal.status();
    assert_eq!((status.unacked_bytes, status.oldest_unacked_at_us, status.is_full), (0, None, false));
}

#[tokio::test]
async fn a_project_is_held_to_its_share_only_while_the_journal_is_more_than_half_full() {
    let dir = TempDir::new().unwrap();
    let journal = Journal::open(dir.path(), JournalOptions { bytes_max: Some(400_000), ..small() }).unwrap();
    let flood = |id| Draft { project_id: 7, ..draft(0, id, 1000) };
    let mut taken = 0;
    let refusal = loop {
        match journal.append(vec![flood(taken)]).await {
            Ok(()) => taken += 1,
            Err(refusal) => break refusal,
        }
    };
    assert_eq!(refusal, AppendError::ProjectShare);
    assert!(taken * 1071 > 200_000, "{taken}");
    journal.append(vec![Draft { project_id: 8, ..draft(1, 0, 1000) }]).await.unwrap();

    journal.acknowledge(journal.id(), 0, taken - 20);
    journal.append(vec![flood(taken)]).await.unwrap();
}

#[tokio::test]
async fn what_can_never_be_kept_is_refused() {
    let dir = TempDir::new().unwrap();
    let journal = open(dir.path());
    assert_eq!(journal.append(vec![draft(0, 1, journal::BODY_BYTES_MAX + 1)]).await, Err(AppendError::TooLarge));
    assert_eq!(journal.append(vec![draft(64, 1, 1)]).await, Err(AppendError::NoSuchLane(64)));
    assert_eq!(journal.append((0..17).map(|id| draft(0, id, 4_000_000)).collect()).await, Err(AppendError::TooLarge));
    assert_eq!(journal.append(Vec::new()).await, Ok(()));
    journal.append(vec![draft(0, 1, journal::BODY_BYTES_MAX)]).await.unwrap();
    journal.append((0..15).map(|id| draft(0, id, 4_000_000)).collect()).await.unwrap();
    assert_eq!(journal.sources()[0].head(0), 16);
}

#[tokio::test]
async fn too_much_waiting_for_the_disk_is_refused() {
    let dir = TempDir::new().unwrap();
    let journal = Journal::open(dir.path(), JournalOptions { waiting_bytes_max: 10_000, ..small() }).unwrap();
    assert_eq!(journal.append(vec![draft(0, 1, 11_000)]).await, Err(AppendError::Overloaded));
    journal.append(vec![draft(0, 1, 9_000)]).await.unwrap();
}

#[tokio::test]
async fn a_closed_journal_takes_nothing_and_can_still_be_read() {
    let dir = TempDir::new().unwrap();
    let journal = open(dir.path());
    journal.append(vec![draft(5, 1, 100)]).await.unwrap();
    journal.close().await;
    assert_eq!(journal.append(vec![draft(5, 2, 100)]).await, Err(AppendError::Closed));
    assert_eq!(ids(&journal.sources()[0], 5, 0), [1]);
    assert!(
        std::fs::metadata(&segments(dir.path())[0]).unwrap().len() < 10_000,
        "what was allocated and not used is given back"
    );
}

#[tokio::test]
async fn i6_an_acknowledged_segment_is_kept_for_a_while_and_then_deleted() {
    let dir = TempDir::new().unwrap();
    let keep = Duration::from_millis(1500);
    let journal = Journal::open(dir.path(), JournalOptions { keep, ..small() }).unwrap();
    for id in 1..=200 {
        journal.append(vec![draft(0, id, 1000)]).await.unwrap();
    }
    let files = segments(dir.path()).len();
    assert!(files > 3);
    let acknowledged_at = std::time::Instant::now();
    journal.acknowledge(journal.id(), 0, 150);
    assert_eq!(segments(dir.path()).len(), files);
    // Nobody says it again: the database may have been set back meanwhile.
    tokio::time::sleep(keep + Duration::from_millis(1500)).await;
    assert_eq!(segments(dir.path()).len(), files);
    journal.acknowledge(journal.id(), 0, 150);
    until("the first segments are gone", || segments(dir.path()).len() < files).await;
    assert!(acknowledged_at.elapsed() >= keep);

    let source = &journal.sources()[0];
    until("only what is needed is left", || source.base(0) > 55).await;
    assert!(source.base(0) <= 151);
    assert_eq!(ids(source, 0, 150), (151..=200).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_is_committed_and_still_there_is_not_gone() {
    let dir = TempDir::new().unwrap();
    let journal = open(dir.path());
    for id in 1..=3 {
        journal.append(vec![draft(0, id, 100)]).await.unwrap();
    }
    let source = &journal.sources()[0];
    for watermark in 0..=3 {
        journal.acknowledge(journal.id(), 0, watermark);
        assert_eq!(source.base(0), 1, "{watermark}");
    }
}

#[tokio::test]
async fn a_watermark_that_goes_down_is_believed() {
    let dir = TempDir::new().unwrap();
    let journal = Journal::open(dir.path(), JournalOptions { keep: Duration::from_secs(2), ..small() }).unwrap();
    for id in 1..=200 {
        journal.append(vec![draft(0, id, 1000)]).await.unwrap();
    }
    let files = segments(dir.path()).len();
    journal.acknowledge(journal.id(), 0, 200);
    journal.acknowledge(journal.id(), 0, 80);
    assert_eq!(journal.status().oldest_unacked_at_us, Some(1_000_081));
    assert_eq!(journal.status().unacked_bytes, 120 * 1071);

    // What lies below is let go in time, and nothing else is.
    let keep_passes = || {
        journal.acknowledge(journal.id(), 0, 80);
        segments(dir.path()).len() < files
    };
    until("the keep time has passed", keep_passes).await;
    assert_eq!(ids(&journal.sources()[0], 0, 80), (81..=200).collect::<Vec<_>>());
}

#[tokio::test]
async fn acknowledged_segments_above_their_limit_go_before_their_time() {
    let dir = TempDir::new().unwrap();
    let journal = Journal::open(dir.path(), JournalOptions { keep_bytes_max: 130_000, ..small() }).unwrap();
    for id in 1..=300 {
        journal.append(vec![draft(0, id, 1000)]).await.unwrap();
    }
    journal.acknowledge(journal.id(), 0, 300);
    until("no more than the limit is kept", || journal.status().disk_bytes < 200_000).await;
    assert!(journal.status().segment_count >= 2);
}

#[tokio::test]
async fn a_segment_is_sealed_when_it_has_grown_old() {
    let dir = TempDir::new().unwrap();
    let journal =
        Journal::open(dir.path(), JournalOptions { segment_age_max: Duration::from_millis(1), ..small() }).unwrap();
    journal.append(vec![draft(0, 1, 100)]).await.unwrap();
    until("it is sealed", || journal.status().disk_bytes < 10_000).await;
    journal.append(vec![draft(0, 2, 100)]).await.unwrap();
    assert_eq!(ids(&journal.sources()[0], 0, 0), [1, 2]);
    assert_eq!(segments(dir.path()).len(), 2);
}

#[tokio::test]
async fn appending_wakes_a_reader() {
    let dir = TempDir::new().unwrap();
    let journal = open(dir.path());
    let reader = tokio::spawn({
        let journal = journal.clone();
        async move {
            journal.appended().await;
            ids(&journal.sources()[0], 0, 0)
        }
    });
    journal.append(vec![draft(0, 1, 100)]).await.unwrap();
    assert_eq!(tokio::time::timeout(Duration::from_secs(10), reader).await.unwrap().unwrap(), [1]);
}
