//! Any bytes, put through everything that reads bytes: no panic, no endless loop, memory bounded, and what was read is consistent.
//!
//! A [`Target`] is one parser with all that happens to its result afterwards. `tests/corpus.rs` replays the seeds and every
//! input that was ever at fault (`crates/fuzz/found/<target>/`); `script/fuzz` has libFuzzer search for new ones.
//!
//! Check sums stop random changes before they reach the code behind them. They are believed without a look when this is
//! built with `--cfg fuzzing`, as script/fuzz does.

mod seeds;
mod targets;

/// One parser, and what real input looks like.
pub struct Target {
    /// Its name, on the command line and as a folder.
    pub name: &'static str,
    /// Takes any bytes. Panics when something does not hold.
    pub run: fn(&[u8]),
    /// Sound input, from which the search begins.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// Every parser.
pub const TARGETS: &[Target] = &[
    Target { name: "hoptoad_xml", run: targets::hoptoad_xml, seeds: seeds::hoptoad_xml },
    Target { name: "airbrake_json", run: targets::airbrake_json, seeds: seeds::airbrake_json },
    Target { name: "hoptoad_deploy", run: targets::hoptoad_deploy, seeds: seeds::hoptoad_deploy },
    Target { name: "honeybadger_json", run: targets::honeybadger_json, seeds: seeds::honeybadger_json },
    Target { name: "rollbar_json", run: targets::rollbar_json, seeds: seeds::rollbar_json },
    Target { name: "deploy", run: targets::deploy, seeds: seeds::deploy },
    Target { name: "bugsnag_json", run: targets::bugsnag_json, seeds: seeds::bugsnag_json },
    Target { name: "sentry_envelope", run: targets::sentry_envelope, seeds: seeds::sentry_envelope },
    Target { name: "sentry_event", run: targets::sentry_event, seeds: seeds::sentry_event },
    Target { name: "sentry_crash", run: targets::sentry_crash, seeds: seeds::sentry_crash },
    Target { name: "artifact_bundle", run: targets::artifact_bundle, seeds: seeds::artifact_bundle },
    Target { name: "otlp_json", run: targets::otlp_json, seeds: seeds::otlp_json },
    Target { name: "otlp_protobuf", run: targets::otlp_protobuf, seeds: seeds::otlp_protobuf },
    Target { name: "stack_text", run: targets::stack_text, seeds: seeds::stack_text },
    Target { name: "record", run: targets::record, seeds: seeds::record },
    Target { name: "segment", run: targets::segment, seeds: seeds::segment },
    Target { name: "chunk", run: targets::chunk, seeds: seeds::chunk },
    Target { name: "stored_sets", run: targets::stored_sets, seeds: seeds::stored_sets },
    Target { name: "source_map", run: targets::source_map, seeds: seeds::source_map },
    Target { name: "search", run: targets::search, seeds: seeds::search },
];

/// The target of this name.
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

/// The journal's answers are futures; nothing else here is.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime without drivers is made").block_on(future)
}
