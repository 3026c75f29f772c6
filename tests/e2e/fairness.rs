//! One project with far more than all others holds up none of them.

use std::time::{Duration, Instant};

use tests::load::Load;
use tests::samples::XmlNotice;
use tests::{Installation, wire};

/// What one project sends.
const FLOOD_PER_SECOND: u32 = if cfg!(debug_assertions) { 300 } else { 3_000 };

/// Notices of the other one, at the same time and one after the other.
const AT_ONCE: usize = 6;
const EACH: usize = 40;

/// In 99 of 100 cases a notice of the other one is committed this soon.
const COMMITTED_LIMIT: Duration = Duration::from_secs(2);

/// The other project and its key.
const QUIET: i64 = 2;
const QUIET_KEY: &str = "00000000000000000000000000000002";

#[tokio::test(flavor = "multi_thread")]
async fn i13_a_flood_of_one_project_does_not_hold_up_another() {
    let mut croak = Installation::new().await;
    croak.create_project(QUIET, "quiet", QUIET_KEY);
    croak.start_all().await;
    let token = croak.croak_json(&["token", "create", "--name", "quiet", "--project", &QUIET.to_string()]);
    let api = tests::Api::new(croak.web_address(), token["token"].as_str().expect("a token"));
    let flood = Load::start(croak.gateway_address(), FLOOD_PER_SECOND, |n| {
        XmlNotice { class: format!("Flood{}", n % 100), user: (n % 500).to_string(), ..XmlNotice::default() }.request()
    });

    let (api, gateway) = (&api, croak.gateway_address());
    let senders = (0..AT_ONCE).map(|sender| async move {
        let mut took = Vec::new();
        for n in 0..EACH {
            let class = format!("Quiet{}", (sender * EACH + n) % 50);
            let notice = XmlNotice { class, key: QUIET_KEY.to_owned(), ..XmlNotice::default() };
            let answer = wire::exchange(gateway, &notice.request()).await.expect("an answer");
            let accepted_at = Instant::now();
            let id = answer.notice_id().expect("it is accepted");
            api.visible(QUIET, id, Duration::from_secs(60)).await;
            took.push(accepted_at.elapsed());
        }
        took
    });
    let mut took: Vec<Duration> = futures::future::join_all(senders).await.into_iter().flatten().collect();
    let flood = flood.stop().await;
    took.sort_unstable();
    let p99 = took[took.len() * 99 / 100];
    println!(
        "beside {} notices of a flood: {} notices seen after p50 {} ms, p99 {} ms",
        flood.accepted.len(),
        took.len(),
        took[took.len() / 2].as_millis(),
        p99.as_millis()
    );
    assert!(flood.accepted.len() > took.len() * 5, "{} is no flood", flood.accepted.len());
    assert!(p99 < COMMITTED_LIMIT, "p99 is {p99:?}");
}
