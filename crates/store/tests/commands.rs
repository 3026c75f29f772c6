//! Commands that wait for each other. Apart from other tests: a transaction that stands open keeps what is written meanwhile from
//! those who follow what becomes visible.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

mod database;
#[allow(dead_code, reason = "shared with other tests, which use all of it")]
#[path = "reading/scene.rs"]
mod scene;

use scene::Scene;
use store::Writer;
use store::writer::{ChangeTicked, Comeback, CommandStatus, GroupAct, GroupChange, Order, SeenGroup};
use uuid::Uuid;

/// With a group of each class.
async fn stage(classes: &[&str]) -> (Scene, Writer) {
    let scene = Scene::new().await;
    for (class, seed) in classes.iter().zip(1..) {
        scene.write(class, &scene.accept(1, seed, 60)).await;
    }
    let writer = Writer::connect(&scene.database.url).await.unwrap();
    (scene, writer)
}

fn order(scene: &Scene) -> Order {
    Order { id: Uuid::now_v7(), actor_id: scene.member, project_id: 1 }
}

#[tokio::test]
async fn a_command_that_has_to_wait_for_long_changes_nothing_and_says_so() {
    let (scene, writer) = stage(&["A"]).await;
    let group_id = scene.group_id("A").await;
    let mut holds = scene.database.pool.begin().await.unwrap();
    sqlx::query("select from grp for update").execute(&mut *holds).await.unwrap();
    let act = GroupAct { group_id, change: GroupChange::Reopen, expected_version: 1 };
    let order = order(&scene);
    let error = writer.execute(order, act.clone()).await.unwrap_err();
    assert!(error.is_rolled_back(), "{error}");
    holds.rollback().await.unwrap();
    assert_eq!(writer.execute(order, act).await.unwrap().outcome.told, "It was so already.");
}

#[tokio::test]
async fn commands_that_hold_each_other_up_are_tried_again() {
    let (scene, writer) = stage(&["A", "B"]).await;
    let (one, other) = (scene.group_id("A").await, scene.group_id("B").await);
    // Who deletes groups takes their locks in another order than who changes both.
    let mut holds = scene.database.pool.begin().await.unwrap();
    sqlx::query("set local deadlock_timeout = '1h'").execute(&mut *holds).await.unwrap();
    sqlx::query("select from grp where id = $1 for update").bind(other).execute(&mut *holds).await.unwrap();
    let groups = [one, other].map(|group_id| SeenGroup { group_id, expected_version: 0 }).to_vec();
    let change = ChangeTicked { groups, change: GroupChange::Resolve { unless: Comeback::Any } };
    let waits = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
    let crosses = async {
        while scene.database.number(waits).await == 0 {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        sqlx::query("select from grp where id = $1 for update").bind(one).execute(&mut *holds).await.unwrap();
        holds.commit().await.unwrap();
    };
    let (result, ()) = tokio::join!(writer.execute(order(&scene), change), crosses);
    let outcome = result.unwrap().outcome;
    assert_eq!((outcome.status, outcome.told.as_str()), (CommandStatus::Done, "2 groups resolved."));
}
