//! The table of what must always hold names a test for each sentence, and the tests are there.

use std::collections::BTreeSet;
use std::path::Path;

use tests::captures::listed;
use tests::programs::workspace;

/// The table.
const TABLE: &str = "docs/invariants.md";

/// Where tests are.
const FOLDERS: &[&str] = &["crates", "services", "tests/e2e"];

#[test]
fn every_invariant_has_its_test() {
    let table = std::fs::read_to_string(workspace().join(TABLE)).expect("the table is there");
    let rows: Vec<Vec<&str>> = table
        .lines()
        .filter(|line| line.starts_with("| I"))
        .map(|line| line.split('|').map(str::trim).collect())
        .collect();
    assert!(rows.len() >= 15, "{} rows", rows.len());
    let mut there = BTreeSet::new();
    FOLDERS.iter().for_each(|folder| collect(&workspace().join(folder), &mut there));
    for row in rows {
        let (number, proved_by) = (row[1].to_lowercase(), row[3]);
        let prefix = format!("{number}_");
        let named: Vec<_> = names(proved_by, &prefix).collect();
        assert!(!named.is_empty(), "{number} names no test that begins with its number: {proved_by}");
        let missing: Vec<_> = named.iter().filter(|name| !there.contains(**name)).collect();
        assert!(missing.is_empty(), "{number}: there is no test {missing:?}");
    }
}

/// The words in backticks that begin so.
fn names<'a>(text: &'a str, begins: &'a str) -> impl Iterator<Item = &'a str> {
    text.split('`').skip(1).step_by(2).filter(move |word| word.starts_with(begins))
}

/// The names of all functions of all sources of a folder.
fn collect(folder: &Path, into: &mut BTreeSet<String>) {
    for path in listed(folder) {
        if path.is_dir() {
            collect(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let source = std::fs::read_to_string(&path).expect("a source is text");
            let functions = source.lines().filter_map(|line| line.split_once("fn ")?.1.split_once('('));
            into.extend(functions.map(|(name, _)| name.to_owned()));
        }
    }
}
