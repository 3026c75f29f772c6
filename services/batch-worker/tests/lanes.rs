//! The map of lanes changes while a worker runs, and lanes that nobody needs come back when somebody does.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use store::admin::EpochState;
use store::{Admin, Writer};
use support::{Bench, notice, record};
use uuid::Uuid;

async fn states(admin: &Admin) -> Vec<EpochState> {
    admin.lane_epochs().await.unwrap().iter().map(|epoch| epoch.state).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn lanes_of_a_new_epoch_find_owners_and_those_of_an_old_one_go_and_come_back() {
    let bench = Bench::new().await;
    let admin = Admin::connect(&bench.database.url).await.unwrap();
    let worker = bench.worker_with("fold,housekeep", &["--lanes-quiet-s", "1"]).await;
    let journal = Uuid::now_v7();
    bench.ship(journal, 1, &record(7, 1, &notice("Timeout"))).await;
    bench.drained(7).await;

    admin.reshard(2).await.unwrap();
    assert_eq!(states(&admin).await, [EpochState::Draining, EpochState::Current]);
    let lanes: Vec<_> = Writer::connect(&bench.worker_url()).await.unwrap().lane_epochs().await.unwrap();
    bench.queue.learn_lanes(&lanes.iter().map(|epoch| epoch.lanes).collect::<Vec<_>>()).unwrap();
    bench.ship(journal, 1, &record(65, 1, &notice("Timeout"))).await;
    bench.drained(65).await;
    bench
        .until("epoch 0 is retired", async || states(&admin).await == [EpochState::Retired, EpochState::Current])
        .await;
    let held = "select count(*) from lane_state where lease_until > now()";
    bench.until("only the new lanes are held", async || bench.number(held).await == 2).await;

    // A gateway that was away comes back with what it has.
    bench.ship(journal, 1, &record(7, 2, &notice("Timeout"))).await;
    bench.drained(7).await;
    assert_eq!(states(&admin).await, [EpochState::Draining, EpochState::Current]);
    assert_eq!(bench.number("select sum(notice_count)::bigint from chunk").await, 3);
    worker.stop().await;
    bench.audit().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_epoch_of_which_a_gateway_has_said_that_more_comes_is_not_retired() {
    let bench = Bench::new().await;
    let admin = Admin::connect(&bench.database.url).await.unwrap();
    admin.reshard(2).await.unwrap();
    bench.run("insert into journal_cursor (epoch, lane, journal, wm, head_seq, updated_at) values (0, 7, gen_random_uuid(), 4, 5, now() - interval '1 hour');
        update lane_epoch set created_at = now() - interval '1 hour', woken_at = now() - interval '1 hour'").await;
    let mut housekeeper = Writer::connect(&bench.worker_url()).await.unwrap().housekeeper().await.unwrap().unwrap();
    let quiet = std::time::Duration::from_secs(1);
    assert!(!housekeeper.retire_lanes(0, quiet).await.unwrap(), "a record is missing");
    bench.run("update journal_cursor set wm = 5").await;
    assert!(!housekeeper.retire_lanes(1, quiet).await.unwrap(), "it is the current one");
    assert!(!housekeeper.retire_lanes(0, quiet * 7200).await.unwrap(), "it is too early");
    assert!(housekeeper.retire_lanes(0, quiet).await.unwrap());
    assert!(!housekeeper.retire_lanes(0, quiet).await.unwrap(), "it is retired already");
}

#[tokio::test(flavor = "multi_thread")]
async fn published_lanes_that_the_database_has_lost_are_put_back() {
    let bench = Bench::new().await;
    let admin = Admin::connect(&bench.database.url).await.unwrap();
    let worker = bench.worker("housekeep").await;
    admin.reshard(100).await.unwrap();
    admin.reshard(30).await.unwrap();
    let published = async || bench.queue.get_snapshot().await.unwrap().map_or(0, |snapshot| snapshot.lane_epochs.len());
    bench.until("they are published", async || published().await == 3).await;
    worker.stop().await;
    bench.run("delete from lane_state where epoch > 0; delete from lane_epoch where epoch > 0").await;
    let worker = bench.worker("housekeep").await;
    bench.until("they are back", async || bench.number("select count(*) from lane_state").await == 194).await;
    assert_eq!(bench.number("select min(lane)::bigint from lane_state where epoch = 2").await, 164);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_published_is_not_overwritten_by_a_database_that_has_lost_it() {
    let bench = Bench::new().await;
    let admin = Admin::connect(&bench.database.url).await.unwrap();
    let worker = bench.worker("housekeep").await;
    admin.reshard(100).await.unwrap();
    let published = async || bench.queue.get_snapshot().await.unwrap().map_or(0, |snapshot| snapshot.lane_epochs.len());
    bench.until("they are published", async || published().await == 2).await;
    // As after a failover that whoever keeps house does not notice: its own connection is quiet.
    bench
        .run(
            "delete from lane_state where epoch > 0; delete from lane_epoch where epoch > 0;
             update installation set snapshot_version = snapshot_version - 1",
        )
        .await;
    bench
        .until("they are back", async || {
            assert_eq!(published().await, 2);
            bench.number("select count(*) from lane_state").await == 164
        })
        .await;
    worker.stop().await;
}

#[tokio::test]
async fn a_map_that_there_cannot_be_is_refused() {
    let bench = Bench::new().await;
    let admin = Admin::connect(&bench.database.url).await.unwrap();
    for lane_count in [0, 64, 1025] {
        assert!(admin.reshard(lane_count).await.is_err(), "{lane_count}");
    }
    for lane_count in [1024, 1000, 1024] {
        admin.reshard(lane_count).await.unwrap();
    }
    let told = admin.reshard(985).await.unwrap_err().to_string();
    assert!(told.contains("984 numbers of lanes are left"), "{told}");
    admin.reshard(984).await.unwrap();
    assert_eq!(bench.number("select count(distinct lane) from lane_state").await, 4096);
}
