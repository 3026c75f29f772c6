//! Files that come with an event: what was sent is what is downloaded, whatever is killed meanwhile, and nothing of it is shown in part.

use std::collections::BTreeMap;
use std::io::Read;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tests::api::Api;
use tests::captures::{Capture, fixtures};
use tests::installation::ALL_ROLES;
use tests::programs::is_debug;
use tests::samples::KEY;
use tests::visitor::Visitor;
use tests::wire::{self, Connection};
use tests::{Installation, wait_until};
use uuid::Uuid;

/// What was sent is to be seen within this.
const SEEN_LIMIT: Duration = Duration::from_secs(30);

/// How often the gateway says how much of its journal is not committed.
const SAID_EVERY: Duration = Duration::from_secs(1);

/// More than the gateway may ever use, whatever comes; the same as for bad input.
const MEMORY_BYTES_MAX: u64 = 200 << 20;

const MIB: usize = 1 << 20;

/// Bytes that gain nothing by packing.
fn noise(count: usize) -> Vec<u8> {
    let mut noise = vec![0; count];
    rand::Rng::fill_bytes(&mut rand::rng(), &mut noise);
    noise
}

fn item(head: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!("{{{head},\"length\":{}}}\n", payload.len());
    [head.as_bytes(), payload, b"\n"].concat()
}

