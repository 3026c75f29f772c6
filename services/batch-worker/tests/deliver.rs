//! From a new group to its receiver.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use hmac::{Hmac, KeyInit as _, Mac as _};
use support::{Bench, notice, record};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use uuid::Uuid;

/// A call as it came.
#[derive(Debug, Clone)]
struct Call {
    headers: HashMap<String, String>,
    body: String,
}

/// A receiver that refuses the first `refusals` calls.
async fn receiver(refusals: usize) -> (String, Arc<Mutex<Vec<Call>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/hook", listener.local_addr().unwrap());
    let calls = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&calls);
    tokio::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut bytes = Vec::new();
            let call = loop {
                let mut part = [0; 4096];
                let count = socket.read(&mut part).await.unwrap();
                bytes.extend_from_slice(&part[..count]);
                if let Some(call) = parse(&bytes) {
                    break call;
                }
            };
            let count = {
                let mut calls = kept.lock().unwrap();
                calls.push(call);
                calls.len()
            };
            let status = if count > refusals { "204 No Content" } else { "500 Internal Server Error" };
            let answer = format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
            socket.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    (address, calls)
}

fn parse(bytes: &[u8]) -> Option<Call> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let headers: HashMap<String, String> = head
        .lines()
        .skip(1)
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    let length: usize = headers.get("content-length")?.parse().ok()?;
    (body.len() == length).then(|| Call { headers, body: body.to_owned() })
}

async fn webhook(bench: &Bench, url: &str) {
    sqlx::query("insert into webhook (project_id, url, secret) values (1, $1, 'a secret of the test')")
        .bind(url)
        .execute(&bench.database.pool)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_receiver_that_fails_is_called_again_with_the_same_id_and_a_signature() {
    let bench = Bench::new().await;
    let (url, calls) = receiver(1).await;
    webhook(&bench, &url).await;
    let worker = bench.worker_with("fold,deliver", &["--deliver-allow-private", "true"]).await;
    bench.ship(Uuid::now_v7(), 1, &record(5, 1, &notice("Timeout"))).await;
    bench
        .until("it is delivered", async || {
            bench.number("select count(*) from outbox where done_at is not null").await == 1
        })
        .await;
    worker.stop().await;

    let calls = calls.lock().unwrap().clone();
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
    let (url, calls) = receiver(0).await;
    webhook(&bench, &url).await;
    let worker = bench.worker("fold,deliver").await;
    bench.ship(Uuid::now_v7(), 1, &record(5, 1, &notice("Timeout"))).await;
    bench
        .until("it was tried", async || bench.number("select count(*) from delivery where status is null").await == 1)
        .await;
    worker.stop().await;
    assert!(calls.lock().unwrap().is_empty());
}
