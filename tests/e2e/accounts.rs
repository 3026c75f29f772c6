//! Somebody signs up and comes as far as an empty project, and nobody learns whose addresses have accounts.

use std::time::{Duration, Instant};

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;
use tests::Installation;
use tests::installation::{USER_EMAIL, USER_PASSWORD};
use tests::visitor::{Form, Page, Visitor};

/// The fastest answers to what differs only in whether the address is known may differ by so much.
const ALIKE_WITHIN: Duration = Duration::from_millis(15);

/// An installation where everybody may sign up; mails stay in the outbox.
async fn open_to_all() -> Installation {
    let mut croak = Installation::new().await;
    croak.settings.push(("CROAK_REGISTRATION", "open".to_owned()));
    croak.start_worker("command").await;
    croak.start_web().await;
    croak
}

/// The path of the newest link of a kind that was mailed to an address.
async fn mailed(croak: &Installation, email: &str, kind: &str) -> String {
    let text: String =
        sqlx::query_scalar("select body->>'text' from outbox where recipient = $1 order by created_at desc limit 1")
            .bind(email)
            .fetch_one(&croak.pool())
            .await
            .expect("a mail waits");
    let base = format!("http://{}", croak.web_address());
    let (_, after) = text.split_once(&format!("{base}/{kind}/")).expect("a link is in the mail");
    format!("/{kind}/{}", after.split_whitespace().next().expect("it has a token"))
}

async fn link(croak: &Installation, email: &str) -> String {
    mailed(croak, email, "link").await
}

/// Signs in as the first user, with whichever password.
async fn sign_in(croak: &Installation, password: &str) -> (Visitor, Page) {
    let mut visitor = Visitor::new(croak.web_address());
    let form = visitor.get("/sign-in").await.form("/sign-in").with("email", USER_EMAIL).with("password", password);
    let page = visitor.submit(&form).await;
    (visitor, page)
}

/// The code that a telephone shows for a secret in base 32, so many steps from now.
fn code(secret: &str, steps: i64) -> String {
    let (mut key, mut held, mut bits) = (Vec::new(), 0_u32, 0);
    for letter in secret.chars() {
        let value = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".find(letter).expect("a letter of base 32");
        held = held << 5 | u32::try_from(value).expect("it is small");
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            key.push((held >> bits & 255) as u8);
        }
    }
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("it is after 1970").as_secs();
    let step = i64::try_from(now / 30).expect("it is small") + steps;
    let mut mac = Hmac::<Sha1>::new_from_slice(&key).expect("a key");
    mac.update(&step.to_be_bytes());
    let hash = mac.finalize().into_bytes();
    let at = usize::from(hash[19] & 15);
    let number = u32::from_be_bytes([hash[at] & 0x7f, hash[at + 1], hash[at + 2], hash[at + 3]]);
    format!("{:06}", number % 1_000_000)
}

/// The secret that a page of the second factor shows.
fn secret_of(page: &Page) -> String {
    let (_, after) = page.html.split_once("The secret: <code>").expect("the secret is shown");
    after.split('<').next().expect("it ends").to_owned()
}

/// The recovery codes that a page shows.
fn codes_of(page: &Page) -> Vec<String> {
    let (_, after) = page.html.split_once("<pre class=\"paste\"><code>").expect("the codes are shown");
    after.split('<').next().expect("they end").lines().map(str::to_owned).collect()
}

