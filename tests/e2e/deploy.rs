//! What `docker-compose.yml`, the Dockerfile and the systemd units say fits together, and every `CROAK_*` variable in them is one that
//! the program it is given to names in its `--help`.
#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::collections::BTreeSet;

use serde_norway::{Mapping, Value};
use tests::programs::{Program, workspace};

const PROGRAMS: [Program; 4] = [Program::Gateway, Program::Worker, Program::Web, Program::Croak];

#[test]
fn every_variable_of_the_compose_file_is_one_that_its_program_names() {
    let compose = compose();
    let mut seen = 0;
    for (name, service) in services(&compose) {
        let Some(program) = program_of(service) else { continue };
        let help = help_of(program);
        for variable in keys(service.get("environment").unwrap()) {
            assert!(help.contains(&variable), "{name}: `{}` has no {variable}", program.name());
            seen += 1;
        }
    }
    assert!(seen >= 15, "only {seen} variables were found: the compose file was not understood");
}

#[test]
fn services_and_volumes_that_the_compose_file_refers_to_are_there() {
    let compose = compose();
    let names: BTreeSet<&str> = services(&compose).map(|(name, _)| name).collect();
    for wanted in ["gateway", "worker", "web", "redis", "postgres"] {
        assert!(names.contains(wanted), "the service {wanted} is missing");
    }
    let volumes = keys(&compose["volumes"]);
    for (name, service) in services(&compose) {
        for other in service.get("depends_on").map(keys).unwrap_or_default() {
            assert!(names.contains(other.as_str()), "{name} depends on {other}, which is not there");
        }
        for volume in service.get("volumes").and_then(Value::as_sequence).into_iter().flatten() {
            let (volume, _) = volume.as_str().unwrap().split_once(':').unwrap();
            assert!(volumes.iter().any(|known| known == volume), "{name}: the volume {volume} is not declared");
        }
        let runs_on = service.get("profiles").is_none() && name != "migrate";
        assert_eq!(service.contains_key("healthcheck"), runs_on, "{name}: what keeps running has a health check");
        if program_of(service).is_some() {
            assert_eq!(service["read_only"], Value::Bool(true), "{name}: the root file system is read-only");
        }
    }
}

#[test]
fn every_secret_that_the_compose_file_asks_for_is_made_by_new_env() {
    let made = std::process::Command::new(workspace().join("deploy/new-env")).output().unwrap();
    let made = String::from_utf8(made.stdout).unwrap();
    let made: BTreeSet<&str> = made.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name).collect();
    let compose = read("docker-compose.yml");
    let text: String =
        compose.lines().filter(|line| !line.trim_start().starts_with('#')).collect::<Vec<_>>().join("\n");
    let asked: BTreeSet<&str> = text.split("${").skip(1).map(|rest| rest.split(['}', ':']).next().unwrap()).collect();
    for name in &asked {
        let has_default = text.contains(&format!("${{{name}:-"));
        assert!(made.contains(name) || has_default, "{name} is asked for and not made");
    }
    for name in made {
        assert!(asked.contains(name), "{name} is made and not asked for");
    }
}

#[test]
fn the_image_is_built_in_stages_and_runs_as_nobody_in_particular() {
    let instructions = dockerfile();
    let stages: Vec<&str> =
        instructions.iter().filter(|(word, _)| word == "FROM").map(|(_, rest)| rest.as_str()).collect();
    assert!(stages.len() >= 2, "one stage to build, one to run: {stages:?}");
    let last = instructions.iter().rposition(|(word, _)| word == "FROM").unwrap();
    let find = |word: &'static str| {
        let of_last_stage = instructions[last..].iter();
        of_last_stage.filter(move |(found, _)| found == word).map(|(_, rest)| rest.as_str())
    };
    let user = find("USER").next_back().expect("a user is set");
    assert!(!user.starts_with("root") && !user.starts_with('0'), "the user is {user}");
    for copied in find("COPY") {
        let stage = copied
            .strip_prefix("--from=")
            .and_then(|rest| rest.split(' ').next())
            .expect("only what was built is in the image");
        assert!(stages.iter().any(|from| from.ends_with(&format!(" AS {stage}"))), "no stage is called {stage}");
    }
    let build: String = instructions[..last].iter().map(|(_, rest)| rest.as_str()).collect();
    for program in PROGRAMS {
        assert!(
            build.contains(&format!("target/release/{}", program.name())),
            "{} is not in the image",
            program.name()
        );
    }
    let named: Vec<String> = PROGRAMS.map(help_of).into_iter().flatten().collect();
    for set in find("ENV").filter(|set| set.starts_with("CROAK_")) {
        let name = set.split('=').next().unwrap();
        assert!(named.iter().any(|known| known == name), "no program names {name}");
    }
}

