//! The weekly report.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use support::{Bench, notice, record};
use uuid::Uuid;

#[tokio::test]
async fn a_week_is_reported_once_by_however_many_workers_and_to_who_wants_it() {
    let bench = Bench::new().await;
    bench
        .run(
            "insert into user_account (id, email) values (5, 'ann@example.test'), (6, 'bob@example.test');
             insert into membership (user_id, project_id, role) values (5, 1, 'viewer'), (6, 1, 'member');
             insert into notification_choice (user_id, project_id, weekly) values (5, 1, true)",
        )
        .await;
    let folding = bench.worker("fold").await;
    let journal = Uuid::now_v7();
    for seq in 1..=3 {
        bench.ship(journal, 1, &record(5, seq, &notice("Timeout"))).await;
    }
    bench.drained(5).await;
    folding.stop().await;
    // In the middle of the week that is reported, whichever day it is today.
    bench
        .run(
            "update fingerprint_day set day = (date_trunc('week', now() at time zone 'utc' - interval '6 h') - interval '4 d')::date;
             update grp set first_seen_at = date_trunc('week', now() at time zone 'utc' - interval '6 h') - interval '4 d'",
        )
        .await;

    let flags = ["--public-url", "http://croak.test"];
    let workers = [bench.worker_with("report", &flags).await, bench.worker_with("report", &flags).await];
    bench.until("it is made", async || bench.number("select count(*) from outbox").await > 0).await;
    for worker in workers {
        worker.stop().await;
    }
    let mails: Vec<(String, String, String)> = sqlx::query_as("select recipient, kind, body->>'text' from outbox")
        .fetch_all(&bench.database.pool)
        .await
        .unwrap();
    assert_eq!(mails.len(), 1);
    let (recipient, kind, text) = &mails[0];
    assert_eq!((recipient.as_str(), kind.as_str()), ("ann@example.test", "report.weekly"));
    for part in [
        "3 notices, none in the week before. 1 groups came, 1 of them new",
        "- Timeout: it does not work – 3",
        "http://croak.test/projects/1/groups/",
        "To end these reports: http://croak.test/unsubscribe/",
    ] {
        assert!(text.contains(part), "{part} is missing in:\n{text}");
    }
}
