//! What a map costs: `cargo run --release -p source_map --example size [megabytes]`.
//!
//! A map of so many megabytes is made up, as a bundler writes one: a line of script, sources of four hundred lines that are brought along, a name
//! at every third place. It is read with its script, and a stack of 200 frames is resolved by it.

use std::fmt::Write as _;
use std::time::Instant;

use notice::{Error, Frame, Notice};
use source_map::{Resolver, SourceMap};

const FRAMES: u32 = 200;
const LINES_OF_A_SOURCE: u32 = 400;

fn main() {
    let megabytes: usize = std::env::args().nth(1).and_then(|count| count.parse().ok()).unwrap_or(5);
    let (map, script) = made_up(megabytes << 20);
    println!("map: {:.1} MB, script: {:.1} MB", mb(map.len()), mb(script.len()));

    let begun = Instant::now();
    let read = SourceMap::read(map.as_bytes(), Some(script.as_bytes())).expect("it is a map");
    println!("read: {:.1} ms, {:.1} MB of memory", ms(begun), mb(read.bytes()));

    let step = script.len() as u32 / FRAMES;
    let frames = (0..FRAMES).map(|n| Frame {
        file: Some("https://shop.example/static/app.min.js".to_owned()),
        function: Some("n".to_owned()),
        line: Some(1),
        column: Some(1 + n * step),
        ..Frame::default()
    });
    let errors = vec![Error { frames: frames.collect(), ..Error::default() }];
    let notice = Notice { errors, language: Some("javascript".to_owned()), ..Notice::default() };
    let begun = Instant::now();
    let mut resolver = Resolver::new(notice);
    for script in resolver.scripts() {
        resolver.apply(script, &read, "app.min.js.map", "release");
    }
    let (_, resolution) = resolver.finish();
    println!("{} frames: {:.2} ms", resolution.scripts[0].frame_count, ms(begun));
}

fn made_up(bytes: usize) -> (String, String) {
    let source = (0..LINES_OF_A_SOURCE).fold(String::new(), |mut text, line| {
        let _ = writeln!(text, "export function charge{line}(card) {{ return pay(card, {line}); }}");
        text
    });
    let (mut mappings, mut script, mut sources) = (String::new(), String::new(), Vec::new());
    while mappings.len() + sources.len() * source.len() < bytes {
        sources.push(format!("../src/cart{}.js", sources.len()));
        for line in 0..LINES_OF_A_SOURCE {
            script.push_str("function n(e){return r(e,1)}");
            // Nine places on the line: the first leads to the next line, or to the next source.
            mappings.push_str(match line {
                0 if sources.len() > 1 => "EACAA,SAASA,EAAUC,GAAQ,OAAOC,EAAIA,GAAQ,EAAE,CAAE,",
                0 => "AAAA,SAASA,EAAUC,GAAQ,OAAOC,EAAIA,GAAQ,EAAE,CAAE,",
                _ => "EACA,SAASA,EAAUC,GAAQ,OAAOC,EAAIA,GAAQ,EAAE,CAAE,",
            });
        }
    }
    // Numbers only ever grow in this map: names and lines have to be there for all of them.
    let names = vec!["charge"; 6 * LINES_OF_A_SOURCE as usize * sources.len()];
    let contents = vec![source.as_str(); sources.len()];
    let map = serde_json::json!({"version": 3, "sources": sources, "sourcesContent": contents, "names": names, "mappings": mappings});
    (map.to_string(), script)
}

fn mb(bytes: usize) -> f64 {
    bytes as f64 / 1_000_000.0
}

fn ms(begun: Instant) -> f64 {
    begun.elapsed().as_secs_f64() * 1_000.0
}
