//! House is kept beside long readers and long work, and nothing grows for ever.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

mod database;
#[allow(dead_code, reason = "shared with other tests, which use all of it")]
#[path = "reading/scene.rs"]
mod scene;

use std::time::{Duration, Instant};

use notice::NoticeId;
use scene::{Scene, groups_of, sample};
use sqlx::Connection as _;
use store::Writer;
use store::housekeeper::{Housekeeper, Turn};
use time::OffsetDateTime;

/// The housekeeper of a scene, by a session that reads no table from end to end if there is an index that could be used.
async fn housekeeper(scene: &Scene) -> Housekeeper {
    let url = format!("{}?options=-c%20enable_seqscan%3Doff", scene.database.url);
    Writer::connect(&url).await.unwrap().housekeeper().await.unwrap().unwrap()
}

async fn run(scene: &Scene, statements: &'static str) {
    sqlx::raw_sql(statements).execute(&scene.database.pool).await.unwrap();
}

#[tokio::test]
async fn a_long_reader_holds_up_neither_partitions_that_come_nor_the_rest_of_the_house() {
    let scene = Scene::new().await;
    let mut housekeeper = housekeeper(&scene).await;
    housekeeper.ensure_partitions().await.unwrap();
    run(
        &scene,
        "select partition_ensure((now() at time zone 'utc')::date - 9);
         do $$ declare day text := to_char((now() at time zone 'utc')::date + 1, 'YYYYMMDD');
         begin execute 'drop table chunk_' || day || ', fingerprint_minute_' || day; end $$",
    )
    .await;
    // What pg_dump holds from its beginning to its end.
    let mut reader = sqlx::PgConnection::connect(&scene.database.url).await.unwrap();
    sqlx::raw_sql("begin; lock table chunk, fingerprint_minute, project_minute, stats_record, attachment_part in access share mode")
        .execute(&mut reader)
        .await
        .unwrap();
    assert_eq!(housekeeper.ensure_partitions().await.unwrap(), 2);

    // What is dropped waits for the reader for a moment, and nobody waits longer than that behind it.
    let since = Instant::now();
    let error = housekeeper.roll_up_minutes(Turn::WHOLE).await.unwrap_err();
    assert_eq!(error.class(), store::ErrorClass::Retry, "{error:?}");
    assert!(!error.is_connection_lost());
    assert!(since.elapsed() < Duration::from_millis(1_500), "{:?}", since.elapsed());
    housekeeper.end_mutes(Turn::WHOLE).await.unwrap();
    assert!(housekeeper.sweep(Turn::WHOLE).await.unwrap().is_done);

    sqlx::raw_sql("rollback").execute(&mut reader).await.unwrap();
    assert_eq!(housekeeper.roll_up_minutes(Turn::WHOLE).await.unwrap().count, 1);
    let ids = scene.accept(3, 1, 60);
    scene.write("A", &ids).await;
    assert_eq!(scene.database.number("select sum(notice_count) from chunk").await, 3);
}

#[tokio::test]
async fn days_on_which_nobody_kept_house_get_their_partitions() {
    let scene = Scene::new().await;
    let mut housekeeper = housekeeper(&scene).await;
    housekeeper.ensure_partitions().await.unwrap();
    // The last that were made ended nine days ago: all since were passed over.
    run(
        &scene,
        "do $$ declare today date := (now() at time zone 'utc')::date; parent text; day date;
         begin
             perform partition_ensure(today - n) from generate_series(9, 11) n;
             for parent in select partition_names() loop
                 for day in select partition_days(parent) loop
                     if day > today - 9 then execute format('drop table %I', parent || '_' || to_char(day, 'YYYYMMDD')); end if;
                 end loop;
             end loop;
         end $$",
    )
    .await;
    let missing = "select count(*) from partition_names() parent, generate_series(-8, 3) n
                   where (now() at time zone 'utc')::date + n::int not in (select partition_days(parent))";
    assert_eq!(
        scene.database.number(missing).await,
        12 * scene.database.number("select count(*) from partition_names()").await
    );
    housekeeper.ensure_partitions().await.unwrap();
    assert_eq!(scene.database.number(missing).await, 0);
    assert_eq!(housekeeper.ensure_partitions().await.unwrap(), 0);
}

