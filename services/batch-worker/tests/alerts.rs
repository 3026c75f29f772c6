//! From a group that meets a rule to the people who hear of it.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod mail_server;
mod receiver;
mod support;

use mail_server::MailServer;
use receiver::Receiver;
use serde_json::{Value, json};
use support::{Bench, Worker, notice, record};
use uuid::Uuid;

const LANE: u16 = 5;

/// A worker that folds and delivers, and where it sends.
async fn worker(bench: &Bench, mail: &MailServer) -> Worker {
    let smtp_url = mail.url();
    let flags =
        ["--smtp-url", &smtp_url, "--mail-from", "Croak <croak@croak.test>", "--public-url", "http://croak.test/"];
    bench.worker_with("fold,deliver", &[&flags[..], &["--deliver-allow-private", "true"]].concat()).await
}

async fn destination(bench: &Bench, kind: &str, url: &str) -> i64 {
    sqlx::query_scalar(
        "insert into destination (project_id, kind, name, url, secret)
         values (1, $1, $1, $2, case when $1 = 'webhook' then 'a secret of the test'::bytea end) returning id",
    )
    .bind(kind)
    .bind(url)
    .fetch_one(&bench.database.pool)
    .await
    .unwrap()
}

async fn member(bench: &Bench, email: &str) -> i64 {
    let id = sqlx::query_scalar("insert into user_account (email, name) values ($1, '') returning id")
        .bind(email)
        .fetch_one(&bench.database.pool)
        .await
        .unwrap();
    sqlx::query("insert into membership (user_id, project_id, role) values ($1, 1, 'member')")
        .bind(id)
        .execute(&bench.database.pool)
        .await
        .unwrap();
    id
}

async fn until(bench: &Bench, what: &str, statement: &'static str, number: i64) {
    bench.until(what, async || bench.number(statement).await == number).await;
}

#[tokio::test]
async fn members_of_a_new_project_hear_of_new_and_returning_groups_in_one_thread() {
    let bench = Bench::new().await;
    let mail = MailServer::start();
    member(&bench, "ann@example.test").await;
    let silent = member(&bench, "bob@example.test").await;
    sqlx::query("insert into notification_choice (user_id, project_id, alerts) values ($1, 1, false)")
        .bind(silent)
        .execute(&bench.database.pool)
        .await
        .unwrap();
    let worker = worker(&bench, &mail).await;
    let journal = Uuid::now_v7();
    bench.ship(journal, 1, &record(LANE, 1, &notice("Timeout"))).await;
    until(&bench, "it is told", "select count(*) from outbox where done_at is not null", 1).await;
    bench.run("update grp set state = 'resolved', version = 2, resolved_at = now() - interval '1 s'").await;
    bench.ship(journal, 1, &record(LANE, 2, &notice("Timeout"))).await;
    until(&bench, "it is told again", "select count(*) from outbox where done_at is not null", 2).await;
    worker.stop().await;

    let mails = mail.mails();
    let headers = |index: usize, name: &str| mails[index]["headers"][name].as_str().unwrap_or_default().to_owned();
    assert_eq!((mails.len(), mails[0]["to"][0].as_str()), (2, Some("ann@example.test")));
    assert_eq!(headers(0, "subject"), "[Shop] New group: Timeout: it does not work");
    assert_eq!(headers(1, "subject"), "[Shop] Came back: Timeout: it does not work");
    assert_eq!(headers(0, "references"), headers(1, "references"));
    assert!(headers(0, "list-unsubscribe").starts_with("<http://croak.test/unsubscribe/"));
    let text = mails[0]["text"].as_str().unwrap();
    assert!(text.contains("http://croak.test/projects/1/groups/") && text.contains("To end these mails"), "{text}");
    assert!(mails[0]["html"].as_str().unwrap().contains("<a href=\"http://croak.test/projects/1/groups/"));
}

