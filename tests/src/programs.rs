//! Where the programs under test are.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// One of the project's programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// `ingest-gateway`.
    Gateway,
    /// `batch-worker`.
    Worker,
    /// `web`.
    Web,
    /// `croak`, the operators' command.
    Croak,
}

impl Program {
    /// The name of its file.
    pub fn name(self) -> &'static str {
        match self {
            Program::Gateway => "ingest-gateway",
            Program::Worker => "batch-worker",
            Program::Web => "web",
            Program::Croak => "croak",
        }
    }

    /// Its file.
    pub fn file(self) -> PathBuf {
        folder().join(self.name())
    }

    /// A command that starts it with a clean environment.
    pub fn command(self) -> Command {
        let mut command = Command::new(self.file());
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        if let Some(backtrace) = std::env::var_os("RUST_BACKTRACE") {
            command.env("RUST_BACKTRACE", backtrace);
        }
        command
    }
}

/// The workspace's root.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the workspace")
}

/// Whether this is a build without optimisation: what takes time is smaller then.
pub fn is_debug() -> bool {
    cfg!(debug_assertions)
}

/// The folder of the built programs: `CROAK_TEST_BINS`, else beside this test, where cargo builds them (or finds them built) first.
fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        if let Some(bins) = std::env::var_os("CROAK_TEST_BINS") {
            return PathBuf::from(bins);
        }
        let test = std::env::current_exe().expect("a test knows its own file");
        let profile = test
            .ancestors()
            .find(|folder| !folder.ends_with("deps") && folder.is_dir())
            .expect("a test lies in target/<profile>/deps");
        let target = profile.parent().expect("a profile lies in the target folder");
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.current_dir(workspace()).args([
            "build",
            "--quiet",
            "-p",
            "ingest-gateway",
            "-p",
            "batch-worker",
            "-p",
            "web",
            "-p",
            "cli",
        ]);
        cargo.arg("--target-dir").arg(target);
        if is_debug() {
            // The points at which a failure test has them killed; a release build never has them.
            cargo.args(["--features", "ingest-gateway/failpoints,batch-worker/failpoints"]);
        } else {
            cargo.arg("--release");
        }
        assert!(cargo.status().expect("cargo starts").success(), "the programs under test do not build");
        profile.to_owned()
    })
}
