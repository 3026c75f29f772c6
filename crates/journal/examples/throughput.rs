//! How many records a second the disk under a directory takes: `throughput DIR [APPENDERS] [BODY_BYTES] [SECONDS] [CAP_BYTES]`.
#![expect(clippy::unwrap_used, reason = "a tool for developers may panic")]

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use journal::{Draft, Journal, JournalOptions, Kind};

#[tokio::main]
async fn main() {
    let mut args = std::env::args().skip(1);
    let dir = PathBuf::from(args.next().expect("usage: throughput DIR [APPENDERS] [BODY_BYTES] [SECONDS] [CAP_BYTES]"));
    let mut number = |default: u64| args.next().map_or(default, |arg| arg.parse().unwrap());
    let (appenders, body_bytes, seconds) = (number(256), usize::try_from(number(1200)).unwrap(), number(5));
    let bytes_max = Some(number(64 << 30));

    let journal = Journal::open(&dir, JournalOptions { bytes_max, ..JournalOptions::default() }).unwrap();
    let until = Instant::now() + Duration::from_secs(seconds);
    let waits = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = tokio::task::JoinSet::new();
    for appender in 0..appenders {
        let (journal, waits) = (journal.clone(), waits.clone());
        tasks.spawn(async move {
            let mut own_waits = Vec::new();
            while Instant::now() < until {
                let draft = Draft {
                    kind: Kind::Notice,
                    codec: 0,
                    lane: u16::try_from(appender % 64).unwrap(),
                    project_id: 1,
                    fold_key_version: 1,
                    fold_key: [1; 16],
                    accepted_at_us: 0,
                    id: [2; 16],
                    body: vec![3; body_bytes],
                };
                let begun_at = Instant::now();
                if let Err(refusal) = journal.append(vec![draft]).await {
                    println!("refused: {refusal}");
                    break;
                }
                own_waits.push(begun_at.elapsed());
            }
            waits.lock().unwrap().extend(own_waits);
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    let mut waits = std::mem::take(&mut *waits.lock().unwrap());
    waits.sort_unstable();
    if waits.is_empty() {
        return;
    }
    let groups = journal.status().synced_groups;
    println!(
        "{} appends/s, {} groups/s, p50 {:?}, p99 {:?}",
        waits.len() as u64 / seconds,
        groups / seconds,
        waits[waits.len() / 2],
        waits[waits.len() * 99 / 100]
    );
    journal.close().await;
}
