//! Kills what a test started when the test itself is killed: destructors do not run then, and servers would stay behind.

use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

/// A shell that learns the process ids on its standard input. The end of that input is the end of this process: whatever still
/// runs then is killed.
static SHELL: Mutex<Option<Child>> = Mutex::new(None);

/// Have `pid` killed when this process is gone.
pub(crate) fn watch(pid: u32) {
    tell(&format!("+{pid}"));
}

/// `pid` has ended in order: its number may belong to somebody else from now on.
pub(crate) fn forget(pid: u32) {
    tell(&format!("-{pid}"));
}

fn tell(line: &str) {
    let mut shell = SHELL.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let shell = shell.get_or_insert_with(|| {
        let script = r#"
            trap '' INT TERM HUP
            pids=" "
            while read -r line; do
                pid=${line#?}
                case $line in
                    +*) pids="$pids$pid " ;;
                    -*) pids="${pids%% $pid *} ${pids#* $pid }" ;;
                esac
            done
            # Each leads a group of its own, in which its children are.
            for pid in $pids; do kill -9 -- "-$pid" 2>/dev/null; done"#;
        Command::new("bash")
            .args(["-c", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("bash starts")
    });
    let stdin = shell.stdin.as_mut().expect("its standard input is a pipe");
    // Without the watchdog the test is still right, only less tidy when it is killed.
    let _ = writeln!(stdin, "{line}");
}
