//! The web through its door: who gets in, who sees what, what is answered, and that nothing is changed from elsewhere.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

#[path = "../../../crates/store/tests/artifacts/mod.rs"]
mod artifacts;
#[path = "../../../crates/store/tests/database/mod.rs"]
mod database;
#[allow(dead_code, reason = "shared with the store's tests, which use all of it")]
#[path = "../../../crates/store/tests/reading/scene.rs"]
mod scene;
mod site;

use std::collections::BTreeSet;
use std::time::Duration;

use artifacts::{DEBUG_ID, files, thrown, upload, with_debug_id};
use reqwest::StatusCode;
use serde_json::{Value, json};
use site::{PASSWORD, Site};
use sqlx::Executor as _;

#[tokio::test]
async fn the_right_password_opens_and_everything_else_is_answered_alike() {
    let site = Site::new().await;
    let browser = site.browser();
    let page = browser.get("/projects/1/groups?query=a b").await;
    assert_eq!(page.address, "/sign-in?next=%2Fprojects%2F1%2Fgroups%3Fquery%3Da%2520b");

    let wrong = browser.sign_in("member@example.org", "wrong").await;
    let nobody = browser.sign_in("nobody@example.org", "wrong").await;
    assert_eq!((wrong.status, nobody.status), (StatusCode::UNPROCESSABLE_ENTITY, StatusCode::UNPROCESSABLE_ENTITY));
    let without_address = |text: &str| text.replace("member@", "nobody@");
    assert_eq!(without_address(&wrong.text), nobody.text);

    let page = browser.sign_in("Member@Example.org", PASSWORD).await;
    assert_eq!((page.status, page.address.as_str()), (StatusCode::OK, "/projects"));
    assert!(page.text.contains("Shop") && !page.text.contains("Other"));
    let cookie = page.cookies.iter().find(|cookie| cookie.starts_with("croak_session=")).unwrap();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"), "{cookie}");
}

