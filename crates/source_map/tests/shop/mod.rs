//! The builds in `tests/builds/`, and notices of what happens in them.

#![allow(dead_code, reason = "not every test uses everything")]

use std::path::Path;

use notice::{Error, Frame, Notice, normalise};
use source_map::{Resolution, Resolver, SourceMap};

/// Where all builds are served.
pub(crate) const ADDRESS: &str = "https://shop.example/static/app.min.js";

/// A file of a build.
pub(crate) fn file(build: &str, name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/builds").join(build).join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The map of a build, read with its script.
pub(crate) fn map(build: &str) -> SourceMap {
    let script = file(build, "static/app.min.js");
    SourceMap::read(&file(build, "static/app.min.js.map"), Some(&script)).expect("a bundler's map is readable")
}

/// The notice of the stack that the build's program printed.
pub(crate) fn notice(build: &str) -> Notice {
    let stack = String::from_utf8(file(build, "stack.txt")).expect("it is text");
    let mut lines = stack.lines();
    let (class, message) = lines.next().and_then(|line| line.split_once(": ")).expect("it says what happened");
    let frames = lines.map(|line| {
        let (function, place) = line.trim().strip_prefix("at ")?.split_once(" (")?;
        let mut place = place.trim_end_matches(')').rsplitn(3, ':');
        let (column, line, file) = (place.next()?.parse().ok()?, place.next()?.parse().ok()?, place.next()?);
        Some(Frame {
            file: Some(file.to_owned()),
            function: Some(function.to_owned()),
            line: Some(line),
            column: Some(column),
            ..Frame::default()
        })
    });
    let mut notice = Notice {
        errors: vec![Error {
            class: Some(class.to_owned()),
            message: Some(message.to_owned()),
            frames: frames.collect::<Option<_>>().expect("all lines are calls"),
            ..Error::default()
        }],
        language: Some("javascript".to_owned()),
        ..Notice::default()
    };
    normalise(&mut notice);
    notice
}

/// The notice with the map applied to all of its scripts.
pub(crate) fn resolved(notice: Notice, map: &SourceMap) -> (Notice, Resolution) {
    let mut resolver = Resolver::new(notice);
    for script in resolver.scripts() {
        resolver.apply(script, map, "~/static/app.min.js.map", "release");
    }
    resolver.finish()
}

/// `function @ file:line:column` of each frame.
pub(crate) fn places(notice: &Notice) -> Vec<String> {
    let place = |frame: &Frame| {
        let (function, file) = (frame.function.as_deref().unwrap_or("?"), frame.file.as_deref().unwrap_or("?"));
        format!("{function} @ {file}:{}:{}", frame.line.unwrap_or(0), frame.column.unwrap_or(0))
    };
    notice.errors[0].frames.iter().map(place).collect()
}
