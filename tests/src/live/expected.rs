//! What a program raises, and so what is to be found.

use std::path::Path;

use super::client::{Client, Home, Language};

/// What a client was told to report.
#[derive(Clone, Debug)]
pub struct Expected {
    /// The error's class.
    pub class: String,
    /// Its message, which nobody else has sent.
    pub message: String,
    /// A message that is sent beside it, without an error.
    pub note: String,
    /// The release.
    pub release: String,
    /// The environment.
    pub environment: String,
    /// The function that raises it.
    pub function: &'static str,
    /// The end of the name of its file.
    pub file: &'static str,
    /// The line that raises it, where people wrote the file that runs.
    pub line: Option<usize>,
}

/// The class of the error that caused it.
pub(super) const CAUSE: &str = "BankUnreachable";

/// The breadcrumb.
pub(super) const BREADCRUMB: &str = "basket opened";

/// The user's id.
pub(super) const USER: &str = "ada-7";

/// The tag's value.
pub(super) const TAG: &str = "north-7";

/// What stands beside the line that raises it.
const MARK: &str = "it is raised here";

impl Expected {
    pub(super) fn of(client: &Client, home: &Home) -> Expected {
        let marker = uuid::Uuid::new_v4().simple().to_string();
        let (file, source) = match client.language() {
            Language::Python => ("shop.py", Some("python/shop.py")),
            Language::Node => ("shop.js", Some("node/shop.js")),
            Language::Ruby => ("shop.rb", Some("ruby/shop.rb")),
            Language::Browser if client.uploads_source_map => ("shop.js", Some("node/shop.js")),
            // All of it is in one file.
            Language::Browser => ("page.js", None),
        };
        Expected {
            class: client.class.clone(),
            message: format!("card {marker} was declined"),
            note: format!("shelf {marker} is nearly empty"),
            release: "shop@2.7.1".to_owned(),
            environment: "staging".to_owned(),
            function: "charge",
            file,
            line: source.map(|source| line_of_mark(&home.folder().join(source))),
        }
    }
}

fn line_of_mark(file: &Path) -> usize {
    let text = std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let line = text.lines().position(|line| line.contains(MARK));
    line.unwrap_or_else(|| panic!("{}: no line says `{MARK}`", file.display())) + 1
}
