//! What is read: every notice once, in order, by whom it may be read, and nothing else.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

mod artifacts;
mod database;
#[path = "reading/scene.rs"]
mod scene;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use artifacts::{DEBUG_ID, files, thrown, upload, with_debug_id};
use notice::{Notice, NoticeId};
use scene::{Scene, shuffled};
use sqlx::Executor as _;
use store::reader::search::Search;
use store::reader::{BucketSize, Grid, GroupFilter, GroupSort, GroupState, Stage, Viewer};
use store::token;
use time::OffsetDateTime;
use uuid::Uuid;

/// Pages of a list of notices, all of one length, to its end.
async fn walk(scene: &Scene, group_id: i64, limit: usize) -> Vec<NoticeId> {
    let opened = scene.opened().await;
    let mut seen = Vec::new();
    let mut before = None;
    loop {
        let page = scene.reader.notices(&opened, group_id, before, limit).await.unwrap();
        assert!(page.notices.len() <= limit);
        seen.extend(page.notices.iter().map(|notice| notice.id));
        match page.next {
            Some(next) => before = Some(next),
            None => return seen,
        }
    }
}

#[tokio::test]
async fn every_notice_of_a_group_is_reached_once_however_its_batches_overlap() {
    let scene = Scene::new().await;
    for seed in 1..=4_u64 {
        let group = format!("Shop::Overlap{seed}");
        let ids = scene.accept(400, seed, 40 * 60);
        // What a lane's batches hold depends on what arrived when: deal the notices out at random.
        let mut dealt: Vec<Vec<NoticeId>> = vec![Vec::new(); 23];
        for (index, id) in shuffled(&ids, seed).into_iter().enumerate() {
            let batch = (seed as usize * 31 + index * index) % dealt.len();
            dealt[batch].push(id);
        }
        for batch in dealt {
            scene.write(&group, &batch).await;
        }
        let group_id = scene.group_id(&group).await;
        let mut expected = ids.clone();
        expected.sort_unstable();
        expected.reverse();
        for limit in [7, 50, 400, 1000] {
            assert_eq!(walk(&scene, group_id, limit).await, expected, "seed {seed}, pages of {limit}");
        }

        let opened = scene.opened().await;
        assert_eq!(scene.reader.oldest(&opened, group_id).await.unwrap(), expected.last().copied());
        for (index, id) in expected.iter().enumerate().step_by(29) {
            let around = scene.reader.around(&opened, group_id, *id).await.unwrap();
            assert_eq!(around.older, expected.get(index + 1).copied());
            assert_eq!(around.newer, index.checked_sub(1).map(|newer| expected[newer]));
            let single = scene.reader.notice(&opened, *id).await.unwrap().unwrap();
            assert_eq!((single.id, single.group_id), (*id, group_id));
            assert_eq!(single.notice.errors[0].message, Some(id.to_string()), "its own body, not a neighbour's");
            assert!(scene.reader.notice_in_group(&opened, group_id, *id).await.unwrap().is_some());
        }
    }
}

#[tokio::test]
async fn a_merged_group_has_the_notices_of_all_its_fingerprints() {
    let scene = Scene::new().await;
    let ids = scene.accept(60, 9, 600);
    scene.write("One", &ids[..30]).await;
    scene.write("Other", &ids[30..]).await;
    let (one, other) = (scene.group_id("One").await, scene.group_id("Other").await);
    scene
        .database
        .pool
        .execute(sqlx::query("update fingerprint set group_id = $1 where group_id = $2").bind(one).bind(other))
        .await
        .unwrap();
    let mut expected = ids;
    expected.sort_unstable();
    expected.reverse();
    assert_eq!(walk(&scene, one, 7).await, expected);
    let opened = scene.opened().await;
    assert_eq!(scene.reader.group_parts(&opened, one).await.unwrap().len(), 2);
}

