//! What the clients really sent, against what the driver knows that happened in them.

#![expect(clippy::unwrap_used, reason = "a test may")]

mod capture;

use std::collections::{BTreeMap, BTreeSet};

use capture::{captures_or_fixtures, fixtures, json_of};
use serde_json::Value;

/// Here the client's shutdown handler reports a warning of its own after the error that the driver raised, and the driver knows only of that.
const SAYS_ANOTHER_ERROR: [&str; 1] = ["php-airbrake-1.1.3/029 uncaught"];

#[test]
fn every_notice_says_what_happened_in_the_client() {
    let mut faults = Vec::new();
    let mut count = 0;
    for capture in captures_or_fixtures().iter().chain(&fixtures()).filter(|capture| capture.is_notice()) {
        count += 1;
        if SAYS_ANOTHER_ERROR.contains(&capture.name.as_str()) {
            continue;
        }
        let json = json_of(&capture.whole_notice());
        faults.extend(compare(&capture.meta, &json).into_iter().map(|fault| format!("{}: {fault}", capture.name)));
    }
    assert!(count > 0, "there was nothing to compare");
    assert!(faults.is_empty(), "{} faults in {count} notices:\n{}", faults.len(), faults.join("\n"));
    println!("{count} notices compared");
}

#[test]
fn repeats_of_one_error_are_one_group() {
    let mut groups: BTreeMap<String, BTreeSet<[u8; 16]>> = BTreeMap::new();
    for capture in captures_or_fixtures().iter().filter(|capture| capture.is_notice()) {
        if capture.meta["expected"]["same_group"] == true {
            let family = capture.meta["scenario"]
                .as_str()
                .unwrap()
                .trim_end_matches(|end: char| end == '_' || end.is_ascii_digit());
            let fingerprint = notice::fingerprint(&capture.notice(), notice::Grouping::Default);
            groups.entry(format!("{} {family}", capture.client)).or_default().insert(fingerprint.hash);
        }
    }
    assert!(!groups.is_empty());
    let split: Vec<_> =
        groups.iter().filter(|(_, found)| found.len() != 1).map(|(family, found)| (family, found.len())).collect();
    assert!(split.is_empty(), "more than one group: {split:?}");
}

#[test]
fn different_errors_of_one_client_are_different_groups() {
    let mut groups: BTreeMap<(String, [u8; 16]), BTreeSet<String>> = BTreeMap::new();
    for capture in captures_or_fixtures().iter().filter(|capture| capture.is_notice()) {
        let notice = capture.notice();
        let class = notice.errors[0].class.clone().unwrap_or_default();
        let top = notice.errors[0].frames.first().and_then(|frame| frame.function.clone()).unwrap_or_default();
        let hash = notice::fingerprint(&notice, notice::Grouping::Default).hash;
        groups.entry((capture.client.clone(), hash)).or_default().insert(format!("{class} {top}"));
    }
    let mixed: Vec<_> = groups.values().filter(|kinds| kinds.len() > 1).collect();
    assert!(mixed.is_empty(), "groups of several kinds of errors: {mixed:?}");
}

#[test]
fn the_key_of_the_project_is_found_and_kept_nowhere() {
    for capture in captures_or_fixtures().iter().filter(|capture| capture.is_notice() && capture.is_xml()) {
        let parsed = capture.parse().unwrap();
        let key = parsed.api_key.expect("XML has its key in the body");
        assert_eq!(Some(key.as_str()), capture.meta["expected"]["api_key"].as_str(), "{}", capture.name);
        assert!(!json_of(&capture.notice()).to_string().contains(&key), "{}", capture.name);
    }
}

#[test]
fn documents_that_their_client_cut_are_salvaged() {
    let mut cut = 0;
    for capture in
        captures_or_fixtures().iter().chain(&fixtures()).filter(|capture| capture.is_notice() && capture.is_xml())
    {
        let is_cut = !capture.body.trim_ascii_end().ends_with(b"</notice>");
        let parsed = capture.parse().unwrap();
        assert_eq!(parsed.salvaged, is_cut, "{}", capture.name);
        assert_eq!(parsed.notice.notes.iter().any(|note| note.contains("was cut")), is_cut, "{}", capture.name);
        let whole = protocol::hoptoad::parse(&capture.whole_body()).unwrap();
        assert!(!whole.salvaged, "{}: what came behind it is the rest", capture.name);
        cut += usize::from(is_cut);
    }
    assert!(cut > 0, "node-airbrake cuts documents");
}

