//! From the outbox to a real mail server.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod mail_server;
mod support;

use mail_server::MailServer;
use serde_json::{Value, json};
use support::{Bench, Worker};
use uuid::Uuid;

const FROM: &str = "Croak <croak@croak.test>";

/// Puts a mail into the outbox, as `store` does in the transaction of what it tells about.
async fn queue(bench: &Bench, mail: &Value) -> Uuid {
    sqlx::query_scalar("insert into outbox (recipient, kind, body) values ($1, 'account.verify', $2) returning id")
        .bind(mail["to"].as_str())
        .bind(mail)
        .fetch_one(&bench.database.pool)
        .await
        .unwrap()
}

fn mail(to: &str) -> Value {
    json!({ "to": to, "subject": "Verify your address", "text": "https://croak.test/verify?token=secret\n" })
}

async fn worker(bench: &Bench, url: &str) -> Worker {
    bench.worker_with("deliver", &["--smtp-url", url, "--mail-from", FROM]).await
}

async fn until_sent(bench: &Bench, count: i64) {
    bench
        .until("they are sent", async || {
            bench.number("select count(*) from outbox where done_at is not null").await == count
        })
        .await;
}

#[tokio::test]
async fn a_mail_arrives_as_it_was_meant_and_is_not_kept() {
    let bench = Bench::new().await;
    let server = MailServer::start();
    let thread = json!({
        "to": "ann@example.test",
        "subject": "Größe fehlt: NoMethodError in CartController#checkout – and what it says is longer than a line of a mail may be",
        "text": "Grüße\n.\nhttps://croak.test/projects/1/groups/17\n",
        "html": "<p>Grüße <a href=\"https://croak.test/projects/1/groups/17\">17</a></p>",
        "thread": "group-1-17",
        "unsubscribe_url": "https://croak.test/unsubscribe/abc",
    });
    let id = queue(&bench, &thread).await;
    let worker = worker(&bench, &server.url()).await;
    until_sent(&bench, 1).await;
    worker.stop().await;

    let mails = server.mails();
    assert_eq!(mails.len(), 1);
    let (mail, headers) = (&mails[0], &mails[0]["headers"]);
    assert_eq!((&mail["from"], &mail["to"]), (&json!("croak@croak.test"), &json!(["ann@example.test"])));
    assert_eq!((&headers["from"], &headers["subject"]), (&json!(FROM), &thread["subject"]));
    assert_eq!(mail["text"].as_str().unwrap().replace("\r\n", "\n"), thread["text"].as_str().unwrap());
    assert_eq!(mail["html"].as_str().unwrap().trim_end(), thread["html"].as_str().unwrap());
    assert_eq!(headers["message-id"], format!("<{id}@croak.test>"));
    assert_eq!(headers["references"], "<group-1-17@croak.test>");
    assert_eq!(headers["in-reply-to"], "<group-1-17@croak.test>");
    assert_eq!(headers["list-unsubscribe"], "<https://croak.test/unsubscribe/abc>");
    assert_eq!(headers["list-unsubscribe-post"], "List-Unsubscribe=One-Click");
    assert_eq!(headers["auto-submitted"], "auto-generated");
    assert_eq!(bench.number("select count(*) from outbox where body = '{}'").await, 1);
}

#[tokio::test]
async fn a_refused_address_gives_its_own_mail_up_and_no_other() {
    let bench = Bench::new().await;
    let server = MailServer::start();
    queue(&bench, &mail("refused@example.test")).await;
    queue(&bench, &mail("no address")).await;
    queue(&bench, &mail("ann@example.test")).await;
    let worker = worker(&bench, &server.url()).await;
    until_sent(&bench, 1).await;
    bench
        .until("two are given up", async || {
            bench.number("select count(*) from outbox where gave_up_at is not null and body = '{}'").await == 2
        })
        .await;
    worker.stop().await;

    assert_eq!(server.mails().len(), 1);
    assert_eq!(bench.number("select count(*) from delivery").await, 3);
    let told: String = sqlx::query_scalar("select told from delivery where status = 550")
        .fetch_one(&bench.database.pool)
        .await
        .unwrap();
    assert!(told.contains("nobody of this name") && !told.contains("refused@example.test"), "{told}");
}

