//! What a process costs, read from `/proc`; of this one by the names that every Prometheus knows.
//!
//! These metrics do not go through the recorder: its counters are whole numbers, and a second of CPU is too coarse.

use std::fmt::Write as _;
use std::fs;

/// What one process uses.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Usage {
    /// The process that started it.
    pub parent: u32,
    /// CPU time spent, in user and in kernel mode.
    pub cpu_seconds: f64,
    /// The same of its children that have ended.
    pub ended_children_cpu_seconds: f64,
    /// Memory in use.
    pub resident_bytes: u64,
    /// When it started, in seconds after the machine.
    pub started_seconds: f64,
}

impl Usage {
    /// Of this process; `None` where the system has no `/proc`.
    pub fn of_self() -> Option<Usage> {
        Usage::read("self")
    }

    /// Of another process of this machine, if it runs.
    pub fn of(pid: u32) -> Option<Usage> {
        Usage::read(&pid.to_string())
    }

    fn read(process: &str) -> Option<Usage> {
        let line = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
        Usage::parse(&line, rustix::param::clock_ticks_per_second() as f64, rustix::param::page_size() as u64)
    }

    /// Reads the one line; the fields are counted from behind the name, which may have spaces and brackets of its own.
    fn parse(line: &str, ticks_per_second: f64, page_bytes: u64) -> Option<Usage> {
        /// Places behind the name of ppid, utime, stime, cutime, cstime, starttime and rss: fields 4, 14 to 17, 22 and 24 of proc(5).
        const PLACES: [usize; 7] = [1, 11, 12, 13, 14, 19, 21];
        let fields: Vec<&str> = line.rsplit_once(')')?.1.split_ascii_whitespace().collect();
        let fields = PLACES.map(|place| fields.get(place).and_then(|field| field.parse::<u64>().ok()));
        let [Some(parent), Some(user), Some(system), Some(child_user), Some(child_system), Some(started), Some(pages)] =
            fields
        else {
            return None;
        };
        let seconds = |ticks: u64| ticks as f64 / ticks_per_second;
        Some(Usage {
            parent: u32::try_from(parent).ok()?,
            cpu_seconds: seconds(user + system),
            ended_children_cpu_seconds: seconds(child_user + child_system),
            resident_bytes: pages * page_bytes,
            started_seconds: seconds(started),
        })
    }
}

/// CPU time that the machine has spent on whatever it ran; `None` where the system has no `/proc`.
pub fn machine_cpu_seconds() -> Option<f64> {
    /// Of the first line of `/proc/stat`: user, nice, system, then idle and waiting for disks, then interrupts and what other machines took.
    const BUSY: [usize; 6] = [1, 2, 3, 6, 7, 8];
    let stat = fs::read_to_string("/proc/stat").ok()?;
    let fields: Vec<&str> = stat.lines().next()?.split_ascii_whitespace().collect();
    let ticks: Option<u64> = BUSY.iter().map(|place| fields.get(*place)?.parse::<u64>().ok()).sum();
    Some(ticks? as f64 / rustix::param::clock_ticks_per_second() as f64)
}

/// One figure of this process.
struct Figure {
    name: &'static str,
    kind: &'static str,
    tells: &'static str,
    value: f64,
}

/// This process's own part of `/metrics`; nothing where the system has no `/proc`.
pub(crate) fn metrics() -> String {
    let mut page = String::new();
    for Figure { name, kind, tells, value } in figures().unwrap_or_default() {
        let _ = writeln!(page, "# HELP {name} {tells}\n# TYPE {name} {kind}\n{name} {value}\n");
    }
    page
}

fn figures() -> Option<Vec<Figure>> {
    let usage = Usage::of_self()?;
    let gauge = |name, tells, value| Figure { name, kind: "gauge", tells, value };
    let mut figures = vec![
        Figure {
            name: "process_cpu_seconds_total",
            kind: "counter",
            tells: "CPU time spent, in user and in kernel mode.",
            value: usage.cpu_seconds,
        },
        gauge("process_resident_memory_bytes", "Memory in use.", usage.resident_bytes as f64),
    ];
    if let Some(booted_at_s) = booted_at_s() {
        let tells = "When the process started, in seconds since 1970.";
        figures.push(gauge("process_start_time_seconds", tells, booted_at_s + usage.started_seconds));
    }
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        // The one by which the folder is read is not the service's.
        let count = open.count().saturating_sub(1) as f64;
        figures.push(gauge("process_open_fds", "Files and sockets that are open.", count));
    }
    Some(figures)
}

/// When the machine was booted, in seconds since 1970.
fn booted_at_s() -> Option<f64> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_shifts_nothing() {
        let line =
            "42 (a) b) c) S 7 42 42 0 -1 4194560 100 0 0 0 250 50 9 1 20 0 4 0 7777 1000000 333 18446744073709551615 1";
        let usage = Usage {
            parent: 7,
            cpu_seconds: 3.0,
            ended_children_cpu_seconds: 0.1,
            resident_bytes: 333 * 4_096,
            started_seconds: 77.77,
        };
        assert_eq!(Usage::parse(line, 100.0, 4_096), Some(usage));
        assert_eq!(Usage::parse("42 (cut", 100.0, 4_096), None);
    }

    #[test]
    fn the_process_tells_its_cpu_memory_start_and_files() {
        let page = metrics();
        let value = |name: &str| -> f64 {
            let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            line.unwrap_or_else(|| panic!("{name} is not in {page}")).parse().expect("a number")
        };
        assert!(value("process_cpu_seconds_total") >= 0.0);
        assert!(value("process_resident_memory_bytes") > 1e6);
        assert!(value("process_start_time_seconds") > 1.7e9);
        assert!(value("process_open_fds") >= 3.0);
    }

    #[test]
    fn other_processes_are_told_of_while_they_run() {
        assert!(Usage::of(std::process::id()).is_some_and(|usage| usage.resident_bytes > 0));
        assert_eq!(Usage::of(u32::MAX), None);
        let own = Usage::of_self().map(|usage| usage.cpu_seconds);
        assert!(machine_cpu_seconds() > own, "the machine has spent more than one process of it");
    }
}
