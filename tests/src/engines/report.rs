//! What became of everything that was sent.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::time::{Duration, Instant};

use crate::load::Ledger;
use crate::{Installation, bodies, wait_until};

/// Everything must be stored this soon after the last notice came in.
const DRAIN_LIMIT: Duration = Duration::from_secs(60);

/// The count at the end.
#[derive(Debug)]
pub struct Report {
    /// What was tried.
    pub engine: &'static str,
    /// Requests begun.
    pub sent: u64,
    /// Ids that came with a 2xx.
    pub accepted: usize,
    /// Different ids in the database.
    pub stored: usize,
    /// Ids with a 2xx that are not there.
    pub missing: usize,
    /// Of those, how many of each lane, and when the first and the last of them were accepted (ms since 1970).
    pub missing_in: BTreeMap<u16, (usize, u64, u64)>,
    /// Ids that are there more than once.
    pub doubled: usize,
    /// Ids that are there without a 2xx.
    pub extra: usize,
    /// Records that gateways have declared gone.
    pub gone: i64,
    /// Records that were buried, by the reason.
    pub buried: BTreeMap<String, i64>,
    /// Answers that were not 2xx, by status.
    pub refused: BTreeMap<u16, u64>,
    /// Requests whose connection ended without an answer: what is extra is one of them.
    pub unanswered: u64,
    /// Entries that Redis was given again.
    pub resent: u64,
    /// Until all was stored, after the last notice.
    pub drained_after: Duration,
    /// What `croak audit` says against it, if anything.
    pub audit: Option<String>,
}

impl Report {
    /// Waits until nothing is missing, or for a limit, and counts.
    pub(super) async fn of(engine: &'static str, croak: &Installation, ledger: &Ledger) -> Report {
        let accepted: HashSet<_> = ledger.accepted.iter().copied().collect();
        assert_eq!(accepted.len(), ledger.accepted.len(), "no two answers name the same notice");
        let pool = croak.pool();
        let started_at = Instant::now();
        let copies = wait_until("what is stored is read", DRAIN_LIMIT * 2, async || {
            let late = started_at.elapsed() > DRAIN_LIMIT;
            if !late && bodies::count(&pool).await < accepted.len() as i64 {
                return None;
            }
            let copies = bodies::copies(&pool).await;
            (late || accepted.iter().all(|id| copies.contains_key(id))).then_some(copies)
        })
        .await;
        let drained_after = started_at.elapsed();
        let buried = sqlx::query_as("select reason, count(*) from dead_notice group by reason").fetch_all(&pool).await;
        let buried: Vec<(String, i64)> = buried.expect("the database answers");
        let gone = sqlx::query_scalar("select sum(gone_records)::bigint from lane_state").fetch_one(&pool).await;
        let mut missing_in = BTreeMap::new();
        for id in accepted.iter().filter(|id| !copies.contains_key(id)) {
            // An id begins with its time (48 bits of milliseconds); the lane are the 12 bits behind the version.
            let (high, _) = id.as_u64_pair();
            let (at, lane) = (high >> 16, (high & 0x0fff) as u16);
            let (count, first, last) = missing_in.entry(lane).or_insert((0, at, at));
            (*count, *first, *last) = (*count + 1, at.min(*first), at.max(*last));
        }
        let audit = croak.croak_command(&["audit"]).output().expect("croak starts");
        Report {
            engine,
            sent: ledger.sent,
            accepted: accepted.len(),
            stored: copies.len(),
            missing: missing_in.values().map(|(count, ..)| count).sum(),
            missing_in,
            gone: gone.expect("the database answers"),
            doubled: copies.values().filter(|copies| **copies > 1).count(),
            extra: copies.keys().filter(|id| !accepted.contains(id)).count(),
            buried: buried.into_iter().collect(),
            refused: ledger.refused.clone(),
            unanswered: ledger.unanswered,
            resent: super::trial::gateway_metric(croak, "gateway_ship_resent_entries_total").await as u64,
            drained_after,
            audit: (!audit.status.success()).then(|| String::from_utf8_lossy(&audit.stdout).into_owned()),
        }
    }

    /// What does not hold.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let mut hold = |holds: bool, fault: String| {
            if !holds {
                faults.push(fault);
            }
        };
        hold(self.accepted > 0, "nothing was accepted: nothing is proved".to_owned());
        hold(self.missing == 0, format!("{} with a 2xx are not stored: {:?}", self.missing, self.missing_in));
        hold(self.gone == 0, format!("{} declared gone", self.gone));
        hold(self.doubled == 0, format!("{} are stored more than once", self.doubled));
        hold(self.extra as u64 <= self.unanswered, format!("{} are stored that nobody sent", self.extra));
        hold(self.buried.is_empty(), format!("buried: {:?}", self.buried));
        hold(self.refused.is_empty(), format!("refused: {:?}", self.refused));
        hold(self.audit.is_none(), format!("croak audit: {}", self.audit.as_deref().unwrap_or_default()));
        faults
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { engine, sent, accepted, stored, missing, doubled, extra, .. } = self;
        write!(
            out,
            "{engine}: sent {sent} / 2xx {accepted} / stored {stored} / missing {missing} / doubled {doubled} / extra {extra}"
        )?;
        let Report { resent, drained_after, unanswered, .. } = self;
        write!(
            out,
            "; sent again {resent}, unanswered {unanswered}, drained after {:.1} s",
            drained_after.as_secs_f64()
        )?;
        match self.faults().as_slice() {
            [] => write!(out, ", audit ok"),
            faults => write!(out, "\n  WRONG: {}", faults.join("\n  WRONG: ")),
        }
    }
}
