//! Pages in a real browser: found, read and stepped through, with scripts and without, on a laptop and on a telephone.

use std::path::Path;
use std::time::Duration;

use tests::browser::{Browser, Scheme, Scripts, Size};
use tests::samples::XmlNotice;
use tests::tour::{self, Stop};
use tests::{Installation, Visitor, axe, wire};
use tokio::task::JoinSet;

#[tokio::test(flavor = "multi_thread")]
async fn a_group_is_found_and_every_notice_of_it_read_with_scripts() {
    find_and_step_through(Scripts::On).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_is_found_and_every_notice_of_it_read_without_scripts() {
    find_and_step_through(Scripts::Off).await;
}

async fn find_and_step_through(scripts: Scripts) {
    let croak = Installation::running().await;
    let mut sent = Vec::new();
    for n in 0..7 {
        // Two errors by turns: the steps must keep to the one that was opened.
        let class = if n % 2 == 0 { "Shop::StockMissing" } else { "Shop::PaymentDeclined" };
        let notice = XmlNotice { class: class.into(), message: format!("shelf {n} is empty"), ..XmlNotice::default() };
        let answer = wire::exchange(croak.gateway_address(), &notice.request()).await.expect("an answer");
        if n % 2 == 0 {
            sent.push((answer.notice_id().expect("an id").to_string(), notice.marker));
        }
    }
    croak.drained(7, Duration::from_secs(10)).await;
    sent.reverse();

    let browser = Browser::start(scripts).await;
    browser.view(Size::WIDE, Scheme::Light).await;
    browser.sign_in(croak.web_address()).await;
    browser.open(&format!("http://{}/projects/1/groups", croak.web_address())).await;
    browser.write("#query", "class:Shop::StockMissing").await;
    browser.click("form[role=search] button").await;
    browser.element("table.groups").await;
    assert_eq!(browser.text("table.groups tbody .class").await, "Shop::StockMissing");
    assert!(!browser.has("table.groups tbody tr + tr").await, "the other group is not what was searched for");
    browser.click("table.groups a.open").await;

    let mut seen = Vec::new();
    loop {
        let id = browser.text("article.notice footer code").await;
        let marker = &sent[seen.len()].1;
        assert!(
            browser.client().source().await.expect("the page").contains(marker),
            "the notice's own parameter is shown"
        );
        seen.push(id);
        if !browser.has("nav.steps a[rel=prev]").await {
            break;
        }
        browser.click("nav.steps a[rel=prev]").await;
        changed(&browser, seen.last().expect("one was seen")).await;
    }
    assert_eq!(seen, sent.iter().map(|(id, _)| id.clone()).collect::<Vec<_>>(), "older and older, none left out");
    for expected in seen.iter().rev().skip(1) {
        let before = browser.text("article.notice footer code").await;
        browser.click("nav.steps a[rel=next]").await;
        changed(&browser, &before).await;
        assert_eq!(browser.text("article.notice footer code").await, *expected);
    }
    assert!(!browser.has("nav.steps a[rel=next]").await, "nothing is newer than the newest");
    assert_eq!(browser.console_errors().await, Vec::<String>::new());
    browser.close().await;
}

/// Waits until another notice than `before` is shown.
async fn changed(browser: &Browser, before: &str) {
    tests::wait_until("another notice is shown", Duration::from_secs(10), async || {
        let shown = browser
            .client()
            .find(fantoccini::Locator::Css("article.notice footer code"))
            .await
            .ok()?
            .text()
            .await
            .ok()?;
        (shown != before).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_keyboard_is_enough() {
    let croak = Installation::running().await;
    for class in ["Shop::A", "Shop::B", "Shop::C", "Shop::D"] {
        let notice = XmlNotice { class: class.into(), message: "broken".into(), ..XmlNotice::default() };
        wire::exchange(croak.gateway_address(), &notice.request()).await.expect("an answer");
    }
    croak.drained(4, Duration::from_secs(10)).await;
    let browser = Browser::start(Scripts::On).await;
    browser.view(Size::WIDE, Scheme::Light).await;
    browser.sign_in(croak.web_address()).await;
    browser.open(&format!("http://{}/projects/1/groups", croak.web_address())).await;
    browser.element("table.groups tbody tr:nth-child(4)").await;

    // Ticked, and changed together.
    for key in ["j", "x", "j", "x", "r"] {
        browser.press(key).await;
    }
    browser.shows("main", "2 groups resolved.").await;
    browser.element("table.groups").await;
    assert!(!browser.has("table.groups tbody tr:nth-child(3)").await, "two are left");
    // What j and k have come to, without a tick.
    for key in ["j", "j", "k", "m"] {
        browser.press(key).await;
    }
    browser.shows("main", "1 group muted.").await;
    browser.press("/").await;
    assert_eq!(browser.focused().await, "input", "/ leads to the search");
    // Escape leads out of it.
    browser.press("\u{e00c}").await;
    browser.press("j").await;
    browser.press("\u{e007}").await;
    browser.element("article.notice").await;
    browser.press("a").await;
    assert_eq!(browser.focused().await, "select", "a leads to whom it is assigned");
    browser.press("\u{e00c}").await;
    browser.press("r").await;
    browser.shows(".group-head .chip", "resolved").await;
    assert_eq!(browser.console_errors().await, Vec::<String>::new());
    browser.close().await;
    let states: Vec<String> = sqlx::query_scalar("select state from grp order by state")
        .fetch_all(&croak.pool())
        .await
        .expect("states can be read");
    assert_eq!(states, ["muted", "resolved", "resolved", "resolved"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_fits_a_telephone_and_can_be_used_by_everybody_in_light_and_dark() {
    let croak = Installation::running().await;
    let stops = tour::prepare(&croak).await;
    let browser = Browser::start(Scripts::On).await;
    let axe = axe::script(Path::new(env!("CARGO_TARGET_TMPDIR")));
    let mut faults = Vec::new();
    for stop in &tour::outside() {
        look(&browser, &axe, &croak, stop, &mut faults).await;
    }
    browser.sign_in(croak.web_address()).await;
    for stop in &stops {
        look(&browser, &axe, &croak, stop, &mut faults).await;
    }
    browser.close().await;
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Looks at a page in each size and in each scheme, and writes down what is wrong with it.
async fn look(browser: &Browser, axe: &str, croak: &Installation, stop: &Stop, faults: &mut Vec<String>) {
    for (size, scheme) in [(Size::NARROW, Scheme::Light), (Size::WIDE, Scheme::Dark)] {
        browser.view(size, scheme).await;
        browser.open(&format!("http://{}{}", croak.web_address(), stop.path)).await;
        let found = browser.faults().await.into_iter().chain(browser.accessibility_faults(axe).await);
        faults.extend(found.map(|fault| format!("{} {} {}: {fault}", stop.name, size.width, scheme.name())));
    }
}

/// How often a page is asked for while it is counted what the database does.
const READS: i64 = 1_000;

#[tokio::test(flavor = "multi_thread")]
async fn what_lies_ready_costs_the_database_nothing_however_many_look_at_it() {
    let croak = Installation::running().await;
    let pool = croak.pool();
    sqlx::raw_sql("create extension if not exists pg_stat_statements").execute(&pool).await.expect("the extension");
    wire::exchange(croak.gateway_address(), &XmlNotice::default().request()).await.expect("an answer");
    croak.drained(1, Duration::from_secs(10)).await;
    let list = croak.api().read("/projects/1/groups").await;
    let group = format!("/projects/1/groups/{}", list["items"][0]["id"].as_str().expect("a group"));
    for path in ["/projects/1/groups", &group] {
        let of_this_database = "(select oid from pg_database where datname = current_database())";
        let reset = format!("select pg_stat_statements_reset(0, {of_this_database}, 0)");
        sqlx::raw_sql(sqlx::AssertSqlSafe(reset)).execute(&pool).await.expect("statistics can be reset");
        let mut people = JoinSet::new();
        for _ in 0..4 {
            let (address, path) = (croak.web_address(), path.to_owned());
            people.spawn(async move {
                let mut visitor = Visitor::signed_in(address).await;
                for _ in 0..READS / 4 {
                    assert_eq!(visitor.get(&path).await.status, 200);
                }
            });
        }
        people.join_all().await;
        let most = format!(
            "select calls, query from pg_stat_statements
             where dbid = {of_this_database} and userid = 'croak_web'::regrole order by calls desc limit 1"
        );
        let most = sqlx::query_as::<_, (i64, String)>(sqlx::AssertSqlSafe(most)).fetch_one(&pool).await;
        let (calls, query) = most.expect("statements can be counted");
        // What lies ready is read anew some times a second.
        assert!(calls < READS / 4, "{path}: {calls} times for {READS} reads: {query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_command_worker_every_page_stands_and_says_that_changes_are_paused() {
    let mut croak = Installation::running().await;
    let stops = tour::prepare(&croak).await;
    let mut visitor = Visitor::signed_in(croak.web_address()).await;
    let mut statuses = Vec::new();
    for stop in &stops {
        let page = visitor.get(&stop.path).await;
        assert!(!page.shows("Changes are paused"), "{}: a worker is there\n{}", stop.name, page.html);
        statuses.push(page.status);
    }
    croak.workers[0].stop().await;
    tests::wait_until("pages know that no worker is there", Duration::from_secs(30), async || {
        visitor.get("/account").await.shows("Changes are paused").then_some(())
    })
    .await;
    for (stop, status) in stops.iter().zip(statuses) {
        let page = visitor.get(&stop.path).await;
        assert_eq!(page.status, status, "{} stands:\n{}", stop.name, page.html);
        let is_of_nothing = status == 404;
        assert!(page.shows("Changes are paused") || is_of_nothing, "{} does not say so:\n{}", stop.name, page.html);
    }
    for stop in tour::outside() {
        assert!(visitor.get(&stop.path).await.status < 500, "{}", stop.name);
    }
}
