//! The figures of a run, and how they are told.

use std::collections::BTreeMap;

use serde::Serialize;

use super::course::{Course, Point, Queue};
use super::limits::Found;
use super::report::{Marks, Plot, Section, Series, mebibytes, number};
use super::services::{Services, Use};
use super::tally::{Tally, Times, milliseconds};
use super::visible::Visible;
use super::visits::Visited;

/// Where the axis of percentiles is marked.
const QUANTILES: [(f64, &str); 8] = [
    (0.0, "0"),
    (0.5, "50 %"),
    (0.9, "90 %"),
    (0.99, "99 %"),
    (0.999, "99.9 %"),
    (0.9999, "99.99 %"),
    (0.99999, "99.999 %"),
    (0.999999, "99.9999 %"),
];

/// What was sent and what was answered.
#[derive(Debug, Serialize)]
pub(crate) struct Answers {
    pub(crate) target: String,
    pub(crate) body_bytes: usize,
    pub(crate) connections: u16,
    pub(crate) threads: u16,
    pub(crate) is_kept_alive: bool,
    /// Nothing where each connection sent as fast as it could.
    pub(crate) rate_per_s: Option<f64>,
    pub(crate) measured_s: f64,
    pub(crate) sent: u64,
    pub(crate) accepted: u64,
    pub(crate) refused: BTreeMap<u16, u64>,
    pub(crate) broken: u64,
    pub(crate) timed_out: u64,
    pub(crate) unreachable: u64,
    pub(crate) unsent: u64,
    pub(crate) accepted_per_s: f64,
    pub(crate) latency: Times,
}

/// What became of what was accepted.
#[derive(Debug, Serialize)]
pub(crate) struct EndToEnd {
    pub(crate) count_before: u64,
    pub(crate) count_after: u64,
    pub(crate) stored: u64,
    /// Whether every notice that was accepted was stored, once.
    pub(crate) is_exact: bool,
    /// From the last notice sent, or from when the workers were resumed, until all were stored.
    pub(crate) drained_s: Option<f64>,
    /// Of a backlog, notices stored a second.
    pub(crate) drained_per_s: Option<f64>,
    #[serde(flatten)]
    pub(crate) queue: Option<Queue>,
}

/// How near to what the machine bears it came.
#[derive(Debug, Serialize)]
pub(crate) struct Ratios {
    accepted_to_bare_http: f64,
    stored_to_bare_http: Option<f64>,
    stored_to_redis: Option<f64>,
}

/// What all services have in memory together.
#[derive(Debug, Serialize)]
pub(crate) struct Memory {
    pub(crate) before_mib: f64,
    pub(crate) at_most_mib: f64,
}

/// What a process used.
#[derive(Debug, Serialize)]
pub(crate) struct Process {
    pub(crate) name: String,
    pub(crate) cpu_s: f64,
    pub(crate) cores: f64,
    pub(crate) cpu_us_per_notice: f64,
    pub(crate) resident_before_bytes: Option<u64>,
    pub(crate) resident_max_bytes: Option<u64>,
}

impl Memory {
    /// What the services have at rest and had at most; `None` unless all of them tell.
    pub(crate) fn of(services: &Services, course: &Course) -> Option<Memory> {
        let all = |uses: &[Option<Use>]| -> Option<u64> {
            uses.iter().take(services.count()).map(|uses| uses.map(|uses| uses.resident_bytes)).sum()
        };
        let mebibytes = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        let at_most = course.points.iter().filter_map(|point| all(&point.uses)).max()?;
        Some(Memory { before_mib: mebibytes(all(&course.before.uses)?), at_most_mib: mebibytes(at_most) })
    }

    pub(crate) fn section(&self) -> Section {
        Section::new("Memory of all services").note(format!(
            "{} MiB before the load, {} MiB at most",
            number(self.before_mib),
            number(self.at_most_mib)
        ))
    }
}