#[tokio::test]
async fn a_mail_that_is_put_off_comes_again_and_holds_up_no_other() {
    let bench = Bench::new().await;
    let server = MailServer::start();
    let id = queue(&bench, &mail("later-1@example.test")).await;
    queue(&bench, &mail("ann@example.test")).await;
    let worker = worker(&bench, &server.url()).await;
    until_sent(&bench, 2).await;
    worker.stop().await;

    assert_eq!(server.mails_to("ann@example.test").len(), 1);
    let late = server.mails_to("later-1@example.test");
    assert_eq!((late.len(), &late[0]["headers"]["message-id"]), (1, &json!(format!("<{id}@croak.test>"))));
    assert_eq!(bench.number("select attempt::bigint from outbox where recipient like 'later%'").await, 2);
}

#[tokio::test]
async fn mails_wait_for_a_server_that_is_down_and_lose_no_attempt() {
    let bench = Bench::new().await;
    let port = MailServer::start().port; // dropped at once: nobody listens there
    for n in 0..20 {
        queue(&bench, &mail(&format!("ann-{n}@example.test"))).await;
    }
    let worker = worker(&bench, &format!("smtp://127.0.0.1:{port}")).await;
    bench
        .until("it was tried twice", async || bench.number("select count(distinct at) from delivery").await >= 9)
        .await;
    assert_eq!(bench.number("select max(attempt)::bigint from outbox where claimed_until is null").await, 0);
    let server = MailServer::start_at(port, &[]);
    until_sent(&bench, 20).await;
    worker.stop().await;
    assert_eq!(server.mails().len(), 20);
}

#[tokio::test]
async fn a_wrong_password_is_the_servers_trouble_and_no_mails() {
    let bench = Bench::new().await;
    let server = MailServer::start_with_password("right");
    queue(&bench, &mail("ann@example.test")).await;
    let wrong = worker(&bench, &format!("smtp://croak:wrong@127.0.0.1:{}", server.port)).await;
    bench.until("it was tried", async || bench.number("select count(*) from delivery").await >= 2).await;
    wrong.stop().await;
    assert_eq!(bench.number("select count(*) from outbox where gave_up_at is null and done_at is null").await, 1);

    let right = worker(&bench, &format!("smtp://croak:right@127.0.0.1:{}", server.port)).await;
    until_sent(&bench, 1).await;
    right.stop().await;
    assert_eq!(server.mails().len(), 1);
}

#[tokio::test]
async fn without_a_server_mails_wait_and_the_status_says_so() {
    let bench = Bench::new().await;
    queue(&bench, &mail("ann@example.test")).await;
    let worker = bench.worker("deliver").await;
    bench.until("the worker is known", async || bench.number("select count(*) from worker").await == 1).await;
    let status = store::Admin::connect(&bench.database.url).await.unwrap().status().await.unwrap();
    assert_eq!((status.mail_waiting_count, status.workers[0].sends_mail), (1, false));
    worker.stop().await;
    assert_eq!(bench.number("select count(*) from delivery").await, 0);
}

#[tokio::test]
async fn mails_for_a_folder_can_be_read_there() {
    let bench = Bench::new().await;
    let folder = tempfile::tempdir().unwrap();
    let id = queue(&bench, &mail("ann@example.test")).await;
    let worker = worker(&bench, &format!("file://{}/mail", folder.path().display())).await;
    until_sent(&bench, 1).await;
    worker.stop().await;
    let written = std::fs::read_to_string(folder.path().join(format!("mail/{id}.eml"))).unwrap();
    assert!(written.contains("To: ann@example.test") && written.contains("/verify?token"), "{written}");
}
