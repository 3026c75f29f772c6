//! Build tools that speak Sentry's web API: releases, deploys and uploads of source maps, by captured requests, by hand, and by sentry-cli itself.

use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use flate2::write::{DeflateEncoder, GzEncoder};
use flate2::{Compression, Crc};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use sha1::{Digest as _, Sha1};
use tests::captures::of_client;
use tests::programs::workspace;
use tests::samples::BUILD_TOKEN;
use tests::{Installation, samples, wait_until};

/// What takes longer does not come any more.
const LIMIT: Duration = Duration::from_secs(20);
const DEBUG_ID: &str = "4f4836e0-e800-5c31-bd0b-097fa32c9566";

/// Every captured request of a whole build gets the answer that its command goes on with. Where the captures are not at hand, the other
/// tests stand alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_captured_build_is_answered_as_sentry_cli_expects() {
    let captures =
        workspace().parent().expect("the repository lies somewhere").join("shared/captures/sentry-cli-3.8.0");
    if !captures.exists() {
        println!("not at hand: {}", captures.display());
        return;
    }
    let croak = Installation::running().await;
    croak.create_build_token();
    for capture in of_client(&captures) {
        let answer = capture.send(croak.gateway_address()).await.expect("an answer");
        let name = capture.name.rsplit('/').next().unwrap_or_default().to_owned();
        let told: Value = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
        let expected = match name.as_str() {
            "002" | "012" | "013" | "022" => 201,
            "004" | "023" | "024" | "025" | "026" | "027" | "028" => 208,
            _ => 200,
        };
        assert_eq!(answer.status, expected, "{name}: {}", answer.text());
        match name.as_str() {
            "001" => assert_eq!(told["auth"]["scopes"], json!(["org:read", "project:write", "project:releases"])),
            "002" => assert_eq!(told["version"], "shop@1.4.2"),
            "003" => assert_eq!(told, json!([])),
            "005" => assert_eq!(told, json!({}), "there is no release before it"),
            "006" => assert_eq!((&told["commitCount"], told["lastCommit"]["id"].is_string()), (&json!(3), true)),
            "007" => {
                assert!(told["chunkSize"].as_u64().is_some_and(u64::is_power_of_two));
                assert_eq!(
                    (&told["hashAlgorithm"], &told["url"]),
                    (&json!("sha1"), &json!("organizations/acme/chunk-upload/"))
                );
                assert!(told["accept"].as_array().is_some_and(|accept| accept.contains(&json!("artifact_bundles_v2"))));
            }
            "008" => {
                let missing = json!(["69ab37fa53073013e20c75fd000e8cfebeea28da"]);
                assert_eq!((&told["state"], &told["missingChunks"]), (&json!("not_found"), &missing));
            }
            "010" => assert_eq!((&told["state"], &told["missingChunks"]), (&json!("ok"), &json!([]))),
            "011" => assert!(told["dateReleased"].is_string()),
            "012" => assert_eq!((&told["environment"], &told["name"]), (&json!("production"), &json!("blue-17"))),
            "014" => assert_eq!(told.as_array().map(Vec::len), Some(2)),
            "015" => assert_eq!(told[0]["version"], "shop@1.4.2"),
            _ => {}
        }
    }
    assert_eq!(
        stored(&croak).await,
        [
            ("minified_source".to_owned(), "~/app.min.js".to_owned(), DEBUG_ID.to_owned(), "app.min.js.map".to_owned()),
            ("source_map".to_owned(), "~/app.min.js.map".to_owned(), DEBUG_ID.to_owned(), String::new()),
        ]
    );
    let deploys = croak.api().all("/projects/1/deploys").await;
    let shown: Vec<_> = deploys.iter().map(|deploy| &deploy["version"]).collect();
    assert_eq!(shown, ["shop@1.4.2", "shop@1.4.2"], "{deploys:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_token_with_the_right_scope_opens_and_only_its_own_projects() {
    let croak = Installation::running().await;
    croak.create_build_token();
    croak.create_project(2, "other", "b1b2c3d4e5f60718293a4b5c6d7e8f90");
    let to_look = croak.croak_json(&["token", "create", "--name", "look", "--project", "1", "--scope", "org:read"]);
    let to_look = to_look["token"].as_str().expect("a token");
    let release = json!({ "version": "1.0", "projects": ["shop"] });
    for (token, method, path, status) in [
        (None, "GET", "", 401),
        (Some("wrong"), "GET", "", 401),
        (Some(to_look), "GET", "organizations/acme/releases/", 200),
        (Some(to_look), "POST", "organizations/acme/releases/", 403),
        (Some(BUILD_TOKEN), "POST", "organizations/nobody/releases/", 404),
        (Some(BUILD_TOKEN), "POST", "projects/acme/other/releases/", 404),
        (Some(BUILD_TOKEN), "POST", "organizations/acme/nothing/", 404),
        (Some(BUILD_TOKEN), "GET", "nothing/at/all/", 404),
        (Some(BUILD_TOKEN), "POST", "organizations/acme/releases/", 201),
    ] {
        let method: Method = method.parse().expect("a method");
        let mut request = Client::new().request(method.clone(), url(&croak, path)).json(&release);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let answer = request.send().await.expect("an answer");
        let (answered, told) = (answer.status(), answer.json::<Value>().await.expect("JSON"));
        assert_eq!(answered, status, "{token:?} {method} {path}: {told}");
        assert_eq!(told["detail"].is_string(), status >= 400, "{told}");
    }
    let of_another = json!({ "version": "1.0", "projects": ["shop", "other"] });
    let (status, told) = post(&croak, "organizations/acme/releases/", &of_another).await;
    assert_eq!(status, 404, "{told}");
}

