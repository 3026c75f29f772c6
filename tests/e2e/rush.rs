//! Very many people ask for an account at the same time, and the workers that make them are killed meanwhile: everybody who was told to look
//! into their mail finds one there, and pages stay fast.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

use tests::installation::Service;
use tests::mailbox::Mailbox;
use tests::visitor::page_times;
use tests::{Installation, Visitor, wait_until};
use tokio::task::JoinSet;

/// How long people come.
const RUSH: Duration = Duration::from_secs(if cfg!(debug_assertions) { 6 } else { 60 });
/// How many come in a second.
const PER_SECOND: u32 = if cfg!(debug_assertions) { 20 } else { 200 };
/// Workers that make accounts, all of which are killed at the same time.
const WORKERS: usize = 2;
/// How long nobody makes any.
const AWAY: Duration = Duration::from_millis(700);

/// Somebody who is told that changes are paused sends the same form again, after this time and so often.
const PATIENCE: Duration = Duration::from_millis(500);
const TRIES_MAX: usize = 60;

/// Within this a page is there, in 99 of 100 cases.
const PAGE_LIMIT: Duration = Duration::from_secs(1);
const PAGE_PAUSE: Duration = Duration::from_millis(25);
/// A mail for everybody is at its server within this after the rush.
const MAIL_LIMIT: Duration = Duration::from_secs(300);

#[tokio::test(flavor = "multi_thread")]
async fn whoever_asks_for_an_account_in_a_rush_gets_a_mail_though_workers_are_killed() {
    let mailbox = Mailbox::start();
    let mut croak = Installation::new().await;
    croak.settings.extend([
        ("CROAK_SMTP_URL", mailbox.url()),
        ("CROAK_REGISTRATION", "open".to_owned()),
        ("CROAK_TRUSTED_PROXIES", "127.0.0.1".to_owned()),
    ]);
    for _ in 0..WORKERS {
        croak.start_worker("command").await;
    }
    croak.start_worker("deliver").await;
    croak.start_web().await;

    let pages = tokio::spawn(page_times(croak.web_address(), "/projects/1/groups", RUSH, PAGE_PAUSE));
    let people = tokio::spawn(everybody(Visitor::new(croak.web_address())));
    for _ in 0..2 {
        tokio::time::sleep(RUSH / 3).await;
        croak.workers[..WORKERS].iter_mut().for_each(|worker| worker.process.kill());
        tokio::time::sleep(AWAY).await;
        croak.workers[..WORKERS].iter_mut().for_each(Service::start_again);
    }
    let tries = people.await.expect("everybody is told to look into their mail");
    let pages = pages.await.expect("pages come");

    let (asked, again) = (tries.len(), tries.values().filter(|tries| **tries > 1).count());
    let queued = queued(&croak).await;
    let drained_since = Instant::now();
    wait_until("every mail is at its server", MAIL_LIMIT, async || {
        let waiting = "select count(*) from outbox where done_at is null";
        let waiting: i64 = sqlx::query_scalar(waiting).fetch_one(&croak.pool()).await.expect("the database answers");
        (waiting == 0).then_some(())
    })
    .await;
    let drained = drained_since.elapsed();
    let mails = mailbox.mails();
    let mut received: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for mail in &mails {
        received.entry(&mail.to[0]).or_default().insert(&mail.headers["message-id"]);
    }
    let page_p99 = pages[pages.len() * 99 / 100];
    println!(
        "{asked} asked in {} s ({PER_SECOND} a second), {again} more than once; {} mails queued, {} received for {} people, the last {} ms \
         after the rush; {} pages meanwhile, p50 {} ms, p99 {} ms",
        RUSH.as_secs(),
        queued.values().sum::<i64>(),
        mails.len(),
        received.len(),
        drained.as_millis(),
        pages.len(),
        pages[pages.len() / 2].as_millis(),
        page_p99.as_millis()
    );
    assert!(again > 0, "the kills were in the way");
    assert!(asked >= (RUSH.as_secs() * u64::from(PER_SECOND)) as usize * 9 / 10, "it was a rush");
    let lost: Vec<&String> = tries.keys().filter(|email| !received.contains_key(email.as_str())).collect();
    assert_eq!(lost, Vec::<&String>::new(), "no mail came");
    assert_eq!(queued.values().filter(|count| **count != 1).count(), 0, "one mail for each");
    assert_eq!(queued.len(), asked, "and for nobody else");
    assert_eq!(received.values().filter(|ids| ids.len() != 1).count(), 0, "the same mail, if it came twice");
    assert!(page_p99 < PAGE_LIMIT, "pages took {page_p99:?}");
}

/// People who come at their time, whatever becomes of those before, each from a network of their own. How often each sent the form until
/// they were told to look into their mail.
async fn everybody(first: Visitor) -> BTreeMap<String, usize> {
    let (since, mut people) = (Instant::now(), JoinSet::new());
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / PER_SECOND);
    while since.elapsed() < RUSH {
        ticks.tick().await;
        let person = first.somebody_at(IpAddr::V6(Ipv6Addr::from(rand::random::<u128>() >> 16 | 0x2001 << 112)));
        people.spawn(sign_up(person, format!("{}@rush.test", uuid::Uuid::new_v4().simple())));
    }
    people.join_all().await.into_iter().collect()
}

async fn sign_up(mut person: Visitor, email: String) -> (String, usize) {
    let form = person.get("/sign-up").await.form("/sign-up").with("email", &email);
    for tries in 1..=TRIES_MAX {
        let page = person.submit(&form).await;
        if page.status == 200 {
            assert!(page.shows("Look into your mail"), "{}", page.html);
            return (email, tries);
        }
        assert_eq!(page.status, 503, "{}", page.html);
        tokio::time::sleep(PATIENCE).await;
    }
    panic!("{email} was sent away {TRIES_MAX} times");
}

/// How many mails there are for each address.
async fn queued(croak: &Installation) -> BTreeMap<String, i64> {
    let queued = sqlx::query_as::<_, (String, i64)>("select recipient, count(*) from outbox group by recipient");
    queued.fetch_all(&croak.pool()).await.expect("the database answers").into_iter().collect()
}
