//! What an operator sees of a journal directory.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use journal::{Journal, LaneListing, list, verify};
use support::{draft, edit, open, segments, small};
use tempfile::TempDir;

#[tokio::test]
async fn segments_are_listed_also_while_they_are_written() {
    let dir = TempDir::new().unwrap();
    let journal = Journal::open(dir.path(), small()).unwrap();
    for id in 0..100 {
        journal.append(vec![draft(u16::try_from(id % 2).unwrap(), id, 1000)]).await.unwrap();
    }
    let listings = list(dir.path()).unwrap();
    assert_eq!(listings.len(), segments(dir.path()).len());
    assert!(listings.iter().all(|listing| listing.journal == journal.id()));
    assert_eq!(
        listings.iter().filter(|listing| !listing.is_sealed).map(|listing| listing.number).collect::<Vec<_>>(),
        [listings.len() as u64]
    );
    let records: u64 =
        listings.iter().flat_map(|listing| &listing.lanes).map(|lane| lane.last_seq - lane.first_seq + 1).sum();
    assert_eq!(records, 100);
    let first = &listings[0].lanes[0];
    assert_eq!(*first, LaneListing { lane: 0, first_seq: 1, last_seq: first.last_seq, bytes: first.last_seq * 1071 });
    assert!(verify(dir.path()).unwrap().iter().all(journal::Verdict::is_sound));
}

#[tokio::test]
async fn damage_is_found_by_reading_everything() {
    let dir = TempDir::new().unwrap();
    let journal = open(dir.path());
    for id in 0..10 {
        journal.append(vec![draft(0, id, 1000)]).await.unwrap();
    }
    journal.close().await;
    let file = &segments(dir.path())[0];
    edit(file, |bytes| bytes[4096 + 5 * 1087 + 500] ^= 1);
    let verdict = verify(dir.path()).unwrap().remove(0);
    assert!(!verdict.is_sound());
    assert_eq!((verdict.records, verdict.corrupt, verdict.missing, &verdict.path), (9, 1, 1, file));
}

#[test]
fn a_directory_that_is_not_there_is_an_error() {
    assert!(list(std::path::Path::new("/nowhere/journal")).is_err());
}
