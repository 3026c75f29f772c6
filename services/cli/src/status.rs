//! `croak status`: who runs, how far behind each lane is, what lies in the journals.

use std::process::ExitCode;

use anyhow::Context as _;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::database::Database;
use crate::output::{Output, table};

/// Shows workers, lanes and journals as the database knows them
#[derive(clap::Args, Debug)]
pub(crate) struct Status {
    #[command(flatten)]
    database: Database,
    /// Show every lane, not only those that are behind or in trouble
    #[arg(long)]
    lanes: bool,
}

impl Status {
    pub(crate) async fn run(self, output: Output) -> anyhow::Result<ExitCode> {
        let status = self.database.connect().await?.status().await.context("reading the status")?;
        output.show(&status, |status| describe(status, self.lanes))?;
        Ok(ExitCode::SUCCESS)
    }
}

/// What workers may be there for.
const ROLES: [&str; 5] = ["fold", "command", "deliver", "housekeep", "report"];

fn describe(status: &store::admin::Status, every_lane: bool) -> String {
    let workers: Vec<Vec<String>> = status
        .workers
        .iter()
        .map(|worker| {
            let (command, control) = (worker.command_address.clone(), worker.control_address.clone());
            vec![
                worker.id.clone(),
                worker.version.clone(),
                worker.roles.join(","),
                worker.lane_count.to_string(),
                command.unwrap_or_default(),
                control.unwrap_or_default(),
            ]
        })
        .collect();
    let lanes: Vec<Vec<String>> = status
        .lanes
        .iter()
        .filter(|lane| every_lane || lane.depth > 0 || lane.attempts > 1)
        .map(|lane| {
            vec![
                lane.lane.to_string(),
                lane.owner.clone().unwrap_or_else(|| "nobody".to_owned()),
                lane.depth.to_string(),
                lane.attempts.to_string(),
                at(lane.committed_through),
            ]
        })
        .collect();
    let journals: Vec<Vec<String>> = status
        .journals
        .iter()
        .map(|journal| {
            vec![
                journal.journal.to_string(),
                journal.depth.to_string(),
                at(journal.oldest_unacked_at),
                at(Some(journal.as_of)),
            ]
        })
        .collect();
    let behind: i64 = status.lanes.iter().map(|lane| lane.depth).sum();
    let without_owner = status.lanes.iter().filter(|lane| lane.owner.is_none()).count();
    let shown = if every_lane { "" } else { "; shown are those behind or in trouble" };
    format!(
        "Workers\n{}\nLanes: {} in all, {without_owner} without an owner, {behind} records behind{shown}\n{}\n\
         Journals with records that are not committed\n{}\n\
         Dead records: {}. Records declared lost: {}. Deliveries waiting: {}.\n{}{}",
        table(&["id", "version", "roles", "lanes", "commands", "control"], &workers),
        status.lanes.len(),
        table(&["lane", "owner", "behind", "attempts", "committed through"], &lanes),
        table(&["journal", "behind", "oldest", "as of"], &journals),
        status.dead_count,
        status.incident_record_count,
        status.outbox_waiting_count,
        mail(status),
        idle_roles(status),
    )
}

/// Roles that no worker has: what they are for is done by nobody.
fn idle_roles(status: &store::admin::Status) -> String {
    let has = |role: &&str| status.workers.iter().any(|worker| worker.roles.iter().any(|one| one == role));
    let idle: Vec<&str> = ROLES.into_iter().filter(|role| !has(role)).collect();
    match idle.as_slice() {
        [] => String::new(),
        idle => format!("No worker has these roles (CROAK_ROLES): {}.\n", idle.join(", ")),
    }
}

/// How mails stand.
fn mail(status: &store::admin::Status) -> String {
    let waiting = status.mail_waiting_count;
    if status.workers.iter().any(|worker| worker.sends_mail) {
        format!("Mails waiting: {waiting}.\n")
    } else {
        format!("Mails waiting: {waiting}; no worker sends any: CROAK_SMTP_URL is set at none of role deliver.\n")
    }
}

/// A moment as tables show it.
pub(crate) fn at(at: Option<OffsetDateTime>) -> String {
    at.and_then(|at| at.format(&Rfc3339).ok()).unwrap_or_else(|| "-".to_owned())
}
