//! Commands act once, deliveries are claimed once and made at least once, and the services' roles can do what they must and no more.

#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test fails where it stands")]

mod database;

use std::time::Duration;

use database::Database;
use store::admin::{NewProject, ServiceRole};
use store::alert::DestinationKind;
use store::housekeeper::Turn;
use store::writer::{
    AttemptReport, Attempted, Comeback, CommandStatus, GroupAct, GroupChange, MuteUntil, Order, Outcome,
};
use store::{Admin, Writer};
use uuid::Uuid;

/// A project with one member, one viewer and one unresolved group.
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
        sqlx::raw_sql(
            "insert into grp (project_id, id, first_seen_at, last_seen_at, last_seen_bucket) values (1, 7, now(), now(), 0)",
        )
        .execute(&database.pool)
        .await
        .unwrap();
        let writer = Writer::connect(&database.url).await.unwrap();
        Self { database, writer, member, viewer }
    }

    /// The member's next command.
    fn order(&self) -> Order {
        Order { id: Uuid::now_v7(), actor_id: self.member, project_id: 1 }
    }
}

const RESOLVE: GroupAct =
    GroupAct { group_id: 7, change: GroupChange::Resolve { unless: Comeback::Any }, expected_version: 1 };

#[tokio::test]
async fn a_command_sent_many_times_at_once_acts_once_and_answers_all_the_same() {
    let scene = Scene::new().await;
    let order = scene.order();
    let mut sent = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let writer = scene.writer.clone();
        sent.spawn(async move { writer.execute(order, RESOLVE).await.unwrap().outcome });
    }
    let outcomes = sent.join_all().await;
    let is_done = |outcome: &Outcome| outcome.status == CommandStatus::Done && outcome.version == 2;
    assert!(outcomes.iter().all(is_done), "{outcomes:?}");
    assert_eq!(scene.database.number("select version::bigint from grp where id = 7").await, 2);
    assert_eq!(scene.database.number("select count(*) from grp_history").await, 1);
}

#[tokio::test]
async fn who_acts_on_what_has_changed_meanwhile_is_told_and_changes_nothing() {
    let scene = Scene::new().await;
    let first = scene.writer.execute(scene.order(), RESOLVE).await.unwrap();
    assert_eq!(first.outcome.status, CommandStatus::Done);
    let mute = GroupAct { change: GroupChange::Mute { until: MuteUntil::default() }, ..RESOLVE };
    let second = scene.writer.execute(scene.order(), mute).await.unwrap().outcome;
    assert_eq!((second.status, second.version), (CommandStatus::Conflict, 2));
    assert_eq!(scene.database.number("select count(*) from grp where state = 'resolved'").await, 1);
}

#[tokio::test]
async fn viewers_strangers_and_other_peoples_ids_are_denied() {
    let scene = Scene::new().await;
    let status = async |order, act| scene.writer.execute(order, act).await.unwrap().outcome.status;
    let by_viewer = Order { actor_id: scene.viewer, ..scene.order() };
    assert_eq!(status(by_viewer, RESOLVE).await, CommandStatus::Denied);
    let by_stranger = Order { actor_id: 999, ..scene.order() };
    assert_eq!(status(by_stranger, RESOLVE).await, CommandStatus::Denied);
    assert_eq!(status(scene.order(), GroupAct { group_id: 8, ..RESOLVE }).await, CommandStatus::Missing);

    let order = scene.order();
    status(order, RESOLVE).await;
    assert_eq!(status(Order { actor_id: scene.viewer, ..order }, RESOLVE).await, CommandStatus::Denied);
    let another = GroupAct { change: GroupChange::Mute { until: MuteUntil::default() }, ..RESOLVE };
    assert_eq!(status(order, another).await, CommandStatus::Denied);
}

