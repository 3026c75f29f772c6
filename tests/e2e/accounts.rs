//! Somebody signs up and comes as far as an empty project, and nobody learns whose addresses have accounts.

use std::time::{Duration, Instant};

use tests::Installation;
use tests::installation::USER_EMAIL;
use tests::visitor::{Page, Visitor};

/// The fastest answers to what differs only in whether the address is known may differ by so much.
const ALIKE_WITHIN: Duration = Duration::from_millis(15);

/// An installation where everybody may sign up; mails stay in the outbox.
async fn open_to_all() -> Installation {
    let mut croak = Installation::new().await;
    croak.settings.push(("CROAK_REGISTRATION", "open".to_owned()));
    croak.start_worker("command").await;
    croak.start_web().await;
    croak
}

/// The path of the newest link that was mailed to an address.
async fn link(croak: &Installation, email: &str) -> String {
    let text: String =
        sqlx::query_scalar("select body->>'text' from outbox where recipient = $1 order by created_at desc limit 1")
            .bind(email)
            .fetch_one(&croak.pool())
            .await
            .expect("a mail waits");
    let base = format!("http://{}", croak.web_address());
    let (_, after) = text.split_once(&format!("{base}/link/")).expect("a link is in the mail");
    format!("/link/{}", after.split_whitespace().next().expect("it has a token"))
}

async fn ask(visitor: &mut Visitor, path: &str, email: &str) -> Page {
    let form = visitor.get(path).await.form(path).with("email", email);
    visitor.submit(&form).await
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_signs_up_and_comes_as_far_as_an_empty_project() {
    let croak = open_to_all().await;
    let mut eve = Visitor::new(croak.web_address());
    let sent = ask(&mut eve, "/sign-up", "Eve@Example.org").await;
    assert!(sent.status == 200 && sent.shows("Look into your mail"), "{}", sent.html);

    let link = link(&croak, "eve@example.org").await;
    let form = eve.get(&link).await.form("/link/");
    let short = eve.submit(&form.clone().with("password", "short")).await;
    assert!(short.status == 422 && short.shows("at least 10 characters"), "{}", short.html);
    let form = short.form("/link/").with("password", "four words and one more");
    let welcome = eve.submit(&form).await;
    assert_eq!((welcome.status, welcome.path.as_str()), (200, "/projects"), "{}", welcome.html);
    assert!(welcome.shows("Welcome. You are signed in.") && welcome.shows("Make the first one"), "{}", welcome.html);

    let form = eve.get("/projects/new").await.form("/projects/new");
    let project = eve.submit(&form.with("name", "The Till").with("organization_name", "Eve & Co")).await;
    assert!(project.status == 200 && project.path.ends_with("/groups"), "{}: {}", project.path, project.html);
    assert!(project.shows("The Till has not been heard of yet") && project.shows("airbrake-ruby"), "{}", project.html);
    let key: String = sqlx::query_scalar(
        "select key from project_key join project on project.id = project_id where name = 'The Till'",
    )
    .fetch_one(&croak.pool())
    .await
    .expect("it has a key");
    assert!(project.shows(&key), "and the snippets have it");

    let again = Visitor::new(croak.web_address()).get(&link).await;
    assert!(again.status == 410 && again.shows("This link is over"), "{}", again.html);
    let mut later = Visitor::new(croak.web_address());
    let form = later.get("/sign-in").await.form("/sign-in").with("email", "eve@example.org");
    let projects = later.submit(&form.with("password", "four words and one more")).await;
    assert_eq!(projects.path, "/projects", "the password is the one that was chosen: {}", projects.html);
    let projects = eve.get("/projects").await;
    assert!(projects.shows("The Till") && !projects.shows("shop"), "{}", projects.html);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forgotten_password_is_replaced_and_other_browsers_are_signed_out() {
    let croak = open_to_all().await;
    let mut elsewhere = Visitor::signed_in(croak.web_address()).await;
    let mut ada = Visitor::new(croak.web_address());
    ask(&mut ada, "/forgotten", USER_EMAIL).await;
    let form = ada.get(&link(&croak, USER_EMAIL).await).await.form("/link/");
    let page = ada.submit(&form.with("password", "another battery staple")).await;
    assert_eq!((page.status, page.path.as_str()), (200, "/projects"), "{}", page.html);
    // What other requests have read of the account is at most so old.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert!(elsewhere.get("/projects").await.path.starts_with("/sign-in"));
    assert_eq!(ada.get("/projects").await.path, "/projects");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_known_and_an_unknown_address_are_answered_alike() {
    let croak = open_to_all().await;
    for path in ["/sign-up", "/forgotten"] {
        let (mut known, mut unknown) = (Vec::new(), Vec::new());
        for round in 0..4 {
            let stranger = format!("stranger{round}@shop.example");
            let mut pages = Vec::new();
            for (email, times) in [(USER_EMAIL, &mut known), (stranger.as_str(), &mut unknown)] {
                let mut visitor = Visitor::new(croak.web_address());
                let form = visitor.get(path).await.form(path).with("email", email);
                let asked_at = Instant::now();
                let page = visitor.submit(&form).await;
                times.push(asked_at.elapsed());
                pages.push((page.status, page.path, page.html.replace(email, "…")));
            }
            assert_eq!(pages[0], pages[1], "{path}");
            assert_eq!(pages[0].0, 200, "{path}: {}", pages[0].2);
        }
        // Of the fastest, because other things that this machine does make answers slower and never faster.
        let (known, unknown) = (known.iter().min().expect("a time"), unknown.iter().min().expect("a time"));
        assert!(known.abs_diff(*unknown) < ALIKE_WITHIN, "{path}: {known:?} and {unknown:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_not_invited_gets_no_mail_and_where_it_is_closed_there_is_no_form() {
    let mut croak = Installation::new().await;
    croak.start_worker("command").await;
    croak.start_web().await;
    let sent = ask(&mut Visitor::new(croak.web_address()), "/sign-up", "eve@example.org").await;
    assert!(sent.status == 200 && sent.shows("Look into your mail"), "{}", sent.html);
    let mails = async || -> i64 {
        sqlx::query_scalar("select count(*) from outbox").fetch_one(&croak.pool()).await.expect("a number")
    };
    assert_eq!(mails().await, 0);

    let mut closed = Installation::new().await;
    closed.settings.push(("CROAK_REGISTRATION", "closed".to_owned()));
    closed.start_web().await;
    let page = Visitor::new(closed.web_address()).get("/sign-up").await;
    assert!(page.forms().is_empty() && page.shows("made by the operator"), "{}", page.html);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_worker_signing_up_is_paused() {
    let mut croak = Installation::new().await;
    croak.start_web().await;
    let page = ask(&mut Visitor::new(croak.web_address()), "/sign-up", "eve@example.org").await;
    assert!(page.status == 503 && page.shows("Changes are paused"), "{}", page.html);
}
