//! Where an error is looked for: in the API, and on the pages as a browser shows them.

use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime};

use fantoccini::Locator;
use serde_json::Value;

use super::client::{Client, Part};
use super::expected::{BREADCRUMB, CAUSE, Expected, TAG, USER};
use crate::Api;
use crate::browser::Browser;
use crate::wait::POLL_EVERY;

/// From the start of a program until what it sends is visible, at most.
const VISIBLE_LIMIT: Duration = Duration::from_secs(30);

/// What the API has of a client.
#[derive(Debug, Default)]
pub(super) struct Visible {
    /// Its error.
    pub error: Option<Value>,
    /// Everything.
    pub all: Vec<Value>,
    /// When the error was first seen there.
    pub visible_at: Option<SystemTime>,
    /// What did not become visible.
    pub faults: Vec<String>,
}

/// Waits until a client's error, and its message beside it, are visible.
pub(super) async fn visible(api: &Api, project: i64, client: &Client, expected: &Expected) -> Visible {
    let started_at = Instant::now();
    let wants_note = !client.lacks(Part::Message);
    loop {
        let mut found = Visible { all: api.all(&format!("/projects/{project}/notices")).await, ..Visible::default() };
        let seen_at = SystemTime::now();
        found.error = found.all.iter().find(|notice| says(notice, &expected.message)).cloned();
        let has_note = found.all.iter().any(|notice| says(notice, &expected.note));
        if found.error.is_some() && (has_note || !wants_note) {
            found.visible_at = Some(seen_at);
            return found;
        }
        if started_at.elapsed() > VISIBLE_LIMIT {
            if found.error.is_none() {
                found.faults.push(format!("the error did not become visible within {VISIBLE_LIMIT:?}"));
            }
            if wants_note && !has_note {
                found.faults.push(format!("the message did not become visible within {VISIBLE_LIMIT:?}"));
            }
            return found;
        }
        tokio::time::sleep(POLL_EVERY).await;
    }
}

fn says(notice: &Value, text: &str) -> bool {
    notice["errors"][0]["message"].as_str().is_some_and(|message| message.contains(text))
}

/// What the API's notice lacks.
pub(super) fn in_notice(notice: &Value, client: &Client, expected: &Expected) -> Vec<String> {
    let mut faults = Vec::new();
    let mut compare = |name: &str, is_right: bool, found: &Value, wanted: &str| {
        if !is_right {
            faults.push(format!("API: {name} is {found} and not {wanted}"));
        }
    };
    let error = &notice["errors"][0];
    let top = &error["frames"][0];
    compare("class", error["class"] == *expected.class, &error["class"], &expected.class);
    compare("message", error["message"] == *expected.message, &error["message"], &expected.message);
    if !client.lacks(Part::Release) {
        compare("release", notice["release"] == *expected.release, &notice["release"], &expected.release);
    }
    compare(
        "environment",
        notice["environment"] == *expected.environment,
        &notice["environment"],
        &expected.environment,
    );
    if !client.lacks(Part::Function) {
        let function = top["function"].as_str().unwrap_or_default();
        compare("function", function.ends_with(expected.function), &top["function"], expected.function);
    }
    let file = top["file"].as_str().unwrap_or_default();
    compare("file", file.ends_with(expected.file), &top["file"], expected.file);
    if let Some(line) = expected.line.filter(|_| !client.lacks(Part::Line)) {
        compare("line", top["line"] == line, &top["line"], &line.to_string());
    }
    if !client.lacks(Part::Cause) {
        let cause = &notice["errors"][1]["class"];
        compare("cause", *cause == CAUSE, cause, CAUSE);
    }
    if !client.lacks(Part::User) {
        compare("user", notice["user"]["id"] == USER, &notice["user"], USER);
    }
    faults
}

/// Opens the client's group as people do, from the list of groups, and says what the pages lack.
pub(super) async fn on_page(
    browser: &Browser,
    web: SocketAddr,
    project: i64,
    client: &Client,
    expected: &Expected,
) -> Vec<String> {
    let mut faults = Vec::new();
    let query: String = url::form_urlencoded::byte_serialize(format!("\"{}\"", expected.message).as_bytes()).collect();
    browser.open(&format!("http://{web}/projects/{project}/groups?query={query}")).await;
    if !browser.has("table.groups a.open").await {
        return vec!["page: the list of groups does not find the message".to_owned()];
    }
    let row = browser.text("table.groups tbody tr").await;
    browser.click("table.groups a.open").await;
    let head = browser.text(".group-head").await;
    let frame = browser.text(".stack .frame").await;
    let mut expect = |name: &str, shown: &str, wanted: &str| {
        if !shown.contains(wanted) {
            faults.push(format!("page: {name} shows no `{wanted}`: {shown}"));
        }
    };
    for (name, shown) in [("the list of groups", &row), ("the group's head", &head)] {
        expect(name, shown, &expected.class);
        expect(name, shown, &expected.message);
    }
    expect("the top frame", &frame, expected.file);
    if !client.lacks(Part::Function) {
        expect("the top frame", &frame, expected.function);
    }
    if let Some(line) = expected.line.filter(|_| !client.lacks(Part::Line)) {
        expect("the top frame", &frame, &format!(":{line}"));
    }
    let facts = browser.text("dl.facts").await;
    expect("the facts", &facts, &expected.environment);
    if !client.lacks(Part::Release) {
        expect("the facts", &facts, &expected.release);
    }
    if !client.lacks(Part::User) {
        expect("the facts", &facts, USER);
    }
    // What people would open is there as well.
    let notice = browser.client().find(Locator::Css("article.notice")).await.expect("a group has a notice");
    let notice = notice.prop("textContent").await.expect("an element has a text").unwrap_or_default();
    for (part, text) in [(Part::Cause, CAUSE), (Part::Breadcrumb, BREADCRUMB), (Part::Tag, TAG)] {
        if !client.lacks(part) && !notice.contains(text) {
            faults.push(format!("page: the notice shows no `{text}`"));
        }
    }
    faults
}
