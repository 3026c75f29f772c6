//! That rules are met, and what is left to be told.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

mod database;
#[allow(dead_code, reason = "shared with other tests, which use all of it")]
#[path = "reading/scene.rs"]
mod scene;

use std::time::Duration;

use notice::{Notice, NoticeId, User};
use scene::{Scene, sample};
use sqlx::AssertSqlSafe;
use store::Writer;
use store::writer::{LooksBack, MergeGroups, Order, SeenGroup};
use uuid::Uuid;

struct Stage {
    scene: Scene,
    writer: Writer,
}

impl Stage {
    /// With no rules but those that a test makes.
    async fn new() -> Stage {
        let scene = Scene::new().await;
        let writer = Writer::connect(&scene.database.url).await.unwrap();
        let stage = Stage { scene, writer };
        stage.run("delete from alert_rule").await;
        stage
    }

    async fn run(&self, statement: &str) {
        sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(&self.scene.database.pool).await.unwrap();
    }

    async fn number(&self, statement: &'static str) -> i64 {
        self.scene.database.number(statement).await
    }

    /// One notice that came so long ago, of the user with this number.
    async fn write(&self, class: &str, release: &str, number: u64, seconds_ago: i64) {
        let now_us = i64::try_from(time::OffsetDateTime::now_utc().unix_timestamp_nanos() / 1000).unwrap();
        let id = NoticeId::new(now_us - seconds_ago * 1_000_000, 0, number);
        let user = Some(User { id: Some(number.to_string()), ..User::default() });
        self.scene.write_notice(id, Notice { user, ..sample(class, "", "production", release) }).await;
    }

    async fn rule(&self, trigger: &str, threshold: i64, window_minutes: i32, search: &str) {
        sqlx::query(
            "insert into alert_rule (project_id, name, trigger, threshold, window_minutes, search) values (1, $1, $1, $2, $3, $4)",
        )
        .bind(trigger)
        .bind(threshold)
        .bind(window_minutes)
        .bind(search)
        .execute(&self.scene.database.pool)
        .await
        .unwrap();
    }

    async fn check(&self) {
        for rule in self.writer.unchecked_rules().await.unwrap() {
            self.writer.check_alerts(&self.scene.reader, &rule).await.unwrap();
        }
    }
}

const OF_LATE: Duration = Duration::from_secs(300);

#[tokio::test]
async fn a_batch_that_meets_a_rule_whose_deletion_is_under_way_is_written() {
    let stage = Stage::new().await;
    stage.rule("new", 1, 60, "").await;
    let mut deletion = stage.scene.database.pool.begin().await.unwrap();
    sqlx::query("delete from alert_rule").execute(&mut *deletion).await.unwrap();
    let waits = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
    let delete = async {
        while stage.number(waits).await == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        deletion.commit().await.unwrap();
    };
    tokio::join!(stage.write("A", "1", 1, 0), delete);
    assert_eq!(stage.number("select sum(notice_count)::bigint from grp").await, 1);
    assert_eq!(stage.number("select count(*) from alert").await, 0);
}

#[tokio::test]
async fn a_group_that_a_search_did_not_find_is_looked_at_again() {
    let stage = Stage::new().await;
    stage.rule("users", 2, 60, "release:2.0").await;
    stage.rule("count", 1, 60, "release:2.0").await;
    stage.write("A", "1.9", 1, 0).await;
    stage.write("A", "1.9", 2, 0).await;
    let told = "select count(distinct kind) from alert where is_meant and told_at is null";
    assert_eq!(stage.writer.evaluate_alert_rules(LooksBack::Shortly).await.unwrap(), 2);
    stage.check().await;
    assert_eq!(stage.number(told).await, 0);

    stage.write("A", "2.0", 3, 0).await;
    assert_eq!(stage.writer.evaluate_alert_rules(LooksBack::Shortly).await.unwrap(), 0, "not at once");
    stage.run("update alert set at = at - interval '6 minutes', told_at = told_at - interval '6 minutes'").await;
    assert_eq!(stage.writer.evaluate_alert_rules(LooksBack::Shortly).await.unwrap(), 2);
    stage.check().await;
    assert_eq!(stage.number(told).await, 2);
    assert_eq!(stage.writer.evaluate_alert_rules(LooksBack::Shortly).await.unwrap(), 0, "once it was found");
}