/// What each process used in a span of time, and for each notice that went through: that was accepted, or of a backlog, in
/// which nothing is accepted any more, that was stored.
pub(crate) fn processes(services: &Services, course: &Course, span: (f64, f64)) -> Vec<Process> {
    let points = course.measured(span.0, span.1);
    let Some((first, last)) = points.first().zip(points.last()) else { return Vec::new() };
    let took_s = (last.at_s - first.at_s).max(f64::MIN_POSITIVE);
    let accepted = last.accepted - first.accepted;
    let stored = last.stored.zip(first.stored).map_or(0, |(last, first)| last.saturating_sub(first));
    let notices = if accepted > 0 { accepted } else { stored.max(1) } as f64;
    let of_each = services.names().enumerate().filter_map(|(place, name)| {
        let use_at = |uses: &[Option<Use>]| uses.get(place).copied().flatten();
        let cpu_s = use_at(&last.uses)?.cpu_s - use_at(&first.uses)?.cpu_s;
        Some(Process {
            name: name.to_owned(),
            cpu_s,
            cores: cpu_s / took_s,
            cpu_us_per_notice: cpu_s * 1e6 / notices,
            resident_before_bytes: use_at(&course.before.uses).map(|uses| uses.resident_bytes),
            resident_max_bytes: points.iter().filter_map(|point| Some(use_at(&point.uses)?.resident_bytes)).max(),
        })
    });
    let mut all: Vec<Process> = of_each.collect();
    let known: f64 = all.iter().map(|process| process.cpu_s).sum();
    if let Some((before, after)) = first.machine_cpu_s.zip(last.machine_cpu_s) {
        let cpu_s = (after - before - known).max(0.0);
        // What else ran, the kernel's own work among it: where this is much, the figures are not Croak's alone.
        all.push(Process {
            name: "all others".to_owned(),
            cpu_s,
            cores: cpu_s / took_s,
            cpu_us_per_notice: cpu_s * 1e6 / notices,
            resident_before_bytes: None,
            resident_max_bytes: None,
        });
    }
    all
}

impl Answers {
    pub(crate) fn section(&self, tally: &Tally, course: &Course) -> Section {
        let pace = match self.rate_per_s {
            Some(rate) => format!("{} a second, each at its time", number(rate)),
            None => "as fast as each connection gets its answers".to_owned(),
        };
        let keep_alive = if self.is_kept_alive { "kept open" } else { "one for each notice" };
        let refused: Vec<String> =
            self.refused.iter().map(|(status, count)| format!("{count} with {status}")).collect();
        let failed = tally.failed();
        let mut section = Section::new("Answers")
            .note(format!(
                "{} bytes each to {}, {pace}, over {} connections ({keep_alive}), {} s",
                self.body_bytes,
                self.target,
                self.connections,
                number(self.measured_s)
            ))
            .note(format!("{} accepted a second", number(self.accepted_per_s)));
        if failed + self.unsent > 0 {
            let refused = if refused.is_empty() { "0".to_owned() } else { refused.join(", ") };
            section = section.note(format!(
                "{} sent, {} accepted; refused: {refused}; broken off: {}; no answer in time: {}; no connection: {}; due and not sent: {}",
                self.sent, self.accepted, self.broken, self.timed_out, self.unreachable, self.unsent
            ));
        }
        section
            .table(&TIMES_HEAD, vec![times_row("answer", &self.latency)])
            .plot(rates(course))
            .plot(percentiles(tally))
    }
}

