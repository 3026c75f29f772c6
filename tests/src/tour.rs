//! The pages that everybody sees, filled with what real clients sent.

use std::time::Duration;

use serde_json::json;

use crate::captures::fixtures;
use crate::samples::{KEY, XmlNotice, json_notice, json_request};
use crate::{Installation, wire};

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

/// Loads an installation and answers the pages to look at.
pub async fn prepare(croak: &Installation) -> Vec<Stop> {
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
    let mut stops = vec![
        Stop { name: "projects", path: "/projects".into() },
        Stop { name: "groups", path: "/projects/1/groups".into() },
        Stop { name: "group", path: format!("/projects/1/groups/{group}") },
        Stop { name: "deploys", path: "/projects/1/deploys".into() },
        Stop { name: "ingest", path: "/projects/1/ingest".into() },
        Stop { name: "alerts", path: "/projects/1/settings/alerts".into() },
        Stop { name: "destination", path: "/projects/1/settings/alerts/destinations/new".into() },
        Stop { name: "rule", path: "/projects/1/settings/alerts/rules/new".into() },
        Stop { name: "nothing-found", path: "/projects/1/groups?query=class:Nothing".into() },
        Stop { name: "not-found", path: "/projects/1/groups/999999999".into() },
    ];
    stops.extend(longest.map(|id| Stop { name: "long-words", path: format!("/projects/1/groups/{id}") }));
    stops
}
