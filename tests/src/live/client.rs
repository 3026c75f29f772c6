//! Which clients there are, and where they are installed.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::programs::workspace;

/// The package, and the program, that uploads source maps.
pub(super) const SENTRY_CLI: &str = "sentry-cli";

/// A client: a library of one version, and the program that uses it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Client {
    /// Its name, which its requirements have as well.
    pub name: String,
    /// The dependency of `package.json` that it is, where that has another name.
    package: Option<String>,
    /// Its program, below `tests/live`.
    pub program: PathBuf,
    /// Whether its program is minified, and its source map uploaded by sentry-cli.
    #[serde(default)]
    pub uploads_source_map: bool,
    /// The class under which it reports `PaymentDeclined`.
    #[serde(default = "usual_class")]
    pub class: String,
    /// What it cannot tell.
    #[serde(default)]
    pub lacks: Vec<Part>,
}

/// A part of what a program tells.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// The line that raised it, in the file as people wrote it.
    Line,
    /// The function that raised it.
    Function,
    /// The error that caused it.
    Cause,
    /// What happened before.
    Breadcrumb,
    /// Who met it.
    User,
    /// A tag, or another name with a value.
    Tag,
    /// A message without an error.
    Message,
    /// The release.
    Release,
}

/// What runs a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Language {
    Python,
    Node,
    Browser,
    Ruby,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    client: Vec<Client>,
}

fn usual_class() -> String {
    "PaymentDeclined".to_owned()
}

impl Client {
    /// All of them, as `tests/live/clients.toml` lists them.
    pub fn all() -> Vec<Client> {
        let file = workspace().join("tests/live/clients.toml");
        let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let list: List = toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        list.client
    }

    /// Whether it cannot tell this.
    pub fn lacks(&self, part: Part) -> bool {
        self.lacks.contains(&part)
    }

    /// The package of npm whose version is told.
    pub(super) fn versioned_package(&self) -> &str {
        if self.uploads_source_map { SENTRY_CLI } else { self.package() }
    }

    /// What `package.json` calls it.
    pub(super) fn package(&self) -> &str {
        self.package.as_deref().unwrap_or(&self.name)
    }

    pub(super) fn language(&self) -> Language {
        let folder = self.program.components().next().expect("a program lies in a folder");
        match folder.as_os_str().to_str() {
            Some("python") => Language::Python,
            Some("node") => Language::Node,
            Some("browser") => Language::Browser,
            Some("ruby") => Language::Ruby,
            _ => panic!("{}: a program lies in python, node, browser or ruby", self.program.display()),
        }
    }
}

/// The folder in which `script/live` has installed them: a copy of `tests/live`, with everything that it needs.
#[derive(Clone, Debug)]
pub struct Home(PathBuf);

impl Home {
    /// The one that `CROAK_LIVE_HOME` names.
    pub fn from_environment() -> Home {
        let folder = std::env::var_os("CROAK_LIVE_HOME").expect("CROAK_LIVE_HOME is set by script/live");
        Home(PathBuf::from(folder))
    }

    /// Itself.
    pub fn folder(&self) -> &Path {
        &self.0
    }

    /// The Python that has a client's requirements.
    pub(super) fn python(&self, client: &Client) -> PathBuf {
        self.0.join("python").join(&client.name).join("bin/python")
    }

    /// The version of a package of npm.
    pub(super) fn npm_version(&self, package: &str) -> String {
        let file = self.0.join("node_modules").join(package).join("package.json");
        let text = std::fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let manifest: serde_json::Value = serde_json::from_slice(&text).expect("a manifest is JSON");
        manifest["version"].as_str().expect("a package has a version").to_owned()
    }

    /// A program of npm.
    pub(super) fn npm_program(&self, name: &str) -> PathBuf {
        self.0.join("node_modules/.bin").join(name)
    }
}
