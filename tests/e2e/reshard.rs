//! The number of lanes changes while everything runs and some of it dies: each notice that got a 2xx is stored exactly once,
//! and found by its id.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use tests::installation::ALL_ROLES;
use tests::load::{Ledger, Load};
use tests::samples::XmlNotice;
use tests::servers::RedisLimits;
use tests::{Installation, bodies, wait_until};
use uuid::Uuid;

/// What each of two gateways takes.
const NOTICES_PER_SECOND: u32 = 100;

/// How long notices come in between one change and the next.
const PHASE: Duration = Duration::from_secs(4);

/// Everything must be stored this soon after the last notice came in.
const DRAIN_LIMIT: Duration = Duration::from_secs(60);

/// An epoch that nobody has anything for is retired this soon: it is looked for every 10 s.
const RETIRE_LIMIT: Duration = Duration::from_secs(60);

/// Requests for notices at a time.
const ASKED_AT_ONCE: usize = 16;

#[tokio::test(flavor = "multi_thread")]
async fn i14_nothing_is_lost_or_doubled_when_the_number_of_lanes_changes() {
    let mut croak = Installation::with_private_servers(RedisLimits::default()).await;
    croak.settings = vec![("CROAK_LANES_QUIET_S", "3".to_owned())];
    croak.start_worker(ALL_ROLES).await;
    croak.start_worker(ALL_ROLES).await;
    croak.start_web().await;
    croak.start_gateway().await;
    let mut second = croak.another_gateway("second", &croak.folder().join("second")).await;
    let loads = [croak.gateway_address(), second.address()].map(|at| Load::start(at, NOTICES_PER_SECOND, varied));
    tokio::time::sleep(PHASE).await;

    // A gateway dies with notices for the lanes of epoch 0, which are on its disk alone.
    croak.redis.as_mut().expect("it has its own").kill();
    tokio::time::sleep(PHASE / 2).await;
    second.process.kill();
    croak.redis.as_mut().expect("it has its own").start_again().await;

    croak.croak(&["lanes", "reshard", "--lanes", "128"]);
    let pool = croak.pool();
    wait_until("notices are stored by way of the new lanes", DRAIN_LIMIT, async || {
        let stored: i64 =
            sqlx::query_scalar("select count(*) from chunk where lane >= 64").fetch_one(&pool).await.ok()?;
        (stored > 0).then_some(())
    })
    .await;
    let backlog: i64 = bodies::count(&pool).await;
    second.start_again();
    second.ready().await;
    tokio::time::sleep(PHASE).await;

    // One of the workers is away while the number changes again.
    croak.workers[1].process.kill();
    croak.croak(&["lanes", "reshard", "--lanes", "32"]);
    tokio::time::sleep(PHASE).await;
    croak.workers[1].start_again();
    croak.workers[1].ready().await;
    tokio::time::sleep(PHASE).await;

    let mut ledger = Ledger::default();
    for load in loads {
        let part = load.stop().await;
        ledger.accepted.extend(part.accepted);
        ledger.unanswered += part.unanswered;
    }
    let accepted: HashSet<Uuid> = ledger.accepted.iter().copied().collect();
    let missing = |copies: &HashMap<Uuid, u32>| accepted.iter().filter(|id| !copies.contains_key(id)).count();
    let stopped_at = Instant::now();
    // Late, it is said below what is missing.
    let copies = wait_until("what was accepted is read", DRAIN_LIMIT * 2, async || {
        let copies = bodies::copies(&pool).await;
        (missing(&copies) == 0 || stopped_at.elapsed() > DRAIN_LIMIT).then_some(copies)
    })
    .await;
    let missing = missing(&copies);
    let doubled = copies.values().filter(|copies| **copies > 1).count();
    let extra = copies.keys().filter(|id| !accepted.contains(id)).count();
    let by_epoch =
        [0..64, 64..192, 192..224].map(|lanes| accepted.iter().filter(|id| lanes.contains(&lane_of(**id))).count());
    println!(
        "2xx {} (by epoch {by_epoch:?}) / missing {missing} / doubled {doubled} / extra {extra}; unanswered {}; stored \
         before the second gateway was back {backlog}",
        accepted.len(),
        ledger.unanswered
    );
    assert_eq!((missing, doubled), (0, 0));
    assert!(extra as u64 <= ledger.unanswered, "{extra} are stored that nobody sent");
    assert!(by_epoch.iter().all(|count| *count > 100), "each epoch has had its notices: {by_epoch:?}");
    assert_eq!(by_epoch.iter().sum::<usize>(), accepted.len(), "and there are no others");
    croak.croak(&["audit"]);

    let api = croak.api();
    let found = futures::stream::iter(&accepted).map(|id| {
        let api = &api;
        async move { api.get(&format!("/projects/1/notices/{id}")).await.is_ok_and(|(status, _)| status == 200) }
    });
    let found = found.buffer_unordered(ASKED_AT_ONCE).filter(|found| std::future::ready(*found)).count().await;
    assert_eq!(found, accepted.len(), "each is found by its id");

    wait_until("the older epochs are retired", RETIRE_LIMIT, async || {
        let epochs = croak.croak_json(&["lanes", "list"]);
        let states: Vec<&str> = (0..3).filter_map(|epoch| epochs[epoch]["state"].as_str()).collect();
        (states == ["retired", "retired", "current"]).then_some(())
    })
    .await;
    wait_until("the workers hold the lanes of the current epoch and no others", RETIRE_LIMIT, async || {
        let held: Vec<i32> = sqlx::query_scalar("select lane from lane_state where lease_until > now() order by lane")
            .fetch_all(&pool)
            .await
            .ok()?;
        (held == (192..224).collect::<Vec<_>>()).then_some(())
    })
    .await;
}

/// The lane that an id says.
fn lane_of(id: Uuid) -> u16 {
    u16::from_be_bytes([id.as_bytes()[6], id.as_bytes()[7]]) & 0x0fff
}

/// Fifty different errors of a thousand users.
fn varied(n: u64) -> Vec<u8> {
    XmlNotice { class: format!("Failure{}", n % 50), user: (n % 1000).to_string(), ..XmlNotice::default() }.request()
}
