//! The lists of `deny.toml` hold for everything in `Cargo.lock`: licences, crates that must not come in, and where crates come from.
//!
//! `cargo deny` reads the same page and knows more (advisories, yanked versions); it is not on every machine, this is.
#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use cargo_metadata::{CargoOpt, Metadata, MetadataCommand, Package};
use serde_json::Value;
use spdx::{Expression, ParseMode};
use tests::programs::workspace;

#[test]
fn every_licence_is_one_of_the_list() {
    let deny = page("deny.toml");
    let allowed = texts(&deny["licenses"]["allow"]);
    let not_allowed: Vec<String> = linked_for_this_machine()
        .packages
        .iter()
        .filter(|package| package.source.is_some())
        .filter(|package| {
            let exceptions = deny["licenses"]["exceptions"].as_array().unwrap();
            let exception = exceptions.iter().find(|exception| exception["crate"] == package.name.as_str());
            let allowed = exception.map_or_else(|| allowed.clone(), |exception| texts(&exception["allow"]));
            !is_allowed(package, &allowed)
        })
        .map(|package| format!("{} {}: {:?}", package.name, package.version, package.license))
        .collect();
    assert!(not_allowed.is_empty(), "licences that deny.toml does not allow: {not_allowed:#?}");
}

#[test]
fn no_banned_crate_comes_in_and_all_come_from_the_registry() {
    let (deny, lock) = (page("deny.toml"), page("Cargo.lock"));
    let banned: Vec<&str> =
        deny["bans"]["deny"].as_array().unwrap().iter().map(|ban| ban["crate"].as_str().unwrap()).collect();
    let registries = texts(&deny["sources"]["allow-registry"]);
    let packages = lock["package"].as_array().unwrap();
    assert!(packages.len() > 100, "Cargo.lock was not understood: {} packages", packages.len());
    for package in packages {
        let name = package["name"].as_str().unwrap();
        assert!(!banned.contains(&name), "{name} is banned by deny.toml");
        if let Some(source) = package["source"].as_str() {
            let registry = source.strip_prefix("registry+").unwrap_or(source);
            assert!(registries.iter().any(|allowed| allowed == registry), "{name} comes from {source}");
        }
    }
}

/// A page in TOML, as JSON.
fn page(name: &str) -> Value {
    toml::from_str(&std::fs::read_to_string(workspace().join(name)).unwrap()).unwrap()
}

fn texts(list: &Value) -> Vec<String> {
    list.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

/// What is compiled on this machine: crates for other systems were never downloaded, so their licences cannot be read here.
fn linked_for_this_machine() -> Metadata {
    let rustc = std::process::Command::new("rustc").arg("-vV").output().unwrap();
    let told = String::from_utf8(rustc.stdout).unwrap();
    let host = told.lines().find_map(|line| line.strip_prefix("host: ")).unwrap().to_owned();
    MetadataCommand::new()
        .manifest_path(workspace().join("Cargo.toml"))
        .features(CargoOpt::AllFeatures)
        .other_options(["--locked".to_owned(), "--filter-platform".to_owned(), host])
        .exec()
        .unwrap()
}

fn is_allowed(package: &Package, allowed: &[String]) -> bool {
    let Some(licence) = &package.license else {
        return false;
    };
    let expression = Expression::parse_mode(licence, ParseMode::LAX).unwrap();
    expression.evaluate(|asked| {
        // A licence with an exception to it is another licence.
        asked.addition.is_none() && asked.license.id().is_some_and(|id| allowed.iter().any(|name| name == id.name))
    })
}