/// Follows the list in small pages until `count` notices were seen in all; where it goes on.
async fn follow(scene: &Scene, from: Option<String>, seen: &mut Vec<NoticeId>, count: usize) -> String {
    let opened = scene.opened().await;
    let mut resume = from;
    for _ in 0..600 {
        let page = scene.reader.notices_since(&opened, None, resume.as_deref(), 7).await.unwrap().unwrap();
        seen.extend(page.notices.iter().map(|notice| notice.id));
        resume = Some(page.resume);
        if page.next.is_none() {
            if seen.len() >= count {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    resume.unwrap()
}

#[tokio::test]
async fn the_list_of_what_became_visible_skips_nothing_that_was_committed_late() {
    let scene = Scene::new().await;
    let opened = scene.opened().await;
    let ids = scene.accept(90, 5, 60);
    scene.write("Early", &ids[..30]).await;
    // Transactions of the whole server hold the list back, those of other tests too: it is asked until it has all.
    let mut seen = Vec::new();
    let mut resume = follow(&scene, None, &mut seen, 30).await;

    // A transaction that has begun and not ended may still write what stands before anything younger.
    let mut slow = scene.database.pool.begin().await.unwrap();
    slow.execute("select pg_current_xact_id()").await.unwrap();
    scene.write("Young", &ids[30..60]).await;
    let meanwhile = scene.reader.notices_since(&opened, None, Some(&resume), 200).await.unwrap().unwrap();
    assert!(meanwhile.notices.is_empty(), "it waits for the slow one");
    assert_eq!(meanwhile.next, None);
    resume = meanwhile.resume;
    slow.rollback().await.unwrap();
    scene.write("Last", &ids[60..]).await;
    follow(&scene, Some(resume), &mut seen, 90).await;
    assert_eq!(seen.len(), 90, "none twice");
    assert_eq!(seen.iter().copied().collect::<BTreeSet<_>>(), ids.iter().copied().collect::<BTreeSet<_>>());

    let middle = OffsetDateTime::from_unix_timestamp_nanos(i128::from(ids[45].accepted_at_ms()) * 1_000_000).unwrap();
    let since = scene.reader.notices_since(&opened, Some(middle), None, 200).await.unwrap().unwrap();
    let later = ids.iter().filter(|id| id.accepted_at_ms() >= ids[45].accepted_at_ms());
    assert_eq!(
        since.notices.iter().map(|notice| notice.id).collect::<BTreeSet<_>>(),
        later.copied().collect::<BTreeSet<_>>()
    );
    assert!(scene.reader.notices_since(&opened, None, Some("nonsense"), 7).await.unwrap().is_err());
}

#[tokio::test]
async fn every_order_of_groups_pages_through_all_of_them_once() {
    let scene = Scene::new().await;
    let opened = scene.opened().await;
    for number in 0..30_u64 {
        let ids = scene.accept(1 + (number % 5) as usize, number, 30);
        scene.write(&format!("Class{number}"), &ids).await;
    }
    for sort in GroupSort::ALL {
        let filter = GroupFilter { sort, ..GroupFilter::default() };
        let mut seen = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let page = scene.reader.groups(&opened, &filter, cursor.as_deref(), 7).await.unwrap().unwrap();
            seen.extend(page.groups);
            match page.next {
                Some(next) => cursor = Some(next),
                None => break,
            }
        }
        assert_eq!(seen.iter().map(|group| group.id).collect::<BTreeSet<_>>().len(), 30, "{sort:?}");
        assert_eq!(seen.len(), 30, "{sort:?}: none twice");
        let falls = |key: fn(&store::reader::Group) -> i128| seen.windows(2).all(|pair| key(&pair[0]) >= key(&pair[1]));
        assert!(
            match sort {
                GroupSort::LastSeen => falls(|group| group.last_seen_at.unix_timestamp_nanos()),
                GroupSort::FirstSeen => falls(|group| group.first_seen_at.unix_timestamp_nanos()),
                GroupSort::Count => falls(|group| i128::from(group.notice_count)),
                GroupSort::Users => falls(|group| i128::from(group.user_count)),
            },
            "{sort:?}"
        );
        // A cursor of one order means nothing in another.
        let other = GroupFilter {
            sort: if sort == GroupSort::Count { GroupSort::Users } else { GroupSort::Count },
            ..GroupFilter::default()
        };
        if let Some(cursor) = cursor {
            assert!(scene.reader.groups(&opened, &other, Some(&cursor), 7).await.unwrap().is_err());
        }
    }
}

#[tokio::test]
async fn a_search_finds_what_meets_all_its_terms() {
    let scene = Scene::new().await;
    let opened = scene.opened().await;
    let ids = scene.accept(9, 1, 30);
    scene
        .write_with(
            "ActiveRecord::RecordNotFound",
            "Couldn't find Order with 'id'=17",
            "production",
            "1.4.2",
            &ids[..3],
        )
        .await;
    scene.write_with("Net::ReadTimeout", "execution expired", "production", "1.4.3", &ids[3..6]).await;
    scene.write_with("NoMethodError", "undefined method `total' for nil", "staging", "1.4.3", &ids[6..]).await;
    let missing = scene.group_id("NoMethodError").await;
    scene
        .database
        .pool
        .execute(sqlx::query("update grp set state = 'resolved' where id = $1").bind(missing))
        .await
        .unwrap();
    for (query, found) in [
        ("", 3),
        ("timeout", 1),
        ("readtime", 1),
        ("Net::ReadTimeout", 1),
        ("recordnotfound", 1),
        ("record", 1),
        ("find order", 1),
        ("find timeout", 0),
        ("class:timeout", 1),
        ("class:RecordNot environment:production", 1),
        ("environment:production", 2),
        ("environment:production environment:staging", 0),
        ("release:1.4.3", 2),
        ("release:1.4.3 environment:staging", 1),
        (r#""for nil""#, 1),
        (r#""'id'=17""#, 1),
        ("is:resolved", 1),
        ("is:unresolved", 2),
        ("is:muted", 0),
        ("first-seen:<1h", 3),
        ("last-seen:>1h", 0),
        ("%", 0),
        ("'", 0),
    ] {
        let filter = GroupFilter { search: Search::parse(query).unwrap(), ..GroupFilter::default() };
        let page = scene.reader.groups(&opened, &filter, None, 50).await.unwrap().unwrap();
        assert_eq!(page.groups.len(), found, "{query}");
    }
    let filter = GroupFilter {
        search: Search::parse("is:resolved").unwrap(),
        state: Some(GroupState::Unresolved),
        ..GroupFilter::default()
    };
    assert!(scene.reader.groups(&opened, &filter, None, 50).await.unwrap().unwrap().groups.is_empty());

    let group = scene.reader.group(&opened, missing).await.unwrap().unwrap();
    assert_eq!((group.environments, group.last_release.as_deref()), (vec!["staging".to_owned()], Some("1.4.3")));
}

#[tokio::test]
async fn a_group_comes_back_until_somebody_deals_with_it() {
    let scene = Scene::new().await;
    let opened = scene.opened().await;
    scene.write("Back", &scene.accept(1, 1, 10)).await;
    let id = scene.group_id("Back").await;
    let came_back = async || scene.reader.group(&opened, id).await.unwrap().unwrap().came_back;
    let happens = async |actor: Option<i64>, kind: &str| {
        let statement = "insert into grp_history (project_id, group_id, actor_id, kind) values (1, $1, $2, $3)";
        scene.database.pool.execute(sqlx::query(statement).bind(id).bind(actor).bind(kind)).await.unwrap();
    };
    assert!(!came_back().await);
    happens(Some(scene.member), "resolved").await;
    happens(None, "reopened").await;
    assert!(came_back().await);
    let listed = scene.reader.groups(&opened, &GroupFilter::default(), None, 10).await.unwrap().unwrap();
    assert!(listed.groups[0].came_back);
    happens(Some(scene.member), "reopened").await;
    assert!(!came_back().await, "somebody opened it on purpose");
}

#[tokio::test]
async fn what_a_group_adds_up_to_agrees_everywhere() {
    let scene = Scene::new().await;
    let opened = scene.opened().await;
    let ids = scene.accept(120, 3, 50 * 60);
    scene.write("Shop::Counted", &ids).await;
    let group_id = scene.group_id("Shop::Counted").await;
    let now = OffsetDateTime::now_utc();
    for grid in [Grid::DAY, Grid::DAY_SMALL, Grid::FORTNIGHT, Grid::FORTNIGHT_SMALL, Grid::QUARTER] {
        let bars = scene.reader.group_bars(&opened, &[group_id], grid, now).await.unwrap().remove(&group_id).unwrap();
        assert_eq!(bars.len(), grid.count as usize);
        assert_eq!(bars.iter().map(|bar| bar.count).sum::<i64>(), 120, "{grid:?}");
    }
    let since = now - time::Duration::hours(3);
    for size in [BucketSize::Minute, BucketSize::Hour, BucketSize::Day] {
        let buckets =
            scene.reader.stats(&opened, since - time::Duration::DAY, now + time::Duration::MINUTE, size).await.unwrap();
        assert_eq!(buckets.values().map(|bucket| bucket.stored).sum::<i64>(), 120, "{size:?}");
    }
    let facets = scene.reader.facets(&opened, group_id).await.unwrap();
    let environment = facets.iter().find(|facet| facet.key == "environment").unwrap();
    assert_eq!((environment.total, environment.values[0].notice_count), (120, 120));
    let intake = scene.reader.intake(&opened, since).await.unwrap();
    assert_eq!((intake.stored, intake.fold.notice_count), (120, 120));
    assert_eq!(scene.reader.project(&opened).await.unwrap().unwrap().notice_count, 120);
    let cards = scene.reader.project_cards(Viewer::User(scene.member), 10).await.unwrap();
    assert_eq!(cards[0].hours.iter().sum::<i64>(), 120);
}

#[tokio::test]
async fn nobody_sees_a_project_that_is_not_theirs() {
    let scene = Scene::new().await;
    let reader = &scene.reader;
    assert!(reader.open(Viewer::User(scene.member), 1).await.unwrap().is_some_and(|opened| opened.may_act()));
    assert!(reader.open(Viewer::User(scene.viewer), 1).await.unwrap().is_some_and(|opened| !opened.may_act()));
    assert!(reader.open(Viewer::User(scene.stranger), 1).await.unwrap().is_none());
    assert!(reader.open(Viewer::User(999), 1).await.unwrap().is_none());
    assert!(reader.open(Viewer::Project(1), 1).await.unwrap().is_some_and(|opened| !opened.may_act()));
    assert!(reader.open(Viewer::Project(2), 1).await.unwrap().is_none());
    assert_eq!(reader.projects(Viewer::User(scene.stranger), 0, 10).await.unwrap().len(), 1);
    assert_eq!(reader.projects(Viewer::Project(2), 0, 10).await.unwrap()[0].id, 2);

    // Ids of one project lead nowhere in another.
    let ids = scene.accept(1, 1, 10);
    scene.write("Secret", &ids).await;
    let group_id = scene.group_id("Secret").await;
    let elsewhere = reader.open(Viewer::User(scene.stranger), 2).await.unwrap().unwrap();
    assert!(reader.group(&elsewhere, group_id).await.unwrap().is_none());
    assert!(reader.notice(&elsewhere, ids[0]).await.unwrap().is_none());
    assert!(reader.notice_in_group(&elsewhere, group_id, ids[0]).await.unwrap().is_none());
    assert!(reader.notices(&elsewhere, group_id, None, 10).await.unwrap().notices.is_empty());
    assert_ne!(reader.stage(&elsewhere, ids[0]).await.unwrap(), Stage::Stored(group_id));

    scene.database.pool.execute("update project set deleted_at = now() where id = 1").await.unwrap();
    assert!(reader.open(Viewer::User(scene.member), 1).await.unwrap().is_none());
}

#[tokio::test]
async fn where_a_notice_is_can_be_told() {
    let scene = Scene::new().await;
    let opened = scene.opened().await;
    let now_us = OffsetDateTime::now_utc().unix_timestamp() * 1_000_000;
    let ids = scene.accept(1, 1, 10);
    scene.write("Stored", &ids).await;
    let group_id = scene.group_id("Stored").await;
    let stage = async |id| scene.reader.stage(&opened, id).await.unwrap();
    assert_eq!(stage(ids[0]).await, Stage::Stored(group_id));
    assert_eq!(stage(NoticeId::new(now_us + 1_000_000, ids[0].lane(), 7)).await, Stage::Queued);
    assert_eq!(stage(NoticeId::new(now_us - 86_400_000_000, ids[0].lane(), 7)).await, Stage::Unknown);
    assert_eq!(stage(NoticeId::new(now_us + 86_400_000_000, ids[0].lane(), 7)).await, Stage::Unknown);
    assert_eq!(stage(NoticeId::new(now_us, 999, 7)).await, Stage::Unknown);
    assert_eq!(stage(NoticeId::from(Uuid::new_v4())).await, Stage::Unknown);

    let dead = NoticeId::new(now_us - 1_000_000, ids[0].lane(), 8);
    let statement = "insert into dead_notice (journal, epoch, lane, seq, project_id, notice_id, kind, reason, raw)
        values (gen_random_uuid(), 0, 0, 1, 1, $1, 1, 'undecodable', '')";
    scene.database.pool.execute(sqlx::query(statement).bind(dead.as_uuid())).await.unwrap();
    assert_eq!(stage(dead).await, Stage::Dead);
}

#[tokio::test]
async fn tokens_open_while_they_are_valid() {
    let scene = Scene::new().await;
    let clear = token::generate();
    let find = async || scene.reader.token(&token::sha256(&clear)).await.unwrap();
    assert!(find().await.is_none());
    let statement = "insert into api_token (token_sha256, name, project_id) values ($1, 't', 1)";
    scene.database.pool.execute(sqlx::query(statement).bind(&token::sha256(&clear)[..])).await.unwrap();
    assert_eq!(find().await.unwrap().viewer, Viewer::Project(1));
    scene.database.pool.execute("update api_token set expires_at = now() - interval '1 second'").await.unwrap();
    assert!(find().await.is_none());
    scene.database.pool.execute("update api_token set expires_at = null, revoked_at = now()").await.unwrap();
    assert!(find().await.is_none());
}

#[tokio::test]
async fn one_notice_among_a_hundred_thousand_is_found_at_once() {
    let scene = Scene::new().await;
    let opened = scene.opened().await;
    let ids = scene.accept(100_000, 2, 20 * 60);
    for batch in ids.chunks(10_000) {
        scene.write("Flood", batch).await;
    }
    scene.database.pool.execute("analyze chunk").await.unwrap();
    let group_id = scene.group_id("Flood").await;
    let mut took = Vec::new();
    for id in shuffled(&ids, 3).into_iter().take(200) {
        let began_at = Instant::now();
        assert!(scene.reader.notice(&opened, id).await.unwrap().is_some());
        took.push(began_at.elapsed());
        assert!(scene.reader.around(&opened, group_id, id).await.unwrap().newer.is_none_or(|newer| newer > id));
    }
    took.sort_unstable();
    // A goal for a machine at rest; here only what would be a scan is noticed.
    println!("p50 {:?}, p95 {:?}", took[100], took[190]);
    assert!(took[100] < Duration::from_millis(500), "{:?}", took[100]);
    assert_eq!(walk(&scene, group_id, 200).await.into_iter().collect::<BTreeSet<_>>().len(), 100_000);
}

/// The newest upload of the same build counts; one for all builds only where there is none for this.
#[tokio::test]
async fn source_maps_are_found_by_debug_id_or_by_release_build_and_address() {
    let scene = Scene::new().await;
    let pool = &scene.database.pool;
    let other = Uuid::from_u128(DEBUG_ID.as_u128() + 1);
    upload(pool, Some("1"), None, &files("esbuild-two", Some(other))).await;
    upload(pool, Some("1"), Some("7"), &files("esbuild-one", None)).await;
    upload(pool, Some("2"), None, &files("terser", None)).await;
    upload(pool, Some("2"), None, &files("esbuild-one", None)).await;
    let built = |release: &str, dist: Option<&str>| Notice {
        dist: dist.map(str::to_owned),
        ..thrown("esbuild-one", Some(release))
    };
    let opened = scene.opened().await;
    let ids = scene.accept(7, 3, 60);
    let first_place = async |at: usize, notice: Notice| {
        scene.write_notice(ids[at], notice).await;
        let shown = scene.reader.notice(&opened, ids[at]).await.unwrap().unwrap();
        let fate = shown.resolution.unwrap().scripts.remove(0);
        (shown.notice.errors[0].frames[0].line, fate.by, fate.problem.is_none())
    };
    let right = |by| (Some(13), Some(by), true);
    assert_eq!(first_place(0, built("1", Some("7"))).await, right("release"));
    assert_eq!(first_place(1, built("2", None)).await, right("release"), "the newest");
    assert_eq!(first_place(2, built("2", Some("9"))).await, right("release"), "for all builds");
    let two = || with_debug_id(thrown("esbuild-two", Some("1")), other);
    assert_eq!(first_place(3, two()).await, right("debug id"));
    assert_eq!(
        first_place(4, with_debug_id(built("2", None), DEBUG_ID)).await,
        right("release"),
        "an unknown debug id"
    );
    assert_eq!(first_place(5, built("3", None)).await, (Some(1), None, false));
    assert_eq!(first_place(6, Notice { release: None, ..two() }).await, right("debug id"), "without a release");
}

/// Whatever was uploaded for it, another project's is never asked.
#[tokio::test]
async fn source_maps_of_other_projects_are_not_used() {
    let scene = Scene::new().await;
    upload(&scene.database.pool, Some("1"), None, &files("esbuild-one", Some(DEBUG_ID))).await;
    scene
        .database
        .pool
        .execute("update artifact_bundle set project_id = 2; update artifact set project_id = 2")
        .await
        .unwrap();
    let id = scene.accept(1, 3, 60)[0];
    scene.write_notice(id, with_debug_id(thrown("esbuild-one", Some("1")), DEBUG_ID)).await;
    let shown = scene.reader.notice(&scene.opened().await, id).await.unwrap().unwrap();
    assert_eq!(shown.resolution, None);
    assert_eq!(shown.notice.errors[0].frames[0].line, Some(1));
}

#[tokio::test]
async fn a_page_of_large_notices_is_short() {
    let scene = Scene::new().await;
    let ids = scene.accept(7, 11, 60);
    for id in &ids {
        let large = Some(format!("{{\"a\":\"{}\"}}", "x".repeat(3 << 20)));
        let notice = Notice { extra_json: large, ..scene::sample("Shop::Large", "m", "production", "1") };
        scene.write_notice(*id, notice).await;
    }
    let (opened, group_id) = (scene.opened().await, scene.group_id("Shop::Large").await);
    let page = scene.reader.notices(&opened, group_id, None, 200).await.unwrap();
    assert_eq!(page.notices.len(), 3, "8 MiB are in three");
    let newest_first: Vec<NoticeId> = ids.iter().rev().copied().collect();
    assert_eq!(walk(&scene, group_id, 200).await, newest_first);

    let (mut seen, mut cursor) = (BTreeSet::new(), None);
    loop {
        let page = scene.reader.notices_since(&opened, None, cursor.as_deref(), 200).await.unwrap().unwrap();
        assert!(page.notices.len() <= 3);
        seen.extend(page.notices.iter().map(|notice| notice.id));
        cursor = match page.next {
            Some(next) => Some(next),
            None => break,
        };
    }
    assert_eq!(seen, ids.iter().copied().collect());
}

#[tokio::test]
async fn what_was_restored_from_another_server_is_in_sight_at_once() {
    let scene = Scene::new().await;
    let ids = scene.accept(5, 3, 60);
    scene.write("Shop::Restored", &ids).await;
    scene.database.pool.execute("update chunk set xid = '40000000'").await.unwrap();
    let opened = scene.opened().await;
    let seen = async || scene.reader.notices_since(&opened, None, None, 10).await.unwrap().unwrap().notices.len();
    assert_eq!(seen().await, 0);
    store::migrate(&scene.database.url).await.unwrap();
    assert_eq!(seen().await, 5);
}
