//! Clients' ids in the transaction that stores their notices: what others have stored meanwhile is never stored again.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

mod database;

use std::collections::BTreeMap;
use std::sync::Arc;

use database::Database;
use notice::NoticeId;
use store::batch::{Batch, Claim, ClientIdRun, Written};
use store::client_ids::{ClientIdEntry, KnownTo};
use store::{ErrorClass, StoreError, Writer};

const PROJECT: i64 = 1;

/// A batch that brings these ids, prepared when so much was known.
fn batch(known_to: KnownTo, lane: u16, hashes: &[u64]) -> Arc<Batch> {
    batch_of(time::OffsetDateTime::now_utc(), known_to, lane, hashes)
}

/// The same, accepted at this time.
fn batch_of(at: time::OffsetDateTime, known_to: KnownTo, lane: u16, hashes: &[u64]) -> Arc<Batch> {
    let at_us = (at.unix_timestamp_nanos() / 1_000) as i64;
    let entry = |hash: &u64| ClientIdEntry::new(*hash, NoticeId::new(at_us, lane, *hash));
    let run = ClientIdRun { known_to, entries: hashes.iter().map(entry).collect(), last_at_us: at_us };
    Arc::new(Batch { client_ids: BTreeMap::from([(PROJECT, run)]), ..Batch::default() })
}

async fn known_to(writer: &Writer) -> KnownTo {
    let mut last = None;
    writer.client_ids(&BTreeMap::from([(PROJECT, None)]), |run| last = Some(run.known_to)).await.unwrap();
    last.unwrap()
}

async fn write(writer: &Writer, claim: &mut Claim, known_to: KnownTo, hashes: &[u64]) -> Result<Written, StoreError> {
    let written = writer.commit(*claim, batch(known_to, claim.lane, hashes)).await?;
    claim.accounted = written.accounted;
    Ok(written)
}

#[tokio::test]
async fn a_batch_that_does_not_know_what_is_stored_is_not_written() {
    let database = Database::fresh().await;
    sqlx::raw_sql("insert into project (id, slug, name) values (1, 'shop', 'Shop')")
        .execute(&database.pool)
        .await
        .unwrap();
    let writer = Writer::connect(&database.url).await.unwrap();
    let mut claims = writer.claim_free_lanes("test", &[0], &[], 2).await.unwrap();
    let (mut other, mut one) = (claims.pop().unwrap().claim, claims.pop().unwrap().claim);

    let before = known_to(&writer).await;
    assert_eq!(before.run_id, 0);
    let written = write(&writer, &mut one, before, &[1, 2, 3]).await.unwrap();
    assert_eq!(written.client_ids.len(), 1, "what it has stored itself");

    // Another lane that does not know of it: refused if it brings one of these, told of it if not.
    let refused = write(&writer, &mut other, before, &[4, 3]).await.unwrap_err();
    assert_eq!(refused.class(), ErrorClass::OutOfDate);
    assert_eq!(database.number("select count(*) from client_id_run").await, 1);
    let written = write(&writer, &mut other, before, &[4, 5]).await.unwrap();
    let mut learnt: Vec<u64> = written.client_ids.iter().flat_map(|run| &run.entries).map(|entry| entry.hash).collect();
    learnt.sort_unstable();
    assert_eq!(learnt, [1, 2, 3, 4, 5]);
    let last = written.client_ids.iter().map(|run| run.known_to.run_id).max().unwrap();
    assert_eq!(known_to(&writer).await.run_id, last);

    // Whoever knows it has asked already, and is not refused.
    let knowing = KnownTo { run_id: last, ..before };
    write(&writer, &mut one, knowing, &[4]).await.unwrap();

    // What another server has said does not count.
    let elsewhere = KnownTo { server_started_at: before.server_started_at - time::Duration::SECOND, ..knowing };
    let refused = write(&writer, &mut one, elsewhere, &[9]).await.unwrap_err();
    assert_eq!(refused.class(), ErrorClass::OutOfDate);
}

#[tokio::test]
async fn whatever_a_commit_is_refused_for_is_learnt_however_old_it_is() {
    let database = Database::fresh().await;
    sqlx::raw_sql("insert into project (id, slug, name) values (1, 'shop', 'Shop')")
        .execute(&database.pool)
        .await
        .unwrap();
    let writer = Writer::connect(&database.url).await.unwrap();
    let mut claims = writer.claim_free_lanes("test", &[0], &[], 2).await.unwrap();
    let (mut other, one) = (claims.pop().unwrap().claim, claims.pop().unwrap().claim);
    let before = known_to(&writer).await;
    // A gateway that could not send for days.
    let long_ago = time::OffsetDateTime::now_utc() - time::Duration::hours(60);
    writer.commit(one, batch_of(long_ago, before, one.lane, &[1])).await.unwrap();
    let refused = write(&writer, &mut other, before, &[1]).await.unwrap_err();
    assert_eq!(refused.class(), ErrorClass::OutOfDate);
    let knowing = known_to(&writer).await;
    assert_ne!(knowing, before);
    write(&writer, &mut other, knowing, &[1]).await.unwrap();
}

#[tokio::test]
async fn a_statement_that_took_too_long_is_known_by_its_error() {
    let database = Database::fresh().await;
    let slow = sqlx::raw_sql("set statement_timeout = '10ms'; select pg_sleep(5)").execute(&database.pool).await;
    assert_eq!(StoreError::from(slow.unwrap_err()).class(), ErrorClass::TooSlow);
}
