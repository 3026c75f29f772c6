//! Whatever bytes come, the answer is a map or an error.

mod shop;

use proptest::prelude::*;
use source_map::{SourceMap, address};

/// Reads, and asks everything that can be asked.
fn put_through(map: &[u8], script: &[u8]) {
    let Ok(read) = SourceMap::read(map, Some(script)) else { return };
    assert!(read.bytes() <= 1_000 + 120 * (map.len() + script.len()), "{} of {}", read.bytes(), map.len());
    for (line, column) in [(1, 1), (1, 160), (2, 1), (0, 0), (u32::MAX, u32::MAX)] {
        if let Some(place) = read.original(line, column) {
            assert!(place.line > 0 && place.column > 0);
            assert!(read.code(&place).len() <= 11);
        }
        for name in ["n", "", "$"] {
            let _ = (read.function(line, column, name), read.called(line, column, name));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_mappings(mappings in "[A-Za-z0-9+/,;!]{0,200}", script in "[a-z=(){}>, ;\n🛒]{0,100}") {
        let map = serde_json::json!({"version": 3, "sources": ["a"], "names": ["b"], "sourcesContent": ["c\nd"], "mappings": mappings});
        put_through(map.to_string().as_bytes(), script.as_bytes());
    }

    #[test]
    fn a_map_that_was_damaged(at in 0_usize..4_000, byte in any::<u8>(), cut in 0_usize..8_000) {
        let mut map = shop::file("terser", "static/app.min.js.map");
        let length = map.len();
        map[at % length] = byte;
        map.truncate(length.saturating_sub(cut % 200));
        put_through(&map, &shop::file("terser", "static/app.min.js"));
    }

    #[test]
    fn another_script_than_the_maps_own(script in any::<String>()) {
        put_through(&shop::file("esbuild-one", "static/app.min.js.map"), script.as_bytes());
    }

    #[test]
    fn any_address(script in any::<String>(), reference in any::<String>()) {
        for name in address::names(&script) {
            prop_assert!(!name.is_empty());
        }
        let _ = address::of_map(&script, &reference);
    }
}