#[tokio::test]
async fn guessing_is_limited() {
    let site = Site::new().await;
    let own = site.signed_in("member@example.org").await;
    let browser = site.browser();
    for _ in 0..10 {
        browser.sign_in("member@example.org", "wrong").await;
    }
    let limited = browser.sign_in("member@example.org", PASSWORD).await;
    assert_eq!(limited.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(browser.sign_in("stranger@example.org", PASSWORD).await.status, StatusCode::OK, "others get in");
    assert_eq!(own.sign_in("member@example.org", PASSWORD).await.status, StatusCode::OK, "and so does the owner");
    for _ in 0..10 {
        own.sign_in("member@example.org", "wrong").await;
    }
    let limited = own.sign_in("member@example.org", PASSWORD).await;
    assert_eq!(limited.status, StatusCode::TOO_MANY_REQUESTS, "a browser that is known guesses no more than others");
    assert_eq!(own.sign_in("viewer@example.org", PASSWORD).await.status, StatusCode::OK, "nor is it known for others");
}

#[tokio::test]
async fn a_raised_epoch_signs_out_everywhere() {
    let site = Site::new().await;
    let browser = site.signed_in("member@example.org").await;
    assert_eq!(browser.get("/projects").await.address, "/projects");
    site.scene.database.pool.execute("update user_account set session_epoch = session_epoch + 1").await.unwrap();
    site.eventually(async || browser.get("/projects").await.address.starts_with("/sign-in")).await;
}

#[tokio::test]
async fn what_is_not_ones_own_is_not_there() {
    let site = Site::new().await;
    let (group, notice) = site.write("Secret").await;
    let paths = [
        "/projects/1/groups".to_owned(),
        "/projects/1/deploys".to_owned(),
        "/projects/1/ingest".to_owned(),
        "/projects/1/settings".to_owned(),
        "/projects/1/settings/alerts".to_owned(),
        "/projects/1/settings/alerts/destinations/new".to_owned(),
        "/projects/1/settings/alerts/rules/new".to_owned(),
        format!("/projects/1/groups/{group}"),
        format!("/projects/1/groups/{group}/notices/{notice}"),
        format!("/projects/1/groups/{group}/notices/{notice}/json"),
        format!("/locate/{notice}"),
    ];
    let member = site.signed_in("member@example.org").await;
    let stranger = site.signed_in("stranger@example.org").await;
    for path in &paths {
        // The member's visit fills every cache first.
        assert_eq!(member.get(path).await.status, StatusCode::OK, "{path}");
        let refused = stranger.get(path).await;
        assert_eq!(refused.status, StatusCode::NOT_FOUND, "{path}");
        assert!(!refused.text.contains("Secret"), "{path}");
    }
    let own = stranger.get(&format!("/projects/2/groups/{group}")).await;
    assert_eq!(own.status, StatusCode::NOT_FOUND, "a group of another project under one's own");

    let token = site.token("stranger@example.org", "read").await;
    for path in [
        "/projects/1".to_owned(),
        "/projects/1/groups".to_owned(),
        format!("/projects/1/groups/{group}"),
        format!("/projects/1/groups/{group}/notices"),
        "/projects/1/notices".to_owned(),
        format!("/projects/1/notices/{notice}"),
        format!("/projects/1/notices/{notice}/status"),
        "/projects/1/stats".to_owned(),
        "/projects/1/deploys".to_owned(),
    ] {
        let (status, _) = site.api(&token, &path).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
    }
    let (_, mine) = site.api(&token, "/projects").await;
    assert_eq!(mine["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_file_is_whole_or_not_there_and_only_for_those_who_may_see_its_notice() {
    let site = Site::new().await;
    let (group, notice) = site.write("Secret").await;
    let pool = &site.scene.database.pool;
    for (upload, name, part_count) in [(1, "<b>.txt", 2), (2, "broken off", 3)] {
        sqlx::query(
            "insert into attachment (project_id, id, client_id, upload, name, content_type, attachment_type, byte_length, part_count, sha256, lane, at)
             select 1, u, 'client-' || $1, u, $2, 'text/html', 'event.attachment', 6, $3, sha256('abcdef'), 0, now()
             from (select lpad($4::text, 32, '0')::uuid as u) named",
        )
        .bind(&notice)
        .bind(name)
        .bind(part_count)
        .bind(upload)
        .execute(pool)
        .await
        .unwrap();
    }
    pool.execute(
        "insert into attachment_part (project_id, upload, part, at, byte_length, codec, body)
         select 1, a.upload, part, now(), 3, 0, substr('abcdef'::bytea, part * 3 + 1, 3) from attachment a, generate_series(0, 1) part",
    )
    .await
    .unwrap();
    let page = format!("/projects/1/groups/{group}/notices/{notice}");
    let id = |upload: u8| format!("00000000-0000-0000-0000-00000000000{upload}");
    let link = |upload: u8| format!("{page}/attachments/{}", id(upload));

    let member = site.signed_in("member@example.org").await;
    let shown = member.get(&page).await;
    assert!(shown.text.contains(&format!("href=\"{}\"", link(1))), "{}", shown.text);
    assert!(shown.text.contains("&#60;b&#62;.txt") || shown.text.contains("&lt;b&gt;.txt"), "{}", shown.text);
    assert!(!shown.text.contains("broken off"), "a part of it is missing");
    let file = member.get(&link(1)).await;
    assert_eq!((file.status, file.text.as_str()), (StatusCode::OK, "abcdef"));
    for (header, value) in [
        ("content-type", "application/octet-stream"),
        ("content-disposition", "attachment; filename=\"_b_.txt\"; filename*=UTF-8''%3Cb%3E.txt"),
        ("x-content-type-options", "nosniff"),
        ("content-security-policy", "default-src 'none'; sandbox"),
        ("content-length", "6"),
    ] {
        assert_eq!(file.header(header), value, "{header}");
    }
    assert_eq!(member.get(&link(2)).await.status, StatusCode::NOT_FOUND);
    assert_eq!(member.get(&link(3)).await.status, StatusCode::NOT_FOUND);
    let stranger = site.signed_in("stranger@example.org").await;
    assert_eq!(stranger.get(&link(1)).await.status, StatusCode::NOT_FOUND);
    assert_eq!(stranger.get(&link(1).replace("/projects/1/", "/projects/2/")).await.status, StatusCode::NOT_FOUND);

    let token = site.token("member@example.org", "read").await;
    let (_, notice_json) = site.api(&token, &format!("/projects/1/notices/{notice}")).await;
    let listed = notice_json["attachments"].as_array().unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(
        (&listed[0]["name"], &listed[0]["bytes"], &listed[0]["id"]),
        (&json!("<b>.txt"), &json!(6), &json!(id(1)))
    );
    assert_eq!(listed[0]["url"], format!("/api/v1/projects/1/notices/{notice}/attachments/{}", id(1)));
    let token = site.token("stranger@example.org", "read").await;
    let (status, _) = site.api(&token, &format!("/projects/1/notices/{notice}/attachments/{}", id(1))).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn changes_come_from_our_own_forms_only() {
    let site = Site::new().await;
    let (group, _) = site.write("Broken").await;
    let browser = site.signed_in("member@example.org").await;
    let page = browser.get(&format!("/projects/1/groups/{group}")).await;
    let action = format!("/projects/1/groups/{group}/resolve");
    assert!(page.text.contains("Changes are paused: no worker answers."), "there is no worker");
    assert!(!page.text.contains(&action), "so there is no form");

    let fields = |token: &str| {
        vec![
            ("form_token", token.to_owned()),
            ("command_id", uuid::Uuid::new_v4().to_string()),
            ("expected_version", "1".to_owned()),
        ]
    };
    let right = page.field("form_token");
    let sent = browser.post(&action, &fields(&right), None).await;
    assert!(sent.text.contains("Nothing was changed"), "no worker took it: {}", sent.text);
    assert_eq!(sent.address, format!("/projects/1/groups/{group}"));
    assert!(!browser.get(&sent.address).await.text.contains("Nothing was changed"), "it is told once");

    assert_eq!(browser.post(&action, &fields(""), None).await.status, StatusCode::FORBIDDEN);
    let other = site.signed_in("viewer@example.org").await;
    let others = other.get(&format!("/projects/1/groups/{group}")).await.field("form_token");
    assert_eq!(browser.post(&action, &fields(&others), None).await.status, StatusCode::FORBIDDEN);
    let foreign = browser.post(&action, &fields(&right), Some("https://evil.example")).await;
    assert_eq!(foreign.status, StatusCode::FORBIDDEN);
    let viewer = other.post(&action, &fields(&others), None).await;
    assert_eq!(viewer.status, StatusCode::FORBIDDEN, "a viewer looks");
    assert_eq!(browser.post("/sign-out", &fields(""), None).await.status, StatusCode::FORBIDDEN);
    assert_eq!(browser.post("/sign-out", &fields(&right), None).await.address, "/sign-in");
    assert!(browser.get("/projects").await.address.starts_with("/sign-in"));
}

#[tokio::test]
async fn nothing_a_client_sends_becomes_markup() {
    let site = Site::new().await;
    let evil = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'";
    let ids = site.scene.accept(1, 1, 10);
    site.scene.write_with(evil, evil, evil, evil, &ids).await;
    let group = site.scene.group_id(evil).await;
    let browser = site.signed_in("member@example.org").await;
    for path in [
        "/projects/1/groups".to_owned(),
        format!("/projects/1/groups/{group}"),
        format!("/projects/1/groups?query={}", "%22%3Cscript%3Ealert(1)%3C%2Fscript%3E%22"),
        "/projects/1/groups?query=%3Cscript%3E:x".to_owned(),
        "/projects/1/ingest?notice=%3Cscript%3E".to_owned(),
    ] {
        let page = browser.get(&path).await;
        assert_eq!(page.status, StatusCode::OK, "{path}");
        assert!(!page.text.contains("<script>alert") && !page.text.contains("<img src=x"), "{path}");
        assert!(!page.text.contains("<script>\""), "{path}");
    }
}

#[tokio::test]
async fn every_answer_is_guarded_and_only_assets_are_kept() {
    let site = Site::new().await;
    let browser = site.signed_in("member@example.org").await;
    let page = browser.get("/projects").await;
    let style = page.text.split("href=\"").find_map(|part| part.strip_prefix("/assets/")).unwrap();
    let style = format!("/assets/{}", style.split('"').next().unwrap());
    for path in
        ["/projects", "/sign-in", "/nothing", "/projects/7", "/api/v1/projects", "/api/v1/nothing", style.as_str()]
    {
        let answer = browser.get(path).await;
        let policy = answer.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{path}: {policy}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        let cache = answer.header("cache-control");
        assert_eq!(cache.contains("immutable"), path.starts_with("/assets/"), "{path}: {cache}");
        assert_eq!(cache.contains("no-store"), !path.starts_with("/assets/"), "{path}: {cache}");
    }
    assert!(page.text.len() < 100_000);
    assert!(!page.text.contains(" style=") && !page.text.contains(" onclick="), "the policy would not have it");
}

#[tokio::test]
async fn the_api_has_the_promised_shapes() {
    let site = Site::new().await;
    let (group, notice) = site.write("Shop::Shaped").await;
    site.scene
        .database
        .pool
        .execute("insert into deploy (project_id, id, environment, revision, at) values (1, gen_random_uuid(), 'production', 'abc', now())")
        .await
        .unwrap();
    let token = site.token("member@example.org", "read").await;
    let get = async |path: &str| {
        let (status, answer) = site.api(&token, path).await;
        assert_eq!(status, StatusCode::OK, "{path}: {answer}");
        answer
    };
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
    let has = |value: &Value, wanted: &[&str]| {
        let missing: Vec<_> = wanted.iter().filter(|key| value.get(key).is_none()).collect();
        assert!(missing.is_empty(), "{missing:?} of {:?}", keys(value));
    };

    let project = get("/projects/1").await;
    has(&project, &["id", "slug", "name", "notice_count", "unresolved_group_count", "created_at"]);
    assert_eq!((project["id"].clone(), project["notice_count"].clone()), (json!(1), json!(1)));
    assert_eq!(get("/projects").await["items"], json!([project]));

    let found = get(&format!("/projects/1/groups/{group}")).await;
    has(
        &found,
        &[
            "id",
            "project_id",
            "class",
            "message",
            "culprit",
            "state",
            "notice_count",
            "user_count",
            "first_seen_at",
            "last_seen_at",
            "environments",
            "releases",
            "assignee",
            "url",
        ],
    );
    assert_eq!((found["id"].clone(), found["state"].clone()), (json!(group.to_string()), json!("unresolved")));
    assert_eq!(found["releases"], json!({"first": "1.4.2", "last": "1.4.2"}));
    let listed = get("/projects/1/groups?query=class:Shaped&sort=count&state=unresolved").await;
    assert_eq!(listed, json!({"items": [found], "next": null}));

    let one = get(&format!("/projects/1/notices/{notice}")).await;
    has(
        &one,
        &[
            "id",
            "project_id",
            "group_id",
            "accepted_at",
            "protocol",
            "errors",
            "environment",
            "release",
            "why",
            "notes",
        ],
    );
    assert_eq!((one["id"].clone(), one["group_id"].clone()), (json!(notice), json!(group.to_string())));
    has(&one["errors"][0]["frames"][0], &["file", "function", "line", "in_app", "code", "vars"]);
    has(&one["why"], &["fingerprint", "version", "parts"]);
    assert_eq!(get(&format!("/projects/1/notices/{}", notice.replace('-', ""))).await, one);
    // Files come by another way than their notice: whoever has it from a list asks for it when he wants to know of them.
    let mut listed = one.clone();
    assert_eq!(listed.as_object_mut().unwrap().remove("attachments"), Some(json!([])));
    assert_eq!(get(&format!("/projects/1/groups/{group}/notices")).await["items"], json!([listed]));
    // Transactions of the whole server hold this list back, those of other tests too.
    site.eventually(async || get("/projects/1/notices?since=2020-01-01T00:00:00Z").await["items"] == json!([listed]))
        .await;
    assert_eq!(
        get(&format!("/projects/1/notices/{notice}/status")).await,
        json!({"stage": "stored", "group_id": group.to_string()})
    );
    let stats = get("/projects/1/stats?bucket=hour").await;
    let buckets = stats["buckets"].as_array().unwrap();
    assert_eq!(buckets.iter().map(|bucket| bucket["stored"].as_i64().unwrap()).sum::<i64>(), 1);
    has(&buckets[0], &["at", "received", "stored", "refused", "lost_in_client", "not_kept"]);
    let deploys = get("/projects/1/deploys").await;
    has(&deploys["items"][0], &["id", "environment", "revision", "repository", "username", "version", "at"]);
    let at = deploys["items"][0]["at"].as_str().unwrap();
    assert!(at.len() == 27 && at.ends_with('Z'), "{at}");
}

#[tokio::test]
async fn the_api_says_what_is_wrong() {
    let site = Site::new().await;
    let token = site.token("member@example.org", "read").await;
    let blind = site.token("member@example.org", "write").await;
    for (token, path, status, part) in [
        (&String::new(), "/projects", 401, "valid token"),
        (&"croak_wrong".to_owned(), "/projects", 401, "valid token"),
        (&blind, "/projects", 403, "`read`"),
        (&token, "/projects/7", 404, "nothing"),
        (&token, "/projects/one", 404, "nothing"),
        (&token, "/projects/1/groups?limit=0", 400, "from 1 to 200"),
        (&token, "/projects/1/groups?sort=age", 400, "last_seen"),
        (&token, "/projects/1/groups?state=open", 400, "unresolved"),
        (&token, "/projects/1/groups?query=a%20colour:red", 400, "at character 3"),
        (&token, "/projects/1/groups?cursor=nonsense", 400, "cursor"),
        (&token, "/projects/1/notices?since=yesterday", 400, "2026-11-23T04:05:06Z"),
        (&token, "/projects/1/stats?bucket=year", 400, "minute, hour or day"),
        (&token, "/projects/1/stats?bucket=minute&since=2020-01-01T00:00:00Z", 400, "buckets"),
        (&token, "/projects/1/nothing", 404, "nothing"),
        (&token, "/projects/1/groups?query=a%00", 400, "no text has"),
    ] {
        let (found, problem) = site.api(token, path).await;
        assert_eq!(found.as_u16(), status, "{path}");
        assert_eq!(problem["status"], status, "{path}");
        assert!(problem["detail"].as_str().unwrap().contains(part), "{path}: {problem}");
        assert!(problem["type"].is_string() && problem["title"].is_string());
    }
    let page = site.signed_in("member@example.org").await.get("/projects/1/groups?query=a%00").await;
    assert!(page.status == StatusCode::BAD_REQUEST && page.text.contains("no text has"), "{}", page.text);
}

#[tokio::test]
async fn what_was_not_there_a_moment_ago_is_found_as_soon_as_it_is() {
    let site = Site::new().await;
    let token = site.token("member@example.org", "read").await;
    let ids = site.scene.accept(1, 1, 1);
    let path = format!("/projects/1/notices/{}", ids[0]);
    assert_eq!(site.api(&token, &path).await.0, StatusCode::NOT_FOUND);
    site.scene.write("Late", &ids).await;
    assert_eq!(site.api(&token, &path).await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_dead_database_is_said_and_lived_through() {
    let site = Site::with_database("postgres://nobody@127.0.0.1:1/nothing").await;
    let answer = site.browser().get("/sign-in").await;
    assert_eq!(answer.status, StatusCode::OK);
    let (status, problem) = site.api("croak_any", "/projects").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(problem["title"], "The database does not answer");
    site.eventually(async || {
        let ready = reqwest::get(format!("http://{}/health/ready", site.admin)).await.unwrap();
        ready.json::<Value>().await.unwrap()["missing"] == json!(["database"])
    })
    .await;
    tokio::time::timeout(Duration::from_secs(10), site.stop()).await.unwrap();
}

/// Maps may be uploaded long after the notice: whoever looks sees what there is now, and what is missing.
#[tokio::test]
async fn a_minified_stack_is_shown_as_it_was_written() {
    let site = Site::new().await;
    let pool = &site.scene.database.pool;
    let id = site.scene.accept(1, 1, 10)[0];
    site.scene.write_notice(id, with_debug_id(thrown("esbuild-one", Some("1")), DEBUG_ID)).await;
    let group = site.scene.group_id("PaymentDeclined").await;
    let (page, json) = (format!("/projects/1/groups/{group}"), format!("/projects/1/notices/{id}"));
    let browser = site.signed_in("member@example.org").await;
    let token = site.token("member@example.org", "read").await;
    let without_breaks = async || browser.get(&page).await.text.replace("<wbr>", "");

    let raw = without_breaks().await;
    assert!(raw.contains("https://shop.example/static/app.min.js") && !raw.contains("Source maps"), "{raw}");
    let (_, notice) = site.api(&token, &json).await;
    assert!(notice.get("source_maps").is_none());

    upload(pool, Some("1"), None, &files("esbuild-one", None)[..1]).await;
    site.eventually(async || without_breaks().await.contains("Source maps")).await;
    let missing = without_breaks().await;
    assert!(missing.contains(&format!("no source map with debug id {DEBUG_ID} was uploaded")), "{missing}");
    assert!(missing.contains("release 1 has the script, but not its source map ~/static/app.min.js.map"), "{missing}");

    upload(pool, None, None, &files("esbuild-one", Some(DEBUG_ID))).await;
    site.eventually(async || without_breaks().await.contains("src/cart.js")).await;
    let shown = without_breaks().await;
    for part in [
        "3 frames resolved by <code>~/static/app.min.js.map</code>, found by debug id",
        "throw new PaymentDeclined(&#34;no card for &#34; + amount);",
        "In the script: <code>https://shop.example/static/app.min.js:1:281 in n</code>",
        "onCheckout",
    ] {
        assert!(shown.contains(part), "{part} is not in {shown}");
    }
    let mut notice = Value::Null;
    for _ in 0..50 {
        notice = site.api(&token, &json).await.1;
        if notice["source_maps"][0]["problem"].is_null() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let frame = &notice["errors"][0]["frames"][0];
    assert_eq!((&frame["file"], &frame["line"], &frame["column"]), (&json!("src/cart.js"), &json!(13), &json!(11)));
    assert_eq!((&frame["function"], &frame["code"]["12"]), (&json!("chargeCard"), &json!("  if (!card) {")));
    let minified = json!({"file": artifacts::ADDRESS, "function": "i", "line": 1, "column": 160});
    assert_eq!(frame["minified"], minified);
    assert_eq!(
        notice["source_maps"],
        json!([{
            "script": artifacts::ADDRESS, "debug_id": DEBUG_ID, "map": "~/static/app.min.js.map", "found_by": "debug id",
            "frame_count": 3, "problem": null,
        }])
    );
}

#[tokio::test]
async fn a_map_that_cannot_be_read_is_said_and_shows_the_frames_as_they_came() {
    let site = Site::new().await;
    let mut broken = files("esbuild-one", None);
    broken[1].bytes = b"<!doctype html>".to_vec();
    upload(&site.scene.database.pool, Some("1"), None, &broken).await;
    let id = site.scene.accept(1, 1, 10)[0];
    site.scene.write_notice(id, thrown("esbuild-one", Some("1"))).await;
    let token = site.token("member@example.org", "read").await;
    let (_, notice) = site.api(&token, &format!("/projects/1/notices/{id}")).await;
    assert_eq!(notice["errors"][0]["frames"][0]["function"], "i");
    assert!(
        notice["source_maps"][0]["problem"].as_str().unwrap().contains("is not the JSON of a source map"),
        "{notice}"
    );
    assert!(
        notice["notes"][0]
            .as_str()
            .unwrap()
            .contains("frames of https://shop.example/static/app.min.js are as they came")
    );
    let group = site.scene.group_id("PaymentDeclined").await;
    let (_, page) = site.api(&token, &format!("/projects/1/groups/{group}/notices")).await;
    assert_eq!(page["items"][0]["source_maps"], notice["source_maps"], "lists show it too");
    let (_, page) = site.api(&token, "/projects/1/notices").await;
    assert_eq!(page["items"][0]["source_maps"], notice["source_maps"]);
}
