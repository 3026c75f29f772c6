//! The pages that everybody sees, filled with what real clients sent.

use std::time::Duration;

use serde_json::json;

use crate::captures::fixtures;
use crate::installation::{USER_EMAIL, USER_PASSWORD};
use crate::samples::{KEY, XmlNotice, json_notice, json_request};
use crate::{Installation, Visitor, wire};

/// Everything that was sent is to be seen within this.
const SEEN_LIMIT: Duration = Duration::from_secs(60);

/// A page of the tour.
#[derive(Clone, Debug)]
pub struct Stop {
    /// Its name, for files.
    pub name: &'static str,
    /// Its path.
    pub path: String,
}

/// The pages for whoever has not signed in.
pub fn outside() -> Vec<Stop> {
    [
        ("sign-in", "/sign-in"),
        ("sign-up", "/sign-up"),
        ("forgotten", "/forgotten"),
        ("link-over", "/link/nobody-has-this"),
        ("invitation-over", "/invitation/nobody-has-this"),
        ("unsubscribe-over", "/unsubscribe/nobody-has-this"),
    ]
    .map(|(name, path)| Stop { name, path: path.into() })
    .into()
}

/// Loads an installation and answers the pages to look at.
pub async fn prepare(croak: &Installation) -> Vec<Stop> {
    // Whoever may do everything sees everything.
    sqlx::raw_sql(
        "insert into organization_member (organization_id, user_id, role)
         select o.id, u.id, 'owner' from organization o, user_account u where o.slug = 'acme'",
    )
    .execute(&croak.pool())
    .await
    .expect("the first user becomes an owner");
    croak.croak(&["user", "operator", "--email", USER_EMAIL]);
    sqlx::raw_sql(
        "insert into dead_notice (journal, epoch, lane, seq, project_id, notice_id, kind, reason, detail, raw)
         select gen_random_uuid(), 0, 0, n, 1, gen_random_uuid(), 1, 'damaged_record', 'the record ends in the middle of its body', ''
         from generate_series(1, 2) n",
    )
    .execute(&croak.pool())
    .await
    .expect("two records are dead");
    let address = croak.gateway_address();
    let deploy = json!({"environment": "production", "username": "ada", "revision": "4f2c9e1", "version": "shop@1.4.2", "repository": "https://git.example/shop.git"});
    wire::exchange(
        address,
        &wire::post(&format!("/api/v4/projects/1/deploys?key={KEY}"), deploy.to_string().as_bytes()),
    )
    .await
    .expect("an answer");
    let mut accepted = 0;
    for capture in fixtures().into_iter().flatten() {
        let answer = capture.send(address).await.unwrap_or_else(|error| panic!("{}: {error}", capture.name));
        assert!((200..300).contains(&answer.status), "{}: {} {}", capture.name, answer.status, answer.text());
        accepted += i64::from(capture.carries_error());
    }
    for n in 0..40 {
        let notice = XmlNotice {
            user: n.to_string(),
            message: format!("card ending in {n} was declined by the bank: insufficient funds"),
            ..XmlNotice::default()
        };
        let answer = wire::exchange(address, &notice.request()).await.expect("an answer");
        accepted += i64::from(answer.status == 200);
    }
    // The longest words that a page may have to bear.
    let long = json_notice(
        &format!("Vendor::{}::Error", "VeryLongModuleName".repeat(8)),
        &"averylongwordwithoutanyplacetobreakit".repeat(20),
    );
    accepted += i64::from(wire::exchange(address, &json_request(&long)).await.expect("an answer").status == 201);
    croak.drained(accepted, SEEN_LIMIT).await;

    let api = croak.api();
    let by_count = api.read("/projects/1/groups?sort=count&limit=1").await;
    let group = by_count["items"][0]["id"].as_str().expect("the largest group").to_owned();
    let longest = api.read("/projects/1/groups?query=class%3AVendor&limit=1").await;
    let longest = longest["items"][0]["id"].as_str().map(str::to_owned);
    let mut visitor = Visitor::signed_in(croak.web_address()).await;
    let paths = Paths { group: format!("/projects/1/groups/{group}"), project: "/projects/1".into() };
    act(&mut visitor, &paths).await;
    let organization = organization_of(&mut visitor).await;

    let of_project = |path: &str| format!("{}{path}", paths.project);
    let mut stops: Vec<Stop> = [
        ("projects", "/projects".into()),
        ("new-project", "/projects/new".into()),
        ("empty-project", "/projects/2/groups".into()),
        ("all-groups", "/groups".into()),
        ("groups", of_project("/groups")),
        ("resolved", of_project("/groups?state=resolved")),
        ("group", paths.group.clone()),
        ("deploys", of_project("/deploys")),
        ("ingest", of_project("/ingest")),
        ("settings", of_project("/settings")),
        ("keys", of_project("/settings/keys")),
        ("members", of_project("/settings/members")),
        ("tokens-of-project", of_project("/settings/tokens")),
        ("scrubbing", of_project("/settings/scrubbing")),
        ("alerts", of_project("/settings/alerts")),
        ("new-destination", of_project("/settings/alerts/destinations/new")),
        ("destination", of_project("/settings/alerts/destinations/1")),
        ("new-rule", of_project("/settings/alerts/rules/new")),
        ("rule", of_project("/settings/alerts/rules/1")),
        ("operator", "/operator".into()),
        ("account", "/account".into()),
        ("second-factor", "/account/second-factor".into()),
        ("tokens", "/account/tokens".into()),
        ("organization", organization.clone()),
        ("audit-log", format!("{organization}/audit-log")),
        ("nothing-found", of_project("/groups?query=class:Nothing")),
        ("not-understood", of_project("/groups?query=class:")),
        ("not-found", of_project("/groups/999999999")),
    ]
    .map(|(name, path)| Stop { name, path })
    .into();
    stops.extend(longest.map(|id| Stop { name: "long-words", path: of_project(&format!("/groups/{id}")) }));
    stops
}