#[test]
fn normalising_and_scrubbing_twice_changes_nothing() {
    for capture in captures_or_fixtures().iter().filter(|capture| capture.is_notice()) {
        let once = capture.notice();
        let mut twice = once.clone();
        notice::normalise(&mut twice);
        notice::scrub(&mut twice);
        assert_eq!(once, twice, "{}", capture.name);
    }
}

#[test]
fn deploys_and_statistics_are_read() {
    let mut count = 0;
    for capture in captures_or_fixtures().iter().chain(&fixtures()) {
        let path = capture.meta["path"].as_str().unwrap_or_default();
        let environment = capture.meta["expected"]["environment"].as_str();
        if path.starts_with("/deploys.txt") {
            let (key, deploy) = protocol::hoptoad::parse_deploy(&capture.body).unwrap();
            assert_eq!(key.as_deref(), capture.meta["expected"]["api_key"].as_str(), "{}", capture.name);
            assert_eq!(deploy.environment.as_deref(), environment, "{}", capture.name);
            assert_eq!(deploy.revision.as_deref(), Some("8f2c1de9a7"), "{}", capture.name);
        } else if path.starts_with("/api/v4/") {
            let deploy = protocol::airbrake::parse_deploy(&capture.body).unwrap();
            assert_eq!(deploy.environment.as_deref(), environment, "{}", capture.name);
        } else if let Some(kind) = path.strip_prefix("/api/v5/projects/1/") {
            let kind = kind.split('?').next().unwrap();
            let stats = protocol::airbrake::check_stats(kind, &capture.body).unwrap();
            let kept: Value = serde_json::from_str(&stats.json).unwrap();
            let sent: Value = serde_json::from_slice(&capture.body).unwrap();
            assert_eq!(kept, sent, "{}", capture.name);
        } else {
            continue;
        }
        count += 1;
    }
    assert!(count > 0);
}

#[test]
fn every_item_of_an_envelope_is_found() {
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    for capture in captures_or_fixtures().iter().chain(&fixtures()).filter(|capture| capture.is_envelope()) {
        let (_, items) = capture.envelope();
        let observed = capture.meta["observed"]["items"].as_array().unwrap();
        assert_eq!(items.len(), observed.len(), "{}", capture.name);
        for (item, known) in items.iter().zip(observed) {
            assert!(item.is_whole());
            assert_eq!(item.head.kind, known["type"], "{}", capture.name);
            assert_eq!(Some(item.payload_bytes), known["bytes"].as_u64(), "{}", capture.name);
            assert_eq!(item.head.length.is_some(), known["has_length"] == true, "{}", capture.name);
            assert_eq!(item.head.filename.as_deref(), known["filename"].as_str(), "{}", capture.name);
            *kinds.entry(item.head.kind.clone()).or_default() += 1;
        }
    }
    println!("{kinds:?}");
    for kind in ["event", "attachment", "client_report", "feedback", "check_in"] {
        assert!(kinds.contains_key(kind), "no {kind} among {kinds:?}");
    }
}

#[test]
fn an_event_has_the_id_that_its_client_gave_it() {
    let mut count = 0;
    for capture in captures_or_fixtures().iter().filter(|capture| capture.is_sentry() && capture.is_notice()) {
        let known = ["/observed/event_id", "/observed/items/0/event_id"];
        let known = known.iter().find_map(|path| capture.meta.pointer(path)?.as_str()).unwrap();
        assert_eq!(capture.notice().client_id.as_deref(), Some(known), "{}", capture.name);
        count += 1;
    }
    assert!(count > 0);
}

