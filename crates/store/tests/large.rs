//! What pages read does not grow with what there is: pages of the database that were looked at are counted, not time.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

mod database;
#[allow(dead_code, reason = "shared with other tests, which use all of it")]
#[path = "reading/scene.rs"]
mod scene;

use std::collections::BTreeSet;

use scene::Scene;
use store::reader::search::Search;
use store::reader::{GROUPS_COUNTED_MAX, GROUPS_LOOKED_AT_MAX, GroupFilter, GroupSort, Viewer};

/// Groups of the project. The newest 6,000 have release 9; none has users, each came once.
const GROUPS: i64 = 60_000;
const WITH_RELEASE: i64 = 6_000;

async fn large() -> Scene {
    let scene = Scene::new().await;
    sqlx::raw_sql(
        "create extension pg_stat_statements;
         insert into fingerprint (project_id, fingerprint, version, group_id, parts)
         select 1, decode(lpad(to_hex(n), 32, '0'), 'hex'), 1, n, '[]' from generate_series(1, 60000) n;
         insert into grp (project_id, id, notice_count, user_count, count_bucket, user_bucket, first_seen_at, last_seen_at, last_seen_bucket)
         select 1, n, 1, 0, count_bucket(1), count_bucket(0), at, at, seen_bucket(at)
         from (select n, now() - (60000 - n) * interval '1 second' as at from generate_series(1, 60000) n) g;
         insert into grp_text (project_id, group_id, class, message, culprit, words)
         select 1, n, 'Class' || n % 50, 'message', '', to_tsvector('simple', 'Class' || n % 50 || ' message') from generate_series(1, 60000) n;
         insert into facet (project_id, fingerprint_id, key, value, notice_count, first_seen_at, last_seen_at)
         select 1, id, 'release', '9', 1, now(), now() from fingerprint where group_id > 60000 - 6000
         union all select 1, id, 'release', '8', 1, now(), now() from fingerprint where group_id % 20 = 0;",
    )
    .execute(&scene.database.pool)
    .await
    .unwrap();
    sqlx::raw_sql("vacuum analyze").execute(&scene.database.pool).await.unwrap();
    scene
}

/// Pages of the database that statements have looked at since the last time that this was asked.
async fn pages_looked_at(scene: &Scene) -> i64 {
    let pages = scene
        .database
        .number(
            "select coalesce(sum(shared_blks_hit + shared_blks_read), 0)::bigint from pg_stat_statements
             where dbid = (select oid from pg_database where datname = current_database())",
        )
        .await;
    sqlx::raw_sql(
        "select pg_stat_statements_reset(0, (select oid from pg_database where datname = current_database()), 0)",
    )
    .execute(&scene.database.pool)
    .await
    .unwrap();
    pages
}