#[tokio::test]
async fn a_rule_that_asks_for_more_users_than_before_is_met_again() {
    let stage = Stage::new().await;
    stage.rule("users", 1, 60, "").await;
    stage.write("A", "1", 1, 0).await;
    assert_eq!(stage.writer.evaluate_alert_rules(LooksBack::Shortly).await.unwrap(), 1);
    stage.run("update alert_rule set threshold = 2").await;
    assert_eq!(stage.writer.evaluate_alert_rules(LooksBack::Shortly).await.unwrap(), 0);
    stage.write("A", "1", 2, 0).await;
    assert_eq!(stage.writer.evaluate_alert_rules(LooksBack::Shortly).await.unwrap(), 1);
    stage.run("update alert_rule set threshold = 1").await;
    assert_eq!(stage.writer.evaluate_alert_rules(LooksBack::Shortly).await.unwrap(), 0);
}

#[tokio::test]
async fn a_rule_that_counts_asks_how_severe_it_is() {
    let stage = Stage::new().await;
    for trigger in ["users", "count"] {
        stage.rule(trigger, 1, 60, "").await;
    }
    let met = async |severity_min: &str| {
        stage.run(&format!("delete from alert; update alert_rule set severity_min = '{severity_min}'")).await;
        stage.writer.evaluate_alert_rules(LooksBack::Shortly).await.unwrap()
    };
    for (number, class, severity) in [(1, "Said", "WARN"), (2, "Said", "info"), (3, "Own", "dire"), (4, "Own", "dire")]
    {
        let now_us = i64::try_from(time::OffsetDateTime::now_utc().unix_timestamp_nanos() / 1000).unwrap();
        let user = Some(User { id: Some(number.to_string()), ..User::default() });
        let notice = Notice { user, severity: Some(severity.to_owned()), ..sample(class, "", "production", "1") };
        stage.scene.write_notice(NoticeId::new(now_us, 0, number), notice).await;
    }
    stage.write("Silent", "1", 5, 0).await;
    stage.write("Silent", "1", 6, 0).await;
    for (severity_min, groups) in [("", 3), ("debug", 3), ("warning", 3), ("error", 2), ("fatal", 0)] {
        assert_eq!(met(severity_min).await, 2 * groups, "{severity_min}, by users and by count");
    }
}

#[tokio::test]
async fn minutes_and_severities_are_of_the_same_time() {
    let stage = Stage::new().await;
    stage.rule("count", 1, 5, "").await;
    stage.run("update alert_rule set severity_min = 'error'").await;
    // In the oldest minute that still counts, and before the rule's five minutes by the second.
    let now_us = i64::try_from(time::OffsetDateTime::now_utc().unix_timestamp_nanos() / 1000).unwrap();
    let minute_us = now_us.div_euclid(60_000_000) * 60_000_000 - 5 * 60_000_000;
    for number in 1..=2 {
        let notice = Notice { severity: Some("info".to_owned()), ..sample("A", "", "production", "1") };
        stage.scene.write_notice(NoticeId::new(minute_us, 0, number), notice).await;
    }
    assert_eq!(stage.writer.evaluate_alert_rules(LooksBack::Far).await.unwrap(), 0, "they are no errors");
    stage.run("update alert_rule set severity_min = 'info'").await;
    let met = stage.writer.evaluate_alert_rules(LooksBack::Far).await.unwrap();
    // A minute may have begun meanwhile.
    let is_over = time::OffsetDateTime::now_utc().unix_timestamp().div_euclid(60) * 60 - 300 > minute_us / 1_000_000;
    assert!(met == 1 || is_over, "and they are counted");
}

