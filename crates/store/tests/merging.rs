//! Groups are merged and taken back, also while batches add to them: every count is that of the bodies, before and after.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

mod database;
#[allow(dead_code, reason = "shared with other tests, which use all of it")]
#[path = "reading/scene.rs"]
mod scene;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use notice::{NoticeId, User};
use scene::{Scene, groups_of, sample};
use store::batch::{Batch, Claim};
use store::reader::GroupFilter;
use store::writer::{
    CommandStatus, GroupAct, GroupChange, MergeGroups, MuteUntil, Order, Outcome, SeenGroup, UnmergeGroup,
};
use store::{Admin, Writer};
use time::OffsetDateTime;
use uuid::Uuid;

fn order(scene: &Scene) -> Order {
    Order { id: Uuid::now_v7(), actor_id: scene.member, project_id: 1 }
}

async fn version(scene: &Scene, group_id: i64) -> i32 {
    sqlx::query_scalar("select version from grp where id = $1")
        .bind(group_id)
        .fetch_one(&scene.database.pool)
        .await
        .unwrap()
}

async fn merge(scene: &Scene, writer: &Writer, from: i64, into: i64) -> Outcome {
    let groups = vec![SeenGroup { group_id: from, expected_version: version(scene, from).await }];
    writer.execute(order(scene), MergeGroups { groups, into: Some(into) }).await.unwrap().outcome
}

async fn unmerge(scene: &Scene, writer: &Writer, group_id: i64, root: i64) -> Outcome {
    let act = UnmergeGroup { group_id, expected_version: version(scene, root).await };
    writer.execute(order(scene), act).await.unwrap().outcome
}

async fn write(scene: &Scene, class: &str, users: &[u32], seed: u64) {
    for (user, id) in users.iter().zip(scene.accept(users.len(), seed, 3600)) {
        let user = Some(User { id: Some(user.to_string()), ..User::default() });
        scene.write_notice(id, notice::Notice { user, ..sample(class, "", "production", "1") }).await;
    }
}

/// Count, users, first and last sight of a group.
async fn sums(scene: &Scene, group_id: i64) -> (i64, i32, OffsetDateTime, OffsetDateTime) {
    let group = scene.reader.group(&scene.opened().await, group_id).await.unwrap().unwrap();
    (group.notice_count, group.user_count, group.first_seen_at, group.last_seen_at)
}

async fn listed(scene: &Scene) -> Vec<i64> {
    let page = scene.reader.groups(&scene.opened().await, &GroupFilter::default(), None, 100).await.unwrap().unwrap();
    let mut ids: Vec<i64> = page.groups.iter().map(|group| group.id).collect();
    ids.sort_unstable();
    ids
}

async fn assert_audited(scene: &Scene) {
    let audit = Admin::connect(&scene.database.url).await.unwrap().audit(Some(1)).await.unwrap();
    assert_eq!(audit.findings, []);
}

