//! Groups are found by everything that a search can say, and by nothing that it does not.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

mod database;
#[allow(dead_code, reason = "shared with other tests, which use all of it")]
#[path = "reading/scene.rs"]
mod scene;

use std::collections::BTreeSet;
use std::sync::Arc;

use notice::{Error, Frame, Notice, User};
use scene::Scene;
use store::reader::completion::Typing;
use store::reader::search::Search;
use store::reader::{Grid, Group, GroupFilter, GroupSort};
use time::OffsetDateTime;

/// One notice of a class, thrown in a function of a file and met by a user.
async fn happens(scene: &Scene, seed: u64, class: &str, file: &str, function: &str, user: User) {
    let id = scene.accept(1, seed, 60)[0];
    let notice = Notice {
        protocol: "airbrake-json".into(),
        environment: Some("production".into()),
        release: Some("1.4.2".into()),
        tags_json: Some(r#"{"Shop": "eu west"}"#.into()),
        user: Some(user),
        errors: vec![Error {
            class: Some(class.into()),
            message: Some(format!("{class} went away")),
            frames: vec![Frame {
                file: Some(file.into()),
                function: Some(function.into()),
                line: Some(7),
                in_app: Some(true),
                ..Frame::default()
            }],
            ..Error::default()
        }],
        ..Notice::default()
    };
    scene.write_notice(id, notice).await;
}

/// The classes of what a search finds.
async fn found(scene: &Scene, query: &str) -> BTreeSet<String> {
    let mut lists = Vec::new();
    for sort in GroupSort::ALL {
        let filter = GroupFilter {
            search: Search::parse(query).unwrap(),
            sort,
            me: Some(scene.member),
            ..GroupFilter::default()
        };
        let page = scene.reader.groups(&scene.opened().await, &filter, None, 50).await.unwrap().unwrap();
        lists.push(page.groups.into_iter().map(|group| group.class).collect::<BTreeSet<String>>());
    }
    assert!(lists.iter().all(|list| *list == lists[0]), "{query}: every order finds the same");
    lists.swap_remove(0)
}

fn user(id: &str) -> User {
    User { id: Some(id.into()), ..User::default() }
}

#[tokio::test]
async fn every_kind_of_term_finds_what_it_says() {
    let scene = Scene::new().await;
    for n in 0..12 {
        happens(&scene, n, "Net::Timeout", "app/net/client.rb", "fetch", user(&n.to_string())).await;
    }
    happens(&scene, 90, "Card::Declined", "app/models/card.rb", "charge", user("42")).await;
    let ann = User { email: Some("ann@example.org".into()), ..User::default() };
    happens(&scene, 91, "Stock::Missing", "app/models/stock.rb", "reserve", ann).await;
    let card = scene.group_id("Card::Declined").await;
    let pool = &scene.database.pool;
    for (statement, value) in [
        ("update grp set assignee_id = $2 where id = $1", scene.member),
        ("update grp set state = case when $2 > 0 then 'muted' end where id = $1", 1),
        ("update grp set first_seen_at = now() - interval '3 days' where id = $1 and $2 > 0", 1),
    ] {
        sqlx::query(statement).bind(card).bind(value).execute(pool).await.unwrap();
    }
    sqlx::query("update user_account set name = 'Ann Member' where id = $1")
        .bind(scene.member)
        .execute(pool)
        .await
        .unwrap();

    let (net, card, stock) = ("Net::Timeout", "Card::Declined", "Stock::Missing");
    for (query, expected) in [
        ("-timeout", vec![card, stock]),
        ("-timeout -declined", vec![stock]),
        ("-class:card", vec![net, stock]),
        ("message:\"Timeout went away\"", vec![net]),
        ("message:nothing", vec![]),
        ("-\"Missing went\"", vec![net, card]),
        ("culprit:charge", vec![card]),
        ("file:app/models", vec![card, stock]),
        ("file:models/card", vec![card]),
        ("-file:app/models", vec![net]),
        ("function:Reserve", vec![stock]),
        ("function:charge file:stock", vec![]),
        ("is:muted", vec![card]),
        ("-is:muted", vec![net, stock]),
        ("-is:muted -is:resolved", vec![net, stock]),
        ("is:assigned", vec![card]),
        ("is:unassigned", vec![net, stock]),
        ("assigned:none", vec![net, stock]),
        ("assigned:me", vec![card]),
        ("assigned:Member@example.org", vec![card]),
        ("assigned:\"ann member\"", vec![card]),
        ("-assigned:me", vec![net, stock]),
        ("assigned:stranger@example.org", vec![]),
        ("is:assigned is:unassigned", vec![]),
        ("user:42", vec![card]),
        ("user:ann@example.org", vec![stock]),
        ("user:3", vec![net]),
        ("user:nobody", vec![]),
        ("-user:42", vec![net, stock]),
        ("user:3 user:42", vec![]),
        ("first-seen:>1d", vec![card]),
        ("first-seen:<1d", vec![net, stock]),
        ("last-seen:<1h", vec![net, card, stock]),
        ("last-seen:>1h", vec![]),
        ("count:>10", vec![net]),
        ("count:12", vec![net]),
        ("count:<2", vec![card, stock]),
        ("users:>10", vec![net]),
        ("-users:>10", vec![card, stock]),
        ("tag.Shop:\"eu west\"", vec![net, card, stock]),
        ("tag.Shop:us", vec![]),
        ("-tag.Shop:us", vec![net, card, stock]),
        ("-environment:production", vec![]),
        ("environment:production release:1.4.2 -is:muted count:<5 user:ann@example.org", vec![stock]),
    ] {
        let expected: BTreeSet<String> = expected.into_iter().map(str::to_owned).collect();
        assert_eq!(found(&scene, query).await, expected, "{query}");
    }
}

#[tokio::test]
async fn whom_a_group_is_assigned_to_is_looked_for_among_the_projects_people_alone() {
    let scene = Scene::new().await;
    happens(&scene, 1, "Card::Declined", "app/models/card.rb", "charge", user("42")).await;
    for (who, name, count) in [(scene.member, "member", 1), (scene.stranger, "stranger", 0)] {
        let assigned = sqlx::query("update grp set assignee_id = $1").bind(who);
        assigned.execute(&scene.database.pool).await.unwrap();
        assert_eq!(found(&scene, &format!("assigned:{name}@example.org")).await.len(), count, "{name}");
    }
}

#[tokio::test]
async fn whoever_met_a_group_is_still_known_when_there_were_too_many_to_count_exactly() {
    let scene = Scene::new().await;
    for n in 0..80 {
        happens(&scene, n, "Net::Timeout", "app/net/client.rb", "fetch", user(&n.to_string())).await;
    }
    for who in ["user:0", "user:79"] {
        assert_eq!(found(&scene, who).await.len(), 1, "{who}");
    }
    assert_eq!(scene.database.number("select count(*) from user_met").await, 80);
    // The migration that makes the table reads the sketches of before: it comes to the same.
    let migration = include_str!("../migrations/0015_finding.sql");
    let (_, fill) = migration.split_once("insert into user_met").unwrap();
    let fill = format!("insert into user_met{}", fill.split(';').next().unwrap());
    happens(&scene, 99, "Card::Declined", "app/models/card.rb", "charge", user("42")).await;
    let pool = &scene.database.pool;
    sqlx::query("delete from user_met").execute(pool).await.unwrap();
    sqlx::query(sqlx::AssertSqlSafe(fill)).execute(pool).await.unwrap();
    assert_eq!(found(&scene, "user:42").await, BTreeSet::from(["Card::Declined".to_owned()]));
}

#[tokio::test]
async fn the_search_box_offers_what_is_there() {
    let scene = Scene::new().await;
    happens(&scene, 1, "Net::Timeout", "app/net/client.rb", "fetch", user("1")).await;
    happens(&scene, 2, "Card::Declined", "app/models/card.rb", "charge", user("42")).await;
    let opened = scene.opened().await;
    for (query, offered) in [
        ("env", vec!["environment:"]),
        ("environment:p", vec!["production"]),
        ("environment:", vec!["production"]),
        ("-release:1", vec!["1.4.2"]),
        ("release:2", vec![]),
        ("tag.", vec!["tag.Shop:"]),
        ("tag.Shop:", vec!["\"eu west\""]),
        ("class:TIME", vec!["Net::Timeout"]),
        ("class:", vec!["Card::Declined", "Net::Timeout"]),
        ("is:un", vec!["unresolved", "unassigned"]),
        ("assigned:mem", vec!["member@example.org"]),
        ("assigned:m", vec!["me", "member@example.org"]),
        ("colour:", vec![]),
    ] {
        let offers = scene.reader.offers(&opened, &Typing::at_the_end_of(query)).await.unwrap();
        assert_eq!(offers.iter().map(|offer| offer.text.as_str()).collect::<Vec<_>>(), offered, "{query}");
    }
}

/// What a list and a group's page say of a group: notices, users, and the sums of both charts.
async fn said(scene: &Scene, group_id: i64) -> (Group, Group, i64, i64) {
    let opened = scene.opened().await;
    let now = OffsetDateTime::now_utc();
    let page = scene.reader.groups(&opened, &GroupFilter::default(), None, 50).await.unwrap().unwrap();
    let listed = page.groups.into_iter().find(|group| group.id == group_id).unwrap();
    let sum = async |grid: Grid| -> i64 {
        let bars = scene.reader.group_bars(&opened, &[group_id], grid, now).await.unwrap();
        bars[&group_id].iter().map(|bar| bar.count).sum()
    };
    let small = sum(Grid::DAY_SMALL).await;
    let detail = scene.reader.group(&opened, group_id).await.unwrap().unwrap();
    let large = sum(Grid::FORTNIGHT).await;
    (listed, detail, small, large)
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_and_pages_of_groups_agree_while_notices_come_and_to_the_last_one() {
    const ROUNDS: u64 = 60;
    let scene = Arc::new(Scene::new().await);
    happens(&scene, 500, "Net::Timeout", "app/net/client.rb", "fetch", user("500")).await;
    let group_id = scene.group_id("Net::Timeout").await;
    let writing = Arc::clone(&scene);
    let load = tokio::spawn(async move {
        for n in 0..ROUNDS {
            happens(&writing, n, "Net::Timeout", "app/net/client.rb", "fetch", user(&(n % 40).to_string())).await;
            writing.write("Net::Other", &writing.accept(5, n, 60)).await;
        }
    });
    while !load.is_finished() {
        // What is read later cannot be less than what was read before, in whichever place it is read.
        let (listed, detail, small, large) = said(&scene, group_id).await;
        let read = [listed.notice_count, small, detail.notice_count, large];
        assert!(read.is_sorted(), "{read:?}");
        assert!(listed.user_count <= detail.user_count);
    }
    load.await.unwrap();
    let (listed, detail, small, large) = said(&scene, group_id).await;
    assert_eq!([listed.notice_count, detail.notice_count, small, large], [i64::try_from(ROUNDS).unwrap() + 1; 4]);
    assert_eq!((listed.user_count, detail.user_count), (41, 41));
    let opened = scene.opened().await;
    let page = scene.reader.notices(&opened, group_id, None, 200).await.unwrap();
    assert_eq!(page.notices.len(), usize::try_from(ROUNDS).unwrap() + 1);
    assert_eq!(scene.database.number("select count(*) from user_met").await, 41);
}
