//! What people do about what they are told.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

mod database;

use database::Database;
use store::admin::NewProject;
use store::alert::DestinationKind;
use store::writer::{
    ChooseNotifications, CommandStatus, DeleteDestination, EnableDestination, Order, Outcome, SaveDestination,
    SaveRule, TestDestination, Unsubscribe,
};
use store::{Admin, Writer};
use uuid::Uuid;

/// A project with a member and a viewer.
struct Scene {
    database: Database,
    writer: Writer,
    member: i64,
    viewer: i64,
}

impl Scene {
    async fn new() -> Self {
        let database = Database::fresh().await;
        let admin = Admin::connect(&database.url).await.unwrap();
        admin.create_project(NewProject { id: Some(1), name: "Shop".into(), ..NewProject::default() }).await.unwrap();
        let member = admin.create_user("member@example.org", "", "x").await.unwrap();
        let viewer = admin.create_user("viewer@example.org", "", "x").await.unwrap();
        admin.add_member(member, 1, "member").await.unwrap();
        admin.add_member(viewer, 1, "viewer").await.unwrap();
        // With the rights of a worker, and no more.
        let url = format!("{}?options=-c%20role%3Dcroak_worker", database.url);
        let writer = Writer::connect(&url).await.unwrap();
        Self { database, writer, member, viewer }
    }

    async fn act(&self, actor_id: i64, act: impl store::writer::Act) -> Outcome {
        let order = Order { id: Uuid::now_v7(), actor_id, project_id: 1 };
        self.writer.execute(order, act).await.unwrap().outcome
    }
}

fn webhook() -> SaveDestination {
    SaveDestination {
        id: 0,
        kind: DestinationKind::Webhook,
        name: "Ops".into(),
        url: "https://example.org/hook/abcdef".into(),
        url_sha256: "00".into(),
        secret: b"a secret".to_vec(),
        member_ids: Vec::new(),
        expected_version: 0,
    }
}

fn rule() -> SaveRule {
    SaveRule {
        id: 0,
        name: "Often".into(),
        trigger: "count".into(),
        threshold: 10,
        window_minutes: 60,
        search: String::new(),
        environments: vec!["production".into()],
        severity_min: String::new(),
        destination_ids: Vec::new(),
        quiet_from: Some(22 * 60),
        quiet_until: Some(7 * 60),
        time_zone: "Europe/Berlin".into(),
        digest_minutes: 0,
        enabled: true,
        expected_version: 0,
    }
}

#[tokio::test]
async fn a_destination_is_made_changed_and_deleted_and_no_command_keeps_its_secrets() {
    let scene = Scene::new().await;
    assert_eq!(scene.act(scene.viewer, webhook()).await.status, CommandStatus::Denied);
    let made = scene.act(scene.member, webhook()).await;
    assert_eq!((made.status, made.version), (CommandStatus::Done, 1));
    let id = made.made_id;
    let kept = "select count(*) from command where args::text like '%abcdef%' or args::text like '%secret%'";
    assert_eq!(scene.database.number(kept).await, 0);

    let renamed = SaveDestination { id, name: "Pager".into(), url: String::new(), expected_version: 1, ..webhook() };
    assert_eq!(scene.act(scene.member, renamed.clone()).await.version, 2);
    let late = scene.act(scene.member, renamed).await;
    assert_eq!((late.status, late.version), (CommandStatus::Conflict, 2));
    let stayed = "select count(*) from destination where name = 'Pager' and url like '%abcdef' and secret = 'a secret'";
    assert_eq!(scene.database.number(stayed).await, 1);
    let url = "https://elsewhere.example/hook".to_owned();
    let moved = SaveDestination { id, url, secret: b"another secret".to_vec(), expected_version: 2, ..webhook() };
    assert_eq!(scene.act(scene.member, moved).await.version, 3);
    let signed = "select count(*) from destination where url like '%elsewhere%' and secret = 'another secret'";
    assert_eq!(
        scene.database.number(signed).await,
        1,
        "whoever chose the address gets no calls signed as those of before"
    );

    scene.act(scene.member, EnableDestination { id, enabled: false }).await;
    assert_eq!(scene.act(scene.member, TestDestination { id }).await.status, CommandStatus::Invalid, "it is off");
    scene.act(scene.member, EnableDestination { id, enabled: true }).await;
    assert_eq!(scene.act(scene.member, TestDestination { id }).await.status, CommandStatus::Done);
    let waits = "select count(*) from outbox where kind = 'test' and recipient is null";
    assert_eq!(scene.act(scene.member, TestDestination { id }).await.status, CommandStatus::Invalid, "one at a time");
    assert_eq!(scene.database.number(waits).await, 1);
    assert_eq!(scene.act(scene.member, DeleteDestination { id }).await.status, CommandStatus::Done);
    assert_eq!(scene.database.number(waits).await, 0, "what waited went with it");
    let other = Order { id: Uuid::now_v7(), actor_id: scene.member, project_id: 2 };
    let denied = scene.writer.execute(other, DeleteDestination { id: 1 }).await.unwrap().outcome;
    assert_eq!(denied.status, CommandStatus::Denied);
    assert_eq!(scene.database.number("select count(*) from audit_log where kind like 'destination.%'").await, 6);
}

