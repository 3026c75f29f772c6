//! Re-sending, reordering and loss in Redis change no count.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use journal::Record;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use support::{Bench, notice, now_us, record_at};
use uuid::Uuid;

const LANES: [u16; 2] = [3, 11];
const JOURNALS: [Uuid; 2] = [Uuid::from_u128(0xa), Uuid::from_u128(0xb)];

/// What a notice says, of the little that matters here.
#[derive(Debug, Clone)]
struct Said {
    lane: usize,
    journal: usize,
    class: u8,
    environment: bool,
    user: u8,
    minutes_ago: u8,
}

fn said() -> impl Strategy<Value = Said> {
    (0..2usize, 0..2usize, 0..4u8, any::<bool>(), 0..6u8, 0..30u8).prop_map(
        |(lane, journal, class, environment, user, minutes_ago)| Said {
            lane,
            journal,
            class,
            environment,
            user,
            minutes_ago,
        },
    )
}

/// The records with their journals, numbered as gateways do.
fn records(said: &[Said]) -> Vec<(Uuid, Record)> {
    let start_us = now_us();
    let mut next = [[0_u64; 2]; 2];
    said.iter()
        .map(|said| {
            let seq = &mut next[said.journal][said.lane];
            *seq += 1;
            let mut notice = notice(&format!("Error{}", said.class));
            notice.environment = Some(if said.environment { "production" } else { "staging" }.to_owned());
            notice.user = Some(notice::User { id: Some(said.user.to_string()), ..notice::User::default() });
            let at_us = start_us - i64::from(said.minutes_ago) * 60_000_000;
            (JOURNALS[said.journal], record_at(LANES[said.lane], *seq, at_us, &notice))
        })
        .collect()
}

/// Everything that is counted, in words that do not depend on the order in which ids were given out.
async fn tables(bench: &Bench) -> Vec<String> {
    let with = |columns: &str, table: &str| {
        format!(
            "select {columns} from {table} t join fingerprint f on f.project_id = t.project_id and f.id = t.fingerprint_id"
        )
    };
    let statements = [
        "select (f.fingerprint, g.notice_count, g.user_count, g.count_bucket, g.user_bucket, g.first_seen_at, g.last_seen_at, g.state, g.version)::text
         from grp g join fingerprint f on f.group_id = g.id".to_owned(),
        with("(f.fingerprint, t.minute, t.notice_count)::text", "fingerprint_minute"),
        with("(f.fingerprint, t.day, t.notice_count)::text", "fingerprint_day"),
        with("(f.fingerprint, t.key, t.value, t.is_other, t.notice_count, t.first_seen_at, t.last_seen_at)::text", "facet"),
        with("(f.fingerprint, t.sketch)::text", "user_sketch"),
        "select (lane, notice_count)::text from project_tally".to_owned(),
        "select (lane, minute, stored)::text from project_minute".to_owned(),
        "select (lane, journal, wm, runs)::text from journal_cursor".to_owned(),
    ];
    let mut found = Vec::new();
    for statement in statements {
        let mut rows: Vec<String> =
            sqlx::query_scalar(sqlx::AssertSqlSafe(statement)).fetch_all(&bench.database.pool).await.unwrap();
        rows.sort_unstable();
        found.extend(rows);
    }
    let mut ids = Vec::new();
    let chunks: Vec<(i16, Vec<u8>)> =
        sqlx::query_as("select codec, body from chunk").fetch_all(&bench.database.pool).await.unwrap();
    for (codec, body) in chunks {
        ids.extend(store::chunk::decode(codec, &body).unwrap().into_iter().map(|item| item.id.to_string()));
    }
    ids.sort_unstable();
    found.extend(ids);
    found
}

#[test]
fn i8_any_order_with_repeats_and_losses_gives_the_same_tables() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let mut runner = TestRunner::new(Config { cases: 6, failure_persistence: None, ..Config::default() });
    let deliveries = prop::collection::vec((any::<prop::sample::Index>(), any::<bool>()), 0..120);
    let strategy = (prop::collection::vec(said(), 1..60), deliveries);
    runner
        .run(&strategy, |(said, deliveries)| {
            let records = records(&said);
            runtime.block_on(async {
                let straight = Bench::new().await;
                for (journal, record) in &records {
                    straight.ship(*journal, 1, record).await;
                }
                let worker = straight.worker("fold").await;
                drained(&straight).await;
                worker.stop().await;

                let crooked = Bench::new().await;
                let mut worker = crooked.worker("fold").await;
                for (index, kills) in &deliveries {
                    let (journal, record) = &records[index.index(records.len())];
                    crooked.ship(*journal, 1, record).await;
                    if *kills && index.index(17) == 0 {
                        worker.stop().await;
                        worker = crooked.worker("fold").await;
                    }
                }
                for (journal, record) in records.iter().rev() {
                    crooked.ship(*journal, 1, record).await;
                }
                drained(&crooked).await;
                worker.stop().await;

                assert_eq!(tables(&straight).await, tables(&crooked).await);
                straight.audit().await;
                crooked.audit().await;
            });
            Ok(())
        })
        .unwrap();
}

async fn drained(bench: &Bench) {
    for lane in LANES {
        bench.drained(lane).await;
    }
}
