//! From a fold key to a group's identity: the dear part of folding, done once per fold key.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

use lru::LruCache;
use notice::prost::DecodeError;
use notice::{FoldKey, Folded, Grouping, Notice, Request, Server};
use store::batch::Identity;
use store::source_maps::is_javascript;

/// How many identities are remembered; each is a few kilobytes.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(2_000).expect("not zero");

/// Longest texts of a group. The notices keep theirs whole.
const CLASS_CHARS_MAX: usize = 500;
const MESSAGE_CHARS_MAX: usize = 2_000;
const CULPRIT_CHARS_MAX: usize = 500;

/// What an identity is remembered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) project_id: i64,
    pub(crate) fold_key: FoldKey,
    is_hoptoad: bool,
    /// The newest bundle of artifacts of the project, because source maps that come later make another identity; 0 where there is none.
    bundle: i64,
}

/// What is known of a fold key.
#[derive(Debug)]
pub(crate) enum Known {
    Identity(Arc<Identity>),
    /// Source maps may tell more of its frames, and have to be asked first.
    Unresolved(Box<Unresolved>),
}

/// What is grouped of a notice whose frames are to be resolved.
#[derive(Debug)]
pub(crate) struct Unresolved {
    pub(crate) key: Key,
    pub(crate) grouping: Grouping,
    pub(crate) notice: Notice,
}

/// Identities by project, fold key and rules. Which group they belong to is always the database's to say.
#[derive(Debug)]
pub(crate) struct Identities {
    remembered: Mutex<LruCache<Key, Arc<Identity>>>,
}

impl Default for Identities {
    fn default() -> Self {
        Self { remembered: Mutex::new(LruCache::new(REMEMBERED)) }
    }
}

impl Identities {
    /// The identity of the notices that are folded here. Only if their fold key is not remembered one of them is read.
    /// `bundle` is the newest of the project's artifacts, 0 if it has none: then no source map is asked.
    pub(crate) fn of(&self, folded: &Folded, grouping: Grouping, bundle: i64) -> Result<Known, DecodeError> {
        let is_hoptoad = matches!(grouping, Grouping::Hoptoad);
        let key = Key { project_id: folded.project_id, fold_key: folded.fold_key, is_hoptoad, bundle };
        if let Some(identity) = self.lock().get(&key) {
            return Ok(Known::Identity(Arc::clone(identity)));
        }
        let notice = folded.sample()?;
        if bundle > 0 && is_javascript(&notice) {
            let notice = what_is_grouped(notice);
            return Ok(Known::Unresolved(Box::new(Unresolved { key, grouping, notice })));
        }
        Ok(Known::Identity(self.of_resolved(key, grouping, &notice)))
    }

    /// The identity of a notice whose frames have been resolved, which is remembered.
    pub(crate) fn of_resolved(&self, key: Key, grouping: Grouping, notice: &Notice) -> Arc<Identity> {
        let identity = Arc::new(identify(notice, grouping));
        self.lock().put(key, Arc::clone(&identity));
        identity
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, LruCache<Key, Arc<Identity>>> {
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The notice without what has no part in its identity: many of them wait while their maps are read.
fn what_is_grouped(notice: Notice) -> Notice {
    let mut errors = notice.errors;
    for frame in errors.iter_mut().flat_map(|error| &mut error.frames) {
        frame.code.clear();
        frame.vars_json = None;
    }
    Notice {
        errors,
        request: notice.request.map(|request| Request {
            component: request.component,
            action: request.action,
            ..Request::default()
        }),
        server: notice.server.map(|server| Server { root: server.root, ..Server::default() }),
        environment: notice.environment,
        release: notice.release,
        dist: notice.dist,
        language: notice.language,
        platform: notice.platform,
        client_fingerprint: notice.client_fingerprint,
        debug_images_json: notice.debug_images_json,
        ..Notice::default()
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
        frame_names: notice::frame_names(notice),
    }
}
