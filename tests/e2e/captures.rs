//! Real clients get the answer that they take for success, and what they meant is what is shown.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tests::captures::{fixtures, listed, sayable};
use tests::programs::workspace;
use tests::samples::KEY;
use tests::{Installation, wait_until, wire};

/// A notice is to be seen within this.
const SEEN_LIMIT: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
async fn what_real_clients_sent_is_accepted_and_shown_as_they_meant_it() {
    let croak = Installation::running().await;
    let api = croak.api();
    let mut faults = Vec::new();
    let mut sent_count = 0;
    let mut groups: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for client in fixtures() {
        for capture in client {
            let answer =
                capture.send(croak.gateway_address()).await.unwrap_or_else(|error| panic!("{}: {error}", capture.name));
            if !(200..300).contains(&answer.status) {
                faults.push(format!("{}: {} {}", capture.name, answer.status, answer.text()));
                continue;
            }
            if !capture.carries_error() {
                continue;
            }
            sent_count += 1;
            let id = answer.notice_id().unwrap_or_else(|| panic!("{}: no id in {}", capture.name, answer.text()));
            let notice = api.visible(1, id, SEEN_LIMIT).await;
            faults.extend(
                capture.differences(&notice).into_iter().map(|difference| format!("{}: {difference}", capture.name)),
            );
            if capture.expected("same_group").is_some_and(|same| *same != Value::Bool(false)) {
                let scenario = capture.known["scenario"]
                    .as_str()
                    .unwrap_or_default()
                    .trim_end_matches(|end: char| end.is_ascii_digit() || end == '_');
                let client = capture.name.split('/').next().unwrap_or_default();
                groups.entry(format!("{client} {scenario}")).or_default().insert(notice["group_id"].to_string());
            }
        }
    }
    println!("{sent_count} notices of real clients");
    assert!(sent_count > 0, "there are fixtures");
    faults.extend(
        groups
            .iter()
            .filter(|(_, ids)| ids.len() != 1)
            .map(|(scenario, ids)| format!("{scenario}: {} groups", ids.len())),
    );
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert_eq!(api.notice_count(1).await, sent_count, "each is counted once");
    croak.croak(&["audit"]);
}

/// The larger collection is not part of the repository; where it lies beside it, its own checker is run on a fresh installation.
#[tokio::test(flavor = "multi_thread")]
async fn the_whole_collection_holds_where_it_is_at_hand() {
    let shared = workspace().parent().expect("the repository lies somewhere").join("shared");
    let (checker, captures) = (shared.join("tools/replay.py"), shared.join("captures"));
    if !checker.exists() || !captures.exists() {
        println!("not at hand: {}", checker.display());
        return;
    }
    let collection = what_was_said(&captures);
    let croak = Installation::running().await;
    croak.create_build_token();
    let mut failed = Vec::new();
    for only in [
        "hoptoad",
        "airbrake",
        "pybrake",
        "py-sentry",
        "node-sentry",
        "browser-sentry",
        "raven",
        "honeybadger",
        "rollbar",
        "sentry-cli",
    ] {
        // The checker takes what was accepted in the second before it begins for its own.
        tokio::time::sleep(Duration::from_millis(2_100)).await;
        let mut replay = Command::new("python3");
        replay.arg(&checker).arg(collection.path()).args(["--only", only, "--token", croak.token()]);
        replay.args(["--gateway", &format!("http://{}", croak.gateway_address())]);
        replay.args(["--web", &format!("http://{}", croak.web_address())]);
        let replayed =
            tokio::task::spawn_blocking(move || replay.output().expect("python3 starts")).await.expect("no panic");
        println!("--only {only}\n{}", String::from_utf8_lossy(&replayed.stdout));
        if !replayed.status.success() {
            failed.push(format!("{only}: {}", String::from_utf8_lossy(&replayed.stderr)));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    croak.croak(&["audit"]);
}

/// Exporters send again what they got no answer to, and may be told by the first answer that it was taken, or by none.
#[tokio::test(flavor = "multi_thread")]
async fn what_an_exporter_sends_again_counts_once() {
    let croak = Installation::running().await;
    let event = |n: u32| {
        json!({"timeUnixNano": "1795316388000000000", "name": "exception", "attributes": [
            {"key": "exception.type", "value": {"stringValue": format!("shop.Declined{n}")}},
            {"key": "exception.message", "value": {"stringValue": "card declined"}},
        ]})
    };
    let span = json!({"traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174", "events": [event(1), event(2), event(3)]});
    let traces = json!({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}).to_string();
    let headers = [("Content-Type", "application/json"), ("x-croak-key", KEY)];
    let request = wire::request("POST", "/v1/traces", &headers, traces.as_bytes());
    let api = croak.api();
    for _ in 0..3 {
        for _ in 0..5 {
            let answer = wire::exchange(croak.gateway_address(), &request).await.expect("an answer");
            assert_eq!((answer.status, answer.text()), (200, "{}".to_owned()));
        }
        wait_until("all of it is stored", SEEN_LIMIT, async || (api.notice_count(1).await >= 3).then_some(())).await;
        croak.drained(3, SEEN_LIMIT).await;
        assert_eq!(api.notice_count(1).await, 3);
    }
    croak.croak(&["audit"]);
}

/// A copy of the collection that expects only what its clients said: the checker cannot know.
fn what_was_said(captures: &Path) -> TempDir {
    let copy = tempfile::tempdir().expect("a temporary folder");
    for client in listed(captures).into_iter().filter(|client| client.is_dir()) {
        let folder = copy.path().join(client.file_name().expect("a folder has a name"));
        std::fs::create_dir(&folder).expect("the temporary folder can be written");
        for file in listed(&client) {
            let copied = folder.join(file.file_name().expect("a file has a name"));
            let mut bytes = std::fs::read(&file).expect("a capture can be read");
            if file.extension().is_some_and(|extension| extension == "json") {
                let client = client.file_name().unwrap_or_default().display();
                let name = format!("{client}/{}", file.file_stem().unwrap_or_default().display());
                bytes = sayable(&name, serde_json::from_slice(&bytes).expect("JSON")).to_string().into_bytes();
            }
            std::fs::write(copied, bytes).expect("the temporary folder can be written");
        }
    }
    copy
}
