//! A certificate that is renewed while the listener runs.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[allow(dead_code, reason = "shared with the other tests of the listener, which use all of it")]
mod listening;

use std::time::Duration;

use listening::{Client, Files, LIMIT, Listening, all_that_comes, get};
use rustix::process::{Signal, getpid, kill_process};
use tokio::signal::unix::{SignalKind, signal};

const EXPIRY: &str = "service_tls_certificate_expiry_timestamp_seconds";

/// The value of a metric whose line begins so; 0 while there is none.
fn metric(name: &str) -> f64 {
    let page = service::measure::recorder().render();
    let line = page.lines().find_map(|line| line.strip_prefix(name));
    line.map_or(0.0, |value| value.trim().parse().unwrap())
}

/// Sends SIGHUP until something holds.
async fn after_a_hang_up(what: &str, holds: impl AsyncFn() -> bool) {
    let trying = async {
        while !holds().await {
            kill_process(getpid(), Signal::HUP).unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(LIMIT, trying).await.unwrap_or_else(|_| panic!("{what}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewed_certificate_is_taken_and_a_broken_one_is_not() {
    service::measure::recorder();
    // From here on the signal does not end the test.
    let _hang_up = signal(SignalKind::hangup()).unwrap();
    let (files, old) = Files::until(2040);
    let listening = Listening::start(files.door()).await;
    let before = Client::trusting(&old).connect(listening.address).await.unwrap();
    let until_2040 = metric(EXPIRY);
    assert!((2.2e9..2.3e9).contains(&until_2040), "{until_2040}");

    let new = files.renew(2041);
    let renewed = Client::trusting(&new);
    after_a_hang_up("the new one is in use", async || renewed.connect(listening.address).await.is_ok()).await;
    assert!(Client::trusting(&old).connect(listening.address).await.is_err());
    assert!(all_that_comes(before, &get("/")).await.contains("200 OK"), "what was connected before goes on");
    assert!((metric(EXPIRY) - until_2040 - 366.0 * 86_400.0).abs() < 2.0 * 86_400.0);

    let refused = || metric(r#"service_tls_certificate_reloads_total{outcome="refused"}"#);
    for broken in ["not PEM at all", "", &std::fs::read_to_string(files.key()).unwrap()] {
        let refused_before = refused();
        std::fs::write(files.certificate(), broken).unwrap();
        after_a_hang_up("it is refused", async || refused() > refused_before).await;
        assert!(renewed.connect(listening.address).await.is_ok(), "the one before stays");
    }
    let refused_before = refused();
    std::fs::remove_file(files.certificate()).unwrap();
    after_a_hang_up("its absence is told", async || refused() > refused_before).await;
    assert!(renewed.connect(listening.address).await.is_ok());

    let third = Client::trusting(&files.renew(2042));
    let taken = async {
        while third.connect(listening.address).await.is_err() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(LIMIT, taken).await.expect("the next good one is taken without a signal");
}
