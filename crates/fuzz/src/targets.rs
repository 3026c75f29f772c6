//! What is done with the bytes, and what must hold.

use std::fs;
use std::io::{self, BufRead, BufReader, Cursor};
use std::path::Path;
use std::time::Duration;

use journal::{Journal, JournalOptions, Record};
use notice::prost::Message as _;
use notice::{Accounted, Grouping, Notice, NoticeFacts, NoticeId, Stored, UserSketch};
use protocol::otlp::{self, Encoding};
use protocol::sentry::artifact_bundle::{Bundle, BundleLimits};
use protocol::sentry::{self, Envelope, EventContext, ReportContext};
use protocol::{airbrake, bugsnag, honeybadger, hoptoad, rollbar, stack_text};
use queue::body::{self, Dictionaries};
use source_map::SourceMap;
use store::chunk;
use store::reader::search::Search;
use uuid::Uuid;

use crate::block_on;

/// What a body may unpack to: as in the worker.
const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;

pub(crate) fn hoptoad_xml(bytes: &[u8]) {
    if let Ok(parsed) = hoptoad::parse(bytes) {
        accept(parsed.notice);
    }
}

pub(crate) fn airbrake_json(bytes: &[u8]) {
    if let Ok(parsed) = airbrake::parse_notice(bytes) {
        accept(parsed.notice);
    }
    if let Ok(deploy) = airbrake::parse_deploy(bytes) {
        deploy.encode_to_vec();
    }
    for kind in ["routes-stats", "routes-breakdowns", "queries-stats", "queues-stats"] {
        if let Ok(stats) = airbrake::check_stats(kind, bytes) {
            stats.encode_to_vec();
        }
    }
}

/// Files of a bundle are at most as long as they say, and their sum holds; of a hostile one little is read.
pub(crate) fn artifact_bundle(bytes: &[u8]) {
    let limits = BundleLimits { files_max: 100, file_bytes_max: 1 << 20, bytes_max: 4 << 20 };
    let Ok(mut bundle) = Bundle::open(Cursor::new(bytes), limits) else { return };
    assert!(bundle.file_count() <= limits.files_max);
    for index in 0..bundle.file_count() {
        if let Ok(Some((_, mut body))) = bundle.file(index) {
            let read = io::copy(&mut body, &mut io::sink());
            assert!(read.is_err() || read.is_ok_and(|bytes| bytes <= limits.file_bytes_max));
        }
    }
}

pub(crate) fn hoptoad_deploy(bytes: &[u8]) {
    if let Ok((_, deploy)) = hoptoad::parse_deploy(bytes) {
        deploy.encode_to_vec();
    }
}

pub(crate) fn honeybadger_json(bytes: &[u8]) {
    for parse in [honeybadger::parse_notice, honeybadger::parse_query] {
        if let Ok(parsed) = parse(bytes) {
            accept(parsed.notice);
        }
    }
    let _ = honeybadger::count_events(bytes);
}

pub(crate) fn rollbar_json(bytes: &[u8]) {
    if let Ok(items) = rollbar::parse_items(bytes, Some("203.0.113.7")) {
        assert!(!items.is_empty(), "a request that is taken has an item");
        items.into_iter().for_each(|parsed| accept(parsed.notice));
    }
}

/// Deploys in JSON and as forms, of all clients that send them so.
pub(crate) fn deploy(bytes: &[u8]) {
    for parse in [rollbar::parse_deploy, honeybadger::parse_deploy, bugsnag::parse_build] {
        if let Ok((_, deploy)) = parse(bytes) {
            assert!(deploy.encode_to_vec().len() <= 2 * bytes.len() + 100, "it says no more than the body");
        }
    }
    let _ = rollbar::parse_deploy_update(bytes);
}