fn file(name: &str, content: &[u8]) -> Vec<u8> {
    item(&format!(r#""type":"attachment","filename":{},"content_type":"image/png""#, json!(name)), content)
}

fn event(id: Uuid) -> Vec<u8> {
    let event = json!({"event_id": id.simple().to_string(), "platform": "python", "exception": {"values": [{"type": "Declined", "value": "card declined"}]}});
    item(r#""type":"event""#, event.to_string().as_bytes())
}

/// A request with an envelope of these items.
fn request(id: Uuid, items: &[Vec<u8>]) -> Vec<u8> {
    let envelope = [format!("{{\"event_id\":\"{}\"}}\n", id.simple()).into_bytes(), items.concat()].concat();
    let auth = format!("Sentry sentry_key={KEY}, sentry_version=7");
    wire::request("POST", "/api/1/envelope/", &[("X-Sentry-Auth", &auth)], &envelope)
}

/// Waits until so many files of a notice are listed.
async fn listed(api: &Api, id: Uuid, count: usize) -> Vec<Value> {
    let path = format!("/projects/1/notices/{id}");
    wait_until(&format!("{count} files of {path}"), SEEN_LIMIT, async || {
        let (status, notice) = api.get(&path).await.ok()?;
        let files = notice["attachments"].as_array()?.clone();
        (status == 200 && files.len() >= count).then_some(files)
    })
    .await
}

async fn download(api: &Api, file: &Value) -> Vec<u8> {
    let path = file["url"].as_str().expect("an address").strip_prefix("/api/v1").expect("of the API").to_owned();
    let answer = api.fetch(&path).await;
    assert_eq!(answer.status(), 200, "{path}");
    answer.bytes().await.expect("the whole file").to_vec()
}

/// The files in a captured envelope, by name.
fn attached(capture: &Capture) -> BTreeMap<String, Vec<u8>> {
    let at = capture.raw.windows(4).position(|four| four == b"\r\n\r\n").expect("a request has a head") + 4;
    let mut body = capture.raw[at..].to_vec();
    if body.starts_with(&[0x1f, 0x8b]) {
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(body.as_slice()).read_to_end(&mut plain).expect("it is gzip");
        body = plain;
    }
    let mut files = BTreeMap::new();
    let mut rest = body.as_slice();
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        let head: Value = serde_json::from_slice(&rest[..end]).unwrap_or_default();
        rest = &rest[end + 1..];
        if head["type"] == "attachment" {
            let length = usize::try_from(head["length"].as_u64().expect("a length")).expect("it fits");
            files.insert(head["filename"].as_str().expect("a name").to_owned(), rest[..length].to_vec());
            rest = &rest[length..];
        }
    }
    files
}

#[tokio::test(flavor = "multi_thread")]
async fn what_real_clients_attach_is_listed_and_downloaded() {
    let croak = Installation::running().await;
    let api = croak.api();
    let with_files = fixtures().into_iter().flatten().filter(|capture| capture.expected("attachments").is_some());
    let mut count = 0;
    for capture in with_files {
        let answer = capture.send(croak.gateway_address()).await.expect("an answer");
        let id = answer.notice_id().unwrap_or_else(|| panic!("{}: {}", capture.name, answer.text()));
        let sent = attached(&capture);
        let files = listed(&api, id, sent.len()).await;
        assert_eq!(files.len(), sent.len(), "{}", capture.name);
        for file in &files {
            let name = file["name"].as_str().expect("a name");
            assert_eq!(download(&api, file).await, sent[name], "{} {name}", capture.name);
            assert_eq!(file["bytes"], sent[name].len());
        }
        count += files.len();
    }
    assert!(count > 0, "there are fixtures with files");
    croak.croak(&["audit"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_envelope_is_kept_in_little_memory_once_however_often_it_is_sent() {
    let croak = Installation::running().await;
    let api = croak.api();
    let id = Uuid::new_v4();
    let content = noise(15 * MIB);
    // A hundred megabytes, of which the last and longest file is more than is taken.
    let whole = request(id, &[event(id), file("screenshot.png", &content), file("core", &vec![7; 84 * MIB])]);
    let address = croak.gateway_address();
    for _ in 0..2 {
        let sent = (0..4).map(|_| wire::exchange(address, &whole));
        for answer in futures::future::join_all(sent).await {
            let answer = answer.expect("an answer");
            // Where memory is short an envelope, or a file of it, is refused; nothing is taken in part.
            assert!([200, 503].contains(&answer.status), "{} {}", answer.status, answer.text());
        }
    }
    let peak = croak.gateway.as_ref().expect("it runs").process.memory_peak_bytes();
    println!("gateway's memory at most {} MB", peak >> 20);
    assert!(peak < MEMORY_BYTES_MAX, "the gateway used {} MB", peak >> 20);
    let files = listed(&api, id, 1).await;
    assert_eq!((files.len(), &files[0]["name"], &files[0]["bytes"]), (1, &json!("screenshot.png"), &json!(15 * MIB)));
    assert_eq!(Sha256::digest(download(&api, &files[0]).await), Sha256::digest(&content));
    settled(&croak).await;
    assert_eq!(api.notice_count(1).await, 1);
    let parts = numbers(&croak, "select count(*) from attachment_part").await;
    let needed = numbers(&croak, "select sum(part_count)::bigint from attachment").await;
    assert_eq!(parts, needed, "what was sent again left nothing");
    croak.croak(&["audit"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_given_out_to_be_saved_and_to_nobody_else() {
    let croak = Installation::running().await;
    let api = croak.api();
    let id = Uuid::new_v4();
    let evil = item(
        r#""type":"attachment","filename":"\"><script>alert(1)</script>.html","content_type":"text/html","attachment_type":"event.view_hierarchy""#,
        b"<script>alert(1)</script>",
    );
    let whole = request(id, &[event(id), evil, file("schön.png", b"png")]);
    assert_eq!(wire::exchange(croak.gateway_address(), &whole).await.expect("an answer").status, 200);
    let files = listed(&api, id, 2).await;
    let of_type = |kind: &str| files.iter().find(|file| file["type"] == kind).expect("it is there").clone();
    let (evil, plain) = (of_type("event.view_hierarchy"), of_type("event.attachment"));
    let path = |file: &Value| file["url"].as_str().expect("an address")["/api/v1".len()..].to_owned();
    for (file, kind) in [(&evil, "application/octet-stream"), (&plain, "image/png")] {
        let answer = api.fetch(&path(file)).await;
        let header = |name: &str| answer.headers()[name].to_str().expect("text").to_owned();
        assert_eq!(header("content-type"), kind);
        assert_eq!(header("x-content-type-options"), "nosniff");
        assert_eq!(header("content-length"), file["bytes"].to_string());
        assert!(header("content-security-policy").contains("sandbox"));
        assert!(header("content-disposition").starts_with("attachment; filename=\""));
        assert!(header("cache-control").contains("no-store"));
    }
    let disposition =
        api.fetch(&path(&plain)).await.headers()["content-disposition"].to_str().expect("text").to_owned();
    assert_eq!(disposition, "attachment; filename=\"sch_n.png\"; filename*=UTF-8''sch%C3%B6n.png");

    // The page lists them, and its links lead to the same.
    let notice = api.read(&format!("/projects/1/notices/{id}")).await;
    let (group, own) = (notice["group_id"].as_str().expect("a group"), notice["id"].as_str().expect("an id"));
    let page = format!("/projects/1/groups/{group}/notices/{own}");
    let mut visitor = Visitor::signed_in(croak.web_address()).await;
    let html = visitor.get(&page).await.html;
    assert!(html.contains("schön.png") && !html.contains("<script>alert"), "{html}");
    let link = format!("{page}/attachments/{}", plain["id"].as_str().expect("an id"));
    assert!(html.contains(&format!("href=\"{link}\"")), "{html}");
    let saved = visitor.get(&link).await;
    assert_eq!((saved.status, saved.html.as_str()), (200, "png"));

    // Nobody else, and nothing else.
    croak.create_project(2, "other", "b1b2c3d4e5f60718293a4b5c6d7e8f90");
    let stranger = croak.croak_json(&["token", "create", "--name", "other", "--project", "2"]);
    let stranger = Api::new(croak.web_address(), stranger["token"].as_str().expect("a token"));
    assert_eq!(stranger.fetch(&path(&plain)).await.status(), 404);
    assert_eq!(stranger.fetch(&path(&plain).replace("/projects/1/", "/projects/2/")).await.status(), 404);
    assert_eq!(Api::new(croak.web_address(), "croak_none").fetch(&path(&plain)).await.status(), 401);
    assert!(Visitor::new(croak.web_address()).get(&link).await.path.starts_with("/sign-in"));
    for wrong in ["nonsense", &Uuid::new_v4().to_string()] {
        assert_eq!(api.fetch(&format!("/projects/1/notices/{id}/attachments/{wrong}")).await.status(), 404);
    }
    croak.croak(&["audit"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_is_killed_while_a_file_arrives_shows_nothing_of_it() {
    let mut croak = Installation::running().await;
    let api = croak.api();
    let (before, broken) = (Uuid::new_v4(), Uuid::new_v4());
    let content = noise(10 * MIB);
    let whole = request(before, &[file("before", &content), event(before)]);
    assert_eq!(wire::exchange(croak.gateway_address(), &whole).await.expect("an answer").status, 200);

    let whole = request(broken, &[event(broken), file("broken", &noise(10 * MIB))]);
    let mut connection = Connection::open(croak.gateway_address()).await.expect("it listens");
    connection.write(&whole[..6 * MIB]).await.expect("it reads");
    let parts = "select count(*) from attachment_part where upload not in (select upload from attachment)";
    wait_until("parts of it are stored", SEEN_LIMIT, async || (numbers(&croak, parts).await > 0).then_some(())).await;
    let gateway = croak.gateway.as_mut().expect("it runs");
    gateway.process.kill();
    gateway.start_again();
    gateway.ready().await;
    assert!(connection.answer().await.is_err(), "nobody was told that it was taken");

    let files = listed(&api, before, 1).await;
    assert_eq!(Sha256::digest(download(&api, &files[0]).await), Sha256::digest(&content));
    settled(&croak).await;
    assert_eq!(api.get(&format!("/projects/1/notices/{broken}")).await.expect("an answer").0, 404);
    assert_eq!(numbers(&croak, "select count(*) from attachment").await, 1);
    croak.croak(&["audit"]);

    // Sent again it is there once, with all of it.
    assert_eq!(wire::exchange(croak.gateway_address(), &whole).await.expect("an answer").status, 200);
    assert_eq!(listed(&api, broken, 1).await.len(), 1);
    settled(&croak).await;
    assert_eq!(api.notice_count(1).await, 2);
    croak.croak(&["audit"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn i17_whatever_is_killed_a_file_that_got_a_2xx_is_whole() {
    if !is_debug() {
        println!("a release build has no points to be killed at");
        return;
    }
    let mut croak = Installation::running().await;
    let api = croak.api();
    let mut sent = Vec::new();
    for (is_gateway, point, passing) in [
        (false, "batch.after_t0", 2),
        (false, "batch.before_commit", 2),
        (false, "batch.after_commit", 2),
        (false, "batch.after_trim", 2),
        (true, "gateway.after_part", 3),
        (true, "journal.after_write", 5),
        (true, "ship.after_xadd", 3),
        (true, "gateway.before_answer", 1),
    ] {
        let service = if is_gateway { croak.gateway.as_mut() } else { croak.workers.first_mut() };
        let service = service.expect("it runs");
        service.process.kill();
        service.start_again_with(&[("CROAK_FAILPOINTS", format!("{point}=kill:{passing}"))]);
        if is_gateway {
            service.ready().await;
        }
        let (id, content) = (Uuid::new_v4(), noise(5 * MIB));
        let whole = request(id, &[event(id), file("core", &content)]);
        let answer = wire::exchange(croak.gateway_address(), &whole).await;
        let is_taken = answer.is_ok_and(|answer| answer.status == 200);
        let service = if is_gateway { croak.gateway.as_mut() } else { croak.workers.first_mut() };
        let service = service.expect("it runs");
        service.process.exit_within(SEEN_LIMIT).await;
        service.start_again();
        service.ready().await;
        println!("killed at {point}: {}", if is_taken { "taken" } else { "not taken" });
        if !is_taken {
            // Without a 2xx it may be there or not; sent again it is there.
            let answer = wire::exchange(croak.gateway_address(), &whole).await.expect("an answer");
            assert_eq!(answer.status, 200);
        }
        sent.push((id, content));
    }
    for (id, content) in &sent {
        let files = listed(&api, *id, 1).await;
        assert_eq!(files.len(), 1);
        assert_eq!(Sha256::digest(download(&api, &files[0]).await), Sha256::digest(content));
    }
    settled(&croak).await;
    assert_eq!(api.notice_count(1).await, sent.len() as i64);
    croak.croak(&["audit"]);
}

/// One service after the other is stopped while files wait, and Redis forgets everything.
#[tokio::test(flavor = "multi_thread")]
async fn files_outlive_a_redis_that_forgets_and_a_database_that_restarts() {
    let mut croak = Installation::with_private_servers(tests::servers::RedisLimits::default()).await;
    croak.start_worker(ALL_ROLES).await;
    croak.start_web().await;
    croak.start_gateway().await;
    let api = croak.api();
    croak.postgres.as_mut().expect("it has its own").kill();
    let (id, content) = (Uuid::new_v4(), noise(12 * MIB));
    let whole = request(id, &[file("core", &content), event(id)]);
    assert_eq!(wire::exchange(croak.gateway_address(), &whole).await.expect("an answer").status, 200);
    croak.redis.as_mut().expect("it has its own").ask(&["FLUSHALL"]).await.expect("redis answers");
    croak.postgres.as_mut().expect("it has its own").start_again().await;
    let files = listed(&api, id, 1).await;
    assert_eq!(Sha256::digest(download(&api, &files[0]).await), Sha256::digest(&content));
    settled(&croak).await;
    assert_eq!(api.notice_count(1).await, 1);
    croak.croak(&["audit"]);
}

async fn numbers(croak: &Installation, statement: &'static str) -> i64 {
    sqlx::query_scalar(statement).fetch_one(&croak.pool()).await.unwrap_or(0)
}

/// Waits until the gateway has nothing that is not committed, by what it says itself; it says so once a second.
async fn settled(croak: &Installation) {
    let mut settled_since = None;
    wait_until("everything is stored", SEEN_LIMIT, async || {
        let admin = croak.gateway.as_ref().expect("it runs").admin_address();
        let metrics =
            reqwest::get(format!("http://{admin}/metrics")).await.expect("an answer").text().await.expect("text");
        let is_settled = metrics.lines().any(|line| line == "gateway_journal_unacked_bytes 0");
        settled_since = is_settled.then(|| settled_since.unwrap_or_else(Instant::now));
        settled_since.filter(|since| since.elapsed() > 2 * SAID_EVERY).map(drop)
    })
    .await;
}
