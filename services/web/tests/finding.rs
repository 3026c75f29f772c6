//! Finding groups on pages: searching, being told of new ones, saving, exporting, feeds.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

#[path = "../../../crates/store/tests/database/mod.rs"]
mod database;
#[allow(dead_code, reason = "shared with the store's tests, which use all of it")]
#[path = "../../../crates/store/tests/reading/scene.rs"]
mod scene;
#[allow(dead_code, reason = "shared with other tests, which use all of it")]
mod site;

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::Value;
use site::{Browser, Site};
use store::writer::{CommandStatus, ForgetSearch, MakeFeed, Order, RevokeFeed, SaveSearch};
use tokio::task::JoinSet;
use uuid::Uuid;

#[tokio::test]
async fn a_search_that_is_not_understood_is_marked_where_it_is_wrong() {
    let site = Site::new().await;
    site.write("Shop::Wrong").await;
    let browser = site.signed_in("member@example.org").await;
    let page = browser.get("/projects/1/groups?query=shop+colour%3Ared+%3Cb%3E").await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.text.contains("shop <mark>colour:</mark>red &#60;b&#62;"), "{}", page.text);
    assert!(page.text.contains("aria-invalid=\"true\"") && page.text.contains("is not known: there are environment"));
    assert!(page.text.contains("Shop::Wrong"), "the list is there all the same");
    assert!(page.text.contains("What can be searched"), "and what would be right");
}

#[tokio::test]
async fn a_search_that_ends_before_its_list_does_says_so_and_is_gone_on_with() {
    let site = Site::new().await;
    let (group, _) = site.write("Shop::Oldest").await;
    // More groups than one page of a search looks at, and behind them the one that it finds.
    sqlx::raw_sql(
        "update grp_text set message = 'sold out =>';
         insert into grp (project_id, id, first_seen_at, last_seen_at, last_seen_bucket, notice_count)
             select 1, 1000000 + n, now(), now() + interval '1 hour', seen_bucket(now() + interval '1 hour'), 1 from generate_series(1, 20100) n;
         insert into grp_text (project_id, group_id, class, message, culprit, words)
             select 1, 1000000 + n, 'Shop::Other', '', '', '' from generate_series(1, 20100) n;
         analyze grp, grp_text",
    )
    .execute(&site.scene.database.pool)
    .await
    .unwrap();
    let browser = site.signed_in("member@example.org").await;
    let page = browser.get("/projects/1/groups?query=%22%3D%3E%22").await;
    assert!(page.text.contains("None of the 20,000 groups that were looked through meets"), "{}", page.text);
    let (before, _) = page.text.split_once("\" rel=\"next\">Search on</a>").unwrap();
    let (_, next) = before.rsplit_once("href=\"").unwrap();
    let page = browser.get(&next.replace("&#38;", "&").replace("&amp;", "&")).await;
    assert!(page.text.contains(&format!("/projects/1/groups/{group}\"")), "{}", page.text);
    assert!(!page.text.contains("Search on"), "that was the end: {}", page.text);
}

