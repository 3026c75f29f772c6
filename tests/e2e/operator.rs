//! What operators do by `croak`: projects, journals that were left behind, health. Exit statuses are what scripts go by.
#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::process::Output;
use std::time::Duration;

use tests::installation::{ALL_ROLES, USER_EMAIL};
use tests::programs::Program;
use tests::samples::{KEY, XmlNotice};
use tests::visitor::Page;
use tests::{Api, Installation, Visitor, wait_until, wire};

/// Done, and something is not as it should be.
const DIFFERS: i32 = 3;

/// How long a web may go on with what it knows of a token.
const REVOKED_WITHIN: Duration = Duration::from_secs(2);

/// How long a web may go on with what it knows of an account.
const KNOWN_WITHIN: Duration = Duration::from_secs(5);

/// How many notices wait in the journal that is left behind.
const LEFT_BEHIND: usize = 50;

#[tokio::test(flavor = "multi_thread")]
async fn a_project_is_made_found_given_another_key_and_deleted() {
    let croak = Installation::new().await;
    let made = croak.croak_json(&["project", "create", "--name", "The Shop (EU)"]);
    assert_eq!(made["slug"], "the-shop-eu");
    let key = made["keys"][0].as_str().unwrap().to_owned();
    let rotated = croak.croak_json(&["project", "rotate-key", "the-shop-eu"]);
    let shown = croak.croak_json(&["project", "show", "the-shop-eu"]);
    assert_eq!(shown["keys"], serde_json::json!([rotated["key"]]));
    assert_ne!(rotated["key"], key);

    let taken =
        croak.croak_command(&["project", "create", "--name", "Other", "--slug", "the-shop-eu"]).output().unwrap();
    assert_eq!(taken.status.code(), Some(1));
    assert!(text(&taken.stderr).contains("exists already"), "{}", text(&taken.stderr));
    let unsure = croak.croak_command(&["project", "delete", "the-shop-eu"]).output().unwrap();
    assert_eq!(unsure.status.code(), Some(1), "what cannot be taken back is asked twice");

    croak.croak(&["project", "delete", "the-shop-eu", "--yes"]);
    let missing = croak.croak_command(&["project", "show", "the-shop-eu", "--json"]).output().unwrap();
    assert_eq!(missing.status.code(), Some(1));
    let told: serde_json::Value = serde_json::from_slice(&missing.stderr).unwrap();
    assert!(told["error"].as_str().unwrap().contains("there is no project `the-shop-eu`"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_sees_the_installation_and_has_dead_records_tried_again_or_dropped() {
    let mut croak = Installation::running().await;
    let mut visitor = Visitor::signed_in(croak.web_address()).await;
    assert_eq!(visitor.get("/operator").await.status, 404, "to everybody else there is no such page");

    // Two notices of a project that is gone when a worker comes to them.
    let key = "feedfacefeedfacefeedfacefeedface";
    croak.create_project(2, "late", key);
    let late = XmlNotice { key: key.to_owned(), ..XmlNotice::default() }.request();
    let pool = croak.pool();
    let dead =
        async || sqlx::query_scalar::<_, i64>("select count(*) from dead_notice").fetch_one(&pool).await.unwrap();
    wait_until("the gateway knows the project", KNOWN_WITHIN, async || {
        let answer = wire::exchange(croak.gateway_address(), &late).await.unwrap();
        (answer.status == 200).then_some(())
    })
    .await;
    croak.drained(1, KNOWN_WITHIN).await;
    croak.workers[0].process.kill();
    for _ in 0..2 {
        assert_eq!(wire::exchange(croak.gateway_address(), &late).await.unwrap().status, 200);
    }
    sqlx::raw_sql("delete from project_key where project_id = 2; delete from project where id = 2")
        .execute(&pool)
        .await
        .unwrap();
    croak.workers[0].start_again();
    wait_until("both are dead", Duration::from_secs(30), async || (dead().await == 2).then_some(())).await;

    croak.croak(&["user", "operator", "--email", USER_EMAIL]);
    let page = wait_until("the web knows the operator", KNOWN_WITHIN, async || {
        let page = visitor.get("/operator").await;
        (page.status == 200).then_some(page)
    })
    .await;
    assert!(page.shows("2 records: unknown project") && page.shows("fold"), "{}", page.html);
    assert!(page.html.contains("<td data-label=\"table\">chunk</td>"), "{}", page.html);
    // Until the web has found the worker that was started again.
    let retry_all = page.form("/operator/dead/retry-all");
    wait_until("they are to be tried again", KNOWN_WITHIN, async || {
        visitor.submit(&retry_all).await.shows("Workers try them again").then_some(())
    })
    .await;
    wait_until("they were tried", Duration::from_secs(10), async || {
        let waiting = "select count(*) from dead_notice where retry_at is not null";
        (sqlx::query_scalar::<_, i64>(waiting).fetch_one(&pool).await.unwrap() == 0).then_some(())
    })
    .await;
    assert_eq!(dead().await, 2, "there is still no such project");

    let one = |page: &Page| {
        let form = page.forms().into_iter().find(|form| form.action == "/operator/dead/retry");
        form.expect("a form about one record")
    };
    let mut drop_it = one(&visitor.get("/operator").await);
    drop_it.action = "/operator/dead/drop".to_owned();
    let page = visitor.submit(&drop_it).await;
    assert!(page.shows("Dropped. An incident says that it was."), "{}", page.html);
    assert_eq!(dead().await, 1);
    croak.create_project(2, "late", key);
    let page = visitor.submit(&one(&page)).await;
    assert!(page.shows("A worker tries it again"), "{}", page.html);
    wait_until("it lives", Duration::from_secs(10), async || (dead().await == 0).then_some(())).await;
    let stored = "select coalesce(sum(stored), 0)::bigint from project_minute where project_id = 2";
    assert_eq!(sqlx::query_scalar::<_, i64>(stored).fetch_one(&pool).await.unwrap(), 2, "the first, and this one");
    let page = visitor.get("/operator").await;
    assert!(page.shows("Everything that came in could be processed."), "{}", page.html);

    // An old form of who is no operator any more does nothing.
    croak.croak(&["user", "operator", "--email", USER_EMAIL, "--revoke"]);
    wait_until("the web knows that they are none", KNOWN_WITHIN, async || {
        (visitor.get("/operator").await.status == 404).then_some(())
    })
    .await;
    assert_eq!(visitor.submit(&drop_it).await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_that_a_gateway_left_behind_is_shipped_to_its_end_and_damage_in_it_is_found() {
    let mut croak = Installation::new().await;
    croak.start_worker(ALL_ROLES).await;
    croak.start_gateway().await;
    croak.workers[0].stop().await;
    for _ in 0..LEFT_BEHIND {
        let answer = wire::exchange(croak.gateway_address(), &XmlNotice::default().request()).await.unwrap();
        assert_eq!(answer.status, 200);
    }
    croak.gateway.as_mut().unwrap().stop().await;

    let folder = croak.journal_folder().display().to_string();
    let listed = croak.croak_json(&["journal", "list", &folder]);
    let records: i64 = listed.as_array().unwrap().iter().map(|file| file["record_count"].as_i64().unwrap()).sum();
    assert_eq!(records, i64::try_from(LEFT_BEHIND).unwrap());
    croak.croak(&["journal", "verify", &folder]);

    // As after the loss of Redis: nothing but the folder has them.
    croak.start_worker(ALL_ROLES).await;
    croak.croak(&["journal", "ship", &folder]);
    let project = croak.croak_json(&["project", "show", "1"]);
    assert_eq!(project["notice_count"], LEFT_BEHIND, "what ship says is stored is stored");
    croak.croak(&["journal", "ship", &folder]);
    let audit = croak.croak_json(&["audit"]);
    assert_eq!(audit["notice_count"], LEFT_BEHIND, "shipping twice stores once");

    let file = listed[0]["file"].as_str().unwrap();
    let mut bytes = std::fs::read(file).unwrap();
    let middle = bytes.windows(12).position(|window| window == b"card decline").unwrap_or(4_096 + 200);
    bytes[middle] ^= 0xff;
    std::fs::write(file, bytes).unwrap();
    let verified = croak.croak_command(&["journal", "verify", &folder]).output().unwrap();
    assert_eq!(verified.status.code(), Some(DIFFERS), "{}", text(&verified.stdout));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_found_and_ended_by_its_number() {
    let croak = Installation::running().await;
    let made = croak.croak_json(&["token", "create", "--name", "nightly", "--project", "1"]);
    let api = Api::new(croak.web_address(), made["token"].as_str().unwrap());
    assert_eq!(api.fetch("/projects/1/groups").await.status(), 200);

    let number = made["id"].to_string();
    let listed = |arguments: &[&str]| {
        let tokens = croak.croak_json(&[&["token", "list"], arguments].concat());
        tokens.as_array().unwrap().iter().find(|token| token["id"] == made["id"]).cloned()
    };
    let row = listed(&["--project", "1"]).unwrap();
    assert_eq!(
        (&row["name"], &row["project"], &row["user"]),
        (&"nightly".into(), &made_of(&croak), &serde_json::Value::Null)
    );
    assert!(!row.to_string().contains(made["token"].as_str().unwrap()));
    assert!(listed(&[]).is_some());
    assert!(listed(&["--user", USER_EMAIL]).is_none());

    croak.croak(&["token", "revoke", &number]);
    assert!(listed(&[]).is_none());
    wait_until("the token opens nothing", REVOKED_WITHIN, async || {
        (api.fetch("/projects/1/groups").await.status() == 401).then_some(())
    })
    .await;
    let again = croak.croak_command(&["token", "revoke", &number]).output().unwrap();
    assert_eq!(again.status.code(), Some(1));
    assert!(text(&again.stderr).contains("there is no valid token"), "{}", text(&again.stderr));
}

/// The slug of the project that the token is of.
fn made_of(croak: &Installation) -> serde_json::Value {
    croak.croak_json(&["project", "show", "1"])["slug"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn health_and_audit_tell_by_their_exit_status() {
    let mut croak = Installation::new().await;
    croak.start_worker("command").await;
    let worker = format!("http://{}", croak.workers[0].admin_address());
    assert_eq!(health(&worker).status.code(), Some(0));
    croak.workers[0].stop().await;
    let gone = health(&worker);
    assert_eq!(gone.status.code(), Some(1), "nobody answers");
    assert!(text(&gone.stderr).contains(&worker), "{}", text(&gone.stderr));

    croak.start_worker(ALL_ROLES).await;
    croak.start_gateway().await;
    let gateway = format!("http://{}", croak.gateway_address());
    for protocol in ["hoptoad", "airbrake", "otlp"] {
        croak.croak(&["send", "--gateway", &gateway, "--protocol", protocol, "--key", KEY]);
    }
    let refused = croak.croak_command(&["send", "--gateway", &gateway, "--key", "no-such-key"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(DIFFERS));
    croak.drained(3, Duration::from_secs(10)).await;
    croak.croak(&["audit"]);
    sqlx::query("update fingerprint_day set notice_count = notice_count + 1").execute(&croak.pool()).await.unwrap();
    let audit = croak.croak_command(&["audit", "--json"]).output().unwrap();
    assert_eq!(audit.status.code(), Some(DIFFERS));
    let audit: serde_json::Value = serde_json::from_slice(&audit.stdout).unwrap();
    assert!(!audit["findings"].as_array().unwrap().is_empty());

    let status = croak.croak_json(&["status"]);
    assert_eq!(status["workers"][0]["lane_count"], 64, "one worker holds every lane: {status}");
    assert_eq!(status["lanes"].as_array().unwrap().len(), 64);
}

fn health(url: &str) -> Output {
    Program::Croak.command().args(["health", url]).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn notices_are_generated_as_if_they_had_come_and_only_where_none_have() {
    let croak = Installation::running().await;
    croak.croak(&["project", "create", "--id", "7", "--slug", "full", "--name", "Full"]);
    let plan = ["generate", "--project", "full", "--groups", "1200", "--notices", "5000"];
    let made = croak.croak_json(&plan);
    assert_eq!(
        (made["groups"].as_i64(), made["notices"].as_i64(), made["made_now"].as_i64()),
        (Some(1200), Some(5000), Some(5000))
    );
    let again = croak.croak_json(&plan);
    assert_eq!(again["made_now"], 0, "what is there is not made again");
    let other =
        croak.croak_command(&["generate", "--project", "full", "--groups", "10", "--notices", "10"]).output().unwrap();
    assert!(other.status.code() == Some(1) && text(&other.stderr).contains("were begun"), "{}", text(&other.stderr));

    wire::exchange(croak.gateway_address(), &XmlNotice::default().request()).await.unwrap();
    croak.drained(5_001, Duration::from_secs(20)).await;
    let real =
        croak.croak_command(&["generate", "--project", "1", "--groups", "10", "--notices", "10"]).output().unwrap();
    assert!(real.status.code() == Some(1) && text(&real.stderr).contains("none of its own"), "{}", text(&real.stderr));
    let audit = croak.croak_json(&["audit"]);
    assert_eq!((audit["notice_count"].as_i64(), audit["findings"].as_array().map(Vec::len)), (Some(5_001), Some(0)));
}