#[tokio::test]
async fn each_kind_of_destination_gets_its_form() {
    let bench = Bench::new().await;
    let mail = MailServer::start();
    let receivers =
        [Receiver::start().await, Receiver::start().await, Receiver::start().await, Receiver::start().await];
    for (kind, receiver) in ["webhook", "slack", "discord", "teams"].iter().zip(&receivers) {
        destination(&bench, kind, &receiver.url()).await;
    }
    let worker = worker(&bench, &mail).await;
    bench.ship(Uuid::now_v7(), 1, &record(LANE, 1, &notice("Timeout"))).await;
    until(&bench, "all are told", "select count(*) from outbox where done_at is not null", 4).await;
    worker.stop().await;

    let [webhook, slack, discord, teams] = receivers.map(|receiver| receiver.calls()[0].clone());
    let told = webhook.json();
    assert_eq!((&told["type"], &told["data"]["class"]), (&json!("group.new"), &json!("Timeout")));
    assert_eq!(told["data"]["rule"]["name"], "New groups");
    assert!(webhook.headers.contains_key("webhook-signature"));
    let url = told["data"]["url"].as_str().unwrap();
    let title = "Timeout: it does not work";
    let attachment = &slack.json()["attachments"][0];
    assert_eq!((&attachment["title"], &attachment["title_link"]), (&json!(title), &json!(url)));
    let embed = &discord.json()["embeds"][0];
    assert_eq!((&embed["title"], &embed["url"]), (&json!(title), &json!(url)));
    let card = &teams.json()["attachments"][0]["content"];
    assert_eq!((&card["type"], &card["actions"][0]["url"]), (&json!("AdaptiveCard"), &json!(url)));
    for chat in [slack, discord, teams] {
        assert!(!chat.headers.contains_key("webhook-signature"));
    }
}

#[tokio::test]
async fn a_thousand_new_groups_are_a_few_messages() {
    let bench = Bench::new().await;
    let mail = MailServer::start();
    let receiver = Receiver::start().await;
    destination(&bench, "webhook", &receiver.url()).await;
    let worker = worker(&bench, &mail).await;
    let records: Vec<_> = (1..=1_000).map(|seq| record(LANE, seq, &notice(&format!("Error{seq}")))).collect();
    bench.ship_all(Uuid::now_v7(), 1, &records).await;
    until(&bench, "all have met the rule", "select count(*) from alert", 1_000).await;
    until(&bench, "the first are told", "select count(*) from outbox where done_at is not null", 5).await;
    assert_eq!(bench.number("select count(*) from alert where told_at is null").await, 995);
    // As if a minute had passed.
    bench.run("update alert set at = at - interval '1 min' where told_at is null").await;
    until(&bench, "the rest is told", "select count(*) from outbox where done_at is not null", 6).await;
    worker.stop().await;

    let calls = receiver.calls();
    assert_eq!(calls.len(), 6);
    let rest = calls[5].json();
    assert_eq!((&rest["type"], &rest["data"]["alert_count"]), (&json!("alerts.collected"), &json!(995)));
    assert_eq!(rest["data"]["url"], "http://croak.test/projects/1/groups?sort=first_seen");
    assert_eq!(rest["data"]["groups"].as_array().unwrap().len(), 10);
    assert_eq!(bench.number("select count(*) from alert where told_at is null").await, 0);
}

#[tokio::test]
async fn a_rule_narrows_by_environment_and_severity_and_is_off_when_it_is_off() {
    let bench = Bench::new().await;
    bench.run("update alert_rule set enabled = trigger <> 'new'").await;
    bench.run("insert into alert_rule (project_id, name, trigger, environments) values (1, 'staging', 'new', '{staging}')").await;
    bench
        .run("insert into alert_rule (project_id, name, trigger, severity_min) values (1, 'fatal', 'new', 'fatal')")
        .await;
    bench
        .run("insert into alert_rule (project_id, name, trigger, severity_min) values (1, 'warning', 'new', 'warning')")
        .await;
    let worker = bench.worker("fold").await;
    let mut staging = notice("InStaging");
    staging.environment = Some("staging".to_owned());
    let mut fatal = notice("Fatal");
    fatal.severity = Some("fatal".to_owned());
    let mut info = notice("Info");
    info.severity = Some("info".to_owned());
    let records = [staging, fatal, info, notice("Plain")];
    let records: Vec<_> = (1..).zip(&records).map(|(seq, notice)| record(LANE, seq, notice)).collect();
    bench.ship_all(Uuid::now_v7(), 1, &records).await;
    bench.drained(LANE).await;
    worker.stop().await;
    let met: Vec<(String, String)> = sqlx::query_as(
        "select r.name, t.class from alert a join alert_rule r on r.id = a.rule_id
         join grp_text t on t.project_id = a.project_id and t.group_id = a.group_id order by 1, 2",
    )
    .fetch_all(&bench.database.pool)
    .await
    .unwrap();
    let met: Vec<(&str, &str)> = met.iter().map(|(rule, class)| (rule.as_str(), class.as_str())).collect();
    let expected = [
        ("fatal", "Fatal"),
        ("staging", "InStaging"),
        ("warning", "Fatal"),
        ("warning", "InStaging"),
        ("warning", "Plain"),
    ];
    assert_eq!(met, expected);
}