#[tokio::test]
async fn a_rule_that_cannot_be_meant_is_refused_with_what_is_wrong() {
    let scene = Scene::new().await;
    assert_eq!(scene.act(scene.member, rule()).await.status, CommandStatus::Done);
    for (wrong, part) in [
        (SaveRule { name: String::new(), ..rule() }, "needs a name"),
        (SaveRule { trigger: "never".into(), ..rule() }, "trigger"),
        (SaveRule { threshold: 0, ..rule() }, "counts from 1"),
        (SaveRule { window_minutes: 2_000, ..rule() }, "1440"),
        (SaveRule { search: "colour:red".into(), ..rule() }, "colour"),
        (SaveRule { time_zone: "Berlin".into(), ..rule() }, "Europe/Berlin"),
        (SaveRule { quiet_until: Some(5_000), ..rule() }, "times of a day"),
        (SaveRule { quiet_from: Some(7 * 60), ..rule() }, "another time"),
        (SaveRule { quiet_until: None, ..rule() }, "a beginning and an end"),
        (SaveRule { search: "assigned:me".into(), ..rule() }, "name the member"),
        (SaveRule { severity_min: "awful".into(), ..rule() }, "severity"),
    ] {
        let outcome = scene.act(scene.member, wrong).await;
        assert_eq!(outcome.status, CommandStatus::Invalid, "{}", outcome.told);
        assert!(outcome.told.contains(part), "{}", outcome.told);
    }
    assert_eq!(scene.database.number("select count(*) from alert_rule where name = 'Often'").await, 1);
}

#[tokio::test]
async fn two_who_add_the_last_rule_at_once_do_not_both_add_it() {
    let scene = Scene::new().await;
    let fill = "insert into alert_rule (project_id, name, trigger)
         select 1, n::text, 'new' from generate_series(1, 49 - (select count(*) from alert_rule)) n";
    sqlx::raw_sql(fill).execute(&scene.database.pool).await.unwrap();
    let mut holds = scene.database.pool.begin().await.unwrap();
    sqlx::query("select id from project where id = 1 for update").fetch_one(&mut *holds).await.unwrap();
    let waits = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
    let let_go = async {
        while scene.database.number(waits).await < 2 {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        holds.commit().await.unwrap();
    };
    tokio::join!(scene.act(scene.member, rule()), scene.act(scene.member, rule()), let_go);
    assert_eq!(scene.database.number("select count(*) from alert_rule").await, 50);
}

#[tokio::test]
async fn what_a_rule_had_to_tell_goes_when_it_is_switched_off() {
    let scene = Scene::new().await;
    let id = scene.act(scene.member, rule()).await.made_id;
    sqlx::query("insert into alert (rule_id, project_id, group_id, kind, body) values ($1, 1, 7, 'group.count', '{}')")
        .bind(id)
        .execute(&scene.database.pool)
        .await
        .unwrap();
    let off = SaveRule { id, enabled: false, expected_version: 1, ..rule() };
    assert_eq!(scene.act(scene.member, off).await.status, CommandStatus::Done);
    assert_eq!(scene.database.number("select count(*) from alert where told_at is null").await, 0);
}

#[tokio::test]
async fn everybody_chooses_for_oneself_and_a_link_ends_what_it_is_about() {
    let scene = Scene::new().await;
    let both = ChooseNotifications { alerts: true, weekly: true };
    assert_eq!(scene.act(scene.viewer, both).await.status, CommandStatus::Done, "who only reads may hear of it");
    assert_eq!(scene.act(scene.member, both).await.status, CommandStatus::Done);
    let weekly = Unsubscribe { user_id: scene.viewer, project_id: 1, weekly: true };
    assert_eq!(scene.act(0, weekly).await.status, CommandStatus::Done);
    let left = "select count(*) from notification_choice where alerts and not weekly";
    assert_eq!(scene.database.number(left).await, 1);
    let alerts = Unsubscribe { user_id: scene.viewer, project_id: 1, weekly: false };
    scene.act(0, alerts).await;
    assert_eq!(scene.database.number("select count(*) from notification_choice where alerts").await, 1);
    let nobody = Unsubscribe { user_id: 999, project_id: 1, weekly: false };
    assert_eq!(scene.act(0, nobody).await.status, CommandStatus::Done, "whether somebody is there is not told");
    assert_eq!(scene.act(0, both).await.status, CommandStatus::Denied);
}
