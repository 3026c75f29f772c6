//! Whatever is thrown at the doors gets the answer its client can bear, costs little memory, and holds up no good notice.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};
use tests::hostile::{Case, Sent, Shape, cases, gzip_bomb, replaced};
use tests::installation::ALL_ROLES;
use tests::load::Load;
use tests::samples::{XML_PATH, XmlNotice, json_notice};
use tests::wire::{Answer, Connection, post};
use tests::{Installation, bodies};

/// More than the gateway may ever use, whatever comes.
const MEMORY_BYTES_MAX: u64 = 200 << 20;

/// Every answer, also to somebody who sends slowly, comes within this.
const ANSWER_LIMIT: Duration = Duration::from_secs(45);

#[tokio::test(flavor = "multi_thread")]
async fn i10_bad_input_gets_its_answer_and_good_notices_are_all_stored() {
    let mut croak = Installation::new().await;
    // Slow senders are given up on sooner than usual, so that the test need not wait for them as long.
    croak.settings.extend([
        ("CROAK_HEAD_WITHIN_MS", "2000".to_owned()),
        ("CROAK_BODY_PAUSE_MAX_MS", "2000".to_owned()),
        ("CROAK_BODY_WITHIN_MS", "4000".to_owned()),
    ]);
    croak.start_worker(ALL_ROLES).await;
    croak.start_gateway().await;
    let address = croak.gateway_address();
    let good = Load::start(address, 50, |_| XmlNotice { class: "Good".into(), ..XmlNotice::default() }.request());

    let cases = cases();
    assert!(cases.len() >= 40);
    let mut wrong = Vec::new();
    // A few at a time: slow ones would make a long test one after the other, all at once would prove less about each.
    for some in cases.chunks(8) {
        for fault in futures_of(some, address).await {
            wrong.extend(fault);
        }
    }
    // The dearest ones again, many at the same time.
    let bomb = gzip_bomb();
    let flood = tests::load::send_all(address, 100, move |_| bomb.clone()).await;
    assert_eq!(flood.refused.values().sum::<u64>(), 100, "{flood:?}");

    let ledger = good.stop().await;
    let peak = croak.gateway.as_ref().expect("it runs").process.memory_peak_bytes();
    println!(
        "{} cases, {} good notices meanwhile, gateway's memory at most {} MB",
        cases.len(),
        ledger.accepted.len(),
        peak >> 20
    );
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    assert!(peak < MEMORY_BYTES_MAX, "the gateway used {} MB", peak >> 20);
    assert_eq!(
        (ledger.accepted.len() as u64, ledger.unanswered + ledger.unsent),
        (ledger.sent, 0),
        "every good notice was taken: {:?}",
        ledger.refused
    );
    let copies = bodies::copies_with_all_of(&croak.pool(), &ledger.accepted, Duration::from_secs(30)).await;
    assert!(ledger.accepted.iter().all(|id| copies.get(id) == Some(&1)), "every good notice is stored once");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_cannot_write_well_is_kept_with_a_note() {
    let croak = Installation::running().await;
    let api = croak.api();
    let send = async |request: Vec<u8>| -> Value {
        let answer = tests::wire::exchange(croak.gateway_address(), &request).await.expect("an answer");
        let id = answer.notice_id().unwrap_or_else(|| panic!("{} {}", answer.status, answer.text()));
        api.visible(1, id, Duration::from_secs(10)).await
    };
    let notes = |notice: &Value| notice["notes"].as_array().map_or(0, Vec::len);

    let invalid = replaced(
        &XmlNotice { class: "Invalid".into(), message: "caf@@ closed".into(), ..XmlNotice::default() }.document(),
        "@@",
        b"\xe9",
    );
    let notice = send(post(XML_PATH, &invalid)).await;
    assert_eq!(notice["errors"][0]["message"], "caf\u{fffd} closed");
    assert!(notes(&notice) > 0, "what was replaced is noted: {notice}");

    let huge = json_notice("Huge", &"x".repeat(600_000));
    let notice = send(tests::samples::json_request(&huge)).await;
    let message = notice["errors"][0]["message"].as_str().expect("a message");
    assert!(
        !message.is_empty() && (message.len() >= 600_000 || notes(&notice) > 0),
        "{} bytes and no note",
        message.len()
    );

    let document = XmlNotice { class: "Cut".into(), message: "was cut".into(), ..XmlNotice::default() }.document();
    let cut = &document[..document.find("<server-environment>").expect("it is there")];
    let notice = send(post(XML_PATH, cut.as_bytes())).await;
    assert_eq!((&notice["errors"][0]["class"], &notice["errors"][0]["message"]), (&json!("Cut"), &json!("was cut")));
    assert!(notes(&notice) > 0, "what was salvaged is noted: {notice}");
}

async fn futures_of(cases: &[Case], address: SocketAddr) -> Vec<Option<String>> {
    let mut running = Vec::new();
    for case in cases {
        let (name, statuses, shape) = (case.name, case.statuses, case.shape);
        let (first, slow) = match &case.sent {
            Sent::Whole(bytes) => (bytes.clone(), Vec::new()),
            Sent::Slowly(first, slow) => (first.clone(), slow.clone()),
        };
        running.push(tokio::spawn(async move {
            let answer = tokio::time::timeout(ANSWER_LIMIT, exchange(address, first, slow)).await;
            fault(name, statuses, shape, answer)
        }));
    }
    let mut faults = Vec::new();
    for case in running {
        faults.push(case.await.expect("no case panics"));
    }
    faults
}

/// Sends, and reads the answer as soon as there is one: the server may give it before everything was sent.
async fn exchange(address: SocketAddr, first: Vec<u8>, slow: Vec<u8>) -> std::io::Result<Answer> {
    let mut connection = Connection::open(address).await?;
    // A server that has answered and closed is not at fault when the rest cannot be written.
    let _ = connection.write(&first).await;
    for byte in slow {
        match tokio::time::timeout(Duration::from_millis(200), connection.answer()).await {
            Ok(answer) => return answer,
            Err(_) => drop(connection.write(&[byte]).await),
        }
    }
    connection.answer().await
}

fn fault(
    name: &str,
    statuses: &[u16],
    shape: Shape,
    answer: Result<std::io::Result<Answer>, tokio::time::error::Elapsed>,
) -> Option<String> {
    let answer = match (answer, shape) {
        (Err(_), _) => return Some(format!("{name}: no answer in {ANSWER_LIMIT:?}")),
        (Ok(Err(_)), Shape::AnswerOrEnd) => return None,
        (Ok(Err(error)), _) => return Some(format!("{name}: {error}")),
        (Ok(Ok(answer)), _) => answer,
    };
    if !statuses.contains(&answer.status) {
        return Some(format!("{name}: {} instead of {statuses:?}: {}", answer.status, answer.text()));
    }
    let text = answer.text();
    let json = || serde_json::from_str::<Value>(&text).unwrap_or_default();
    let message = || json()["message"].as_str().unwrap_or_default().to_owned();
    let fits = match shape {
        Shape::XmlErrors => text.contains("<errors>") && text.contains("<error>") && !text.contains("<error></error>"),
        Shape::XmlNotice => text.contains("<notice>") && answer.notice_id().is_some() && text.contains("/locate/"),
        Shape::JsonMessage => !message().is_empty(),
        Shape::JsonMessageNaming(what) => message().contains(what),
        Shape::JsonNotice => {
            answer.notice_id().is_some() && json()["url"].as_str().is_some_and(|url| url.contains("/locate/"))
        }
        Shape::Text => !text.trim().is_empty(),
        Shape::AnswerOrEnd => true,
    };
    let is_for_browsers = !matches!(shape, Shape::JsonMessage | Shape::JsonMessageNaming(_) | Shape::JsonNotice)
        || answer.header("access-control-allow-origin") == Some("*");
    (!fits || !is_for_browsers).then(|| {
        format!("{name}: {} is right, but not the answer {shape:?}: {:?} {text}", answer.status, answer.headers)
    })
}