async fn ask(visitor: &mut Visitor, path: &str, email: &str) -> Page {
    let form = visitor.get(path).await.form(path).with("email", email);
    visitor.submit(&form).await
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_signs_up_and_comes_as_far_as_an_empty_project() {
    let croak = open_to_all().await;
    let mut eve = Visitor::new(croak.web_address());
    let sent = ask(&mut eve, "/sign-up", "Eve@Example.org").await;
    assert!(sent.status == 200 && sent.shows("Look into your mail"), "{}", sent.html);

    let link = link(&croak, "eve@example.org").await;
    let form = eve.get(&link).await.form("/link/");
    let short = eve.submit(&form.clone().with("password", "short")).await;
    assert!(short.status == 422 && short.shows("at least 10 characters"), "{}", short.html);
    let form = short.form("/link/").with("password", "four words and one more");
    let welcome = eve.submit(&form).await;
    assert_eq!((welcome.status, welcome.path.as_str()), (200, "/projects"), "{}", welcome.html);
    assert!(welcome.shows("Welcome. You are signed in.") && welcome.shows("Make the first one"), "{}", welcome.html);

    let form = eve.get("/projects/new").await.form("/projects/new");
    let project = eve.submit(&form.with("name", "The Till").with("organization_name", "Eve & Co")).await;
    assert!(project.status == 200 && project.path.ends_with("/groups"), "{}: {}", project.path, project.html);
    assert!(project.shows("The Till has not been heard of yet") && project.shows("airbrake-ruby"), "{}", project.html);
    let key: String = sqlx::query_scalar(
        "select key from project_key join project on project.id = project_id where name = 'The Till'",
    )
    .fetch_one(&croak.pool())
    .await
    .expect("it has a key");
    assert!(project.shows(&key), "and the snippets have it");

    let again = Visitor::new(croak.web_address()).get(&link).await;
    assert!(again.status == 410 && again.shows("This link is over"), "{}", again.html);
    let mut later = Visitor::new(croak.web_address());
    let form = later.get("/sign-in").await.form("/sign-in").with("email", "eve@example.org");
    let projects = later.submit(&form.with("password", "four words and one more")).await;
    assert_eq!(projects.path, "/projects", "the password is the one that was chosen: {}", projects.html);
    let projects = eve.get("/projects").await;
    assert!(projects.shows("The Till") && !projects.shows("shop"), "{}", projects.html);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forgotten_password_is_replaced_and_other_browsers_are_signed_out() {
    let croak = open_to_all().await;
    let mut elsewhere = Visitor::signed_in(croak.web_address()).await;
    let mut ada = Visitor::new(croak.web_address());
    ask(&mut ada, "/forgotten", USER_EMAIL).await;
    let form = ada.get(&link(&croak, USER_EMAIL).await).await.form("/link/");
    let page = ada.submit(&form.with("password", "another battery staple")).await;
    assert_eq!((page.status, page.path.as_str()), (200, "/projects"), "{}", page.html);
    // What other requests have read of the account is at most so old.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert!(elsewhere.get("/projects").await.path.starts_with("/sign-in"));
    assert_eq!(ada.get("/projects").await.path, "/projects");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_known_and_an_unknown_address_are_answered_alike() {
    let croak = open_to_all().await;
    for path in ["/sign-up", "/forgotten"] {
        let (mut known, mut unknown) = (Vec::new(), Vec::new());
        for round in 0..4 {
            let stranger = format!("stranger{round}@shop.example");
            let mut pages = Vec::new();
            for (email, times) in [(USER_EMAIL, &mut known), (stranger.as_str(), &mut unknown)] {
                let mut visitor = Visitor::new(croak.web_address());
                let form = visitor.get(path).await.form(path).with("email", email);
                let asked_at = Instant::now();
                let page = visitor.submit(&form).await;
                times.push(asked_at.elapsed());
                pages.push((page.status, page.path, page.html.replace(email, "…")));
            }
            assert_eq!(pages[0], pages[1], "{path}");
            assert_eq!(pages[0].0, 200, "{path}: {}", pages[0].2);
        }
        // Of the fastest, because other things that this machine does make answers slower and never faster.
        let (known, unknown) = (known.iter().min().expect("a time"), unknown.iter().min().expect("a time"));
        assert!(known.abs_diff(*unknown) < ALIKE_WITHIN, "{path}: {known:?} and {unknown:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_not_invited_gets_no_mail_and_where_it_is_closed_there_is_no_form() {
    let mut croak = Installation::new().await;
    croak.start_worker("command").await;
    croak.start_web().await;
    let sent = ask(&mut Visitor::new(croak.web_address()), "/sign-up", "eve@example.org").await;
    assert!(sent.status == 200 && sent.shows("Look into your mail"), "{}", sent.html);
    let mails = async || -> i64 {
        sqlx::query_scalar("select count(*) from outbox").fetch_one(&croak.pool()).await.expect("a number")
    };
    assert_eq!(mails().await, 0);

    let mut closed = Installation::new().await;
    closed.settings.push(("CROAK_REGISTRATION", "closed".to_owned()));
    closed.start_web().await;
    let page = Visitor::new(closed.web_address()).get("/sign-up").await;
    assert!(page.forms().is_empty() && page.shows("made by the operator"), "{}", page.html);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_worker_signing_up_is_paused() {
    let mut croak = Installation::new().await;
    croak.start_web().await;
    let page = ask(&mut Visitor::new(croak.web_address()), "/sign-up", "eve@example.org").await;
    assert!(page.status == 503 && page.shows("Changes are paused"), "{}", page.html);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_changed_by_who_knows_it_and_ends_all_other_sessions() {
    let croak = open_to_all().await;
    let mut ada = Visitor::signed_in(croak.web_address()).await;
    let mut elsewhere = Visitor::signed_in(croak.web_address()).await;
    let form = ada.get("/account").await.form("/account/password").with("new_password", "another battery staple");
    let wrong = ada.submit(&form.clone().with("password", "wrong")).await;
    assert!(wrong.shows("This is not your password"), "{}", wrong.html);
    let form = wrong.form("/account/password").with("new_password", "another battery staple");
    let changed = ada.submit(&form.with("password", USER_PASSWORD)).await;
    assert!(changed.path == "/account" && changed.shows("Your password is changed"), "{}", changed.html);
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert!(elsewhere.get("/account").await.path.starts_with("/sign-in"));
    assert_eq!(sign_in(&croak, USER_PASSWORD).await.1.status, 422);
    assert_eq!(sign_in(&croak, "another battery staple").await.1.path, "/projects");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_second_factor_signing_in_takes_a_code_that_is_good_once() {
    let croak = open_to_all().await;
    let mut ada = Visitor::signed_in(croak.web_address()).await;
    let mut elsewhere = Visitor::signed_in(croak.web_address()).await;
    let page = ada.get("/account/second-factor").await;
    assert!(page.html.contains("<svg class=\"qr\""), "{}", page.html);
    let secret = secret_of(&page);
    let form = page.form("second-factor/on").with("password", USER_PASSWORD);
    let wrong = ada.submit(&form.clone().with("code", "000000")).await;
    assert!(wrong.shows("This code is not the one of this minute"), "{}", wrong.html);
    // The same one later on: another half minute may have begun by then.
    let first = code(&secret, 0);
    let form = form.with("code", &first);
    let wrong = ada.submit(&form.clone().with("password", "wrong")).await;
    assert!(wrong.shows("This is not your password"), "{}", wrong.html);
    let kept = async || -> i64 {
        sqlx::query_scalar("select count(*) from totp").fetch_one(&croak.pool()).await.expect("a number")
    };
    assert_eq!(kept().await, 0);
    let on = ada.submit(&form).await;
    assert!(on.shows("The second factor is on."), "{}", on.html);
    let codes = codes_of(&on);
    assert_eq!(codes.len(), 10, "{codes:?}");
    assert_eq!(codes_of(&ada.submit(&form).await), codes, "sent twice, it shows the codes that hold");
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert!(elsewhere.get("/account").await.path.starts_with("/sign-in"), "a password alone opened it");
    assert_eq!(ada.get("/account").await.path, "/account");

    let kept: Vec<u8> = sqlx::query_scalar("select secret from totp").fetch_one(&croak.pool()).await.expect("a secret");
    assert!(kept.len() > 40, "it is sealed: a secret alone has 20 bytes");

    let (mut late, page) = sign_in(&croak, USER_PASSWORD).await;
    assert!(page.path.starts_with("/sign-in/code"), "{}", page.path);
    assert!(late.get("/projects").await.path.starts_with("/sign-in"), "half a session opens nothing");
    let form = page.form("/sign-in/code");
    let refused = late.submit(&form.clone().with("code", &first)).await;
    assert!(refused.status == 422 && refused.shows("was used already"), "it was used to turn it on: {}", refused.html);
    let next = code(&secret, 1);
    assert_eq!(late.submit(&form.clone().with("code", &next)).await.path, "/projects");
    let (mut again, page) = sign_in(&croak, USER_PASSWORD).await;
    assert_eq!(again.submit(&page.form("/sign-in/code").with("code", &next)).await.status, 422, "a code is good once");
    let form = page.form("/sign-in/code").with("code", &codes[0].to_uppercase());
    assert_eq!(again.submit(&form).await.path, "/projects", "a recovery code is as good");
    let (mut third, page) = sign_in(&croak, USER_PASSWORD).await;
    assert_eq!(third.submit(&page.form("/sign-in/code").with("code", &codes[0])).await.status, 422, "and once as well");

    let form = again.get("/account/second-factor").await.form("second-factor/off").with("password", USER_PASSWORD);
    assert!(again.submit(&form).await.shows("The second factor is off."));
    assert_eq!(sign_in(&croak, USER_PASSWORD).await.1.path, "/projects");
    let told: Vec<String> = sqlx::query_scalar("select kind from outbox where recipient = $1 order by created_at")
        .bind(USER_EMAIL)
        .fetch_all(&croak.pool())
        .await
        .expect("kinds of mails");
    assert_eq!(told, ["account.second_factor_on", "account.recovery_code_used", "account.second_factor_off"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_turns_off_a_second_factor_whose_codes_are_lost() {
    let croak = open_to_all().await;
    let mut ada = Visitor::signed_in(croak.web_address()).await;
    let page = ada.get("/account/second-factor").await;
    let form = page.form("second-factor/on").with("password", USER_PASSWORD).with("code", &code(&secret_of(&page), 0));
    assert!(ada.submit(&form).await.shows("The second factor is on."));
    assert!(sign_in(&croak, USER_PASSWORD).await.1.path.starts_with("/sign-in/code"));
    let off = || croak.croak_json(&["user", "second-factor-off", "--email", USER_EMAIL]);
    assert_eq!((off()["was_on"].as_bool(), off()["was_on"].as_bool()), (Some(true), Some(false)));
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert!(ada.get("/account").await.path.starts_with("/sign-in"), "whoever turned it on is signed out");
    assert_eq!(sign_in(&croak, USER_PASSWORD).await.1.path, "/projects");
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_is_invited_joins_a_team_and_sees_its_project_alone() {
    let mut croak = Installation::new().await;
    croak.start_worker("command").await;
    croak.start_web().await;
    let owns = "insert into organization_member (organization_id, user_id, role)
        select o.id, u.id, 'owner' from organization o, user_account u where o.slug = 'acme'";
    sqlx::query(owns).execute(&croak.pool()).await.expect("Ada owns it");
    let mut ada = Visitor::signed_in(croak.web_address()).await;
    let acme: i64 = sqlx::query_scalar("select id from organization where slug = 'acme'")
        .fetch_one(&croak.pool())
        .await
        .expect("it");
    let home = format!("/organizations/{acme}");
    let form = ada.get(&home).await.form("/team").with("name", "Back & End");
    assert!(ada.submit(&form).await.shows("The team is made."));
    let form = ada.get(&home).await.form("/add-project").with("project_id", "1");
    ada.submit(&form).await;
    let team: i64 = sqlx::query_scalar("select id from team").fetch_one(&croak.pool()).await.expect("a team");
    let form = ada.get(&home).await.form("/invite").with("email", "bob@shop.example").with("role", "viewer");
    let invited = ada.submit(&form.with("team_id", &team.to_string())).await;
    assert!(invited.shows("An invitation is on its way"), "{}", invited.html);

    let path = mailed(&croak, "bob@shop.example", "invitation").await;
    let mut bob = Visitor::new(croak.web_address());
    let page = bob.get(&path).await;
    assert!(page.shows("Join Acme"), "{}", page.html);
    let projects = bob.submit(&page.form("/invitation/").with("password", "four words and one more")).await;
    assert!(projects.path == "/projects" && projects.shows("shop"), "{}: {}", projects.path, projects.html);
    assert_eq!(bob.get(&path).await.status, 410, "an invitation works once");
    let settings = bob.get("/projects/1/settings").await;
    assert!(settings.status == 200 && !settings.html.contains("action=\"/projects/1/settings\""), "{}", settings.html);
    assert_eq!(bob.get(&format!("{home}/audit-log")).await.status, 404);
    let log = ada.get(&format!("{home}/audit-log")).await;
    assert!(log.shows("member.joined") && log.shows("bob@shop.example: viewer"), "{}", log.html);

    let bob_id: i64 = sqlx::query_scalar("select id from user_account where email = 'bob@shop.example'")
        .fetch_one(&croak.pool())
        .await
        .expect("an account");
    let form = ada.get(&home).await.form("/take-out").with("user_id", &bob_id.to_string());
    ada.submit(&form).await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(bob.get("/projects/1/groups").await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_and_tokens_are_made_shown_and_revoked() {
    let croak = Installation::running().await;
    sqlx::query("update membership set role = 'owner'").execute(&croak.pool()).await.expect("Ada owns it");
    let mut ada = Visitor::signed_in(croak.web_address()).await;
    let form = exact(&ada.get("/projects/1/settings/keys").await, "/projects/1/settings/keys");
    assert!(ada.submit(&form).await.shows("A key is made."));
    let keys: Vec<String> = sqlx::query_scalar("select key from project_key where project_id = 1 order by created_at")
        .fetch_all(&croak.pool())
        .await
        .expect("keys");
    assert_eq!(keys.len(), 2);
    let page = ada.get("/projects/1/settings/keys").await;
    assert!(keys.iter().all(|key| page.shows(key)), "{}", page.html);
    assert!(ada.submit(&page.form("/keys/revoke")).await.shows("The key is revoked."));

    let page = ada.get("/account/tokens").await;
    let form = exact(&page, "/account/tokens").with("name", "cron").with("scope", "read");
    let refused = ada.submit(&form).await;
    assert!(refused.shows("This is not your password"), "{}", refused.html);
    let form = form.with("password", USER_PASSWORD);
    let shown = |page: Page| {
        let (_, after) = page.html.split_once("<code>croak_").unwrap_or_else(|| panic!("no token: {}", page.html));
        format!("croak_{}", after.split('<').next().expect("it ends"))
    };
    let token = shown(ada.submit(&form).await);
    assert_eq!(shown(ada.submit(&form).await), token, "sent twice, it makes one");
    assert!(!ada.get("/account/tokens").await.html.contains(&token), "it is shown once");
    let status = async || {
        let url = format!("http://{}/api/v1/projects", croak.web_address());
        reqwest::Client::new().get(url).bearer_auth(&token).send().await.expect("an answer").status().as_u16()
    };
    assert_eq!(status().await, 200);
    let tokens = ada.get("/account/tokens").await;
    let cron: i64 = sqlx::query_scalar("select id from api_token where name = 'cron'")
        .fetch_one(&croak.pool())
        .await
        .expect("a token");
    ada.submit(&tokens.form("/tokens/revoke").with("token_id", &cron.to_string())).await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(status().await, 401);
}

/// The form of a page that goes to exactly this address.
fn exact(page: &Page, action: &str) -> Form {
    page.forms().into_iter().find(|form| form.action == action).unwrap_or_else(|| panic!("no such form: {}", page.html))
}