/// What stands beside a dump: the first line in MessagePack, each other a field of the form.
pub(crate) fn sentry_crash(bytes: &[u8]) {
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let text = String::from_utf8_lossy(bytes.get(end + 1..).unwrap_or_default());
    let fields: Vec<_> = text
        .lines()
        .take(200)
        .map(|line| line.split_once('=').unwrap_or((line, "")))
        .map(|(name, text)| (name.to_owned(), text.to_owned()))
        .collect();
    let files = ["__sentry-event", "__sentry-breadcrumb1"].map(|name| (name.to_owned(), bytes[..end].to_vec()));
    let event = sentry::minidump_event(&fields, &files);
    if let Ok(parsed) = sentry::parse_event(event.as_bytes(), &EventContext::default()) {
        assert!(!parsed.notice.errors.is_empty(), "a crash is an error, whatever else it says");
        accept(parsed.notice);
    }
}

pub(crate) fn bugsnag_json(bytes: &[u8]) {
    if let Ok(events) = bugsnag::parse_notify(bytes) {
        assert!(!events.is_empty(), "a request that is taken has an event");
        events.into_iter().for_each(|parsed| accept(parsed.notice));
    }
    if let Ok(parsed) = bugsnag::parse_query(bytes) {
        accept(parsed.notice);
    }
    let _ = bugsnag::count_sessions(bytes);
}

/// The same items come out in whatever pieces the body comes, and however little of them is kept.
pub(crate) fn sentry_envelope(bytes: &[u8]) {
    let read = |reader: &mut dyn BufRead, bytes_max: usize| {
        let mut items = Vec::new();
        let Ok(mut envelope) = Envelope::begin(reader) else { return items };
        while let Ok(Some(item)) = envelope.next_item(|_| bytes_max) {
            assert!(item.payload.len() as u64 <= item.payload_bytes && item.payload.len() <= bytes_max);
            items.push(item);
        }
        items
    };
    let whole = read(&mut &bytes[..], usize::MAX);
    let mut pieces = BufReader::with_capacity(3, bytes);
    assert_eq!(read(&mut pieces, usize::MAX), whole, "it does not matter in which pieces it comes");
    let skipped = read(&mut &bytes[..], 0);
    assert!(
        skipped
            .iter()
            .map(|item| (&item.head, item.payload_bytes))
            .eq(whole.iter().map(|item| (&item.head, item.payload_bytes))),
        "it does not matter how much is kept"
    );
    for item in whole.iter().filter(|item| item.head.kind == "event") {
        sentry_event(&item.payload);
    }
}

/// As an event, and as everything else of Sentry's that is JSON.
pub(crate) fn sentry_event(bytes: &[u8]) {
    let context = EventContext { event_id: None, peer_ip: Some("203.0.113.7"), client: None };
    if let Ok(event) = sentry::decode_store_body(bytes, 1 << 20)
        && let Ok(parsed) = sentry::parse_event(&event, &context)
    {
        assert!(!parsed.notice.errors.is_empty(), "an event is an error, whatever it says");
        accept(parsed.notice);
    }
    let context = ReportContext::default();
    for reports in
        [sentry::security_report(bytes, "application/csp-report", &context), sentry::nel_report(bytes, &context)]
    {
        reports.unwrap_or_default().into_iter().for_each(|parsed| accept(parsed.notice));
    }
    for line in sentry::client_report(bytes) {
        assert!(line.count > 0 && !line.reason.is_empty());
    }
    let _ = sentry::user_report(bytes);
    let _ = sentry::feedback(bytes);
    sentry::error_page_form(bytes, bytes);
}

pub(crate) fn otlp_json(bytes: &[u8]) {
    otlp(bytes, Encoding::Json);
}

pub(crate) fn otlp_protobuf(bytes: &[u8]) {
    otlp(bytes, Encoding::Protobuf);
}

fn otlp(bytes: &[u8], encoding: Encoding) {
    for read in [otlp::read_traces, otlp::read_logs, otlp::read_metrics] {
        let Ok(taken) = read(bytes, encoding) else { continue };
        assert!(taken.notices.len() <= 1_000 + bytes.len() / 64, "{} notices", taken.notices.len());
        for parsed in taken.notices {
            assert_eq!(parsed.notice.client_id.as_deref().map(str::len), Some(32), "it is known again");
            assert!(!parsed.notice.errors.is_empty(), "it has an error");
            accept(parsed.notice);
        }
    }
}