#[test]
fn what_clients_lost_and_people_wrote_is_read() {
    let (mut reports, mut written) = (0, 0);
    for capture in captures_or_fixtures().iter().chain(&fixtures()).filter(|capture| capture.is_envelope()) {
        for (at, item) in capture.envelope().1.iter().enumerate() {
            if item.head.kind == "client_report" {
                let known = capture.meta["observed"]["items"][at]["discarded_events"].as_array().unwrap();
                let of_errors = known.iter().filter(|line| {
                    ["error", "default", "security"].contains(&line["category"].as_str().unwrap_or_default())
                });
                let wanted: u64 = of_errors.filter_map(|line| line["quantity"].as_u64()).sum();
                let lines = protocol::sentry::client_report(&item.payload);
                assert_eq!(lines.iter().map(|line| line.count).sum::<u64>(), wanted, "{}", capture.name);
                reports += 1;
            }
            if item.head.kind == "feedback" {
                let feedback = protocol::sentry::feedback(&item.payload).unwrap();
                assert_eq!(feedback.comments.as_deref(), Some("Payment page froze"), "{}", capture.name);
                assert_eq!(feedback.email.as_deref(), Some("zoe@shop.example"), "{}", capture.name);
                written += 1;
            }
        }
    }
    assert!(reports > 0 && written > 0);
}

/// What differs between what happened and what the notice says.
fn compare(meta: &Value, notice: &Value) -> Vec<String> {
    let expected = &meta["expected"];
    let error = &notice["errors"][0];
    let mut faults = Vec::new();
    let wanted: Vec<&str> =
        ["error_class", "wire_error_class"].iter().filter_map(|key| expected[key].as_str()).collect();
    let class = error["class"].as_str().unwrap_or_default();
    let short = class.rsplit('.').next().unwrap_or_default();
    if !wanted.is_empty() && !wanted.contains(&class) && !wanted.contains(&short) {
        faults.push(format!("class {class:?}, not {wanted:?}"));
    }
    if !is_same_message(expected, error["message"].as_str()) {
        let message: String = error["message"].as_str().unwrap_or_default().chars().take(80).collect();
        faults.push(format!(
            "message {message:?}, not {:?}",
            expected["error_message"].as_str().or(expected["error_message_prefix"].as_str())
        ));
    }
    for (key, wanted) in [("environment", "environment"), ("release", "release"), ("release", "app_version")] {
        if let Some(wanted) = expected[wanted].as_str()
            && notice[key] != wanted
        {
            faults.push(format!("{key} {}, not {wanted}", notice[key]));
        }
    }
    let frames = error["frames"].as_array().map_or(0, Vec::len);
    let top = &error["frames"][0];
    if let Some(function) = expected["top_frame_function"].as_str() {
        let last = function.rsplit(['.', ':']).next().unwrap_or(function);
        if !top["function"].as_str().unwrap_or_default().ends_with(last) {
            faults.push(format!("top function {}, not {function}", top["function"]));
        }
        if tail(&top["file"]) != tail(&expected["top_frame_file"]) || top["line"] != expected["top_frame_line"] {
            faults.push(format!("top frame {}:{}", top["file"], top["line"]));
        }
    }
    if expected["thrown_at_line"].is_number()
        && (tail(&top["file"]) != tail(&expected["thrown_at_file"]) || top["line"] != expected["thrown_at_line"])
    {
        faults.push(format!("thrown at {}:{}", top["file"], top["line"]));
    }
    let on_wire = ["/observed/frames", "/observed/items/0/frames"].iter().find_map(|path| meta.pointer(path)?.as_u64());
    if let Some(on_wire) = on_wire {
        let on_wire = on_wire as usize;
        let slack = usize::from(expected["protocol"] == "airbrake-xml-v2");
        if on_wire > 0 && !(on_wire..=on_wire + slack).contains(&frames) {
            faults.push(format!("{frames} frames, {on_wire} on the wire"));
        }
    }
    if let Some(wire) = expected["wire_errors"].as_u64().or(expected["wire_exceptions"].as_u64())
        && notice["errors"].as_array().map_or(0, Vec::len) as u64 != wire
    {
        faults.push(format!("not {wire} errors in the chain"));
    }
    for (key, at) in [
        ("user_id", &notice["user"]["id"]),
        ("user_email", &notice["user"]["email"]),
        ("severity", &notice["severity"]),
        ("level", &notice["severity"]),
        ("tag_tenant", &notice["tags"]["tenant"]),
        ("url", &notice["request"]["url"]),
    ] {
        if let Some(wanted) = expected[key].as_str()
            && at != wanted
        {
            faults.push(format!("{key} {at}, not {wanted}"));
        }
    }
    for (key, at) in [
        ("component", "component"),
        ("action", "action"),
        ("route", "route"),
        ("method", "method"),
        ("transaction", "action"),
    ] {
        if let Some(wanted) = expected[key].as_str()
            && notice["request"][at] != wanted
        {
            faults.push(format!("request.{at} {}, not {wanted}", notice["request"][at]));
        }
    }
    faults.extend(compare_causes(expected, notice));
    faults
}

