//! Finding groups in a real browser: the search box helps, new groups are announced, an empty page turns into the list,
//! a change of many groups says how far it is.

use std::time::Duration;

use tests::browser::{Browser, Scheme, Scripts, Size};
use tests::samples::XmlNotice;
use tests::{Installation, wire};

async fn send(croak: &Installation, class: &str) {
    let notice = XmlNotice { class: class.into(), ..XmlNotice::default() };
    wire::exchange(croak.gateway_address(), &notice.request()).await.expect("an answer");
}

async fn value(browser: &Browser, css: &str) -> String {
    browser.element(css).await.prop("value").await.expect("a field").unwrap_or_default()
}

async fn shown(browser: &Browser, what: &str, css: &str, text: &str) {
    shown_within(Duration::from_secs(15), browser, what, css, text).await;
}

async fn shown_within(limit: Duration, browser: &Browser, what: &str, css: &str, text: &str) {
    tests::wait_until(what, limit, async || {
        let element = browser.client().find(fantoccini::Locator::Css(css)).await.ok()?;
        (element.text().await.ok()? == text).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_search_box_is_filled_by_keyboard_alone() {
    let croak = Installation::running().await;
    send(&croak, "Shop::StockMissing").await;
    send(&croak, "Shop::PaymentDeclined").await;
    croak.drained(2, Duration::from_secs(10)).await;
    let browser = Browser::start(Scripts::On).await;
    browser.view(Size::WIDE, Scheme::Light).await;
    browser.sign_in(croak.web_address()).await;
    browser.open(&format!("http://{}/projects/1/groups", croak.web_address())).await;
    let (down, enter, escape) = ("\u{e015}", "\u{e007}", "\u{e00c}");
    let keys = async |keys: &str| browser.element("#query").await.send_keys(keys).await.expect("typed");

    keys("cla").await;
    shown(&browser, "keys are offered", "#offers li:first-child", "class:\nTimeout").await;
    keys(down).await;
    let active = browser.element("#query").await.attr("aria-activedescendant").await.expect("the box");
    assert_eq!(active.as_deref(), Some("offer-0"));
    keys(enter).await;
    shown(&browser, "classes are offered", "#offers li:first-child", "Shop::PaymentDeclined").await;
    assert_eq!(value(&browser, "#query").await, "class:");
    keys("Stock").await;
    shown(&browser, "what was typed narrows", "#offers li:first-child", "Shop::StockMissing").await;
    keys(&format!("{down}{enter}")).await;
    assert_eq!(value(&browser, "#query").await, "class:Shop::StockMissing ");
    keys("is:").await;
    shown(&browser, "states are offered", "#offers li:first-child", "unresolved").await;
    keys(escape).await;
    let expanded = browser.element("#query").await.attr("aria-expanded").await.expect("the box");
    assert_eq!(expanded.as_deref(), Some("false"));
    keys(&format!("unresolved{enter}")).await;
    browser.element("table.groups").await;
    shown(&browser, "the group is found", "table.groups tbody .class", "Shop::StockMissing").await;
    assert!(!browser.has("table.groups tbody tr + tr").await, "and no other");
    assert_eq!(browser.console_errors().await, Vec::<String>::new());
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_group_is_announced_and_moves_nothing() {
    let croak = Installation::running().await;
    send(&croak, "Shop::First").await;
    croak.drained(1, Duration::from_secs(10)).await;
    let browser = Browser::start(Scripts::On).await;
    browser.view(Size::WIDE, Scheme::Dark).await;
    browser.sign_in(croak.web_address()).await;
    browser.open(&format!("http://{}/projects/1/groups", croak.web_address())).await;
    browser.element("table.groups").await;
    send(&croak, "Shop::Second").await;
    send(&croak, "Shop::Third").await;
    shown(&browser, "new groups are announced", ".news a", "2 new groups").await;
    assert!(!browser.has("table.groups tbody tr + tr").await, "the rows stay as they were");
    assert_eq!(browser.faults().await, Vec::<String>::new());
    browser.click(".news a").await;
    tests::wait_until("they are shown", Duration::from_secs(10), async || {
        browser.has("table.groups tbody tr + tr + tr").await.then_some(())
    })
    .await;
    assert!(!browser.has(".news a").await, "and announced no more");
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_page_turns_into_the_list_by_itself() {
    for scripts in [Scripts::On, Scripts::Off] {
        let croak = Installation::running().await;
        let browser = Browser::start(scripts).await;
        browser.view(Size::NARROW, Scheme::Light).await;
        browser.sign_in(croak.web_address()).await;
        browser.open(&format!("http://{}/projects/1/groups", croak.web_address())).await;
        browser.element(".snippets").await;
        send(&croak, "Shop::First").await;
        shown(&browser, "the list is there", "table.groups tbody .class", "Shop::First").await;
        browser.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_many_groups_says_how_far_it_is_and_the_page_stays() {
    let croak = Installation::running().await;
    croak.croak(&["generate", "--project", "1", "--groups", "6000", "--notices", "6000"]);
    let browser = Browser::start(Scripts::On).await;
    browser.view(Size::WIDE, Scheme::Light).await;
    browser.sign_in(croak.web_address()).await;
    browser.open(&format!("http://{}/projects/1/groups", croak.web_address())).await;
    browser.click("#bulk [name=all]").await;
    browser.click("#bulk button[value=resolve]").await;
    let note = browser.text(".told.undo p").await;
    assert!(note.ends_with(" changed so far; it goes on. Look again"), "{note}");
    browser.write("#query", "class:").await;
    // Thirty slices, with whatever else the machine has to do.
    let limit = Duration::from_secs(60);
    shown_within(limit, &browser, "it is done", ".told.undo p", "6,000 groups changed.").await;
    assert_eq!(value(&browser, "#query").await, "class:", "what was typed meanwhile is there");

    browser.click(".told.undo button").await;
    browser.shows(".told.undo p", "Taken back for 6,000 of 6,000 groups.").await;
    assert!(!browser.has(".told.undo button").await, "once");
    assert_eq!(browser.console_errors().await, Vec::<String>::new());
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_is_saved_made_a_feed_and_exported_without_scripts() {
    let croak = Installation::running().await;
    send(&croak, "Shop::StockMissing").await;
    send(&croak, "Shop::PaymentDeclined").await;
    croak.drained(2, Duration::from_secs(10)).await;
    let browser = Browser::start(Scripts::Off).await;
    browser.view(Size::WIDE, Scheme::Light).await;
    browser.sign_in(croak.web_address()).await;
    let list = format!("http://{}/projects/1/groups", croak.web_address());
    browser.open(&format!("{list}?query=class%3AStock")).await;
    browser.click(".keep summary").await;
    browser.write("#search-name", "Stock").await;
    browser.click(".popup form[action$=\"/searches\"] button").await;
    shown(&browser, "it stands above the list", ".saved nav a[aria-current]", "Stock").await;

    browser.open(&list).await;
    browser.click(".saved nav a").await;
    shown(&browser, "it finds what it found", "table.groups tbody .class", "Shop::StockMissing").await;
    assert!(!browser.has("table.groups tbody tr + tr").await);

    browser.click(".keep summary").await;
    browser.click(".popup li form[action$=\"/feeds\"] button").await;
    let told = browser.text(".told").await;
    let address = told.split_whitespace().find(|word| word.contains("/feeds/")).expect("the feed's address is told");
    let address = address.trim_end_matches('.').to_owned();
    let feed = reqwest::get(&address).await.expect("an answer").text().await.expect("a text");
    assert!(feed.contains("Shop::StockMissing") && !feed.contains("Shop::PaymentDeclined"), "{feed}");
    browser.click(".keep summary").await;
    browser.click(".popup form[action$=\"/revoke\"] button").await;
    shown(&browser, "the feed is taken back", ".told", "The feed is taken back.").await;
    assert_eq!(reqwest::get(&address).await.expect("an answer").status(), 404);

    let exported = croak.api().fetch("/projects/1/export?query=class%3AStock&notices=1").await;
    let lines = exported.text().await.expect("lines");
    assert_eq!(lines.lines().count(), 1, "{lines}");
    browser.close().await;
}
