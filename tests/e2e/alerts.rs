//! What people are told, as they set it up on the pages, and how they end it.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use tests::programs::workspace;
use tests::receiver::{Call, Receiver};
use tests::samples::XmlNotice;
use tests::{Installation, Visitor, wait_until, wire};

const SOON: Duration = Duration::from_secs(20);

const ALERTS: &str = "/projects/1/settings/alerts";

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_is_added_tested_switched_off_and_deleted_on_its_page() {
    let croak = Installation::running().await;
    let receiver = Receiver::start().await;
    let mut visitor = Visitor::signed_in(croak.web_address()).await;
    let new = visitor.get(&format!("{ALERTS}/destinations/new")).await.form("destinations/new");
    let refused = visitor.submit(&new.clone().with("kind", "webhook").with("name", "Ops").with("url", "ftp://x")).await;
    assert!(refused.shows("begins with https:// or http://"), "{}", refused.html);
    let new = visitor.get(&format!("{ALERTS}/destinations/new")).await.form("destinations/new");
    let page = visitor.submit(&new.with("kind", "webhook").with("name", "Ops").with("url", &receiver.url())).await;
    assert_eq!(page.status, 200, "{}", page.html);
    let secret = page.html.split("whsec_").nth(1).expect("the secret is shown").split(' ').next().expect("and ends");
    let secret = format!("whsec_{}", secret.replace("&#47;", "/").replace("&#61;", "=").replace("&#43;", "+"));
    assert!(!visitor.get(&page.path).await.shows("whsec_"), "once");
    assert!(!page.html.contains("/hook"), "the address is not shown");

    let test = with_action(&page, "/test");
    let page = visitor.submit(&test).await;
    assert!(page.shows("A test is on its way"), "{}", page.html);
    let call = wait_until("the test arrives", SOON, async || receiver.calls().first().cloned()).await;
    assert!(call.is_signed_with(&secret), "{call:?}");
    assert_eq!(call.json()["type"], "test");
    wait_until("the log says so", SOON, async || visitor.get(&page.path).await.shows("answered 200").then_some(()))
        .await;

    let page = visitor.get(&page.path).await;
    let off = visitor.submit(&with_action(&page, "/disable")).await;
    assert!(off.shows("Nothing is sent to it any more"), "{}", off.html);
    let gone = visitor.submit(&with_action(&off, "/delete")).await;
    assert_eq!((gone.path.as_str(), gone.shows("Ops")), (ALERTS, false), "{}", gone.html);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_call_is_as_the_published_schema_says() {
    let croak = Installation::running().await;
    let receiver = Receiver::start().await;
    croak.croak(&["webhook", "create", "--project", "1", "--url", &receiver.url()]);
    let mut visitor = Visitor::signed_in(croak.web_address()).await;
    let rule = visitor.get(&format!("{ALERTS}/rules/new")).await.form("rules/new");
    let rule = rule.with("name", "Often").with("trigger", "count").with("threshold", "2").with("window_minutes", "60");
    let page = visitor.submit(&rule.with("enabled", "on")).await;
    assert!(page.path == ALERTS && page.shows("More than 2 notices of a group in 60 minutes"), "{}", page.html);
    let rule = visitor.get(&format!("{ALERTS}/rules/new")).await.form("rules/new");
    let rule = rule.with("name", "Users").with("trigger", "users").with("threshold", "1");
    visitor.submit(&rule.with("enabled", "on")).await;

    let send = async |class: &str| {
        let notice = XmlNotice { class: class.to_owned(), ..XmlNotice::default() };
        wire::exchange(croak.gateway_address(), &notice.request()).await.expect("an answer");
    };
    for _ in 0..4 {
        send("Timeout").await;
    }
    croak.croak(&["alerts", "test", "--project", "1"]);
    wait_for(&receiver, &["group.new", "group.count", "group.users", "test"]).await;
    // More of one kind than are told singly.
    for n in 0..10 {
        send(&format!("Error{}", "X".repeat(n + 1))).await;
    }
    let pool = croak.pool();
    wait_until("they wait", SOON, async || {
        let waiting: i64 = sqlx::query_scalar(
            "select count(*) from alert a join alert_rule r on r.id = a.rule_id where r.trigger = 'new' and a.told_at is null",
        )
        .fetch_one(&pool)
        .await
        .expect("alerts can be read");
        (waiting == 6).then_some(())
    })
    .await;
    sqlx::raw_sql("update alert set at = at - interval '1 min'").execute(&pool).await.expect("as if it had passed");
    wait_for(&receiver, &["alerts.collected"]).await;

    let schema = reqwest::get(format!("http://{}/schemas/webhook.json", croak.web_address())).await.expect("an answer");
    assert_eq!(schema.headers()["content-type"], "application/schema+json");
    let schema = schema.text().await.expect("text");
    for call in receiver.calls() {
        check(&schema, &call);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_follows_the_link_in_a_mail_gets_no_more_without_signing_in() {
    let croak = Installation::running().await;
    let notice = |class: &str| XmlNotice { class: class.to_owned(), ..XmlNotice::default() }.request();
    wire::exchange(croak.gateway_address(), &notice("First")).await.expect("an answer");
    let mail = wait_until("a mail is written", SOON, async || mails(&croak).pop()).await;
    let mail = mail.replace("=\r\n", "").replace("\r\n ", "");
    let link = mail.split("/unsubscribe/").nth(1).expect("the link").split(['>', '\r', '\n']).next().expect("its end");
    let path = format!("/unsubscribe/{link}");

    let mut visitor = Visitor::new(croak.web_address());
    let page = visitor.get(&path).await;
    assert_eq!(page.status, 200);
    let choices = "select count(*) from notification_choice where not alerts";
    let count = async || sqlx::query_scalar::<_, i64>(choices).fetch_one(&croak.pool()).await.expect("a number");
    assert_eq!(count().await, 0, "looking ends nothing");
    // As mail readers do it by themselves (RFC 8058): no cookie, no origin.
    let url = format!("http://{}{path}", croak.web_address());
    let answer = reqwest::Client::new()
        .post(&url)
        .header("content-type", "application/x-www-form-urlencoded")
        .body("List-Unsubscribe=One-Click")
        .send()
        .await
        .expect("an answer");
    assert_eq!(answer.status(), 200);
    assert_eq!(count().await, 1);
    let forged = visitor.submit(&visitor_form(&format!("{path}AAAA"))).await;
    assert!(!forged.shows("You get no more"), "{}", forged.html);

    wire::exchange(croak.gateway_address(), &notice("Second")).await.expect("an answer");
    wait_until("the second is told to whoever is left", SOON, async || {
        let told: i64 = sqlx::query_scalar("select count(*) from alert where told_at is not null")
            .fetch_one(&croak.pool())
            .await
            .expect("alerts can be read");
        (told == 2).then_some(())
    })
    .await;
    let sent: i64 = sqlx::query_scalar("select count(*) from outbox").fetch_one(&croak.pool()).await.expect("a number");
    assert_eq!(sent, 1);

    // On the page they can be had again.
    let mut visitor = Visitor::signed_in(croak.web_address()).await;
    let form = visitor.get(ALERTS).await.form("/mine");
    visitor.submit(&form.with("alerts", "on")).await;
    assert_eq!(count().await, 0);
}

fn visitor_form(action: &str) -> tests::visitor::Form {
    tests::visitor::Form { action: action.to_owned(), fields: Vec::new() }
}

/// The form of a page whose button leads to this address.
fn with_action(page: &tests::visitor::Page, action: &str) -> tests::visitor::Form {
    let address = page
        .html
        .split("formaction=\"")
        .skip(1)
        .filter_map(|part| part.split('"').next())
        .find(|address| address.ends_with(action))
        .unwrap_or_else(|| panic!("no button for {action} on {}:\n{}", page.path, page.html));
    let mut form = page
        .forms()
        .into_iter()
        .find(|form| form.fields.iter().map(|(name, _)| name.as_str()).eq(["form_token", "command_id"]))
        .expect("the form of these buttons");
    form.action = address.to_owned();
    form
}

/// Waits until calls of all these types came.
async fn wait_for(receiver: &Receiver, types: &[&str]) {
    wait_until(&format!("calls of {types:?}"), SOON, async || {
        let came: Vec<String> =
            receiver.calls().iter().map(|call| call.json()["type"].as_str().unwrap_or_default().to_owned()).collect();
        types.iter().all(|wanted| came.iter().any(|kind| kind == wanted)).then_some(())
    })
    .await;
}

/// Has Python's own validator look at a call.
fn check(schema: &str, call: &Call) {
    let program = "import sys, json, jsonschema\n\
        schema, call = json.load(sys.stdin)\n\
        jsonschema.Draft202012Validator.check_schema(schema)\n\
        jsonschema.validate(call, schema, jsonschema.Draft202012Validator)";
    let mut python = Command::new("/usr/bin/python3")
        .args(["-c", program])
        .stdin(Stdio::piped())
        .current_dir(workspace())
        .spawn()
        .expect("Debian's Python starts");
    let schema: serde_json::Value = serde_json::from_str(schema).expect("the schema is JSON");
    let given = serde_json::json!([schema, call.json()]).to_string();
    python.stdin.take().expect("it was asked for").write_all(given.as_bytes()).expect("it reads");
    assert!(python.wait().expect("it ends").success(), "{:#}", call.json());
}

/// What workers wrote into the folder of mails.
fn mails(croak: &Installation) -> Vec<String> {
    let Ok(files) = std::fs::read_dir(croak.mail_folder()) else { return Vec::new() };
    let paths: Vec<PathBuf> = files.map(|file| file.expect("a file").path()).collect();
    paths.iter().map(|path| std::fs::read_to_string(path).expect("a mail is text")).collect()
}
