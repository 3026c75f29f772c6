//! What people do while the workers that do it are killed.

use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sqlx::{PgPool, Row as _};
use tests::samples::XmlNotice;
use tests::{Installation, Service, Visitor, wire};
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

    let working = async {
        while let Some(ended) = people.join_next().await {
            ended.expect("a person goes on");
        }
    };
    let kills = killing_until(working, croak.pool(), "select count(*) from comment", &mut croak.workers).await;
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

/// Kills workers by turns, one of them and all, until something has been done; answers how often.
///
/// They live until `progress` has grown, however long that takes: workers that are killed before they have started do nothing for ever.
async fn killing_until(
    done: impl Future<Output = ()>,
    pool: PgPool,
    progress: &'static str,
    workers: &mut [Service],
) -> usize {
    let (mut kills, mut seen) = (0, 0);
    let mut done = pin!(done);
    loop {
        if tokio::time::timeout(LIFE, &mut done).await.is_ok() {
            return kills;
        }
        let now: i64 = sqlx::query_scalar(progress).fetch_one(&pool).await.expect("the database answers");
        if now == seen {
            continue;
        }
        seen = now;
        let turn = kills / 2 % workers.len();
        let victims = if kills % 2 == 0 { turn..turn + 1 } else { 0..workers.len() };
        workers[victims.clone()].iter_mut().for_each(|worker| worker.process.kill());
        kills += 1;
        tokio::time::sleep(LIFE / 4).await;
        workers[victims].iter_mut().for_each(Service::start_again);
    }
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

/// Groups that are changed at once, in slices of a few hundred.
const GROUPS: i64 = 12_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_of_thousands_of_groups_and_taking_it_back_are_done_once_while_workers_are_killed() {
    let mut croak = Installation::running().await;
    croak.start_worker("command").await;
    croak.start_worker("command").await;
    let count = GROUPS.to_string();
    croak.croak(&["generate", "--project", "1", "--groups", &count, "--notices", &count]);
    let pool = croak.pool();
    assert_eq!(lives(&pool).await, [("unresolved".to_owned(), 1, vec![], GROUPS)]);

    let mut visitor = Visitor::signed_in(croak.web_address()).await;
    let list = visitor.get("/projects/1/groups").await;
    let list = visitor.submit(&list.form("/projects/1/bulk").with("all", "yes").with("do", "resolve")).await;
    assert!(list.shows("All that was found is being changed."), "{}", list.html);
    let changed = ended(&pool, "select done_at is not null and not gave_up from bulk");
    let kills = killing_until(changed, pool.clone(), "select changed_count / 1000 from bulk", &mut croak.workers).await;
    println!("{kills} kills while groups were resolved");
    assert!(kills >= 2, "the kills were in the way");
    let resolved = "resolved".to_owned();
    assert_eq!(lives(&pool).await, [(resolved.clone(), 2, vec![resolved.clone()], GROUPS)]);

    let undo = visitor
        .get(&list.path)
        .await
        .forms()
        .into_iter()
        .find(|form| form.fields.iter().any(|(name, _)| name == "bulk_id"));
    let page = visitor.submit(&undo.expect("it can be taken back").with("do", "undo")).await;
    assert!(page.shows("It is being taken back."), "{}", page.html);
    let taken_back = ended(&pool, "select undone_at is not null and not gave_up from bulk");
    let kills =
        killing_until(taken_back, pool.clone(), "select undone_count / 1000 from bulk", &mut croak.workers).await;
    println!("{kills} kills while it was taken back");
    assert!(kills >= 2, "the kills were in the way");
    assert_eq!(lives(&pool).await, [("unresolved".to_owned(), 3, vec![resolved, "restored".to_owned()], GROUPS)]);
}

/// The different lives that groups have had (state, version, history) and how many had each.
async fn lives(pool: &PgPool) -> Vec<(String, i32, Vec<String>, i64)> {
    let counted = sqlx::query_as(
        "select state, version, history, count(*)
         from (select g.state, g.version, array(select h.kind from grp_history h
                   where h.project_id = g.project_id and h.group_id = g.id order by h.id) as history
               from grp g where g.project_id = 1) as life
         group by 1, 2, 3 order by 1, 2, 3",
    );
    counted.fetch_all(pool).await.expect("groups can be read")
}

/// Waits until the one row of a statement is true.
async fn ended(pool: &PgPool, statement: &'static str) {
    let limit = Duration::from_secs(120);
    tests::wait_until(statement, limit, async || {
        let is_so = sqlx::query_scalar::<_, bool>(statement).fetch_one(pool).await.expect("the database answers");
        is_so.then_some(())
    })
    .await;
}
