//! What services say of themselves, added up over all of their lives.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::time::Duration;

use super::fleet::{Fleet, Member};

/// Longest wait for the metrics of one service.
const ANSWER_LIMIT: Duration = Duration::from_millis(700);

/// Counters that tell whether what was injected has had any effect.
const TOLD: &[&str] = &[
    "gateway_ship_entries_total",
    "gateway_ship_resent_entries_total",
    "gateway_ship_probes_total{found=\"all\"}",
    "gateway_ship_probes_total{found=\"missing\"}",
    "gateway_ship_oom_pauses_total",
    "gateway_ship_connection_errors_total",
    "gateway_ship_watermarks_lowered_total",
    "worker_batches_total",
    "worker_fenced_total",
    "worker_records_total{ended=\"stored\"}",
    "worker_records_total{ended=\"repeated\"}",
    "worker_records_total{ended=\"named_before\"}",
    "worker_records_total{ended=\"dead\"}",
    "worker_records_total{ended=\"gone\"}",
];

/// Bytes that the database has not committed yet.
const UNACKED: &str = "gateway_journal_unacked_bytes";

/// The counters of all services. What one counted in the last second before it was killed is not in them.
#[derive(Debug)]
pub(super) struct Measures {
    client: reqwest::Client,
    /// By counter and by life of a service, which has one process id.
    counted: HashMap<(&'static str, u32), f64>,
}

impl Measures {
    pub(super) fn new() -> Measures {
        let client = reqwest::Client::builder().timeout(ANSWER_LIMIT).build().expect("a plain client");
        Measures { client, counted: HashMap::new() }
    }

    /// Asks everybody who is not in the hands of a fault.
    pub(super) async fn ask_all(&mut self, fleet: &Fleet) {
        for member in fleet.members() {
            let Some(pid) = member.service.try_lock().ok().map(|service| service.process.pid()) else { continue };
            let Some(text) = self.ask(member.admin_address).await else { continue };
            for (name, value) in TOLD.iter().filter_map(|name| Some((*name, value_of(&text, name)?))) {
                let counted = self.counted.entry((name, pid)).or_default();
                *counted = counted.max(value);
            }
        }
    }

    /// Bytes that this gateway still has to get into the database; `None` when it does not say.
    pub(super) async fn unacked_bytes(&self, gateway: &Member) -> Option<f64> {
        value_of(&self.ask(gateway.admin_address).await?, UNACKED)
    }

    /// The sums.
    pub(super) fn sums(&self) -> BTreeMap<String, u64> {
        let mut sums = BTreeMap::new();
        for ((name, _), value) in &self.counted {
            *sums.entry((*name).to_owned()).or_default() += *value as u64;
        }
        sums
    }

    async fn ask(&self, address: SocketAddr) -> Option<String> {
        self.client.get(format!("http://{address}/metrics")).send().await.ok()?.text().await.ok()
    }
}

/// Records that a gateway has answered with 2xx in this life of its; `None` when it does not say.
pub(super) async fn accepted(gateway: SocketAddr) -> Option<u64> {
    let answer =
        reqwest::Client::new().get(format!("http://{gateway}/metrics")).timeout(ANSWER_LIMIT).send().await.ok()?;
    let text = answer.text().await.ok()?;
    let counts = text.lines().filter(|line| line.starts_with("gateway_accepted_total{"));
    Some(counts.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum())
}

fn value_of(text: &str, name: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
}
