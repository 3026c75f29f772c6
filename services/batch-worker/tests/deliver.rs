//! From a new group to its receiver.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod receiver;
mod support;

use base64::Engine as _;
use hmac::{Hmac, KeyInit as _, Mac as _};
use receiver::Receiver;
use support::{Bench, notice, record};
use uuid::Uuid;

async fn webhook(bench: &Bench, url: &str) {
    sqlx::query("insert into destination (project_id, kind, name, url, secret) values (1, 'webhook', 'test', $1, 'a secret of the test')")
        .bind(url)
        .execute(&bench.database.pool)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_receiver_that_fails_is_called_again_with_the_same_id_and_a_signature() {
    let bench = Bench::new().await;
    let receiver = Receiver::refusing(1).await;
    webhook(&bench, &receiver.url()).await;
    let worker = bench.worker_with("fold,deliver", &["--deliver-allow-private", "true"]).await;
    bench.ship(Uuid::now_v7(), 1, &record(5, 1, &notice("Timeout"))).await;
    bench
        .until("it is delivered", async || {
            bench.number("select count(*) from outbox where done_at is not null").await == 1
        })
        .await;
    worker.stop().await;

    let calls = receiver.calls();
    assert_eq!(calls.len(), 2);
    assert_eq!(bench.number("select count(*) from delivery").await, 2);
    assert_eq!(calls[0].headers["webhook-id"], calls[1].headers["webhook-id"]);
    assert_eq!(calls[0].body, calls[1].body);
    for call in &calls {
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(b"a secret of the test").unwrap();
        mac.update(
            format!("{}.{}.{}", call.headers["webhook-id"], call.headers["webhook-timestamp"], call.body).as_bytes(),
        );
        let expected = format!("v1,{}", base64::engine::general_purpose::STANDARD.encode(mac.finalize().into_bytes()));
        assert_eq!(call.headers["webhook-signature"], expected);
    }
    let told: serde_json::Value = serde_json::from_str(&calls[0].body).unwrap();
    assert_eq!((told["type"].as_str(), told["data"]["class"].as_str()), (Some("group.new"), Some("Timeout")));
}

#[tokio::test]
async fn a_receiver_inside_is_not_called_unless_the_operator_says_so() {
    let bench = Bench::new().await;
    let receiver = Receiver::start().await;
    webhook(&bench, &receiver.url()).await;
    let worker = bench.worker("fold,deliver").await;
    bench.ship(Uuid::now_v7(), 1, &record(5, 1, &notice("Timeout"))).await;
    bench
        .until("it was tried", async || bench.number("select count(*) from delivery where status is null").await == 1)
        .await;
    worker.stop().await;
    assert!(receiver.calls().is_empty());
}

#[tokio::test]
async fn a_receiver_that_says_nothing_holds_up_nobody_else() {
    let bench = Bench::new().await;
    let (silent, receiver) = (Receiver::silent().await, Receiver::start().await);
    for url in [silent.url(), receiver.url()] {
        webhook(&bench, &url).await;
    }
    bench
        .run(
            "insert into outbox (destination_id, project_id, kind, body)
             select d.id, 1, 'group.new', '{}' from destination d, generate_series(1, 20) where d.kind = 'webhook'",
        )
        .await;
    let worker = bench.worker_with("deliver", &["--deliver-allow-private", "true"]).await;
    let began = std::time::Instant::now();
    bench
        .until("they are delivered", async || {
            bench.number("select count(*) from outbox where done_at is not null").await == 20
        })
        .await;
    assert!(began.elapsed().as_secs() < 10, "sooner than the silent one is given up: {:?}", began.elapsed());
    assert_eq!(receiver.calls().len(), 20);
    worker.stop().await;
}