struct Paths {
    group: String,
    project: String,
}

/// Does what people do, so that there is something of everything to see.
async fn act(visitor: &mut Visitor, paths: &Paths) {
    let page = visitor.get("/projects/new").await;
    let made = visitor.submit(&page.form("/projects/new").with("name", "Warehouse")).await;
    assert!(made.path.starts_with("/projects/2"), "the second project: {} {}", made.path, made.html);

    let page = visitor.get(&paths.group).await;
    let said = "Since the **deploy** of Monday; see `charge` in [the cart](https://git.example/shop).";
    let page = visitor.submit(&page.form("/comment").with("body", said)).await;
    assert!(page.html.contains("<strong>deploy</strong>"), "{}", page.html);

    let alerts = format!("{}/settings/alerts", paths.project);
    for (path, fields) in [
        (
            format!("{alerts}/destinations/new"),
            vec![("name", "Shop on call"), ("kind", "webhook"), ("url", "https://hooks.shop.example/croak")],
        ),
        (format!("{alerts}/rules/new"), vec![("name", "New in production")]),
        (format!("{}/settings/keys", paths.project), Vec::new()),
        ("/account/tokens".to_owned(), vec![("name", "exports"), ("password", USER_PASSWORD)]),
    ] {
        let page = visitor.get(&path).await;
        let form = page.forms().into_iter().find(|form| form.action == path).expect("the page's own form");
        let form = fields.iter().fold(form, |form, (name, value)| form.with(name, value));
        let answer = visitor.submit(&form).await;
        assert!(answer.status == 200 && !answer.html.contains("class=\"told bad\""), "{path}: {}", answer.html);
    }
    let organization = organization_of(visitor).await;
    let page = visitor.get(&organization).await;
    let page = visitor.submit(&page.form("/invite").with("email", "grace@shop.example")).await;
    assert!(page.shows("grace@shop.example"), "{}", page.html);
    let page = visitor.submit(&page.form("/team").with("name", "Payments")).await;
    assert!(page.shows("Payments"), "{}", page.html);
    let page = visitor.submit(&page.form("/join-team")).await;
    let page = visitor.submit(&page.form("/add-project")).await;
    assert!(page.html.contains("/leave-team") && page.html.contains("/remove-project"), "{}", page.html);
    let page = visitor.get(&format!("{}/groups", paths.project)).await;
    let page = visitor.submit(&page.form("/searches").with("name", "Cards").with("query", "declined")).await;
    let page = visitor.submit(&page.form("/feeds")).await;
    assert_eq!(page.status, 200, "{}", page.html);
}

/// The path of the organization that the first project belongs to.
async fn organization_of(visitor: &mut Visitor) -> String {
    let account = visitor.get("/account").await;
    let (_, rest) = account.html.split_once("href=\"/organizations/").expect("the account names its organizations");
    format!("/organizations/{}", rest.split('"').next().expect("an address ends"))
}
