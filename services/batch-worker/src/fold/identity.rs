//! From a fold key to a group's identity: the dear part of folding, done once per fold key.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

use lru::LruCache;
use notice::prost::DecodeError;
use notice::{FoldKey, Folded, Grouping, Notice};
use store::batch::Identity;

/// How many identities are remembered; each is a few kilobytes.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(2_000).expect("not zero");

/// Longest texts of a group. The notices keep theirs whole.
const CLASS_CHARS_MAX: usize = 500;
const MESSAGE_CHARS_MAX: usize = 2_000;
const CULPRIT_CHARS_MAX: usize = 500;

/// Identities by project, fold key and rules. Which group they belong to is always the database's to say.
#[derive(Debug)]
pub(crate) struct Identities {
    remembered: Mutex<LruCache<(i64, FoldKey, bool), Arc<Identity>>>,
}

impl Default for Identities {
    fn default() -> Self {
        Self { remembered: Mutex::new(LruCache::new(REMEMBERED)) }
    }
}

impl Identities {
    /// The identity of the notices that are folded here. Only if their fold key is not remembered one of them is read.
    pub(crate) fn of(&self, folded: &Folded, grouping: Grouping) -> Result<Arc<Identity>, DecodeError> {
        let key = (folded.project_id, folded.fold_key, matches!(grouping, Grouping::Hoptoad));
        if let Some(identity) = self.lock().get(&key) {
            return Ok(Arc::clone(identity));
        }
        let identity = Arc::new(identify(&folded.sample()?, grouping));
        self.lock().put(key, Arc::clone(&identity));
        Ok(identity)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, LruCache<(i64, FoldKey, bool), Arc<Identity>>> {
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn identify(notice: &Notice, grouping: Grouping) -> Identity {
    let fingerprint = notice::fingerprint(notice, grouping);
    let error = notice.errors.first();
    let text = |text: Option<&str>, chars_max| text.unwrap_or_default().chars().take(chars_max).collect();
    Identity {
        fingerprint: fingerprint.hash,
        version: fingerprint.version,
        parts_json: serde_json::to_string(&fingerprint.parts).expect("names and values are strings"),
        class: text(error.and_then(|error| error.class.as_deref()), CLASS_CHARS_MAX),
        message: text(error.and_then(|error| error.message.as_deref()), MESSAGE_CHARS_MAX),
        culprit: text(Some(&notice::culprit(notice)), CULPRIT_CHARS_MAX),
        words: notice::search_words(notice),
    }
}
