//! One running program, its log, and the ways to end it.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, kill_process, kill_process_group};

pub use rustix::process::Signal;

use crate::wait::POLL_EVERY;
use crate::wait_until;
use crate::watchdog;

/// Lines of a log that a failing test shows.
const LOG_LINES_SHOWN: usize = 60;

/// A child process. It is killed when dropped, with all its own children; when its test fails, the end of its log is printed.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    last_word: Signal,
}

impl Process {
    /// Starts `command`; both its outputs are added to the file `log`.
    pub fn start(name: &str, command: &mut Command, log: &Path) -> Process {
        let out = File::options().create(true).append(true).open(log).expect("the log can be written");
        let err = out.try_clone().expect("a second handle of the log");
        // A group of its own: Ctrl-C at the terminal reaches the test, which ends its children in order.
        let child = command
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        watchdog::watch(child.id());
        Process { name: name.to_owned(), child, log: log.to_owned(), last_word: Signal::KILL }
    }

    /// Ends it with `signal` instead of SIGKILL when dropped.
    #[must_use]
    pub fn dropped_with(mut self, signal: Signal) -> Process {
        self.last_word = signal;
        self
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("a child can be asked").is_none()
    }

    /// Sends a signal.
    pub fn signal(&mut self, signal: Signal) {
        if self.is_running() {
            let pid = Pid::from_child(&self.child);
            kill_process(pid, signal).unwrap_or_else(|error| panic!("{} does not take a signal: {error}", self.name));
        }
    }

    /// Ends it at once, as `kill -9` does, and waits until it is gone.
    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.child.wait().expect("a child can be waited for");
    }

    /// Waits for its end, however long that takes.
    pub async fn ended(&mut self) -> ExitStatus {
        loop {
            if let Some(status) = self.child.try_wait().expect("a child can be asked") {
                return status;
            }
            tokio::time::sleep(POLL_EVERY).await;
        }
    }

    /// Waits for its end; answers the exit status and how long that took.
    pub async fn exit_within(&mut self, limit: Duration) -> (ExitStatus, Duration) {
        let started_at = Instant::now();
        let what = format!("{} ends", self.name);
        let status = wait_until(&what, limit, async || self.child.try_wait().expect("a child can be asked")).await;
        (status, started_at.elapsed())
    }

    /// Memory in use now, in bytes.
    pub fn memory_bytes(&self) -> u64 {
        self.status_line_bytes("VmRSS:")
    }

    /// The most memory it ever had in use, in bytes.
    pub fn memory_peak_bytes(&self) -> u64 {
        self.status_line_bytes("VmHWM:")
    }

    /// What it has printed so far.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    fn status_line_bytes(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("0 kB");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("the kernel writes kilobytes") * 1024
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<_> = log.lines().collect();
            let shown = &lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..];
            eprintln!("--- the last lines of {} ({})\n{}\n---", self.name, self.log.display(), shown.join("\n"));
        }
        if self.is_running() {
            // With all that it started: a browser's driver leaves its browser behind otherwise.
            let _ = kill_process_group(Pid::from_child(&self.child), self.last_word);
            // One that was stopped hears nothing else.
            let _ = kill_process_group(Pid::from_child(&self.child), Signal::CONT);
        }
        let _ = self.child.wait();
        watchdog::forget(self.child.id());
    }
}