/// What only clients say that send whole chains, groups and what led to an error.
fn compare_causes(expected: &Value, notice: &Value) -> Vec<String> {
    let errors = notice["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
    let classes: Vec<&str> = errors.iter().skip(1).filter_map(|error| error["class"].as_str()).collect();
    let mut faults = Vec::new();
    let is_whole = expected["wire_exceptions"].is_number();
    if let Some(causes) = expected["cause_classes"].as_array().filter(|_| is_whole)
        && *causes != classes
    {
        faults.push(format!("causes {classes:?}, not {causes:?}"));
    }
    if expected["is_group"] == true && errors.len() < 2 {
        faults.push("a group without anything in it".to_owned());
    }
    for (wanted, got) in [("handled", &errors[0]["handled"]), ("fingerprint", &notice["client_fingerprint"])] {
        let is_it =
            expected[wanted] == *got || got.as_array().is_some_and(|parts| parts[..] == [expected[wanted].clone()]);
        if !expected[wanted].is_null() && !is_it {
            faults.push(format!("{wanted} {got}, not {}", expected[wanted]));
        }
    }
    if let Some(column) = expected["top_frame_column"].as_u64() {
        let wanted = match expected["protocol"].as_str() {
            // XML has no columns.
            Some("airbrake-xml-v2") => None,
            // It counts them from 0.
            Some("rollbar") => Some(column - 1),
            _ => Some(column),
        };
        let got = errors[0]["frames"][0]["column"].as_u64();
        if wanted.is_some() && wanted != got {
            faults.push(format!("column {got:?}, not {wanted:?}"));
        }
    }
    let crumbs = notice["breadcrumbs"].as_array().map_or(0, Vec::len) as u64;
    if expected["breadcrumbs_min"].as_u64().is_some_and(|wanted| crumbs < wanted) {
        faults.push(format!("{crumbs} breadcrumbs"));
    }
    let url = notice["request"]["url"].as_str().unwrap_or_default();
    if expected["url_contains"].as_str().is_some_and(|part| !url.contains(part)) {
        faults.push(format!("url {url}"));
    }
    if expected["has_request"] == true && url.is_empty() {
        faults.push("no request".to_owned());
    }
    if let Some(query) = expected["query"].as_str() {
        let params = notice["request"]["params"].as_object().map_or(0, serde_json::Map::len);
        if params != query.split('&').count() {
            faults.push(format!("{params} parameters of {query}"));
        }
    }
    faults
}

fn tail(path: &Value) -> &str {
    path.as_str().unwrap_or_default().rsplit(['/', '\\']).next().unwrap_or_default()
}

/// Card numbers of the message may be masked; of a long one only the beginning and the hash are known.
fn is_same_message(expected: &Value, got: Option<&str>) -> bool {
    let got = got.unwrap_or_default();
    if let Some(wanted) = expected["error_message"].as_str() {
        return got == wanted
            || got
                == wanted.replace("4000-0000-0000-0002", "[card number]").replace("4111111111111111", "[card number]");
    }
    match (expected["error_message_prefix"].as_str(), expected["error_message_chars"].as_u64()) {
        (Some(prefix), Some(chars)) => {
            let prefix: String = prefix.chars().take(200).collect();
            let is_whole = got.chars().count() as u64 == chars;
            got.starts_with(&prefix) && (is_whole || chars > 20_000)
        }
        _ => true,
    }
}
