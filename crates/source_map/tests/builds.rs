//! Maps of real bundlers: read as other libraries read them, and what stacks become by them.

mod shop;

use notice::{Grouping, culprit, fingerprint, fold_key};
use serde_json::Value;
use source_map::{BadMap, SourceMap};

const BUILDS: [&str; 3] = ["esbuild-one", "esbuild-two", "terser"];

#[test]
fn every_place_is_where_another_library_finds_it() {
    for build in BUILDS {
        let map = shop::map(build);
        let places: Vec<(u32, u32, String, u32, u32, Option<String>)> =
            serde_json::from_slice(&shop::file(build, "places.json")).expect("it is a list of places");
        assert!(places.len() > 150);
        for (line, column, file, original_line, original_column, name) in &places {
            let found = map.original(*line, *column).unwrap_or_else(|| panic!("{build}: nothing at {line}:{column}"));
            assert_eq!(found.file, file.trim_start_matches("../"), "{build} {line}:{column}");
            assert_eq!((found.line, found.column), (*original_line, *original_column), "{build} {line}:{column}");
            assert_eq!(found.name, name.as_deref(), "{build} {line}:{column}");
        }
        // esbuild's last place has no end; terser says that what it put behind it has no source.
        let end = if build == "terser" { None } else { Some("src/main.js") };
        assert_eq!(map.original(1, 1_000_000).map(|place| place.file), end, "{build}");
        assert_eq!(map.original(2_000, 1), None);
        assert_eq!(map.original(0, 0), None);
    }
}

#[test]
fn a_minified_stack_becomes_the_one_that_was_written() {
    let expected = |main_line| {
        [
            "chargeCard @ src/cart.js:13:11".to_owned(),
            "payForCart @ src/cart.js:22:10".to_owned(),
            format!("onCheckout @ src/main.js:{main_line}:10"),
        ]
    };
    for (build, main_line) in [("esbuild-one", 6), ("esbuild-two", 8), ("terser", 8)] {
        let (notice, resolution) = shop::resolved(shop::notice(build), &shop::map(build));
        assert_eq!(shop::places(&notice), expected(main_line), "{build}");
        let [script] = resolution.scripts.as_slice() else { panic!("{:?}", resolution.scripts) };
        assert_eq!((script.frame_count, script.problem.as_deref()), (3, None));
    }
}

#[test]
fn the_lines_around_it_are_those_of_the_source() {
    let (notice, _) = shop::resolved(shop::notice("esbuild-one"), &shop::map("esbuild-one"));
    let source = String::from_utf8(shop::file("source/one", "cart.js")).expect("it is text");
    let written: Vec<&str> = source.lines().collect();
    let [charge, pay, checkout] = notice.errors[0].frames.as_slice() else { panic!("three frames") };
    let lines = |frame: &notice::Frame| frame.code.iter().map(|code| code.line).collect::<Vec<_>>();
    assert_eq!(lines(charge), (8..=18).collect::<Vec<_>>());
    for code in &charge.code {
        assert_eq!(code.text, written[code.line as usize - 1]);
    }
    assert_eq!(lines(pay), (17..=23).collect::<Vec<_>>(), "the file ends");
    assert_eq!(lines(checkout), (1..=10).collect::<Vec<_>>(), "it begins and ends");
}

#[test]
fn where_it_was_stays_visible() {
    let (notice, resolution) = shop::resolved(shop::notice("esbuild-one"), &shop::map("esbuild-one"));
    let was = resolution.minified[0][1].as_ref().expect("it was resolved");
    assert_eq!((was.file.as_str(), was.line, was.column), (shop::ADDRESS, 1, 281));
    assert_eq!(was.function.as_deref(), Some("n"));
    let mut json = serde_json::json!({"errors": [{"frames": [{}, {}, {}]}]});
    resolution.add_to_json(&mut json);
    assert_eq!(json["errors"][0]["frames"][2]["minified"]["column"], 331);
    assert_eq!(json["source_maps"][0]["map"], "~/static/app.min.js.map");
    assert!(notice.notes.is_empty());
}

/// Without the script nobody knows where functions are defined: then the caller says what it called.
#[test]
fn without_the_script_callers_name_what_they_call() {
    let map = SourceMap::read(&shop::file("esbuild-one", "static/app.min.js.map"), None).expect("it is a map");
    let (notice, _) = shop::resolved(shop::notice("esbuild-one"), &map);
    let functions: Vec<_> = notice.errors[0].frames.iter().map(|frame| frame.function.as_deref()).collect();
    assert_eq!(functions, [Some("chargeCard"), Some("payForCart"), Some("s")], "nobody called the outermost");
}

#[test]
fn two_builds_of_the_same_code_are_one_group() {
    let group = |notice: &notice::Notice| fingerprint(notice, Grouping::Default).hash;
    let raw = BUILDS.map(shop::notice);
    let resolved = BUILDS.map(|build| shop::resolved(shop::notice(build), &shop::map(build)).0);
    assert_ne!(group(&raw[0]), group(&raw[1]), "minified they are told by what the minifier made of them");
    assert_eq!(group(&resolved[0]), group(&resolved[1]));
    assert_eq!(group(&resolved[1]), group(&resolved[2]), "whatever bundler made them");
    assert_eq!(culprit(&resolved[0]), "src/cart.js in chargeCard");

    let mut elsewhere = shop::notice("esbuild-one");
    elsewhere.errors[0].frames.remove(0);
    let (elsewhere, _) = shop::resolved(elsewhere, &shop::map("esbuild-one"));
    assert_ne!(group(&elsewhere), group(&resolved[0]), "another place is another group");
}

