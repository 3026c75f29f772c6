//! Redis and PostgreSQL as processes of this machine.

use std::fs;

use service::process::Usage;

use super::services::Use;

/// A server beneath, looked at by its process.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    pid: u32,
}

impl Peer {
    /// The Redis of this process id; `None` where it runs on another machine.
    pub(crate) fn redis(pid: u32) -> Option<Peer> {
        (command(pid)?.starts_with("redis")).then_some(Peer { name: "redis", pid })
    }

    /// The PostgreSQL that started the process by which we were served.
    pub(crate) fn postgres(backend_pid: u32) -> Option<Peer> {
        let is_here = command(backend_pid)?.starts_with("postgres");
        let pid = Usage::of(backend_pid).filter(|_| is_here)?.parent;
        Some(Peer { name: "postgres", pid })
    }

    /// What it uses with all its children. Their memory is not added up: most of it is the same, shared.
    pub(crate) fn uses(&self) -> Option<Use> {
        let own = Usage::of(self.pid)?;
        let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", self.pid)).unwrap_or_default();
        let children = children.split_ascii_whitespace().filter_map(|pid| Usage::of(pid.parse().ok()?));
        let (cpu_s, resident_bytes) = children.fold((0.0, own.resident_bytes), |(cpu_s, resident_bytes), child| {
            (cpu_s + child.cpu_seconds, resident_bytes.max(child.resident_bytes))
        });
        Some(Use { cpu_s: own.cpu_seconds + own.ended_children_cpu_seconds + cpu_s, resident_bytes })
    }
}

/// The name of a process.
fn command(pid: u32) -> Option<String> {
    fs::read_to_string(format!("/proc/{pid}/comm")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_count_as_their_parents() {
        let started = std::process::Command::new("sleep").arg("60").spawn();
        let mut child = started.expect("sleep starts");
        let uses = Peer { name: "tests", pid: std::process::id() }.uses();
        child.kill().expect("sleep can be ended");
        child.wait().expect("sleep ends");
        assert!(uses.is_some_and(|uses| uses.resident_bytes > 0));
    }

    #[test]
    fn another_programs_process_is_not_taken_for_the_servers() {
        assert!(Peer::redis(std::process::id()).is_none());
        assert!(Peer::postgres(std::process::id()).is_none());
        assert!(Peer::redis(u32::MAX).is_none());
    }
}
