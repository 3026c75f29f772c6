//! Everything that got a 2xx against everything that is stored.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Serialize;
use sqlx::{PgPool, Row as _};
use uuid::Uuid;

use crate::bodies::{self, StoredBody};
use crate::captures::Capture;

use super::sample::{Template, find, marker_in};
use super::traffic::{Accepted, Ledger, What};

/// Faults of one kind that are told in words.
const TOLD_MAX: usize = 5;

/// What became of what was accepted.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Kept {
    /// Notices that are stored.
    pub stored: u64,
    /// Accepted, and nowhere.
    pub missing: u64,
    /// Stored more than once.
    pub doubled: u64,
    /// Stored, and nobody was told so.
    pub extra: u64,
    /// Stored with another body than was sent, or for another project.
    pub altered: u64,
    /// Accepted, hostile, and in `dead_notice`.
    pub hostile_dead: u64,
    /// Accepted, sound, and in `dead_notice`.
    pub sound_dead: u64,
    /// Dead records that no gateway was given, by reason.
    pub dead: BTreeMap<String, u64>,
}

/// Compares; the second answer tells what is wrong in words.
pub async fn compare(pool: &PgPool, ledger: &Ledger, captures: &[Capture]) -> (Kept, Vec<String>) {
    let mut comparing = Comparing { captures, kept: Kept::default(), faults: BTreeMap::new(), firsts: HashMap::new() };
    let mut seen: HashSet<Uuid> = HashSet::new();
    bodies::each(pool, |body| {
        comparing.kept.stored += 1;
        let name = name_of(&body, ledger);
        if !seen.insert(name) {
            comparing.kept.doubled += 1;
            comparing.tell("doubled", format!("{name} is stored again"));
            return;
        }
        match ledger.accepted.get(&name) {
            None => comparing.kept.extra += 1,
            Some(accepted) => comparing.look_into(accepted, &body),
        }
    })
    .await;
    let dead = dead_notices(pool).await;
    for accepted in ledger.accepted.values().filter(|accepted| !seen.contains(&accepted.id)) {
        match (dead.get(&accepted.id), accepted.what) {
            (None, _) => {
                comparing.kept.missing += 1;
                comparing.tell("missing", format!("{} ({:?}) is nowhere", accepted.id, accepted.what));
            }
            (Some(_), What::Hostile(_)) => comparing.kept.hostile_dead += 1,
            (Some(reason), _) => {
                comparing.kept.sound_dead += 1;
                comparing.tell("dead", format!("{} ({:?}) is sound, and dead as {reason}", accepted.id, accepted.what));
            }
        }
    }
    for reason in dead.into_values() {
        *comparing.kept.dead.entry(reason).or_default() += 1;
    }
    (comparing.kept, comparing.faults.into_values().flatten().collect())
}

struct Comparing<'a> {
    captures: &'a [Capture],
    kept: Kept,
    faults: BTreeMap<&'static str, Vec<String>>,
    /// The first body of each kind: all others are the same.
    firsts: HashMap<Likeness, Vec<u8>>,
}

/// Notices of which the same must be stored, but for their marker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Likeness {
    /// With the second frame of the innermost error before the first, or not.
    Template(Template, bool),
    Recorded(usize),
}

impl Comparing<'_> {
    fn look_into(&mut self, accepted: &Accepted, stored: &StoredBody) {
        let fault = if stored.project_id == accepted.project_id {
            self.fault(accepted, stored)
        } else {
            Some(format!("it lies in project {}, not {}", stored.project_id, accepted.project_id))
        };
        if let Some(fault) = fault {
            self.kept.altered += 1;
            self.tell("altered", format!("{}: {fault}", stored.id));
        }
    }

    fn fault(&mut self, accepted: &Accepted, stored: &StoredBody) -> Option<String> {
        let (likeness, body) = match accepted.what {
            // What is to be made of it is somebody else's question.
            What::Hostile(_) => return None,
            What::Sample(sample) => {
                if let Some(fault) = sample.fault(&stored.body) {
                    return Some(fault);
                }
                (Likeness::Template(sample.template, is_turned(&stored.body)), sample.without_marker(stored))
            }
            What::Recorded(number) => {
                let capture = &self.captures[number];
                if !has_what_was_said(capture, &stored.body) {
                    return Some(format!("{} has lost its error's class", capture.name));
                }
                (Likeness::Recorded(number), stored.body.clone())
            }
        };
        let first = self.firsts.entry(likeness).or_insert_with(|| body.clone());
        (*first != body).then(|| {
            format!("{:?}: {} bytes, and others of its kind {}, or other ones", accepted.what, body.len(), first.len())
        })
    }

    fn tell(&mut self, kind: &'static str, fault: String) {
        let told = self.faults.entry(kind).or_default();
        if told.len() < TOLD_MAX {
            told.push(fault);
        }
    }
}

/// Whatever its client named counts once by that name. OpenTelemetry's exceptions have no name but what they say: there it is the marker.
fn name_of(body: &StoredBody, ledger: &Ledger) -> Uuid {
    let Some(client_id) = body.client_id() else { return body.id };
    let name = client_id.parse().ok().filter(|name| ledger.accepted.contains_key(name));
    name.or_else(|| marker_in(&body.body)).unwrap_or(body.id)
}

fn is_turned(body: &[u8]) -> bool {
    find(body, b"orders_controller.rb") < find(body, b"payment.rb")
}

/// What else was said is looked at where captures are sent one by one.
fn has_what_was_said(capture: &Capture, body: &[u8]) -> bool {
    let classes = ["error_class", "wire_error_class"].iter().filter_map(|field| capture.expected(field)?.as_str());
    let mut names = classes.map(|class| class.rsplit('.').next().unwrap_or_default()).peekable();
    names.peek().is_none() || names.any(|name| find(body, name.as_bytes()).is_some())
}

/// Reason by id of the notice.
async fn dead_notices(pool: &PgPool) -> HashMap<Uuid, String> {
    let rows = sqlx::query(
        "select notice_id, reason from dead_notice where notice_id <> '00000000-0000-0000-0000-000000000000'",
    );
    let rows = rows.fetch_all(pool).await.expect("dead notices can be read");
    rows.iter().map(|row| (row.get("notice_id"), row.get("reason"))).collect()
}
