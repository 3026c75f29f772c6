//! What the gateway knows of projects: the snapshot, made ready for look-ups.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use notice::{LaneEpoch, ScrubRules, Snapshot, SnapshotProject, SnapshotScrubbing};
use queue::body::{Dictionaries, Dictionary};
use queue::{Lanes, QueueError};
use sha2::{Digest, Sha256};
use tokio::sync::Mutex;
use uuid::Uuid;

/// Lanes that a project may use when its snapshot does not say.
const LANE_SUBSET_DEFAULT: u16 = 16;

/// One project, as far as a door needs to know it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Project {
    pub(crate) id: u64,
    /// How many lanes it may use.
    pub(crate) lane_subset: u16,
    /// Notices per minute that its operator allows on this gateway; none means accept and fold.
    pub(crate) rate_per_minute_max: Option<u32>,
    pub(crate) is_disabled: bool,
    /// What it takes out of its notices beside what is always taken out.
    pub(crate) scrubbing: Arc<ScrubRules>,
    /// The turn of what is scrubbed by its patterns.
    pub(crate) scrub_turn: Arc<Mutex<()>>,
    /// The rules as they were published.
    pub(crate) published: Option<SnapshotScrubbing>,
}

/// All projects at one version of the snapshot.
pub(crate) struct Projects {
    pub(crate) install_id: Uuid,
    pub(crate) version: u64,
    /// Generations of the map of lanes, oldest first; new records go to the lanes of the last.
    pub(crate) lane_epochs: Vec<LaneEpoch>,
    /// What bodies are packed with.
    pub(crate) dictionary: Option<Dictionary>,
    /// By the SHA-256 of the key: what takes a time that depends on its input is the hash, not the comparison,
    /// so the time tells nothing about keys.
    by_key: HashMap<[u8; 32], Arc<Project>>,
    by_id: HashMap<u64, Arc<Project>>,
}

/// Why a snapshot cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SnapshotError {
    #[error("the snapshot's installation id is not a UUID")]
    InstallId,
    #[error("the snapshot's lanes cannot be used")]
    Lanes(#[source] QueueError),
    #[error("the snapshot is of another installation, {0}")]
    OtherInstallation(Uuid),
    #[error(
        "the snapshot lacks lanes that the journal has, or has others in their place: after a database was set back \
         `croak lanes reshard` makes them again"
    )]
    OtherLanes,
}

impl Projects {
    /// `dictionaries` remembers those of earlier snapshots. One that cannot be used is done without. Rules that are the same as in the
    /// snapshot before are not compiled again.
    pub(crate) fn new(
        snapshot: &Snapshot,
        dictionaries: &Dictionaries,
        before: Option<&Projects>,
    ) -> Result<Projects, SnapshotError> {
        let install_id = snapshot.install_id.parse().map_err(|_| SnapshotError::InstallId)?;
        let mut by_key = HashMap::new();
        let mut by_id = HashMap::new();
        for known in &snapshot.projects {
            let lane_subset = u16::try_from(known.lane_subset).ok().filter(|subset| *subset > 0);
            let same = before
                .and_then(|before| before.by_id(known.id))
                .filter(|earlier| earlier.published == known.scrubbing)
                .map(|earlier| (Arc::clone(&earlier.scrubbing), Arc::clone(&earlier.scrub_turn)));
            let (scrubbing, scrub_turn) = same.unwrap_or_else(|| (Arc::new(scrubbing(known)), Arc::default()));
            let project = Arc::new(Project {
                id: known.id,
                lane_subset: lane_subset.unwrap_or(LANE_SUBSET_DEFAULT),
                rate_per_minute_max: known.rate_per_minute_max,
                is_disabled: known.disabled,
                scrubbing,
                scrub_turn,
                published: known.scrubbing.clone(),
            });
            let keys = known.key_sha256.iter().filter_map(|hash| <[u8; 32]>::try_from(hash.as_slice()).ok());
            by_key.extend(keys.map(|hash| (hash, Arc::clone(&project))));
            by_id.insert(known.id, project);
        }
        let dictionary = snapshot
            .dictionary
            .as_ref()
            .and_then(|trained| dictionaries.learn(u16::try_from(trained.codec).ok()?, &trained.bytes));
        Ok(Projects {
            install_id,
            version: snapshot.version,
            lane_epochs: Lanes::epochs_of(snapshot),
            dictionary,
            by_key,
            by_id,
        })
    }

    /// The project that this key opens.
    pub(crate) fn by_key(&self, key: &str) -> Option<&Arc<Project>> {
        self.by_key.get(&<[u8; 32]>::from(Sha256::digest(key.as_bytes())))
    }

    pub(crate) fn by_id(&self, id: u64) -> Option<&Arc<Project>> {
        self.by_id.get(&id)
    }

    pub(crate) fn count(&self) -> usize {
        self.by_id.len()
    }
}

/// The rules of a project. They were compiled before they were published; one that does not compile here any more must not let
/// through what the others take out.
fn scrubbing(project: &SnapshotProject) -> ScrubRules {
    let Some(published) = &project.scrubbing else { return ScrubRules::default() };
    ScrubRules::of(published).unwrap_or_else(|error| {
        let project_id = project.id;
        tracing::error!(project_id, error = service::causes(&error), "a project's scrubbing rules cannot be used");
        ScrubRules::usable(published)
    })
}

/// The projects as they are known now, or none yet. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Known(Arc<RwLock<Option<Arc<Projects>>>>);

impl Known {
    pub(crate) fn now(&self) -> Option<Arc<Projects>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set(&self, projects: Projects) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(projects));
    }
}
