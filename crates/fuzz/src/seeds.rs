//! Sound input: what real clients sent, and what Croak makes of it.

use std::fs;
use std::io::Read as _;
use std::path::Path;

use flate2::read::{GzDecoder, ZlibDecoder};

use journal::{Draft, Journal, JournalOptions, Kind, Record};
use notice::prost::{self, Message as _};
use notice::{Item, Notice, NoticeId, UserSketch};
use protocol::sentry::{Envelope, EventContext};
use protocol::{airbrake, hoptoad, sentry};
use queue::body;
use store::chunk;

use crate::block_on;

const ACCEPTED_AT_US: i64 = 1_795_316_388_564_789;

/// Bodies of the recorded requests whose first line names this path, unpacked.
fn bodies(path: &str) -> Vec<Vec<u8>> {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures");
    let clients = fs::read_dir(fixtures).expect("there are fixtures").flatten();
    let mut files: Vec<_> = clients.filter_map(|client| fs::read_dir(client.path()).ok()).flatten().flatten().collect();
    files.sort_by_key(fs::DirEntry::path);
    let requests = files.iter().filter(|file| file.path().extension().is_some_and(|extension| extension == "http"));
    requests
        .filter_map(|file| {
            let request = fs::read(file.path()).expect("a fixture is readable");
            let head_end = request.windows(4).position(|window| window == b"\r\n\r\n")?;
            let head = String::from_utf8_lossy(&request[..head_end]);
            head.lines()
                .next()
                .is_some_and(|line| line.contains(path))
                .then(|| unpacked(&head, &request[head_end + 4..]))
        })
        .collect()
}

fn unpacked(head: &str, body: &[u8]) -> Vec<u8> {
    let head = head.to_ascii_lowercase();
    let mut out = Vec::new();
    if head.contains("content-encoding: gzip") {
        GzDecoder::new(body).read_to_end(&mut out).expect("a fixture is packed as it says");
        return out;
    }
    if head.contains("content-encoding: deflate") {
        ZlibDecoder::new(body).read_to_end(&mut out).expect("a fixture is packed as it says");
        return out;
    }
    body.to_vec()
}

pub(crate) fn artifact_bundle() -> Vec<Vec<u8>> {
    vec![include_bytes!("../samples/shop.bundle").to_vec()]
}

pub(crate) fn hoptoad_xml() -> Vec<Vec<u8>> {
    bodies("/notifier_api/v2/notices")
}

pub(crate) fn airbrake_json() -> Vec<Vec<u8>> {
    let mut seeds = bodies("/api/v3/");
    seeds.extend(bodies("/api/v4/"));
    seeds.extend(bodies("/api/v5/"));
    seeds
}

pub(crate) fn honeybadger_json() -> Vec<Vec<u8>> {
    let mut seeds = bodies("/v1/notices");
    seeds.extend(bodies("/v1/events"));
    seeds.push(
        b"notice[error][class]=TypeError&notice[error][backtrace]=charge%40https://shop.example/app.js:10:5&api_key=k"
            .to_vec(),
    );
    seeds
}

pub(crate) fn rollbar_json() -> Vec<Vec<u8>> {
    bodies("/api/1/item")
}

pub(crate) fn deploy() -> Vec<Vec<u8>> {
    let seeds = [
        r#"{"access_token":"k","environment":"production","revision":"8f2c1de9a7","local_username":"ann","comment":"faster"}"#,
        r#"{"deploy":{"environment":"production","revision":"8f2c1de9a7","repository":"git@git.shop.example:shop.git","local_username":"ann"}}"#,
        r#"{"apiKey":"k","appVersion":"1.4.2","releaseStage":"production","sourceControl":{"revision":"8f2c1de9a7"}}"#,
        "deploy[environment]=production&deploy[revision]=8f2c1de9a7&api_key=k",
        "app=shop&user=ann%40shop.example&head_long=8f2c1de9a7&git_log=fix",
    ];
    seeds.map(|seed| seed.as_bytes().to_vec()).to_vec()
}

