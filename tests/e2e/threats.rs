//! What docs/threat-model.md says stops somebody who has taken a part over, tried out.
#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use serde_json::json;
use sqlx::PgPool;
use tests::captures::listed;
use tests::installation::{ALL_ROLES, USER_EMAIL, USER_PASSWORD};
use tests::mailbox::Mailbox;
use tests::programs::workspace;
use tests::receiver::Receiver;
use tests::samples::{JSON_PATH, KEY, XmlNotice};
use tests::servers::acl::{Users, gateway_login, users, worker_login};
use tests::servers::certificates::text;
use tests::servers::{Certificates, Postgres, Redis, ask};
use tests::{Installation, Visitor, wait_until, wire};

/// The system's code for a right that is missing.
const INSUFFICIENT_PRIVILEGE: &str = "42501";

/// Tries statements that must all be refused for want of a right.
async fn may_not(pool: &PgPool, statements: &[&'static str]) {
    for statement in statements {
        let refused = sqlx::raw_sql(*statement)
            .execute(pool)
            .await
            .err()
            .and_then(|error| Some(error.as_database_error()?.code()?.into_owned()));
        assert_eq!(refused.as_deref(), Some(INSUFFICIENT_PRIVILEGE), "{statement}");
    }
}

/// Tables of ours on which a role has one of these rights.
async fn tables_where(pool: &PgPool, role: &str, rights: &str) -> Vec<String> {
    let tables = "select relname::text from pg_class where relnamespace = 'public'::regnamespace
        and relkind in ('r', 'p', 'v', 'm') and has_table_privilege($1, oid, $2) order by 1";
    sqlx::query_scalar(tables).bind(role).bind(rights).fetch_all(pool).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_webs_role_changes_nothing_and_reads_no_secret_that_it_does_not_need() {
    let croak = Installation::new().await;
    let none: Vec<String> = Vec::new();
    let changing = "insert, update, delete, truncate, references, trigger";
    assert_eq!(tables_where(&croak.pool(), "croak_web", changing).await, none);
    let web = croak.pool_as("croak_web");
    may_not(
        &web,
        &[
            "insert into membership (user_id, project_id, role) values (1, 1, 'owner')",
            "update user_account set password_hash = 'x'",
            "delete from project",
            "select secret from webhook",
            "select * from webhook",
            "select url from webhook",
            "select secret from destination",
            "select url from destination",
            "select body from outbox",
            "select key from unsubscribe_key",
            "select raw from dead_notice",
            "create table public.mine (n int)",
            "alter table project add column mine int",
            "select partition_ensure(current_date)",
            "select day_expire(current_date)",
            "select day_drop('stats_record', current_date)",
            "select pg_read_file('/etc/passwd')",
            "copy project to program 'true'",
        ],
    )
    .await;
    let read: i64 = sqlx::query_scalar("select count(*) from project").fetch_one(&web).await.unwrap();
    assert_eq!(read, 1, "and what it is for works");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_workers_role_has_no_ddl_and_reads_no_password() {
    let croak = Installation::new().await;
    let none: Vec<String> = Vec::new();
    assert_eq!(tables_where(&croak.pool(), "croak_worker", "truncate, references, trigger").await, none);
    let worker = croak.pool_as("croak_worker");
    may_not(
        &worker,
        &[
            "create table public.mine (n int)",
            "drop table chunk",
            "alter table project add column mine int",
            "truncate chunk",
            "create function public.mine() returns int language sql as 'select 1'",
            "create role mine",
            "alter role croak_worker superuser",
            "select password_hash from user_account",
            "select * from user_account",
            "update user_account set is_operator = true",
            "insert into user_account (email, is_operator) values ('me@example.org', true)",
            "update user_account set name = password_hash",
            "insert into user_account (email, name) select 'me@example.org', password_hash from user_account",
            "select secret from totp",
            "update api_token set scopes = '{read}'",
            "update project_key set project_id = 1",
            "update audit_log set about = ''",
            "update installation set id = gen_random_uuid()",
            "select pg_read_file('/etc/passwd')",
            "copy project to program 'true'",
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_users_of_redis_reach_their_own_keys_by_their_own_commands() {
    let redis = Redis::start_with(&users(Users::Plain, "croak")).await;
    redis.ask(&["SET", "other:key", "1"]).await.unwrap();
    for (login, own) in [(gateway_login(), "XADD"), (worker_login(), "XTRIM")] {
        let url = format!("redis://{login}@{}", redis.address());
        let refused: [&[&str]; 14] = [
            &["GET", "other:key"],
            &["HMGET", "other:key", "a"],
            &["XRANGE", "other:key", "-", "+"],
            &["FLUSHALL"],
            &["FLUSHDB"],
            &["KEYS", "*"],
            &["SCAN", "0"],
            &["CONFIG", "GET", "*"],
            &["ACL", "LIST"],
            &["MONITOR"],
            &["EVAL", "return 1", "0"],
            &["SHUTDOWN"],
            &["REPLICAOF", "NO", "ONE"],
            &["SLAVEOF", "NO", "ONE"],
        ];
        for words in refused {
            let code = ask(&url, words).await.err().and_then(|error| error.code().map(str::to_owned));
            assert_eq!(code.as_deref(), Some("NOPERM"), "{login}: {words:?}");
        }
        assert!(ask(&url, &["GET", "croak:snapshot"]).await.is_ok());
        let words: &[&str] = match own {
            "XADD" => &["XADD", "croak:lane", "*", "a", "b"],
            _ => &["XTRIM", "croak:lane", "MAXLEN", "0"],
        };
        assert!(ask(&url, words).await.is_ok(), "{login}: {words:?}");
    }
    let gateway = format!("redis://{}@{}", gateway_login(), redis.address());
    for words in [&["SET", "croak:snapshot", "x"][..], &["DEL", "croak:lane"], &["XTRIM", "croak:lane", "MAXLEN", "0"]]
    {
        assert!(ask(&gateway, words).await.is_err(), "a gateway only adds: {words:?}");
    }
}

/// Whether some bytes stand anywhere in a folder's files.
fn stands_in(folder: &Path, secret: &str) -> bool {
    listed(folder).into_iter().any(|path| {
        if path.is_dir() {
            return stands_in(&path, secret);
        }
        let bytes = std::fs::read(&path).unwrap_or_default();
        bytes.windows(secret.len()).any(|window| window == secret.as_bytes())
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn the_journal_is_its_owners_alone_and_holds_no_key() {
    let croak = Installation::running().await;
    let answer = wire::exchange(croak.gateway_address(), &XmlNotice::default().request()).await.unwrap();
    assert_eq!(answer.status, 200);
    let folder = croak.journal_folder();
    let files = listed(&folder);
    assert!(files.iter().any(|file| file.ends_with("projects.snapshot")), "{files:?}");
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    for file in files.iter().filter(|file| file.exists()) {
        assert_eq!(mode(file) & 0o077, 0, "{}: {:o}", file.display(), mode(file));
    }
    assert!(!stands_in(&folder, KEY), "keys of projects reach a gateway as hashes, and leave notices before the disk");
}

#[tokio::test(flavor = "multi_thread")]
async fn passwords_and_tokens_are_kept_as_hashes_and_gateways_get_hashes_of_keys() {
    let mut croak = Installation::new().await;
    croak.start_worker(ALL_ROLES).await;
    let pool = croak.pool();
    let hash: String = sqlx::query_scalar("select password_hash from user_account").fetch_one(&pool).await.unwrap();
    assert!(hash.starts_with("$argon2id$v=19$"), "{hash}");
    for (table, secret) in [("user_account", USER_PASSWORD), ("api_token", croak.token())] {
        let rows = format!("select count(*), count(*) filter (where position($1 in t::text) > 0) from {table} t");
        let counts: (i64, i64) = sqlx::query_as(sqlx::AssertSqlSafe(rows)).bind(secret).fetch_one(&pool).await.unwrap();
        assert_eq!(counts, (1, 0), "{table}");
    }
    let key = format!("{}:snapshot", croak.prefix());
    let snapshot = wait_until("a snapshot is published", Duration::from_secs(10), async || {
        let value = ask(croak.redis_url(), &["HGET", &key, "p"]).await.ok()?;
        redis::from_redis_value::<Option<Vec<u8>>>(value).ok()?
    })
    .await;
    assert!(!snapshot.windows(KEY.len()).any(|window| window == KEY.as_bytes()));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_in_any_log() {
    const DATABASE_PASSWORD: &str = "database-password-of-the-tests";
    const PARAMETER: &str = "hunter2-of-the-tests";
    const WRONG: [&str; 3] = ["wrong-key-of-the-tests", "wrong-password-of-the-tests", "wrong-token-of-the-tests"];
    let postgres = Postgres::start().await;
    let with_password = postgres.url("postgres").replace("postgres@", &format!("postgres:{DATABASE_PASSWORD}@"));
    let redis = Redis::start_with(&users(Users::Plain, "croak-logs")).await;
    let redis_as = |login: &str| ("CROAK_REDIS_URL", format!("redis://{login}@{}", redis.address()));
    let mut croak = Installation::at(&with_password, redis_as(&worker_login()).1, "croak-logs").await;
    let log = ("CROAK_LOG", "debug".to_owned());
    croak.settings = vec![log.clone(), redis_as(&worker_login())];
    croak.start_worker(ALL_ROLES).await;
    croak.start_web().await;
    croak.settings = vec![log, redis_as(&gateway_login())];
    croak.start_gateway().await;
    let receiver = Receiver::start().await;
    let webhook = croak.croak_json(&["webhook", "create", "--project", "1", "--url", &receiver.url()]);

    let gateway = croak.gateway_address();
    let notice = json!({"errors": [{"type": "Leak", "message": "m"}], "params": {"password": PARAMETER}}).to_string();
    for (key, body, status) in
        [(KEY, notice.as_str(), 201), (WRONG[0], notice.as_str(), 401), (KEY, "{", 400), (WRONG[0], "{", 401)]
    {
        let answer = wire::exchange(gateway, &wire::post(&format!("{JSON_PATH}?key={key}"), body.as_bytes())).await;
        assert_eq!(answer.unwrap().status, status);
    }
    for key in [KEY, WRONG[0]] {
        let xml = XmlNotice { key: key.to_owned(), message: format!("password={PARAMETER}"), ..XmlNotice::default() };
        wire::exchange(gateway, &xml.request()).await.unwrap();
        let bearer = [("Authorization", format!("Bearer {key}"))];
        let headers = [(bearer[0].0, bearer[0].1.as_str())];
        wire::exchange(gateway, &wire::request("POST", JSON_PATH, &headers, notice.as_bytes())).await.unwrap();
    }
    let mut stranger = Visitor::new(croak.web_address());
    let form = stranger.get("/sign-in").await.form("/sign-in").with("email", USER_EMAIL).with("password", WRONG[1]);
    stranger.submit(&form).await;
    Visitor::signed_in(croak.web_address()).await.get("/projects/1/ingest").await;
    for token in [croak.token(), WRONG[2]] {
        let bearer = format!("Bearer {token}");
        let request = wire::request("GET", "/api/v1/projects", &[("Authorization", &bearer)], b"");
        wire::exchange(croak.web_address(), &request).await.unwrap();
    }
    croak.croak(&["status"]);
    wait_until("the webhook is called", Duration::from_secs(20), async || receiver.calls().pop()).await;

    let secret_of_webhook = webhook["secret"].as_str().unwrap();
    let (gateway_password, worker_password) = (gateway_login(), worker_login());
    let mut secrets = vec![
        KEY,
        USER_PASSWORD,
        croak.token(),
        DATABASE_PASSWORD,
        PARAMETER,
        "control-token-of-the-tests",
        "secret-key-of-the-tests",
        secret_of_webhook.trim_start_matches("whsec_"),
        gateway_password.split_once(':').unwrap().1,
        worker_password.split_once(':').unwrap().1,
    ];
    secrets.extend(WRONG);
    for service in croak.gateway.iter().chain(&croak.workers).chain(&croak.web) {
        let log = service.process.log();
        assert!(log.contains("DEBUG"), "{} logs at debug: {log}", service.name());
        for secret in &secrets {
            let line = log.lines().find(|line| line.contains(secret));
            assert_eq!(line, None, "{} logs {secret}", service.name());
        }
    }
}

/// What every answer of the web says.
const STRICT: [(&str, &str); 5] = [
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("strict-transport-security", "max-age=31536000"),
];

#[tokio::test(flavor = "multi_thread")]
async fn over_tls_notices_are_taken_cookies_are_secure_and_browsers_told_to_stay() {
    let certificates = Certificates::new();
    let server = certificates.server();
    let mut croak = Installation::new().await;
    let web = format!("https://{}", croak.web_address());
    croak.settings = vec![
        ("CROAK_TLS_CERTIFICATE", text(&server.certificate)),
        ("CROAK_TLS_KEY", text(&server.key)),
        ("CROAK_PUBLIC_URL", web.clone()),
    ];
    croak.start_all().await;
    let authority = reqwest::Certificate::from_pem(&std::fs::read(certificates.authority()).unwrap()).unwrap();
    let client = reqwest::Client::builder()
        .add_root_certificate(authority)
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap();

    let notices = format!("https://{}{JSON_PATH}?key={KEY}", croak.gateway_address());
    let taken = client.post(notices).body(r#"{"errors": [{"type": "A", "message": "m"}]}"#).send().await.unwrap();
    assert_eq!(taken.status(), 201);
    let told: serde_json::Value = taken.json().await.unwrap();
    assert!(told["url"].as_str().unwrap().starts_with(&web), "{told}");

    let token = format!("Bearer {}", croak.token());
    for path in [
        "/sign-in",
        "/",
        "/projects",
        "/nothing",
        "/assets/nothing",
        "/sign-out",
        "/api/v1/projects",
        "/api/v1/nothing",
    ] {
        for authorization in [token.as_str(), ""] {
            let answer =
                client.get(format!("{web}{path}")).header("Authorization", authorization).send().await.unwrap();
            let header = |name: &str| answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
            for (name, value) in STRICT {
                assert_eq!(header(name).as_deref(), Some(value), "{path}: {name}");
            }
            let policy = header("content-security-policy").unwrap();
            assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{path}: {policy}");
            for cookie in answer.headers().get_all("set-cookie") {
                let cookie = cookie.to_str().unwrap();
                for flag in ["Secure", "HttpOnly", "SameSite=Lax", "Path=/"] {
                    assert!(cookie.split("; ").any(|found| found == flag), "{path}: {cookie} lacks {flag}");
                }
            }
        }
    }
    let form = client.get(format!("{web}/sign-in")).send().await.unwrap();
    assert!(form.headers().contains_key("set-cookie"), "there was a cookie to look at");

    let plain = wire::exchange(croak.web_address(), b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(plain.is_err(), "plain HTTP is not answered: {plain:?}");
    croak.drained(1, Duration::from_secs(20)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mails_and_their_password_go_by_tls_to_a_server_that_is_known_or_nowhere() {
    const PASSWORD: &str = "opensesame";
    let mut croak = Installation::new().await;
    let pool = croak.pool();
    let mail = json!({"to": "ann@example.test", "subject": "Verify your address", "text": "https://croak.test/verify?token=secret"});
    let waiting = "insert into outbox (recipient, kind, body) values ('ann@example.test', 'account.verify', $1)";
    croak.start_worker("deliver").await;
    let worker = &mut croak.workers[0];
    worker.stop().await;
    sqlx::query(waiting).bind(&mail).execute(&pool).await.unwrap();

    let certificates = Certificates::new();
    let plain = Mailbox::with_password(PASSWORD);
    let encrypted = Mailbox::with_tls(PASSWORD, &certificates.server());
    let authority = ("SSL_CERT_FILE", text(&certificates.authority()));
    let attempts =
        async || -> i64 { sqlx::query_scalar("select count(*) from delivery").fetch_one(&pool).await.unwrap() };
    for (server, settings) in [(&plain, vec![authority.clone()]), (&encrypted, Vec::new())] {
        let before = attempts().await;
        let address = ("CROAK_SMTP_URL", server.url_with_tls(PASSWORD));
        worker.start_again_with(&[settings, vec![address]].concat());
        wait_until("it is tried", Duration::from_secs(20), async || (attempts().await > before).then_some(())).await;
        worker.stop().await;
        assert_eq!(server.mails().len(), 0, "{:?}", server.mails());
    }
    worker.start_again_with(&[authority, ("CROAK_SMTP_URL", encrypted.url_with_tls(PASSWORD))]);
    assert!(encrypted.mail("ann@example.test", "Verify your address").await.is_encrypted);
}

#[test]
fn what_is_secret_is_compared_in_constant_time() {
    for (file, comparison) in [
        ("crates/service/src/auth.rs", "shown.ct_eq(token.as_bytes())"),
        ("services/web/src/cookies.rs", ".ct_eq(token.as_bytes())"),
    ] {
        let source = std::fs::read_to_string(workspace().join(file)).unwrap();
        assert!(source.contains(comparison), "{file} compares its secret in another way");
    }
}
