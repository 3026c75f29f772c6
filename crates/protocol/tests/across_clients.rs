//! One error of one application is one group, whichever client reports it.
//!
//! The clients of a language were captured while they ran the same shop, each called by a small driver.

#![expect(clippy::unwrap_used, reason = "a test may")]

mod capture;

use std::collections::{BTreeMap, BTreeSet};

use capture::{Capture, captures_or_fixtures};
use notice::{Fingerprint, Grouping, Notice, fingerprint};

/// Errors that each client was made to report, by the names of their scenarios.
const FAMILIES: [&str; 8] = [
    "simple",
    "simple_nomethod",
    "simple_typeerror",
    "nested_cause",
    "varying_message",
    "deep_stack",
    "web_get",
    "web_post_form",
];

/// Files of the drivers.
const DRIVERS: [&str; 6] = ["drive.rb", "drive_v3.rb", "drive.py", "main.py", "drive.js", "drive.php"];

/// Clients whose drivers are the same program, so that whole stacks are. The others of their languages have a driver of their own.
const SAME_DRIVER: [&str; 10] = [
    "ruby-hoptoad_notifier-2.4.10",
    "ruby-airbrake-4.3.8",
    "py-pybrake-1.10.1",
    "py-raven-6.10.0",
    "py-sentry-plain-2.75.0",
    "py-sentry-flask-2.75.0",
    "node-airbrake-v3-2.1.9",
    "node-honeybadger-6.16.5",
    "node-rollbar-3.1.0",
    "node-sentry-11.12.0",
];

/// Send the innermost 50 calls of a deep stack, so that the outermost are not on the wire.
const CUT_STACKS: [&str; 2] = ["node-airbrake-v3-2.1.9", "node-sentry-11.12.0"];

/// Says `Error` for every class.
const NAMES_NO_CLASS: &str = "node-airbrake-0.3.8";

/// Was told a root one folder above the application's: only several folders tell that.
const ROOT_TOO_HIGH: &str = "node-airbrake-v3-2.1.9";

/// Were captured while they ran a shop of another shape.
const OTHER_SHOP: [&str; 3] = ["browser-airbrake-2.1.9", "node-bugsnag-9.0.0", "rust-sentry-0.49.5"];

/// Language and family of the capture, if it is one that several clients have.
fn kind_of(capture: &Capture) -> Option<(String, String)> {
    if OTHER_SHOP.contains(&capture.client.as_str()) {
        return None;
    }
    let language = capture.client.split('-').next()?;
    let scenario = capture.meta["scenario"].as_str()?;
    let family = match scenario.trim_end_matches(|end: char| end == '_' || end.is_ascii_digit()) {
        // OpenTelemetry's name for it.
        "span_exception" => "simple",
        family => family,
    };
    let is_whole = family != "deep_stack" || !CUT_STACKS.contains(&capture.client.as_str());
    let is_compared = capture.is_notice() && is_whole && FAMILIES.contains(&family) && language != "browser";
    is_compared.then(|| (language.to_owned(), family.to_owned()))
}

fn is_of_driver(file: Option<&str>) -> bool {
    let name = file.unwrap_or_default().rsplit('/').next().unwrap_or_default();
    DRIVERS.contains(&name)
}

/// The group of each capture that is compared, by its language and family.
fn groups(of: impl Fn(&Capture) -> Option<Notice>) -> BTreeMap<(String, String), BTreeMap<String, Fingerprint>> {
    let mut groups: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
    for capture in captures_or_fixtures() {
        if let Some(kind) = kind_of(&capture)
            && let Some(notice) = of(&capture)
        {
            groups.entry(kind).or_default().insert(capture.name.clone(), fingerprint(&notice, Grouping::Default));
        }
    }
    groups
}

/// Fails where one kind of error has several groups, and says which clients compare at all.
fn assert_one_group_each(groups: &BTreeMap<(String, String), BTreeMap<String, Fingerprint>>) {
    let mut split = Vec::new();
    for (kind, members) in groups {
        let hashes: BTreeSet<[u8; 16]> = members.values().map(|fingerprint| fingerprint.hash).collect();
        if hashes.len() > 1 {
            let parts = |fingerprint: &Fingerprint| {
                fingerprint.parts.iter().map(|part| part.value.as_str()).collect::<Vec<_>>().join(" | ")
            };
            let lines: BTreeSet<String> = members
                .iter()
                .map(|(name, fingerprint)| format!("  {}: {}", name.split('/').next().unwrap(), parts(fingerprint)))
                .collect();
            split.push(format!("{kind:?}\n{}", lines.into_iter().collect::<Vec<_>>().join("\n")));
        }
        let clients: BTreeSet<&str> = members.keys().filter_map(|name| name.split('/').next()).collect();
        println!("{kind:?}: {clients:?}");
    }
    assert!(split.is_empty(), "split:\n{}", split.join("\n"));
    let is_shared = |members: &BTreeMap<String, Fingerprint>| {
        members.keys().filter_map(|name| name.split('/').next()).collect::<BTreeSet<_>>().len() > 1
    };
    assert!(groups.values().any(is_shared), "no kind of error was reported by two clients");
}

#[test]
fn an_error_of_the_shop_is_one_group_whoever_reports_it() {
    assert_one_group_each(&groups(|capture| {
        let is_compared = ![NAMES_NO_CLASS, ROOT_TOO_HIGH].contains(&capture.client.as_str());
        is_compared.then(|| {
            let mut notice = capture.notice();
            notice.errors[0].frames.retain(|frame| !is_of_driver(frame.file.as_deref()));
            notice
        })
    }));
}

#[test]
fn an_error_with_its_whole_stack_is_one_group_whoever_reports_it() {
    assert_one_group_each(&groups(|capture| {
        // Node's drivers have routes of their own.
        let is_web = capture.meta["scenario"].as_str().is_some_and(|scenario| scenario.starts_with("web_"));
        let is_same = SAME_DRIVER.contains(&capture.client.as_str()) && !(is_web && capture.client.starts_with("node"));
        is_same.then(|| capture.notice())
    }));
}

#[test]
fn different_errors_of_a_language_are_different_groups_whoever_reports_them() {
    let mut kinds: BTreeMap<[u8; 16], BTreeSet<String>> = BTreeMap::new();
    for ((language, family), members) in groups(|capture| Some(capture.notice())) {
        for fingerprint in members.values() {
            kinds.entry(fingerprint.hash).or_default().insert(format!("{language} {family}"));
        }
    }
    let mixed: Vec<_> = kinds.values().filter(|kinds| kinds.len() > 1).collect();
    assert!(mixed.is_empty(), "groups of several kinds of errors: {mixed:?}");
}