/// An event with an entry of each kind, and fields that say the same in other ways.
pub(crate) fn sentry_crash() -> Vec<Vec<u8>> {
    let event = b"\x86\xa8event_id\xd9\x208d1c2cbc5e4e4fac89924a67464ceb58\xa7release\xa6shop@3\xa4user\x81\xa2id\x07\xa9timestamp\xcb\x41\xda\xc0\x00\x00\x00\x00\x00\xabbreadcrumbs\x91\x81\xa7message\xa1a\xa5extra\x82\xa1b\xc3\xa1c\xd1\xff\x00";
    let fields = "\nsentry={\"release\":\"a\"}\nsentry___initialScope={\"tags\":{\"a\":\"b\"}}\nsentry__1={\"dist\":\nsentry__2=\"1\"}\nsentry[tags][c]=d\nptype=renderer";
    vec![[&event[..], fields.as_bytes()].concat(), fields.as_bytes().to_vec()]
}

pub(crate) fn bugsnag_json() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/bugsnag-written");
    let files = fs::read_dir(folder).expect("there are bodies").flatten();
    let mut seeds: Vec<_> = files.map(|file| fs::read(file.path()).expect("it is readable")).collect();
    seeds.push(br#"{"sessions":[{"id":"a"}],"sessionCounts":[{"sessionsStarted":3}]}"#.to_vec());
    seeds.push(
        b"apiKey=k&name=TypeError&message=m&stacktrace=charge%40app.js:10:5&metaData[cart][id]=4711&ct=img".to_vec(),
    );
    seeds.sort();
    seeds
}

pub(crate) fn hoptoad_deploy() -> Vec<Vec<u8>> {
    let mut seeds = bodies("/deploys");
    seeds.push(b"api_key=k&deploy[rails_env]=production&deploy[scm_revision]=abc&deploy[local_username]=eve".to_vec());
    seeds
}

pub(crate) fn sentry_envelope() -> Vec<Vec<u8>> {
    let mut seeds = bodies("/envelope/");
    seeds.push(
        b"{}\n{\"type\":\"attachment\",\"length\":3,\"filename\":\"a\"}\na\nb\n\n{\"type\":\"event\"}\n{}".to_vec(),
    );
    seeds
}

/// Events, and what else is JSON of Sentry's.
pub(crate) fn sentry_event() -> Vec<Vec<u8>> {
    let mut seeds = bodies("/store/");
    for body in sentry_envelope() {
        let mut envelope = Envelope::begin(body.as_slice()).expect("a fixture is an envelope");
        while let Ok(Some(item)) = envelope.next_item(|_| usize::MAX) {
            seeds.push(item.payload);
        }
    }
    let reports = [
        r#"{"csp-report":{"document-uri":"https://a.example/","blocked-uri":"https://b.example/x.js","effective-directive":"script-src-elem"}}"#,
        r#"[{"type":"csp-violation","url":"https://a.example/","body":{"blockedURL":"inline","effectiveDirective":"img-src","lineNumber":7}}]"#,
        r#"[{"type":"network-error","url":"https://a.example/","body":{"type":"http.error","phase":"application","status_code":503}}]"#,
        r#"{"expect-ct-report":{"hostname":"a.example","date-time":"2026-11-22T02:59:48Z"}}"#,
        r#"{"logentry":{"message":"%(a)s of {0}","params":{"a":"b"}},"tags":[["a","b"]],"threads":[{"crashed":true,"stacktrace":{"frames":[{}]}}]}"#,
    ];
    seeds.extend(reports.map(|report| report.as_bytes().to_vec()));
    seeds
}

