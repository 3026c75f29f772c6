//! Services stop in order when they are asked to; what people do acts once; who wants to know is told once.

use std::collections::HashSet;
use std::time::Duration;

use tests::installation::{ALL_ROLES, STOP_LIMIT};
use tests::load::Load;
use tests::receiver::Receiver;
use tests::samples::XmlNotice;
use tests::{Api, Installation, Visitor, bodies, wait_until, wire};

/// Anything that follows from a notice or a click is there within this.
const SOON: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
async fn every_service_stops_under_load_within_its_deadline_and_nothing_is_lost() {
    let mut croak = Installation::running().await;
    croak.start_worker(ALL_ROLES).await;
    let load = Load::start(croak.gateway_address(), 300, |n| {
        XmlNotice { class: format!("Failure{}", n % 20), ..XmlNotice::default() }.request()
    });
    for round in 0..2 {
        for (name, service) in
            [("gateway", croak.gateway.as_mut()), ("worker", croak.workers.first_mut()), ("web", croak.web.as_mut())]
        {
            let service = service.expect("it runs");
            let before = load.accepted_count();
            wait_until("the load goes on", SOON, async || (load.accepted_count() > before + 100).then_some(())).await;
            let took = service.stop().await;
            println!("round {round}: {name} stopped in {} ms", took.as_millis());
            assert!(took <= STOP_LIMIT, "{name} took {took:?}");
            service.start_again();
            service.ready().await;
        }
    }
    let ledger = load.stop().await;
    println!(
        "sent {}, accepted {}, unanswered {}, not sent {}, refused {:?}",
        ledger.sent,
        ledger.accepted.len(),
        ledger.unanswered,
        ledger.unsent,
        ledger.refused
    );
    let accepted: HashSet<_> = ledger.accepted.iter().copied().collect();
    let copies = bodies::copies_with_all_of(&croak.pool(), &ledger.accepted, Duration::from_secs(30)).await;
    assert!(copies.values().all(|copies| *copies == 1), "each is stored once");
    assert!(
        (copies.len() - accepted.len()) as u64 <= ledger.unanswered,
        "{} stored, {} accepted",
        copies.len(),
        accepted.len()
    );
    croak.croak(&["audit"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resolved_group_reopens_with_its_next_notice_and_the_receiver_is_told_once() {
    let croak = Installation::running().await;
    let receiver = Receiver::start().await;
    let webhook = croak.croak_json(&["webhook", "create", "--project", "1", "--url", &receiver.url()]);
    let secret = webhook["secret"].as_str().expect("the secret is shown once");
    let api = croak.api();

    let group = send(&croak, &api).await;
    let new =
        wait_until("the receiver is told of the new group", SOON, async || receiver.calls().first().cloned()).await;
    assert!(new.is_signed_with(secret) && new.json().to_string().contains("new"), "{new:?}");

    let mut visitor = Visitor::signed_in(croak.web_address()).await;
    let path = format!("/projects/1/groups/{group}");
    let resolve = visitor.get(&path).await.form("resolve");
    let page = visitor.submit(&resolve).await;
    assert_eq!(page.status, 200, "{}", page.html);
    assert_eq!(state(&croak, &group).await, "resolved");
    page.form("reopen"); // One's own change is seen at once.

    assert_eq!(send(&croak, &api).await, group);
    wait_until("the group is open again", SOON, async || (state(&croak, &group).await == "unresolved").then_some(()))
        .await;
    let reopened = wait_until("the receiver is told of that", SOON, async || receiver.calls().get(1).cloned()).await;
    assert!(reopened.is_signed_with(secret) && reopened.json().to_string().contains("reopened"), "{reopened:?}");
    assert!(!reopened.is_signed_with("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"));
    assert_ne!(reopened.header("webhook-id"), new.header("webhook-id"));

    // The same form once more, as when somebody reloads: the command has been executed, and is not executed again.
    visitor.submit(&resolve).await;
    assert_eq!(state(&croak, &group).await, "unresolved", "a command acts once");

    // One more notice changes nothing, so nobody is told; by the time it is seen, a wrong call would be on its way.
    send(&croak, &api).await;
    let pool = croak.pool();
    wait_until("nothing waits for delivery", SOON, async || {
        let waiting: i64 = sqlx::query_scalar("select count(*) from outbox where done_at is null")
            .fetch_one(&pool)
            .await
            .expect("the outbox can be read");
        (waiting == 0).then_some(())
    })
    .await;
    assert_eq!(receiver.calls().len(), 2, "one call each: {:?}", receiver.calls());
}

#[tokio::test(flavor = "multi_thread")]
async fn i16_a_call_whose_sender_was_killed_before_the_answer_is_made_again_under_the_same_id() {
    let mut croak = Installation::running().await;
    let receiver = Receiver::start().await;
    croak.croak(&["webhook", "create", "--project", "1", "--url", &receiver.url()]);
    receiver.answer(false);
    send(&croak, &croak.api()).await;
    wait_until("the receiver is called", SOON, async || receiver.calls().first().cloned()).await;
    croak.workers[0].process.kill();
    receiver.answer(true);

    // As if the minute had passed for which the claim of the killed worker holds.
    let pool = croak.pool();
    sqlx::raw_sql("update outbox set claimed_until = now()").execute(&pool).await.expect("the outbox can be changed");
    croak.workers[0].start_again();
    let again = wait_until("the receiver is called again", SOON, async || receiver.calls().get(1).cloned()).await;
    assert_eq!(again.header("webhook-id"), receiver.calls()[0].header("webhook-id"));
    assert_eq!(again.body, receiver.calls()[0].body);
    wait_until("it is marked", SOON, async || {
        let done: i64 =
            sqlx::query_scalar("select count(*) from outbox where done_at is not null and recipient is null")
                .fetch_one(&pool)
                .await
                .expect("the outbox can be read");
        (done == 1).then_some(())
    })
    .await;
    assert_eq!(receiver.calls().len(), 2, "and not a third time: {:?}", receiver.calls());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_by_somebody_else_meanwhile_is_a_conflict_and_not_overwritten() {
    let croak = Installation::running().await;
    let api = croak.api();
    let group = send(&croak, &api).await;
    let path = format!("/projects/1/groups/{group}");
    let mut one = Visitor::signed_in(croak.web_address()).await;
    let mut other = Visitor::signed_in(croak.web_address()).await;
    let resolve = one.get(&path).await.form("resolve");
    let mute = other.get(&path).await.form("mute");
    one.submit(&resolve).await;
    other.submit(&mute).await;
    assert_eq!(state(&croak, &group).await, "resolved");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_command_worker_pages_stand_and_say_that_changes_are_paused() {
    let mut croak = Installation::running().await;
    let api = croak.api();
    let group = send(&croak, &api).await;
    let path = format!("/projects/1/groups/{group}");
    let mut visitor = Visitor::signed_in(croak.web_address()).await;
    let page = visitor.get(&path).await;
    assert!(!page.shows("paused"), "changes are possible:\n{}", page.html);
    let resolve = page.form("resolve");

    croak.workers[0].stop().await;
    let paused = visitor.submit(&resolve).await;
    assert!(
        paused.shows("paused"),
        "what could not be done is said: {} {}\n{}",
        paused.status,
        paused.path,
        paused.html
    );
    wait_until("the page says so by itself", Duration::from_secs(30), async || {
        visitor.get(&path).await.shows("paused").then_some(())
    })
    .await;
    assert_eq!(visitor.get(&path).await.status, 200);

    croak.start_worker(ALL_ROLES).await;
    wait_until("changes are possible again", Duration::from_secs(30), async || {
        (!visitor.get(&path).await.shows("paused")).then_some(())
    })
    .await;
    assert_eq!(state(&croak, &group).await, "unresolved");
    let resolve = visitor.get(&path).await.form("resolve");
    visitor.submit(&resolve).await;
    assert_eq!(state(&croak, &group).await, "resolved");
}

/// Sends one more of the same error; answers its group when it is seen.
async fn send(croak: &Installation, api: &Api) -> String {
    let answer = wire::exchange(croak.gateway_address(), &XmlNotice::default().request()).await.expect("an answer");
    let notice = api.visible(1, answer.notice_id().expect("an id"), SOON).await;
    notice["group_id"].as_str().expect("a group").to_owned()
}

/// A group's state as the database has it now, past every cache.
async fn state(croak: &Installation, group: &str) -> String {
    let id: i64 = group.parse().expect("ids of groups are numbers");
    let state = sqlx::query_scalar("select state from grp where id = $1").bind(id);
    state.fetch_one(&croak.pool()).await.expect("the group is there")
}
