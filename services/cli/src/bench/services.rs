//! What the services say of themselves on their admin ports while they are measured.

use std::time::Duration;

use anyhow::Context as _;
use serde::Serialize;
use service::process::{Usage, machine_cpu_seconds};
use tokio::task::JoinSet;

use super::peers::Peer;

/// A service under load takes its time; one that takes longer is not asked again for this look.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// Where the services' metrics are.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct AdminArgs {
    /// Where the gateway's health and metrics are
    #[arg(long, default_value = "http://127.0.0.1:9180")]
    gateway_admin: String,
    /// Where a worker's are; to be given again for each of several workers
    #[arg(long = "worker-admin", default_value = "http://127.0.0.1:9181")]
    worker_admins: Vec<String>,
    /// Where the web's are
    #[arg(long, default_value = "http://127.0.0.1:9182")]
    web_admin: String,
}

/// The services that are looked at. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Services {
    client: reqwest::Client,
    list: Vec<Service>,
    peers: Vec<Peer>,
}

#[derive(Clone, Debug)]
struct Service {
    name: String,
    role: Role,
    metrics_url: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Gateway,
    Worker,
    Web,
}

/// What all of them said at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Look {
    /// Records that workers stored since their start; nothing unless every worker answers.
    pub(crate) stored: Option<u64>,
    /// Bytes in journals that are not in the database.
    pub(crate) unacked_bytes: Option<u64>,
    /// CPU time of the whole machine.
    pub(crate) machine_cpu_s: Option<f64>,
    /// What each service uses, in the order of [`Services::names`], and at the end this program.
    pub(crate) uses: Vec<Option<Use>>,
}

/// What a process has used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Use {
    pub(crate) cpu_s: f64,
    pub(crate) resident_bytes: u64,
}

impl AdminArgs {
    /// Where the workers are.
    pub(crate) fn workers(&self) -> &[String] {
        &self.worker_admins
    }

    pub(crate) fn services(&self) -> anyhow::Result<Services> {
        let client = reqwest::Client::builder().timeout(ANSWER_WITHIN).no_proxy().build().context("making a client")?;
        let mut list = vec![Service::new("gateway".to_owned(), Role::Gateway, &self.gateway_admin)];
        for (place, url) in self.worker_admins.iter().enumerate() {
            let name = if self.worker_admins.len() > 1 { format!("worker {}", place + 1) } else { "worker".to_owned() };
            list.push(Service::new(name, Role::Worker, url));
        }
        list.push(Service::new("web".to_owned(), Role::Web, &self.web_admin));
        Ok(Services { client, list, peers: Vec::new() })
    }
}

impl Service {
    fn new(name: String, role: Role, url: &str) -> Service {
        Service { name, role, metrics_url: format!("{}/metrics", url.trim_end_matches('/')) }
    }
}

impl Services {
    /// Looks at these, too.
    pub(crate) fn beside(&mut self, peers: Vec<Peer>) {
        self.peers = peers;
    }

    /// Whose uses a [`Look`] has.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        let peers = self.peers.iter().map(|peer| peer.name);
        self.list.iter().map(|service| service.name.as_str()).chain(peers).chain(["generator"])
    }

    /// How many of them are Croak's own; they stand first.
    pub(crate) fn count(&self) -> usize {
        self.list.len()
    }

    /// Looks at all of them at once.
    pub(crate) async fn look(&self) -> Look {
        let mut asking = JoinSet::new();
        for (place, service) in self.list.iter().enumerate() {
            let request = self.client.get(&service.metrics_url);
            asking.spawn(async move {
                let page = async { request.send().await?.error_for_status()?.text().await };
                (place, page.await.ok())
            });
        }
        let mut pages: Vec<Option<String>> = vec![None; self.list.len()];
        while let Some(asked) = asking.join_next().await {
            let (place, page) = asked.expect("asking does not panic");
            pages[place] = page;
        }
        self.read(&pages)
    }

    fn read(&self, pages: &[Option<String>]) -> Look {
        let of = |role: Role| {
            let said = self.list.iter().zip(pages).filter(move |(service, _)| service.role == role);
            said.map(|(_, page)| page.as_deref())
        };
        // A worker that has stored nothing yet does not have the figure: that is 0.
        let stored =
            of(Role::Worker).map(|page| Some(figure(page?, "worker_records_total", "ended=\"stored\"").unwrap_or(0.0)));
        let unacked = of(Role::Gateway).map(|page| figure(page?, "gateway_journal_unacked_bytes", ""));
        let services = pages.iter().map(|page| Use::in_page(page.as_deref()?));
        let uses = services.chain(self.peers.iter().map(Peer::uses)).chain([Use::of_self()]).collect();
        Look {
            stored: stored.sum::<Option<f64>>().map(|sum| sum as u64),
            unacked_bytes: unacked.sum::<Option<f64>>().map(|sum| sum as u64),
            machine_cpu_s: machine_cpu_seconds(),
            uses,
        }
    }
}