/// Requests of exporters that write JSON.
pub(crate) fn otlp_json() -> Vec<Vec<u8>> {
    [
        r#"{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}},{"key":"telemetry.sdk.language","value":{"stringValue":"nodejs"}}]},
        "scopeSpans":[{"scope":{"name":"till","version":"1"},"spans":[{"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174","name":"GET /a","kind":2,
        "startTimeUnixNano":"1795316388000000000","endTimeUnixNano":"1795316389000000000","attributes":[{"key":"url.path","value":{"stringValue":"/a"}},{"key":"http.response.status_code","value":{"intValue":"500"}},
        {"key":"list","value":{"arrayValue":{"values":[{"intValue":1},{"doubleValue":0.5}]}}},{"key":"map","value":{"kvlistValue":{"values":[{"key":"a","value":{"boolValue":true}}]}}},{"key":"bytes","value":{"bytesValue":"AAEC"}}],
        "events":[{"timeUnixNano":"1795316388100000000","name":"begun"},{"timeUnixNano":"1795316388564007123","name":"exception","attributes":[{"key":"exception.type","value":{"stringValue":"TypeError"}},
        {"key":"exception.message","value":{"stringValue":"m"}},{"key":"exception.stacktrace","value":{"stringValue":"TypeError: m\n    at charge (/srv/shop.js:1:2)\n    at pay (/srv/shop.js:3:4)"}},{"key":"exception.escaped","value":{"boolValue":false}}]}],
        "links":[{"traceId":"5b8efff798038103d269b633813fc60d","spanId":"eee19b7ec3c1b175"}],"status":{"code":2,"message":"m"}}]}],"schemaUrl":"https://opentelemetry.io/schemas/1.44.0"}]}"#,
        r#"{"resourceLogs":[{"resource":{},"scopeLogs":[{"scope":{"name":"shop.orders"},"logRecords":[{"timeUnixNano":1795316388564007123,"observedTimeUnixNano":"1795316388564007124","severityNumber":17,
        "severityText":"ERROR","body":{"stringValue":"order 17 failed"},"attributes":[{"key":"exception.type","value":{"stringValue":"shop.Declined"}},{"key":"exception.stacktrace","value":{"arrayValue":{"values":[{"stringValue":"a"}]}}}]}]}]}]}"#,
        r#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"a","sum":{"dataPoints":[{"asInt":"1"}],"aggregationTemporality":2}},{"name":"b","gauge":{"dataPoints":[{},{}]}}]}]}]}"#,
        "{}",
    ]
    .map(|request| request.as_bytes().to_vec())
    .to_vec()
}

/// What real exporters sent by gRPC, and an exception in a span.
pub(crate) fn otlp_protobuf() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/py-otel-grpc-1.45.1");
    let mut files: Vec<_> =
        fs::read_dir(folder).expect("there are requests").flatten().map(|file| file.path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "bin"));
    files.sort();
    let mut seeds: Vec<_> = files.iter().map(|file| fs::read(file).expect("it is readable")).collect();
    let field = |number: u8, bytes: &[u8]| {
        let mut field = vec![number << 3 | 2];
        prost::encoding::encode_varint(bytes.len() as u64, &mut field);
        field.extend_from_slice(bytes);
        field
    };
    let pair = |key: &str, value: &str| [field(1, key.as_bytes()), field(2, &field(1, value.as_bytes()))].concat();
    let attributes =
        [field(3, &pair("exception.type", "E")), field(3, &pair("exception.stacktrace", "/a.rb:1:in `f'"))];
    let event = [field(2, b"exception"), attributes.concat()].concat();
    let span =
        [field(1, &[0x5b; 16]), field(2, &[0xaf; 8]), field(9, &pair("url.path", "/a")), field(11, &event)].concat();
    seeds.push(field(1, &field(2, &field(2, &span))));
    seeds
}

/// What programs of each language printed.
pub(crate) fn stack_text() -> Vec<Vec<u8>> {
    let traces = Path::new(env!("CARGO_MANIFEST_DIR")).join("../protocol/tests/traces");
    let languages = fs::read_dir(traces).expect("there are traces").flatten();
    let mut files: Vec<_> =
        languages.filter_map(|language| fs::read_dir(language.path()).ok()).flatten().flatten().collect();
    files.sort_by_key(fs::DirEntry::path);
    let texts = files.iter().filter(|file| file.path().extension().is_some_and(|extension| extension == "txt"));
    texts.map(|file| fs::read(file.path()).expect("a trace is readable")).collect()
}

fn notices() -> Vec<Notice> {
    let events = sentry_event();
    let events = events.iter().filter_map(|event| sentry::parse_event(event, &EventContext::default()).ok());
    let xml = hoptoad_xml().into_iter().filter_map(|body| hoptoad::parse(&body).ok());
    let json = airbrake_json().into_iter().filter_map(|body| airbrake::parse_notice(&body).ok());
    xml.chain(json).chain(events).map(|parsed| parsed.notice).collect()
}

fn drafts() -> Vec<Draft> {
    let draft = |(n, notice): (u64, Notice)| Draft {
        kind: Kind::Notice,
        codec: body::CODEC_ZSTD,
        lane: (n % 64) as u16,
        project_id: 1 + n % 3,
        fold_key_version: notice::FOLD_KEY_VERSION,
        fold_key: notice::fold_key(&notice).0,
        accepted_at_us: ACCEPTED_AT_US,
        id: *NoticeId::new(ACCEPTED_AT_US, 5, n).as_bytes(),
        body: body::compress(&notice.encode_to_vec()),
    };
    (1..).zip(notices()).map(draft).collect()
}