#[tokio::test]
async fn a_merge_sums_up_holds_for_later_notices_and_is_taken_back_with_what_came_since() {
    let scene = Scene::new().await;
    let writer = Writer::connect(&scene.database.url).await.unwrap();
    write(&scene, "Timeout", &[1, 2, 3], 1).await;
    write(&scene, "Refused", &[3, 4], 2).await;
    let (timeout, refused) = (scene.group_id("Timeout").await, scene.group_id("Refused").await);
    let before = (sums(&scene, timeout).await, sums(&scene, refused).await);

    let outcome = merge(&scene, &writer, refused, timeout).await;
    assert_eq!((outcome.status, outcome.made_id), (CommandStatus::Done, timeout), "{outcome:?}");
    let (count, users, first, last) = sums(&scene, timeout).await;
    assert_eq!((count, users), (5, 4), "who met both is counted once");
    assert_eq!((first, last), (before.0.2.min(before.1.2), before.0.3.max(before.1.3)));
    assert_eq!(listed(&scene).await, [timeout]);
    let opened = scene.opened().await;
    assert_eq!(scene.reader.merged_into(&opened, refused).await.unwrap(), Some(timeout));
    assert_eq!(scene.reader.merged_into(&opened, timeout).await.unwrap(), None);
    assert_audited(&scene).await;

    write(&scene, "Refused", &[5, 6, 7], 3).await;
    write(&scene, "Timeout", &[1], 4).await;
    assert_eq!(sums(&scene, timeout).await.0, 9);
    let merged = scene.reader.merged_groups(&opened, timeout).await.unwrap();
    assert_eq!((merged.len(), merged[0].id, merged[0].notice_count), (1, refused, 5));
    assert_audited(&scene).await;

    assert_eq!(unmerge(&scene, &writer, refused, timeout).await.status, CommandStatus::Done);
    assert_eq!(listed(&scene).await, [timeout, refused]);
    let (timeout_sums, refused_sums) = (sums(&scene, timeout).await, sums(&scene, refused).await);
    assert_eq!((timeout_sums.0, timeout_sums.1), (4, 3));
    assert_eq!((refused_sums.0, refused_sums.1), (5, 5), "what came since goes with its fingerprint");
    assert_eq!((timeout_sums.2, refused_sums.2), (before.0.2, before.1.2));
    assert_audited(&scene).await;
}

#[tokio::test]
async fn what_a_merge_brings_does_not_end_a_mute_until_so_many_more() {
    let scene = Scene::new().await;
    let writer = Writer::connect(&scene.database.url).await.unwrap();
    write(&scene, "Timeout", &[1], 1).await;
    write(&scene, "Refused", &[1; 20], 2).await;
    let (timeout, refused) = (scene.group_id("Timeout").await, scene.group_id("Refused").await);
    let until = MuteUntil { notices: Some(3), ..MuteUntil::default() };
    let mute = GroupAct { group_id: timeout, change: GroupChange::Mute { until }, expected_version: 0 };
    writer.execute(order(&scene), mute).await.unwrap();
    let muted = async || scene.database.number("select count(*) from grp where state = 'muted'").await;
    merge(&scene, &writer, refused, timeout).await;
    write(&scene, "Timeout", &[1], 3).await;
    assert_eq!(muted().await, 1);
    unmerge(&scene, &writer, refused, timeout).await;
    write(&scene, "Timeout", &[1], 4).await;
    assert_eq!(muted().await, 1);
    write(&scene, "Timeout", &[1], 5).await;
    assert_eq!(muted().await, 0, "the third since it was muted");
}

