//! What people do while the workers that do it are killed.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sqlx::Row as _;
use tests::samples::XmlNotice;
use tests::{Installation, Visitor, wire};
use tokio::task::JoinSet;

/// Commands that are given in all.
const COMMANDS: usize = 1_000;
/// People who give them at the same time.
const PEOPLE: usize = 8;
/// How long a worker lives between two kills.
const LIFE: Duration = Duration::from_millis(400);
/// How often one form is sent before it is called lost.
const TRIES_MAX: usize = 200;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_of_a_thousand_commands_is_done_once_while_workers_are_killed() {
    let mut croak = Installation::running().await;
    croak.start_worker("command").await;
    croak.start_worker("command").await;
    wire::exchange(croak.gateway_address(), &XmlNotice::default().request()).await.expect("an answer");
    croak.drained(1, Duration::from_secs(10)).await;
    let list = croak.api().read("/projects/1/groups").await;
    let group = format!("/projects/1/groups/{}", list["items"][0]["id"].as_str().expect("a group"));

    let (next, again) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let given_up = Arc::new(Mutex::new(Vec::new()));
    let mut people = JoinSet::new();
    for _ in 0..PEOPLE {
        let (next, again, given_up) = (Arc::clone(&next), Arc::clone(&again), Arc::clone(&given_up));
        let (address, group) = (croak.web_address(), group.clone());
        people.spawn(async move {
            let mut visitor = Visitor::signed_in(address).await;
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= COMMANDS {
                    return;
                }
                if !comment(&mut visitor, &group, number, &again).await {
                    given_up.lock().expect("nobody panics").push(number);
                }
            }
        });
    }

    let is_over = AtomicBool::new(false);
    let killing = async {
        let mut kills = 0;
        while !is_over.load(Ordering::Relaxed) {
            // By turns one of them, and all.
            let victims = if kills % 2 == 0 { kills / 2 % 3..kills / 2 % 3 + 1 } else { 0..3 };
            tokio::time::sleep(LIFE).await;
            croak.workers[victims.clone()].iter_mut().for_each(|worker| worker.process.kill());
            kills += 1;
            tokio::time::sleep(LIFE / 4).await;
            croak.workers[victims].iter_mut().for_each(tests::Service::start_again);
        }
        kills
    };
    let working = async {
        while let Some(ended) = people.join_next().await {
            ended.expect("a person goes on");
        }
        is_over.store(true, Ordering::Relaxed);
    };
    let (kills, ()) = tokio::join!(killing, working);
    println!("{kills} kills, {} forms sent again", again.load(Ordering::Relaxed));
    assert!(kills >= 10 && again.load(Ordering::Relaxed) > 0, "the kills were in the way");
    assert_eq!(*given_up.lock().expect("nobody panics"), Vec::<usize>::new());

    let rows = sqlx::query("select body, count(*) from comment group by body").fetch_all(&croak.pool()).await;
    let rows = rows.expect("comments can be read");
    let twice: Vec<String> =
        rows.iter().filter(|row| row.get::<i64, _>(1) != 1).map(|row| row.get::<String, _>(0)).collect();
    assert_eq!(twice, Vec::<String>::new(), "done more than once");
    assert_eq!(rows.len(), COMMANDS, "each was done");
}

/// Writes a comment by the form of the group's page, and sends the same form again until it is said to be done.
async fn comment(visitor: &mut Visitor, group: &str, number: usize, again: &AtomicUsize) -> bool {
    // While no worker takes commands the page has no forms.
    let mut form = None;
    for _ in 0..TRIES_MAX {
        let page = visitor.get(group).await;
        form = page.forms().into_iter().find(|form| form.action.ends_with("/comment"));
        if form.is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let Some(form) = form else { return false };
    let form = form.with("body", &format!("comment number {number}"));
    for _ in 0..TRIES_MAX {
        let page = visitor.submit(&form).await;
        // A worker that was killed may have done it before: the same form finds out.
        let is_open = page.shows("It takes longer than usual, and may still be done");
        if !is_open && !page.shows("Changes are paused: no worker answers. Nothing") {
            return page.status == 200;
        }
        again.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    false
}