#[tokio::test]
async fn a_group_meets_a_rule_that_counts_once_in_its_time() {
    let bench = Bench::new().await;
    let mail = MailServer::start();
    let receiver = Receiver::start().await;
    destination(&bench, "webhook", &receiver.url()).await;
    bench.run("update alert_rule set enabled = false").await;
    bench.run("insert into alert_rule (project_id, name, trigger, threshold, window_minutes) values (1, 'often', 'count', 10, 60)").await;
    bench.run("insert into alert_rule (project_id, name, trigger, threshold) values (1, 'many', 'users', 3)").await;
    let worker = worker(&bench, &mail).await;
    let met = |seq: u64| {
        let mut notice = notice("Timeout");
        notice.user = Some(notice::User { id: Some(format!("u{}", seq % 4)), ..notice::User::default() });
        record(LANE, seq, &notice)
    };
    let journal = Uuid::now_v7();
    let records: Vec<_> = (1..=30).map(met).collect();
    bench.ship_all(journal, 1, &records[..20]).await;
    until(&bench, "both are told", "select count(*) from outbox where done_at is not null", 2).await;
    bench.ship_all(journal, 1, &records[20..]).await;
    bench.drained(LANE).await;
    store::Writer::connect(&bench.worker_url())
        .await
        .unwrap()
        .evaluate_alert_rules(store::writer::LooksBack::Shortly)
        .await
        .unwrap();
    worker.stop().await;

    assert_eq!(bench.number("select count(*) from alert").await, 2);
    let mut told: Vec<Value> = receiver.calls().iter().map(receiver::Call::json).collect();
    told.sort_by_key(|told| told["type"].to_string());
    assert_eq!(told[0]["data"]["threshold"], 10);
    assert!(told[0]["data"]["counted"].as_i64().unwrap() > 10);
    assert_eq!((&told[1]["type"], &told[1]["data"]["counted"]), (&json!("group.users"), &json!(4)));
}

#[tokio::test]
async fn a_rule_with_a_search_tells_of_what_it_finds() {
    let bench = Bench::new().await;
    let mail = MailServer::start();
    let receiver = Receiver::start().await;
    destination(&bench, "webhook", &receiver.url()).await;
    bench.run("update alert_rule set search = 'class:Timeout environment:production' where trigger = 'new'").await;
    let worker = worker(&bench, &mail).await;
    let mut elsewhere = notice("Timeout");
    elsewhere.environment = Some("staging".to_owned());
    elsewhere.errors[0].frames[0].function = Some("load".to_owned());
    let records = [notice("Timeout"), notice("KeyError"), elsewhere];
    let records: Vec<_> = (1..).zip(&records).map(|(seq, notice)| record(LANE, seq, notice)).collect();
    bench.ship_all(Uuid::now_v7(), 1, &records).await;
    until(&bench, "all are looked at", "select count(*) from alert where told_at is not null", 3).await;
    until(&bench, "one is told", "select count(*) from outbox where done_at is not null", 1).await;
    worker.stop().await;
    assert_eq!(bench.number("select count(*) from alert where told_as = 'passed_over'").await, 2);
    assert_eq!(receiver.calls()[0].json()["data"]["class"], "Timeout");
}