#[tokio::test]
async fn notices_are_generated_while_minutes_are_rolled_up() {
    let scene = Scene::new().await;
    let mut housekeeper = housekeeper(&scene).await;
    let writer = Writer::connect(&scene.database.url).await.unwrap();
    let plan = writer.begin_generated(1, 2, 2, 9).await.unwrap();
    let week_ago_us =
        i64::try_from(OffsetDateTime::now_utc().unix_timestamp_nanos() / 1000).unwrap() - 7 * 86_400_000_000;
    for slice in 0..2 {
        let id = NoticeId::new(week_ago_us + slice, 3, slice.unsigned_abs());
        let groups = groups_of(vec![(id, sample("A", "b", "production", "1"))]);
        writer.write_generated(plan, slice, 3, &groups).await.unwrap();
        // What the writer has just read of the days does not hold any more.
        assert!(housekeeper.roll_up_minutes(Turn::WHOLE).await.unwrap().count > 0 || slice > 0);
    }
    assert_eq!(scene.database.number("select sum(notice_count)::bigint from chunk").await, 2);
    assert_eq!(scene.database.number("select sum(notice_count)::bigint from fingerprint_hour").await, 2);
}

#[tokio::test]
async fn what_is_finished_and_old_goes_and_the_rest_stays() {
    let scene = Scene::new().await;
    run(
        &scene,
        "insert into fingerprint_hour select 1, 1, date_trunc('day', now()) - n * interval '1 day', 1 from generate_series(1, 30) n;
         insert into bulk (id, project_id, actor_id, change, created_at, done_at)
         select gen_random_uuid(), 1, 1, '{}', now() - n * interval '20 days', now() from generate_series(1, 2) n;
         insert into bulk_group (bulk_id, group_id, version, state) select id, n, 1, 'resolved' from bulk, generate_series(1, 700) n;
         insert into alert (rule_id, project_id, group_id, kind, body, at)
         select (select min(id) from alert_rule where project_id = 1), 1, n, 'group.new', '{}', now() - n * interval '2 days' from generate_series(1, 3) n;
         insert into command (id, actor_id, project_id, kind, args, status, at)
         select gen_random_uuid(), 1, 1, 'x', '{}', 'done', now() - n * interval '20 days' from generate_series(1, 1200) n;
         insert into ledger (project_id, minute, ending, reason, lane, record_count)
         select p, now() - n * interval '300 days', 'refused', 'x', 0, 1 from generate_series(1, 2) n, generate_series(0, 2) p;
         insert into outbox (recipient, kind, body, created_at, done_at)
         select 'a@example.org', 'x', '{}', now() - n * interval '10 days', now() - n * interval '10 days' from generate_series(1, 2) n;
         insert into outbox (recipient, kind, body, created_at)
         select 'a@example.org', 'x', '{}', now() - n * interval '2 days' from generate_series(1, 2) n;
         insert into release (organization_id, version, created_at) values (1, 'nobodys', now() - interval '2 days'), (1, 'young', now())",
    )
    .await;
    let mut housekeeper = housekeeper(&scene).await;
    assert!(housekeeper.sweep(Turn::WHOLE).await.unwrap().is_done);
    for (left, statement) in [
        (15, "select count(*) from fingerprint_hour"),
        (1, "select count(*) from bulk"),
        (700, "select count(*) from bulk_group"),
        (1, "select count(*) from alert where told_at is null"),
        (2, "select count(*) from alert where told_as = 'passed_over'"),
        (1, "select count(*) from command"),
        (3, "select count(*) from ledger"),
        (1, "select count(*) from outbox where done_at is not null"),
        (1, "select count(*) from outbox where gave_up_at is not null"),
        (3, "select count(*) from outbox"),
        (1, "select count(*) from release"),
    ] {
        assert_eq!(scene.database.number(statement).await, left, "{statement}");
    }
}

