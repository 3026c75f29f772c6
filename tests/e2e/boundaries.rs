//! The walls between the parts, as ARCHITECTURE.md draws them: who must never know whom.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use cargo_metadata::{DependencyKind, MetadataCommand};
use tests::programs::workspace;

/// A package and what it must not reach, however long the way.
const WALLS: &[(&str, &[&str])] = &[
    // What a notice is, and what bytes mean, is the same everywhere and needs nothing of the world.
    (
        "notice",
        &[
            "tokio",
            "redis",
            "deadpool-redis",
            "sqlx",
            "hyper",
            "reqwest",
            "axum",
            "tonic",
            "journal",
            "queue",
            "store",
            "service",
        ],
    ),
    (
        "protocol",
        &[
            "tokio",
            "redis",
            "deadpool-redis",
            "sqlx",
            "hyper",
            "reqwest",
            "axum",
            "tonic",
            "journal",
            "queue",
            "store",
            "service",
        ],
    ),
    (
        "source_map",
        &[
            "tokio",
            "redis",
            "deadpool-redis",
            "sqlx",
            "hyper",
            "reqwest",
            "axum",
            "tonic",
            "journal",
            "protocol",
            "queue",
            "store",
            "service",
        ],
    ),
    // The durable log knows bytes.
    ("journal", &["notice", "protocol", "redis", "deadpool-redis", "sqlx", "hyper", "queue", "store", "service"]),
    ("queue", &["sqlx", "hyper", "reqwest", "axum", "store", "service", "protocol"]),
    (
        "store",
        &["redis", "deadpool-redis", "hyper", "reqwest", "axum", "tonic", "journal", "queue", "service", "protocol"],
    ),
    ("service", &["redis", "deadpool-redis", "sqlx", "journal", "queue", "store", "notice", "protocol"]),
    // A dead database must not close the door.
    ("ingest-gateway", &["sqlx", "store"]),
    // The web only reads, and only PostgreSQL.
    ("web", &["redis", "deadpool-redis", "queue", "journal", "protocol"]),
    // The tests share no code with what they test.
    ("tests", &["notice", "protocol", "journal", "queue", "store", "service"]),
];

/// What these two may use of `std` leaves out the clock and the world: the same bytes must give the same notice, always.
const PURE: &[&str] = &["crates/notice/src", "crates/protocol/src", "crates/source_map/src"];
const IMPURE_WORDS: &[&str] =
    &["SystemTime", "Instant::now", "now_utc", "now_v7", "std::fs", "std::net", "std::process", "std::thread"];

/// The writing half of `store`: web's database role could not use it, and its source must not name it.
const WRITING_HALF: &[&str] = &["Writer", "writer", "Admin", "admin"];

/// Names that say nothing.
const NAMELESS: &[&str] = &["utils", "util", "common", "helpers", "helper", "core", "misc"];

/// Which package uses which, directly and in the code that is shipped (not in tests or build scripts).
type Graph = BTreeMap<String, BTreeSet<String>>;

#[test]
fn no_package_reaches_what_it_must_not_know() {
    let graph = workspace_graph();
    for (package, _) in WALLS {
        assert!(graph.contains_key(*package), "{package} is not in the workspace: is the table of walls out of date?");
    }
    let broken = broken_walls(&graph, WALLS);
    assert!(broken.is_empty(), "walls are broken:\n{}", broken.join("\n"));
}

#[test]
fn the_check_finds_a_wall_that_is_broken_directly_or_through_others() {
    let graph = graph_of(&[
        ("web", &["store", "pages"]),
        ("pages", &["cache"]),
        ("cache", &["redis"]),
        ("store", &["sqlx"]),
        ("gateway", &["store"]),
    ]);
    assert_eq!(broken_walls(&graph, &[("web", &["redis"])]), ["web → pages → cache → redis"]);
    assert_eq!(broken_walls(&graph, &[("gateway", &["store", "sqlx"])]), ["gateway → store", "gateway → store → sqlx"]);
    assert_eq!(broken_walls(&graph, &[("store", &["redis"]), ("cache", &["sqlx"])]), Vec::<String>::new());
}

#[test]
fn what_is_pure_reads_no_clock_and_touches_nothing() {
    let mut found = Vec::new();
    for file in PURE.iter().flat_map(|folder| sources(&workspace().join(folder))) {
        let source = shipped(&read(&file));
        found.extend(
            IMPURE_WORDS
                .iter()
                .filter(|word| source.contains(**word))
                .map(|word| format!("{}: {word}", file.display())),
        );
    }
    assert!(found.is_empty(), "pure crates reach for the world:\n{}", found.join("\n"));
}

