//! Runs the hot functions of a crate in one of two ways, for its `benches/`:
//! - `cargo bench -p notice` times them, by criterion;
//! - `script/instructions` counts their instructions: it starts the same programs under callgrind with `--calls N name`,
//!   which does nothing but call that function N times.
//!
//! Times are what people wait, and swing with whatever else the machine does; instructions are the same each time, so
//! that a small loss shows.

use std::hint::black_box;

use criterion::Criterion;

/// Notices as real clients send them, with what changes filled in.
pub mod samples {
    /// Hoptoad's XML, 4 KB.
    pub const XML_4_KB: &[u8] = include_bytes!("../samples/hoptoad-4kb.xml");
    /// Hoptoad's XML with a deep stack, 11 KB.
    pub const XML_11_KB: &[u8] = include_bytes!("../samples/hoptoad-11kb.xml");
    /// Airbrake's JSON v3, 4 KB.
    pub const JSON_4_KB: &[u8] = include_bytes!("../samples/airbrake-4kb.json");
}

/// A function that is called for every notice, or nearly.
pub struct Hot {
    name: &'static str,
    call: Box<dyn FnMut()>,
}

/// A hot function by its name in reports; what it answers is not optimised away.
pub fn hot<T>(name: &'static str, mut function: impl FnMut() -> T + 'static) -> Hot {
    let call = move || {
        black_box(function());
    };
    Hot { name, call: Box::new(call) }
}

/// What a program in `benches/` does: times the functions, or does with one of them what the command line asks for.
pub fn run(functions: impl IntoIterator<Item = Hot>) {
    let functions: Vec<Hot> = functions.into_iter().collect();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--names", ..] => functions.iter().for_each(|hot| println!("{}", hot.name)),
        ["--calls", calls, name, ..] => {
            let calls: u32 = calls.parse().expect("--calls is followed by a number");
            let found = functions.into_iter().find(|hot| hot.name == name);
            let mut hot = found.unwrap_or_else(|| panic!("there is no `{name}`: --names tells what there is"));
            (0..calls).for_each(|_| (hot.call)());
        }
        _ => {
            let mut criterion = Criterion::default().configure_from_args();
            for mut hot in functions {
                criterion.bench_function(hot.name, |bencher| bencher.iter(&mut hot.call));
            }
            criterion.final_summary();
        }
    }
}
