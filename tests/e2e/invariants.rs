//! The tables of what must always hold, and of what stops whom, name a test for each sentence, and the tests are there.

use std::collections::BTreeSet;
use std::path::Path;

use tests::captures::listed;
use tests::programs::workspace;

/// What must always hold.
const INVARIANTS: &str = "docs/invariants.md";

/// What stops whom.
const THREATS: &str = "docs/threat-model.md";

/// Where tests are.
const FOLDERS: &[&str] = &["crates", "services", "tests/e2e"];

#[test]
fn every_invariant_has_its_test() {
    let there = all_there();
    let rows = rows(INVARIANTS, "| I");
    assert!(rows.len() >= 15, "{} rows", rows.len());
    for [number, proved_by] in rows {
        let number = number.to_lowercase();
        let prefix = format!("{number}_");
        let named: Vec<_> = names(&proved_by).filter(|name| name.starts_with(&prefix)).collect();
        assert!(!named.is_empty(), "{number} names no test that begins with its number: {proved_by}");
        let missing: Vec<_> = named.iter().filter(|name| !there.contains(**name)).collect();
        assert!(missing.is_empty(), "{number}: there is no test {missing:?}");
    }
}

#[test]
fn everything_that_stops_somebody_has_its_test() {
    let there = all_there();
    let rows = rows(THREATS, "| T");
    assert!(rows.len() >= 20, "{} rows", rows.len());
    for [number, tried_by] in rows {
        // Names of tests are sentences, names of packages are not.
        let named: Vec<_> = names(&tried_by).filter(|name| name.contains('_')).collect();
        assert!(!named.is_empty(), "{number} names no test: {tried_by}");
        let missing: Vec<_> = named.iter().filter(|name| !there.contains(**name)).collect();
        assert!(missing.is_empty(), "{number}: there is no test {missing:?}");
    }
}

/// First and third column of a table's rows that begin so and have a number.
fn rows(page: &str, begins: &str) -> Vec<[String; 2]> {
    let page = std::fs::read_to_string(workspace().join(page)).expect("the page is there");
    let rows = page
        .lines()
        .filter(|line| line.strip_prefix(begins).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit())));
    rows.map(|row| {
        let columns: Vec<_> = row.split('|').map(str::trim).collect();
        [columns[1].to_owned(), columns[3].to_owned()]
    })
    .collect()
}

/// The names of all functions.
fn all_there() -> BTreeSet<String> {
    let mut there = BTreeSet::new();
    FOLDERS.iter().for_each(|folder| collect(&workspace().join(folder), &mut there));
    there
}

/// The words in backticks.
fn names(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
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