#[test]
fn the_web_never_names_the_writing_half_of_the_store() {
    let mut found = Vec::new();
    for file in sources(&workspace().join("services/web/src")) {
        let names = names_of_store(&read(&file));
        found.extend(
            WRITING_HALF
                .iter()
                .filter(|name| names.contains(**name))
                .map(|name| format!("{}: store::{name}", file.display())),
        );
    }
    assert!(found.is_empty(), "the web must only read:\n{}", found.join("\n"));
}

#[test]
fn the_check_finds_names_of_the_store_however_they_are_imported() {
    let direct = names_of_store("fn f(w: &store::writer::Writer) {}");
    assert!(direct.contains("writer") && direct.contains("Writer"));
    let grouped = names_of_store("use store::{reader::{Group, Page}, Admin as A};\nuse other::Writer;");
    assert!(grouped.contains("Admin") && grouped.contains("Page") && !grouped.contains("Writer"));
    assert!(names_of_store("use restore::Writer;").is_empty());
}

#[test]
fn every_crate_and_module_has_a_name_that_says_something() {
    let mut found: Vec<_> = workspace_graph()
        .into_keys()
        .filter(|package| NAMELESS.contains(&package.as_str()) && workspace().join("crates").join(package).exists())
        .collect();
    for folder in ["crates", "services", "tests"] {
        for file in sources(&workspace().join(folder)) {
            let is_named_so = file.components().any(|part| {
                part.as_os_str().to_str().is_some_and(|part| NAMELESS.contains(&part.trim_end_matches(".rs")))
            });
            let declares_so = NAMELESS.iter().any(|name| {
                read(&file)
                    .lines()
                    .any(|line| line.trim().trim_start_matches("pub ").starts_with(&format!("mod {name} {{")))
            });
            if is_named_so || declares_so {
                found.push(file.display().to_string());
            }
        }
    }
    assert!(found.is_empty(), "name the thing:\n{}", found.join("\n"));
}

/// The shortest way over each broken wall.
fn broken_walls(graph: &Graph, walls: &[(&str, &[&str])]) -> Vec<String> {
    let mut broken = Vec::new();
    for (package, forbidden) in walls {
        let ways = ways_from(graph, package);
        broken.extend(forbidden.iter().filter_map(|other| ways.get(*other)).map(|way| way.join(" → ")));
    }
    broken
}

/// Every package that `start` reaches, with the shortest way to it.
fn ways_from(graph: &Graph, start: &str) -> BTreeMap<String, Vec<String>> {
    let mut ways = BTreeMap::from([(start.to_owned(), vec![start.to_owned()])]);
    let mut next = std::collections::VecDeque::from([start.to_owned()]);
    while let Some(package) = next.pop_front() {
        for used in graph.get(&package).into_iter().flatten() {
            if !ways.contains_key(used) {
                let way = [ways[&package].as_slice(), std::slice::from_ref(used)].concat();
                ways.insert(used.clone(), way);
                next.push_back(used.clone());
            }
        }
    }
    ways.remove(start);
    ways
}

fn workspace_graph() -> Graph {
    let metadata =
        MetadataCommand::new().manifest_path(workspace().join("Cargo.toml")).exec().expect("cargo metadata answers");
    let resolve = metadata.resolve.as_ref().expect("cargo metadata resolves");
    let mut graph = Graph::new();
    for node in &resolve.nodes {
        let used = node.deps.iter().filter(|dep| dep.dep_kinds.iter().any(|kind| kind.kind == DependencyKind::Normal));
        let names = used.map(|dep| metadata[&dep.pkg].name.to_string());
        graph.entry(metadata[&node.id].name.to_string()).or_default().extend(names);
    }
    graph
}

fn graph_of(edges: &[(&str, &[&str])]) -> Graph {
    edges
        .iter()
        .map(|(package, used)| ((*package).to_owned(), used.iter().map(|used| (*used).to_owned()).collect()))
        .collect()
}

/// Every identifier that a source reaches through `store::`, be it by a path or by a `use` with braces.
fn names_of_store(source: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (at, _) in source.match_indices("store::") {
        if source[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_') {
            continue;
        }
        let mut depth = 0;
        let path = source[at + "store::".len()..].split(|c: char| {
            depth += i32::from(c == '{') - i32::from(c == '}');
            let inside = depth > 0 || c == '}';
            !(c.is_alphanumeric() || "_:".contains(c) || inside)
        });
        let words = path.take(1).flat_map(|path| path.split(|c: char| !(c.is_alphanumeric() || c == '_')));
        names.extend(words.filter(|word| !word.is_empty()).map(str::to_owned));
    }
    names
}

/// A source without its tests.
fn shipped(source: &str) -> String {
    source.split("#[cfg(test)]").next().unwrap_or_default().to_owned()
}

fn read(file: &Path) -> String {
    std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// All Rust files below a folder.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.expect("a folder can be listed").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}