#[tokio::test]
async fn a_page_of_groups_that_are_all_alike_reads_a_page() {
    let scene = large().await;
    let opened = scene.opened().await;
    for sort in [GroupSort::Users, GroupSort::Count] {
        let filter = GroupFilter { sort, ..GroupFilter::default() };
        let mut cursor = None;
        let mut seen = BTreeSet::new();
        pages_looked_at(&scene).await;
        for _ in 0..4 {
            let page = scene.reader.groups(&opened, &filter, cursor.as_deref(), 20).await.unwrap().unwrap();
            assert_eq!(page.groups.len(), 20);
            seen.extend(page.groups.iter().map(|group| group.id));
            cursor = page.next;
            let pages = pages_looked_at(&scene).await;
            assert!(pages < 800, "{sort:?}: {pages}");
        }
        assert_eq!(seen.len(), 80, "{sort:?}: each comes once");
    }
    // The list by first sight begins where something can have been seen last.
    let search = Search::parse("last-seen:>10h").unwrap();
    let filter = GroupFilter { search, sort: GroupSort::FirstSeen, ..GroupFilter::default() };
    let page = scene.reader.groups(&opened, &filter, None, 5).await.unwrap().unwrap();
    assert_eq!(page.groups.len(), 5);
    let pages = pages_looked_at(&scene).await;
    assert!(pages < 300, "{pages}");
    // Those with few or many are where they belong.
    sqlx::raw_sql(
        "update grp set notice_count = n, count_bucket = count_bucket(n), user_count = n, user_bucket = count_bucket(n)
         from unnest(array[5, 50, 7, 9, 2, 8], array[100, 200, 300, 400, 500, 600]) few (n, id) where grp.id = few.id",
    )
    .execute(&scene.database.pool)
    .await
    .unwrap();
    for sort in [GroupSort::Users, GroupSort::Count] {
        let filter = GroupFilter { sort, ..GroupFilter::default() };
        let mut cursor = None;
        let mut ids = Vec::new();
        for _ in 0..4 {
            let page = scene.reader.groups(&opened, &filter, cursor.as_deref(), 2).await.unwrap().unwrap();
            ids.extend(page.groups.iter().map(|group| group.id));
            cursor = page.next;
        }
        assert_eq!(ids, [200, 400, 600, 300, 100, 500, GROUPS, GROUPS - 1], "{sort:?}");
    }
    let project = scene.reader.project(&opened).await.unwrap().unwrap();
    assert_eq!(project.unresolved_group_count, GROUPS_COUNTED_MAX + 1);
    assert_eq!(scene.reader.projects(Viewer::Project(1), 0, 1).await.unwrap().len(), 1);
}

#[tokio::test]
async fn in_a_flood_of_new_groups_the_newest_come_first_and_a_page_reads_a_page() {
    let scene = large().await;
    let opened = scene.opened().await;
    // Nearly all in the same five minutes; three were seen later, three before.
    sqlx::raw_sql(
        "update grp set last_seen_at = now() - interval '1 hour' + id * interval '1 microsecond', last_seen_bucket = seen_bucket(now() - interval '1 hour');
         update grp set last_seen_at = now() + id * interval '1 second', last_seen_bucket = seen_bucket(now()) where id in (100, 200, 300);
         update grp set last_seen_at = now() - interval '1 day' + id * interval '1 second', last_seen_bucket = seen_bucket(now() - interval '1 day')
         where id in (400, 500, 600)",
    )
    .execute(&scene.database.pool)
    .await
    .unwrap();
    sqlx::raw_sql("vacuum analyze").execute(&scene.database.pool).await.unwrap();
    let filter = GroupFilter::default();
    let (mut cursor, mut ids) = (None, Vec::new());
    pages_looked_at(&scene).await;
    for _ in 0..3 {
        let page = scene.reader.groups(&opened, &filter, cursor.as_deref(), 20).await.unwrap().unwrap();
        ids.extend(page.groups.iter().map(|group| group.id));
        cursor = page.next;
        let pages = pages_looked_at(&scene).await;
        assert!(pages < 1_200, "{pages}");
    }
    let expected: Vec<i64> = [300, 200, 100].into_iter().chain((0..57).map(|n| GROUPS - n)).collect();
    assert_eq!(ids, expected);
    // To the end, and nothing twice.
    let mut seen: BTreeSet<i64> = ids.into_iter().collect();
    let mut last = Vec::new();
    while let Some(at) = cursor {
        let page = scene.reader.groups(&opened, &filter, Some(&at), 5_000).await.unwrap().unwrap();
        last = page.groups.iter().map(|group| group.id).collect();
        assert!(last.iter().all(|id| seen.insert(*id)));
        cursor = page.next;
    }
    assert_eq!(seen.len() as i64, GROUPS);
    assert!(last.ends_with(&[600, 500, 400]));
    let cards = scene.reader.project_cards(Viewer::User(scene.member), 10).await.unwrap();
    assert!(cards[0].last_seen_at.is_some());
}