#[tokio::test]
async fn sweeps_read_no_large_table_from_end_to_end() {
    let scene = Scene::new().await;
    for class in ["A", "B"] {
        scene.write(class, &scene.accept(20, 1, 60)).await;
    }
    run(&scene, "update project set deleted_at = now() - interval '1 hour' where id = 2; analyze").await;
    let mut housekeeper = housekeeper(&scene).await;
    run(&scene, "select pg_stat_reset()").await;
    housekeeper.expire(Turn::WHOLE).await.unwrap();
    housekeeper.sweep(Turn::WHOLE).await.unwrap();
    housekeeper.sweep_deleted_projects(Turn::WHOLE).await.unwrap();
    run(&scene, "update grp set deleted_at = now() where id = (select min(id) from grp)").await;
    housekeeper.sweep_deleted_groups(Turn::WHOLE).await.unwrap();
    drop(housekeeper);
    let looked = "select count(*) from pg_stat_user_tables where relname = 'outbox' and idx_scan > 0";
    let since = Instant::now();
    while scene.database.number(looked).await == 0 {
        assert!(since.elapsed() < Duration::from_secs(20), "the session tells nothing");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // As many rows as there are projects, people, workers and gateways.
    let read: Vec<String> = sqlx::query_scalar(
        "select relname::text from pg_stat_user_tables where seq_scan > 0 and relname not in
         ('project', 'worker', 'invitation', 'installation', 'journal_cursor', 'lane_state', 'project_key', 'grp') order by 1",
    )
    .fetch_all(&scene.database.pool)
    .await
    .unwrap();
    assert!(read.is_empty(), "{read:?}");
}

#[tokio::test]
async fn a_project_goes_when_nothing_of_it_is_under_way_any_more_and_leaves_nothing() {
    let scene = Scene::new().await;
    scene.write("A", &scene.accept(4, 1, 60)).await;
    run(
        &scene,
        "insert into dead_notice (journal, epoch, lane, seq, project_id, notice_id, kind, reason, raw)
         select gen_random_uuid(), 0, 0, 1, p, gen_random_uuid(), 1, 'x', 'x' from generate_series(1, 2) p;
         update project set deleted_at = now() - interval '5 minutes' where id = 1",
    )
    .await;
    let mut housekeeper = housekeeper(&scene).await;
    assert_eq!(housekeeper.sweep_deleted_projects(Turn::WHOLE).await.unwrap().count, 0);
    // A batch that was prepared before the project was deleted.
    scene.write("B", &scene.accept(4, 2, 60)).await;
    run(&scene, "update project set deleted_at = now() - interval '11 minutes' where id = 1").await;
    // A turn that is over at once comes further all the same.
    let mut turns = 0;
    while !housekeeper.sweep_deleted_projects(Turn::of(Duration::ZERO)).await.unwrap().is_done {
        turns += 1;
        assert!(turns < 1_000);
    }
    let with_project: Vec<String> = sqlx::query_scalar(
        "select table_name::text from information_schema.columns
         where table_schema = 'public' and column_name = 'project_id' and table_name in (select tablename from pg_tables) order by 1",
    )
    .fetch_all(&scene.database.pool)
    .await
    .unwrap();
    assert!(with_project.len() > 20);
    for table in with_project {
        let left: i64 =
            sqlx::query_scalar(sqlx::AssertSqlSafe(format!("select count(*) from {table} where project_id = 1")))
                .fetch_one(&scene.database.pool)
                .await
                .unwrap();
        assert_eq!(left, 0, "{table}");
    }
    assert_eq!(scene.database.number("select count(*) from dead_notice").await, 1);
}

#[tokio::test]
async fn a_large_group_goes_a_little_at_a_time() {
    let scene = Scene::new().await;
    for seed in 0..40 {
        scene.write("A", &scene.accept(4, seed, 60)).await;
    }
    run(
        &scene,
        "insert into user_met select 1, n, id from fingerprint, generate_series(1, 1200) n;
         insert into alert (rule_id, project_id, group_id, kind, body)
         select (select min(id) from alert_rule where project_id = 1), 1, id, 'group.users', '{}' from grp;
         update grp set deleted_at = now()",
    )
    .await;
    let chunks = scene.database.number("select count(*) from chunk").await;
    assert!(chunks > 50);
    let mut housekeeper = housekeeper(&scene).await;
    assert!(!housekeeper.sweep_deleted_groups(Turn::of(Duration::ZERO)).await.unwrap().is_done);
    let left = scene.database.number("select count(*) from chunk").await;
    assert!(0 < left && left < chunks, "{left} of {chunks}");
    while !housekeeper.sweep_deleted_groups(Turn::of(Duration::ZERO)).await.unwrap().is_done {}
    let left = "select (select count(*) from grp) + (select count(*) from user_met) + (select count(*) from chunk)
        + (select count(*) from alert where kind = 'group.users')";
    assert_eq!(scene.database.number(left).await, 0);
}

#[tokio::test]
async fn where_no_older_day_is_kept_none_is_made_again() {
    let scene = Scene::new().await;
    let mut housekeeper = housekeeper(&scene).await;
    housekeeper.ensure_partitions().await.unwrap();
    run(
        &scene,
        "do $$ declare day date; begin
             for day in select * from partition_days('chunk') loop
                 if day < (now() at time zone 'utc')::date - 1 then
                     execute 'drop table chunk_' || to_char(day, 'YYYYMMDD');
                 end if;
             end loop;
         end $$",
    )
    .await;
    assert_eq!(housekeeper.ensure_partitions().await.unwrap(), 0);
}