#[tokio::test]
async fn a_delivery_is_claimed_by_one_rests_after_a_failure_and_keeps_its_id() {
    let scene = Scene::new().await;
    let admin = Admin::connect(&scene.database.url).await.unwrap();
    let url = Some("https://example.org/hook");
    let hook = admin.create_destination(1, DestinationKind::Webhook, None, url).await.unwrap();
    assert!(hook.secret.unwrap().starts_with("whsec_"));
    sqlx::query("insert into outbox (destination_id, project_id, group_id, kind, body) select $1, 1, 7, 'group.new', '{}' from generate_series(1, 2)")
        .bind(hook.id)
        .execute(&scene.database.pool)
        .await
        .unwrap();
    let minute = Duration::from_secs(60);

    let claimed = scene.writer.claim_deliveries(10, 10, minute).await.unwrap();
    assert_eq!(claimed.len(), 1, "one at a time to a destination");
    assert!(scene.writer.claim_deliveries(10, 10, minute).await.unwrap().is_empty(), "while one is under way");

    let failed = AttemptReport {
        ended: Attempted::Again(Duration::ZERO),
        status: Some(500),
        told: "answered 500".into(),
        took: Duration::ZERO,
    };
    scene.writer.finish_delivery(&claimed[0], &failed, minute).await.unwrap();
    assert!(scene.writer.claim_deliveries(10, 10, minute).await.unwrap().is_empty(), "while the destination rests");

    sqlx::raw_sql("update destination set resting_until = now()").execute(&scene.database.pool).await.unwrap();
    let mut ended = Vec::new();
    while let Some(delivery) = scene.writer.claim_deliveries(10, 10, minute).await.unwrap().pop() {
        let good =
            AttemptReport { ended: Attempted::Delivered, status: Some(200), told: String::new(), took: Duration::ZERO };
        scene.writer.finish_delivery(&delivery, &good, minute).await.unwrap();
        ended.push((delivery.id, delivery.attempt));
    }
    assert_eq!(ended.len(), 2);
    assert!(ended.contains(&(claimed[0].id, 2)), "the same id, second attempt");
    assert_eq!(scene.database.number("select count(*) from outbox where done_at is not null").await, 2);
    assert_eq!(scene.database.number("select count(*) from delivery").await, 3);
}

#[tokio::test]
async fn a_claim_that_ran_out_is_sent_again() {
    let scene = Scene::new().await;
    let admin = Admin::connect(&scene.database.url).await.unwrap();
    let url = Some("https://example.org/");
    let hook = admin.create_destination(1, DestinationKind::Webhook, None, url).await.unwrap();
    sqlx::query(
        "insert into outbox (destination_id, project_id, group_id, kind, body) values ($1, 1, 7, 'group.new', '{}')",
    )
    .bind(hook.id)
    .execute(&scene.database.pool)
    .await
    .unwrap();
    let first = scene.writer.claim_deliveries(1, 10, Duration::ZERO).await.unwrap();
    let second = scene.writer.claim_deliveries(1, 10, Duration::ZERO).await.unwrap();
    assert_eq!((first[0].id, first[0].attempt, second[0].attempt), (second[0].id, 1, 2));

    let delivered =
        AttemptReport { ended: Attempted::Delivered, status: Some(200), told: String::new(), took: Duration::ZERO };
    let failed = AttemptReport { ended: Attempted::Again(Duration::ZERO), status: None, ..delivered.clone() };
    scene.writer.finish_delivery(&second[0], &delivered, Duration::from_secs(60)).await.unwrap();
    scene.writer.finish_delivery(&first[0], &failed, Duration::from_secs(60)).await.unwrap();
    assert_eq!(scene.database.number("select count(*) from outbox where done_at is not null").await, 1);
    assert_eq!(scene.database.number("select count(*) from destination where failure_count > 0").await, 0);
}