/// The text as of an unknown language, and of the one that its first byte chooses.
pub(crate) fn stack_text(bytes: &[u8]) {
    const LANGUAGES: [&str; 8] = ["python", "java", "nodejs", "ruby", "go", "dotnet", "php", "rust"];
    let text = String::from_utf8_lossy(bytes);
    let first = bytes.first().copied().unwrap_or_default();
    for language in [None, Some(LANGUAGES[usize::from(first) % LANGUAGES.len()])] {
        let Some(read) = stack_text::read(&text, language) else { continue };
        assert!(read.errors.iter().any(|error| !error.frames.is_empty()), "something was recognised");
        assert!(read.errors.len() <= notice::normalise::ERRORS_MAX);
        assert!(read.filled_count <= stack_text::FILLED_FRAMES_MAX);
        assert!(read.rest.len() <= text.len());
        let frames = read.errors.iter().map(|error| error.frames.len()).sum::<usize>();
        assert!(frames <= text.len() + read.filled_count, "{frames} frames");
        accept(Notice { errors: read.errors, ..Notice::default() });
    }
}

/// What the gateway does with a notice before the journal, and what the worker and the web do with what lies there.
fn accept(mut notice: Notice) {
    notice::normalise(&mut notice);
    notice::scrub(&mut notice);
    let encoded = notice.encode_to_vec();
    assert!(encoded.len() <= notice::normalise::NOTICE_BYTES_MAX + 64 * 1024, "{} bytes", encoded.len());
    assert_eq!(Notice::decode(encoded.as_slice()).as_ref(), Ok(&notice), "a notice comes back as it was");

    let mut again = notice.clone();
    notice::scrub(&mut again);
    assert_eq!(again, notice, "what was scrubbed has nothing left to scrub");
    let fingerprint = notice::fingerprint(&notice, Grouping::Default);
    assert!(!fingerprint.parts.is_empty(), "a fingerprint says what went into it");
    read(&notice, &encoded);
}

/// What is done with a notice that lies in a lane or a chunk, whoever wrote it.
fn read(notice: &Notice, encoded: &[u8]) {
    let facts = NoticeFacts::decode(encoded).expect("facts are a part of a notice");
    notice::facets(&facts);
    notice::user_hash(&facts);
    notice::fold_key(notice);
    notice::lane_hash(notice);
    for grouping in [Grouping::Default, Grouping::Hoptoad] {
        notice::fingerprint(notice, grouping);
    }
    notice::culprit(notice);
    notice::search_words(notice);
    let accepted_at_us = 1_795_316_388_564_789;
    let id = NoticeId::new(accepted_at_us, 5, 42);
    notice::to_json(&Stored { id, project_id: 1, group_id: 17, accepted_at_us, notice, why: None });
}

pub(crate) fn record(bytes: &[u8]) {
    let Ok(record) = Record::decode(bytes) else { return };
    #[cfg(not(fuzzing))]
    assert_eq!(record.encode(), bytes, "a record comes back as it was");
    let unpacked = Dictionaries::default().decompress(record.codec, &record.body, BODY_BYTES_MAX);
    // The search sees what lies inside of the compression, too.
    let plain = if cfg!(fuzzing) { Ok(record.body) } else { unpacked };
    if let Ok(plain) = plain
        && let Ok(notice) = Notice::decode(plain.as_slice())
    {
        read(&notice, &plain);
    }
}

