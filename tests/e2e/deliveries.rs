//! What people are told arrives, whoever is killed on the way.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use tests::receiver::Receiver;
use tests::{Installation, wait_until};
use uuid::Uuid;

/// Calls in all, for so many destinations.
const CALLS: i64 = 1_000;
const DESTINATIONS: i64 = 4;

/// Kills in all, after so many calls each.
const KILLS: usize = 10;
const CALLS_BETWEEN: usize = 80;

const SOON: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_calls_arrive_under_one_id_each_though_their_senders_are_killed() {
    let mut croak = Installation::new().await;
    let receiver = Receiver::start().await;
    let pool = croak.pool();
    for _ in 0..DESTINATIONS {
        croak.croak(&["destination", "create", "--project", "1", "--kind", "webhook", "--url", &receiver.url()]);
    }
    let queued: Vec<(Uuid, i64)> = sqlx::query_as(
        "insert into outbox (destination_id, project_id, kind, body)
         select d.id, 1, 'group.new', jsonb_build_object('n', n)
         from (select id, row_number() over (order by id) - 1 as place from destination where kind = 'webhook') d
         join generate_series(1, $1) n on n % $2 = d.place
         returning id, (body->>'n')::bigint",
    )
    .bind(CALLS)
    .bind(DESTINATIONS)
    .fetch_all(&pool)
    .await
    .expect("the outbox takes rows");
    assert_eq!(queued.len() as i64, CALLS);
    croak.start_worker("deliver").await;
    croak.start_worker("deliver").await;

    for kill in 0..KILLS {
        let wanted = (kill + 1) * CALLS_BETWEEN;
        wait_until("calls go on", SOON, async || (receiver.calls().len() >= wanted).then_some(())).await;
        let worker = &mut croak.workers[kill % 2];
        worker.process.kill();
        // As if the minute had passed for which the claims of the killed one hold.
        sqlx::raw_sql("update outbox set claimed_until = now() where claimed_until is not null")
            .execute(&pool)
            .await
            .expect("the outbox can be changed");
        worker.start_again();
        worker.ready().await;
    }
    wait_until("all are made", SOON, async || {
        sqlx::raw_sql("update outbox set claimed_until = now() where claimed_until < now() + interval '50 s'")
            .execute(&pool)
            .await
            .expect("the outbox can be changed");
        let done: i64 = sqlx::query_scalar("select count(*) from outbox where done_at is not null")
            .fetch_one(&pool)
            .await
            .expect("the outbox can be read");
        (done == CALLS).then_some(())
    })
    .await;

    let mut ids: HashMap<i64, HashSet<Uuid>> = HashMap::new();
    for call in receiver.calls() {
        let n = call.json()["n"].as_i64().expect("each has its number");
        ids.entry(n).or_default().insert(call.header("webhook-id").parse().expect("an id"));
    }
    let expected: HashMap<i64, HashSet<Uuid>> = queued.into_iter().map(|(id, n)| (n, HashSet::from([id]))).collect();
    assert_eq!(ids, expected, "each came, and always under its own id");
    println!("{} calls for {CALLS} deliveries, {KILLS} kills", receiver.calls().len());
}