#[tokio::test]
async fn the_search_box_is_helped_and_only_by_those_who_see_the_project() {
    let site = Site::new().await;
    site.write("Shop::Offered").await;
    let member = site.signed_in("member@example.org").await;
    let answer = member.get("/projects/1/complete?query=%C3%BC+release%3A1").await;
    let offers: Value = serde_json::from_str(&answer.text).unwrap();
    assert_eq!(offers["from"], 10);
    assert_eq!(offers["offers"][0]["text"], "1.4.2");
    let stranger = site.signed_in("stranger@example.org").await;
    assert_eq!(stranger.get("/projects/1/complete?query=release%3A").await.status, StatusCode::NOT_FOUND);
    assert_eq!(stranger.get("/projects/1/live?since=0").await.status, StatusCode::NOT_FOUND);
    assert_eq!(stranger.get("/projects/1/export").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn what_is_assigned_to_me_is_not_shown_as_what_is_assigned_to_you() {
    let site = Site::new().await;
    let (group, _) = site.write("Shop::Mine").await;
    sqlx::query("update grp set assignee_id = $1 where id = $2")
        .bind(site.scene.member)
        .bind(group)
        .execute(&site.scene.database.pool)
        .await
        .unwrap();
    let path = "/projects/1/groups?query=assigned%3Ame";
    assert!(site.signed_in("member@example.org").await.get(path).await.text.contains("Shop::Mine"));
    assert!(!site.signed_in("viewer@example.org").await.get(path).await.text.contains("Shop::Mine"));
    let token = site.token("member@example.org", "read").await;
    let (_, mine) = site.api(&token, "/projects/1/groups?query=assigned%3Ame").await;
    assert_eq!(mine["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_list_over_all_projects_has_those_of_the_visitor_and_goes_on_over_pages() {
    let site = Site::new().await;
    for n in 0..45 {
        site.write(&format!("Shop::Many{n:02}")).await;
    }
    let member = site.signed_in("member@example.org").await;
    let mut seen = 0;
    let mut path = "/groups".to_owned();
    loop {
        let page = member.get(&path).await;
        assert_eq!(page.status, StatusCode::OK);
        seen += page.text.matches("<tr data-row=").count();
        let Some((before, _)) = page.text.split_once("\" rel=\"next\"") else { break };
        path = before.rsplit_once("href=\"").unwrap().1.replace("&amp;", "&").replace("&#38;", "&");
    }
    assert_eq!(seen, 45);
    let stranger = site.signed_in("stranger@example.org").await;
    assert!(!stranger.get("/groups").await.text.contains("Shop::Many"));
}

/// Reads a stream until an event has come; its id and what it says.
async fn event(stream: &mut reqwest::Response, read: &mut String) -> (String, Value) {
    loop {
        if let Some((event, rest)) = read.split_once("\n\n") {
            let of =
                |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).map(|text| text.trim().to_owned());
            let told = of("data:").map(|data| (of("id:").unwrap_or_default(), serde_json::from_str(&data).unwrap()));
            *read = rest.to_owned();
            match told {
                Some(told) => return told,
                None => continue,
            }
        }
        let piece = tokio::time::timeout(Duration::from_secs(20), stream.chunk()).await.unwrap().unwrap();
        read.push_str(std::str::from_utf8(&piece.expect("the stream goes on")).unwrap());
    }
}

async fn polls(site: &Site) -> u64 {
    let text = reqwest::get(format!("http://{}/metrics", site.admin)).await.unwrap().text().await.unwrap();
    let lines = text.lines().filter(|line| line.starts_with("web_live_polls_total"));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>() as u64
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_viewers_cost_one_reading_a_second_and_all_hear_of_a_new_group() {
    const VIEWERS: usize = 200;
    let site = Site::new().await;
    let (old, _) = site.write("Shop::Old").await;
    let browser = site.signed_in("member@example.org").await;
    let page = browser.get("/projects/1/groups").await;
    assert!(page.text.contains(&format!("data-live=\"/projects/1/live?since={old}\"")), "{}", page.text);

    let mut viewers = JoinSet::new();
    for _ in 0..VIEWERS {
        let stream = browser.stream(&format!("/projects/1/live?since={old}"), None).await;
        assert_eq!(stream.headers()["content-type"], "text/event-stream");
        viewers.spawn(async move {
            let (mut stream, mut read) = (stream, String::new());
            let (id, told) = event(&mut stream, &mut read).await;
            (id, told, stream, read)
        });
    }
    let streams = viewers.join_all().await;
    assert!(
        streams.iter().all(|(id, told, ..)| *id == old.to_string() && told["fresh"].as_array().unwrap().is_empty())
    );

    let (before, began_at) = (polls(&site).await, std::time::Instant::now());
    tokio::time::sleep(Duration::from_secs(4)).await;
    let polled = polls(&site).await - before;
    let most = began_at.elapsed().as_secs() + 1;
    assert!((2..=most).contains(&polled), "{polled} readings in {:?}", began_at.elapsed());

    let (fresh, _) = site.write("Shop::Fresh").await;
    let mut viewers = JoinSet::new();
    for (_, _, mut stream, mut read) in streams {
        viewers.spawn(async move { event(&mut stream, &mut read).await });
    }
    for (id, told) in viewers.join_all().await {
        assert_eq!((id, told["fresh"][0].as_str().unwrap()), (fresh.to_string(), fresh.to_string().as_str()));
    }

    // Whoever comes back hears what came meanwhile, whatever the page had.
    let mut back = browser.stream("/projects/1/live?since=0", Some(&old.to_string())).await;
    let (_, told) = event(&mut back, &mut String::new()).await;
    assert_eq!(told["fresh"], serde_json::json!([fresh.to_string()]));

    // The list over all projects hears of them, too.
    let page = browser.get("/groups").await;
    assert!(page.text.contains(&format!("data-live=\"/groups/live?since={fresh}\"")), "{}", page.text);
    let mut of_all = browser.stream(&format!("/groups/live?since={fresh}"), None).await;
    let mut read = String::new();
    event(&mut of_all, &mut read).await;
    let (fresher, _) = site.write("Shop::Fresher").await;
    let (_, told) = event(&mut of_all, &mut read).await;
    assert_eq!(told["fresh"], serde_json::json!([fresher.to_string()]));

    // A stop ends the streams, and does not wait for them.
    let stopped_at = std::time::Instant::now();
    site.stop().await;
    assert!(stopped_at.elapsed() < Duration::from_secs(8), "{:?}", stopped_at.elapsed());
    while let Ok(Some(_)) = back.chunk().await {}
}

fn order(site: &Site, actor_id: i64) -> Order {
    let _ = site;
    Order { id: Uuid::new_v4(), actor_id, project_id: 1 }
}

fn search(name: &str, query: &str, is_shared: bool) -> SaveSearch {
    SaveSearch { name: name.into(), query: query.into(), state: "all".into(), sort: "count".into(), is_shared }
}

#[tokio::test]
async fn a_search_is_saved_for_oneself_or_shared_and_let_go() {
    let site = Site::new().await;
    site.write("Shop::Kept").await;
    let writer = store::Writer::connect(&site.scene.database.url).await.unwrap();
    let (member, viewer, stranger) = (site.scene.member, site.scene.viewer, site.scene.stranger);
    let run = async |actor: i64, act: SaveSearch| writer.execute(order(&site, actor), act).await.unwrap().outcome;
    assert_eq!(run(member, search("Payments", "class:Kept", true)).await.status, CommandStatus::Done);
    let own = run(member, search("Mine", "is:muted", false)).await;
    assert_eq!(own.status, CommandStatus::Done);
    assert_eq!(run(member, search("Mine", "is:resolved", false)).await.made_id, own.made_id, "the name stays one");
    assert_eq!(run(viewer, search("Theirs", "", false)).await.status, CommandStatus::Done);
    assert_eq!(run(viewer, search("Theirs too", "", true)).await.status, CommandStatus::Denied);
    assert_eq!(run(stranger, search("Foreign", "", false)).await.status, CommandStatus::Denied);
    assert_eq!(run(member, search("", "", false)).await.status, CommandStatus::Invalid);
    let wrong = run(member, search("Wrong", "colour:red", false)).await;
    assert!(wrong.status == CommandStatus::Invalid && wrong.told.contains("not known"), "{}", wrong.told);

    let page = site.signed_in("member@example.org").await.get("/projects/1/groups").await.text;
    assert!(page.contains(">Payments</a>") && page.contains(">Mine</a>") && !page.contains(">Theirs</a>"));
    let address = "/projects/1/groups?query=class%3AKept&#38;state=all&#38;sort=count";
    assert!(page.contains(address), "{page}");
    let page = site.signed_in("viewer@example.org").await.get("/projects/1/groups").await.text;
    assert!(page.contains(">Payments</a>") && !page.contains(">Mine</a>") && page.contains(">Theirs</a>"));

    let forget = async |actor: i64, search_id: i64| {
        writer.execute(order(&site, actor), ForgetSearch { search_id }).await.unwrap().outcome.status
    };
    assert_eq!(forget(viewer, own.made_id).await, CommandStatus::Missing);
    assert_eq!(forget(member, own.made_id).await, CommandStatus::Done);
    assert_eq!(forget(member, own.made_id).await, CommandStatus::Missing);
}

#[tokio::test]
async fn a_feed_has_the_eyes_of_whoever_made_it_until_it_is_taken_back() {
    let site = Site::new().await;
    site.write("Shop::<Fed> & \u{1}more").await;
    site.write("Shop::Other").await;
    let writer = store::Writer::connect(&site.scene.database.url).await.unwrap();
    let member = site.scene.member;
    let saved = writer.execute(order(&site, member), search("Only <it>", "class:Fed", false)).await.unwrap().outcome;
    let make = async |search_id: Option<i64>| {
        let clear = store::token::generate();
        let act = MakeFeed { search_id, token_sha256: store::token::sha256(&clear).to_vec() };
        let made = writer.execute(order(&site, member), act).await.unwrap().outcome;
        assert_eq!(made.status, CommandStatus::Done);
        (clear, made.made_id)
    };
    let (of_project, feed_id) = make(None).await;
    let (of_search, _) = make(Some(saved.made_id)).await;
    let reader = site.browser();
    let feed = reader.get(&format!("/feeds/{of_project}")).await;
    assert_eq!(feed.header("content-type"), "application/atom+xml; charset=utf-8");
    assert_eq!(feed.text.matches("<entry>").count(), 2);
    assert!(feed.text.contains("Shop::&lt;Fed&gt; &amp; more"), "{}", feed.text);
    let feed = reader.get(&format!("/feeds/{of_search}")).await;
    assert_eq!(feed.text.matches("<entry>").count(), 1);
    assert!(feed.text.contains("<title>Shop · Only &lt;it&gt;</title>"), "{}", feed.text);

    let revoked = writer.execute(order(&site, member), RevokeFeed { feed_id }).await.unwrap().outcome;
    assert_eq!(revoked.status, CommandStatus::Done);
    assert_eq!(reader.get(&format!("/feeds/{of_project}")).await.status, StatusCode::NOT_FOUND);
    sqlx::query("delete from membership where user_id = $1")
        .bind(member)
        .execute(&site.scene.database.pool)
        .await
        .unwrap();
    site.eventually(async || reader.get(&format!("/feeds/{of_search}")).await.status == StatusCode::NOT_FOUND).await;
}

#[tokio::test]
async fn an_export_has_every_group_or_every_notice_once() {
    let site = Site::new().await;
    for n in 0..5 {
        let ids = site.scene.accept(40, n, 600);
        site.scene.write(&format!("Shop::Exported{n}"), &ids).await;
    }
    let groups: Vec<String> = (0..230).map(|n| format!("Shop::Single{n}")).collect();
    for class in &groups {
        site.scene.write(class, &site.scene.accept(1, 77, 600)).await;
    }
    let browser = site.signed_in("member@example.org").await;
    let lines = |text: &str| -> Vec<Value> { text.lines().map(|line| serde_json::from_str(line).unwrap()).collect() };
    let ids = |lines: &[Value]| -> std::collections::BTreeSet<String> {
        lines.iter().map(|line| line["id"].as_str().unwrap().to_owned()).collect()
    };
    let exported = lines(&browser.get("/projects/1/export?query=&state=all").await.text);
    assert_eq!((exported.len(), ids(&exported).len()), (235, 235));
    let exported = lines(&browser.get("/projects/1/export?query=class%3AExported&state=all&notices=1").await.text);
    assert_eq!((exported.len(), ids(&exported).len()), (200, 200));
    assert!(exported.iter().all(|notice| notice["errors"].is_array()));

    let token = site.token("member@example.org", "read").await;
    let answer = browser.stream_api(&token, "/projects/1/export?query=class%3ASingle").await;
    assert_eq!(answer.headers()["content-type"], "application/x-ndjson");
    assert_eq!(lines(&answer.text().await.unwrap()).len(), 230);
    let wrong = browser.get("/projects/1/export?query=colour%3Ared").await;
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST);
}

impl Browser {
    /// An answer that goes on.
    async fn stream(&self, path: &str, last_event_id: Option<&str>) -> reqwest::Response {
        let mut request = self.request(path);
        if let Some(id) = last_event_id {
            request = request.header("last-event-id", id);
        }
        request.send().await.unwrap()
    }

    async fn stream_api(&self, token: &str, path: &str) -> reqwest::Response {
        self.request(&format!("/api/v1{path}")).bearer_auth(token).send().await.unwrap()
    }
}
