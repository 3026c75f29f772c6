//! What libFuzzer runs: one target, named by `CROAK_FUZZ_TARGET`. With `CROAK_FUZZ_SEEDS` it writes the seeds into that folder
//! and ends. `script/fuzz` sets both, and builds this with what libFuzzer needs.

#![no_main]

use std::path::Path;
use std::sync::OnceLock;

use fuzz::Target;

static TARGET: OnceLock<&Target> = OnceLock::new();

fn begin() {
    let name = std::env::var("CROAK_FUZZ_TARGET").unwrap_or_default();
    let Some(target) = fuzz::target(&name) else {
        let names: Vec<&str> = fuzz::TARGETS.iter().map(|target| target.name).collect();
        eprintln!("CROAK_FUZZ_TARGET is `{name}`, and should be one of: {}", names.join(", "));
        std::process::exit(2);
    };
    if let Some(folder) = std::env::var_os("CROAK_FUZZ_SEEDS") {
        for (n, seed) in (target.seeds)().iter().enumerate() {
            std::fs::write(Path::new(&folder).join(format!("seed-{n:03}")), seed).expect("the folder is writable");
        }
        std::process::exit(0);
    }
    TARGET.get_or_init(|| target);
}

libfuzzer_sys::fuzz_target!(init: begin(), |bytes: &[u8]| {
    if let Some(target) = TARGET.get() {
        (target.run)(bytes);
    }
});
