//! axe-core, the rules of accessibility that browsers' own tools use (Deque Systems, MPL-2.0): fetched as it was published.

use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest as _, Sha512};

/// The release, as the npm registry has it.
const ADDRESS: &str = "https://registry.npmjs.org/axe-core/-/axe-core-4.14.1.tgz";
/// The SHA-512 of the package, as the registry says it.
const SHA512: &str = "FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ==";
/// The script in it.
const SCRIPT: &str = "package/axe.min.js";

/// Runs after the script: what is serious or critical, as texts.
const RUN: &str = include_str!("browser/axe.js");

/// The script that finds what is wrong with a page, to be run in it; the last argument takes the answer.
///
/// The package is kept in `folder`, where the next run finds it.
pub fn script(folder: &Path) -> String {
    let package = folder.join("axe-core.tgz");
    let is_whole = std::fs::read(&package).is_ok_and(|bytes| is_expected(&bytes));
    if !is_whole {
        let bytes = output(Command::new("curl").args(["-fsSL", "--retry", "3", ADDRESS]));
        assert!(is_expected(&bytes), "{ADDRESS} is not what it was");
        std::fs::write(&package, bytes).unwrap_or_else(|error| panic!("{}: {error}", package.display()));
    }
    let script = output(Command::new("tar").arg("-xzOf").arg(&package).arg(SCRIPT));
    format!("{}\n{RUN}", String::from_utf8(script).expect("a script is text"))
}

fn is_expected(package: &[u8]) -> bool {
    BASE64_STANDARD.encode(Sha512::digest(package)) == SHA512
}

fn output(command: &mut Command) -> Vec<u8> {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}