pub(crate) fn record() -> Vec<Vec<u8>> {
    let mut records: Vec<Record> = Vec::new();
    for (seq, draft) in (1..).zip(drafts()) {
        let packed = Record {
            kind: draft.kind as u8,
            codec: draft.codec,
            lane: draft.lane,
            seq,
            project_id: draft.project_id,
            fold_key_version: draft.fold_key_version,
            fold_key: draft.fold_key,
            accepted_at_us: draft.accepted_at_us,
            id: draft.id,
            body: draft.body,
        };
        let plain = body::decompress(packed.codec, &packed.body, usize::MAX).expect("it was compressed here");
        records.push(Record { body: plain, ..packed.clone() });
        records.push(packed);
    }
    records.iter().map(Record::encode).collect()
}

/// A segment that is being written, and the same when it was closed.
pub(crate) fn segment() -> Vec<Vec<u8>> {
    let folder = tempfile::tempdir().expect("there is a folder");
    let options = JournalOptions { bytes_max: Some(1 << 20), segment_bytes: 1 << 20, ..JournalOptions::default() };
    let journal = Journal::open(folder.path(), options).expect("it opens");
    let mut drafts = drafts();
    drafts.truncate(40);
    let file = || {
        let mut files = journal::list(folder.path()).expect("it is listed");
        let listing = files.pop().expect("there is a segment");
        let mut bytes = fs::read(listing.path).expect("it is readable");
        let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        bytes.truncate(end);
        [listing.journal.as_bytes().as_slice(), &bytes].concat()
    };
    let mut seeds = Vec::new();
    block_on(async {
        for some in drafts.chunks(10) {
            journal.append(some.to_vec()).await.expect("it is appended");
            seeds.push(file());
        }
        journal.close().await;
    });
    seeds.push(file());
    seeds
}

pub(crate) fn chunk() -> Vec<Vec<u8>> {
    let items: Vec<Item> = (1..)
        .zip(notices())
        .map(|(n, notice)| Item {
            id: NoticeId::new(ACCEPTED_AT_US, 5, n),
            accepted_at_us: ACCEPTED_AT_US,
            body: notice.encode_to_vec(),
        })
        .collect();
    let mut seeds: Vec<Vec<u8>> = items.chunks(4).flat_map(chunk::encode).map(|chunk| chunk.body).collect();
    let plain: Vec<Vec<u8>> =
        seeds.iter().filter_map(|body| body::decompress(body::CODEC_ZSTD, body, usize::MAX).ok()).collect();
    seeds.extend(plain);
    seeds
}

pub(crate) fn stored_sets() -> Vec<Vec<u8>> {
    let numbers = |numbers: &[i64]| numbers.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<u8>>();
    let sketch = |users: u64| {
        let mut sketch = UserSketch::default();
        (0..users).for_each(|user| {
            sketch.insert(user.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        });
        sketch.to_bytes()
    };
    vec![
        numbers(&[10, 12, 20, 30, 30]),
        numbers(&[0, 5, 4, i64::MAX, -1]),
        [sketch(9), sketch(9)].concat(),
        [sketch(200), sketch(300)].concat(),
    ]
}

pub(crate) fn search() -> Vec<Vec<u8>> {
    [
        "undefined method",
        "\"can't convert\" class:TypeError is:unresolved",
        "first-seen:<24h last-seen:>7d environment:production tag.shard:\"a b\"",
    ]
    .map(|query| query.as_bytes().to_vec())
    .to_vec()
}

/// Maps of real bundlers, each with its script.
pub(crate) fn source_map() -> Vec<Vec<u8>> {
    let builds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../source_map/tests/builds");
    let file = |build: &str, name: &str| fs::read(builds.join(build).join(name)).expect("it is readable");
    let mut seeds: Vec<Vec<u8>> = ["esbuild-one", "esbuild-two", "terser"]
        .map(|build| [file(build, "static/app.min.js.map"), vec![0], file(build, "static/app.min.js")].concat())
        .to_vec();
    let sections = r#"{"version":3,"sections":[{"offset":{"line":0,"column":2},"map":{"version":3,"sources":["a.js"],"sourcesContent":["a\nb"],
        "names":["charge"],"mappings":"AAAAA,EAAE"}},{"offset":{"line":2,"column":0},"map":{"sources":[null],"mappings":";AAAA"}}]}"#;
    seeds.push([sections.as_bytes(), b"\0", b"  n=e=>e\n"].concat());
    seeds
}
