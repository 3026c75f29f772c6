//! A process with a disk that is slow or broken, or with a clock of its own.
//!
//! A small library in C is loaded before everything else into that process; what it does is switched while the process runs.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// What the library is made of.
const SOURCE: &str = include_str!("shim/shim.c");

/// Where in a switch's file each number stands.
const CLOCK_OFFSET_US: u64 = 0;
const SYNC_DELAY_US: u64 = 8;
const SYNC_FAILS: u64 = 16;
const SWITCH_BYTES: u64 = 24;

/// The library, compiled.
#[derive(Debug)]
pub struct Shim {
    library: PathBuf,
}

impl Shim {
    /// Compiles the library into a folder; the error says what is missing.
    pub fn compile(folder: &Path) -> Result<Shim, String> {
        let (source, library) = (folder.join("shim.c"), folder.join("shim.so"));
        std::fs::write(&source, SOURCE).map_err(|error| format!("{}: {error}", source.display()))?;
        let mut compiler = Command::new("cc");
        compiler.args(["-O2", "-shared", "-fPIC", "-o"]).arg(&library).arg(&source).arg("-ldl");
        let output = compiler.output().map_err(|error| format!("no C compiler (cc): {error}"))?;
        if !output.status.success() {
            return Err(format!("cc does not compile it: {}", String::from_utf8_lossy(&output.stderr)));
        }
        Ok(Shim { library })
    }

    /// A switch for one process, everything off; its file lies in the folder.
    pub fn switch(&self, folder: &Path, name: &str) -> Switch {
        let path = folder.join(format!("{name}.switch"));
        let file = File::options().read(true).write(true).create(true).truncate(true).open(&path);
        let file = file.expect("a switch can be made");
        file.set_len(SWITCH_BYTES).expect("a switch can be made");
        Switch { path, file, library: self.library.clone() }
    }
}

/// What is switched for one process.
#[derive(Debug)]
pub struct Switch {
    path: PathBuf,
    file: File,
    library: PathBuf,
}

impl Switch {
    /// What the process has to find in its environment.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        vec![("LD_PRELOAD", self.library.display().to_string()), ("CROAK_SHIM", self.path.display().to_string())]
    }

    /// Each fdatasync takes this much longer.
    pub fn slow_disk(&self, by: Duration) {
        self.set(SYNC_DELAY_US, i64::try_from(by.as_micros()).expect("a delay is short"));
    }

    /// From now on fdatasync fails, and what it was to cover is lost; or no longer.
    pub fn broken_disk(&self, is_broken: bool) {
        self.set(SYNC_FAILS, i64::from(is_broken));
    }

    /// The process's clock shows a time that has passed by so much.
    pub fn clock_back(&self, by: Duration) {
        self.set(CLOCK_OFFSET_US, -i64::try_from(by.as_micros()).expect("less than an age"));
    }

    fn set(&self, place: u64, value: i64) {
        self.file.write_all_at(&value.to_ne_bytes(), place).expect("a switch can be written");
    }
}