#[tokio::test]
async fn what_became_visible_late_meets_rules_that_count() {
    let stage = Stage::new().await;
    stage.rule("users", 2, 60, "").await;
    stage.rule("count", 1, 60, "").await;
    stage.rule("count", 1, 10, "").await;
    stage.write("A", "1", 1, 1_200).await;
    stage.write("A", "1", 2, 1_200).await;
    assert_eq!(stage.writer.evaluate_alert_rules(LooksBack::Shortly).await.unwrap(), 0);
    assert_eq!(stage.writer.evaluate_alert_rules(LooksBack::Far).await.unwrap(), 2, "and not that of ten minutes");
}

#[tokio::test]
async fn a_rule_that_cannot_be_evaluated_holds_up_no_other() {
    let stage = Stage::new().await;
    stage.rule("users", 1, 60, "").await;
    stage.rule("users", 1, 60, "").await;
    stage
        .run(
            "create function fails() returns trigger language plpgsql as $$ begin
                 if new.rule_id = (select min(id) from alert_rule) then raise 'no'; end if;
                 return new;
             end $$;
             create trigger fails before insert on alert for each row execute function fails()",
        )
        .await;
    stage.write("A", "1", 1, 0).await;
    assert_eq!(stage.writer.evaluate_alert_rules(LooksBack::Shortly).await.unwrap(), 1);
}

#[tokio::test]
async fn rules_in_a_zone_that_the_server_does_not_know_are_told() {
    let stage = Stage::new().await;
    stage.rule("new", 1, 60, "").await;
    stage.rule("new", 1, 60, "").await;
    stage.run("update alert_rule set time_zone = 'Nowhere', quiet_from = 0, quiet_until = 1439 where id = (select min(id) from alert_rule)").await;
    stage
        .run("update alert_rule set quiet_from = 600, quiet_until = 600 where id = (select max(id) from alert_rule)")
        .await;
    stage.write("A", "1", 1, 0).await;
    let rules = stage.writer.pending_rules(OF_LATE).await.unwrap();
    assert_eq!(rules.iter().map(|rule| rule.is_quiet).collect::<Vec<_>>(), [true, false], "by UTC, and never");
}

#[tokio::test]
async fn a_group_that_was_merged_before_anybody_looked_is_told() {
    let stage = Stage::new().await;
    stage.rule("new", 1, 60, "release:2.0").await;
    stage.write("A", "2.0", 1, 0).await;
    stage.write("B", "2.0", 2, 0).await;
    let (taken, into) = (stage.scene.group_id("A").await, stage.scene.group_id("B").await);
    let groups = [taken, into].map(|group_id| SeenGroup { group_id, expected_version: 1 }).to_vec();
    let order = Order { id: Uuid::now_v7(), actor_id: stage.scene.member, project_id: 1 };
    stage.writer.execute(order, MergeGroups { groups, into: Some(into) }).await.unwrap();
    stage.check().await;
    assert_eq!(stage.number("select count(*) from alert where is_meant and told_at is null").await, 2);
}

#[tokio::test]
async fn nobody_is_told_by_a_rule_that_is_off_or_of_what_was_dealt_with() {
    let stage = Stage::new().await;
    stage.rule("new", 1, 60, "").await;
    for (class, number) in [("A", 1), ("B", 2), ("C", 3)] {
        stage.write(class, "1", number, 0).await;
    }
    let resolved = stage.scene.group_id("A").await;
    let muted = stage.scene.group_id("B").await;
    stage.run(&format!("update grp set state = 'resolved', resolved_at = now() where id = {resolved}")).await;
    stage.run(&format!("update grp set state = 'muted' where id = {muted}")).await;
    let rule = stage.writer.pending_rules(OF_LATE).await.unwrap().remove(0);
    assert_eq!(stage.writer.pass_over_dealt_with(&rule).await.unwrap(), 2);
    let rule = stage.writer.pending_rules(OF_LATE).await.unwrap().remove(0);
    assert_eq!((rule.alert_count, stage.writer.pass_over_dealt_with(&rule).await.unwrap()), (1, 0));
    stage.run("update alert_rule set enabled = false").await;
    assert!(stage.writer.pending_rules(OF_LATE).await.unwrap().is_empty());
    stage.run("update alert_rule set enabled = true; update project set deleted_at = now() where id = 1").await;
    assert!(stage.writer.pending_rules(OF_LATE).await.unwrap().is_empty());
}