#[tokio::test]
async fn quiet_hours_and_digests_wait_and_tell_together() {
    let bench = Bench::new().await;
    let mail = MailServer::start();
    let receiver = Receiver::start().await;
    destination(&bench, "webhook", &receiver.url()).await;
    // Quiet for twelve hours around now, where it is noon when it is midnight elsewhere.
    bench
        .run(
            "update alert_rule set time_zone = 'Pacific/Auckland',
                 quiet_from = mod(here - 360 + 1440, 1440), quiet_until = mod(here + 360, 1440)
             from (select (extract(hour from now() at time zone 'Pacific/Auckland') * 60)::int as here) there",
        )
        .await;
    let worker = worker(&bench, &mail).await;
    let records: Vec<_> = (1..=3).map(|seq| record(LANE, seq, &notice(&format!("Error{seq}")))).collect();
    bench.ship_all(Uuid::now_v7(), 1, &records).await;
    until(&bench, "they have met the rule", "select count(*) from alert", 3).await;
    tokio::time::sleep(std::time::Duration::from_millis(1_500)).await; // three looks
    assert_eq!(bench.number("select count(*) from outbox").await, 0);

    bench.run("update alert_rule set quiet_from = null, quiet_until = null, digest_minutes = 30").await;
    bench.run("update alert set at = at - interval '31 min'").await;
    until(&bench, "it is told", "select count(*) from outbox where done_at is not null", 1).await;
    worker.stop().await;
    let calls = receiver.calls();
    assert_eq!((calls.len(), &calls[0].json()["data"]["alert_count"]), (1, &json!(3)));
}

#[tokio::test]
async fn in_a_rehearsal_everything_is_written_down_and_nothing_sent() {
    let bench = Bench::new().await;
    let mail = MailServer::start();
    let receiver = Receiver::start().await;
    destination(&bench, "webhook", &receiver.url()).await;
    member(&bench, "ann@example.test").await;
    let smtp_url = mail.url();
    let flags = ["--smtp-url", &smtp_url, "--mail-from", "croak@croak.test", "--deliver-rehearsal", "true"];
    let worker = bench.worker_with("fold,deliver", &flags).await;
    bench.ship(Uuid::now_v7(), 1, &record(LANE, 1, &notice("Timeout"))).await;
    until(&bench, "both are written down", "select count(*) from delivery where told = 'rehearsal: not sent'", 2).await;
    worker.stop().await;
    assert_eq!(bench.number("select count(*) from outbox where done_at is not null").await, 2);
    assert!(receiver.calls().is_empty() && mail.mails().is_empty());
}

#[tokio::test]
async fn a_worker_of_before_still_finds_and_feeds_its_webhooks() {
    let bench = Bench::new().await;
    // What the version before this one does, with its own words and rights.
    let pool = sqlx::PgPool::connect(&bench.worker_url()).await.unwrap();
    sqlx::query("insert into webhook (project_id, url, secret) values (1, 'http://127.0.0.1:1/', 'secret')")
        .execute(&pool)
        .await
        .unwrap();
    sqlx::query(
        "insert into outbox (webhook_id, project_id, group_id, kind, body)
         select w.id, 1, 17, 'group.new', '{}' from webhook w where w.enabled",
    )
    .execute(&pool)
    .await
    .unwrap();
    let claimed: i64 = sqlx::query_scalar(
        "with due as (
             select o.id from webhook w
             cross join lateral (select id from outbox where webhook_id = w.id and done_at is null and gave_up_at is null
                 and due_at <= now() order by due_at limit 1 for update skip locked) o
             where w.enabled and (w.resting_until is null or w.resting_until <= now())
         ), taken as (
             update outbox o set claimed_until = now() + interval '60 s', attempt = o.attempt + 1
             from due, webhook w where o.id = due.id and w.id = o.webhook_id returning o.webhook_id, w.secret
         )
         select count(*) from taken",
    )
    .fetch_one(&pool)
    .await
    .unwrap();
    assert_eq!(claimed, 1);
    sqlx::query("update webhook set failure_count = failure_count + 1").execute(&pool).await.unwrap();
    assert_eq!(bench.number("select failure_count::bigint from destination where kind = 'webhook'").await, 1);
    // And this version would send the same row.
    assert_eq!(bench.number("select count(*) from outbox where destination_id = webhook_id").await, 1);
}
