//! Files: which are taken, in which parts they lie on the disk, and that none of them costs its event.

use std::collections::BTreeMap;

use journal::{Kind, Record};
use notice::{AttachmentEnd, AttachmentPart, Ledger, Notice, ledger_line::Ending};
use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt;
use uuid::Uuid;

use crate::harness::{Answer, KEY, LIMITED_KEY, Running, body, of_kind, ready, request};

const ID: &str = "fc6d8c0c43fc4630ad850ee518f1b9d0";
const MIB: usize = 1024 * 1024;

fn auth() -> String {
    format!("Sentry sentry_key={KEY}, sentry_version=7, sentry_client=test/1")
}

fn event(id: &str) -> Vec<u8> {
    let event =
        format!(r#"{{"event_id":"{id}","platform":"python","exception":{{"values":[{{"type":"Declined"}}]}}}}"#);
    item(r#""type":"event""#, event.as_bytes())
}

fn item(head: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!("{{{head},\"length\":{}}}\n", payload.len());
    [head.as_bytes(), payload, b"\n"].concat()
}

fn file(name: &str, content: &[u8]) -> Vec<u8> {
    item(&format!(r#""type":"attachment","filename":"{name}","content_type":"text/plain""#), content)
}

fn envelope(items: &[Vec<u8>]) -> Vec<u8> {
    [format!("{{\"event_id\":\"{ID}\"}}\n").into_bytes(), items.concat()].concat()
}

/// Bytes that gain nothing by packing, the same for the same seed.
fn noise(count: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2) + 1;
    std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u8
    })
    .take(count)
    .collect()
}

async fn send(gateway: &Running, envelope: &[u8]) -> Answer {
    gateway.send("POST", "/api/1/envelope/", &[("X-Sentry-Auth", &auth())], envelope).await
}

/// An upload as it lies on the disk.
#[derive(Default)]
struct Upload {
    parts: BTreeMap<u32, Vec<u8>>,
    end: Option<AttachmentEnd>,
    is_given_up: bool,
    lanes: Vec<u16>,
}

fn uploads(records: &[Record]) -> BTreeMap<[u8; 16], Upload> {
    let mut uploads: BTreeMap<[u8; 16], Upload> = BTreeMap::new();
    for record in of_kind(records, Kind::AttachmentPart) {
        assert!(record.body.len() < MIB, "a record is small: {}", record.body.len());
        let part: AttachmentPart = body(record);
        let upload = uploads.entry(record.id).or_default();
        upload.lanes.push(record.lane);
        upload.is_given_up |= part.given_up;
        if !part.content.is_empty() {
            assert!(upload.parts.insert(part.part, part.content).is_none(), "each part is there once");
        }
        if let Some(end) = part.end {
            assert!(upload.end.replace(end).is_none(), "there is one end");
        }
    }
    uploads
}

/// The files that will be shown: heads and bytes, by name.
fn files(records: &[Record]) -> BTreeMap<String, (AttachmentEnd, Vec<u8>)> {
    let mut files = BTreeMap::new();
    for upload in uploads(records).into_values() {
        assert!(upload.lanes.windows(2).all(|two| two[0] == two[1]), "an upload keeps its lane");
        let Some(end) = upload.end else { continue };
        assert!(!upload.is_given_up);
        assert!(upload.parts.keys().copied().eq(0..end.part_count), "{:?}", upload.parts.keys());
        let content = upload.parts.into_values().collect::<Vec<_>>().concat();
        assert_eq!((end.byte_length, end.sha256.as_slice()), (content.len() as u64, &Sha256::digest(&content)[..]));
        files.insert(end.name.clone(), (end, content));
    }
    files
}

fn unkept(records: &[Record], reason: &str) -> u64 {
    let lines = of_kind(records, Kind::Ledger).into_iter().flat_map(|record| body::<Ledger>(record).lines);
    lines.filter(|line| line.ending() == Ending::NotKept && line.reason == reason).map(|line| line.count).sum()
}

fn notice_count(records: &[Record]) -> usize {
    of_kind(records, Kind::Notice).len()
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_every_length_come_with_their_event() {
    let gateway = ready(&[]).await;
    let sizes = [0, 1, 1_000, 200_000, 512 * 1024, 512 * 1024 + 1, 3 * MIB + 7];
    let contents: Vec<Vec<u8>> = sizes.iter().map(|size| noise(*size, *size as u64)).collect();
    let items: Vec<Vec<u8>> =
        contents.iter().enumerate().map(|(number, content)| file(&format!("f{number}"), content)).collect();
    let whole = envelope(&[items[..4].concat(), event(ID), items[4..].concat()]);
    assert_eq!(send(&gateway, &whole).await.status, 200);
    let records = gateway.stop().await;
    assert_eq!(notice_count(&records), 1);
    let files = files(&records);
    assert_eq!(files.len(), sizes.len());
    for (number, content) in contents.iter().enumerate() {
        let (end, found) = &files[&format!("f{number}")];
        assert!(found == content, "{number}");
        assert_eq!((end.client_id.as_str(), end.attachment_type.as_str()), (ID, "event.attachment"));
        assert_eq!(end.content_type, "text/plain");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_again_has_the_same_id() {
    let gateway = ready(&[]).await;
    let whole = envelope(&[event(ID), file("a", b"abc"), file("b", b"abc"), file("c", &noise(MIB, 1))]);
    for _ in 0..2 {
        assert_eq!(send(&gateway, &whole).await.status, 200);
    }
    let ids: Vec<Vec<u8>> =
        uploads(&gateway.stop().await).into_values().filter_map(|upload| Some(upload.end?.id)).collect();
    assert_eq!(ids.len(), 6);
    assert_eq!(ids.into_iter().collect::<std::collections::BTreeSet<_>>().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_much_is_told_in_the_ledger_and_never_costs_the_event() {
    let gateway = ready(&[
        "--attachment-bytes-max",
        "2000000",
        "--attachments-of-event-bytes-max",
        "3000000",
        "--attachments-of-day-bytes-max",
        "6000000",
    ])
    .await;
    let other = "0000000000000000000000000000000";
    // One that is too long, also where parts of it are on the disk already; one that fits; one that is too much with the others.
    let items = [file("long", &noise(2_000_001, 1)), file("good", b"abc"), file("more", &noise(1_500_000, 2))];
    assert_eq!(send(&gateway, &envelope(&[items.concat(), event(ID)])).await.status, 200);
    // More than an event may have.
    let many: Vec<Vec<u8>> = (0..25).map(|number| file(&format!("m{number}"), b"x")).collect();
    assert_eq!(send(&gateway, &envelope(&[event(&format!("{other}1")), many.concat()])).await.status, 200);
    // More than a project may send today.
    for number in 2..6 {
        let whole =
            envelope(&[event(&format!("{other}{number}")), file(&format!("d{number}"), &noise(1_900_000, number))]);
        assert_eq!(send(&gateway, &whole).await.status, 200);
    }
    let records = gateway.stop().await;
    assert_eq!(notice_count(&records), 6);
    let kept = files(&records);
    assert!(kept.contains_key("good") && !kept.contains_key("long") && !kept.contains_key("more"), "{:?}", kept.keys());
    assert_eq!(kept.keys().filter(|name| name.starts_with('m')).count(), 20);
    assert!(kept.contains_key("d2") && !kept.contains_key("d5"), "{:?}", kept.keys());
    assert_eq!(unkept(&records, "attachment_too_large"), 2);
    assert_eq!(unkept(&records, "attachments_too_many"), 5);
    assert!(unkept(&records, "attachments_of_day") > 0);
    for upload in uploads(&records).into_values().filter(|upload| upload.end.is_none()) {
        assert!(upload.is_given_up, "what is on the disk of a file that is not kept is taken back");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_an_event_that_is_refused_are_not_kept() {
    let gateway = ready(&[]).await;
    let broken = item(r#""type":"event""#, b"{broken");
    let answer = send(&gateway, &envelope(&[file("a", b"abc"), file("b", &noise(2 * MIB, 1)), broken])).await;
    assert_eq!(answer.status, 400, "{answer:?}");
    // Nobody says what these belong to.
    let answer = send(&gateway, &[b"{}\n".to_vec(), file("c", b"abc")].concat()).await;
    assert_eq!(answer.status, 200);
    // Nothing is kept of what these belong to.
    let transaction = item(r#""type":"transaction""#, b"{}");
    assert_eq!(send(&gateway, &envelope(&[transaction, file("d", b"abc")])).await.status, 200);
    let limited = format!("Sentry sentry_key={LIMITED_KEY}, sentry_version=7");
    let whole = envelope(&[event(ID), file("e", b"abc")]);
    let mut refused = 0;
    for _ in 0..10 {
        let answer = gateway.send("POST", "/api/3/envelope/", &[("X-Sentry-Auth", &limited)], &whole).await;
        refused += usize::from(answer.status == 429);
    }
    assert!(refused > 0);
    let records = gateway.stop().await;
    let kept = files(&records);
    assert_eq!(kept.keys().collect::<Vec<_>>(), ["e"]);
    assert_eq!(of_kind(&records, Kind::Notice).len(), 10 - refused);
    assert_eq!(uploads(&records).values().filter(|upload| upload.is_given_up).count(), 1);
    assert_eq!((unkept(&records, "attachment"), unkept(&records, "attachment_without_event")), (1, 3 + refused as u64));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_breaks_off_leaves_nothing_that_is_shown() {
    let gateway = ready(&[]).await;
    let whole = envelope(&[file("a", &noise(4 * MIB, 1)), event(ID)]);
    let whole = request("POST", "/api/1/envelope/", &[("X-Sentry-Auth", &auth())], &whole);
    let mut connection = tokio::net::TcpStream::connect(gateway.address).await.unwrap();
    connection.write_all(&whole[..3 * MIB]).await.unwrap();
    connection.shutdown().await.unwrap();
    let answer = crate::harness::answer(&mut connection).await;
    assert!(answer.is_none_or(|answer| answer.status == 400));
    let records = gateway.stop().await;
    let uploads = uploads(&records);
    assert!(!uploads.is_empty(), "parts were on the disk already");
    assert!(uploads.values().all(|upload| upload.is_given_up && upload.end.is_none()));
    assert_eq!(notice_count(&records), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_unpacks_to_much_is_read_where_nobody_may_wait() {
    let gateway = ready(&[]).await;
    // So little that it is read at once: 3 MB of a log in two kilobytes, and a bomb.
    let log = b"a line of a log that says the same again and again\n".repeat(60_000);
    for (size, kept) in [(log.len(), true), (60 * MIB, false)] {
        let content = if kept { log.clone() } else { vec![b'a'; size] };
        let mut whole = Vec::new();
        let plain = envelope(&[event(ID), file(if kept { "log" } else { "bomb" }, &content)]);
        brotli::BrotliCompress(&mut plain.as_slice(), &mut whole, &Default::default()).unwrap();
        assert!(whole.len() < 4_000, "{}", whole.len());
        let headers = [("X-Sentry-Auth", auth()), ("Content-Encoding", "br".to_owned())];
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let answer = gateway.send("POST", "/api/1/envelope/", &headers, &whole).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    let records = gateway.stop().await;
    assert_eq!(notice_count(&records), 2);
    let files = files(&records);
    assert!(files["log"].1 == log);
    assert!(!files.contains_key("bomb"));
}

fn form(fields: &[(&str, &[u8])]) -> Vec<u8> {
    let mut form = Vec::new();
    for (head, content) in fields {
        form.extend(format!("--xyz\r\nContent-Disposition: form-data; {head}\r\n\r\n").into_bytes());
        form.extend_from_slice(content);
        form.extend_from_slice(b"\r\n");
    }
    form.extend_from_slice(b"--xyz--\r\n");
    form
}

#[tokio::test(flavor = "multi_thread")]
async fn files_can_follow_their_event() {
    let gateway = ready(&["--attachment-bytes-max", "2000000"]).await;
    let key = auth();
    let kind = "multipart/form-data; boundary=xyz";
    let post = async |event: &str, kind: &str, body: &[u8]| {
        let headers = [("X-Sentry-Auth", key.as_str()), ("Content-Type", kind)];
        gateway.send("POST", &format!("/api/1/events/{event}/attachments/"), &headers, body).await
    };
    let big = noise(MIB + 5, 3);
    let both = form(&[
        (r#"name="x"; filename="a.txt""#, b"abc"),
        (r#"name="said""#, b"not a file"),
        (r#"name="y"; filename="b.bin""#, &big),
    ]);
    let dashed = Uuid::parse_str(ID).unwrap().hyphenated().to_string();
    assert_eq!(post(&dashed, kind, &both).await.status, 201);
    assert_eq!(post("no-id", kind, &both).await.status, 400);
    assert_eq!(post(ID, "text/plain", &both).await.status, 415);
    assert_eq!(post(ID, kind, b"nothing of the kind").await.status, 400);
    assert_eq!(post(ID, kind, &both[..both.len() - 20]).await.status, 400);
    let long = form(&[(r#"name="x"; filename="long""#, &noise(2_000_001, 4))]);
    assert_eq!(post(ID, kind, &long).await.status, 413);
    let target = format!("/api/1/events/{ID}/attachments/");
    let unknown = gateway.send("POST", &target, &[("Content-Type", kind)], &both).await;
    assert_eq!(unknown.status, 401);
    let records = gateway.stop().await;
    let files = files(&records);
    assert_eq!(files.keys().collect::<Vec<_>>(), ["a.txt", "b.bin"]);
    assert!(files["b.bin"].1 == big && files["b.bin"].0.client_id == ID);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dump_of_a_crashed_process_is_a_fatal_error_with_a_file() {
    let gateway = ready(&[]).await;
    let dump = [b"MDMP".as_slice(), &noise(900_000, 5)].concat();
    let raw = gateway
        .send("POST", &format!("/api/1/minidump/?sentry_key={KEY}"), &[("Content-Type", "application/x-dmp")], &dump)
        .await;
    assert_eq!((raw.status, raw.header("content-type")), (200, Some("text/plain")), "{raw:?}");
    let raw_id = Uuid::parse_str(&raw.body).unwrap();
    assert_eq!(raw.body, raw_id.hyphenated().to_string());

    let said = format!(r#"{{"event_id":"{ID}","release":"shop@1"}}"#);
    let with_fields = form(&[
        (r#"name="upload_file_minidump"; filename="crash.dmp""#, &dump),
        (r#"name="sentry""#, said.as_bytes()),
        (r#"name="sentry[environment]""#, b"staging"),
        (r#"name="log"; filename="app.log""#, b"it was fine before"),
    ]);
    let kind = [("Content-Type", "multipart/form-data; boundary=xyz")];
    let target = format!("/api/1/minidump?sentry_key={KEY}");
    let answer = gateway.send("POST", &target, &kind, &with_fields).await;
    assert_eq!((answer.status, Uuid::parse_str(&answer.body).ok()), (200, Uuid::parse_str(ID).ok()), "{answer:?}");
    let none = form(&[(r#"name="sentry""#, said.as_bytes())]);
    let wrong = form(&[(r#"name="upload_file_minidump"; filename="x""#, &noise(900_000, 6))]);
    for bad in [none, wrong] {
        assert_eq!(gateway.send("POST", &target, &kind, &bad).await.status, 400);
    }
    assert_eq!(gateway.send("POST", &target, &[], b"MDM").await.status, 400);

    let records = gateway.stop().await;
    let notices: Vec<Notice> = of_kind(&records, Kind::Notice).into_iter().map(body).collect();
    assert_eq!(notices.len(), 2);
    assert!(notices.iter().all(|notice| notice.severity.as_deref() == Some("fatal")));
    let named = notices.iter().find(|notice| notice.client_id.as_deref() == Some(ID)).unwrap();
    assert_eq!((named.environment.as_deref(), named.release.as_deref()), (Some("staging"), Some("shop@1")));
    let files = files(&records);
    assert_eq!(files.keys().collect::<Vec<_>>(), ["app.log", "crash.dmp", "minidump.dmp"]);
    for (name, client_id) in [("crash.dmp", ID.to_owned()), ("minidump.dmp", raw_id.simple().to_string())] {
        let (end, content) = &files[name];
        assert!(*content == dump, "{name}");
        assert_eq!((&end.client_id, end.attachment_type.as_str()), (&client_id, "event.minidump"));
    }
    assert!(uploads(&records).values().all(|upload| upload.end.is_some() || upload.is_given_up));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_clients_send_beside_a_dump_is_in_its_event() {
    const DUMP: &str = r#"name="upload_file_minidump"; filename="crash.dmp""#;
    let gateway = ready(&[]).await;
    let kind = [("Content-Type", "multipart/form-data; boundary=xyz")];
    let target = format!("/api/1/minidump/?sentry_key={KEY}");
    let packed = [&b"\x82\xa8event_id\xd9\x20"[..], ID.as_bytes(), b"\xa7release\xa6shop@3"].concat();
    let mut fields = vec![
        (r#"name="sentry___initialScope""#, &br#"{"environment":"beta"}"#[..]),
        (r#"name="ptype""#, b"renderer"),
        (r#"name="__sentry-event"; filename="__sentry-event""#, &packed),
    ];
    // More than anybody looks at, before the dump.
    fields.extend(vec![(r#"name="key""#, &b"x"[..]); 250]);
    fields.push((DUMP, b"MDMP and the rest"));
    let answer = gateway.send("POST", &target, &kind, &form(&fields)).await;
    assert_eq!((answer.status, Uuid::parse_str(&answer.body).ok()), (200, Uuid::parse_str(ID).ok()), "{answer:?}");

    let wrapped = [&b"\x1f\x8b\x08 gzip"[..], b"\x28\xb5\x2f\xfd zstd", b"--inner\r\n\r\nform"];
    for dump in wrapped {
        let answer = gateway.send("POST", &target, &kind, &form(&[(DUMP, dump)])).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    let records = gateway.stop().await;
    let notices: Vec<Notice> = of_kind(&records, Kind::Notice).into_iter().map(body).collect();
    let named = notices.iter().find(|notice| notice.client_id.as_deref() == Some(ID)).expect("has its client's id");
    assert_eq!((named.release.as_deref(), named.environment.as_deref()), (Some("shop@3"), Some("beta")));
    let extra: serde_json::Value = serde_json::from_str(named.extra_json.as_deref().unwrap()).unwrap();
    assert_eq!((&extra["ptype"], &extra["key"], &extra["key#198"]), (&"renderer".into(), &"x".into(), &"x".into()));
    assert_eq!(named.notes, ["the form has too many fields: 52 were left out"]);
    for note in
        ["the minidump came packed by gzip", "the minidump came packed by zstd", "the minidump came in another form"]
    {
        assert!(notices.iter().any(|notice| notice.notes == [note]), "{note}");
    }
}