/// All of a minified script lies in one line: the column tells where.
#[test]
fn what_a_map_is_asked_for_is_part_of_the_fold_key() {
    let notice = shop::notice("esbuild-one");
    let changes: [fn(&mut notice::Notice); 4] = [
        |notice| notice.errors[0].frames[0].column = Some(1),
        |notice| notice.dist = Some("7".into()),
        |notice| notice.release = Some("7".into()),
        |notice| {
            let id = "8a2cc2b5-5de5-4f05-9d5e-0b7a60b7d2c1";
            notice.debug_images_json =
                Some(format!(r#"[{{"type":"sourcemap","code_file":"{}","debug_id":"{id}"}}]"#, shop::ADDRESS));
        },
    ];
    for (at, change) in changes.iter().enumerate() {
        let mut changed = notice.clone();
        change(&mut changed);
        assert_ne!(fold_key(&notice), fold_key(&changed), "change {at}");
    }
}

#[test]
fn an_indexed_map_is_its_sections_together() {
    let section = |line: u32, column: u32, build: &str| {
        let map: Value = serde_json::from_slice(&shop::file(build, "static/app.min.js.map")).expect("it is JSON");
        serde_json::json!({"offset": {"line": line, "column": column}, "map": map})
    };
    let sections = [section(0, 100, "esbuild-one"), section(7, 0, "terser")];
    let map = serde_json::json!({"version": 3, "sections": sections}).to_string();
    let map = SourceMap::read(map.as_bytes(), None).expect("it is a map");
    let (one, terser) = (shop::map("esbuild-one"), shop::map("terser"));
    let same = |found: Option<source_map::Original<'_>>, expected: Option<source_map::Original<'_>>| {
        let (found, expected) = (found.expect("there"), expected.expect("there"));
        assert_eq!(
            (found.file, found.line, found.column, found.name),
            (expected.file, expected.line, expected.column, expected.name)
        );
        assert_eq!(found.file, "src/cart.js");
        assert_eq!(map.code(&found).len(), 11);
    };
    same(map.original(1, 260), one.original(1, 160));
    same(map.original(8, 280), terser.original(1, 280));
    assert_eq!(map.original(1, 50), None);
    assert_eq!(map.original(5, 1), None);
}

#[test]
fn a_bad_map_says_what_is_wrong() {
    let read = |text: &str| SourceMap::read(text.as_bytes(), None).map(|_| ());
    assert_eq!(read(r#"{"version":2,"mappings":""}"#), Err(BadMap::Version(2)));
    assert_eq!(read(r#"{"version":3,"sources":[],"mappings":"!"}"#), Err(BadMap::Mappings));
    assert_eq!(read(r#"{"version":3,"sections":[{"offset":{"line":0,"column":0},"url":"a"}]}"#), Err(BadMap::Sections));
    assert!(matches!(read("<!doctype html>"), Err(BadMap::Json(_))));
    assert!(matches!(read(r#"{"version":3}"#), Err(BadMap::Json(_))));
    assert!(matches!(read(""), Err(BadMap::Json(_))));
    let long = vec![b' '; source_map::BYTES_MAX + 1];
    assert_eq!(SourceMap::read(&long, None).map(|_| ()), Err(BadMap::TooLong));
    let many = ";".repeat(source_map::TOKENS_MAX + 1);
    assert_eq!(read(&format!(r#"{{"version":3,"sources":[],"mappings":"{many}"}}"#)), Err(BadMap::TooManyTokens));
}

#[test]
fn what_some_writers_do_is_understood() {
    let id = "8a2cc2b5-5de5-4f05-9d5e-0b7a60b7d2c1";
    let map = format!(
        ")]}}'\n{{\"version\":3,\"sourceRoot\":\"webpack://shop/\",\"sources\":[\"./src/a.js\",null],\"names\":[7,\"a\"],\"mappings\":\"AAAAC\",\"debugId\":\"{id}\"}}"
    );
    let map = SourceMap::read(map.as_bytes(), None).expect("it is a map");
    assert_eq!(map.debug_id().map(|id| id.to_string()).as_deref(), Some(id));
    let place = map.original(1, 1).expect("it is there");
    assert_eq!((place.file, place.name), ("webpack://shop/./src/a.js", Some("a")));
    assert!(map.code(&place).is_empty(), "it has no sources");
}

#[test]
fn a_map_of_another_build_changes_nothing_and_says_so() {
    let map = SourceMap::read(br#"{"version":3,"sources":["a.js"],"mappings":";;;;AAAA"}"#, None).expect("it is a map");
    let notice = shop::notice("esbuild-one");
    let (stayed, resolution) = shop::resolved(notice.clone(), &map);
    assert_eq!(stayed, notice);
    assert!(resolution.scripts[0].problem.as_deref().is_some_and(|problem| problem.contains("another build")));
}
