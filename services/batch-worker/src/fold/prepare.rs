//! From the fresh entries of a batch to what is written: reading, folding, grouping, packing. Pure work, no waiting.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use notice::prost::DecodeError;
use notice::{Accepted, Folded, Grouping, Item};
use queue::Shipped;
use queue::body::Dictionaries;
use store::batch::{Batch, ClientIdRun, FacetCount, FingerprintBatch};
use store::chunk;
use store::client_ids::ClientIdEntry;
use store::source_maps::NewestBundles;
use store::writer::{NamedNotice, ProjectRules};

use super::client_ids::ClientIds;
use super::identity::{self, Identities, Unresolved};
use super::record::{self, Read};
use super::resolve::{Resolved, UNRESOLVED_MAX};

/// What the database said of notices whose names look known: where each may be stored, and whether it is.
pub(crate) type Asked = HashMap<NamedNotice, (ClientIdEntry, bool)>;

/// What is known of the names that clients gave to notices, and of source maps.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known<'a> {
    pub(crate) client_ids: &'a ClientIds,
    pub(crate) asked: &'a Asked,
    /// Projects that have artifacts.
    pub(crate) bundles: &'a NewestBundles,
    /// Identities of notices that source maps were asked for.
    pub(crate) resolved: &'a Resolved,
}

/// What came of fresh entries.
#[derive(Debug)]
pub(crate) enum Prepared {
    /// All of them can be written.
    Batch(Box<Batch>),
    /// Some have names, and the names that are stored of these projects must be known first.
    NeedsClientIds(BTreeSet<i64>),
    /// Some may be stored already, each there: the database must be asked first.
    NeedsAsking(HashMap<NamedNotice, ClientIdEntry>),
    /// Some have frames that source maps may tell more of: these must be asked first.
    NeedsResolving(Vec<Unresolved>),
}

/// What the fresh entries bring. An error is why they cannot be folded although each could be read, or what a panic said:
/// whoever calls looks for the entry that causes it.
pub(crate) fn prepare(
    fresh: &[Shipped],
    lane: u16,
    rules: &ProjectRules,
    dictionaries: &Dictionaries,
    identities: &Identities,
    known: Known<'_>,
) -> Result<Prepared, String> {
    let mut taking = Taking {
        batch: Batch::default(),
        known,
        named: HashSet::new(),
        suspects: HashMap::new(),
        unknown: BTreeSet::new(),
    };
    // One at a time: what a notice says takes many times its room once it is decoded, and is needed only to fold it.
    let folded = catch_unwind(AssertUnwindSafe(|| {
        let notices = fresh.iter().filter_map(|shipped| taking.take(record::read(shipped, lane, rules, dictionaries)));
        group(notice::fold(notices), rules, identities, known)
    }));
    let groups = folded.map_err(|panic| record::panic_text(panic.as_ref()))?.map_err(|error| error.to_string())?;
    if !taking.unknown.is_empty() {
        return Ok(Prepared::NeedsClientIds(taking.unknown));
    }
    if !taking.suspects.is_empty() {
        return Ok(Prepared::NeedsAsking(taking.suspects));
    }
    match groups {
        Ok(groups) => Ok(Prepared::Batch(Box::new(Batch { groups, ..taking.batch }))),
        Err(unresolved) => Ok(Prepared::NeedsResolving(unresolved)),
    }
}

/// A batch while it is filled.
struct Taking<'a> {
    batch: Batch,
    known: Known<'a>,
    /// Names in this batch.
    named: HashSet<NamedNotice>,
    suspects: HashMap<NamedNotice, ClientIdEntry>,
    /// Projects of which it is not known what is stored.
    unknown: BTreeSet<i64>,
}