#[tokio::test]
async fn a_search_whose_groups_lie_together_ends_after_a_while_and_goes_on() {
    let scene = large().await;
    let opened = scene.opened().await;
    for sort in GroupSort::ALL {
        let search = Search::parse("release:9").unwrap();
        let filter = GroupFilter { search, sort, ..GroupFilter::default() };
        let (mut cursor, mut found, mut cut_count) = (None, BTreeSet::new(), 0);
        loop {
            pages_looked_at(&scene).await;
            let page = scene.reader.groups(&opened, &filter, cursor.as_deref(), 500).await.unwrap().unwrap();
            let pages = pages_looked_at(&scene).await;
            assert!(pages < GROUPS_LOOKED_AT_MAX * 12, "{sort:?}: {pages}");
            assert!(page.groups.len() == 500 || page.is_cut() || page.next.is_none());
            cut_count += i32::from(page.is_cut());
            found.extend(page.groups.iter().map(|group| group.id));
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(found.len() as i64, WITH_RELEASE, "{sort:?}");
        assert!((1..=3).contains(&cut_count), "{sort:?}: {cut_count}");
    }
    // What is many and not too many is listed: none of the groups on the way is asked for its facets.
    let search = Search::parse("release:8 class:Class20").unwrap();
    let filter = GroupFilter { search, ..GroupFilter::default() };
    let (mut cursor, mut found) = (None, BTreeSet::new());
    loop {
        let page = scene.reader.groups(&opened, &filter, cursor.as_deref(), 100).await.unwrap().unwrap();
        assert!(page.groups.iter().all(|group| group.id % 100 == 20 && found.insert(group.id)));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(found.len(), 600);
    // Of all projects, one whose search was cut hides nothing of it behind what others have.
    let projects = scene.reader.open_all(Viewer::User(scene.member), 10).await.unwrap();
    let search = Search::parse("release:9").unwrap();
    let filter = GroupFilter { search, sort: GroupSort::FirstSeen, ..GroupFilter::default() };
    let (mut cursor, mut count) = (None, 0);
    loop {
        let page = scene.reader.groups_of(&projects, &filter, cursor.as_deref(), 1_000).await.unwrap().unwrap();
        count += page.groups.len();
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(count as i64, WITH_RELEASE);
}

#[tokio::test]
async fn the_page_of_alerts_does_not_read_all_that_was_ever_told() {
    let scene = Scene::new().await;
    sqlx::raw_sql(
        "create extension pg_stat_statements;
         insert into alert (rule_id, project_id, group_id, kind, body, told_at, told_as)
         select (select min(id) from alert_rule where project_id = 1), 1, n, 'group.new', '{}', now(), 'single' from generate_series(1, 50000) n;
         insert into outbox (destination_id, recipient, project_id, kind, body, done_at, created_at)
         select (select min(id) from destination where project_id = 1), 'a@example.org', 1, 'group.new', '{}', now(), now() - n * interval '1 second'
         from generate_series(1, 50000) n;
         insert into delivery (outbox_id, attempt, took_ms) select id, 1, 1 from outbox;",
    )
    .execute(&scene.database.pool)
    .await
    .unwrap();
    sqlx::raw_sql("vacuum analyze").execute(&scene.database.pool).await.unwrap();
    let opened = scene.opened().await;
    let destination = scene.reader.destinations(&opened, None).await.unwrap()[0].clone();
    pages_looked_at(&scene).await;
    let rules = scene.reader.alert_rules(&opened, None).await.unwrap();
    assert!(rules.iter().any(|rule| rule.met_at.is_some()));
    let pages = pages_looked_at(&scene).await;
    assert!(pages < 100, "rules: {pages}");
    let destinations = scene.reader.destinations(&opened, None).await.unwrap();
    assert!(destinations[0].reached_at.is_some());
    let pages = pages_looked_at(&scene).await;
    assert!(pages < 100, "destinations: {pages}");
    assert_eq!(scene.reader.delivery_log(&opened, destination.id, 50).await.unwrap().len(), 50);
    let pages = pages_looked_at(&scene).await;
    assert!(pages < 2_000, "log: {pages}");
}
