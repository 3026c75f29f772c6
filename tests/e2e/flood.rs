//! Ten times more than everything together can do, for minutes: memory stays bounded, pages answer, what is refused is counted,
//! and what got a 2xx is there afterwards.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tests::installation::ALL_ROLES;
use tests::load::Load;
use tests::samples::XmlNotice;
use tests::servers::RedisLimits;
use tests::throttle::Throttle;
use tests::visitor::page_times;
use tests::{Installation, bodies};

/// How long the flood lasts, unless CROAK_TEST_FLOOD_SECONDS says otherwise.
const FLOOD_SECONDS: u64 = if cfg!(debug_assertions) { 20 } else { 300 };
/// How long it is tried how much is stored when there is always more to do.
const TRIAL: Duration = Duration::from_secs(if cfg!(debug_assertions) { 5 } else { 15 });
/// How many times that the flood brings.
const TIMES: u32 = 10;
/// And at least so many in a second: on a busy machine a program without optimisation may store next to nothing.
const PER_SECOND_MIN: u32 = 500;

/// What part of a core these may have: the sender and the servers need the others of this machine.
const GATEWAY_SHARE: f64 = 0.5;
const WORKER_SHARE: f64 = 0.1;

/// Connections that wait for answers at the same time. More than a slow gateway answers within a second.
const CONNECTIONS: usize = 512;
/// Small enough to be full within the flood.
const JOURNAL_BYTES_MAX: u64 = if cfg!(debug_assertions) { 4 << 20 } else { 96 << 20 };
const REDIS_MB: u32 = 96;

/// What each may have resident, in MiB.
const GATEWAY_MIB_MAX: u64 = 256;
const WORKER_MIB_MAX: u64 = 256;
const WEB_MIB_MAX: u64 = 128;