impl EndToEnd {
    pub(crate) fn section(&self, course: &Course) -> Section {
        let mut section = Section::new("End to end");
        if let Some(queue) = &self.queue {
            let verdict = if queue.did_grow { "the queue grew" } else { "the queue did not grow" };
            section = section.note(format!("{} stored a second; {verdict}", number(queue.stored_per_s))).note(format!(
                "at most {} waited; the queue became {} longer a second",
                number(queue.waiting_max as f64),
                number(queue.growth_per_s)
            ));
        }
        section = section.note(match (self.drained_s, self.drained_per_s) {
            (Some(drained_s), Some(per_s)) => {
                format!("the backlog was stored within {} s, {} a second", number(drained_s), number(per_s))
            }
            (Some(drained_s), None) => format!("all was stored {} s after the last was sent", number(drained_s)),
            (None, _) => "not all was stored in the time that was given".to_owned(),
        });
        let verdict = if self.is_exact { "every one that was accepted, once" } else { "this is NOT what was accepted" };
        let section = section.note(format!("{} stored: {verdict}", self.stored));
        let depth: Vec<(f64, f64)> =
            course.points.iter().filter_map(|point| Some((point.at_s, point.waiting()? as f64))).collect();
        if depth.is_empty() {
            return section;
        }
        let series = vec![Series { name: "waiting".to_owned(), points: depth }];
        section.plot(Plot { title: "Accepted and not yet stored".to_owned(), series, marks: Marks::Seconds })
    }
}

impl Ratios {
    pub(crate) fn of(answers: &Answers, end_to_end: Option<&EndToEnd>, limits: &Found) -> Ratios {
        let stored_per_s = end_to_end.and_then(|end| end.drained_per_s.or(end.queue.map(|queue| queue.stored_per_s)));
        Ratios {
            accepted_to_bare_http: answers.accepted_per_s / limits.bare_http_per_s,
            stored_to_bare_http: stored_per_s.map(|stored| stored / limits.bare_http_per_s),
            stored_to_redis: stored_per_s.zip(limits.redis_per_s).map(|(stored, redis)| stored / redis),
        }
    }

    pub(crate) fn section(&self) -> Section {
        let told = |ratio: Option<f64>| ratio.map_or_else(|| "–".to_owned(), number);
        let rows = [
            ("accepted, to what a bare server takes", Some(self.accepted_to_bare_http)),
            ("stored, to what a bare server takes", self.stored_to_bare_http),
            ("stored, to what Redis takes", self.stored_to_redis),
        ];
        let rows = rows.into_iter().map(|(what, ratio)| vec![what.to_owned(), told(ratio)]);
        Section::new("Ratios to the limits").table(&["what", "ratio"], rows.collect())
    }
}

/// How times stand in a table.
pub(crate) const TIMES_HEAD: [&str; 9] = ["milliseconds", "count", "mean", "p50", "p90", "p95", "p99", "p99.9", "max"];

/// A row of such a table.
pub(crate) fn times_row(name: &str, times: &Times) -> Vec<String> {
    let Times { count, mean_ms, p50_ms, p90_ms, p95_ms, p99_ms, p999_ms, max_ms } = times;
    let values = [mean_ms, p50_ms, p90_ms, p95_ms, p99_ms, p999_ms, max_ms].map(|value| number(*value));
    [name.to_owned(), count.to_string()].into_iter().chain(values).collect()
}

pub(crate) fn visible_section(visible: &Visible) -> Section {
    let section =
        Section::new("From intake to visible").table(&TIMES_HEAD, vec![times_row("visible after", &visible.times)]);
    match (visible.unseen, visible.omitted) {
        (0, 0) => section,
        (unseen, omitted) => section.note(format!(
            "{unseen} were not seen in time, {omitted} were not looked after: too many were not yet seen"
        )),
    }
}

/// What was looked at, at rest and under load.
#[derive(Debug, Serialize)]
pub(crate) struct Meanwhile {
    idle: Vec<Visited>,
    loaded: Vec<Visited>,
    /// Of the kind of page that took longest, under load.
    p99_ms_max: f64,
    /// Of the kind of page that suffered most: how many times longer than at rest.
    p50_to_idle_max: f64,
    p99_to_idle_max: f64,
}