impl Taking<'_> {
    /// Puts what a record says where it belongs; gives back a notice, to be folded.
    fn take(&mut self, read: Read) -> Option<Accepted> {
        let batch = &mut self.batch;
        match read {
            Read::Notice(notice) => {
                saw(batch, notice.accepted_at_us);
                return self.is_first(&notice).then_some(*notice);
            }
            Read::Deploy(deploy) => {
                saw(batch, deploy.at_us);
                batch.deploys.push(deploy);
            }
            Read::Ledger(lines) => {
                batch.ledger.extend(lines);
                batch.ledger_records += 1;
            }
            Read::Stats(stats) => batch.stats.push(stats),
            Read::Attachment(row) => batch.attachments.push(row),
            Read::Dead(dead) => batch.dead.push(dead),
        }
        None
    }

    /// Whether the notice is the first of its name, or has none.
    fn is_first(&mut self, notice: &Accepted) -> bool {
        let Some(client_id) = notice.facts.client_id.as_deref().filter(|id| !id.is_empty()) else { return true };
        let Known { client_ids, asked, .. } = self.known;
        let run = match self.batch.client_ids.entry(notice.project_id) {
            Entry::Occupied(run) => run.into_mut(),
            Entry::Vacant(run) => {
                // Before the first look: what is stored after it shows at the latest when the batch is committed.
                let Some(known_to) = client_ids.known_to(notice.project_id) else {
                    self.unknown.insert(notice.project_id);
                    return true;
                };
                run.insert(ClientIdRun { known_to, entries: Vec::new(), last_at_us: i64::MIN })
            }
        };
        let named = NamedNotice { project_id: notice.project_id, client_id: client_id.to_owned() };
        let hash = named.hash();
        let is_stored = client_ids.find(hash).is_some_and(|there| match asked.get(&named) {
            Some((place, is_stored)) if *place == there => *is_stored,
            _ => {
                self.suspects.insert(named.clone(), there);
                false
            }
        });
        if is_stored || !self.named.insert(named) {
            self.batch.repeat_records += 1;
            return false;
        }
        run.entries.push(ClientIdEntry::new(hash, notice.id));
        run.last_at_us = run.last_at_us.max(notice.accepted_at_us);
        true
    }
}

fn saw(batch: &mut Batch, at_us: i64) {
    batch.newest_at_us = batch.newest_at_us.max(Some(at_us));
}

/// Puts together what different fold keys bring to one fingerprint. The inner error is for which of them source maps must be asked.
fn group(
    folded: Vec<Folded>,
    rules: &ProjectRules,
    identities: &Identities,
    known: Known<'_>,
) -> Result<Result<Vec<FingerprintBatch>, Vec<Unresolved>>, DecodeError> {
    let mut unresolved = Vec::new();
    let mut groups: BTreeMap<(i64, [u8; 16]), (FingerprintBatch, Vec<Item>)> = BTreeMap::new();
    for folded in folded {
        let grouping = rules.get(&folded.project_id).copied().unwrap_or(Grouping::Default);
        let resolved = known.resolved.get(&(folded.project_id, folded.fold_key));
        let bundle = known.bundles.get(&folded.project_id).copied().unwrap_or(0);
        let asked = match resolved {
            Some(Some(identity)) => identity::Known::Identity(Arc::clone(identity)),
            Some(None) => identities.of(&folded, grouping, 0)?,
            None => identities.of(&folded, grouping, bundle)?,
        };
        let identity = match asked {
            identity::Known::Identity(identity) => identity,
            identity::Known::Unresolved(one) => {
                unresolved.push(*one);
                if unresolved.len() == UNRESOLVED_MAX {
                    break;
                }
                continue;
            }
        };
        let (group, items) = groups
            .entry((folded.project_id, identity.fingerprint))
            .or_insert_with(|| (empty(&folded, identity), Vec::new()));
        add(group, items, folded);
    }
    if !unresolved.is_empty() {
        return Ok(Err(unresolved));
    }
    let groups = groups.into_values().map(|(mut group, mut items)| {
        items.sort_unstable();
        group.newest_id = items.last().map_or(group.newest_id, |item| item.id);
        group.chunks = chunk::encode(&items);
        group
    });
    Ok(Ok(groups.collect()))
}

fn empty(folded: &Folded, identity: Arc<store::batch::Identity>) -> FingerprintBatch {
    FingerprintBatch {
        project_id: folded.project_id,
        identity,
        notice_count: 0,
        first_at_us: folded.first_at_us,
        last_at_us: folded.last_at_us,
        newest_id: folded.items[0].id,
        minutes: BTreeMap::new(),
        facets: BTreeMap::new(),
        users: notice::UserSketch::default(),
        user_hashes: BTreeSet::new(),
        chunks: Vec::new(),
    }
}

fn add(group: &mut FingerprintBatch, items: &mut Vec<Item>, folded: Folded) {
    group.notice_count += folded.items.len() as u64;
    group.first_at_us = group.first_at_us.min(folded.first_at_us);
    group.last_at_us = group.last_at_us.max(folded.last_at_us);
    for (minute, count) in folded.minutes {
        *group.minutes.entry(minute).or_default() += u64::from(count);
    }
    for (key, value, notice_count, first_at_us, last_at_us) in folded.facets {
        let facet = FacetCount { notice_count, first_at_us, last_at_us };
        group.facets.entry((key, value)).and_modify(|counted| counted.add(&facet)).or_insert(facet);
    }
    group.users.merge(&folded.users);
    group.user_hashes.extend(folded.user_hashes);
    items.extend(folded.items);
}
