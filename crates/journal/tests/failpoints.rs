//! Killed at named points: `cargo test -p journal --features failpoints`.
#![cfg(feature = "failpoints")]
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use journal::Journal;
use support::{draft, ids, small};
use tempfile::TempDir;

/// Appends one record after the other in a process that is killed at the fourth group; returns the ids that were durable.
fn killed_at(point: &str, dir: &TempDir) -> Vec<u64> {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_process_that_is_killed", "--nocapture", "--ignored"])
        .env("JOURNAL_DIR", dir.path())
        .env("CROAK_FAILPOINTS", format!("{point}=kill:4"))
        .output()
        .unwrap();
    assert_eq!(output.status.signal(), Some(9), "{output:?}");
    let lines = String::from_utf8(output.stdout).unwrap();
    lines.lines().filter_map(|line| line.strip_prefix("durable ")?.parse().ok()).collect()
}

#[tokio::test]
async fn killed_before_or_after_fdatasync_nothing_told_is_lost() {
    for point in ["journal.after_write", "journal.after_sync"] {
        let dir = TempDir::new().unwrap();
        assert_eq!(killed_at(point, &dir), [0, 1, 2], "{point}");
        // The fourth was not told. It may be there, whole.
        let journal = Journal::open(dir.path(), small()).unwrap();
        let kept = ids(&journal.sources()[0], 0, 0);
        assert!(kept == [0, 1, 2, 3] || kept == [0, 1, 2], "{point}: {kept:?}");
    }
}

/// Not a test: what the one above starts.
#[tokio::test]
#[ignore = "is killed"]
async fn a_process_that_is_killed() {
    let Some(dir) = std::env::var_os("JOURNAL_DIR") else { return };
    let journal = Journal::open(dir.as_ref(), small()).unwrap();
    for id in 0.. {
        journal.append(vec![draft(0, id, 100)]).await.unwrap();
        println!("durable {id}");
    }
}