#[test]
fn every_variable_of_a_unit_is_one_that_its_program_names() {
    let folder = workspace().join("deploy/systemd");
    let mut units = 0;
    for entry in folder.read_dir().unwrap() {
        let unit = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        let started = unit.lines().find_map(|line| line.strip_prefix("ExecStart=/usr/local/bin/")).unwrap();
        let program = PROGRAMS.into_iter().find(|program| program.name() == started).unwrap();
        let help = help_of(program);
        // What is set, and what the comment over EnvironmentFile says is to be set.
        let words = unit.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        for variable in words.filter(|word| word.starts_with("CROAK_")) {
            assert!(help.iter().any(|known| known == variable), "`{started}` has no {variable}");
        }
        units += 1;
    }
    assert_eq!(units, 3);
}

#[test]
fn a_release_of_the_image_is_built_by_the_toolchain_that_the_workspace_asks_for() {
    let wanted =
        read("Cargo.toml").lines().find_map(|line| line.strip_prefix("rust-version = ").map(str::to_owned)).unwrap();
    let wanted: f32 = wanted.trim_matches('"').parse().unwrap();
    let image = dockerfile().into_iter().find_map(|(_, rest)| rest.strip_prefix("rust:").map(str::to_owned)).unwrap();
    let used: f32 = image.split('-').next().unwrap().parse().unwrap();
    assert!(used >= wanted, "the image builds with {used}, the workspace wants {wanted}");
}

fn read(name: &str) -> String {
    std::fs::read_to_string(workspace().join(name)).unwrap()
}

/// The compose file with its anchors and merges resolved.
fn compose() -> Value {
    let mut compose: Value = serde_norway::from_str(&read("docker-compose.yml")).unwrap();
    compose.apply_merge().unwrap();
    compose
}

fn services(compose: &Value) -> impl Iterator<Item = (&str, &Mapping)> {
    compose["services"]
        .as_mapping()
        .unwrap()
        .iter()
        .map(|(name, service)| (name.as_str().unwrap(), service.as_mapping().unwrap()))
}

/// Which of our programs a service runs, if it is one of ours.
fn program_of(service: &Mapping) -> Option<Program> {
    if service.get("image")? != "croak" {
        return None;
    }
    let command = service.get("entrypoint").or_else(|| service.get("command"))?;
    PROGRAMS.into_iter().find(|program| command[0] == program.name())
}

/// The keys of a map, or the items of a list.
fn keys(value: &Value) -> Vec<String> {
    let texts: Vec<&Value> = match value {
        Value::Mapping(map) => map.keys().collect(),
        Value::Sequence(list) => list.iter().collect(),
        other => panic!("{other:?} is neither a map nor a list"),
    };
    texts.into_iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

/// The instructions of the Dockerfile: the word and what follows, continued lines joined.
fn dockerfile() -> Vec<(String, String)> {
    let text = read("deploy/Dockerfile").replace("\\\n", " ");
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let known = ["FROM", "WORKDIR", "COPY", "RUN", "USER", "ENV", "VOLUME", "EXPOSE", "CMD"];
    lines
        .map(|line| {
            let (word, rest) = line.split_once(' ').unwrap();
            assert!(known.contains(&word), "{word} is no instruction that this image uses");
            (word.to_owned(), rest.trim().to_owned())
        })
        .collect()
}

/// The variables that a program names in its `--help`, with those of its subcommands.
fn help_of(program: Program) -> Vec<String> {
    let mut calls = vec![vec!["--help"]];
    if program == Program::Croak {
        calls.extend([vec!["migrate", "--help"], vec!["user", "create", "--help"], vec!["send", "--help"]]);
        calls.push(vec!["journal", "ship", "--help"]);
    }
    let mut named = Vec::new();
    for arguments in calls {
        let help = program.command().args(&arguments).output().unwrap();
        assert!(
            help.status.success(),
            "{} {arguments:?} fails: {}",
            program.name(),
            String::from_utf8_lossy(&help.stderr)
        );
        let help = String::from_utf8(help.stdout).unwrap();
        named.extend(help.split("[env: ").skip(1).map(|rest| rest.split(['=', ']']).next().unwrap().to_owned()));
    }
    named
}
