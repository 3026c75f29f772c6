//! What people on call do, from a form, a script or the command line to the database and back to the pages.

use std::time::Duration;

use serde_json::{Value, json};
use tests::samples::XmlNotice;
use tests::{Api, Installation, Visitor, wire};

const SOON: Duration = Duration::from_secs(10);

/// Sends one error of a class; answers its group.
async fn send(croak: &Installation, api: &Api, class: &str) -> String {
    let notice = XmlNotice { class: class.into(), message: "broken".into(), ..XmlNotice::default() };
    let answer = wire::exchange(croak.gateway_address(), &notice.request()).await.expect("an answer");
    let notice = api.visible(1, answer.notice_id().expect("an id"), SOON).await;
    notice["group_id"].as_str().expect("a group").to_owned()
}

fn page_of(group: &str) -> String {
    format!("/projects/1/groups/{group}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_is_merged_commented_assigned_and_taken_back_by_forms() {
    let croak = Installation::running().await;
    let api = croak.api();
    let one = send(&croak, &api, "Shop::Timeout").await;
    let other = send(&croak, &api, "Shop::Refused").await;
    let mut visitor = Visitor::signed_in(croak.web_address()).await;

    let form = visitor.get(&page_of(&one)).await.form("/merge").with("into", &page_of(&other));
    let page = visitor.submit(&form).await;
    assert_eq!(page.path, page_of(&other), "its address leads to the one that took it in");
    assert!(page.html.contains("id=\"merged\""), "{}", page.html);
    assert!(page.shows(&format!("took in group {one} Shop::Timeout")), "{}", page.html);
    send(&croak, &api, "Shop::Timeout").await;
    let (status, seen) = api.get(&format!("/projects/1/groups/{one}")).await.expect("an answer");
    assert_eq!((status, seen["id"].as_str(), &seen["notice_count"]), (200, Some(other.as_str()), &json!(3)));

    let form = visitor.get(&page_of(&other)).await.form("/comment").with("body", "since the **deploy** <script>");
    let page = visitor.submit(&form).await;
    assert!(page.html.contains("<strong>deploy</strong> &lt;script&gt;"), "{}", page.html);
    let member = croak.pool();
    let id: i64 = sqlx::query_scalar("select min(id) from user_account").fetch_one(&member).await.expect("a user");
    let page = visitor.submit(&page.form("/assign").with("assignee", &id.to_string())).await;
    assert!(page.shows("assigned to") && page.shows("Assigned."), "{}", page.html);

    let page = visitor.submit(&page.form("/unmerge")).await;
    assert!(page.shows("Taken back") && !page.html.contains("id=\"merged\""), "{}", page.html);
    for (group, count) in [(&one, 2), (&other, 1)] {
        // The API may answer for a moment what it answered before.
        let path = format!("/projects/1/groups/{group}");
        tests::wait_until("the counts have moved", SOON, async || {
            let seen = api.read(&path).await;
            (seen["id"] == group.as_str() && seen["notice_count"] == count).then_some(())
        })
        .await;
    }
    croak.croak(&["audit"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_holds_after_merges_unmerges_deletes_and_retention() {
    let mut croak = Installation::running().await;
    croak.croak(&["generate", "--project", "1", "--groups", "300", "--notices", "6000"]);
    let pool = croak.pool();
    let sum = async |of: &'static str| sqlx::query_scalar::<_, i64>(of).fetch_one(&pool).await.expect("a sum");
    let (bodies, counted) = (
        "select coalesce(sum(notice_count), 0)::bigint from chunk",
        "select coalesce(sum(notice_count), 0)::bigint from grp where merged_into is null",
    );
    assert_eq!((sum(bodies).await, sum(counted).await), (6_000, 6_000));

    let list = croak.api().read("/projects/1/groups?limit=6").await;
    let groups: Vec<&Value> = list["items"].as_array().expect("groups").iter().collect();
    let page = |n: usize| page_of(groups[n]["id"].as_str().expect("a number"));
    let mut visitor = Visitor::signed_in(croak.web_address()).await;
    for (one, into) in [(0, 1), (2, 3), (5, 1)] {
        let form = visitor.get(&page(one)).await.form("/merge").with("into", &page(into));
        assert_eq!(visitor.submit(&form).await.path, page(into));
    }
    let form = visitor.get(&page(3)).await.form("/unmerge");
    assert!(visitor.submit(&form).await.shows("Taken back"));
    let form = visitor.get(&page(4)).await.form("/delete");
    assert!(visitor.submit(&form).await.shows("Deleted."));
    let deleted = groups[4]["notice_count"].as_i64().expect("a count");
    croak.croak(&["audit"]);

    // Of the thirteen days that there are, three are kept from now on.
    sqlx::raw_sql("update project set retention_days = 3, kept_before_until = now()")
        .execute(&pool)
        .await
        .expect("done");
    croak.workers[0].stop().await;
    croak.workers[0].start_again();
    croak.workers[0].ready().await;
    tests::wait_until("bodies have gone, and the deleted group", Duration::from_secs(60), async || {
        let old = "select count(*) from chunk where last_at < now() - interval '5 days'";
        let swept = "select count(*) from grp where deleted_at is not null";
        (sum(old).await == 0 && sum(swept).await == 0).then_some(())
    })
    .await;
    croak.croak(&["audit"]);
    let kept = sum(bodies).await;
    assert!((1..6_000 - deleted).contains(&kept), "{kept} bodies are left");
    assert_eq!(sum(counted).await, 6_000 - deleted, "what was counted stays counted");

    // The merge is older than the bodies, and goes back whole.
    let merged: Vec<_> =
        visitor.get(&page(1)).await.forms().into_iter().filter(|form| form.action.ends_with("/unmerge")).collect();
    assert_eq!(merged.len(), 2);
    assert!(visitor.submit(&merged[0]).await.shows("Taken back"));
    croak.croak(&["audit"]);
    assert_eq!(sum(counted).await, 6_000 - deleted);
}

#[tokio::test(flavor = "multi_thread")]
async fn ticked_groups_are_changed_and_taken_back_and_who_was_faster_is_told() {
    let croak = Installation::running().await;
    let api = croak.api();
    for class in ["Shop::A", "Shop::B", "Shop::C"] {
        send(&croak, &api, class).await;
    }
    let mut visitor = Visitor::signed_in(croak.web_address()).await;
    let list = visitor.get("/projects/1/groups").await;
    let boxes: Vec<String> = list
        .html
        .split("name=\"ticked\" value=\"")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap_or_default().to_owned())
        .collect();
    assert_eq!(boxes.len(), 3);
    let mut form = list.form("/projects/1/bulk").with("do", "resolve");
    form.fields.extend(boxes.iter().take(2).map(|ticked| ("ticked".to_owned(), ticked.clone())));
    let page = visitor.submit(&form).await;
    assert!(page.shows("2 groups resolved."), "{}", page.html);
    assert!(page.path.contains("bulk="), "{}", page.path);
    let undo = page.forms().into_iter().find(|form| form.fields.iter().any(|(name, _)| name == "bulk_id"));
    let page = visitor.submit(&undo.expect("it can be taken back").with("do", "undo")).await;
    assert!(page.shows("Taken back for 2 groups."), "{}", page.html);

    // The boxes say what was seen then: both have been changed twice since.
    let mut stale =
        list.form("/projects/1/bulk").with("do", "mute").with("command_id", &uuid::Uuid::new_v4().to_string());
    stale.fields.push(("ticked".to_owned(), boxes[0].clone()));
    let page = visitor.submit(&stale).await;
    assert!(page.shows("Meanwhile") && page.shows("restored this group"), "{}", page.html);
}

#[tokio::test(flavor = "multi_thread")]
async fn scripts_change_groups_once_by_api_and_command_line() {
    let croak = Installation::running().await;
    let api = croak.api();
    let group = send(&croak, &api, "Shop::Timeout").await;
    let web = format!("http://{}", croak.web_address());
    let address = format!("{web}/api/v1/projects/1/groups/{group}");
    let client = reqwest::Client::new();
    let call = async |token: &str, action: &str, key: &str, body: Value| {
        let request = client.post(format!("{address}/{action}")).bearer_auth(token).header("Idempotency-Key", key);
        let answer = request.json(&body).send().await.expect("an answer");
        (answer.status().as_u16(), answer.json::<Value>().await.expect("JSON"))
    };
    let key = uuid::Uuid::new_v4().to_string();
    assert_eq!(call(croak.token(), "resolve", &key, json!({})).await.0, 403, "a token that reads");

    let email = tests::installation::USER_EMAIL;
    let made =
        croak.croak_json(&["token", "create", "--name", "w", "--user", email, "--scope", "read", "--scope", "write"]);
    let token = made["token"].as_str().expect("a token").to_owned();
    let (status, first) = call(&token, "resolve", &key, json!({"expected_version": 1})).await;
    assert_eq!((status, &first["version"]), (200, &json!(2)), "{first}");
    let (status, again) = call(&token, "resolve", &key, json!({"expected_version": 1})).await;
    assert_eq!((status, again), (200, first), "the same key, the same answer");
    let key = uuid::Uuid::new_v4().to_string();
    let (status, told) = call(&token, "mute", &key, json!({"expected_version": 1})).await;
    assert_eq!(status, 409);
    assert!(told["detail"].as_str().expect("words").contains("resolved this group"), "{told}");
    assert_eq!(call(&token, "mute", "7", json!({})).await.0, 400, "a key is a UUID");
    assert_eq!(call(&token, "paint", &key, json!({})).await.0, 404);

    // Whoever names no version asks for the same in a repeat, though the group is another by then.
    let key = uuid::Uuid::new_v4().to_string();
    let (status, first) = call(&token, "reopen", &key, json!({})).await;
    assert_eq!((status, &first["version"]), (200, &json!(3)), "{first}");
    assert_eq!(call(&token, "reopen", &key, json!({})).await, (200, first));

    let croak_groups = |words: &[&str]| {
        let mut arguments = vec!["groups"];
        arguments.extend(words);
        arguments.extend(["--web", &web, "--token", &token, "--project", "1"]);
        croak.croak_json(&arguments)
    };
    assert_eq!(croak_groups(&["mute", &group, "--notices", "5"])["version"], 4);
    assert_eq!(croak_groups(&["list", "--state", "muted"])["items"][0]["id"], group.as_str());
    assert_eq!(croak_groups(&["reopen", &group])["version"], 5);
    let other = send(&croak, &api, "Shop::Refused").await;
    let merge = async |key: &str| {
        let request = client.post(format!("{web}/api/v1/projects/1/groups/{other}/merge")).bearer_auth(&token);
        let answer = request.header("Idempotency-Key", key).json(&json!({ "into": group })).send().await;
        let answer = answer.expect("an answer");
        (answer.status().as_u16(), answer.json::<Value>().await.expect("JSON"))
    };
    let key = uuid::Uuid::new_v4().to_string();
    let (status, merged) = merge(&key).await;
    assert_eq!((status, &merged["group_id"]), (200, &json!(group)), "{merged}");
    assert_eq!(merge(&key).await, (200, merged), "though its address leads elsewhere by now");
    assert_eq!(croak_groups(&["show", &other])["notice_count"], 2, "a merged group's address leads on");
}
