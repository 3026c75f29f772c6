//! Every seed, and every input that was ever at fault, goes through.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use fuzz::{TARGETS, Target};

#[test]
fn seeds_go_through() {
    for target in TARGETS {
        let seeds = (target.seeds)();
        assert!(!seeds.is_empty(), "{} has no seeds", target.name);
        for (n, seed) in seeds.iter().enumerate() {
            put_through(target, &format!("seed {n}"), seed);
        }
    }
}

#[test]
fn what_was_at_fault_once_goes_through() {
    let found = Path::new(env!("CARGO_MANIFEST_DIR")).join("found");
    for folder in fs::read_dir(found).into_iter().flatten().flatten() {
        let name = folder.file_name().into_string().expect("a target's name is text");
        let target = fuzz::target(&name).unwrap_or_else(|| panic!("there is no target `{name}`"));
        for file in fs::read_dir(folder.path()).expect("it is readable").flatten() {
            let bytes = fs::read(file.path()).expect("it is readable");
            put_through(target, &file.file_name().to_string_lossy(), &bytes);
        }
    }
}

/// A seed that no longer parses would leave the search with nothing to begin from.
#[test]
fn seeds_are_what_they_should_be() {
    let all = |name: &str| (fuzz::target(name).expect("it is a target").seeds)();
    assert!(all("hoptoad_xml").iter().filter(|body| protocol::hoptoad::parse(body).is_ok()).count() > 20);
    assert!(all("airbrake_json").iter().filter(|body| protocol::airbrake::parse_notice(body).is_ok()).count() >= 10);
    assert!(all("honeybadger_json").iter().any(|body| protocol::honeybadger::parse_notice(body).is_ok()));
    assert!(all("rollbar_json").iter().all(|body| protocol::rollbar::parse_items(body, None).is_ok()));
    assert_eq!(all("bugsnag_json").iter().filter(|body| protocol::bugsnag::parse_notify(body).is_ok()).count(), 3);
    let event = |body: &[u8]| protocol::sentry::parse_event(body, &Default::default()).is_ok();
    assert!(all("sentry_event").iter().filter(|body| event(body)).count() > 20);
    assert!(
        all("sentry_envelope").iter().filter(|body| protocol::sentry::Envelope::begin(body.as_slice()).is_ok()).count()
            > 20
    );
    let exceptions = |name: &str, encoding| {
        let seeds = all(name);
        let taken = seeds.iter().filter_map(|body| {
            let traces = protocol::otlp::read_traces(body, encoding).ok()?.notices.len();
            Some(traces + protocol::otlp::read_logs(body, encoding).ok()?.notices.len())
        });
        taken.sum::<usize>()
    };
    assert_eq!(exceptions("otlp_json", protocol::otlp::Encoding::Json), 2);
    assert_eq!(exceptions("otlp_protobuf", protocol::otlp::Encoding::Protobuf), 2);
    let is_trace = |text: &Vec<u8>| protocol::stack_text::read(&String::from_utf8_lossy(text), None).is_some();
    assert!(all("stack_text").len() > 100 && all("stack_text").iter().all(is_trace));
    assert!(all("record").iter().all(|bytes| journal::Record::decode(bytes).is_ok()));
    assert!(all("segment").len() > 2);
    let is_map = |seed: &Vec<u8>| {
        let map = seed.split(|byte| *byte == 0).next().unwrap_or_default();
        source_map::SourceMap::read(map, None).is_ok()
    };
    assert!(all("source_map").iter().all(is_map));
}

fn put_through(target: &Target, what: &str, bytes: &[u8]) {
    let outcome = catch_unwind(AssertUnwindSafe(|| (target.run)(bytes)));
    assert!(outcome.is_ok(), "{}: {what} ({} bytes)", target.name, bytes.len());
}
