//! An installation under load while things happen to its servers.

use std::time::{Duration, Instant};

use super::{Pace, Report};
use crate::installation::ALL_ROLES;
use crate::load::{Ledger, Load, send_all};
use crate::samples::XmlNotice;
use crate::{Installation, wait_until};

/// Projects whose lanes have something to do only now and then: an idle lane must not hold on to what a server has lost.
const QUIET_PROJECTS: std::ops::RangeInclusive<i64> = 2..=7;

/// Notices of each of them at a time.
const QUIET_NOTICES: u64 = 40;

/// When all is well a notice waits no longer than this.
const LAG_SECONDS_MAX: f64 = 3.0;

/// Whatever has happened to a server, all is well again this soon.
const RECOVERY_LIMIT: Duration = Duration::from_secs(20);

/// Where its services find their servers.
pub(super) struct Addresses<'a> {
    pub(super) postgres: String,
    pub(super) redis_for_worker: String,
    pub(super) redis_for_gateway: String,
    pub(super) prefix: &'a str,
    pub(super) settings: Vec<(&'static str, String)>,
}

/// Two workers and a gateway at work.
pub(super) struct Trial {
    pub(super) croak: Installation,
    pace: Pace,
    engine: &'static str,
    load: Load,
    quiet: Ledger,
    began_at: Instant,
}

impl Trial {
    pub(super) async fn begin(engine: &'static str, pace: Pace, addresses: Addresses<'_>) -> Trial {
        let Addresses { postgres, redis_for_worker, redis_for_gateway, prefix, settings } = addresses;
        let mut croak = Installation::at(&postgres, redis_for_gateway.clone(), prefix).await;
        for project in QUIET_PROJECTS {
            croak.create_project(project, &format!("quiet-{project}"), &quiet_key(project));
        }
        croak.settings = settings;
        if let Ok(log) = std::env::var("CROAK_ENGINES_LOG") {
            croak.settings.push(("CROAK_LOG", log));
        }
        croak.settings.push(("CROAK_REDIS_URL", redis_for_worker));
        for _ in 0..2 {
            croak.start_worker(ALL_ROLES).await;
        }
        croak.settings.pop();
        croak.start_gateway().await;
        let load = Load::start(croak.gateway_address(), pace.per_second, varied);
        let trial = Trial { croak, pace, engine, load, quiet: Ledger::default(), began_at: Instant::now() };
        trial.says("notices come in");
        trial
    }

    /// Says what happens.
    pub(super) fn says(&self, what: &str) {
        let seconds = self.began_at.elapsed().as_secs_f64();
        println!("{} {seconds:5.1} s  {what} ({} accepted)", self.engine, self.load.accepted_count());
    }

    /// Lets it go on for a while.
    pub(super) async fn goes_on(&self) {
        tokio::time::sleep(self.pace.stretch).await;
    }

    /// The quiet projects have something to say, which is in the database before it goes on.
    pub(super) async fn quiet_ones_speak(&mut self) {
        for project in QUIET_PROJECTS {
            let key = quiet_key(project);
            let address = self.croak.gateway_address();
            let said = send_all(address, QUIET_NOTICES, move |n| {
                XmlNotice { key: key.clone(), class: format!("Quiet{n}"), ..XmlNotice::default() }.request()
            })
            .await;
            self.quiet.sent += said.sent;
            self.quiet.unanswered += said.unanswered;
            self.quiet.accepted.extend(said.accepted);
            for (status, count) in said.refused {
                *self.quiet.refused.entry(status).or_default() += count;
            }
        }
        self.says("the quiet projects have spoken");
        self.goes_on().await;
    }

    /// Waits until everything comes through, as things are now.
    pub(super) async fn keeps_up(&self) {
        wait_until("no notice waits", RECOVERY_LIMIT, async || {
            let lag = gateway_metric(&self.croak, "gateway_journal_oldest_unacked_seconds").await;
            (lag < LAG_SECONDS_MAX).then_some(())
        })
        .await;
        self.says("no notice waits");
    }

    /// Stops the load, waits, and counts.
    pub(super) async fn end(self) -> Report {
        let mut ledger = self.load.stop().await;
        ledger.sent += self.quiet.sent;
        ledger.unanswered += self.quiet.unanswered;
        ledger.accepted.extend(&self.quiet.accepted);
        for (status, count) in &self.quiet.refused {
            *ledger.refused.entry(*status).or_default() += count;
        }
        Report::of(self.engine, &self.croak, &ledger).await
    }
}

/// Fifty different errors of a thousand users.
fn varied(n: u64) -> Vec<u8> {
    XmlNotice { class: format!("Failure{}", n % 50), user: (n % 1000).to_string(), ..XmlNotice::default() }.request()
}

fn quiet_key(project: i64) -> String {
    format!("{project:032x}")
}

/// A prefix of its own.
pub(super) fn prefix() -> String {
    format!("croak-engines-{}", uuid::Uuid::new_v4().simple())
}

/// A figure of the gateway, summed over its labels.
pub(super) async fn gateway_metric(croak: &Installation, name: &str) -> f64 {
    let address = croak.gateway.as_ref().expect("a gateway runs").admin_address();
    let page = reqwest::get(format!("http://{address}/metrics")).await.expect("it answers").text().await.expect("text");
    let values = page.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        // Nothing else that begins so.
        rest.starts_with([' ', '{']).then(|| rest.rsplit(' ').next()?.parse::<f64>().ok()).flatten()
    });
    values.sum()
}