#[tokio::test]
async fn a_project_has_few_calls_under_way_and_who_waits_for_longest_is_next() {
    let scene = Scene::new().await;
    let admin = Admin::connect(&scene.database.url).await.unwrap();
    admin.create_project(NewProject { id: Some(2), name: "Other".into(), ..NewProject::default() }).await.unwrap();
    sqlx::raw_sql(
        "insert into destination (project_id, kind, name, url, secret)
         select case when n <= 6 then 1 else 2 end, 'webhook', n::text, 'https://example.org/', 'x' from generate_series(1, 7) n;
         insert into outbox (destination_id, project_id, kind, body, due_at)
         select id, project_id, 'group.new', '{}', now() - (20 - name::int) * interval '1 minute'
         from destination where kind = 'webhook'",
    )
    .execute(&scene.database.pool)
    .await
    .unwrap();
    let minute = Duration::from_secs(60);
    let first = scene.writer.claim_deliveries(3, 4, minute).await.unwrap();
    assert_eq!(first.len(), 3);
    let second = scene.writer.claim_deliveries(10, 4, minute).await.unwrap();
    assert_eq!(second.len(), 2, "the fourth of one project, and the other's");
    let claimed = "select count(*) from outbox o join destination d on d.id = o.destination_id
         where o.claimed_until is not null and d.name in ('1', '2', '3', '4', '7')";
    assert_eq!(scene.database.number(claimed).await, 5);
}

#[tokio::test]
async fn what_is_under_way_is_found_without_looking_at_what_waits() {
    let scene = Scene::new().await;
    let admin = Admin::connect(&scene.database.url).await.unwrap();
    let hook = admin.create_destination(1, DestinationKind::Webhook, None, Some("https://example.org/")).await.unwrap();
    sqlx::query(
        "insert into outbox (destination_id, project_id, kind, body) select $1, 1, 'group.new', '{}' from generate_series(1, 50000)",
    )
    .bind(hook.id)
    .execute(&scene.database.pool)
    .await
    .unwrap();
    sqlx::raw_sql("vacuum analyze outbox").execute(&scene.database.pool).await.unwrap();
    let claim =
        include_str!("../queries/claim_deliveries.sql").replace("$1", "16").replace("$2", "0").replace("$3", "4");
    let explain = format!("explain (analyze, buffers, format json) {claim}");
    let plan: serde_json::Value =
        sqlx::query_scalar(sqlx::AssertSqlSafe(explain)).fetch_one(&scene.database.pool).await.unwrap();
    let blocks = |name: &str| plan[0]["Plan"][name].as_i64().unwrap();
    let looked_at = blocks("Shared Hit Blocks") + blocks("Shared Read Blocks");
    assert!(looked_at < 200, "{looked_at} blocks for one claim: {plan:#}");
    assert_eq!(scene.database.number("select count(*) from outbox where attempt = 1").await, 1);
}

#[tokio::test]
async fn mails_of_accounts_leave_before_those_of_alerts() {
    let scene = Scene::new().await;
    sqlx::raw_sql(
        "insert into destination (project_id, kind, name) values (1, 'mail', 'm');
         insert into outbox (destination_id, recipient, project_id, kind, body, due_at)
         select id, 'a@example.org', 1, 'group.new', '{}', now() - interval '1 hour' from destination where name = 'm';
         insert into outbox (recipient, kind, body) values ('b@example.org', 'account.reset', '{}')",
    )
    .execute(&scene.database.pool)
    .await
    .unwrap();
    let claimed = scene.writer.claim_mails(1, Duration::from_secs(60)).await.unwrap();
    assert_eq!(claimed[0].kind, "account.reset");
}

#[tokio::test]
async fn the_services_roles_can_do_what_they_must_and_no_more() {
    let scene = Scene::new().await;
    let refused = |role: &'static str, statement: &'static str| {
        let pool = scene.database.pool.clone();
        async move {
            let mut transaction = pool.begin().await.unwrap();
            sqlx::query(sqlx::AssertSqlSafe(format!("set local role {role}")))
                .execute(&mut *transaction)
                .await
                .unwrap();
            sqlx::query(statement).execute(&mut *transaction).await.is_err()
        }
    };
    for statement in [
        "create table x (a int)",
        "drop table grp",
        "select password_hash from user_account",
        "select * from user_account",
        "update user_account set name = password_hash",
        "select secret from totp",
        "update project_key set key = '12345678'",
        "update api_token set scopes = '{}'",
        "update audit_log set about = ''",
        "update installation set lane_count = 1",
    ] {
        assert!(refused("croak_worker", statement).await, "the worker may not: {statement}");
    }
    for statement in [
        "select partition_ensure(current_date + 5)",
        "select minutes_roll_up(current_date - 30)",
        "update grp set version = 2",
        "update user_account set password_hash = 'y'",
    ] {
        assert!(!refused("croak_worker", statement).await, "the worker must: {statement}");
    }
    for statement in [
        "update grp set version = 2",
        "insert into command (id, actor_id, project_id, kind, args, status) values (gen_random_uuid(), 1, 1, '', '{}', '')",
        "select secret from destination",
        "select url from destination",
        "select key from unsubscribe_key",
        "select raw from dead_notice",
        "select partition_ensure(current_date)",
    ] {
        assert!(refused("croak_web", statement).await, "the web may not: {statement}");
    }
    assert!(!refused("croak_web", "select * from grp").await);
}

