//! Merging small chunks: fewer rows and bytes, the same notices, and nobody who reads meanwhile misses one.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

mod database;
#[allow(dead_code, reason = "made for the tests of what is read")]
#[path = "reading/scene.rs"]
mod scene;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use notice::{Item, NoticeId};
use scene::Scene;
use sqlx::Row as _;
use store::compaction::{Compaction, Merged, Step};
use store::housekeeper::Housekeeper;
use store::reader::Around;
use store::{Admin, Writer, chunk};
use time::OffsetDateTime;

const LANES: u16 = 4;

/// A scene whose compaction stands at a stretch of the past.
struct Past {
    scene: Scene,
    from_ms: i64,
}

impl Past {
    /// The stretch ended `stretches` ago, and more than one stretch is over since.
    async fn new(stretches: i64) -> Past {
        let now_ms = OffsetDateTime::now_utc().unix_timestamp() * 1_000;
        let past = Past {
            scene: Scene::new().await,
            from_ms: (now_ms.div_euclid(chunk::SPAN_MS) - stretches) * chunk::SPAN_MS,
        };
        past.begin_again().await;
        past
    }

    async fn begin_again(&self) {
        sqlx::query("update compaction set merged_until = to_timestamp($1)")
            .bind(self.from_ms as f64 / 1_000.0)
            .execute(&self.scene.database.pool)
            .await
            .unwrap();
    }

    /// An id of the stretch, or of one after it.
    fn id(&self, after_ms: i64, lane: u16, number: u64) -> NoticeId {
        NoticeId::new((self.from_ms + after_ms) * 1_000, lane, number)
    }

    /// Writes many chunks of one to three notices for each of these classes and each lane, over `stretches`; the ids by class.
    async fn crowd(&self, classes: &[&str], per_lane: u64, stretches: i64) -> BTreeMap<String, Vec<NoticeId>> {
        let mut ids: BTreeMap<String, Vec<NoticeId>> = BTreeMap::new();
        let within_ms = (chunk::SPAN_MS * stretches).unsigned_abs();
        for round in 0..per_lane {
            for (place, class) in (0_u64..).zip(classes) {
                let mut batch = Vec::new();
                for lane in 0..LANES {
                    for which in 0..=(round + u64::from(lane)) % 3 {
                        // Batches overlap, and come in another order than their notices.
                        let at_ms = (round * 245_489 + which * 124_031 + u64::from(lane) * 403) % within_ms;
                        let number = (place * per_lane + round) * 3 + which;
                        batch.push(self.id(at_ms.cast_signed(), lane, number));
                    }
                }
                self.scene.write(class, &batch).await;
                ids.entry((*class).to_owned()).or_default().extend(batch);
            }
        }
        ids
    }