/// The first 16 bytes are the journal's id, the others its only segment.
pub(crate) fn segment(bytes: &[u8]) {
    let Some((journal, segment)) = bytes.split_first_chunk::<16>() else { return };
    let folder = tempfile::Builder::new().tempdir_in(memory()).expect("there is a folder");
    let name = format!("{}.1", Uuid::from_bytes(*journal));
    fs::write(folder.path().join(name), segment).expect("the folder is writable");
    journal::list(folder.path()).expect("it is listed");
    journal::verify(folder.path()).expect("it is read");
    let options = JournalOptions {
        bytes_max: Some(1 << 20),
        segment_bytes: 1 << 20,
        keep: Duration::ZERO,
        ..JournalOptions::default()
    };
    let Ok(opened) = Journal::open(folder.path(), options) else { return };
    for source in opened.sources() {
        for (lane, head) in source.heads() {
            let base = source.base(lane);
            assert!(source.gap(lane).is_none_or(|gap| !gap.is_empty() && *gap.end() <= head));
            source.oldest_unacked_at_us(lane);
            let _ = source.read(lane, base.saturating_sub(1), 100, 1 << 20);
            let _ = source.projects(lane, base.saturating_sub(1), 100);
            let _ = source.read_these(lane, &[base, head], 1 << 20);
            opened.acknowledge(source.journal(), lane, head);
        }
    }
    opened.status();
    block_on(opened.close());
}

/// Where files cost nothing, if there is such a place.
fn memory() -> &'static Path {
    let shared = Path::new("/dev/shm");
    if shared.is_dir() { shared } else { Path::new("/tmp") }
}

pub(crate) fn chunk(bytes: &[u8]) {
    let _ = chunk::decode(chunk::CODEC_ZSTD, bytes);
    // What lies inside of the compression is changed, too.
    let Ok(items) = chunk::decode(chunk::CODEC_ZSTD, &body::compress(bytes)) else { return };
    let chunks = chunk::encode(&items);
    let back = chunks.iter().flat_map(|chunk| {
        assert!(chunk.notice_count <= chunk::NOTICES_MAX);
        chunk::decode(chunk::CODEC_ZSTD, &chunk.body).expect("it decodes")
    });
    assert!(back.eq(items), "a chunk comes back as it was");
}

/// Columns that only Croak writes: numbers of accounted records, and sketches of users.
pub(crate) fn stored_sets(bytes: &[u8]) {
    let numbers: Vec<i64> = bytes.as_chunks::<8>().0.iter().map(|bytes| i64::from_le_bytes(*bytes)).collect();
    if let Some((wm, runs)) = numbers.split_first() {
        let mut set = Accounted::from_stored(*wm, runs);
        let (wm, runs) = set.to_stored();
        assert_eq!(Accounted::from_stored(wm, &runs), set, "a set comes back as it was");
        for number in &numbers {
            let number = number.unsigned_abs();
            let was_there = set.contains(number);
            assert_eq!(set.insert(number), !was_there);
            assert!(set.contains(number));
        }
        set.count();
    }
    let (left, right) = bytes.split_at(bytes.len() / 2);
    let mut sketch = UserSketch::from_bytes(left);
    sketch.merge(&UserSketch::from_bytes(right));
    assert_eq!(UserSketch::from_bytes(&sketch.to_bytes()), sketch, "a sketch comes back as it was");
    sketch.estimate();
}

pub(crate) fn search(bytes: &[u8]) {
    let _ = Search::parse(&String::from_utf8_lossy(bytes));
}

/// A map, and behind a zero byte the script that it is of.
pub(crate) fn source_map(bytes: &[u8]) {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    let script = bytes.get(end + 1..).unwrap_or_default();
    let Ok(map) = SourceMap::read(&bytes[..end], Some(script)) else { return };
    assert!(map.bytes() <= 1_000 + 120 * bytes.len(), "{} of {}", map.bytes(), bytes.len());
    let lines = script.split(|byte| *byte == b'\n').take(10).map(<[u8]>::len);
    for (line, length) in (1..).zip(lines) {
        for column in (0..=length as u32 + 1).step_by(1 + length / 50) {
            let Some(place) = map.original(line, column) else { continue };
            assert!(place.line > 0 && place.column > 0 && map.code(&place).len() <= 11);
            for name in ["n", "r", "a"] {
                let _ = (map.function(line, column, name), map.called(line, column, name));
            }
        }
    }
    let text = String::from_utf8_lossy(script);
    for name in source_map::address::names(&text) {
        let _ = source_map::address::of_map(&name, &text);
    }
}