#[tokio::test]
async fn a_login_is_set_for_the_services_roles() {
    let scene = Scene::new().await;
    let admin = Admin::connect(&scene.database.url).await.unwrap();
    admin.set_login(ServiceRole::Web, "it's \"quoted\" \\ here").await.unwrap();
    assert_eq!(
        scene.database.number("select count(*) from pg_roles where rolname = 'croak_web' and rolcanlogin").await,
        1
    );
}

#[tokio::test]
async fn a_change_to_projects_reaches_the_snapshot_and_only_valid_keys_are_in_it() {
    let scene = Scene::new().await;
    let admin = Admin::connect(&scene.database.url).await.unwrap();
    let mut housekeeper = scene.writer.housekeeper().await.unwrap().expect("nobody else keeps house here");
    assert!(scene.writer.housekeeper().await.unwrap().is_none(), "one at a time");

    let before = scene.writer.snapshot_version().await.unwrap();
    let key = admin.rotate_key(1).await.unwrap();
    assert!(scene.writer.snapshot_version().await.unwrap() > before);
    let snapshot = housekeeper.snapshot().await.unwrap();
    assert_eq!(snapshot.lane_count, 64);
    assert_eq!(snapshot.projects.len(), 1);
    assert_eq!(snapshot.projects[0].key_sha256, [store::token::sha256(&key).to_vec()]);

    admin.delete_project(1).await.unwrap();
    assert!(housekeeper.snapshot().await.unwrap().projects.is_empty());
    assert_eq!(
        housekeeper.sweep_deleted_projects(Turn::WHOLE).await.unwrap().count,
        0,
        "what is under way may still be written"
    );
    sqlx::raw_sql("update project set deleted_at = now() - interval '11 minutes'")
        .execute(&scene.database.pool)
        .await
        .unwrap();
    assert!(housekeeper.sweep_deleted_projects(Turn::WHOLE).await.unwrap().count >= 2);
    assert_eq!(scene.database.number("select (select count(*) from grp) + (select count(*) from project)").await, 0);
}

#[tokio::test]
async fn partitions_are_made_ahead_and_minutes_become_hours_without_losing_one() {
    let scene = Scene::new().await;
    sqlx::raw_sql(
        "select partition_ensure((now() at time zone 'utc')::date - 9);
         insert into fingerprint_minute
         select 1, 1, date_trunc('day', now() at time zone 'utc') at time zone 'utc' - interval '9 days' + n * interval '7 minutes', 3
         from generate_series(0, 99) n;
         insert into fingerprint_day select 1, 1, (now() at time zone 'utc')::date - 9, 300;",
    )
    .execute(&scene.database.pool)
    .await
    .unwrap();
    let mut housekeeper = scene.writer.housekeeper().await.unwrap().unwrap();
    assert_eq!(housekeeper.roll_up_minutes(Turn::WHOLE).await.unwrap().count, 1);
    assert_eq!(scene.database.number("select sum(notice_count) from fingerprint_hour").await, 300);
    assert_eq!(scene.database.number("select count(*) from fingerprint_minute").await, 0);
    assert_eq!(housekeeper.roll_up_minutes(Turn::WHOLE).await.unwrap().count, 0, "nothing is rolled up twice");
    assert_eq!(housekeeper.ensure_partitions().await.unwrap(), 0, "today and the days ahead are there already");
}
