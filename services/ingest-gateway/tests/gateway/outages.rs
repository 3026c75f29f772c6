//! The door stays open when what stands behind it is gone.

use journal::Kind;
use notice::Snapshot;

use crate::doors::{JSON_NOTICE, xml_notice};
use crate::harness::{KEY, NO_REDIS, Setup, of_kind, ready, request, snapshot};

const XML_PATH: &str = "/notifier_api/v2/notices";

fn json_path() -> String {
    format!("/api/v3/projects/1/notices?key={KEY}")
}

#[tokio::test(flavor = "multi_thread")]
async fn notices_are_taken_without_redis_from_the_start() {
    let (setup, _) = ready(&[]).await.stop_keeping().await;
    let setup = Setup { flags: vec!["--redis-url".to_owned(), NO_REDIS.to_owned()], ..setup };
    let gateway = setup.start().await;
    gateway.becomes_ready().await;
    assert_eq!(gateway.send("POST", XML_PATH, &[], xml_notice().as_bytes()).await.status, 200);
    let degraded = async {
        loop {
            let ready = gateway.readiness().await;
            assert_eq!(ready.status, 200, "redis is not what it takes to be ready");
            let told: serde_json::Value = serde_json::from_str(&ready.body).unwrap();
            if told["degraded"].as_array().unwrap().contains(&"redis".into()) {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), degraded).await.unwrap();
    assert_eq!(of_kind(&gateway.stop().await, Kind::Notice).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_any_snapshot_nobody_is_let_in_until_one_comes() {
    let gateway = Setup::new(&[]).start().await;
    let xml = gateway.send("POST", XML_PATH, &[], xml_notice().as_bytes()).await;
    assert_eq!(xml.status, 503);
    let retry_after_s: u64 = xml.header("retry-after").unwrap().parse().unwrap();
    assert!((10..=60).contains(&retry_after_s));
    let json = gateway.send("POST", &json_path(), &[], JSON_NOTICE.as_bytes()).await;
    assert_eq!(json.status, 502, "503 is not what Airbrake's clients send again");
    let ready = gateway.readiness().await;
    assert_eq!(ready.status, 503);
    assert!(ready.body.contains("snapshot"), "{}", ready.body);

    gateway.setup.publish(&snapshot()).await;
    gateway.becomes_ready().await;
    assert_eq!(gateway.send("POST", &json_path(), &[], JSON_NOTICE.as_bytes()).await.status, 201);
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_project_is_let_in_within_a_second() {
    let gateway = ready(&[]).await;
    let renamed = xml_notice().replace(KEY, "new-key-of-the-project");
    assert_eq!(gateway.send("POST", XML_PATH, &[], renamed.as_bytes()).await.status, 422);
    let mut published = snapshot();
    published.version = 2;
    published.projects[0].key_sha256.push(<sha2::Sha256 as sha2::Digest>::digest(b"new-key-of-the-project").to_vec());
    gateway.setup.publish(&published).await;
    tokio::time::sleep(std::time::Duration::from_millis(900)).await;
    assert_eq!(gateway.send("POST", XML_PATH, &[], renamed.as_bytes()).await.status, 200);
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_installations_redis_changes_nothing_here() {
    let gateway = ready(&[]).await;
    let other = Snapshot {
        install_id: "0193a000-0000-7000-8000-000000000002".to_owned(),
        version: 9,
        projects: Vec::new(),
        ..snapshot()
    };
    gateway.setup.publish(&other).await;
    let told = async {
        while !gateway.readiness().await.body.contains("installation") {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), told).await.unwrap();
    assert_eq!(gateway.send("POST", XML_PATH, &[], xml_notice().as_bytes()).await.status, 200);
    for lane in 0..8 {
        assert_eq!(gateway.queue.depth(lane).await.unwrap(), 0, "nothing is given to another installation");
    }
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_under_load_keeps_what_was_answered() {
    let gateway = ready(&[]).await;
    let address = gateway.address;
    let post = request("POST", &json_path(), &[], JSON_NOTICE.as_bytes());
    let senders: Vec<_> = (0..8)
        .map(|_| {
            let post = post.clone();
            tokio::spawn(async move {
                use tokio::io::AsyncWriteExt;
                let mut accepted = 0;
                while let Ok(mut connection) = tokio::net::TcpStream::connect(address).await {
                    let _ = connection.write_all(&post).await;
                    match crate::harness::answer(&mut connection).await {
                        Some(answer) if answer.status == 201 => accepted += 1,
                        _ => break,
                    }
                }
                accepted
            })
        })
        .collect();
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    let records = gateway.stop().await;
    let mut accepted = 0;
    for sender in senders {
        accepted += sender.await.unwrap();
    }
    assert!(accepted > 0);
    let kept = of_kind(&records, Kind::Notice).len();
    assert!(kept >= accepted, "{kept} kept of {accepted}");
}

#[tokio::test(flavor = "multi_thread")]
async fn draining_waits_until_the_database_has_everything() {
    let gateway = ready(&["--drain"]).await;
    for _ in 0..3 {
        assert_eq!(gateway.send("POST", &json_path(), &[], JSON_NOTICE.as_bytes()).await.status, 201);
    }
    let queue = gateway.queue.clone();
    let stopping = tokio::spawn(gateway.stop());
    let worker = async {
        let mut seen = 0;
        while seen < 3 {
            seen = 0;
            for lane in 0..8 {
                let entries = queue.read(lane, None, 10).await.unwrap();
                let Some(queue::Entry::Shipped(last)) = entries.last() else { continue };
                seen += entries.len();
                if seen == 3 {
                    assert!(!stopping.is_finished(), "nothing was committed yet");
                    queue.publish_watermarks(lane, 1, 1, &[(last.journal, last.seq)]).await.unwrap();
                }
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), worker).await.expect("shipped in time");
    assert_eq!(of_kind(&stopping.await.unwrap(), Kind::Notice).len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_in_use_is_refused() {
    let gateway = ready(&[]).await;
    let dir = gateway.setup.dir.path().display().to_string();
    let second = Setup::new(&["--journal-dir", &dir]);
    let error = second.fails_to_start().await;
    assert!(error.contains("in use by another process"), "{error}");
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_journal_refuses_and_keeps_what_it_has() {
    let gateway = ready(&["--journal-bytes-max", "20000"]).await;
    let mut taken = 0;
    let refused = loop {
        let answer = gateway.send("POST", &json_path(), &[], JSON_NOTICE.as_bytes()).await;
        match answer.status {
            201 => taken += 1,
            _ => break answer,
        }
        assert!(taken < 1_000, "20,000 bytes do not hold that many");
    };
    // The only project has all of the journal, so it may be told that this is more than its share.
    assert!([429, 502].contains(&refused.status), "{refused:?}");
    assert!(refused.header("retry-after").is_some() && refused.header("x-ratelimit-delay").is_none());
    let records = gateway.stop().await;
    assert!(taken > 0);
    assert_eq!(of_kind(&records, Kind::Notice).len(), taken);
}
