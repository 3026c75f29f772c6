//! On what it was measured.

use std::collections::BTreeMap;
use std::fs;

use serde::Serialize;

/// The machine, as far as it tells.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Machine {
    pub(crate) cpu: String,
    pub(crate) cores: usize,
    pub(crate) memory_mib: u64,
    pub(crate) kernel: String,
    pub(crate) system: String,
    /// File system and device below the folder in which it was measured.
    pub(crate) disk: String,
    /// Versions of what took part, by name.
    pub(crate) versions: BTreeMap<&'static str, String>,
}

impl Machine {
    /// This machine.
    pub(crate) fn here() -> Machine {
        let read = |file: &str| fs::read_to_string(file).unwrap_or_default();
        let field = |text: &str, name: &str| {
            let value = text
                .lines()
                .find_map(|line| line.strip_prefix(name)?.trim_start().strip_prefix([':', '=']).map(str::trim));
            value.unwrap_or_default().trim_matches('"').to_owned()
        };
        let memory_kib: u64 = field(&read("/proc/meminfo"), "MemTotal").trim_end_matches(" kB").parse().unwrap_or(0);
        let folder = std::env::current_dir().ok();
        Machine {
            cpu: field(&read("/proc/cpuinfo"), "model name"),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_mib: memory_kib / 1024,
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            system: field(&read("/etc/os-release"), "PRETTY_NAME"),
            disk: folder.and_then(|folder| disk(&read("/proc/self/mounts"), folder.to_str()?)).unwrap_or_default(),
            versions: BTreeMap::from([("Croak", env!("CARGO_PKG_VERSION").to_owned())]),
        }
    }

    /// What a report tells of it, by name.
    pub(crate) fn facts(&self) -> Vec<(String, String)> {
        let Machine { cpu, cores, memory_mib, kernel, system, disk, versions } = self;
        let facts = [
            ("CPU", format!("{cpu}, {cores} cores")),
            ("Memory", format!("{memory_mib} MiB")),
            ("System", format!("{system}, Linux {kernel}")),
            ("Disk", disk.clone()),
        ];
        let facts = facts.into_iter().chain(versions.iter().map(|(name, version)| (*name, version.clone())));
        facts.map(|(name, fact)| (name.to_owned(), fact)).collect()
    }
}

/// File system and device of a folder: those of the longest mount point above it, the last of equal ones.
fn disk(mounts: &str, folder: &str) -> Option<String> {
    let mounted = mounts.lines().filter_map(|line| {
        let mut words = line.split(' ');
        Some((words.next()?, words.next()?, words.next()?))
    });
    let is_above = |point: &str| match point {
        "/" => true,
        _ => folder.strip_prefix(point).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
    };
    let (device, _, kind) = mounted.filter(|(_, point, _)| is_above(point)).max_by_key(|(_, point, _)| point.len())?;
    Some(format!("{kind} on {device}"))
}

/// The command line without what nobody else should know.
pub(crate) fn without_secrets(arguments: impl Iterator<Item = String>) -> String {
    /// Flags whose value is a secret or holds one.
    const SECRET: [&str; 6] = ["--key", "--token", "--password", "--control-token", "--database-url", "--redis-url"];
    let mut shown = Vec::new();
    let mut is_secret = false;
    for argument in arguments {
        let flag = argument.split_once('=').map_or(argument.as_str(), |(flag, _)| flag);
        if is_secret {
            shown.push("…".to_owned());
            is_secret = false;
        } else if SECRET.contains(&flag) {
            is_secret = flag == argument;
            shown.push(if is_secret { argument } else { format!("{flag}=…") });
        } else if let Some((scheme, rest)) = argument.split_once("://")
            && let Some((_, host)) = rest.rsplit_once('@')
        {
            shown.push(format!("{scheme}://…@{host}"));
        } else {
            shown.push(argument);
        }
    }
    if let Some(program) = shown.first_mut() {
        *program = program.rsplit('/').next().unwrap_or_default().to_owned();
    }
    shown.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_tells_no_secrets() {
        let line = "/usr/bin/croak bench --rate 5 --key abc --token=def --web http://ada:word@127.0.0.1 --database-url postgres://x:y@h/d -v";
        let shown = without_secrets(line.split(' ').map(str::to_owned));
        assert_eq!(shown, "croak bench --rate 5 --key … --token=… --web http://…@127.0.0.1 --database-url … -v");
    }

    #[test]
    fn the_disk_is_that_of_the_nearest_mount_point() {
        let mounts = "overlay / overlay rw 0 0\n/dev/vdb1 /srv ext4 rw 0 0\n/dev/vdc1 /srv/data xfs rw 0 0\n";
        assert_eq!(disk(mounts, "/srv/data/croak").as_deref(), Some("xfs on /dev/vdc1"));
        assert_eq!(disk(mounts, "/srv/database").as_deref(), Some("ext4 on /dev/vdb1"));
        assert_eq!(disk(mounts, "/home").as_deref(), Some("overlay on overlay"));
    }

    #[test]
    fn the_machine_tells_its_cores_and_memory() {
        let machine = Machine::here();
        assert!(machine.cores > 0 && machine.memory_mib > 100 && !machine.kernel.is_empty(), "{machine:?}");
    }
}
