//! The path of one notice, from a client's socket to the page.

use std::time::{Duration, Instant};

use serde_json::json;
use tests::samples::{KEY, XmlNotice, json_notice, json_request};
use tests::wire::{self, post, request};
use tests::{Installation, Visitor, bodies, wait_until};

/// An accepted notice is to be seen within this.
const VISIBLE_LIMIT: Duration = Duration::from_secs(2);

/// A new project is accepted by every gateway within this.
const PROJECT_LIMIT: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread")]
async fn a_notice_from_a_hoptoad_client_is_seen_within_two_seconds() {
    let croak = Installation::running().await;
    let mut visitor = Visitor::signed_in(croak.web_address()).await;
    let sent = XmlNotice::default();

    let answer = wire::exchange(croak.gateway_address(), &sent.request()).await.expect("an answer");
    let accepted_at = Instant::now();
    assert_eq!(answer.status, 200, "{}", answer.text());
    let id = answer.notice_id().expect("the answer names the notice");
    let notice = croak.api().visible(1, id, VISIBLE_LIMIT).await;
    let group = notice["group_id"].as_str().expect("a group").to_owned();
    wait_until("the group is on the page", VISIBLE_LIMIT.saturating_sub(accepted_at.elapsed()), async || {
        visitor.get("/projects/1/groups").await.shows(&sent.class).then_some(())
    })
    .await;
    println!("seen over the API and on the page {} ms after its answer", accepted_at.elapsed().as_millis());

    assert_eq!(notice["errors"][0]["class"], json!(sent.class));
    assert_eq!(notice["errors"][0]["message"], json!(sent.message), "the class is taken off the message");
    assert_eq!(notice["errors"][0]["frames"][0], {
        let mut frame = notice["errors"][0]["frames"][0].clone();
        frame["line"] = json!(31);
        frame["function"] = json!("charge!");
        frame["in_app"] = json!(true);
        frame
    });
    assert_eq!((&notice["environment"], &notice["release"]), (&json!("production"), &json!("shop@1.4.2")));
    assert_eq!(notice["user"]["id"], json!("42"));
    assert_eq!(notice["request"]["params"]["marker"], json!(sent.marker));
    assert_eq!(notice["request"]["params"]["order"]["id"], json!("17"), "nested parameters stay nested");

    let page = visitor.get(&format!("/projects/1/groups/{group}")).await;
    assert_eq!(page.status, 200);
    for shown in [&sent.class, &sent.message, "charge!", &sent.marker] {
        assert!(page.shows(shown), "{shown} is not on the page of the group:\n{}", page.html);
    }
    let located = visitor.get(&format!("/locate/{id}")).await;
    assert!(
        located.status == 200 && located.path.contains(&group),
        "the address in the answer leads to {}",
        located.path
    );
    let redirected = wire::exchange(croak.gateway_address(), &request("GET", &format!("/locate/{id}"), &[], b""))
        .await
        .expect("an answer");
    assert!(
        (300..400).contains(&redirected.status)
            && redirected.header("location").is_some_and(|to| to.ends_with(&format!("/locate/{id}")))
    );

    let stored = bodies::all(&croak.pool()).await;
    assert_eq!(stored.len(), 1);
    assert_eq!(stored[0].id, id);
    assert!(
        stored[0].body.windows(sent.marker.len()).any(|bytes| bytes == sent.marker.as_bytes()),
        "the whole body is kept"
    );
    croak.croak(&["audit"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_json_notice_and_an_xml_notice_of_different_errors_are_two_groups_and_repeats_are_none() {
    let croak = Installation::running().await;
    let api = croak.api();
    for (class, times) in [("First", 3), ("Second", 2)] {
        for n in 0..times {
            let answer = wire::exchange(croak.gateway_address(), &json_request(&json_notice(class, "it broke")))
                .await
                .expect("an answer");
            assert_eq!(answer.status, 201, "{n}: {}", answer.text());
            api.visible(1, answer.notice_id().expect("an id"), VISIBLE_LIMIT).await;
        }
    }
    let xml = wire::exchange(croak.gateway_address(), &XmlNotice::default().request()).await.expect("an answer");
    api.visible(1, xml.notice_id().expect("an id"), VISIBLE_LIMIT).await;

    let groups = api.all("/projects/1/groups?sort=count").await;
    let counted: Vec<_> = groups
        .iter()
        .map(|group| (group["class"].as_str().expect("a class"), group["notice_count"].as_i64().expect("a count")))
        .collect();
    assert_eq!(counted, [("First", 3), ("Second", 2), ("Shop::PaymentDeclined", 1)]);
    assert_eq!(api.notice_count(1).await, 6);
    let first = groups[0]["id"].as_str().expect("an id");
    assert_eq!(api.all(&format!("/projects/1/groups/{first}/notices")).await.len(), 3);
    assert_eq!(groups[0]["environments"], json!(["production"]));
    croak.croak(&["audit"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn deploys_of_both_kinds_of_client_are_listed() {
    let croak = Installation::running().await;
    let form = format!(
        "api_key={KEY}&deploy%5Brails_env%5D=production&deploy%5Bscm_revision%5D=abc123&deploy%5Blocal_username%5D=ada&deploy%5Bscm_repository%5D=git%40example.com%3Ashop.git"
    );
    let old = wire::exchange(
        croak.gateway_address(),
        &request("POST", "/deploys.txt", &[("Content-Type", "application/x-www-form-urlencoded")], form.as_bytes()),
    )
    .await;
    assert_eq!(old.expect("an answer").status, 200);
    let new =
        json!({"environment": "staging", "username": "bob", "revision": "def456", "version": "shop@1.5.0"}).to_string();
    let new = wire::exchange(
        croak.gateway_address(),
        &post(&format!("/api/v4/projects/1/deploys?key={KEY}"), new.as_bytes()),
    )
    .await;
    assert_eq!(new.expect("an answer").status, 201);

    let api = croak.api();
    let deploys = wait_until("both deploys are listed", VISIBLE_LIMIT, async || {
        let deploys = api.all("/projects/1/deploys").await;
        (deploys.len() == 2).then_some(deploys)
    })
    .await;
    let of = |environment: &str| {
        deploys.iter().find(|deploy| deploy["environment"] == environment).expect("it is listed").clone()
    };
    assert_eq!((&of("production")["revision"], &of("production")["username"]), (&json!("abc123"), &json!("ada")));
    assert_eq!((&of("staging")["version"], &of("staging")["revision"]), (&json!("shop@1.5.0"), &json!("def456")));
    let page = Visitor::signed_in(croak.web_address()).await.get("/projects/1/deploys").await;
    assert!(page.shows("abc123") && page.shows("shop@1.5.0"), "{}", page.html);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_project_is_accepted_within_a_second_and_seen_by_its_members_only() {
    let croak = Installation::running().await;
    let key = "0123456789abcdef0123456789abcdef";
    let notice = XmlNotice { key: key.to_owned(), ..XmlNotice::default() };
    let early = wire::exchange(croak.gateway_address(), &notice.request()).await.expect("an answer");
    assert_eq!(early.status, 422, "nobody has this key yet");

    croak.create_project(2, "blog", key);
    let id = wait_until("the new project's notice is accepted", PROJECT_LIMIT, async || {
        let answer = wire::exchange(croak.gateway_address(), &notice.request()).await.expect("an answer");
        (answer.status == 200).then(|| answer.notice_id().expect("an id"))
    })
    .await;
    croak.drained(1, Duration::from_secs(5)).await;

    let (status, _) = croak.api().get(&format!("/projects/2/notices/{id}")).await.expect("an answer");
    assert!(matches!(status, 403 | 404), "the user is no member of the project: {status}");
    assert!(croak.api().all("/projects").await.iter().all(|project| project["slug"] != "blog"));
    let page = Visitor::signed_in(croak.web_address()).await.get("/projects/2/groups").await;
    assert!(matches!(page.status, 403 | 404), "{}", page.status);
}
