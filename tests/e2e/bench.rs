//! `croak bench` on a running installation: its figures are those of the API, and it leaves alone what is not its own.
#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::process::{Command, Output};
use std::time::Duration;

use serde_json::Value;
use tests::installation::{ALL_ROLES, USER_EMAIL, USER_PASSWORD};
use tests::programs::Program;
use tests::samples::KEY;
use tests::{Installation, Service, wait_until};

/// Exit status: done, and something is not as it should be.
const DIFFERS: i32 = 3;

/// What is stored is on the lists this soon.
const LISTED_WITHIN: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread")]
async fn a_run_tells_what_the_installation_bore_and_agrees_with_the_api() {
    let croak = Installation::running().await;
    // A group whose page is looked at before anything is sent.
    croak.croak(&["send", "--gateway", &format!("http://{}", croak.gateway_address()), "--key", KEY]);
    croak.drained(1, LISTED_WITHIN).await;
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("run.html");
    let told = ran(bench(&croak, &["run", "--duration-s", "2", "--warm-up-s", "0.5", "--rate", "200"])
        .args(["--visible-per-s", "20", "--pages-per-s", "30", "--pages-idle-s", "1", "--email", USER_EMAIL])
        .args(["--goal", "answers.accepted_per_s>=1", "--goal", "end_to_end.drained_s<=60", "--report"])
        .arg(&page));
    let count = croak.api().read("/projects/1").await["notice_count"].as_u64().map(|count| count - 1);

    let answers = &told["answers"];
    let accepted = answers["accepted"].as_u64();
    assert!(accepted >= Some(100), "{answers}");
    assert_eq!(accepted, count, "what was accepted is there, once");
    assert_eq!(told["end_to_end"]["stored"].as_u64(), count);
    assert_eq!(told["end_to_end"]["is_exact"], true);
    let all: u64 = ["accepted", "broken", "timed_out"].iter().filter_map(|name| answers[*name].as_u64()).sum();
    assert_eq!(answers["sent"].as_u64(), Some(all), "every request has one end: {answers}");
    assert!(in_order(&answers["latency"]), "{answers}");

    let visible = &told["visible"];
    assert!(visible["count"].as_u64() > Some(5) && visible["unseen"] == 0 && in_order(visible), "{visible}");
    for when in ["idle", "loaded"] {
        let pages = told["visits"][when].as_array().unwrap();
        let names: Vec<&str> = pages.iter().map(|page| page["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["list, JSON", "groups page", "group page"], "{when}");
        assert!(pages.iter().all(|page| page["failed"] == 0), "{when}: {pages:?}");
    }
    for name in ["gateway", "worker", "web", "generator", "redis", "postgres"] {
        let processes = told["processes"].as_array().unwrap();
        let process = processes.iter().find(|process| process["name"] == name).unwrap_or_else(|| panic!("no {name}"));
        assert!(process["resident_max_bytes"].as_u64() > Some(1 << 20), "{process}");
    }
    assert!(told["database"]["bytes_per_notice"].as_f64() > Some(0.0), "{}", told["database"]);
    assert!(told["machine"]["versions"]["PostgreSQL"].is_string(), "{}", told["machine"]);
    assert!(told["goals"].as_array().unwrap().iter().all(|goal| goal["is_met"] == true), "{}", told["goals"]);

    let page = std::fs::read_to_string(page).unwrap();
    assert!(page.contains("<svg") && page.contains("From intake to visible"));
    for secret in [KEY, croak.token(), USER_PASSWORD] {
        assert!(!page.contains(secret) && !told.to_string().contains(secret), "a secret is in the report");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_is_made_and_what_folding_it_takes_is_counted() {
    let croak = Installation::running().await;
    sqlx::raw_sql("create extension if not exists pg_stat_statements").execute(&croak.pool()).await.unwrap();
    let told = ran(&mut bench(&croak, &["--count", "500", "--duplicates", "100", "--groups", "1", "--pause-workers"]));
    assert_eq!(told["answers"]["accepted"], 500);
    assert_eq!(told["database"]["notices"], 500);
    assert!(told["database"]["statements"].as_u64() > Some(5), "{}", told["database"]);
    assert!(told["end_to_end"]["drained_per_s"].as_f64() > Some(0.0), "nobody stays paused: {}", told["end_to_end"]);
    let groups = croak.api().all("/projects/1/groups").await;
    assert_eq!(groups.len(), 1, "duplicates are one group");
    assert_eq!(groups[0]["notice_count"], 500);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_notice_is_a_group_of_its_own_when_that_is_asked_for_in_json_too() {
    let croak = Installation::running().await;
    for (count, protocol) in [(40, "hoptoad"), (80, "airbrake"), (120, "otlp")] {
        ran(&mut bench(&croak, &["--count", "40", "--unique", "--protocol", protocol, "--visible-per-s", "0"]));
        // Lists may be a second old.
        let api = croak.api();
        wait_until(&format!("{count} groups after {protocol}"), LISTED_WITHIN, async || {
            (api.all("/projects/1/groups").await.len() == count).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_pages_and_every_layer_are_measured() {
    let croak = Installation::running().await;
    let folder = tempfile::tempdir().unwrap();
    let limits = ran(bench(&croak, &["limits", "--limit-s", "0.2", "--disk"]).arg(folder.path()));
    let limits = &limits["limits"];
    for limit in ["/bare_http_per_s", "/redis_per_s", "/upsert/keys_per_s", "/zstd/us", "/disk/0/syncs_per_s"] {
        assert!(limits.pointer(limit).and_then(Value::as_f64) > Some(0.0), "{limit}: {limits}");
    }
    assert_eq!(folder.path().read_dir().unwrap().count(), 0, "nothing is left behind");
    let mut redis = redis::Client::open(croak.redis_url()).unwrap();
    let left: bool = redis::cmd("EXISTS").arg(format!("{}:bench", croak.prefix())).query(&mut redis).unwrap();
    assert!(!left, "nothing is left behind");

    let gateway = format!("http://{}", croak.gateway_address());
    let matrix = ran(&mut bench(&croak, &["matrix", "--cell-s", "0.2", "--gateway", &gateway]));
    let cells = matrix["matrix"].as_array().unwrap();
    assert_eq!(cells.len(), 12, "hello and notice, kept and new, three numbers of connections");
    for cell in cells {
        assert!(cell["hits"].as_u64() > Some(0) && cell["errors"] == 0 && cell["timeouts"] == 0, "{cell}");
    }

    let web = format!("http://{}", croak.web_address());
    let pages = ran(&mut bench(
        &croak,
        &["pages", "--duration-s", "2", "--connections", "4", "--web", &web, "--email", USER_EMAIL],
    ));
    let reads = pages["pages"]["reads"].as_array().unwrap();
    assert_eq!(reads.len(), 3);
    assert!(reads.iter().all(|read| read["failed"] == 0 && read["reads_per_s"].as_f64() > Some(0.0)), "{reads:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_goal_that_is_missed_and_notices_that_are_refused_show() {
    let mut croak = Installation::new().await;
    croak.start_worker(ALL_ROLES).await;
    croak.start_gateway().await;
    let gateway = format!("http://{}", croak.gateway_address());
    let missed = Program::Croak
        .command()
        .args(["bench", "--json", "--gateway", &gateway, "--key", "no-such-key", "--count", "10"])
        .args(["--goal", "answers.accepted_per_s>=1"])
        .output()
        .unwrap();
    assert_eq!(missed.status.code(), Some(DIFFERS), "{}", text(&missed.stderr));
    let told: Value = serde_json::from_slice(&missed.stdout).unwrap();
    let refused = told["answers"]["refused"].as_object().unwrap();
    assert_eq!(refused.values().filter_map(Value::as_u64).sum::<u64>(), 10, "{refused:?}");
    assert_eq!(told["goals"][0]["is_met"], false);
    assert_eq!(told["is_sound"], false, "nothing was accepted");
}

#[test]
fn what_is_not_on_this_machine_is_not_put_under_load() {
    for command in [&["run"][..], &["matrix"]] {
        let arguments = ["--gateway", "http://192.0.2.1:8080", "--key", "x"];
        let refused = Program::Croak.command().arg("bench").args(command).args(arguments).output().unwrap();
        assert_eq!(refused.status.code(), Some(1));
        assert!(text(&refused.stderr).contains("--i-own-this-target"), "{}", text(&refused.stderr));
    }
}

/// `croak bench` with these arguments; it knows the installation by its environment and flags.
fn bench(croak: &Installation, arguments: &[&str]) -> Command {
    let mut command = croak.croak_command(&[&["--json", "bench"], arguments].concat());
    command
        .env("CROAK_API_TOKEN", croak.token())
        .env("CROAK_USER_PASSWORD", USER_PASSWORD)
        .env("CROAK_PROJECT_KEY", KEY);
    if arguments.iter().any(|argument| ["limits", "matrix", "pages"].contains(argument)) {
        return command;
    }
    let admin = |service: &Option<Service>| format!("http://{}", service.as_ref().unwrap().admin_address());
    command.args(["--gateway", &format!("http://{}", croak.gateway_address())]);
    command.args(["--web", &format!("http://{}", croak.web_address())]);
    command.args(["--gateway-admin", &admin(&croak.gateway), "--web-admin", &admin(&croak.web)]);
    command.args(["--worker-admin", &format!("http://{}", croak.workers[0].admin_address())]);
    command
}

/// What it told; it must succeed.
fn ran(command: &mut Command) -> Value {
    let Output { status, stdout, stderr } = command.output().unwrap();
    assert!(status.success(), "{command:?}: {status}\n{}{}", text(&stdout), text(&stderr));
    serde_json::from_slice(&stdout).unwrap()
}

/// Whether there are times and the greater share of them took the longer.
fn in_order(times: &Value) -> bool {
    let times: Vec<f64> = ["p50_ms", "p90_ms", "p95_ms", "p99_ms", "p999_ms", "max_ms"]
        .iter()
        .filter_map(|name| times[*name].as_f64())
        .collect();
    times.len() == 6 && times[0] > 0.0 && times.windows(2).all(|two| two[0] <= two[1])
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
