//! Many notices of the same kind as one thing to write.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use prost::{DecodeError, Message};

use crate::{FoldKey, Notice, NoticeFacts, NoticeId, UserSketch, facets, user_hash};

/// A notice as it comes out of the queue.
#[derive(Clone, Debug, PartialEq)]
pub struct Accepted {
    /// The project that it was sent to.
    pub project_id: i64,
    /// What it is folded by.
    pub fold_key: FoldKey,
    /// Its id.
    pub id: NoticeId,
    /// When the gateway accepted it, in Unix microseconds.
    pub accepted_at_us: i64,
    /// What is counted of it.
    pub facts: NoticeFacts,
    /// All that it says, encoded, to be kept as it came.
    pub body: Vec<u8>,
}

/// All notices of one project and fold key in a batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Folded {
    /// The project.
    pub project_id: i64,
    /// The fold key that they share.
    pub fold_key: FoldKey,
    /// When the first of them was accepted, in Unix microseconds.
    pub first_at_us: i64,
    /// When the last of them was accepted, in Unix microseconds.
    pub last_at_us: i64,
    /// How many of them in each minute (in Unix seconds, a multiple of 60), in order.
    pub minutes: Vec<(i64, u32)>,
    /// Key, value, how many, first and last time in Unix microseconds; in order of key and value.
    pub facets: Vec<(String, String, u64, i64, i64)>,
    /// Who was affected.
    pub users: UserSketch,
    /// The hash of each of them.
    pub user_hashes: BTreeSet<u64>,
    /// The notices, in order of their ids; never empty.
    pub items: Vec<Item>,
}

impl Folded {
    /// The first of them by id: its inputs of grouping are those of all.
    pub fn sample(&self) -> Result<Notice, DecodeError> {
        Notice::decode(self.items[0].body.as_slice())
    }
}

/// What is kept of each notice.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Item {
    /// Its id.
    pub id: NoticeId,
    /// When the gateway accepted it, in Unix microseconds.
    pub accepted_at_us: i64,
    /// The encoded notice.
    pub body: Vec<u8>,
}

/// Folds a batch: one [`Folded`] per project and fold key, in that order. The order of the input does not matter.
pub fn fold(accepted: impl IntoIterator<Item = Accepted>) -> Vec<Folded> {
    let mut folds: BTreeMap<(i64, FoldKey), Fold> = BTreeMap::new();
    for notice in accepted {
        folds.entry((notice.project_id, notice.fold_key)).or_default().add(notice);
    }
    folds.into_iter().map(|((project_id, fold_key), fold)| fold.finish(project_id, fold_key)).collect()
}

#[derive(Default)]
struct Fold {
    minutes: BTreeMap<i64, u32>,
    facets: HashMap<String, HashMap<String, Seen>>,
    users: UserSketch,
    user_hashes: BTreeSet<u64>,
    items: Vec<Item>,
}

struct Seen {
    count: u64,
    first_at_us: i64,
    last_at_us: i64,
}

impl Fold {
    fn add(&mut self, accepted: Accepted) {
        let at = accepted.accepted_at_us;
        *self.minutes.entry(at.div_euclid(60_000_000) * 60).or_default() += 1;
        for (key, value) in facets(&accepted.facts) {
            // What was seen before, as nearly everything of a duplicate was, is not copied.
            if !self.facets.contains_key(&*key) {
                self.facets.insert(key.clone().into_owned(), HashMap::new());
            }
            let Some(values) = self.facets.get_mut(&*key) else { continue };
            match values.get_mut(&*value) {
                Some(seen) => {
                    seen.count += 1;
                    seen.first_at_us = seen.first_at_us.min(at);
                    seen.last_at_us = seen.last_at_us.max(at);
                }
                None => {
                    values.insert(value.into_owned(), Seen { count: 1, first_at_us: at, last_at_us: at });
                }
            }
        }
        if let Some(user) = user_hash(&accepted.facts) {
            self.users.insert(user);
            self.user_hashes.insert(user);
        }
        self.items.push(Item { id: accepted.id, accepted_at_us: at, body: accepted.body });
    }

    fn finish(mut self, project_id: i64, fold_key: FoldKey) -> Folded {
        self.items.sort_unstable();
        let times = || self.items.iter().map(|item| item.accepted_at_us);
        let mut facets: Vec<_> = self
            .facets
            .into_iter()
            .flat_map(|(key, values)| {
                values
                    .into_iter()
                    .map(move |(value, seen)| (key.clone(), value, seen.count, seen.first_at_us, seen.last_at_us))
            })
            .collect();
        facets.sort_unstable();
        Folded {
            project_id,
            fold_key,
            first_at_us: times().min().unwrap_or_default(),
            last_at_us: times().max().unwrap_or_default(),
            minutes: self.minutes.into_iter().collect(),
            facets,
            users: self.users,
            user_hashes: self.user_hashes,
            items: self.items,
        }
    }
}