impl Meanwhile {
    pub(crate) fn of(idle: Vec<Visited>, loaded: Vec<Visited>) -> Meanwhile {
        let most = |figure: &dyn Fn(&Visited, &Visited) -> f64| {
            idle.iter().zip(&loaded).map(|(idle, loaded)| figure(idle, loaded)).fold(0.0, f64::max)
        };
        let p99_ms_max = most(&|_, loaded| loaded.times.p99_ms);
        let p50_to_idle_max = most(&|idle, loaded| loaded.times.p50_ms / idle.times.p50_ms.max(0.001));
        let p99_to_idle_max = most(&|idle, loaded| loaded.times.p99_ms / idle.times.p99_ms.max(0.001));
        Meanwhile { p99_ms_max, p50_to_idle_max, p99_to_idle_max, idle, loaded }
    }

    pub(crate) fn section(&self) -> Section {
        let mut section = Section::new("Pages meanwhile").note(format!(
            "under load p50 is up to {} times that at rest, p99 up to {} times",
            number(self.p50_to_idle_max),
            number(self.p99_to_idle_max)
        ));
        let mut rows = Vec::new();
        for (when, visited) in [("idle", &self.idle), ("loaded", &self.loaded)] {
            for Visited { name, times, failed } in visited {
                rows.push(times_row(&format!("{name}, {when}"), times));
                if *failed > 0 {
                    section = section.note(format!("{failed} reads of the {name} failed ({when})"));
                }
            }
        }
        section.table(&TIMES_HEAD, rows)
    }
}

pub(crate) fn processes_section(processes: &[Process]) -> Section {
    let rows = processes.iter().map(|process| {
        vec![
            process.name.clone(),
            number(process.cpu_s),
            number(process.cores),
            number(process.cpu_us_per_notice),
            process.resident_before_bytes.map(mebibytes).unwrap_or_default(),
            process.resident_max_bytes.map(mebibytes).unwrap_or_default(),
        ]
    });
    let head = ["process", "CPU s", "cores", "µs a notice", "memory before", "memory at most"];
    Section::new("Processes").table(&head, rows.collect())
}

/// Rates over time, each the mean of about a second.
fn rates(course: &Course) -> Plot {
    const LOOKS: usize = 4;
    let rate = |count: fn(&Point) -> Option<u64>| -> Vec<(f64, f64)> {
        let windows = course.points.windows(LOOKS + 1);
        let rates = windows.filter_map(|window| {
            let (first, last) = (window.first()?, window.last()?);
            let counted = count(last)?.saturating_sub(count(first)?) as f64;
            Some((last.at_s, counted / (last.at_s - first.at_s)))
        });
        rates.collect()
    };
    let all = [("accepted", rate(|point| Some(point.accepted))), ("stored", rate(|point| point.stored))];
    let series = all.into_iter().filter(|(_, points)| !points.is_empty());
    let series = series.map(|(name, points)| Series { name: name.to_owned(), points }).collect();
    Plot { title: "Notices a second".to_owned(), series, marks: Marks::Seconds }
}

/// Times by how many are shorter; the rare ones are drawn apart, because they are what people meet.
fn percentiles(tally: &Tally) -> Plot {
    const STEPS: u32 = 60;
    let nines = |quantile: f64| -(1.0 - quantile).log10();
    let last = nines(1.0 - 1.0 / (tally.latency.len().max(2) as f64));
    let points = (0..=STEPS).map(|step| {
        let x = last * f64::from(step) / f64::from(STEPS);
        (x, milliseconds(tally.latency.value_at_quantile(1.0 - 10_f64.powf(-x)) as f64))
    });
    let series = vec![Series { name: "ms".to_owned(), points: points.collect() }];
    let marks = QUANTILES.iter().map(|(quantile, name)| (nines(*quantile), (*name).to_owned())).collect();
    Plot { title: "Answers within so many milliseconds".to_owned(), series, marks: Marks::At(marks) }
}