    async fn housekeeper(&self) -> Housekeeper {
        // With the rights of a worker, and no more.
        let url = format!("{}?options=-c%20role%3Dcroak_worker", self.scene.database.url);
        let writer = Writer::connect(&url).await.unwrap();
        for _ in 0..500 {
            if let Some(housekeeper) = writer.housekeeper().await.unwrap() {
                return housekeeper;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the last housekeeper has not let go");
    }

    /// Merges what there is to merge in one stretch.
    async fn compact(&self) -> Merged {
        let mut housekeeper = self.housekeeper().await;
        let mut compaction = housekeeper.compaction(Duration::ZERO).await.unwrap().unwrap();
        assert_eq!(compaction.from().unix_timestamp() * 1_000, self.from_ms);
        let mut merged = Merged::default();
        while let Some(more) = merge_next(&mut compaction, &mut housekeeper).await {
            merged.chunk_count += more.chunk_count;
            merged.bytes += more.bytes;
        }
        merged
    }

    async fn chunk_count(&self) -> i64 {
        self.scene.database.number("select count(*) from chunk").await
    }

    async fn body_bytes(&self) -> i64 {
        self.scene.database.number("select sum(octet_length(body))::bigint from chunk").await
    }

    async fn stored_bytes(&self) -> i64 {
        self.scene.database.number("select sum(pg_column_size(chunk.*))::bigint from chunk").await
    }

    /// Every notice with the fingerprint and lane that it is kept under; chunks are what they say.
    async fn bodies(&self) -> BTreeMap<NoticeId, (i64, i32, Vec<u8>)> {
        let rows = sqlx::query("select * from chunk").fetch_all(&self.scene.database.pool).await.unwrap();
        let mut bodies = BTreeMap::new();
        for row in rows {
            let items = chunk::decode(row.get("codec"), row.get("body")).unwrap();
            let raw_bytes = 1 + items.iter().map(|item| 28 + item.body.len()).sum::<usize>();
            assert_eq!(items.len() as i32, row.get::<i32, _>("notice_count"));
            assert_eq!(raw_bytes as i32, row.get::<i32, _>("raw_bytes"));
            assert!(items.len() <= chunk::NOTICES_MAX && raw_bytes <= chunk::RAW_BYTES_MAX);
            let ids: Vec<NoticeId> = items.iter().map(|item| item.id).collect();
            let (first, last) = (*ids.iter().min().unwrap(), *ids.iter().max().unwrap());
            assert_eq!((first.as_uuid(), last.as_uuid()), (row.get("first_id"), row.get("last_id")));
            assert_eq!(first.accepted_at_ms() / chunk::SPAN_MS, last.accepted_at_ms() / chunk::SPAN_MS);
            let last_at: OffsetDateTime = row.get("last_at");
            assert_eq!(last_at.unix_timestamp_nanos() / 1_000_000, i128::from(last.accepted_at_ms()));
            let lane: i32 = row.get("lane");
            for Item { id, body, .. } in items {
                assert_eq!(i32::from(id.lane()), lane);
                assert!(bodies.insert(id, (row.get("fingerprint_id"), lane, body)).is_none(), "{id} is there twice");
            }
        }
        bodies
    }

    async fn audit(&self) {
        let audit = Admin::connect(&self.scene.database.url).await.unwrap().audit(Some(1)).await.unwrap();
        assert!(audit.findings.is_empty(), "{:#?}", audit.findings);
    }

    /// All of a group's notices, page by page, newest first.
    async fn walk(&self, group_id: i64, limit: usize) -> Vec<NoticeId> {
        let opened = self.scene.opened().await;
        let mut seen = Vec::new();
        let mut before = None;
        loop {
            let page = self.scene.reader.notices(&opened, group_id, before, limit).await.unwrap();
            seen.extend(page.notices.iter().map(|notice| notice.id));
            match page.next {
                Some(next) => before = Some(next),
                None => return seen,
            }
        }
    }

    /// Puts the groups of these classes together.
    async fn one_group(&self, classes: &[&str]) -> i64 {
        let group_id = self.scene.group_id(classes[0]).await;
        sqlx::query("update fingerprint set group_id = $1")
            .bind(group_id)
            .execute(&self.scene.database.pool)
            .await
            .unwrap();
        group_id
    }
}

/// Goes on until something was merged; `None` at the end of the stretch.
async fn merge_next(compaction: &mut Compaction, housekeeper: &mut Housekeeper) -> Option<Merged> {
    loop {
        match compaction.step(housekeeper).await.unwrap() {
            Step::Looked => {}
            Step::Merged(merged) => return Some(merged),
            Step::Done => return None,
        }
    }
}

/// Fails with what is missing and what is too much, not with thousands of ids.
fn assert_walked(seen: &[NoticeId], expected: &[NoticeId], limit: usize) {
    let set = |ids: &[NoticeId]| ids.iter().copied().collect::<BTreeSet<_>>();
    let missing = set(expected).difference(&set(seen)).count();
    assert!(seen == expected, "pages of {limit}: {} of {}, {missing} missing", seen.len(), expected.len());
}

fn newest_first<'a>(ids: impl IntoIterator<Item = &'a NoticeId>) -> Vec<NoticeId> {
    let mut ids: Vec<NoticeId> = ids.into_iter().copied().collect();
    ids.sort_unstable();
    ids.reverse();
    ids
}

#[tokio::test]
async fn hundreds_of_small_chunks_become_few_with_the_same_notices() {
    let past = Past::new(3).await;
    past.crowd(&["Shop::One", "Shop::Two", "Shop::Three"], 40, 1).await;
    // In another stretch, by a millisecond.
    for number in 0..3 {
        past.scene.write("Shop::One", &[past.id(-1, 0, number)]).await;
        past.scene.write("Shop::One", &[past.id(chunk::SPAN_MS, 0, number)]).await;
    }
    let before = past.bodies().await;
    let (rows, bytes, stored) = (past.chunk_count().await, past.body_bytes().await, past.stored_bytes().await);

    let merged = past.compact().await;

    let (rows_after, bytes_after) = (past.chunk_count().await, past.body_bytes().await);
    let stored_after = past.stored_bytes().await;
    println!(
        "{} notices: {rows} chunks, {bytes} bytes of bodies, rows of {stored}; then {rows_after}, {bytes_after}, {stored_after}",
        before.len()
    );
    assert!(past.bodies().await == before);
    assert_eq!(rows, 3 * 40 * 4 + 6);
    assert_eq!(rows_after, 3 * 4 + 6, "one for each class and lane, and those of other stretches");
    assert_eq!(i64::try_from(merged.chunk_count).unwrap(), rows - rows_after);
    assert_eq!(i64::try_from(merged.bytes).unwrap(), bytes - bytes_after);
    assert!(bytes_after * 3 < bytes);
    past.audit().await;

    // Once and no more, also when it is asked to do it again.
    let places = "select hashtext(string_agg(ctid::text || xid || id, ',' order by tableoid, ctid))::bigint from chunk";
    let at = past.scene.database.number(places).await;
    past.begin_again().await;
    assert_eq!(past.compact().await, Merged::default());
    assert_eq!(past.scene.database.number(places).await, at);
}

#[tokio::test]
async fn merged_chunks_stay_within_the_limits_and_half_full_ones_are_left_alone() {
    let past = Past::new(3).await;
    let mut number = 0;
    let mut ids = |count: u64| -> Vec<NoticeId> {
        number += count;
        (number - count..number).map(|n| past.id((n * 100) as i64, 1, n)).collect()
    };
    for count in [300, 300, 300, 500, 300, 300] {
        past.scene.write("Shop::Many", &ids(count)).await;
    }
    let long = "so much to tell ".repeat(100_000 / 16);
    for _ in 0..5 {
        past.scene.write_with("Shop::Big", &long, "production", "1", &ids(3)).await;
    }
    past.scene.write_with("Shop::Big", &long, "production", "1", &ids(6)).await;
    let before = past.bodies().await;
    past.compact().await;
    assert!(past.bodies().await == before);
    let counts = async |class: &str| -> Vec<i32> {
        sqlx::query_scalar(
            "select notice_count from chunk join fingerprint f on f.id = fingerprint_id
             join grp_text t on t.group_id = f.group_id where class = $1 order by xid, chunk.id",
        )
        .bind(class)
        .fetch_all(&past.scene.database.pool)
        .await
        .unwrap()
    };
    assert_eq!(counts("Shop::Many").await, [900, 500, 600]);
    assert_eq!(counts("Shop::Big").await, [9, 6, 6]);
    past.audit().await;
}

#[tokio::test]
async fn whoever_follows_the_list_of_what_became_visible_misses_nothing() {
    let past = Past::new(3).await;
    let ids = past.crowd(&["Shop::One", "Shop::Two", "Shop::Three"], 20, 1).await;
    let all: BTreeSet<NoticeId> = ids.into_values().flatten().collect();
    let opened = past.scene.opened().await;
    for limit in [1, 7, 50] {
        // Each time from many small chunks.
        let kept = sqlx::query("create table if not exists kept as select * from chunk");
        kept.execute(&past.scene.database.pool).await.unwrap();
        sqlx::raw_sql("truncate chunk; insert into chunk overriding system value select * from kept")
            .execute(&past.scene.database.pool)
            .await
            .unwrap();
        past.begin_again().await;
        let mut housekeeper = past.housekeeper().await;
        let mut compaction = housekeeper.compaction(Duration::ZERO).await.unwrap().unwrap();
        let (mut seen, mut merges, mut page_count) = (Vec::new(), 0, 0);
        let mut cursor: Option<String> = None;
        let mut idle = 0;
        while seen.iter().collect::<BTreeSet<_>>().len() < all.len() && idle < 200 {
            let page = past.scene.reader.notices_since(&opened, None, cursor.as_deref(), limit).await.unwrap().unwrap();
            seen.extend(page.notices.iter().map(|notice| notice.id));
            cursor = Some(page.resume);
            page_count += 1;
            // The first merges come when something was read, the last before all was.
            if page_count * limit * 2 > merges * all.len() / 12
                && merge_next(&mut compaction, &mut housekeeper).await.is_some()
            {
                merges += 1;
            }
            if page.next.is_none() {
                // Transactions of other tests hold the list back.
                idle += 1;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        println!("pages of {limit}: {} notices, {} seen, {merges} merges meanwhile", all.len(), seen.len());
        assert!(merges > 3, "{merges}");
        let missing = all.difference(&seen.into_iter().collect()).count();
        assert_eq!(missing, 0, "pages of {limit}");
    }
}

#[tokio::test]
async fn pages_show_the_same_before_and_after() {
    let past = Past::new(3).await;
    let classes = ["Shop::One", "Shop::Two"];
    let ids = past.crowd(&classes, 40, 1).await;
    let expected = newest_first(ids.values().flatten());
    let group_id = past.one_group(&classes).await;
    let opened = past.scene.opened().await;
    let reader = &past.scene.reader;
    let look = async || {
        let mut singles = Vec::new();
        let mut took = [Duration::ZERO; 3];
        for id in expected.iter().step_by(16) {
            let began_at = Instant::now();
            let notice = reader.notice(&opened, *id).await.unwrap().unwrap();
            took[0] += began_at.elapsed();
            assert_eq!(notice.notice.errors[0].message, Some(id.to_string()));
            let began_at = Instant::now();
            assert!(reader.notice_in_group(&opened, group_id, *id).await.unwrap().is_some());
            took[1] += began_at.elapsed();
            let began_at = Instant::now();
            let around = reader.around(&opened, group_id, *id).await.unwrap();
            took[2] += began_at.elapsed();
            singles.push((notice.notice, notice.why, around));
        }
        println!("{} times: by id, in the group, around it took {took:?}", singles.len());
        (
            singles,
            past.walk(group_id, 7).await,
            past.walk(group_id, 200).await,
            reader.oldest(&opened, group_id).await.unwrap(),
        )
    };
    let before = look().await;
    assert_walked(&before.1, &expected, 7);
    past.compact().await;
    assert_eq!(past.chunk_count().await, 8);
    assert!(look().await == before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whoever_reads_while_chunks_are_merged_misses_nothing() {
    let stretches = 3;
    let past = Arc::new(Past::new(stretches + 1).await);
    let classes = ["Shop::One", "Shop::Two", "Shop::Three", "Shop::Four"];
    let ids = past.crowd(&classes, 50, stretches).await;
    let expected = newest_first(ids.values().flatten());
    let group_id = past.one_group(&classes).await;
    let (before, rows) = (past.bodies().await, past.chunk_count().await);

    let is_over = Arc::new(AtomicBool::new(false));
    let mut readers = tokio::task::JoinSet::new();
    for limit in [25, 60, 1_000] {
        let (past, expected, is_over) = (past.clone(), expected.clone(), is_over.clone());
        readers.spawn(async move {
            let mut rounds = 0_u64;
            while !is_over.load(Ordering::Relaxed) {
                assert_walked(&past.walk(group_id, limit).await, &expected, limit);
                rounds += 1;
            }
            rounds
        });
    }
    let (again, expected_too, is_over_too) = (past.clone(), expected.clone(), is_over.clone());
    readers.spawn(async move {
        let opened = again.scene.opened().await;
        let mut rounds = 0_u64;
        while !is_over_too.load(Ordering::Relaxed) {
            let at = (rounds * 7_919) as usize % expected_too.len();
            let around = Around {
                older: expected_too.get(at + 1).copied(),
                newer: at.checked_sub(1).map(|newer| expected_too[newer]),
            };
            let id = expected_too[at];
            assert_eq!(again.scene.reader.around(&opened, group_id, id).await.unwrap(), around);
            assert!(again.scene.reader.notice(&opened, id).await.unwrap().is_some());
            rounds += 1;
        }
        rounds
    });

    let mut housekeeper = past.housekeeper().await;
    let mut merges = 0;
    for _ in 0..stretches {
        let mut compaction = housekeeper.compaction(Duration::ZERO).await.unwrap().unwrap();
        while merge_next(&mut compaction, &mut housekeeper).await.is_some() {
            merges += 1;
            tokio::time::sleep(Duration::from_millis(40)).await;
        }
    }
    is_over.store(true, Ordering::Relaxed);
    let rounds = readers.join_all().await;
    println!("{} notices, {rows} chunks, {merges} merges, meanwhile rounds of readers: {rounds:?}", expected.len());
    assert!(rounds.iter().all(|rounds| *rounds > 0), "{rounds:?}");
    assert_eq!(merges, 4 * 4 * stretches);
    assert!(past.bodies().await == before);
}

/// Cuts the connection of whoever keeps house.
const CUT: &str = "select count(pg_terminate_backend(pid)) from pg_locks
    where locktype = 'advisory' and database = (select oid from pg_database where datname = current_database())";

/// Merges to the end of the stretch. Says whether it was cut before.
async fn is_cut(compaction: &mut Compaction, housekeeper: &mut Housekeeper) -> bool {
    loop {
        match compaction.step(housekeeper).await {
            Ok(Step::Done) => return false,
            Ok(_) => {}
            Err(_) => return true,
        }
    }
}

#[tokio::test]
async fn a_housekeeper_that_dies_in_the_middle_loses_nothing_and_the_next_goes_on() {
    let past = Past::new(3).await;
    past.crowd(&["Shop::One", "Shop::Two", "Shop::Three"], 20, 1).await;
    let before = past.bodies().await;
    let rows = past.chunk_count().await;

    // Between two bins.
    let mut housekeeper = past.housekeeper().await;
    let mut compaction = housekeeper.compaction(Duration::ZERO).await.unwrap().unwrap();
    merge_next(&mut compaction, &mut housekeeper).await.unwrap();
    drop(housekeeper);
    let between = past.chunk_count().await;
    assert!(between < rows);
    assert!(past.bodies().await == before);

    // In the middle of one: its connection is cut while it waits for a lock.
    let mut lock = past.scene.database.pool.begin().await.unwrap();
    sqlx::query("lock table chunk in exclusive mode").execute(&mut *lock).await.unwrap();
    let mut housekeeper = past.housekeeper().await;
    let mut compaction = housekeeper.compaction(Duration::ZERO).await.unwrap().unwrap();
    let work = tokio::spawn(async move { is_cut(&mut compaction, &mut housekeeper).await });
    let waiting =
        "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
    let began = Instant::now();
    while past.scene.database.number(waiting).await == 0 {
        assert!(began.elapsed() < Duration::from_secs(20), "it never waits for the lock");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    past.scene.database.number(CUT).await;
    lock.rollback().await.unwrap();
    assert!(work.await.unwrap(), "it ended before it was cut");
    assert!(past.bodies().await == before);

    // Anywhere, as far as it has not ended before.
    let mut cuts = 0;
    for pause_us in (0..20).map(|cut| cut * 1_500) {
        let mut housekeeper = past.housekeeper().await;
        let Some(mut compaction) = housekeeper.compaction(Duration::ZERO).await.unwrap() else { break };
        if compaction.from().unix_timestamp() * 1_000 != past.from_ms {
            break;
        }
        let work = tokio::spawn(async move { is_cut(&mut compaction, &mut housekeeper).await });
        tokio::time::sleep(Duration::from_micros(pause_us)).await;
        past.scene.database.number(CUT).await;
        cuts += i32::from(work.await.unwrap());
        assert!(past.bodies().await == before);
    }
    println!("{rows} chunks, {between} after one merge, cut off {cuts} times more");

    past.begin_again().await;
    past.compact().await;
    assert!(past.bodies().await == before);
    assert_eq!(past.chunk_count().await, 12);
    past.audit().await;
}

#[tokio::test]
async fn a_stretch_is_left_alone_until_it_has_been_over_for_a_while_and_old_ones_for_ever() {
    let past = Past::new(3).await;
    let mut housekeeper = past.housekeeper().await;
    assert!(housekeeper.compaction(Duration::from_secs(10 * 600)).await.unwrap().is_none());
    assert!(housekeeper.compaction(Duration::from_secs(600)).await.unwrap().is_some());
    let set = |ago: &'static str| sqlx::query(ago).execute(&past.scene.database.pool);
    set("update compaction set merged_until = now() - interval '3 days'").await.unwrap();
    let compaction = housekeeper.compaction(Duration::ZERO).await.unwrap().unwrap();
    let back = OffsetDateTime::now_utc() - compaction.from();
    assert!(back >= time::Duration::hours(24) && back < time::Duration::hours(25), "{back}");
    set("update compaction set merged_until = now() + interval '1 minute'").await.unwrap();
    assert!(housekeeper.compaction(Duration::ZERO).await.unwrap().is_none());
}