/// Two builds of one organization that know nothing of each other, and happen to count alike.
#[tokio::test(flavor = "multi_thread")]
async fn a_version_of_another_project_tells_and_changes_nothing_of_it() {
    let croak = Installation::running().await;
    croak.create_build_token();
    croak.create_project(2, "other", "b1b2c3d4e5f60718293a4b5c6d7e8f90");
    let theirs = project_token(&croak, "2");
    let commits = |sha: &str| json!([{ "id": sha, "message": "a secret", "author_name": "Ada", "author_email": "ada@example.org" }]);
    let release = |project: &str, sha: &str| json!({ "version": "1.0", "projects": [project], "ref": sha, "commits": commits(sha) });
    assert_eq!(post(&croak, "organizations/acme/releases/", &release("shop", "aaaa")).await.0, 201);
    let (status, told) = post_as(&croak, &theirs, "organizations/acme/releases/", &release("other", "bbbb")).await;
    assert_eq!((status, &told["ref"], &told["commitCount"]), (208, &json!(null), &json!(0)), "{told}");
    let put = Client::new().put(url(&croak, "organizations/acme/releases/1.0/")).bearer_auth(&theirs);
    assert_eq!(
        put.json(&json!({ "ref": "cccc", "commits": commits("cccc") })).send().await.expect("an answer").status(),
        200
    );

    let commits = "organizations/acme/releases/1.0/commits/";
    assert_eq!(get_as(&croak, &theirs, commits).await, json!([]));
    assert_eq!(get_as(&croak, BUILD_TOKEN, commits).await[0]["id"], "aaaa", "they are as they were");
    assert_eq!(get_as(&croak, BUILD_TOKEN, "organizations/acme/releases/1.0/").await["ref"], "aaaa");
    let deploy = json!({ "environment": "production" });
    let (status, told) = post_as(&croak, &theirs, "organizations/acme/releases/1.0/deploys/", &deploy).await;
    assert_eq!(status, 201, "it is a release of theirs: {told}");

    // When the one is gone, the other is told of its own from then on, and never of what was.
    let gone = Client::new().delete(url(&croak, "organizations/acme/releases/1.0/")).bearer_auth(BUILD_TOKEN);
    assert_eq!(gone.send().await.expect("an answer").status(), 204);
    assert_eq!(get_as(&croak, &theirs, commits).await, json!([]));
    let plain = json!({ "version": "1.0", "projects": ["other"] });
    assert_eq!(post_as(&croak, &theirs, "organizations/acme/releases/", &plain).await.0, 208);
    assert_eq!(get_as(&croak, &theirs, commits).await, json!([]));
    post_as(&croak, &theirs, "organizations/acme/releases/", &release("other", "bbbb")).await;
    assert_eq!(get_as(&croak, &theirs, commits).await[0]["id"], "bbbb");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_only_look_uploads_nothing() {
    let croak = Installation::running().await;
    let password = ["--password", "a password of some length"];
    let viewer = ["user", "create", "--email", "viewer@shop.example", "--project", "1", "--role", "viewer"];
    croak.croak(&[&viewer[..], &password].concat());
    let token = ["token", "create", "--name", "ci", "--user", "viewer@shop.example", "--scope", "org:ci"];
    let token = croak.croak_json(&token)["token"].as_str().expect("a token").to_owned();
    let (status, told) = upload_as(&croak, &token, &[(&hex(b"a chunk"), b"a chunk")]).await;
    assert_eq!((status, told["detail"].is_string()), (403, true), "{told}");
    let kept: i64 =
        sqlx::query_scalar("select count(*) from upload_chunk").fetch_one(&croak.pool()).await.expect("a number");
    assert_eq!(kept, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_uploads_slowly_keeps_nobody_from_uploading() {
    let croak = Installation::running().await;
    croak.create_build_token();
    let mut slow = Vec::new();
    for _ in 0..8 {
        let mut line = std::net::TcpStream::connect(croak.gateway_address()).expect("the gateway listens");
        let head = format!(
            "POST /api/0/organizations/acme/chunk-upload/ HTTP/1.1\r\nHost: croak\r\nAuthorization: Bearer {BUILD_TOKEN}\r\n\
             Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 100000\r\n\r\n--b\r\n"
        );
        line.write_all(head.as_bytes()).expect("a line");
        slow.push(line);
    }
    for n in 0..4_u8 {
        let uploading = upload(&croak, &[(&hex(&[n]), &[n])]).await;
        assert_eq!(uploading.0, 200, "{}", uploading.1);
    }
    for line in &mut slow {
        line.set_nonblocking(true).expect("a line");
        let waits = std::io::Read::read(line, &mut [0]).expect_err("it is still being read");
        assert_eq!(waits.kind(), std::io::ErrorKind::WouldBlock);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_a_bundle_is_refused_and_leaves_nothing() {
    let croak = Installation::running().await;
    croak.create_build_token();
    let zeroes = vec![0; 65 * 1024 * 1024];
    let manifest = br#"{"files": {"files/big": {"type": "source", "url": "~/big"}}}"#;
    let mut lying = bundle(&[("files/big", &zeroes[..60 * 1024 * 1024]), ("manifest.json", manifest)]);
    let at = lying.windows(4).position(|four| four == b"PK\x01\x02").expect("a directory") + 24;
    lying[at..at + 4].copy_from_slice(&1_000_u32.to_le_bytes());
    for (what, bytes, told) in [
        ("no archive", b"nothing of the kind".to_vec(), "ZIP"),
        ("no manifest", bundle(&[("a", b"a")]), "manifest.json"),
        ("a bomb", bundle(&[("files/big", &zeroes), ("manifest.json", manifest)]), "longer than"),
        ("a bomb that lies", lying, "longer than it says"),
    ] {
        let sha1 = hex(&bytes);
        assert_eq!(upload(&croak, &[(&sha1, &bytes)]).await.0, 200, "{what}");
        let assembled = assemble(&croak, &sha1, &[&sha1]).await;
        assert_eq!(assembled["state"], "error", "{what}: {assembled}");
        assert!(assembled["detail"].as_str().is_some_and(|detail| detail.contains(told)), "{what}: {assembled}");
    }
    let (status, refused) = upload(&croak, &[(&hex(b"something else"), b"something")]).await;
    assert_eq!((status, refused["detail"].is_string()), (400, true), "{refused}");
    let (status, refused) = upload(&croak, &[(&hex(&zeroes), &zeroes)]).await;
    assert_eq!((status, refused["detail"].is_string()), (413, true), "{refused}");
    // Good chunks in an order in which they are no bundle.
    let parts = halves(&sample());
    let names: Vec<String> = parts.iter().map(|part| hex(part)).collect();
    upload(&croak, &[(&names[0], &parts[0]), (&names[1], &parts[1])]).await;
    let assembled = assemble(&croak, &hex(&sample()), &[&names[1], &names[0]]).await;
    assert_eq!(assembled["state"], "error", "{assembled}");
    assert_eq!(stored(&croak).await, []);
    let again = assemble(&croak, &hex(&sample()), &[&names[0], &names[1]]).await;
    assert_eq!(again["state"], "ok", "{again}");
    assert_eq!(stored(&croak).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_files_lie_there_once_whoever_names_them() {
    let croak = Installation::running().await;
    croak.create_build_token();
    let bytes = sample();
    let sha1 = hex(&bytes);
    upload(&croak, &[(&sha1, &bytes)]).await;
    assert_eq!(assemble(&croak, &sha1, &[&sha1]).await["state"], "ok");
    let body = json!({ "checksum": sha1, "chunks": [sha1], "projects": ["shop"], "version": "another" });
    let (_, again) = post(&croak, "organizations/acme/artifactbundle/assemble/", &body).await;
    assert_eq!(again["state"], "ok", "nothing is uploaded twice: {again}");
    let pool = croak.pool();
    let counts: (i64, i64, i64, i64) = sqlx::query_as(
        "select (select count(*) from artifact_bundle), (select count(*) from artifact), (select count(*) from artifact_blob), (select count(*) from upload_chunk)",
    )
    .fetch_one(&pool)
    .await
    .expect("the database answers");
    assert_eq!(counts, (2, 4, 2, 0));
    let packed: Vec<u8> = sqlx::query_scalar("select body from artifact_blob where byte_count = 14")
        .fetch_one(&pool)
        .await
        .expect("is there");
    assert_eq!(zstd::decode_all(packed.as_slice()).expect("is zstd"), b"console.log(1)");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_worker_build_tools_are_told_to_come_again_and_notices_are_taken() {
    let mut croak = Installation::new().await;
    croak.start_worker("fold,housekeep").await;
    croak.start_gateway().await;
    croak.create_build_token();
    let answer = Client::new().get(url(&croak, "")).bearer_auth(BUILD_TOKEN).send().await.expect("an answer");
    assert_eq!(answer.status(), 503);
    assert!(answer.headers().contains_key("retry-after"));
    assert!(answer.json::<Value>().await.expect("JSON")["detail"].is_string());
    let notice = json!({ "errors": [{ "type": "EmptyCart", "message": "nothing to pay for" }] });
    let to = format!("http://{}/api/v3/projects/1/notices?key={}", croak.gateway_address(), samples::KEY);
    let taken = Client::new().post(to).json(&notice).send().await.expect("an answer");
    assert_eq!(taken.status(), 201);
}

/// A worker that is killed between two chunks of a request loses nothing of what it was sent before, and what is sent again completes it.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_in_the_middle_of_an_upload_costs_a_second_try() {
    let mut croak = Installation::new().await;
    croak.start_worker("fold,housekeep,command").await;
    croak.start_gateway().await;
    croak.create_build_token();
    let worker = &mut croak.workers[0];
    worker.process.kill();
    worker.start_again_with(&[("CROAK_FAILPOINTS", "worker.after_chunk=kill:1".to_owned())]);
    worker.ready().await;
    let parts = halves(&sample());
    let names: Vec<String> = parts.iter().map(|part| hex(part)).collect();
    let chunks = [(names[0].as_str(), parts[0].as_slice()), (names[1].as_str(), parts[1].as_slice())];
    assert_eq!(upload(&croak, &chunks).await.0, 503);
    let kept: i64 =
        sqlx::query_scalar("select count(*) from upload_chunk").fetch_one(&croak.pool()).await.expect("a count");
    assert_eq!(kept, 1, "the kill came between the two");
    let worker = &mut croak.workers[0];
    worker.start_again();
    worker.ready().await;
    let missing = assemble(&croak, &hex(&sample()), &[&names[0], &names[1]]).await;
    assert_eq!(missing["missingChunks"], json!([names[1]]));
    assert_eq!(upload(&croak, &chunks).await.0, 200);
    assert_eq!(assemble(&croak, &hex(&sample()), &[&names[0], &names[1]]).await["state"], "ok");
    assert_eq!(stored(&croak).await.len(), 2);
}

/// sentry-cli itself, where `CROAK_TEST_SENTRY_CLI` says where it is, with a worker that is killed while it uploads.
#[tokio::test(flavor = "multi_thread")]
async fn sentry_cli_itself_does_a_whole_build() {
    let Ok(program) = std::env::var("CROAK_TEST_SENTRY_CLI") else {
        println!("not at hand: CROAK_TEST_SENTRY_CLI is not set");
        return;
    };
    let mut croak = Installation::running().await;
    croak.create_build_token();
    let folder = tempfile::tempdir().expect("a temporary folder");
    build(folder.path());
    let gateway = format!("http://{}", croak.gateway_address());
    let run = |arguments: &[&str]| {
        let mut command = Command::new(&program);
        command
            .args(arguments)
            .current_dir(folder.path())
            .env("SENTRY_URL", &gateway)
            .env("SENTRY_AUTH_TOKEN", BUILD_TOKEN);
        command.env("SENTRY_ORG", "acme").env("SENTRY_PROJECT", "shop");
        tokio::task::spawn_blocking(move || command.output().expect("sentry-cli starts"))
    };
    for arguments in [
        &["info"][..],
        &["releases", "new", "shop@1.5.0"],
        &["releases", "set-commits", "shop@1.5.0", "--local", "--ignore-missing"],
        &["sourcemaps", "inject", "dist"],
        &["sourcemaps", "upload", "--release", "shop@1.5.0", "dist"],
        &["releases", "finalize", "shop@1.5.0"],
        &["deploys", "new", "-r", "shop@1.5.0", "-e", "production", "-n", "blue"],
        &["deploys", "list", "-r", "shop@1.5.0"],
        &["releases", "list"],
        &["releases", "info", "shop@1.5.0"],
        &["organizations", "list"],
        &["projects", "list"],
    ] {
        let output = run(arguments).await.expect("no panic");
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        println!("sentry-cli {}\n{said}", arguments.join(" "));
        assert!(output.status.success(), "sentry-cli {}: {said}", arguments.join(" "));
    }
    let kinds: Vec<String> = stored(&croak).await.into_iter().map(|(kind, ..)| kind).collect();
    assert_eq!(kinds, ["minified_source", "source_map"]);

    // Noise does not shrink: several chunks, in several requests.
    let noise: String = (0..20_000_000).map(|_| char::from(rand::random_range(b'!'..b'~'))).collect();
    std::fs::write(folder.path().join("dist/noise.js"), format!("//{noise}\n")).expect("the folder can be written");
    let uploading = run(&["sourcemaps", "upload", "--release", "shop@1.5.1", "dist"]);
    let pool = croak.pool();
    wait_until("a chunk is there", LIMIT, async || {
        let count: i64 = sqlx::query_scalar("select count(*) from upload_chunk").fetch_one(&pool).await.ok()?;
        (count > 0).then_some(())
    })
    .await;
    croak.workers[0].process.kill();
    croak.workers[0].start_again();
    croak.workers[0].ready().await;
    let output = uploading.await.expect("no panic");
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    println!("with a worker killed meanwhile\n{said}");
    assert!(output.status.success(), "{said}");
    let bytes: Option<i64> = sqlx::query_scalar("select byte_count from artifact where url = '~/noise.js'")
        .fetch_optional(&pool)
        .await
        .expect("an answer");
    assert!(bytes.is_some_and(|bytes| bytes > 20_000_000), "{bytes:?}");
}

/// A repository with three commits and something that was built of it.
fn build(folder: &Path) {
    let dist = folder.join("dist");
    std::fs::create_dir(&dist).expect("the folder can be written");
    std::fs::write(
        dist.join("app.min.js"),
        "function a(){throw Error(\"x\")}a();\n//# sourceMappingURL=app.min.js.map\n",
    )
    .expect("written");
    let map = json!({ "version": 3, "file": "app.min.js", "sources": ["app.js"], "sourcesContent": ["function fail() {}\n"], "names": [], "mappings": "AAAA" });
    std::fs::write(dist.join("app.min.js.map"), map.to_string()).expect("written");
    let git = |arguments: &[&str]| {
        let who = ["-c", "user.name=Zoe", "-c", "user.email=zoe@shop.example", "-c", "commit.gpgsign=false"];
        let done = Command::new("git").args(who).args(arguments).current_dir(folder).output().expect("git starts");
        assert!(done.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    };
    git(&["init", "-q"]);
    git(&["remote", "add", "origin", "https://git.shop.example/shop.git"]);
    for n in 1..=3 {
        std::fs::write(folder.join("f"), n.to_string()).expect("written");
        git(&["add", "f"]);
        git(&["commit", "-qm", &format!("change {n}")]);
    }
}

/// What is kept of uploads: kind, address, debug id and address of the map of each file.
async fn stored(croak: &Installation) -> Vec<(String, String, String, String)> {
    sqlx::query_as(
        "select kind, coalesce(url, ''), coalesce(debug_id::text, ''), coalesce(source_map_url, '') from artifact order by bundle_id, url",
    )
    .fetch_all(&croak.pool())
    .await
    .expect("the database answers")
}

fn url(croak: &Installation, path: &str) -> String {
    format!("http://{}/api/0/{path}", croak.gateway_address())
}

async fn post(croak: &Installation, path: &str, body: &Value) -> (u16, Value) {
    post_as(croak, BUILD_TOKEN, path, body).await
}

async fn post_as(croak: &Installation, token: &str, path: &str, body: &Value) -> (u16, Value) {
    let answer = Client::new().post(url(croak, path)).bearer_auth(token).json(body).send().await.expect("an answer");
    (answer.status().as_u16(), answer.json().await.unwrap_or_default())
}

async fn get_as(croak: &Installation, token: &str, path: &str) -> Value {
    let answer = Client::new().get(url(croak, path)).bearer_auth(token).send().await.expect("an answer");
    answer.json().await.unwrap_or_default()
}

/// A token of a project, for its build.
fn project_token(croak: &Installation, project: &str) -> String {
    let create = ["token", "create", "--name", "build", "--project", project, "--scope", "project:releases"];
    croak.croak_json(&create)["token"].as_str().expect("a token").to_owned()
}

async fn assemble(croak: &Installation, sha1: &str, chunks: &[&str]) -> Value {
    let body = json!({ "checksum": sha1, "chunks": chunks, "projects": ["shop"], "version": "shop@1.4.2" });
    let (status, told) = post(croak, "organizations/acme/artifactbundle/assemble/", &body).await;
    assert_eq!(status, 200, "{told}");
    told
}

async fn upload(croak: &Installation, chunks: &[(&str, &[u8])]) -> (u16, Value) {
    upload_as(croak, BUILD_TOKEN, chunks).await
}

async fn upload_as(croak: &Installation, token: &str, chunks: &[(&str, &[u8])]) -> (u16, Value) {
    const BOUNDARY: &str = "------------------------YrzSMWOqllGWgTQqiPhhzw";
    let mut form = Vec::new();
    for (name, bytes) in chunks {
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(bytes).expect("a vector takes everything");
        let packed = packed.finish().expect("a vector takes everything");
        let head =
            format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file_gzip\"; filename=\"{name}\"\r\n\r\n");
        form.extend([head.as_bytes(), &packed, b"\r\n"].concat());
    }
    form.extend(format!("--{BOUNDARY}--\r\n").bytes());
    let request = Client::new().post(url(croak, "organizations/acme/chunk-upload/")).bearer_auth(token);
    let request = request.header("Content-Type", format!("multipart/form-data; boundary={BOUNDARY}")).body(form);
    let answer = request.send().await.expect("an answer");
    (answer.status().as_u16(), answer.json().await.unwrap_or_default())
}

fn hex(bytes: &[u8]) -> String {
    Sha1::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn halves(bytes: &[u8]) -> [Vec<u8>; 2] {
    let (first, second) = bytes.split_at(bytes.len() / 2);
    [first.to_vec(), second.to_vec()]
}

/// A script and its map.
fn sample() -> Vec<u8> {
    let manifest = json!({ "files": {
        "files/_/_/app.min.js": {"type": "minified_source", "url": "~/app.min.js", "headers": {"debug-id": DEBUG_ID, "sourcemap": "app.min.js.map"}},
        "files/_/_/app.min.js.map": {"type": "source_map", "url": "~/app.min.js.map", "headers": {"debug-id": DEBUG_ID}},
    }});
    bundle(&[
        ("files/_/_/app.min.js", b"console.log(1)"),
        ("files/_/_/app.min.js.map", b"{}"),
        ("manifest.json", manifest.to_string().as_bytes()),
    ])
}

/// An archive as sentry-cli writes them.
fn bundle(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = b"SYSB\x02\0\0\0".to_vec();
    let mut directory = Vec::new();
    let number = |n: usize| u32::try_from(n).expect("small").to_le_bytes();
    for (path, body) in files {
        let mut packed = DeflateEncoder::new(Vec::new(), Compression::default());
        packed.write_all(body).expect("a vector takes everything");
        let packed = packed.finish().expect("a vector takes everything");
        let mut crc = Crc::new();
        crc.update(body);
        let mut head = vec![20, 0, 0, 0, 8, 0, 0, 0, 0, 0];
        head.extend(crc.sum().to_le_bytes());
        head.extend(number(packed.len()));
        head.extend(number(body.len()));
        head.extend(&number(path.len())[..2]);
        head.extend([0, 0]);
        directory.extend(b"PK\x01\x02\x14\0");
        directory.extend(&head);
        directory.extend([0; 10]);
        directory.extend(number(out.len()));
        directory.extend(path.as_bytes());
        out.extend(b"PK\x03\x04");
        out.extend(&head);
        out.extend(path.as_bytes());
        out.extend(packed);
    }
    let at = out.len();
    out.extend(&directory);
    out.extend(b"PK\x05\x06\0\0\0\0");
    out.extend(&number(files.len())[..2]);
    out.extend(&number(files.len())[..2]);
    out.extend(number(directory.len()));
    out.extend(number(at));
    out.extend([0, 0]);
    out
}