/// Within this a page is there, in 99 of 100 cases.
const PAGE_LIMIT: Duration = Duration::from_secs(1);
/// From one page to the next: within the shortest flood they are enough for a hundredth of them to be more than one.
const PAGE_PAUSE: Duration = Duration::from_millis(80);
const DRAIN_LIMIT: Duration = Duration::from_secs(300);

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_ten_times_what_can_be_done_is_borne() {
    let seconds = std::env::var("CROAK_TEST_FLOOD_SECONDS")
        .map_or(FLOOD_SECONDS, |seconds| seconds.parse().expect("a number of seconds"));
    let mut croak = Installation::with_private_servers(RedisLimits { memory_mb: REDIS_MB }).await;
    croak.settings.push(("CROAK_JOURNAL_BYTES_MAX", JOURNAL_BYTES_MAX.to_string()));
    croak.settings.push(("CROAK_LEDGER_EVERY_MS", "1000".to_owned()));
    croak.start_worker(ALL_ROLES).await;
    croak.start_gateway().await;
    croak.start_web().await;

    let gateway = &croak.gateway.as_ref().expect("it runs").process;
    let (worker, web) = (&croak.workers[0].process, &croak.web.as_ref().expect("it runs").process);
    let held = [Throttle::hold(gateway.pid(), GATEWAY_SHARE), Throttle::hold(worker.pid(), WORKER_SHARE)];

    // Always more to do than is done: what is stored meanwhile is what can be done.
    let trial = Load::over(CONNECTIONS, croak.gateway_address(), 1_000_000, notice);
    let before = stored(&croak).await;
    tokio::time::sleep(TRIAL).await;
    let capacity = u32::try_from(stored(&croak).await - before).expect("a count") / TRIAL.as_secs() as u32;
    let mut ledger = trial.stop().await;

    let per_second = (capacity * TIMES).max(PER_SECOND_MIN);
    let flood = Load::over(CONNECTIONS, croak.gateway_address(), per_second, notice);
    let duration = Duration::from_secs(seconds);
    let pages = page_times(croak.web_address(), "/projects/1/groups", duration, PAGE_PAUSE).await;
    let flooded = flood.stop().await;
    let peaks = [gateway, worker, web].map(|process| process.memory_peak_bytes() >> 20);
    drop(held);

    let offered = u64::from(per_second) * seconds;
    ledger.accepted.extend_from_slice(&flooded.accepted);
    ledger.unanswered += flooded.unanswered;
    for (status, count) in &flooded.refused {
        *ledger.refused.entry(*status).or_default() += count;
    }
    let page_p99 = pages[pages.len() * 99 / 100];
    println!(
        "{capacity}/s can be stored; {offered} offered in {seconds} s, {} sent, {} taken, refused {:?}, {} without an answer",
        flooded.sent,
        flooded.accepted.len(),
        flooded.refused,
        flooded.unanswered
    );
    println!(
        "peaks: gateway {} MiB, worker {} MiB, web {} MiB; {} pages, p50 {} ms, p99 {} ms",
        peaks[0],
        peaks[1],
        peaks[2],
        pages.len(),
        pages[pages.len() / 2].as_millis(),
        page_p99.as_millis()
    );
    for (peak, (name, limit)) in
        peaks.iter().zip([("gateway", GATEWAY_MIB_MAX), ("worker", WORKER_MIB_MAX), ("web", WEB_MIB_MAX)])
    {
        assert!(*peak <= limit, "{name} had {peak} MiB, and may have {limit}");
    }
    assert!(page_p99 < PAGE_LIMIT, "pages took {page_p99:?}");
    let refused: u64 = ledger.refused.values().sum();
    assert!(refused > 0, "a flood that is taken whole is none");
    assert!(counted_refusals(&croak).await >= refused, "every refusal is counted");

    // It recovers: everything that was taken is stored, and new notices are taken.
    let drained_since = Instant::now();
    croak.drained(i64::try_from(ledger.accepted.len()).expect("a count"), DRAIN_LIMIT).await;
    println!("drained {} ms after the flood", drained_since.elapsed().as_millis());
    let answer = tests::wire::exchange(croak.gateway_address(), &notice(0)).await.expect("an answer");
    assert_eq!(answer.status, 200, "{}", answer.text());
    ledger.accepted.push(answer.notice_id().expect("an id"));
    let id = ledger.accepted[ledger.accepted.len() - 1];
    croak.api().visible(1, id, Duration::from_secs(5)).await;

    let copies: BTreeMap<_, _> = bodies::copies(&croak.pool()).await.into_iter().collect();
    let missing = ledger.accepted.iter().filter(|id| !copies.contains_key(id)).count();
    let doubled = copies.values().filter(|copies| **copies > 1).count();
    let extra = copies.len() - ledger.accepted.len();
    println!("{} taken, missing {missing}, doubled {doubled}, {extra} stored without an answer", ledger.accepted.len());
    assert_eq!((missing, doubled), (0, 0), "missing, doubled");
    assert!(extra as u64 <= ledger.unanswered, "{extra} more stored than were unanswered");
    croak.croak(&["audit"]);
}

/// Notices of a hundred groups, with 4 KB that compression makes little smaller; each two hundredth has 200 KB.
fn notice(n: u64) -> Vec<u8> {
    let noise: String = (0..4_000).map(|_| char::from(rand::random_range(b'a'..=b'z'))).collect();
    let padding_bytes = if n.is_multiple_of(200) { 200_000 } else { 0 };
    XmlNotice { class: format!("Failure{}", n % 100), user: noise, padding_bytes, ..XmlNotice::default() }.request()
}

async fn stored(croak: &Installation) -> i64 {
    let counted = sqlx::query_scalar("select coalesce(sum(notice_count), 0)::bigint from chunk");
    counted.fetch_one(&croak.pool()).await.expect("the database answers")
}

/// What the gateway says that it refused.
async fn counted_refusals(croak: &Installation) -> u64 {
    let admin = croak.gateway.as_ref().expect("it runs").admin_address();
    let answer = reqwest::get(format!("http://{admin}/metrics")).await.expect("an answer");
    let text = answer.text().await.expect("metrics are text");
    let counts = text.lines().filter(|line| line.starts_with("gateway_refused_total{"));
    counts.map(|line| line.rsplit(' ').next().expect("a value").parse::<u64>().expect("a number")).sum()
}