#[tokio::test]
async fn a_merge_within_a_merge_is_taken_back_alone_or_with_what_it_took_in() {
    let scene = Scene::new().await;
    let writer = Writer::connect(&scene.database.url).await.unwrap();
    for (class, count) in [("A", 1), ("B", 2), ("C", 4)] {
        write(&scene, class, &vec![1; count], count as u64).await;
    }
    let (a, b, c) = (scene.group_id("A").await, scene.group_id("B").await, scene.group_id("C").await);
    merge(&scene, &writer, c, b).await;
    merge(&scene, &writer, b, a).await;
    assert_eq!((listed(&scene).await, sums(&scene, a).await.0), (vec![a], 7));

    assert_eq!(unmerge(&scene, &writer, b, a).await.status, CommandStatus::Done);
    assert_eq!((sums(&scene, a).await.0, sums(&scene, b).await.0), (1, 6), "with what it had taken in");
    merge(&scene, &writer, b, a).await;
    assert_eq!(unmerge(&scene, &writer, c, a).await.status, CommandStatus::Done);
    assert_eq!((sums(&scene, a).await.0, sums(&scene, c).await.0), (3, 4), "alone");
    assert_eq!(listed(&scene).await, [a, c]);
    assert_audited(&scene).await;

    let again = unmerge(&scene, &writer, c, c).await;
    assert_eq!(again.status, CommandStatus::Invalid);
    let merged_meanwhile = merge(&scene, &writer, c, b).await;
    assert_eq!(merged_meanwhile.status, CommandStatus::Conflict, "a group that was merged itself takes nothing in");
    assert!(merged_meanwhile.told.contains("member@example.org merged this group"), "{}", merged_meanwhile.told);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn i18_no_count_is_lost_or_doubled_while_batches_and_merges_meet() {
    const BATCHES: u64 = 60;
    let scene = Arc::new(Scene::new().await);
    let writer = Writer::connect(&scene.database.url).await.unwrap();
    for (seed, class) in ["A", "B", "C"].into_iter().enumerate() {
        write(&scene, class, &[0], seed as u64).await;
    }
    let ids = [scene.group_id("A").await, scene.group_id("B").await, scene.group_id("C").await];
    // Lanes that the scene holds and does not write to.
    let held: Vec<(i32, i64)> = sqlx::query_as("select lane, token from lane_state where lane between 8 and 10")
        .fetch_all(&scene.database.pool)
        .await
        .unwrap();
    let is_over = Arc::new(AtomicBool::new(false));

    let mut lanes = tokio::task::JoinSet::new();
    for (lane, token) in held {
        let writer = writer.clone();
        lanes.spawn(async move {
            let mut claim = Claim { lane: lane as u16, epoch: 0, token, accounted: 0 };
            let now_us = i64::try_from(OffsetDateTime::now_utc().unix_timestamp_nanos() / 1000).unwrap();
            for n in 0..BATCHES {
                let notices = ["A", "B", "C"].map(|class| {
                    let user = Some(User { id: Some(format!("{class}{}{n}", claim.lane)), ..User::default() });
                    let id = NoticeId::new(now_us, claim.lane, n * 3 + u64::from(class.as_bytes()[0]));
                    (id, notice::Notice { user, ..sample(class, "", "production", "1") })
                });
                let groups = groups_of(notices.into());
                let batch = Arc::new(Batch { groups, newest_at_us: Some(now_us), ..Batch::default() });
                // A batch that met several merges in a row comes again, as its worker would have it.
                let mut tries = 0;
                claim.accounted = loop {
                    match writer.commit(claim, Arc::clone(&batch)).await {
                        Ok(written) => break written.accounted,
                        Err(error) => {
                            tries += 1;
                            assert!(tries < 20, "{error:?}");
                        }
                    }
                };
            }
        });
    }
    let merging = tokio::spawn({
        let (scene, writer, is_over) = (Arc::clone(&scene), writer.clone(), Arc::clone(&is_over));
        async move {
            let mut done = 0;
            let mut n = 0;
            while !is_over.load(Ordering::Relaxed) {
                let (from, into) = (ids[n % 3], ids[(n + 1) % 3]);
                let there = merge(&scene, &writer, from, into).await.status == CommandStatus::Done;
                let back = unmerge(&scene, &writer, from, into).await.status == CommandStatus::Done;
                done += usize::from(there) + usize::from(back);
                n += 1;
            }
            done
        }
    });
    lanes.join_all().await;
    is_over.store(true, Ordering::Relaxed);
    assert!(merging.await.unwrap() > 20, "merges were made meanwhile");

    for id in ids {
        let (count, users, ..) = sums(&scene, id).await;
        assert_eq!(count, 1 + 3 * BATCHES as i64);
        assert!((160..=205).contains(&users), "about 181 users: {users}");
    }
    assert_audited(&scene).await;
    merge(&scene, &writer, ids[0], ids[1]).await;
    let (count, users, ..) = sums(&scene, ids[1]).await;
    assert_eq!(count, 2 + 6 * BATCHES as i64);
    assert!((325..=400).contains(&users), "about 362 users: {users}");
    assert_audited(&scene).await;
}