impl Use {
    fn in_page(page: &str) -> Option<Use> {
        Some(Use {
            cpu_s: figure(page, "process_cpu_seconds_total", "")?,
            resident_bytes: figure(page, "process_resident_memory_bytes", "")? as u64,
        })
    }

    fn of_self() -> Option<Use> {
        let usage = Usage::of_self()?;
        Some(Use { cpu_s: usage.cpu_seconds, resident_bytes: usage.resident_bytes })
    }
}

/// The sum of a metric over all lines that have a label like `label`; `None` where there is no such line.
fn figure(page: &str, name: &str, label: &str) -> Option<f64> {
    let lines = page.lines().filter_map(|line| line.strip_prefix(name));
    let values = lines.filter_map(|rest| match rest.strip_prefix('{') {
        Some(labelled) => {
            let (labels, value) = labelled.rsplit_once('}')?;
            labels.contains(label).then_some(value)
        }
        None => rest.starts_with(' ').then_some(rest).filter(|_| label.is_empty()),
    });
    values
        .filter_map(|value| value.trim().parse::<f64>().ok())
        .fold(None, |sum, value| Some(sum.unwrap_or(0.0) + value))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::*;

    const PAGE: &str = "# HELP worker_records_total Records by how they ended\n# TYPE worker_records_total counter\n\
        worker_records_total{ended=\"stored\"} 1200\nworker_records_total{ended=\"dead\"} 3\n\
        worker_records_total_more 9\nprocess_cpu_seconds_total 1.5\nprocess_resident_memory_bytes 4096\n";

    #[test]
    fn figures_are_found_by_name_and_label() {
        assert_eq!(figure(PAGE, "worker_records_total", "ended=\"stored\""), Some(1_200.0));
        assert_eq!(figure(PAGE, "worker_records_total", ""), Some(1_203.0));
        assert_eq!(figure(PAGE, "process_cpu_seconds_total", ""), Some(1.5));
        assert_eq!(figure(PAGE, "worker_records", ""), None);
    }

    #[test]
    fn what_is_stored_is_known_only_when_every_worker_answers() {
        let args = AdminArgs {
            gateway_admin: "http://g".to_owned(),
            worker_admins: vec!["http://a".to_owned(), "http://b/".to_owned()],
            web_admin: "http://w".to_owned(),
        };
        let services = args.services().unwrap();
        assert_eq!(services.names().collect::<Vec<_>>(), ["gateway", "worker 1", "worker 2", "web", "generator"]);
        let page = || Some(PAGE.to_owned());
        assert_eq!(services.read(&[None, page(), page(), None]).stored, Some(2_400));
        assert_eq!(services.read(&[None, page(), Some(String::new()), None]).stored, Some(1_200));
        let look = services.read(&[page(), page(), None, None]);
        assert_eq!(look.stored, None);
        assert_eq!(look.uses[0], Some(Use { cpu_s: 1.5, resident_bytes: 4_096 }));
        assert_eq!(look.uses[2], None);
    }
}
